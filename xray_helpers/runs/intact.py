"""Whether a run's record agrees with the files beside it, and with itself.

Two ways: the checksums that the record keeps, and, for records that have none or were given new
ones, what can be worked out again from the tables in the run's folder.
"""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.models.recipes import RECIPES
from xray_helpers.runs.record import checksum

_CLOSE = 1e-4  # scores are kept as 32-bit numbers


def contradictions(record: dict[str, Any]) -> list[str]:
    """What in a record contradicts its files, in sentences; empty for one that is intact.

    Args:
        record: `run.json` of a complete run, with `folder`.
    """
    found = []
    checks = (_checksums,) if record.get("notebook") == "04_cpu_vs_gpu" else _CHECKS
    for check in checks:
        try:
            found += check(record)
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append(f"cannot be checked ({type(error).__name__}: {error})")
    return found


def _checksums(record: dict[str, Any]) -> Iterator[str]:
    if "checksum" in record and record["checksum"] != checksum(record):
        yield "was edited after it was written (its checksum does not fit)"
    for name, expected in record.get("files", {}).items():
        path = Path(record["folder"]) / name
        if not path.is_file():
            yield f"has lost its {name}"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            yield f"has another {name} than was written (its checksum does not fit)"


def _parameters(record: dict[str, Any]) -> Iterator[str]:
    model = record["model"]
    for name, key in (("total", "parameters"), ("trainable", "trainable")):
        total = sum(layer[key] for layer in model["layers"])
        said = model["parameters"][name]
        # A layer that stands in two places is counted once in the model: never more than the sum.
        if said > total:
            yield f"says {said:,} {name} parameters, its layers have {total:,}"


def _predictions(record: dict[str, Any]) -> Iterator[str]:
    from xray_helpers.evaluation.estimate import wilson

    test = record["test"]
    table = pd.read_csv(
        Path(record["folder"]) / "predictions.csv",
        dtype={"path": str, "true": str, "predicted": str},
        keep_default_na=False,
    )
    accuracy, n = test["accuracy"], len(table)
    right = int((table["true"] == table["predicted"]).sum())
    mine = wilson(right, n)
    if accuracy["n"] != n:
        yield f"says n = {accuracy['n']} test pictures, predictions.csv has {n}"
    elif not _same(accuracy["value"], mine.value):
        yield (
            f"says test accuracy {accuracy['value']:.3f}, predictions.csv gives {mine.value:.3f} "
            f"({right} of {n})"
        )
    elif not (_same(accuracy["low"], mine.low) and _same(accuracy["high"], mine.high)):
        yield "has another interval of the test accuracy than predictions.csv gives"
    counts = record["data"]["counts"]["test"]
    if counts != (given := {k: int((table["true"] == k).sum()) for k in counts}):
        yield f"says {counts} test pictures, predictions.csv has {given}"
    for label in counts:
        of_class = table[table["true"] == label]
        recall = test.get(f"recall_{label}")
        if recall and len(of_class):
            value = float((of_class["predicted"] == label).mean())
            if not _same(recall["value"], value):
                yield (
                    f"says recall of {label} {recall['value']:.3f}, predictions.csv gives "
                    f"{value:.3f}"
                )


def _history(record: dict[str, Any]) -> Iterator[str]:
    training = record["training"]
    if record["task"] == "two_stage":  # three networks stand below one another
        return
    history = pd.read_csv(Path(record["folder"]) / "history.csv")
    if len(history) != training["epochs"]:
        yield f"says {training['epochs']} epochs, history.csv has {len(history)}"
    best = history[history["epoch"] == training["best_epoch"]]
    if training["best_epoch"] is None or best.empty or _validated_in_part(record):
        return
    for name in ("loss", "accuracy"):
        said, kept = training["validation"][name], float(best[f"val_{name}"].iloc[0])
        # Scored twice, batch by batch and at once: a picture on the edge may fall the other way.
        edge = 1.5 / training["validation"]["n"] if name == "accuracy" else 0.01
        if said is not None and not math.isclose(said, kept, rel_tol=0.05, abs_tol=edge):
            yield (
                f"says validation {name} {said:.3f}, history.csv has {kept:.3f} at the best epoch"
            )


def _validated_in_part(record: dict[str, Any]) -> bool:
    """Whether an epoch ended with some of the validation pictures only (`validation_steps`)."""
    model = record["model"]
    if record["settings"].get("validation_steps") or model["changed"].get("validation_steps"):
        return True
    recipe = RECIPES.get(model["recipe"])
    return recipe is None or bool(recipe.validation_steps)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, abs_tol=_CLOSE)


_CHECKS = (_checksums, _parameters, _predictions, _history)
