"""Ten numbers that tell how a picture was made and not what it shows.

Where they tell the classes apart, so can a network, without having learnt anything about disease.
"""

import numpy as np
from PIL import Image

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


def grey_square(image: Image.Image) -> np.ndarray:
    """A picture in grey, resized with Pillow's bilinear filter, uint8 (224, 224)."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def file_numbers(size: tuple[int, int], mode: str, kind: str, grey: np.ndarray) -> np.ndarray:
    """The ten numbers of one picture, float64 (10,), in the order of `NAMES`.

    Args:
        size: width and height of the file as it lies on disk, in pixels.
        mode: Pillow's mode of the file, such as "L".
        kind: format of the file, such as "PNG".
        grey: what `grey_square` made of it; brightness is measured on it, 0 to 255.
    """
    width, height = size
    values = grey.astype(np.float64)
    sides = np.concatenate([values[:, :STRIP], values[:, -STRIP:]], axis=1)
    ends = np.concatenate([values[:STRIP], values[-STRIP:]])
    made = [width, height, width / height, mode == "L", mode == "RGBA", kind == "PNG"]
    seen = [values.mean(), values.std(), sides.mean(), ends.mean()]
    return np.array(made + seen, dtype=np.float64)
