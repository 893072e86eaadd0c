"""A sweep on this machine: some tasks at a time, each in a process of its own.

Each process gets its share of the threads, and a GPU of its own where there are some: TensorFlow
never gives a GPU's memory back, and one run a GPU is quicker than one run on all.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xray_helpers.data.pictures import worker_count
from xray_helpers.errors import KitError
from xray_helpers.progress import progress_bar
from xray_helpers.sweep.folder import SweepFolder
from xray_helpers.sweep.run_task import COMPLETE, ELSEWHERE
from xray_helpers.sweep.tasks import Task

POLL_SECONDS = 0.2
STOP_SECONDS = 15.0  # what a process may take to end its kernel when it is told to


@dataclass(frozen=True)
class Share:
    """What a process may use: threads, and the numbers of GPUs ("" for none; None: as it is)."""

    threads: int
    gpus: str | None


def run_sweep(
    sweep: SweepFolder, *, jobs: int | None = None, say: Callable[[str], None] = print
) -> None:
    """Run every task that is not complete, and wait for those that another command runs.

    Args:
        sweep: its folder.
        jobs: tasks at a time; None for one a GPU, or one in all without GPUs.
        say: called with a line for each task that ends.

    Raises:
        KeyboardInterrupt: the command was interrupted or told to end; its processes have ended.
    """
    shares = dealt(sweep, jobs)
    tried: set[int] = set()
    text = "Sweep" if sys.stderr.isatty() else None  # in a file, the lines of `say` are enough
    with _terminated_as_interrupt(), progress_bar(text, len(sweep.plan.tasks), "task") as bar:
        while True:
            states = sweep.states()
            bar.update(sum(s.state == "complete" for s in states) - bar.n)
            bar.refresh()  # what was complete before is shown at once
            todo = [
                s.task
                for s in states
                if s.state not in ("complete", "running") and s.task.number not in tried
            ]
            if todo:
                tried |= _run(sweep, todo, shares, bar, say)
            elif any(s.state == "running" for s in states):
                # Another command runs these: wait, and take over what it leaves undone.
                time.sleep(5 * POLL_SECONDS)
            else:
                return


def dealt(sweep: SweepFolder, jobs: int | None) -> list[Share]:
    """The shares of the processes that run at a time.

    Raises:
        KitError: there are fewer GPUs than one run needs.
    """
    gpus = visible_gpus()
    each = max(task.settings.get("devices") or 1 for task in sweep.plan.tasks)
    if not gpus:
        count = jobs or 1
        return [Share(max(1, worker_count() // count), None)] * count
    if each > len(gpus):
        raise KitError(
            f"A run needs devices={each} GPUs and {len(gpus)} can be seen here; lower devices."
        )
    groups = [gpus[i : i + each] for i in range(0, len(gpus) - each + 1, each)]
    count = min(jobs or len(groups), len(groups))
    threads = max(1, worker_count() // count)
    return [Share(threads, ",".join(group)) for group in groups[:count]]


def visible_gpus() -> list[str]:
    """The GPUs that processes started here may use, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        gpus = [part.strip() for part in named.split(",") if part.strip()]
        return [] if "-1" in gpus else gpus
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return out.stdout.split()


def _run(
    sweep: SweepFolder, todo: list[Task], shares: list[Share], bar: object, say: Callable
) -> set[int]:
    """Run tasks, one a share at a time; the numbers of those that this command has run."""
    waiting, free = list(reversed(todo)), list(shares)
    running: dict[subprocess.Popen, tuple[Task, Share]] = {}
    ended = set()
    try:
        while waiting or running:
            while waiting and free:
                task, share = waiting.pop(), free.pop()
                running[_start(sweep, task, share)] = task, share
            for process in [p for p in running if p.poll() is not None]:
                task, share = running.pop(process)
                free.append(share)
                if process.returncode == ELSEWHERE:
                    continue
                ended.add(task.number)
                fine = process.returncode == COMPLETE
                bar.update(fine)
                said = "complete" if fine else f"not complete, see {sweep.log(task)}"
                say(f"Task {task.number} of {len(sweep.plan.tasks)} ({task.label}): {said}")
            time.sleep(POLL_SECONDS)
    finally:
        _stop(list(running))
    return ended


def _start(sweep: SweepFolder, task: Task, share: Share) -> subprocess.Popen:
    threads = str(share.threads)
    environment = dict(os.environ, NSLOTS=threads)
    environment.update(dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), threads))
    if share.gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = share.gpus
    program = [sys.executable, "-m", "xray_helpers.sweep.run_task", str(sweep.folder)]
    return subprocess.Popen(
        [*program, str(task.number), "--parent", str(os.getpid())],
        env=environment,
        stdin=subprocess.DEVNULL,
        # Ctrl-C reaches this process alone, which then ends the others in order.
        start_new_session=True,
    )


def _stop(processes: list[subprocess.Popen]) -> None:
    """End processes: let them end their kernels, then kill what is left."""
    for process in processes:
        process.terminate()
    end = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, as from a scheduler, end the block like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
