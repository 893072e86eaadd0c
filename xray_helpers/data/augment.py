"""Augmented views of radiographs: what could have happened at the machine, and nothing else.

A patient stands a little turned, nearer or further off centre, and is exposed a little more or
less. Nobody is X-rayed upside down, and the heart lies on the left: so no flips.
"""

from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
from PIL import Image

from xray_helpers.data.on_disk import kept_rows, key_of
from xray_helpers.file_rows import FileRows
from xray_helpers.progress import progress_bar

DEGREES = 7.0  # rotation, at most
SHIFT = 0.05  # of the picture's side, at most
ZOOM = 0.10  # larger or smaller, at most
BRIGHTNESS = 0.10  # brighter or darker, at most, as a factor
VERSION = 1  # raised when the same seed gives other views


def augmented_views(
    pictures: np.ndarray | FileRows, views: int, seed: int, progress: str | None = None
) -> np.ndarray | FileRows:
    """`views` augmented pictures of each picture; of pictures in a file, in a file of the cache.

    Args:
        pictures: uint8, (n, size, size, 3).
        views: how many of each.
        seed: the same seed gives the same views.
        progress: text of a progress bar; None for none.

    Returns:
        uint8, (views * n, size, size, 3): all pictures once, then all again, …

    Raises:
        KitError: of pictures in a file: their views cannot be written.
    """
    count, shape = views * len(pictures), pictures.shape[1:]

    def made() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        with progress_bar(progress, count) as bar:
            for i in range(count):
                yield augment(pictures[i % len(pictures)], rng)
                bar.update()

    if isinstance(pictures, FileRows):
        made_by = [VERSION, version("pillow"), version("numpy")]
        key = key_of(["views", *made_by, pictures.identity, views, seed])
        about = f"augmented pictures, {'×'.join(map(str, (count, *shape)))}"
        return kept_rows(key, count, shape, made(), about)[0]
    out = np.empty((count, *shape), np.uint8)
    for i, picture in enumerate(made()):
        out[i] = picture
    return out


def augment(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One augmented view of one picture, uint8 (size, size, 3); what moves in is black."""
    size = picture.shape[0]
    angle = np.deg2rad(rng.uniform(-DEGREES, DEGREES))
    zoom = 1 + rng.uniform(-ZOOM, ZOOM)
    shift = rng.uniform(-SHIFT, SHIFT, size=2) * size
    centre = (size - 1) / 2
    # Pillow asks where each new pixel comes from: turn and scale about the centre, then shift.
    a, b = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = (
        a, b, centre - a * (centre + shift[0]) - b * (centre + shift[1]),
        -b, a, centre + b * (centre + shift[0]) - a * (centre + shift[1]),
    )  # fmt: skip
    moved = Image.fromarray(picture).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    light = 1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    return np.clip(np.asarray(moved, np.float32) * light, 0, 255).astype(np.uint8)
