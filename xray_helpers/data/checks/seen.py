"""What the checks look at, and what they find."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from xray_helpers.data.enhance import crop
from xray_helpers.data.file_numbers import SIDE, STRIP, file_numbers, grey_square
from xray_helpers.data.layout import SPLITS, class_folders, split_folders
from xray_helpers.data.near_copies import HASH_SIDE
from xray_helpers.data.pictures import PictureFile, open_picture
from xray_helpers.data.table import TASK_CLASSES

BLOCKS = 32  # the picture is divided into 32x32 blocks; their means are what is compared


@dataclass(frozen=True)
class Finding:
    """One thing found: kind, severity ("error", "warning", "note"), a sentence, the paths meant.

    Paths are relative to the data folder, with forward slashes.
    """

    kind: str
    severity: str
    message: str
    paths: list[str]


@dataclass(frozen=True, eq=False)
class Measured:
    """What is kept of one picture.

    Attributes:
        file: format, mode and size of the file.
        numbers: float64 (10,), see `file_numbers.NAMES`.
        block_sums: of the brightness in 32x32 blocks of 7x7 pixels, uint16 (32, 32): a quarter of
            the memory of their means, which are `blocks`.
        flat: share of the picture that is a border of one brightness, 0 to 1.
        rim: mean brightness of the outermost strips at all four sides, 0 to 255.
        hash: perceptual hash, bool (256,).
    """

    file: PictureFile
    numbers: np.ndarray
    block_sums: np.ndarray
    flat: float
    rim: float
    hash: np.ndarray

    @property
    def blocks(self) -> np.ndarray:
        """Mean brightness of 32x32 blocks, 0 to 255, float64 (32, 32)."""
        return self.block_sums / (SIDE // BLOCKS) ** 2


def measure(path: Path) -> Measured:
    """Decode one picture and keep what the checks need.

    Raises:
        UnreadablePicture: missing, empty, cut short, no picture, or too large.
    """
    file, image = open_picture(path)
    grey = grey_square(image)
    step = SIDE // BLOCKS
    rim = np.ones((SIDE, SIDE), bool)
    rim[STRIP:-STRIP, STRIP:-STRIP] = False
    return Measured(
        file=file,
        numbers=file_numbers((file.width, file.height), file.mode, file.format, grey),
        block_sums=grey.reshape(BLOCKS, step, BLOCKS, step).sum(axis=(1, 3), dtype=np.uint16),
        flat=1 - crop(grey).size / grey.size,
        rim=float(grey[rim].mean()),
        hash=imagehash.phash(Image.fromarray(grey), hash_size=HASH_SIDE).hash.ravel(),
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """What the checks look at.

    `table` has a row a picture file: the columns of `read_table` with `path` relative to the data
    folder, and folder ("two", "all", "."), sha256 ("" where unreadable), reason ("" where
    readable), format, mode, width, height (missing where unreadable). `measured` has what was
    measured of each distinct picture, by its sha256. `kinds` names the folders that hold other
    classes than the tasks' (see `data/three.py`), each with its classes; `notes` are sentences
    about how they were read.
    """

    root: Path
    folders: dict[str, Path]
    table: pd.DataFrame
    measured: dict[str, Measured]
    kinds: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @cached_property
    def readable(self) -> pd.DataFrame:
        """The rows of the pictures that can be read."""
        return self.table[self.table["reason"] == ""]

    def distinct(self, folder: str) -> pd.DataFrame:
        """The readable rows of a folder, one of each picture."""
        of_folder = self.readable[self.readable["folder"] == folder]
        return of_folder.drop_duplicates("sha256")

    def relative(self, path: Path) -> str:
        """A path as findings show it."""
        return path.relative_to(self.root).as_posix()

    def classes(self, folder: str) -> tuple[str, ...]:
        """The classes a folder must hold: those of the task that it is for."""
        if folder in self.kinds:
            return self.kinds[folder]
        if folder == ".":
            only_task2 = set(TASK_CLASSES["task2"]) - set(TASK_CLASSES["task1"])
            return TASK_CLASSES["task2" if only_task2 & labels(self.folders[folder]) else "task1"]
        return TASK_CLASSES["task2" if folder == "all" else "task1"]


def labels(folder: Path) -> set[str]:
    """The names of all class folders in a folder's splits, in lower case."""
    splits = split_folders(folder).values()
    return {label for paths in splits for path in paths for label in class_folders(path)}


def place(folder: str, *inside: str) -> str:
    """A folder as messages name it: "all/train", or "train" where the data folder holds it."""
    return "/".join(part for part in (folder, *inside) if part != ".") or "The data folder"


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "train, validation and test"."""
    words = sorted(words, key=lambda word: (SPLITS.index(word) if word in SPLITS else 0, word))
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def number(n: int, noun: str) -> str:
    """A number with its noun: "1 file", "2 files"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
