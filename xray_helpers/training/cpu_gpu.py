"""The same training timed on the CPU and on the GPU, each in a process of its own.

TensorFlow takes hold of the GPU once a process and never lets it go, so what is measured runs in
a fresh Python: `python -m xray_helpers.training.cpu_gpu ORDER.json RESULT.json`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.settings import TimingSettings

TIMING_SCHEMA = 1
ROW = {
    "work",
    "weights",
    "device",
    "host",
    "threads",
    "data_fingerprint",
    "seconds_epoch",
    "seconds_total",
}
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
        "epochs": settings.epochs,
        "toy_repeats": settings.toy_repeats,
        "seed": settings.seed,
    }


def measure_devices(order: dict[str, Any]) -> dict[str, Any]:
    """Time `order` with what this machine has, and again with its GPU hidden if it has one.

    Args:
        order: task, data_root, image_size, recipe settings, epochs, batch size, toy repeats, seed;
            see `measure`.

    Returns:
        The contents of `timing.json`: `schema`, `order`, and `rows`, one for each work ("training",
        "toy convolution") and device, with device, devices, host, threads, data_fingerprint,
        seconds_epoch, seconds_step, seconds_total.

    Raises:
        KitError: the process that measures ended with an error.
    """
    rows = _in_own_process(order, hide_gpu=False)
    if any(row["device"] != "cpu" for row in rows):
        rows += _in_own_process(order, hide_gpu=True)
    return {"schema": TIMING_SCHEMA, "order": order, "rows": rows}


def _in_own_process(order: dict[str, Any], *, hide_gpu: bool) -> list[dict[str, Any]]:
    environment = dict(os.environ)
    if hide_gpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    with tempfile.TemporaryDirectory() as folder:
        order_file, result_file = Path(folder) / "order.json", Path(folder) / "result.json"
        order_file.write_text(json.dumps(order), encoding="utf-8")
        with (Path(folder) / "errors.txt").open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "xray_helpers.training.cpu_gpu", order_file, result_file],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            for line in process.stdout:  # what it is doing, as it goes on
                print(line, end="")
            if process.wait():
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["no message"])[-1]
                raise KitError(f"The process that measures ended with an error: {last}")
        return json.loads(result_file.read_text(encoding="utf-8"))


def measure(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Time the training of `order`, uncached, and the toy convolution, on what is visible here."""
    from xray_helpers import quiet_import  # noqa: F401
    from xray_helpers.data import Source, load_data
    from xray_helpers.models import build_model, choose_recipe, find_weights
    from xray_helpers.training.batches import targets_for
    from xray_helpers.training.device import device_facts
    from xray_helpers.training.timing import time_uncached

    seen = device_facts()["gpus"]
    print(f"On {', '.join(seen) if seen else 'the CPU'}: pictures and model …", flush=True)
    source = Source(Path(order["data_root"]), order["data_kind"])
    data = load_data(
        order["task"],
        source,
        image_size=order["image_size"],
        seed=order["seed"],
        leaks=order["settings"]["leaks"],
        enhance=order["settings"]["enhance"],
        progress=None,
    )
    pictures, labels = data.split("train")
    recipe = choose_recipe(order["task"], order["settings"])
    weights = find_weights(recipe.backbone, order["settings"]["weights"])
    model = build_model(
        recipe,
        data.classes,
        weights,
        image_size=order["image_size"],
        calibrate_on=pictures,
        precision=order["settings"]["precision"],
    )
    targets = targets_for(model, model.output_shape[-1], labels, len(data.classes))
    print(f"Training, {order['epochs']} epochs behind the warm-up …", flush=True)
    times = time_uncached(
        model,
        pictures,
        targets,
        recipe.batch_size,
        order["epochs"],
        order["seed"],
        xla=order["settings"]["xla"],
    )
    print("Toy convolution …", flush=True)
    toy = time_toy_convolution(order["toy_repeats"])
    facts = device_facts()
    here = {
        "device": facts["device"],
        "devices": facts["gpus"] or ["cpu"],
        "host": socket.gethostname(),
        "threads": facts["threads"],
        "data_fingerprint": data.fingerprint,
        "weights": weights.kind,
    }
    return [
        {
            "work": "training",
            **here,
            "seconds_epoch": times["uncached_epoch"],
            "seconds_step": times["uncached_step"],
            "seconds_total": times["uncached_total"],
        },
        {
            "work": "toy convolution",
            **here,
            "seconds_epoch": None,
            "seconds_step": toy / order["toy_repeats"],
            "seconds_total": toy,
        },
    ]


