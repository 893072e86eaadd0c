"""Every variant of a stage, trained on a few pictures and scored beside its report's figures."""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xray_helpers import quiet_import  # noqa: F401 - a process of its own starts here
from xray_helpers.data import Dataset, Source
from xray_helpers.data.stages import first_stage, second_stage, some_pictures
from xray_helpers.errors import KitError
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.predict import Evaluation, evaluate
from xray_helpers.models.build import build_model
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.variants import Variant
from xray_helpers.models.weights import Weights
from xray_helpers.progress import no_bars
from xray_helpers.training.fit import train
from xray_helpers.training.jobs import run_jobs, usual_workers

METRICS = ("accuracy", "recall", "precision")
MOST_WORKERS = 2  # each takes more than 1 GB, beside the notebook's 3 GB with Kermany's pictures
VERSION = 1  # of what `fit_variant` does and gives; raised when that changes
_SPLITS = ("train", "validation", "test")


def run_variants(
    variants: Sequence[Variant],
    data: Dataset,
    *,
    pictures: int = 600,
    epochs: int = 8,
    seed: int = 42,
) -> pd.DataFrame:
    """Train and score variants, side by side; what was done before is read from disk.

    Recall and precision are those of a stage's second class. Variants with the same settings
    share one training, but for a repetition, which has another seed.

    Args:
        variants: what to train.
        data: of the task "two_stage".
        pictures: training pictures of each, drawn by chance in the classes' shares; a third as
            many validate it. All test pictures are scored.
        epochs: of each training.
        seed: of the draw, the first weights, the order of the pictures and dropout.

    Returns:
        A row a variant: variant, stage, what; `reported_` loss, accuracy, recall, precision; for
        validation and test our `<split>_loss` and, for each metric, `<split>_<metric>` with
        `_low`, `_high` (95 % Wilson interval) and `_n`; best_epoch, seconds. What is missing is
        NaN: the report gives no figure, the training diverged, or the share is of no picture.
    """
    wanted = {"train": pictures, "validation": max(1, pictures // 3)}
    tables = [
        _run_stage(mine, some_pictures(view(data), wanted, seed), epochs, seed)
        for stage, view in ((1, first_stage), (2, second_stage))
        if (mine := [variant for variant in variants if variant.stage == stage])
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _run_stage(variants: Sequence[Variant], data: Dataset, epochs: int, seed: int) -> pd.DataFrame:
    jobs = [_job(variant, epochs, seed) for variant in variants]
    different = list({str(job): job for job in jobs}.values())
    bar = f"Variants of stage {variants[0].stage}"
    workers = min(usual_workers(), MOST_WORKERS)
    with warnings.catch_warnings():
        # A process whose memory has grown is replaced by a new one, which loses nothing.
        warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
        results = run_jobs(
            fit_variant, different, inputs=_inputs(data), progress=bar, workers=workers
        )
    of_job = {str(job): result for job, result in zip(different, results, strict=True)}
    return pd.DataFrame([_row(v, of_job[str(j)]) for v, j in zip(variants, jobs, strict=True)])


def _job(variant: Variant, epochs: int, seed: int) -> dict[str, Any]:
    told = ("name", "report", "reported", "chosen", "note", "changed")  # of no effect
    recipe = {k: v for k, v in asdict(variant.recipe).items() if k not in told}
    return {"recipe": recipe | {"epochs": epochs}, "seed": seed + variant.repeat}


def _inputs(data: Dataset) -> dict[str, Any]:
    pictures, labels = zip(*(data.split(split) for split in _SPLITS), strict=True)
    return {
        "pictures": np.concatenate(pictures),
        "labels": np.concatenate(labels),
        "counts": [len(part) for part in labels],
        "classes": list(data.classes),
        "version": VERSION,
    }


def fit_variant(job: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """One training and its scores.

    Args:
        job: recipe (fields of `Recipe`), seed.
        inputs: pictures (n, size, size, 3) uint8 and labels (n,) of train, validation and test,
            one after the other; counts of the three; classes; version, which only tells kept
            results of an older kit from this one's.

    Returns:
        best_epoch, train_seconds, and for validation and test: loss, and hits and n of each metric
        as `[hits, n]`. All None where the training diverged.
    """
    data = _dataset(inputs)
    recipe = Recipe(name="variant", **job["recipe"])
    size = data.pictures.shape[1]
    with no_bars(), contextlib.redirect_stdout(io.StringIO()):  # Keras says where it stops for NaN
        model = build_model(
            recipe, data.classes, Weights("none"), image_size=size, seed=job["seed"]
        )
        try:
            training = train(
                model,
                data,
                epochs=recipe.epochs,
                batch_size=recipe.batch_size,
                patience=recipe.patience,
                seed=job["seed"],
            )
            scores = {split: _score(evaluate(model, data, split)) for split in _SPLITS[1:]}
        except KitError:  # the loss, or what the network says, is no number any more
            return dict.fromkeys(("best_epoch", "train_seconds", "validation", "test"))
    took = training.seconds["total"]
    return {"best_epoch": training.best_epoch, "train_seconds": took, **scores}


def _dataset(inputs: Mapping[str, Any]) -> Dataset:
    """The pictures of `_inputs` as `train` and `evaluate` want them.

    The patients are left out, since the scores are given with Wilson intervals only.
    """
    classes = tuple(inputs["classes"])
    names = [str(i) for i in range(len(inputs["labels"]))]
    table = pd.DataFrame(
        {
            "path": names,
            "patient": names,
            "label": np.array(classes)[inputs["labels"]],
            "split": np.repeat(_SPLITS, inputs["counts"]),
        }
    )
    return Dataset("two_stage", Source(Path(), "other"), classes, table, inputs["pictures"], [], "")


def _score(result: Evaluation) -> dict[str, Any]:
    (passed, false_alarms), (missed, found) = result.confusion.tolist()
    return {
        "loss": result.loss,
        "accuracy": [passed + found, int(result.confusion.sum())],
        "recall": [found, found + missed],
        "precision": [found, found + false_alarms],
    }


def _row(variant: Variant, result: Mapping[str, Any]) -> dict[str, Any]:
    row = {"variant": variant.name, "stage": variant.stage, "what": variant.what}
    row |= {f"reported_{name}": value for name, value in asdict(variant.reported).items()}
    for split in _SPLITS[1:]:
        score = result[split] or {"loss": None, **dict.fromkeys(METRICS, (0, 0))}
        row[f"{split}_loss"] = score["loss"]
        for metric in METRICS:
            share = wilson(*score[metric])
            row[f"{split}_{metric}"] = share.value
            row |= {f"{split}_{metric}_{k}": getattr(share, k) for k in ("low", "high", "n")}
    row |= {"best_epoch": result["best_epoch"], "seconds": result["train_seconds"]}
    missing = {name: np.nan for name, value in row.items() if value is None}
    return row | missing
