"""Folders with very many pictures: 1,000 drawn ones, each varied again and again."""

from pathlib import Path

import numpy as np
from PIL import Image

from xray_helpers.data.generate import draw
from xray_helpers.data.pictures import in_threads

DRAWN = 1000
SIDE = 64  # pixels
MARGIN = 4  # pixels that a picture may be shifted by
CLASSES = ("covid", "normal")
_FIFTH = 5  # each fifth patient is in test


def draw_patients(number: int = DRAWN, progress: str | None = None) -> list[np.ndarray]:
    """One picture of each of so many made-up patients, uint8, a little larger than `SIDE`.

    The classes take turns: patient 0 has covid, patient 1 is healthy.
    """

    def one(patient: int) -> np.ndarray:
        rng = np.random.default_rng([0, patient])
        return draw(CLASSES[patient % len(CLASSES)], rng, SIDE + 2 * MARGIN)[0]

    return list(in_threads(one, range(number), progress))


def write_folder(root: Path, drawn: list[np.ndarray], pictures: int) -> None:
    """Write `root/two/…`, so many pictures: of the drawn patients, one after the other.

    Each picture is shifted, made brighter or darker and given noise of its own. The names tell
    the patient, so that all pictures of one are in the same split; a fifth of the patients are
    in test. They tell too that the pictures are generated, so that every run on them is marked.
    """
    for split in ("train", "test"):
        for label in CLASSES:
            (root / "two" / split / label).mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        patient, view = number % len(drawn), number // len(drawn)
        split = "test" if patient // len(CLASSES) % _FIFTH == 0 else "train"
        folder = root / "two" / split / CLASSES[patient % len(CLASSES)]
        picture = varied(drawn[patient], np.random.default_rng([1, number]))
        Image.fromarray(picture).save(folder / f"gen-{patient:04d}-{view + 1}.jpeg", quality=90)

    for _ in in_threads(write, range(pictures), None):
        pass


def varied(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A view of a drawn picture, uint8 (SIDE, SIDE)."""
    top, left = rng.integers(0, 2 * MARGIN + 1, 2)
    view = picture[top : top + SIDE, left : left + SIDE].astype(np.float32)
    view = view * rng.uniform(0.9, 1.1) + rng.normal(0, 3, view.shape)
    return np.clip(view, 0, 255).astype(np.uint8)
