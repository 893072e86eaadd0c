"""A search for settings: every setting trained and scored on folds of the training pictures.

In each of k folds the model is trained on the other folds and scored on the pictures left out, so
every training picture is scored once by a model that has not seen it. Folds have the same share
of each class and no patient in two of them (scikit-learn's StratifiedGroupKFold). The test
pictures are not touched.

What a frozen backbone says about the pictures is computed once for all settings. Each fit starts
from the same first weights, and a fit of 120 epochs passes by its 40th and 80th: settings that
differ only in `epochs` are scored on the way, in one fit.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.build import build_model
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs
from xray_helpers.training.fold import fit_fold, structure
from xray_helpers.training.jobs import run_jobs, usual_workers


@dataclass(frozen=True, eq=False)
class Search:
    """What came out of a search.

    Attributes:
        scores: a row a setting and fold: setting (its place in what was asked), fold, hits, n
            (pictures left out), loss (mean cross-entropy or other loss of the recipe; NaN, like
            hits, where the training diverged).
        fits: trainings that were needed; `kept` of them had been done before.
        seconds: what all fits took, added up over the processes, whenever they were done.
        workers: how many fits ran at a time.
    """

    scores: pd.DataFrame
    fits: int
    kept: int
    seconds: float
    workers: int


def grid_search(
    recipes: Sequence[Recipe],
    data: Dataset,
    weights: Weights,
    *,
    folds: int = 3,
    seed: int = 42,
    xla: bool = False,
    precision: str = "float32",
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
        xla: let XLA compile what is trained, as in `train`.
        precision: what the backbone computes in, see `models/precision.py`.
        workers: processes at once; None for one a core.

    Raises:
        KitError: fewer patients of a class than folds; a backbone that is partly trained.
    """
    features, labels, patients = search_inputs(recipes[0], data, weights, seed, precision)
    inputs = {
        **features,
        "labels": labels,
        "fold_of": fold_numbers(labels, patients, data.classes, folds, seed),
        "classes": list(data.classes),
        "seed": seed,
        "xla": xla,
        "precision": precision,
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
        for recipe, places in sorted(shared.items(), key=lambda item: structure(item[0]))
        for fold in range(folds)
    ]
    workers = min(workers or usual_workers(), len(jobs))
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
        workers,
    )


def _without_epochs(recipe: Recipe) -> Recipe:
    return replace(recipe, epochs=0, changed=(), reported=None, chosen=(), note="")


def search_inputs(
    recipe: Recipe, data: Dataset, weights: Weights, seed: int, precision: str = "float32"
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
            recipe,
            data.classes,
            weights,
            image_size=size,
            calibrate_on=pictures[0],
            seed=seed,
            precision=precision,
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
