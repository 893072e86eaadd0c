"""How hard are the generated pictures? Default recipes, trained on the class's counts.

    python benchmarks/generated_accuracy.py [--seeds 0 1 2] [--backbones vgg16 resnet50 cnn]

For each seed, pictures are drawn in the class's number for training and 200 a class for testing;
seed of pictures and seed of training are the same. Printed are each test accuracy with n and
its 95 % interval, and the median over seeds.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from xray_helpers.data import find_source, load_data
from xray_helpers.data.generate import write_demo
from xray_helpers.evaluation import evaluate
from xray_helpers.models import build_model, choose_recipe, find_weights
from xray_helpers.training import train

TEST_PICTURES = 200


def main() -> None:
    """Draw, train, test, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--backbones", nargs="+", default=["vgg16", "resnet50", "cnn"])
    options.add_argument("--tasks", nargs="+", default=["task1", "task2"])
    chosen = options.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "pictures"
            write_demo(root, seed=seed, test_per_class=TEST_PICTURES, progress=False)
            for task in chosen.tasks:
                for backbone in chosen.backbones:
                    result = accuracy_of(task, backbone, str(root), seed)
                    print(f"{task} {backbone:10} seed {seed}: {result}", flush=True)
                    found.setdefault((task, backbone), []).append(result.value)
    for (task, backbone), values in found.items():
        print(f"{task} {backbone:10} median of {len(values)} seeds: {np.median(values):.3f}")


def accuracy_of(task: str, backbone: str, root: str, seed: int) -> object:
    """Test accuracy, an `Estimate`, of the task's default recipe with this backbone."""
    data = load_data(task, find_source(root), seed=seed, progress=None)
    recipe = choose_recipe(task, {"backbone": backbone})
    model = build_model(
        recipe,
        data.classes,
        find_weights(backbone, "random"),
        calibrate_on=data.split("train")[0],
        seed=seed,
    )
    train(
        model,
        data,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        patience=recipe.patience,
        seed=seed,
    )
    return evaluate(model, data).accuracy


if __name__ == "__main__":
    main()
