"""A search for settings: every setting trained and scored on folds of the training pictures.

In each of k folds the model is trained on the other folds and scored on the pictures left out, so
every training picture is scored once by a model that has not seen it. Folds have the same share
of each class and no patient in two of them (scikit-learn's StratifiedGroupKFold). The test
pictures are not touched.

What a frozen backbone says about the pictures is computed once for all settings. Each fit starts
from the same first weights, and a fit of 120 epochs passes by its 40th and 80th: settings that
differ only in `epochs` are scored on the way, in one fit.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.build import build_head, build_model
from xray_helpers.models.output import output_meaning, predicted_classes
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights
from xray_helpers.quiet_import import keras
from xray_helpers.training.batches import targets_for, training_batches, training_order
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs
from xray_helpers.training.jobs import run_jobs


@dataclass(frozen=True, eq=False)
class Search:
    """What came out of a search.

    Attributes:
        scores: a row a setting and fold: setting (its place in what was asked), fold, hits, n
            (pictures left out), loss (mean cross-entropy or other loss of the recipe; NaN, like
            hits, where the training diverged).
        fits: trainings that were needed; `kept` of them had been done before.
        seconds: what all fits took, added up over the processes, whenever they were done.
    """

    scores: pd.DataFrame
    fits: int
    kept: int
    seconds: float


def grid_search(
    recipes: Sequence[Recipe],
    data: Dataset,
    weights: Weights,
    *,
    folds: int = 3,
    seed: int = 42,
    workers: int | None = None,
) -> Search:
    """Train and score every recipe on folds of the train and validation pictures.

    Args:
        recipes: the settings; they share backbone, convolutions and batch size, and the backbone
            is frozen or (`cnn`) trained from scratch.
        data: the pictures.
        weights: what the backbone starts from.
        folds: how many folds.
        seed: seed of the folds, the first weights, the order of pictures and dropout.
        workers: processes at once; None for one a core.

    Raises:
        KitError: fewer patients of a class than folds; a backbone that is partly trained.
    """
    features, labels, patients = search_inputs(recipes[0], data, weights, seed)
    inputs = {
        **features,
        "labels": labels,
        "fold_of": fold_numbers(labels, patients, data.classes, folds, seed),
        "classes": list(data.classes),
        "seed": seed,
    }
    # Settings that differ in epochs only share a job for each fold.
    shared: dict[Recipe, list[int]] = {}
    for place, recipe in enumerate(recipes):
        shared.setdefault(_without_epochs(recipe), []).append(place)
    jobs = [
        {
            "recipe": asdict(recipe),
            "epochs": sorted({recipes[place].epochs for place in places}),
            "fold": fold,
        }
        # Jobs that can take turns on one compiled model stand together.
        for recipe, places in sorted(shared.items(), key=lambda item: _structure(item[0]))
        for fold in range(folds)
    ]
    results = run_jobs(fit_fold, jobs, inputs=inputs, progress="Searching", workers=workers)
    rows = [
        {"setting": place, "fold": job["fold"], **result["at_epoch"][str(recipes[place].epochs)]}
        for job, result in zip(jobs, results, strict=True)
        for place in shared[Recipe(**job["recipe"])]
    ]
    return Search(
        pd.DataFrame(rows).astype({"hits": float, "loss": float}),
        len(jobs),
        sum(result["kept"] for result in results),
        sum(result["seconds"] for result in results),
    )


def _without_epochs(recipe: Recipe) -> Recipe:
    return replace(recipe, epochs=0, changed=(), reported=None, chosen=(), note="")


def _structure(recipe: Recipe) -> str:
    """What two recipes have in common whose compiled models differ in the learning rate only."""
    return json.dumps(asdict(replace(recipe, learning_rate=0.0)))


def search_inputs(
    recipe: Recipe, data: Dataset, weights: Weights, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """What the heads are trained on: frozen outputs, or pictures where nothing is frozen.

    Returns:
        `{"x": …}` float32 (n, …) or uint8 (n, size, size, 3); label numbers (n,); patients (n,):
        of the train pictures, then of the validation pictures.

    Raises:
        KitError: the backbone is partly trained.
    """
    if BACKBONES[recipe.backbone].keras_name and recipe.unfreeze:
        raise KitError(
            f"unfreeze={recipe.unfreeze}: a search shares the frozen backbone between its "
            "settings; search with unfreeze=0 and train the best one with more layers."
        )
    pictures, labels = zip(*(data.split(split) for split in ("train", "validation")), strict=True)
    rows = np.concatenate([data.rows("train"), data.rows("validation")])
    if BACKBONES[recipe.backbone].keras_name:
        size = data.pictures.shape[1]
        model = build_model(
            recipe, data.classes, weights, image_size=size, calibrate_on=pictures[0], seed=seed
        )
        frozen = split_model(model).frozen
        # One split after the other, as `train` does: it finds them in the cache.
        parts = [
            frozen_outputs(frozen, p, progress=f"Frozen features, {name}")[0]
            for p, name in zip(pictures, ("training", "validation"), strict=True)
        ]
    else:
        parts = list(pictures)
    patients = data.table["patient"].to_numpy()[rows]
    return {"x": np.concatenate(parts)}, np.concatenate(labels), patients


def fold_numbers(
    labels: np.ndarray, patients: np.ndarray, classes: Sequence[str], folds: int, seed: int
) -> np.ndarray:
    """The fold that each picture is left out of training in, (n,) int64 from 0.

    Raises:
        KitError: a class has fewer patients than there are folds.
    """
    counts = [len(set(patients[labels == number])) for number in range(len(classes))]
    if min(counts) < folds:
        raise KitError(
            f"folds={folds}: the class {classes[int(np.argmin(counts))]} has pictures of "
            f"{min(counts)} patients only; use folds={max(2, min(counts))} or fewer."
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(labels), np.int64)
    for fold, (_, left_out) in enumerate(splitter.split(labels, labels, patients)):
        fold_of[left_out] = fold
    return fold_of


def fit_fold(job: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """One fit: train on all folds but one, score on that one after each of `epochs`.

    Args:
        job: recipe (its fields), epochs (rising), fold.
        inputs: x, labels, fold_of, classes, seed.

    Returns:
        `at_epoch`: {"40": {"hits", "n", "loss"}, …}; hits and loss are None where the training
        diverged before.
    """
    recipe = Recipe(**job["recipe"])
    x, labels, seed = inputs["x"], inputs["labels"], inputs["seed"]
    model = _fresh_model(recipe, x, inputs["classes"], seed)
    targets = targets_for(model, model.output_shape[-1], labels, len(inputs["classes"]))
    trained = np.flatnonzero(inputs["fold_of"] != job["fold"])
    left_out = np.flatnonzero(inputs["fold_of"] == job["fold"])
    order = trained[training_order(len(trained), 0, job["epochs"][-1], seed)]
    scorer = _ScoreAt(
        job["epochs"], x[left_out], labels[left_out], targets[left_out], recipe.batch_size
    )
    model.fit(
        training_batches([x], targets, order, recipe.batch_size),
        epochs=job["epochs"][-1],
        steps_per_epoch=math.ceil(len(trained) / recipe.batch_size),
        callbacks=[scorer, keras.callbacks.TerminateOnNaN()],
        shuffle=False,  # the stream has its order already
        verbose=0,
    )
    return {"at_epoch": scorer.scores}


_last: dict[str, Any] = {}  # the model of the fit before, in this process


def _fresh_model(recipe: Recipe, x: np.ndarray, classes: list[str], seed: int) -> keras.Model:
    """A compiled model with its first weights.

    The model of the fit before is set back to its start where only the learning rate differs:
    compiling takes longer than some fits.
    """
    key = f"{_structure(recipe)} {x.shape[1:]} {seed}"
    if _last.get("key") != key:
        if BACKBONES[recipe.backbone].keras_name:
            model = build_head(recipe, x.shape[1:], classes, seed)
        else:
            size = x.shape[1]
            model = build_model(recipe, classes, Weights("none"), image_size=size, seed=seed)
        model.optimizer.build(model.trainable_variables)
        _last.update(key=key, model=model, start=[v.numpy() for v in _state(model)])
    model = _last["model"]
    for variable, value in zip(_state(model), _last["start"], strict=True):
        variable.assign(value)
    model.optimizer.learning_rate = recipe.learning_rate
    return model


def _state(model: keras.Model) -> list[keras.Variable]:
    """All that training changes: weights, dropout's random state, the optimizer's memory."""
    return [*model.variables, *model.optimizer.variables]


class _ScoreAt(keras.callbacks.Callback):
    """Scores the pictures left out after some of the epochs."""

    def __init__(
        self,
        epochs: list[int],
        x: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        batch: int,
    ) -> None:
        super().__init__()
        self.x, self.labels, self.targets, self.batch = x, labels, targets, batch
        # What stays where training stops because the loss is no number any more.
        nothing = {"hits": None, "n": len(x), "loss": None}
        self.scores = {str(epoch): nothing for epoch in epochs}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if str(epoch + 1) not in self.scores:
            return
        parts = [
            self.model.predict_on_batch(self.x[i : i + self.batch].astype(np.float32))
            for i in range(0, len(self.x), self.batch)
        ]
        outputs = np.concatenate(parts)
        if np.isfinite(outputs).all():
            predicted = predicted_classes(outputs, output_meaning(self.model))
            self.scores[str(epoch + 1)] = {
                "hits": int(np.sum(predicted == self.labels)),
                "n": len(self.x),
                "loss": float(np.mean(keras.losses.get(self.model.loss)(self.targets, outputs))),
            }
