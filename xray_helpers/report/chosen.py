"""Which runs a report is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.runs.record import GENERATED
from xray_helpers.runs.store import find_run, list_runs

Record = dict[str, Any]

MOST = 4
"""So many architectures of task 2 are taken when none are named: more make no page to read."""

_TASKS = {"01_task1": "task1", "02_task2": "task2", "04_cpu_vs_gpu": "timing"}
_TASKS |= {"06_two_stage": "two_stage"}


@dataclass(frozen=True)
class Chosen:
    """The runs of a report; each record has `folder`, the path of its run.

    Attributes:
        task1, task2: runs of the two tasks, best validation accuracy first.
        timing, two_stage: runs of `04_cpu_vs_gpu` and `06_two_stage`.
        notes: what the student should know about the choice, in sentences.
    """

    task1: list[Record] = field(default_factory=list)
    task2: list[Record] = field(default_factory=list)
    timing: list[Record] = field(default_factory=list)
    two_stage: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def networks(self) -> list[Record]:
        """The runs of both tasks."""
        return [*self.task1, *self.task2]

    @property
    def all(self) -> list[Record]:
        """Every run of the report."""
        return [*self.networks, *self.timing, *self.two_stage]

    @property
    def marked(self) -> list[Record]:
        """The runs that are no result."""
        return [record for record in self.all if record.get("marks")]


def named(runs: Path, names: Iterable[str]) -> Chosen:
    """The runs of these ids or parts of ids.

    Raises:
        KitError: a name fits no run or several; a run's notebook has no place in a report; a run
            lacks what the report says of it.
    """
    records = {r["id"]: r for r in (find_run(runs, name) for name in names)}
    for record in records.values():
        if record.get("notebook") not in _TASKS:
            raise KitError(
                f"{record['id']} is of {record.get('notebook') or 'no known notebook'}; a report "
                f"takes runs of {', '.join(_TASKS)}."
            )
        if missing := _missing(record):
            raise KitError(
                f"{record['id']} ({record['status']}) has no {missing}; choose a complete run."
            )
    return _sorted(records.values())


def chosen_by_itself(runs: Path) -> Chosen:
    """The complete runs on the newest data, where none are named.

    Task 1: the best validation accuracy. Task 2: the best of each architecture, four at most. And
    the newest runs of `04_cpu_vs_gpu` and `06_two_stage`. Pictures of people come before generated
    ones, and runs without marks before others; nothing is chosen by its test accuracy.

    Raises:
        KitError: there is no complete run of a task.
    """
    usable = [
        record
        for record in list_runs(runs)
        if record["status"] == "complete"
        and record.get("notebook") in _TASKS
        and not _missing(record)
    ]
    usable = _least_marked(usable, GENERATED)
    chosen = _sorted(usable)
    if not chosen.networks:
        raise KitError(f"No complete run of 01_task1 or 02_task2 in {runs}; run them first.")
    notes = []
    task2 = _one_each(_newest_data(chosen.task2))
    if len(task2) > MOST:
        left = ", ".join(record["id"] for record in task2[MOST:])
        notes.append(f"Of {len(task2)} architectures the report takes {MOST}; not taken: {left}.")
    return Chosen(
        _newest_data(chosen.task1)[:1],
        task2[:MOST],
        chosen.timing[-1:],
        chosen.two_stage[-1:],
        notes,
    )


def _missing(record: Record) -> str:
    """The first thing that a report needs and the record lacks; "" where it has all."""
    if record["notebook"] == "04_cpu_vs_gpu":
        return "" if (Path(record["folder"]) / "timing.json").is_file() else "timing.json"
    for name in ("data", "model", "training", "test"):
        if not isinstance(record.get(name), dict):
            return f"section '{name}'"
    scores = record["training"].get("validation") or {}
    if not all(isinstance(scores.get(name), int | float) for name in ("accuracy", "loss")):
        return "validation accuracy and loss"
    return "" if record["data"].get("fingerprint") else "fingerprint of its pictures"


def _sorted(records: Iterable[Record]) -> Chosen:
    """The records by task, those of a task best validation accuracy first."""
    chosen = Chosen()
    for record in records:
        getattr(chosen, _TASKS[record["notebook"]]).append(record)
    for task in (chosen.task1, chosen.task2):
        task.sort(key=_rank)
    return chosen


def _rank(record: Record) -> tuple:
    """Best first: unmarked, then by validation accuracy, then by validation loss."""
    validation = record["training"]["validation"]
    return bool(record.get("marks")), -validation["accuracy"], validation["loss"], record["id"]


def _least_marked(records: Sequence[Record], mark: str) -> list[Record]:
    """The records without this mark; all where none is without it."""
    return [r for r in records if mark not in r.get("marks", [])] or list(records)


def _newest_data(records: Sequence[Record]) -> list[Record]:
    """Those on the same pictures as the newest of them."""
    if not records:
        return []
    newest = max(records, key=lambda record: record["id"])["data"]["fingerprint"]
    return [record for record in records if record["data"]["fingerprint"] == newest]


def _one_each(records: Sequence[Record]) -> list[Record]:
    """The first of each architecture: the same layers are the same architecture."""
    first: dict[tuple, Record] = {}
    for record in records:
        layers = tuple((x["type"], x["output"]) for x in record["model"]["layers"])
        first.setdefault((record["model"]["backbone"], layers), record)
    return list(first.values())
