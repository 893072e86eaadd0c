"""What `nvidia-smi` says of the GPU that this process computes on, before and while it works."""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from xray_helpers.errors import KitError

PROGRAM = "nvidia-smi"
INTERVAL_SECONDS = 0.5
# What is asked for (`nvidia-smi --help-query-gpu`) -> what timing.json calls it.
_FACTS = {"name": "name", "memory.total": "memory_mib", "driver_version": "driver"}
_USAGE = ("utilization.gpu", "memory.used")


def gpu_facts() -> dict[str, Any]:
    """The GPU's `name`, `memory_mib` and `driver`; None for what nvidia-smi does not know.

    Raises:
        KitError: there is no nvidia-smi, or it ends with an error.
    """
    facts = dict(zip(_FACTS.values(), _query(list(_FACTS)), strict=True))
    return facts | {"memory_mib": _number(facts["memory_mib"])}


def page() -> str:
    """The whole text that nvidia-smi prints: the GPU and the processes on it.

    Raises:
        KitError: as `gpu_facts`.
    """
    return _ask()


class UsageWatch:
    """Asks nvidia-smi again and again, beside the work, how busy the GPU is.

    watch = UsageWatch(); watch.start(); ...; watch.stop(); watch.summary()

    Attributes:
        page: the whole text of nvidia-smi while the work went on; None where it could not be had.
    """

    def __init__(self) -> None:
        """Ask nothing yet."""
        self.page: str | None = None
        self._samples: list[tuple[float | None, float | None]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Ask from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            while not self._stopped.wait(INTERVAL_SECONDS):  # the work has to get going first
                busy, memory = map(_number, _query(_USAGE))
                self._samples.append((busy, memory))
                self.page = self.page or page()
        except KitError:  # what was seen until then is kept
            return

    def summary(self) -> dict[str, Any]:
        """`gpu_busy_percent` (median), `gpu_memory_mib` (most) and `gpu_samples`, how often asked.

        None where it is not known. Busy is the share of time in which the GPU computed anything
        at all, on however few of its cores.
        """
        busy = sorted(busy for busy, _ in self._samples if busy is not None)
        memory = [memory for _, memory in self._samples if memory is not None]
        return {
            "gpu_busy_percent": busy[len(busy) // 2] if busy else None,
            "gpu_memory_mib": max(memory, default=None),
            "gpu_samples": len(self._samples),
        }


def _query(names: Sequence[str]) -> list[str]:
    """What the GPU answers to `--query-gpu`; numbers without their units."""
    text = _ask(f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits")
    lines = text.strip().splitlines() or [""]
    answers = [part.strip() for part in lines[0].split(",")]
    if len(answers) != len(names):
        raise KitError(f"{PROGRAM} answered '{lines[0][:100]}', which is no GPU.")
    return answers


def _number(text: str) -> float | None:
    """A number; None for "[N/A]", as a part of a shared GPU answers."""
    try:
        return float(text)
    except ValueError:
        return None


def _ask(*arguments: str) -> str:
    if not shutil.which(PROGRAM):
        raise KitError(f"There is no {PROGRAM} on this machine.")
    try:
        done = subprocess.run(
            [PROGRAM, *_which(), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise KitError(f"{PROGRAM} does not answer ({error}).") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        raise KitError(f"{PROGRAM} ends with an error: {said[-1]}")
    return done.stdout


def _which() -> list[str]:
    """The GPU that TensorFlow takes first: of a node's GPUs a job may use its own only."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return [f"--id={first}"] if first not in ("", "-1") else []
