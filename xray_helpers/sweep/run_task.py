"""One task of a sweep, in this process: `python -m xray_helpers.sweep.run_task FOLDER NUMBER`.

Exit status 0: complete (now or before); 1: not complete, the log says why; 75: another process
runs it.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from filelock import Timeout

from xray_helpers.errors import KitError
from xray_helpers.paths import project_root
from xray_helpers.runs.record import SWEEP_TASK
from xray_helpers.sweep.folder import SweepFolder, open_sweep
from xray_helpers.sweep.tasks import Task

COMPLETE, FAILED, ELSEWHERE = 0, 1, 75
# Somebody who only looks whether a task runs holds its lock for a moment.
LOCK_SECONDS = 5.0


def run_task(sweep: SweepFolder, task: Task) -> int:
    """Run a task unless it is complete or runs elsewhere; the exit status."""
    try:
        # Never released by hand: it ends with this process, whatever ends that.
        lock = sweep.lock(task)
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        return ELSEWHERE
    if sweep.is_complete(task):
        return COMPLETE
    _say_into(sweep.log(task))
    print(
        f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC on {socket.gethostname()}, process "
        f"{os.getpid()}: task {task.number}, {task.notebook}, {task.label}",
        flush=True,
    )
    os.environ[SWEEP_TASK] = json.dumps(sweep.mark(task))
    failed = _execute(sweep, task)
    if failed or not sweep.is_complete(task):
        print(failed or "The notebook has ended, but its run is not complete.", flush=True)
        return FAILED
    return COMPLETE


def _execute(sweep: SweepFolder, task: Task) -> str:
    """Run the notebook and keep its page; what went wrong, "" when nothing did."""
    import papermill
    from papermill.exceptions import PapermillException

    notebooks = project_root() / "notebooks"
    page = sweep.page(task)
    # The page of a run that was killed looks as if every cell had run, so it keeps this name.
    part = page.with_suffix(".running.ipynb")
    try:
        papermill.execute_notebook(
            str(notebooks / f"{task.notebook}.ipynb"),
            str(part),
            parameters={**task.settings, "runs_dir": str(sweep.runs)},
            cwd=str(notebooks),
            kernel_name="python3",
            progress_bar=False,
            log_output=True,
        )
    except (PapermillException, RuntimeError, OSError) as error:
        # Papermill's own text is long; the cell's error is at its end.
        return f"{type(error).__name__}: {error}"
    finally:
        if part.exists():
            part.replace(page)
    return ""


def _say_into(log: Path) -> None:
    """From now on everything this process and its children say goes to the log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, killed perhaps."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Read the command line and run the task."""
    options = argparse.ArgumentParser(description="Run one task of a sweep.")
    options.add_argument("folder", type=Path, help="the sweep's folder")
    options.add_argument("number", type=int, help="the task's number, from 1")
    options.add_argument("--parent", type=int, help="end when this process is not the parent")
    given = options.parse_args()
    if given.parent:
        _end_with(given.parent)
    sweep = open_sweep(given.folder)
    return run_task(sweep, sweep.task(given.number))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KitError as problem:
        sys.exit(f"xray: {problem}")
    except OSError as problem:
        said = f"{problem.filename or 'the disk'} cannot be written ({problem.strerror})"
        sys.exit(f"xray: {said}; free some space or name another --runs-dir, and run it again.")
