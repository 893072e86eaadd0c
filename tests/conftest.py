import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xray_helpers.data import TASK_CLASSES, Dataset, Source


@pytest.fixture
def class_data() -> Path:
    """The class's own data, where there is a copy: $XRAY_DATA."""
    if not os.environ.get("XRAY_DATA"):
        pytest.skip("needs the class data: set XRAY_DATA to the folder that holds two/ and all/")
    return Path(os.environ["XRAY_DATA"])


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Runs, cached work and weights of a test stay in its own folder; no test meets the network."""
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XRAY_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("XRAY_WEIGHTS", raising=False)


def make_data(
    task: str = "task1",
    counts: tuple[int, int, int] = (24, 12, 9),
    size: int = 16,
    seed: int = 0,
    root: Path = Path("/pictures"),
) -> Dataset:
    """Pictures in memory: noise whose brightness tells the class, roughly.

    Args:
        task: whose classes.
        counts: pictures of train, validation and test; the classes take turns.
        size: their side.
        seed: of the noise.
        root: what the paths begin with; nothing is read from there.
    """
    classes = TASK_CLASSES[task]
    rng = np.random.default_rng(seed)
    rows = [
        (f"{root}/{split}/{i:03d}.png", classes[i % len(classes)], split, f"{split}-{i}", "other")
        for split, n in zip(("train", "validation", "test"), counts, strict=True)
        for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "patient", "source"])
    light = table["label"].map(classes.index).to_numpy()[:, None, None, None]
    noise = rng.normal(90 + 25 * light, 40, (len(table), size, size, 3))
    pictures = np.clip(noise, 0, 255).astype(np.uint8)
    return Dataset(task, Source(root, "other"), classes, table, pictures, [], "f00d" * 4)


@pytest.fixture(scope="session")
def tiny_data() -> Dataset:
    """Task 1: 24 training, 12 validation, 9 test pictures of 16x16."""
    return make_data()


@pytest.fixture(scope="session")
def tiny_data4() -> Dataset:
    """Task 2: 24 training, 12 validation, 9 test pictures of 16x16."""
    return make_data("task2")


@pytest.fixture(scope="session")
def new_data():
    """The function `make_data`."""
    return make_data
