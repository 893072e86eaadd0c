"""The same training timed on the CPU and on the GPU, each in a process of its own.

TensorFlow takes hold of the GPU once a process and never lets it go, so what is measured runs in
a fresh Python, see `cpu_gpu_process`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.training.cpu_gpu_process import REFUSED

TIMING_SCHEMA = 2
MODEL_SETTINGS = (
    "recipe", "backbone", "weights", "unfreeze", "dropout", "l2", "initializer", "output", "loss",
    "optimizer", "learning_rate", "batch_size", "leaks", "enhance", "xla", "precision",
)  # fmt: skip


def timing_order(run: Any) -> dict[str, Any]:
    """What to measure, from a notebook's run: plain values, for another process to read."""
    settings = run.settings
    return {
        "task": run.task,
        "data_root": str(run.source.root),
        "data_kind": run.source.kind,
        # What the model is; not where the data and the records are, which differs by machine.
        "settings": {name: getattr(settings, name) for name in MODEL_SETTINGS},
        "image_size": settings.image_size,
        "fine_tune": settings.fine_tune,
        "epochs": settings.epochs,
        "toy_repeats": settings.toy_repeats,
        "seed": settings.seed,
    }


def measure_devices(order: dict[str, Any], measure: str = "both") -> dict[str, Any]:
    """Time `order` on this machine.

    Args:
        order: what `timing_order` gives.
        measure: "both": with what this machine has, and again with its GPU hidden if it has one;
            "gpu": with its GPU; "cpu": with the GPU hidden; "none": nothing.

    Returns:
        The contents of `timing.json`: `schema`, and `measurements` with one entry, or none.
        A measurement has `order`; `rows`, one for each work and device, with device, devices,
        host, threads, data_fingerprint, weights, seconds_epoch, seconds_step, seconds_total, and
        behind a training on a GPU gpu_busy_percent, gpu_memory_mib, gpu_samples; `nvidia_smi`
        (name, memory_mib, driver, page: its whole text) or None; and `note`, why that is None
        although there is a GPU, or "".

    Raises:
        KitError: the process that measures ended with an error; "gpu" where there is none.
    """
    if measure == "none":
        return {"schema": TIMING_SCHEMA, "measurements": []}
    if measure == "cpu":
        found = _in_own_process(order, hide_gpu=True)
    else:
        found = _in_own_process(order, hide_gpu=False, need_gpu=measure == "gpu")
    if measure == "both" and any(row["device"] != "cpu" for row in found["rows"]):
        found["rows"] += _in_own_process(order, hide_gpu=True)["rows"]
    return {"schema": TIMING_SCHEMA, "measurements": [{"order": order, **found}]}


def _in_own_process(
    order: dict[str, Any], *, hide_gpu: bool, need_gpu: bool = False
) -> dict[str, Any]:
    environment = dict(os.environ)
    if hide_gpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    with tempfile.TemporaryDirectory() as folder:
        order_file, result_file = Path(folder) / "order.json", Path(folder) / "result.json"
        order_file.write_text(json.dumps(order), encoding="utf-8")
        command = [sys.executable, "-m", "xray_helpers.training.cpu_gpu_process"]
        command += [str(order_file), str(result_file), *["--need-gpu"] * need_gpu]
        with (Path(folder) / "errors.txt").open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
            for line in process.stdout:  # what it is doing, as it goes on
                print(line, end="")
            status = process.wait()
            if status:
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["no message"])[-1]
                about = "" if status == REFUSED else "The process that measures ended with an error"
                raise KitError(f"{about}: {last}" if about else last)
        return json.loads(result_file.read_text(encoding="utf-8"))
