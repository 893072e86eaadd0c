"""Runs as a report reads them, made in a moment: records, tables and small figures."""

from pathlib import Path

import pandas as pd
from PIL import Image

from xray_helpers.evaluation.estimate import wilson
from xray_helpers.runs.record import RunFolder

CLASSES = {
    "task1": ("normal", "covid"),
    "task2": ("covid", "normal", "pneumonia_bac", "pneumonia_vir"),
}
FIGURES = (
    *("class_balance", "learning_curves", "confusion", "tsne", "test_pictures"),
    *("timing_training", "timing_toy"),
)
WORDS = (
    "Both networks saw the same pictures and were trained with the same settings, so that what "
    "differs is the backbone alone; with so few pictures I would not call either one better."
)


def make_run(
    runs: Path,
    task: str = "task2",
    backbone: str = "vgg16",
    wrong: int = 2,
    kind: str = "class",
    marks: tuple[str, ...] = (),
    fingerprint: str | None = None,
    validation: float = 0.75,
    layer: str = "feature_dense",
    complete: bool = True,
) -> dict:
    """A run of `01_task1` or `02_task2`; `wrong` of its nine test pictures a class are wrong."""
    settings = {"seed": 42, "image_size": 224, "leaks": "keep", "enhance": "", "epochs": None}
    settings |= {"tsne_layer": "feature_dense", "tsne_perplexity": 30.0}
    notebook = "01_task1" if task == "task1" else "02_task2"
    run = RunFolder(runs, notebook, task, backbone, settings)
    classes = CLASSES[task]
    counts = {s: dict.fromkeys(classes, n) for s, n in (("train", 20), ("test", 9))}
    counts["validation"] = dict.fromkeys(classes, 5)
    run.add_table("history.csv", _history(validation))
    predictions = _predictions(classes, wrong)
    run.add_table("predictions.csv", predictions)
    n = len(predictions)
    right = int((predictions["true"] == predictions["predicted"]).sum())
    layers = [
        {"layer": backbone, "type": "Functional", "output": "7×7×512", "parameters": 14_714_688,
         "trainable": 0},
        {"layer": layer, "type": "Dense", "output": "256", "parameters": 131_328,
         "trainable": 131_328},
    ]  # fmt: skip
    test = {"loss": 0.8123, "accuracy": wilson(right, n).as_dict()}
    test |= {f"recall_{c}": wilson(9 - wrong, 9).as_dict() for c in classes}
    score = {"loss": 0.61, "accuracy": validation, "n": 5 * len(classes)}
    seconds = {"features": 1.0, "first_epoch": 1.0, "median_epoch": 0.1, "median_step": 0.01}
    seconds |= {"uncached_epoch": 71.78, "uncached_step": 3.11, "total": 87.3}
    run.update(
        marks=list(marks),
        data={
            "kind": kind,
            "root": "/pictures",
            "fingerprint": fingerprint or f"{task}-pictures",
            "counts": counts,
            "set_aside": [],
        },
        model={
            "recipe": f"t{task[-1]}-default",
            "changed": {} if backbone == "vgg16" else {"backbone": backbone},
            "backbone": backbone,
            "weights": "imagenet",
            "optimizer": "adam",
            "learning_rate": 0.001,
            "loss": "categorical_crossentropy",
            "output": {"activation": "softmax", "meaning": "probability"},
            "notes": [],
            "regularisation": ["dropout 0.25"],
            "layers": layers,
            "parameters": {"total": 14_846_016, "trainable": 131_328, "non_trainable": 14_714_688},
            "megabytes": 59.4,
        },
        training={
            "epochs": 3,
            "best_epoch": 2,
            "batch_size": 10,
            "steps_per_epoch": 8,
            "augment_views": 0,
            "patience": 20,
            "schedule": "constant",
            "train": {"loss": 0.2, "accuracy": 0.95, "n": 20 * len(classes)},
            "validation": score,
            "seconds": seconds,
            "device": "cpu",
            "cached": True,
        },
        test=test,
        floor={"numbers": wilson(n // 2, n).as_dict()},
    )
    _figures(run.folder)
    if complete:
        run.complete()
    return {**run.record, "folder": str(run.folder)}


def _history(validation: float) -> pd.DataFrame:
    rows = [
        (e, 0.9 / e, 0.6 + e / 10, 0.61 if e == 2 else 0.7, validation if e == 2 else 0.5, 1e-3)
        for e in (1, 2, 3)
    ]
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    return pd.DataFrame(rows, columns=columns)


def _predictions(classes: tuple[str, ...], wrong: int) -> pd.DataFrame:
    rows = [
        (f"test/{true}/{i}.png", true, classes[i < wrong] if true == classes[0] else
         (classes[0] if i < wrong else true), f"{true}-{i}")
        for true in classes
        for i in range(9)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["path", "true", "predicted", "patient"])


def _figures(folder: Path) -> None:
    (folder / "figures").mkdir()
    for name in FIGURES:
        Image.new("L", (300, 200), 200).save(folder / "figures" / f"{name}.png")


def usual_runs(runs: Path, **changes: object) -> list[dict]:
    """One run of task 1 and two architectures of task 2."""
    return [
        make_run(runs, "task1", **changes),
        make_run(runs, "task2", **changes),
        make_run(runs, "task2", "resnet50", wrong=1, validation=0.8, **changes),
    ]


def draw_nothing(records: list[dict], folder: Path) -> None:
    """In place of the report's own figures, which take a second each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("comparison_accuracy", "comparison_curves"):
        Image.new("L", (300, 200), 200).save(folder / f"{name}.png")


def with_words(text: str, words: str = WORDS, head: str = "Ada Lovelace, U0001.") -> str:
    """A report whose boxes are answered."""
    lines, first = [], True
    for line in text.split("\n"):
        if line.startswith("> **Write here**"):
            line, first = (head if first else words), False
        lines.append(line)
    return "\n".join(lines)
