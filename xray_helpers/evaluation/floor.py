"""The floor: what a model scores that has not looked at a lung.

Ten numbers tell how a picture was made, not what it shows. Where they tell the classes apart,
so can a network, without having learnt anything about disease. A model is worth something by
what it scores above this floor.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

SIDE = 224  # the grey picture is measured at this width and height
STRIP = 8  # columns or rows that count as border
NAMES = (
    "width",
    "height",
    "width / height",
    "mode is L",
    "mode is RGBA",
    "file is PNG",
    "mean",
    "standard deviation",
    "mean of the left and right 8 columns",
    "mean of the top and bottom 8 rows",
)


def ten_numbers(path: Path) -> np.ndarray:
    """The ten numbers of one picture, float64 (10,), in the order of `NAMES`.

    Width, height and mode are those of the file as it lies on disk. The last four are measured,
    0 to 255, on the picture in grey, resized to 224x224 with Pillow's bilinear filter.
    """
    with Image.open(path) as picture:
        width, height = picture.size
        mode, kind = picture.mode, picture.format
        grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(grey, dtype=np.float64)
    sides = np.concatenate([values[:, :STRIP], values[:, -STRIP:]], axis=1)
    ends = np.concatenate([values[:STRIP], values[-STRIP:]])
    made = [width, height, width / height, mode == "L", mode == "RGBA", kind == "PNG"]
    seen = [values.mean(), values.std(), sides.mean(), ends.mean()]
    return np.array(made + seen, dtype=np.float64)


def floor_features(paths: Iterable[Path]) -> np.ndarray:
    """The ten numbers of n pictures, float64 (n, 10)."""
    return np.array([ten_numbers(path) for path in paths]).reshape(-1, len(NAMES))


def floor_model() -> Pipeline:
    """The classifier of the floor, not yet fitted: standardised, then logistic regression."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
