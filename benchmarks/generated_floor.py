"""Do the generated pictures carry a shortcut? Print the floor of both tasks for five seeds.

    python benchmarks/generated_floor.py [--seeds 5] [--test-per-class 200]

The floor (`xray_helpers.evaluation.floor`) is trained on as many pictures as the class data has
and tested on 200 a class. It should stay within 0.10 of chance: 0.50 in task 1, 0.25 in task 2.
On the 9 test pictures a class of the default set it could not be told from chance.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from xray_helpers.data.generate import write_demo
from xray_helpers.evaluation.floor import floor_inputs, floor_model

TASKS = {
    "task1": ("two", ("normal", "covid")),
    "task2": ("all", ("covid", "normal", "pneumonia_bac", "pneumonia_vir")),
}


def features(folder: Path, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The ten numbers (n, 10) and the class number (n,) of every picture of a split."""
    paths = [sorted((folder / label).glob("*.jpeg")) for label in classes]
    labels = np.repeat(np.arange(len(classes)), [len(some) for some in paths])
    return floor_inputs([path for some in paths for path in some])["numbers"], labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--test-per-class", type=int, default=200)
    options = parser.parse_args()
    print("task   seed  chance  floor  95 % (Wilson)      n  within 0.10")
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            folder = write_demo(
                Path(scratch, "demo"), seed=seed, test_per_class=options.test_per_class
            )
            for task, (group, classes) in TASKS.items():
                model = floor_model().fit(*features(folder / group / "train", classes))
                values, labels = features(folder / group / "test", classes)
                right = int((model.predict(values) == labels).sum())
                interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
                floor, chance = right / len(labels), 1 / len(classes)
                print(
                    f"{task}  {seed:4d}  {chance:6.2f}  {floor:5.3f}  "
                    f"{interval.low:.3f} to {interval.high:.3f}  {len(labels):5d}  "
                    f"{'yes' if abs(floor - chance) <= 0.10 else 'NO'}"
                )


if __name__ == "__main__":
    main()
