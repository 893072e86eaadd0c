"""The process that measures: `python -m xray_helpers.training.cpu_gpu_process ORDER RESULT`.

Times the trainings of an order, uncached, and the toy convolution on what TensorFlow sees here.
"""

import argparse
import json
import math
import socket
import sys
import time
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.training.timed_work import TOY, timed_trainings

REFUSED = 3
"""Exit status where standard error has a sentence for the student."""
WATCHED_SECONDS = 5.0


def measure(order: dict[str, Any], need_gpu: bool = False) -> dict[str, Any]:
    """Time what `order` asks for, on what is visible here.

    Args:
        order: what `cpu_gpu.timing_order` gives.
        need_gpu: refuse to measure a CPU.

    Returns:
        `rows`, one for each work; `nvidia_smi` and `note`: see `cpu_gpu.measure_devices`.

    Raises:
        KitError: there is no GPU and one is needed; no pictures or weights.
    """
    from xray_helpers import quiet_import  # noqa: F401
    from xray_helpers.data import Source, load_data
    from xray_helpers.models import choose_recipe, find_weights
    from xray_helpers.training.device import device_facts

    facts = device_facts()
    if need_gpu and not facts["gpus"]:
        raise KitError(
            f"measure='gpu': TensorFlow sees no GPU on {socket.gethostname()}; `xray doctor` says "
            "more, measure='cpu' times the CPU."
        )
    print(f"On {', '.join(facts['gpus']) or 'the CPU'}: pictures and model …", flush=True)
    data = load_data(
        order["task"],
        Source(Path(order["data_root"]), order["data_kind"]),
        image_size=order["image_size"],
        seed=order["seed"],
        leaks=order["settings"]["leaks"],
        enhance=order["settings"]["enhance"],
        progress=None,
    )
    recipe = choose_recipe(order["task"], order["settings"])
    weights = find_weights(recipe.backbone, order["settings"]["weights"])
    here = {
        "device": facts["device"],
        "devices": facts["gpus"] or ["cpu"],
        "host": socket.gethostname(),
        "threads": facts["threads"],
        "data_fingerprint": data.fingerprint,
        "weights": weights.kind,
    }
    snapshot, note = _snapshot() if facts["gpus"] else (None, "")
    rows = []
    for name, trained in timed_trainings(recipe, order["fine_tune"]).items():
        print(f"{name.capitalize()}: {order['epochs']} epochs behind the warm-up …", flush=True)
        times, usage = _time_training(order, trained, weights, data, snapshot)
        rows.append({"work": name, **here, **times, **usage})
    print("Toy convolution …", flush=True)
    toy = time_toy_convolution(order["toy_repeats"])
    times = {"seconds_epoch": None, "seconds_step": toy / order["toy_repeats"]}
    rows.append({"work": TOY, **here, **times, "seconds_total": toy})
    return {"rows": rows, "nvidia_smi": snapshot, "note": note}


def _snapshot() -> tuple[dict[str, Any] | None, str]:
    """What nvidia-smi says of the GPU, or a sentence that says why it says nothing."""
    from xray_helpers.training.nvidia_smi import gpu_facts

    try:
        return gpu_facts() | {"page": None}, ""
    except KitError as error:
        return None, f"{error} The GPU's memory, driver and use are not known."


def _time_training(
    order: dict[str, Any], recipe: Any, weights: Any, data: Any, snapshot: dict | None
) -> tuple[dict[str, float], dict[str, Any]]:
    """The times of one training, and how busy the GPU was in it where `snapshot` is one."""
    import keras

    from xray_helpers.models import build_model
    from xray_helpers.training.batches import targets_for
    from xray_helpers.training.nvidia_smi import UsageWatch
    from xray_helpers.training.timing import time_uncached

    pictures, labels = data.split("train")
    precision, xla = order["settings"]["precision"], order["settings"]["xla"]
    model = build_model(
        recipe,
        data.classes,
        weights,
        image_size=order["image_size"],
        calibrate_on=pictures,
        precision=precision,
    )
    targets = targets_for(model, model.output_shape[-1], labels, len(data.classes))
    work = (model, pictures, targets, recipe.batch_size)
    found = time_uncached(*work, order["epochs"], order["seed"], xla=xla)
    times = {f"seconds_{part}": found[f"uncached_{part}"] for part in ("epoch", "step", "total")}
    if snapshot is None:
        return times, {}
    # To ask takes time too: so the epochs in which nvidia-smi is asked are not the timed ones.
    epochs = max(1, min(100, math.ceil(WATCHED_SECONDS / times["seconds_epoch"])))
    usage = UsageWatch()
    beside = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: usage.start(), on_train_end=lambda logs: usage.stop()
    )
    time_uncached(*work, epochs, order["seed"], xla=xla, callbacks=[beside])
    snapshot["page"] = snapshot["page"] or usage.page
    return times, usage.summary()


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


def main() -> None:
    """Read the command line, measure, write the result."""
    options = argparse.ArgumentParser(description="Time an order on what this machine has.")
    options.add_argument("order", type=Path)
    options.add_argument("result", type=Path)
    options.add_argument("--need-gpu", action="store_true")
    given = options.parse_args()
    order = json.loads(given.order.read_text(encoding="utf-8"))
    found = measure(order, given.need_gpu)
    given.result.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except KitError as problem:
        print(problem, file=sys.stderr)
        sys.exit(REFUSED)
