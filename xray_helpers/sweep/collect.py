"""What a sweep has come to: one table of its tasks, and why some are not complete.

`python -m xray_helpers.sweep.collect FOLDER` prints it and leaves it in the sweep's folder, as
`summary.txt` and `results.csv`; exit status 1 where some task is not complete.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.files import write_text
from xray_helpers.sweep.folder import SweepFolder, TaskState, open_sweep

LAST_LINES = 6


def results(states: list[TaskState]) -> pd.DataFrame:
    """A row a task, in the sweep's order; what a task has not is missing.

    Columns: task, notebook, settings, state, run (its id), validation accuracy, test accuracy with
    low, high and n, epochs, parameters, s in total, s/epoch uncached, mark.
    """
    return pd.DataFrame([_row(one) for one in states])


def _row(one: TaskState) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task": one.task.number,
        "notebook": one.task.notebook,
        "settings": one.task.label,
        "state": one.state,
    }
    record = one.record if one.state == "complete" else None
    if record is None:
        return row
    training, model = record.get("training", {}), record.get("model", {})
    seconds, test = training.get("seconds", {}), record.get("test", {})
    accuracy = test.get("accuracy", {})
    return row | {
        "run": record["id"],
        "validation accuracy": training.get("validation", {}).get("accuracy"),
        "test accuracy": accuracy.get("value"),
        **{name: accuracy.get(name) for name in ("low", "high", "n")},
        "epochs": training.get("epochs"),
        "parameters": model.get("parameters", {}).get("total"),
        "s in total": seconds.get("total"),
        "s/epoch uncached": seconds.get("uncached_epoch"),
        "mark": " · ".join(record.get("marks", [])),
    }


def summary(sweep: SweepFolder) -> str:
    """The table as text, what to make of it, and the last lines of what failed."""
    states = sweep.states()
    done = [s for s in states if s.state == "complete"]
    lines = [f"{sweep.plan.name}: {len(done)} of {len(states)} complete", ""]
    lines += [task_line(sweep, one) for one in states]
    if floors := _floors([s.record for s in done]):
        lines += ["", "Floors, which have seen no detail of a lung:", *floors]
    tested = [s for s in done if s.record.get("test")]
    if len(tested) > 1:
        lines += [
            "",
            f"The best of {len(tested)} test accuracies looks better than it is: choose by "
            "validation accuracy, and see with `xray compare` what the test pictures can tell "
            "apart.",
        ]
    for one in states:
        if one.state in ("failed", "interrupted"):
            lines += ["", *_why(sweep, one)]
    if len(done) < len(states):
        lines += ["", "Give the same command again to run what is not complete."]
    return "\n".join(lines)


def task_line(sweep: SweepFolder, one: TaskState, queued: str | None = None) -> str:
    """A task in a line: number, notebook, settings, and its result or how far it has come."""
    tasks = sweep.plan.tasks
    wide = max(len(task.notebook) for task in tasks)
    width = max(len(task.label) for task in tasks)
    said = _result(one.record) if one.state == "complete" else queued or one.state
    return f"{one.task.number:4}  {one.task.notebook:{wide}}  {one.task.label:{width}}  {said}"


def _result(record: dict[str, Any]) -> str:
    """A complete run in a line: test accuracy with its interval, validation accuracy, marks."""
    marks = f"  [{' · '.join(record['marks'])}]" if record.get("marks") else ""
    if "test" not in record:
        return f"complete{marks}"
    validation = record["training"]["validation"]["accuracy"]
    test = Estimate.from_dict(record["test"]["accuracy"])
    return f"test {test}, validation {validation:.3f}{marks}"


def _floors(records: list[dict[str, Any]]) -> list[str]:
    """The floors of each task and set of pictures among the runs."""
    from xray_helpers.evaluation.floor import FLOORS

    newest = {(r["task"], r["data"]["fingerprint"]): r for r in records if r.get("floor")}
    return [
        f"      {task}  {FLOORS.get(name, name)}: {Estimate.from_dict(score)}"
        for (task, _), record in sorted(newest.items())
        for name, score in record["floor"].items()
    ]


def _why(sweep: SweepFolder, one: TaskState) -> list[str]:
    """Why a task is not complete: the last lines of its log."""
    log = sweep.log(one.task)
    said = f"Task {one.task.number} ({one.task.label}) {one.state}"
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [f"{said}; it has no log."]
    last = [line for line in text.splitlines() if line.strip()][-LAST_LINES:]
    return [f"{said}; the end of {log}:", *(f"    {line[:300]}" for line in last)]


def collect(sweep: SweepFolder) -> bool:
    """Write `results.csv` and `summary.txt` into the sweep's folder; whether all is complete."""
    states = sweep.states()
    write_text(
        sweep.folder / "results.csv", results(states).to_csv(index=False, lineterminator="\n")
    )
    write_text(sweep.folder / "summary.txt", summary(sweep) + "\n")
    return all(one.state == "complete" for one in states)


def main() -> int:
    """Read the command line, write and print what has come out."""
    options = argparse.ArgumentParser(description="Put the results of a sweep into one table.")
    options.add_argument("folder", type=Path, help="the sweep's folder")
    sweep = open_sweep(options.parse_args().folder)
    complete = collect(sweep)
    print(summary(sweep))
    return 0 if complete else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KitError as problem:
        sys.exit(f"xray: {problem}")
