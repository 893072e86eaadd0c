"""One measurement of `large.py`, in a process of its own.

    python benchmarks/large_one.py WORK FOLDER RESULT.json '{"size": 64}'

Prints nothing. The peak is that of the whole process: Python, TensorFlow and the pictures.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from xray_helpers import file_rows
from xray_helpers.data import Source, load_data
from xray_helpers.files import write_json
from xray_helpers.quiet_import import keras

WORKS = {
    "cnn": {"backbone": "cnn"},
    "vgg16-gap": {"backbone": "vgg16"},
}
"""What is trained: settings of task 1. The head of the second begins with an average (`gap`)."""


def measure(work: str, root: Path, size: int = 64, epochs: int = 1) -> dict[str, Any]:
    """Seconds of each part, and the peak memory in MB, of training on a folder once."""
    from xray_helpers.evaluation import evaluate
    from xray_helpers.models import build_model, choose_recipe, find_weights
    from xray_helpers.training import train

    started = peak_mb()
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def part(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name] = now - clock
        clock = now

    source = Source(root, "generated")
    load_data("task1", source, image_size=size, progress=None)
    part("reading")
    data = load_data("task1", source, image_size=size, progress=None)
    part("reading_again")
    recipe = choose_recipe("task1", WORKS[work])
    pictures, _ = data.split("train")
    model = build_model(
        recipe,
        data.classes,
        find_weights(recipe.backbone, "random"),
        image_size=size,
        calibrate_on=pictures,
    )
    part("building")
    training = train(model, data, epochs=epochs, batch_size=recipe.batch_size)
    part("training")
    # Without the seconds that TensorFlow needs to make its graphs, however many pictures there are.
    seconds["epoch"] = training.seconds["median_step"] * training.steps_per_epoch
    result = evaluate(model, data, "test")
    part("predicting")
    figures = result.figures()
    part("figures")
    return {
        "work": work,
        "pictures": len(data.table),
        "decoded_mb": data.pictures.nbytes / 1e6,
        "in_file": isinstance(data.pictures, file_rows.FileRows),
        "batch_size": recipe.batch_size,
        "epochs": epochs,
        "seconds": seconds,
        "features_seconds": training.seconds["features"],
        "peak_mb": peak_mb(),
        "started_mb": started,
        "test_accuracy": figures["accuracy"]["value"],
    }


def peak_mb() -> float:
    """The most memory that this process has had so far, in millions of bytes.

    Linux's VmHWM where there is one: the `ru_maxrss` of a process begins with that of the one
    which started it.
    """
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(text.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    _, kind, folder, result, options = sys.argv
    keras.utils.set_random_seed(0)
    write_json(Path(result), measure(kind, Path(folder), **json.loads(options)))
