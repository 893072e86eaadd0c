"""One table and one set of curves across runs, from their records alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.runs.record import GENERATED
from xray_helpers.settings import TaskSettings


def same_data(records: Sequence[dict], fingerprint: str, current: dict | None = None) -> list[dict]:
    """The complete, tested runs on the same pictures, oldest first.

    Args:
        records: what `list_runs` gives.
        fingerprint: that of the data, which differs between tasks too.
        current: the record of the run that asks; it counts although it is not complete yet.
    """
    mine = current["id"] if current else None
    return [
        r
        for r in records
        if (r["status"] == "complete" or r["id"] == mine)
        and "test" in r
        and r.get("data", {}).get("fingerprint") == fingerprint
    ]


# Settings that are part of a run's name where they are not at their default.
_NAMED = (
    *("image_size", "enhance", "augment_views", "class_weight", "leaks", "seed"),
    *("xla", "precision"),
)


def run_name(record: dict[str, Any]) -> str:
    """A short name for tables and figures: recipe, backbone, other changes, last four of the id."""
    model = record.get("model", {})
    settings = record.get("settings", {})
    changes = [f"{k}={v}" for k, v in model.get("changed", {}).items() if k != "backbone"]
    changes += [
        f"{name}={settings[name]}"
        for name in _NAMED
        if settings.get(name, usual := TaskSettings.model_fields[name].default) != usual
    ]
    parts = [model.get("recipe") or record["id"], model.get("backbone") or "", *changes]
    return " ".join(p for p in parts if p) + f" #{record['id'][-4:]}"


def comparison(records: Sequence[dict]) -> pd.DataFrame:
    """A row a run, with everything that architectures are compared by.

    Seconds an epoch and a step are medians of training through the whole model, nothing cached
    (missing where the run timed none). The gap is training less validation accuracy. Behind the
    runs stand the floors (see `evaluation.floor`) where a record has them: in their rows
    `reference` is True, and all but the test accuracy is missing.
    """
    rows = []
    for record in records:
        training, test, model = record["training"], record["test"], record["model"]
        seconds, accuracy = training["seconds"], test["accuracy"]
        fit, validation = training["train"]["accuracy"], training["validation"]["accuracy"]
        rows.append(
            {
                "run": run_name(record),
                "weights": model["weights"],
                "parameters": model["parameters"]["total"],
                "trainable": model["parameters"]["trainable"],
                "megabytes": model["megabytes"],
                "epochs": training["epochs"],
                "s/epoch uncached": seconds["uncached_epoch"],
                "s/step uncached": seconds["uncached_step"],
                "s/epoch cached": seconds["median_epoch"] if training["cached"] else None,
                "s in total": seconds["total"],
                "train accuracy": fit,
                "validation accuracy": validation,
                "gap": fit - validation,
                "test accuracy": accuracy["value"],
                "low": accuracy["low"],
                "high": accuracy["high"],
                "n": accuracy["n"],
                "test loss": test["loss"],
                "mark": " · ".join(record.get("marks", [])),
                "reference": False,
            }
        )
    whole = dict.fromkeys(("parameters", "trainable", "epochs", "n"), "Int64")
    table = pd.DataFrame(rows + _floor_rows(records))
    return table.astype({name: kind for name, kind in whole.items() if name in table})


def with_floor(records: Sequence[dict]) -> dict | None:
    """The newest of these records that has floors; None where none has."""
    return max((r for r in records if r.get("floor")), key=lambda r: str(r["id"]), default=None)


def _floor_rows(records: Sequence[dict]) -> list[dict]:
    """The floors as rows of a comparison; none where no record has them."""
    from xray_helpers.evaluation.floor import FLOORS  # waits for scikit-learn

    record = with_floor(records)
    if record is None:
        return []
    rows = []
    for name, score in record["floor"].items():
        accuracy = {"test accuracy": score["value"]} | {k: score[k] for k in ("low", "high", "n")}
        mark = GENERATED if record["data"].get("kind") == "generated" else ""
        rows.append({"run": FLOORS.get(name, name), **accuracy, "mark": mark, "reference": True})
    return rows


_FORMATS = {
    "parameters": "{:,}",
    "trainable": "{:,}",
    "megabytes": "{:,.1f}",
    "epochs": "{}",
    "n": "{}",
    "s in total": "{:.1f}",
    "weights": "{}",
    "mark": "{}",
}


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """A comparison to look at: a column a run, a row a quantity, all as text; "–" where missing."""
    text = {
        name: [
            "–" if pd.isna(value) else _FORMATS.get(name, "{:.3f}").format(value)
            for value in table[name]
        ]
        for name in table.columns
        if name not in ("run", "reference")
    }
    return pd.DataFrame(text, index=table["run"]).T.rename_axis(index=None, columns=None)


def histories(records: Sequence[dict]) -> dict[str, pd.DataFrame]:
    """Run name -> its `history.csv`."""
    return {
        run_name(r): pd.read_csv(path)
        for r in records
        if (path := Path(r["folder"]) / "history.csv").is_file()
    }
