"""Facts about how the networks are built and trained."""

from collections.abc import Callable, Sequence
from typing import Any

from xray_helpers.models.recipes import RECIPES
from xray_helpers.report.blocks.marks import full_name, name_of, number, parts, table
from xray_helpers.report.chosen import Chosen, Record


def architectures(chosen: Chosen) -> str:
    """Everything the networks are made of side by side, and then each one's layers."""
    if not chosen.networks:
        return "*No run of task 1 or 2 is in this report.*"
    texts = [beside(chosen.networks)]
    for record in chosen.networks:
        texts += [f"#### Layers of {full_name(record)} ({_task(record)})", layers(record)]
    return parts(*texts)


def beside(records: Sequence[Record]) -> str:
    """A row a property, a column a network."""
    header = ["", *(f"{_task(record)}: {name_of(record)}" for record in records)]
    rows = [[name, *(_safe(fact, record) for record in records)] for name, fact in _FACTS.items()]
    return table(header, [row for row in rows if any(value is not None for value in row[1:])])


def layers(record: Record) -> str:
    """The layers in order with the size of their output and their parameters."""
    rows = [
        (x["layer"], x["type"], x["output"], f"{x['parameters']:,}", f"{x['trainable']:,}")
        for x in record["model"]["layers"]
    ]
    counts = record["model"]["parameters"]
    together = ("**together**", "", "", f"{counts['total']:,}", f"{counts['trainable']:,}")
    header = ("layer", "type", "output", "parameters", "trainable")
    return table(header, [*rows, together], numbers=2)


def _task(record: Record) -> str:
    return {"task1": "task 1", "task2": "task 2"}.get(record["task"], record["task"])


def _safe(fact: Callable[[Record], Any], record: Record) -> Any:
    """A fact, or None where a record of an older kit does not have it."""
    try:
        return fact(record)
    except KeyError:
        return None


def _changed(record: Record) -> str:
    changed = record["model"]["changed"]
    return record["model"]["recipe"] + "".join(f", {k} = {v}" for k, v in changed.items())


def _trained_layers(record: Record) -> str | None:
    """How many layers of the backbone are trained; None where nothing says so."""
    model = record["model"]
    if not model["backbone"]:
        return None
    recipe = RECIPES.get(model["recipe"])
    unfreeze = model["changed"].get("unfreeze", recipe.unfreeze if recipe else None)
    return {None: None, 0: "none", -1: "all"}.get(unfreeze, f"the last {unfreeze}")


def _stop(record: Record) -> str:
    patience = record["training"]["patience"]
    return f"after {patience} epochs without a lower validation loss" if patience else "no"


def _rate(record: Record) -> str:
    schedule = record["training"].get("schedule", "constant")
    return f"{record['model']['learning_rate']:.3g}, {schedule}"


def _output(record: Record) -> str:
    output = record["model"]["output"]
    return f"{output['activation']}: {output['meaning']}"


def _time(name: str) -> Callable[[Record], str]:
    return lambda record: number(record["training"]["seconds"][name], 2)


_FACTS: dict[str, Callable[[Record], Any]] = {
    "backbone": lambda r: r["model"]["backbone"] or "own network",
    "weights at the start": lambda r: r["model"]["weights"],
    "recipe and changes": _changed,
    "parameters": lambda r: f"{r['model']['parameters']['total']:,}",
    "of them trained": lambda r: f"{r['model']['parameters']['trainable']:,}",
    "trained layers of the backbone": _trained_layers,
    "megabytes": lambda r: f"{r['model']['megabytes']:,}",
    "last layer": _output,
    "optimizer": lambda r: r["model"]["optimizer"],
    "learning rate": _rate,
    "loss": lambda r: r["model"]["loss"].replace("_", " "),
    "epochs": lambda r: r["training"]["epochs"],
    "best epoch (its weights are kept)": lambda r: r["training"]["best_epoch"],
    "batch size": lambda r: r["training"]["batch_size"],
    "steps an epoch": lambda r: r["training"]["steps_per_epoch"],
    "regularisation": lambda r: ", ".join(r["model"]["regularisation"]) or "none",
    "early stopping": _stop,
    "augmented views a picture": lambda r: r["training"]["augment_views"],
    "device": lambda r: r["training"]["device"],
    "seconds in all": _time("total"),
    "seconds an epoch, whole network": _time("uncached_epoch"),
    "seconds a step, whole network": _time("uncached_step"),
}
