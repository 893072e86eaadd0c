"""A model card: what a model is, is for and is worth, on one page (Mitchell et al. 2019, FAT*).

Filled from the run's record alone, and kept in its folder as `model_card.md`.
"""

from collections.abc import Iterator
from typing import Any

FILE = "model_card.md"

# kind of pictures -> what they are, their limits, their licence.
_PICTURES = {
    "class": (
        "The pictures the class was given: covid from the covid-chestxray-dataset, the other "
        "classes from Kermany et al. 2018.",
        "Covid pictures are of adults from many hospitals, taken from publications; the others are "
        "of children of one to five years from one hospital. Age, machine, file type and burnt-in "
        "letters differ between the classes as much as the lungs do. The nine covid test pictures "
        "are of five patients, and patient ieee-13 is in train and in test.",
        "Covid: one licence for each picture, most state none, so they may not be passed on. The "
        "other classes: CC BY 4.0 (doi:10.17632/rscbjbr9sj.2).",
    ),
    "generated": (
        "Drawn by a program in the layout of the class's own pictures.",
        "They show what the program draws, nothing about patients. A score on them is no result.",
        "That of this kit; no patient is in them.",
    ),
    "other": (
        "Pictures of the user's own.",
        "Not known to the kit: who the patients are, which machines took the pictures, and whether "
        "these differ between the classes.",
        "Not known to the kit; ask whoever gave you the pictures.",
    ),
}


def model_card(record: dict[str, Any]) -> str:
    """The card of a run that has been trained and tested, as Markdown.

    Args:
        record: its `run.json`.
    """
    return "\n".join(_lines(record)) + "\n"


def _lines(record: dict[str, Any]) -> Iterator[str]:
    yield f"# Model card: {record['id']}"
    if record.get("marks"):
        yield f"\n**Not a result:** {' · '.join(record['marks'])}."
    yield "\n## Intended use\n"
    yield "Teaching: to learn how such a network is trained and how its numbers are judged."
    yield (
        "**Not for diagnosis.** It is no medical device and decides nothing about anybody's health."
    )
    yield "\n## Model\n"
    yield from _model(record)
    yield "\n## Pictures\n"
    yield from _pictures(record["data"])
    yield "\n## What it scores on the test pictures\n"
    yield from _scores(record)
    yield "\n## How far to trust this\n"
    yield from _trust(record)
    yield "\n## Environment\n"
    yield from _environment(record)


def _model(record: dict[str, Any]) -> Iterator[str]:
    model, training = record["model"], record["training"]
    parameters = model["parameters"]
    yield f"- Task: {record['task']}; classes {', '.join(_classes(record))}"
    yield (
        f"- Network: {model['backbone'] or 'own'}, weights at the start: {model['weights']}; "
        f"recipe {model['recipe']}"
        + "".join(f", {name} = {value}" for name, value in model.get("changed", {}).items())
    )
    yield f"- Parameters: {parameters['total']:,}, {parameters['trainable']:,} of them trained"
    yield f"- Regularisation: {', '.join(model['regularisation']) or 'none'}"
    yield (
        f"- Training: {model['optimizer']} at {model['learning_rate']:g}, {model['loss']}, "
        f"{training['epochs']} epochs, batches of {training['batch_size']}; weights of the epoch "
        "with the lowest validation loss"
        + (f", the {training['best_epoch']}." if training["best_epoch"] else "")
    )
    settings = record["settings"]
    if settings.get("enhance"):
        yield f"- Pictures are enhanced: {settings['enhance'].replace(',', ', ')}"
    yield f"- Seed: {settings.get('seed')}"


def _pictures(data: dict[str, Any]) -> Iterator[str]:
    what, limits, licence = _PICTURES[data["kind"]]
    yield f"- What: {what}"
    yield f"- Limits: {limits}"
    yield f"- Licence: {licence}"
    for split, counts in data["counts"].items():
        listed = ", ".join(f"{label} {n}" for label, n in counts.items())
        yield f"- {split.capitalize()}: {sum(counts.values())} ({listed})"
    if data["set_aside"]:
        yield f"- Set aside, unreadable: {len(data['set_aside'])}"
    yield f"- Fingerprint: `{data['fingerprint']}`"


def _scores(record: dict[str, Any]) -> Iterator[str]:
    yield "| figure | value | 95 % interval | n |"
    yield "|---|---|---|---|"
    estimates = {k: v for k, v in record["test"].items() if _is_estimate(v)}
    for name, estimate in estimates.items():
        yield _row(_in_words(name, _classes(record)), estimate)
        if by_patient := estimate.get("by_patient"):
            again = estimate | {"low": by_patient["low"], "high": by_patient["high"]}
            yield _row(f"… by patient ({by_patient['patients']} patients)", again)
    for name, estimate in record.get("floor", {}).items():
        yield _row(f"floor: accuracy from {_FLOORS.get(name, name)}", estimate)


_FLOORS = {
    "numbers": "size, mode, border and brightness of the file",
    "thumbnails": "a thumbnail of 14×14 pixels",
}


def _trust(record: dict[str, Any]) -> Iterator[str]:
    accuracy = record["test"]["accuracy"]
    yield (
        f"- {accuracy['n']} test pictures: the accuracy of {accuracy['value']:.3f} goes with true "
        f"ones from {accuracy['low']:.3f} to {accuracy['high']:.3f}."
    )
    floors = record.get("floor", {})
    if floors:
        best = max(floors.values(), key=lambda floor: floor["value"])
        above = accuracy["low"] > best["value"]
        verdict = f"the model's interval {'lies above' if above else 'does not lie above'}"
        yield (
            f"- A classifier that has seen no detail of a lung gets {best['value']:.3f} (the "
            f"floor); {verdict} it."
        )
    yield "- No picture from another hospital was tried: what it scores there is not known."
    for note in record["model"].get("notes", []):
        yield f"- {note}"


def _environment(record: dict[str, Any]) -> Iterator[str]:
    environment = record["environment"]
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items() if v)
    yield f"- {versions}"
    yield f"- {environment['system']}; {environment['cpu']}"
    yield f"- Trained on {record['training']['device']}; kit {environment.get('git_commit')}"
    yield f"- {record['started_at']}"


def _classes(record: dict[str, Any]) -> list[str]:
    return list(next(iter(record["data"]["counts"].values())))


def _is_estimate(value: Any) -> bool:
    return isinstance(value, dict) and {"value", "low", "high", "n"} <= value.keys()


def _in_words(name: str, classes: list[str]) -> str:
    """`average_precision_pneumonia_bac` -> "average precision, pneumonia_bac"."""
    for end in (*classes, "macro"):
        if name.endswith(f"_{end}"):
            metric = name.removesuffix(f"_{end}").replace("_", " ")
            return f"{metric}, {'mean of the classes' if end == 'macro' else end}"
    return name.replace("_", " ")


def _row(name: str, estimate: dict[str, Any]) -> str:
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    interval = "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"| {name} | {'–' if value is None else f'{value:.3f}'} | {interval} | {estimate['n']} |"
