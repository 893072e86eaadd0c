"""What the records know, under the words that a student may use: name -> number."""

from collections.abc import Sequence

from xray_helpers.models.recipes import RECIPES
from xray_helpers.report.chosen import Record


def scores(records: Sequence[Record], what: str, split: str | None) -> dict[str, float]:
    """Accuracy or loss of a split, or of all three where none is named."""
    known = {}
    for record in records:
        training, test = record["training"], record["test"]
        values = {
            "training": training["train"][what],
            "validation": training["validation"][what],
            "test": test["accuracy"]["value"] if what == "accuracy" else test["loss"],
        }
        wanted = {"train": "training"}.get((split or "").lower(), (split or "").lower())
        for name, value in values.items():
            if value is not None and wanted in ("", name):
                known[f"{name} {what} of #{record['id'][-4:]}"] = value
    return known


def right(records: Sequence[Record], n: int) -> dict[str, float]:
    """Test pictures called by their class, of the records with `n` test pictures."""
    return {
        f"test pictures right of #{r['id'][-4:]}": round(r["test"]["accuracy"]["value"] * n)
        for r in records
        if r["test"]["accuracy"]["n"] == n
    }


def class_scores(records: Sequence[Record], what: str, label: str) -> dict[str, float]:
    """Recall or precision of a class, which may be named in words."""
    known = {}
    short = {"bacterial": "pneumonia_bac", "viral": "pneumonia_vir", "covid-19": "covid"}
    label = label.lower()
    label = short.get(label.removesuffix(" pneumonia"), label)
    for record in records:
        value = record["test"].get(f"{what}_{label}", {}).get("value")
        if value is not None:
            known[f"{what} of {label} of #{record['id'][-4:]}"] = value
    return known


def parameters(records: Sequence[Record]) -> dict[str, float]:
    """Parameters in all, trained, not trained, and of each layer."""
    known = {}
    for record in records:
        end = f"of #{record['id'][-4:]}"
        for name, count in record["model"]["parameters"].items():
            known[f"{name.replace('_', '-')} parameters {end}"] = count
        for layer in record["model"]["layers"]:
            if layer["parameters"]:
                known[f"parameters of its layer {layer['layer']} {end}"] = layer["parameters"]
    return known


def epochs(records: Sequence[Record]) -> dict[str, float]:
    """Epochs that were run, and how many there could have been."""
    known = {}
    for record in records:
        end = f"of #{record['id'][-4:]}"
        known[f"epochs {end}"] = record["training"]["epochs"]
        recipe = RECIPES.get(record["model"]["recipe"])
        asked = record["settings"].get("epochs") or (recipe.epochs if recipe else None)
        if asked:
            known[f"epochs at most {end}"] = asked
    return known


def best_epochs(records: Sequence[Record]) -> dict[str, float]:
    """The epoch whose weights were kept."""
    return {
        f"best epoch of #{r['id'][-4:]}": r["training"]["best_epoch"]
        for r in records
        if r["training"]["best_epoch"] is not None
    }
