"""A real Grid Engine for the tests of this folder; `make test-cluster` runs them, as root.

The first run installs and configures one on this machine (`single_node.py`) and makes a user who
submits (`student.py`); the next ones find all that. Where that cannot be, the tests are skipped,
and pytest's summary says why.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import single_node
from filelock import FileLock
from student import NAME, Student

HERE = Path(__file__).resolve().parent
FOLDER = Path("/srv/xray-cluster")
POLL_SECONDS = 0.5


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only who names this folder gets a Grid Engine installed, not `pytest tests`."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(HERE in (path, *path.parents) for path in named) else True


class Cluster:
    """What the tests do and see: as the user who submits, and as who looks at the files."""

    def __init__(self, student: Student) -> None:
        self.student = student
        self.runs = student.space / "runs"

    def xray(self, words: str, **variables: str) -> str:
        """What `xray …` prints to the student; it has to succeed."""
        done = self.student.run(f"xray {words}", **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def folder(self, name: str) -> Path:
        return self.runs / "sweeps" / name

    def submissions(self, name: str) -> list[dict[str, Any]]:
        """What was submitted of a sweep, oldest first."""
        files = sorted((self.folder(name) / "submitted").glob("*.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def records(self, name: str, task: int | None = None) -> list[dict[str, Any]]:
        """The records of a sweep's runs, or of those of one task, oldest first."""
        files = sorted(self.runs.glob("*/run.json"))
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        found = [record for record in found if record.get("sweep", {}).get("name") == name]
        return [r for r in found if task in (None, r["sweep"]["task"])]

    def in_queue(self, job: int) -> list[str]:
        """Lines of `qstat` of a job, one a task."""
        said = self.as_student("qstat", "-g", "d")
        return [line for line in said.splitlines() if line.split()[:1] == [str(job)]]

    def as_student(self, *command: str) -> str:
        """What a command of Grid Engine says to the student."""
        asked = ["runuser", "--user", NAME, "--", *command]
        return subprocess.run(asked, cwd="/", capture_output=True, text=True).stdout

    def accounting(self, job: int) -> list[dict[str, str]]:
        """What Grid Engine has written down of a job that has ended, an entry a task."""
        said = self.as_student("qacct", "-j", str(job))
        entries = []
        for line in said.splitlines():
            if line.startswith("==="):
                entries.append({})
            elif entries:
                name, _, value = line.partition(" ")
                entries[-1][name] = value.strip()
        return entries

    def wait(self, until: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"{what}: not within {seconds} s\n{self._situation()}"
            time.sleep(POLL_SECONDS)

    def wait_for_end(self, submission: dict[str, Any], seconds: float = 240) -> None:
        """Wait until the tasks of a submission and its collecting job have ended."""
        jobs = (submission["job"], submission["collecting"])
        self.wait(lambda: not any(map(self.in_queue, jobs)), seconds, f"jobs {jobs} to end")

    def wait_for_training(self, name: str, task: int) -> None:
        """Wait until a task runs its notebook: its record is there, and is not complete."""

        def begun() -> bool:
            return any(record["status"] == "started" for record in self.records(name, task))

        self.wait(begun, 120, f"{name}: task {task} to begin")

    def clear(self) -> None:
        """No job of the student is left."""
        self.as_student("qdel", "-u", NAME)
        self.wait(lambda: not self.as_student("qstat"), 60, "an empty queue")

    def _situation(self) -> str:
        logs = sorted(self.runs.glob("sweeps/*/*.log")) + sorted(self.runs.glob("sweeps/*/jobs/*"))
        said = [f"{log}:\n{log.read_text(errors='replace')[-1500:]}" for log in logs[-6:]]
        return "\n".join([self.as_student("qstat", "-f"), *said])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running Grid Engine with an empty queue, and a student of it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it installs a Grid Engine and makes a user on this machine")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / "in-use.lock"):  # another pytest has to end first
        try:
            single_node.set_up(FOLDER)
            cluster = Cluster(Student(FOLDER))
        except single_node.Unavailable as why:
            pytest.skip(f"no Grid Engine: {why}")
        cluster.clear()
        yield cluster
        cluster.clear()
