"""A run's folder and its record, `run.json`.

The record is written when the run starts and again after each part, whole each time, so that
what lies on disk is true whenever the kernel dies: "started" until the notebook's last cell has
made it "complete", or a cell that raised has made it "failed".
"""

import hashlib
import json
import os
import platform
import secrets
import socket
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_helpers.errors import KitError
from xray_helpers.files import plain, write_json, write_text
from xray_helpers.paths import PACKAGE

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
RECORD = "run.json"
GENERATED = "generated pictures"
SWEEP_TASK = "XRAY_SWEEP_TASK"
"""Which task of which sweep this process runs: the record's section `sweep`, as JSON."""


class RunFolder:
    """One run: its folder, its record and the files beside it.

    Attributes:
        folder: `runs/<time>-<task>-<name>-<hash>/`.
        record: the contents of `run.json`, as described in the README.
    """

    def __init__(self, runs: Path, notebook: str, task: str, name: str, settings: dict) -> None:
        """Make the folder, which no other run can have, and write the first record."""
        now = datetime.now(UTC)
        self.folder = _new_folder(runs, f"{now:%Y%m%dT%H%M%SZ}-{task}-{name}")
        self.record: dict[str, Any] = {
            "schema": SCHEMA,
            "id": self.folder.name,
            "notebook": notebook,
            "task": task,
            "status": "started",
            "error": None,
            "started_at": now.isoformat(timespec="seconds"),
            "finished_at": None,
            "settings": settings,
            "environment": environment(),
        }
        if task_of_sweep := os.environ.get(SWEEP_TASK):
            self.record["sweep"] = json.loads(task_of_sweep)
        self.write()

    def write(self) -> None:
        """Write the record, whole: beside its place first, then moved there."""
        self.record["checksum"] = checksum(self.record)
        write_json(self.folder / RECORD, self.record)

    def update(self, **sections: Any) -> None:
        """Replace or add sections of the record and write it."""
        self.record.update(sections)
        self.write()

    def reopen(self, without: Sequence[str] = (), **sections: Any) -> None:
        """Make the run "started" again and drop sections that no longer hold.

        For when a cell is run again: a complete record never mixes two models.
        """
        for name in without:
            self.record.pop(name, None)
        self.update(status="started", error=None, finished_at=None, **sections)

    def add_table(self, name: str, table: "pd.DataFrame") -> None:
        """Write a table into the run's folder as CSV, whole; the record keeps its checksum."""
        text = table.to_csv(index=False, lineterminator="\n")
        write_text(self.folder / name, text)
        self.record.setdefault("files", {})[name] = hashlib.sha256(text.encode()).hexdigest()

    def complete(self) -> None:
        """Mark the run complete: for the notebook's last cell."""
        self.update(status="complete", error=None, finished_at=_now())

    def fail(self, error: str) -> None:
        """Mark the run failed, and why."""
        self.update(status="failed", error=error, finished_at=_now())


def checksum(record: dict[str, Any]) -> str:
    """SHA-256 of a record without its own checksum: tells a record that was edited by hand.

    It is no signature: whoever edits a record can work out the checksum too.
    """
    content = {k: v for k, v in record.items() if k not in ("checksum", "folder")}
    text = json.dumps(plain(content), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _new_folder(runs: Path, stem: str) -> Path:
    """Make a folder that did not exist; its name ends with a short random hash."""
    while True:
        folder = runs / f"{stem}-{secrets.token_hex(3)}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if not folder.is_dir():
                raise KitError(
                    f"runs_dir: {runs} is a file; name a folder for the records of runs."
                ) from None
        except OSError as error:
            raise KitError(
                f"runs_dir: the folder {runs} cannot be written ({error.strerror}); "
                "name another one."
            ) from error


def mark_text(marks: Sequence[str]) -> str:
    """What is written on the figures of a run with these marks; "" without any."""
    return f"{' · '.join(marks)}: not a result" if marks else ""


def all_marks(records: Iterable[dict[str, Any]]) -> str:
    """`mark_text` of a figure that shows several runs: the marks of all of them."""
    marks = (mark for record in records for mark in record.get("marks", []))
    return mark_text(list(dict.fromkeys(marks)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """The machine and the software: what a reader needs to judge a time or to run it again."""
    names = ("tensorflow", "keras", "numpy", "scikit-learn", "scikit-image", "pillow")
    return {
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in names},
        "system": platform.platform(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "cpu": _cpu(),
        "gpus": None,
        "threads": None,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
        "git_commit": _git_commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return next(
            line.split(":")[1].strip() for line in text.splitlines() if "model name" in line
        )
    except (OSError, StopIteration, UnicodeDecodeError):
        return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=PACKAGE,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
        return out.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
