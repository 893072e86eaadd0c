"""The ways of doing the same work that `speed.py` times.

Classical: Keras's `fit` through the whole network, pictures read from their files in every epoch
by `ImageDataGenerator.flow_from_directory`, as course templates have it. Cold: the kit with an
empty cache. Warm: the kit once more. All three build the same model of the same recipe, before
their clocks start; imports are not counted either.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xray_helpers.data import Dataset, Source, load_data
from xray_helpers.models import GRIDS, RECIPES, Recipe, Weights, build_model
from xray_helpers.quiet_import import keras, tensorflow
from xray_helpers.training import frozen_outputs, grid_search, split_model, train

SEED = 42
# Times do not depend on the weights' values, and random ones need no download.
WEIGHTS = Weights("random")
GRID = "t2-vgg16"


@dataclass(frozen=True)
class Scale:
    """How much of everything: sides of pictures, epochs, settings, seconds.

    Attributes:
        budget: seconds for the epochs of the classical way; one behind the first is always run.
        exact_epochs: epochs that the kit trains without its cache, to compare the losses.
        settings: of the grid; 0 for all.
        workers: processes of the search; None for as many as it takes by itself.
    """

    size: int = 224
    epochs: int = 40
    budget: float = 60.0
    exact_epochs: int = 2
    folds: int = 3
    settings: int = 0
    workers: int | None = None


QUICK = Scale(size=32, epochs=2, budget=0.0, exact_epochs=1, folds=2, settings=1, workers=1)


def new_model(recipe: Recipe, data: Dataset) -> keras.Model:
    """The model of a recipe, built anew."""
    return build_model(
        recipe,
        data.classes,
        WEIGHTS,
        image_size=data.pictures.shape[1],
        calibrate_on=data.split("train")[0],
        seed=SEED,
    )


# --- classical ----------------------------------------------------------------------------------


class EpochClock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included; ends the training when the budget is used."""

    def __init__(self, budget: float) -> None:
        super().__init__()
        self.budget, self.seconds = budget, []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.started)
        if len(self.seconds) > 1 and sum(self.seconds) >= self.budget:
            self.model.stop_training = True


def from_files(model: keras.Model, data: Dataset, recipe: Recipe, share: float) -> tuple:
    """Generators of training and validation pictures, the latter a `share` of `train/`."""
    pictures = tensorflow.keras.preprocessing.image.ImageDataGenerator(validation_split=share)
    folder = Path(data.table["path"].iloc[data.rows("train")[0]]).parents[1]
    return tuple(
        pictures.flow_from_directory(
            folder,
            target_size=data.pictures.shape[1:3],
            classes=list(data.classes),
            class_mode="binary" if model.output_shape[-1] == 1 else "categorical",
            batch_size=recipe.batch_size,
            subset=subset,
            seed=SEED,
        )
        for subset in ("training", "validation")
    )


def classical(recipe: Recipe, data: Dataset, scale: Scale) -> tuple[float, int]:
    """Seconds of all epochs, extrapolated from the median, and how many were measured for it.

    The first epoch, in which TensorFlow compiles, is not one of them.
    """
    model = new_model(recipe, data)
    training, validation = from_files(model, data, recipe, 0.2)
    clock = EpochClock(scale.budget)
    model.fit(
        training,
        epochs=max(scale.epochs, 2),
        validation_data=validation,
        callbacks=[clock],
        verbose=0,
    )
    measured = clock.seconds[1:]
    return scale.epochs * float(np.median(measured)), len(measured)


def classical_grid(data: Dataset, scale: Scale) -> tuple[float, int]:
    """As `classical`, for a grid: measured on its first setting, extrapolated to all fits.

    In each fit the epochs go through all folds but one, without validation, and the fold left out
    is scored once: what the kit's search does.
    """
    recipes = grid_recipes(scale)
    model = new_model(recipes[0], data)
    training, left_out = from_files(model, data, recipes[0], 1 / scale.folds)
    clock = EpochClock(scale.budget)
    model.fit(training, epochs=max(scale.epochs, 2), callbacks=[clock], verbose=0)
    model.evaluate(left_out, verbose=0, steps=1)  # TensorFlow compiles
    started = time.perf_counter()
    model.evaluate(left_out, verbose=0)
    scoring = time.perf_counter() - started
    measured = clock.seconds[1:]
    fit = scale.epochs * float(np.median(measured)) + scoring
    return len(recipes) * scale.folds * fit, len(measured)


# --- the kit ------------------------------------------------------------------------------------


def read(recipe: Recipe, source: Source, scale: Scale) -> tuple[Dataset, float]:
    """The pictures, and the seconds of reading, resizing and hashing their files."""
    started = time.perf_counter()
    data = load_data(recipe.task, source, image_size=scale.size, seed=SEED, progress=None)
    return data, time.perf_counter() - started


def with_kit(
    recipe: Recipe, data: Dataset, epochs: int, *, cache: bool = True
) -> tuple[pd.DataFrame, float]:
    """The history, and the seconds from pictures in memory to the trained and scored model."""
    model = new_model(recipe, data)
    started = time.perf_counter()
    training = train(
        model, data, epochs=epochs, batch_size=recipe.batch_size, cache=cache, seed=SEED
    )
    seconds = time.perf_counter() - started
    assert training.cached is cache and len(training.history) == epochs
    return training.history, seconds


def largest_difference(history: pd.DataFrame, exact: pd.DataFrame) -> float:
    """The largest relative difference between the losses of the epochs that both have."""
    columns = ["loss", "val_loss"]
    ours, theirs = history[columns].iloc[: len(exact)].to_numpy(), exact[columns].to_numpy()
    return float(np.abs(ours / theirs - 1).max())


def grid_recipes(scale: Scale) -> list[Recipe]:
    """The settings of the grid."""
    grid = GRIDS[GRID].narrowed({"epochs": (scale.epochs,)})
    return [grid.recipe_of(point) for point in grid.points(at_most=scale.settings)]


def grid_features(data: Dataset, scale: Scale) -> float:
    """Seconds of computing and keeping what the frozen part of the grid's models says."""
    frozen = split_model(new_model(grid_recipes(scale)[0], data)).frozen
    started = time.perf_counter()
    for split in ("train", "validation"):
        frozen_outputs(frozen, data.split(split)[0], progress=None)
    return time.perf_counter() - started


def grid_with_kit(data: Dataset, scale: Scale, *, xla: bool) -> float:
    """Seconds of a search whose features are kept: hashing, opening the cache and all fits.

    Here the time that its processes take to start, and to build models, is counted.
    """
    started = time.perf_counter()
    found = grid_search(
        grid_recipes(scale),
        data,
        WEIGHTS,
        folds=scale.folds,
        seed=SEED,
        xla=xla,
        workers=scale.workers,
    )
    assert found.kept == 0
    return time.perf_counter() - started


def recipe_of(work: str) -> Recipe:
    """The recipe that a work is about; of a grid, the one whose settings it varies."""
    return RECIPES[GRIDS[GRID].recipe if work.startswith("grid-") else work]
