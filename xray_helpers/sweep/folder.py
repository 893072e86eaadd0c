"""A sweep's folder, `<runs>/sweeps/<name>/`, and how far each of its tasks has come.

What a task has done is in its run's record, beside those of all other runs: the record says which
sweep and task it is of. The folder holds the plan (`sweep.json`), a log and an executed notebook a
task, and a lock a task, which the process that runs it holds as long as it lives. So nothing has
to be cleaned up after a kill: a task whose lock is free and whose record is not complete is to be
run again.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from xray_helpers.errors import KitError
from xray_helpers.files import write_json
from xray_helpers.runs.store import list_runs
from xray_helpers.sweep.tasks import Plan, Task

SCHEMA = 1
FILE = "sweep.json"


@dataclass(frozen=True)
class TaskState:
    """How far a task has come.

    Attributes:
        task: the task.
        state: "complete", "running" (its process lives), "failed" (a cell has raised),
            "interrupted" (its process ended before), "waiting" (not begun).
        record: that of its newest run, of the newest complete one where there is one; or None.
    """

    task: Task
    state: str
    record: dict[str, Any] | None


@dataclass(frozen=True)
class SweepFolder:
    """A sweep on the disk.

    Attributes:
        folder: where it is.
        plan: what it runs.
    """

    folder: Path
    plan: Plan

    @property
    def runs(self) -> Path:
        """The folder of all runs, where the records are."""
        return self.folder.parent.parent

    def task(self, number: int) -> Task:
        """The task with this number, from 1.

        Raises:
            KitError: there is none.
        """
        if not 1 <= number <= len(self.plan.tasks):
            raise KitError(f"{self.plan.name} has tasks 1 to {len(self.plan.tasks)}, no {number}.")
        return self.plan.tasks[number - 1]

    def page(self, task: Task) -> Path:
        """Its executed notebook."""
        return self.folder / f"{task.number:04d}-{task.notebook}.ipynb"

    def log(self, task: Task) -> Path:
        """What its processes have said, one attempt behind the other."""
        return self.folder / f"{task.number:04d}.log"

    def lock(self, task: Task) -> FileLock:
        """Held by the process that runs the task, until it ends in whatever way."""
        return FileLock(self.folder / "locks" / f"{task.number:04d}.lock")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off other commands that want to submit this sweep at the same time."""
        with FileLock(self.folder / "locks" / "sweep.lock"):
            yield

    def mark(self, task: Task) -> dict[str, Any]:
        """What the record of the task's run says of the sweep: its section `sweep`."""
        return {"name": self.plan.name, "task": task.number, "key": task.key}

    def is_running(self, task: Task) -> bool:
        """Whether a process holds the task's lock."""
        lock = self.lock(task)
        if not Path(lock.lock_file).exists():
            return False
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        return False

    def states(self) -> list[TaskState]:
        """How far all tasks have come, in their order."""
        found = self._records()
        return [self._state(task, found.get(task.key, [])) for task in self.plan.tasks]

    def is_complete(self, task: Task) -> bool:
        """Whether a run of the task is complete."""
        return any(r["status"] == "complete" for r in self._records().get(task.key, []))

    def _records(self) -> dict[str, list[dict[str, Any]]]:
        """The records of each task's runs by its key, oldest first."""
        found: dict[str, list[dict]] = {}
        for record in list_runs(self.runs):
            place = record.get("sweep") or {}
            if place.get("name") == self.plan.name:
                found.setdefault(place.get("key"), []).append(record)
        return found

    def _state(self, task: Task, records: list[dict[str, Any]]) -> TaskState:
        complete = [record for record in records if record["status"] == "complete"]
        if complete:
            return TaskState(task, "complete", complete[-1])
        newest = records[-1] if records else None
        if self.is_running(task):
            return TaskState(task, "running", newest)
        if newest and newest["status"] == "failed":
            return TaskState(task, "failed", newest)
        begun = newest or self.log(task).exists()
        return TaskState(task, "interrupted" if begun else "waiting", newest)

    def unfinished(self) -> list[Task]:
        """The tasks that are not complete and that no process is running."""
        return [s.task for s in self.states() if s.state not in ("complete", "running")]


def sweeps_folder(runs: Path) -> Path:
    """Where the folders of all sweeps are."""
    return runs / "sweeps"


def save_sweep(plan: Plan, runs: Path) -> SweepFolder:
    """Make the folder of a sweep, or open it where the same sweep was begun before.

    Raises:
        KitError: the name is that of a sweep with other tasks, or the folder cannot be written.
    """
    folder = sweeps_folder(runs.resolve()) / plan.name
    if (folder / FILE).exists():
        before = open_sweep(folder)
        if [t.key for t in before.plan.tasks] != [t.key for t in plan.tasks]:
            raise KitError(f"{folder} holds a sweep with other tasks; choose another --name.")
        return before
    try:
        (folder / "locks").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{folder} cannot be made ({error.strerror}); name a --runs-dir.") from error
    tasks = [asdict(task) for task in plan.tasks]
    write_json(folder / FILE, {"schema": SCHEMA, "name": plan.name, "tasks": tasks})
    return SweepFolder(folder, plan)


def open_sweep(folder: Path) -> SweepFolder:
    """The sweep in a folder.

    Raises:
        KitError: there is none, or its `sweep.json` cannot be read.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError("another version")
        plan = Plan(content["name"], tuple(Task(**task) for task in content["tasks"]))
    except FileNotFoundError:
        there = ", ".join(p.name for p in sorted(folder.parent.glob("*"))) or "none"
        raise KitError(
            f"There is no sweep {folder.name} in {folder.parent}; there is: {there}."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(
            f"{path} cannot be read ({error}); start the sweep anew with a --name."
        ) from error
    return SweepFolder(folder.resolve(), plan)
