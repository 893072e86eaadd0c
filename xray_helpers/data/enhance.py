"""Enhancement of radiographs: what the setting `enhance` may name, in the order of its names.

`crop` is done on the whole picture before it is resized, so that no resolution is lost, and
therefore always first. The other steps are done on the resized picture. None of them looks at
another picture or at a label, so a picture comes out the same in training, test and t-SNE.

The steps change brightness alone, the V of HSV: a grey radiograph stays grey (R = G = B), and a
coloured picture keeps its hue and saturation, to the rounding of 8 bits.
"""

import difflib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from xray_helpers.errors import KitError

MOST_CUT = 0.25  # of the width or height, at each side
SAME_GREY = 12  # grey values, of 255: what JPEG and a scanner make of one black
SAME_SHARE = 0.9  # of a row or column; the rest may be a burnt-in letter
DARKEST, LIGHTEST = 1, 99  # percent of the pixels
MEDIAN_SIDE = 3  # pixels
TILES = 8  # along the height and the width
SMALLEST_TILE = 28  # pixels: below, too few of them for a histogram, and light parts turn white
CLIP_LIMIT = 0.01  # share of a tile's pixels that one brightness may count for


def chosen_steps(text: str) -> tuple[str, ...]:
    """The steps that a comma-separated text names, in its order, but `crop` before all others.

    A step that is named twice is done once; an empty text names none.

    Raises:
        KitError: a name is that of no step.
    """
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in STEPS:
            close = difflib.get_close_matches(name, STEPS, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'? The steps are" if close else "the steps are"
            raise KitError(f"enhance: '{name}' is no step; {hint} {', '.join(STEPS)}.")
    return tuple(sorted(names, key=lambda name: name != "crop"))


def crop(picture: np.ndarray) -> np.ndarray:
    """Cut away strips of one brightness at the four sides, as collimation and scanners leave them.

    From each side inwards, a row or column is cut as long as nine tenths of its pixels are within
    12 grey values of its median; at most a quarter of the width or height goes at each side.
    Slanted borders stay, and so does a strip with writing all along it.

    Args:
        picture: uint8, (height, width) or (height, width, 3).

    Returns:
        A part of it, of the same type; the picture itself where there is no border.
    """
    return picture[crop_box(picture)]


def crop_box(picture: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a picture that `crop` leaves."""
    grey = picture if picture.ndim == 2 else picture.max(axis=-1)
    height, width = grey.shape
    top, bottom = _border(grey), _border(grey[::-1])
    left, right = _border(grey.T), _border(grey.T[::-1])
    return slice(top, height - bottom), slice(left, width - right)


def _border(lines: np.ndarray) -> int:
    """How many of the first lines, (number, pixels), are border."""
    most = int(len(lines) * MOST_CUT)
    for number, line in enumerate(lines[:most]):
        same = np.abs(line - np.median(line)) <= SAME_GREY
        if same.mean() < SAME_SHARE:
            return number
    return most


def normalize(picture: np.ndarray) -> np.ndarray:
    """Stretch the brightness: the darkest percent becomes black, the lightest one white.

    Args:
        picture: uint8, (height, width) or (height, width, 3).

    Returns:
        Of the same shape and type; the picture itself where both percentiles are one value.
    """
    from skimage.exposure import rescale_intensity

    def stretch(grey: np.ndarray) -> np.ndarray:
        low, high = np.percentile(grey, (DARKEST, LIGHTEST))
        if low == high:
            return grey
        return _to_uint8(rescale_intensity(grey, in_range=(low, high), out_range=(0, 255)))

    return _on_brightness(picture, stretch)


def denoise(picture: np.ndarray) -> np.ndarray:
    """Replace each pixel by the median of the 3x3 pixels around it (a median filter).

    Takes single bright and dark points away and keeps edges; lines of one pixel go too.

    Args:
        picture: uint8, (height, width) or (height, width, 3).

    Returns:
        Of the same shape and type.
    """

    def median(grey: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(grey).filter(ImageFilter.MedianFilter(MEDIAN_SIDE)))

    return _on_brightness(picture, median)


def equalize(picture: np.ndarray) -> np.ndarray:
    """Histogram equalisation: each brightness becomes the share of the pixels that are darker.

    The darkest pixels become black, so that an empty background stays black.

    Args:
        picture: uint8, (height, width) or (height, width, 3).

    Returns:
        Of the same shape and type.
    """
    from skimage.exposure import equalize_hist, rescale_intensity

    def flatten(grey: np.ndarray) -> np.ndarray:
        return _to_uint8(rescale_intensity(equalize_hist(grey), out_range=(0, 255)))

    return _on_brightness(picture, flatten)


def clahe(picture: np.ndarray) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994).

    Equalises tiles of an eighth of the height and width (28 pixels at least), each with a limit on
    how much contrast it may gain, and blends them into each other.

    Args:
        picture: uint8, (height, width) or (height, width, 3).

    Returns:
        Of the same shape and type.
    """
    from skimage.exposure import equalize_adapthist

    def adapt(grey: np.ndarray) -> np.ndarray:
        tile = [max(side // TILES, SMALLEST_TILE) for side in grey.shape]
        return _to_uint8(255 * equalize_adapthist(grey, tile, CLIP_LIMIT))

    return _on_brightness(picture, adapt)


STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "crop": crop,
    "normalize": normalize,
    "denoise": denoise,
    "equalize": equalize,
    "clahe": clahe,
}
"""Name of a step -> the function that does it."""


def _on_brightness(picture: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply `change`, uint8 (height, width) -> the same, to the brightness of a picture."""
    if picture.ndim == 2:
        return picture if _is_flat(picture) else change(picture)
    hue, saturation, value = Image.fromarray(picture).convert("HSV").split()
    grey = np.asarray(value)
    if _is_flat(grey):
        return picture
    changed = Image.merge("HSV", (hue, saturation, Image.fromarray(change(grey))))
    return np.asarray(changed.convert("RGB"))


def _is_flat(grey: np.ndarray) -> bool:
    """Whether all pixels are equal: there is no contrast, which scikit-image would make white."""
    return bool(grey.min() == grey.max())


def _to_uint8(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 255 as uint8, rounded."""
    return np.rint(values).astype(np.uint8)