def time_toy_convolution(repeats: int) -> float:
    """Seconds for `repeats` convolutions of 32 filters, 3x3x3, over 120 pictures of 224x224x3.

    Random numbers; one convolution before, for warming up, is not counted.
    """
    import tensorflow as tf

    pictures = tf.random.stateless_normal((120, 224, 224, 3), seed=(1, 2))
    filters = tf.random.stateless_normal((3, 3, 3, 32), seed=(3, 4))

    @tf.function
    def convolve() -> tf.Tensor:
        # The sum needs every output, so that none can be left out.
        return tf.reduce_sum(tf.nn.conv2d(pictures, filters, strides=1, padding="VALID"))

    convolve().numpy()
    started = time.perf_counter()
    for _ in range(repeats):
        convolve().numpy()
    return time.perf_counter() - started


def read_timing(path: Path) -> dict[str, Any]:
    """A `timing.json` from this or another machine.

    Raises:
        KitError: the file is missing or is no timing file.
    """
    try:
        timing = json.loads(path.read_text(encoding="utf-8"))
        whole = timing["rows"] and all(row.keys() >= ROW for row in timing["rows"])
        if timing["schema"] != TIMING_SCHEMA or not whole:
            raise ValueError("another version")
    except FileNotFoundError as error:
        raise KitError(f"merge: there is no file {path}; give the timing.json of a run.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"merge: {path} is not a timing.json of 04_cpu_vs_gpu.") from error
    return timing


def merge_timings(timings: list[dict[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """One table out of several `timing.json`, and what makes the comparison less than fair.

    Returns:
        Columns work, device (with threads and host), seconds_epoch, seconds_step, seconds_total,
        times faster (than the slowest device at the same work); and sentences to print below it.
    """
    table = pd.DataFrame([row for timing in timings for row in timing["rows"]])
    threads = table["threads"].map(lambda n: f"{n} threads")
    table["device"] = (
        table["device"].where(table["device"] != "cpu", "CPU, " + threads) + " on " + table["host"]
    )
    slowest = table.groupby("work")["seconds_total"].transform("max")
    table["times faster"] = slowest / table["seconds_total"]
    notes = []
    if table["host"].nunique() > 1:
        notes.append(
            f"The machines differ ({', '.join(sorted(table['host'].unique()))}): part of the "
            "difference is the machine, not the kind of processor. Say so in the report."
        )
    if table["data_fingerprint"].nunique() > 1:
        notes.append("The measurements differ in their pictures: totals cannot be compared.")
    for key in ("task", "image_size", "epochs", "settings", "toy_repeats"):
        if len({json.dumps(_asked(t["order"], key), sort_keys=True) for t in timings}) > 1:
            notes.append(f"The measurements differ in {key}: totals cannot be compared.")
    if table["device"].nunique() == 1:
        notes.append(
            "Only one device was measured. Run this notebook on a machine with a GPU too and name "
            "its timing.json in the setting merge."
        )
    columns = ["work", "device", "seconds_epoch", "seconds_step", "seconds_total", "times faster"]
    return table[columns], notes


def _asked(order: dict[str, Any], key: str) -> Any:
    """A part of an order; a setting that an older kit did not have was at its default."""
    if key != "settings":
        return order.get(key)
    defaults = {name: TimingSettings.model_fields[name].default for name in MODEL_SETTINGS}
    return defaults | order.get("settings", {})


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(
        json.dumps(measure(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))),
        encoding="utf-8",
    )
