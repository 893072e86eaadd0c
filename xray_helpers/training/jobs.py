"""Many small trainings: side by side, each kept as soon as it is done, none done twice.

A search for settings is a list of jobs that know nothing of each other. Each runs in one of
several processes with its share of the threads, which on a CPU is faster than all threads for one
small network after the other. Its result, a few numbers, goes to a file of its own whose name is
made of everything the result depends on; so a search that was killed goes on where it was.
"""

import contextlib
import hashlib
import importlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from xray_helpers import __version__
from xray_helpers.data.pictures import worker_count
from xray_helpers.errors import KitError
from xray_helpers.files import plain, write_json
from xray_helpers.paths import cache_folder
from xray_helpers.progress import progress_bar

Job = Mapping[str, Any]
Work = Callable[[dict, dict], dict]

MOST_WORKERS = 8
# What a process takes that trains the largest network of the grids, measured.
GB_A_WORKER = 2.0
# Then a process without work ends and gives its memory back; also where the notebook was killed.
IDLE_SECONDS = 20
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def run_jobs(
    work: Work,
    jobs: Sequence[Job],
    *,
    inputs: Mapping[str, Any],
    progress: str | None = None,
    workers: int | None = None,
) -> list[dict[str, Any]]:
    """The result of `work(job, inputs)` for every job, in their order.

    Args:
        work: a function of the package (other processes import it by name) that gives a dict of
            plain values.
        jobs: dicts of plain values, different from each other.
        inputs: numpy arrays and plain values that all jobs share.
        progress: text of a progress bar; None for none.
        workers: how many jobs run at once; None for one a core (one in all on a GPU).

    Returns:
        Each result with `seconds` (that it took to compute) and `kept` (True where it was
        computed before and only read).
    """
    files = _files(work, jobs, inputs)
    results = {i: _read(file) for i, file in enumerate(files)}
    missing = [i for i, result in results.items() if result is None]
    with progress_bar(progress, len(jobs), unit="fit") as bar:
        bar.update(len(jobs) - len(missing))
        for i, result in _compute(work, jobs, missing, files, dict(inputs), workers):
            results[i] = result
            bar.update()
    return [results[i] for i in range(len(jobs))]


def kept_jobs(work: Work, jobs: Sequence[Job], *, inputs: Mapping[str, Any]) -> int:
    """How many of the jobs have been done before."""
    return sum(_read(file) is not None for file in _files(work, jobs, inputs))


def _compute(
    work: Work, jobs: Sequence[Job], missing: list[int], files: list[Path], inputs: dict,
    workers: int | None,
) -> Iterator[tuple[int, dict]]:  # fmt: skip
    workers = max(1, min(workers or usual_workers(), len(missing)))
    if workers == 1:
        for i in missing:
            yield i, _do(work.__module__, work.__name__, dict(jobs[i]), inputs, files[i])[1]
        return
    numbers = {str(file): i for i, file in zip(missing, (files[i] for i in missing), strict=True)}
    with _threads(max(1, worker_count() // workers)), _no_restart_warnings():
        parallel = joblib.Parallel(
            n_jobs=workers,
            return_as="generator_unordered",
            batch_size=1,
            idle_worker_timeout=IDLE_SECONDS,
        )
        done = parallel(
            joblib.delayed(_do)(work.__module__, work.__name__, dict(jobs[i]), inputs, files[i])
            for i in missing
        )
        for file, result in done:
            yield numbers[file], result


def _do(module: str, name: str, job: dict, inputs: dict, file: Path) -> tuple[str, dict]:
    """Do one job in this process and keep its result."""
    started = time.perf_counter()
    result = getattr(importlib.import_module(module), name)(job, inputs)
    result = plain({**result, "seconds": time.perf_counter() - started, "kept": False})
    with contextlib.suppress(OSError, KitError):  # not kept: the next run computes it again
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"job": job, "result": result})
    return str(file), result


def usual_workers() -> int:
    """One a core, as far as the memory reaches, up to `MOST_WORKERS`; one in all on a GPU."""
    from xray_helpers.training.device import device_facts

    if device_facts()["gpus"]:
        return 1
    room = int(_memory_gb() // GB_A_WORKER)
    return max(1, min(worker_count(), room, MOST_WORKERS))


def _memory_gb() -> float:
    """The machine's memory; without limit where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):  # Windows
        return float("inf")


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes that are started meanwhile let TensorFlow use `count` threads each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_restart_warnings() -> Iterator[None]:
    """Silence joblib where it replaces a process whose memory has grown: no result is lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        yield


def _files(work: Work, jobs: Sequence[Job], inputs: Mapping[str, Any]) -> list[Path]:
    """Where each job's result is kept: named by all it depends on."""
    common = hashlib.sha256(f"{__version__} {version('keras')} {work.__qualname__}".encode())
    for name in sorted(inputs):
        value = inputs[name]
        if isinstance(value, np.ndarray):
            common.update(f"{name} {value.dtype} {value.shape}".encode())
            common.update(np.ascontiguousarray(value).data)
        else:
            common.update(f"{name} {json.dumps(value, sort_keys=True)}".encode())
    files = []
    for job in jobs:
        digest = common.copy()
        digest.update(json.dumps(job, sort_keys=True).encode())
        files.append(cache_folder() / "jobs" / f"{digest.hexdigest()[:32]}.json")
    return files


def _read(file: Path) -> dict[str, Any] | None:
    """A kept result; None where there is none, or none that can be read."""
    try:
        return {**json.loads(file.read_text(encoding="utf-8"))["result"], "kept": True}
    except (OSError, ValueError, KeyError, TypeError):
        return None
