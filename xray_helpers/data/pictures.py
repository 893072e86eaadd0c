"""Picture files -> uint8 RGB arrays. The one place in the kit that decodes and resizes files.

A picture is turned as its EXIF orientation says, brought to 8 bits (see `eight_bits`), and squashed
to a square with Pillow's bilinear filter, which averages over the source pixels when it shrinks
(antialias). Of a file with several pages or frames the first counts.

The steps that `enhance` names come in here too, once per picture, see `enhance`: `crop` before the
resizing, the others behind it.
"""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from xray_helpers.data.eight_bits import to_8_bits
from xray_helpers.data.enhance import STEPS, chosen_steps, crop
from xray_helpers.errors import KitError
from xray_helpers.progress import progress_bar

A = TypeVar("A")
B = TypeVar("B")

MAX_PIXELS = 89_478_485  # Pillow's own limit: beyond it, a file may be made to fill the memory
_AHEAD = 256  # results that may wait for `in_threads`'s caller


class UnreadablePicture(KitError):
    """A file that is no usable picture: `path` and `reason` (a clause in plain words)."""

    def __init__(self, path: Path, reason: str) -> None:
        """Make the one sentence out of path and reason."""
        super().__init__(f"{path} is not used: {reason}; replace the file or delete it.")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:
        """Let it travel between processes."""
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Unreadable:
    """A picture that `read_pictures` set aside: its path, why, and its place in what was asked."""

    path: str
    reason: str
    index: int


@dataclass(frozen=True)
class PictureFile:
    """A picture file as it lies on disk: format ("JPEG"), Pillow mode ("RGBA"), size in pixels."""

    format: str
    mode: str
    width: int
    height: int


def read_picture(path: Path, size: int, enhance: str = "") -> np.ndarray:
    """One file -> uint8 RGB array of shape (size, size, 3).

    Args:
        path: the file.
        size: side in pixels.
        enhance: names of steps, comma-separated, see `enhance.STEPS`; "" for none.

    Raises:
        UnreadablePicture: missing, empty, cut short, no picture, or too large.
        KitError: `size` is below 1, or `enhance` names no step.
    """
    if size < 1:
        raise KitError(f"The image size is {size}; it must be 1 pixel or more.")
    steps = chosen_steps(enhance)
    _, image = open_picture(path)
    if "crop" in steps:
        image = Image.fromarray(crop(np.asarray(image)))
    picture = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR).convert("RGB"))
    for step in steps:
        if step != "crop":
            picture = STEPS[step](picture)
    return picture


def read_pictures(
    paths: Sequence[Path | str],
    size: int,
    progress: str | None = "Reading pictures",
    enhance: str = "",
) -> tuple[np.ndarray, list[Unreadable]]:
    """Many files -> uint8 array (n, size, size, 3) in the order of `paths`, and what was set aside.

    Files that are no usable pictures are left out of the array and listed, with their index in
    `paths`. Reads in parallel threads, with a progress bar named `progress` unless that is None.
    `enhance` is that of `read_picture`.

    Raises:
        KitError: `size` is below 1, or `enhance` names no step.
    """
    decoded = decode(paths, size, progress, enhance)
    pictures = np.empty((len(paths), size, size, 3), np.uint8)
    unreadable: list[Unreadable] = []
    for index, result in enumerate(decoded):
        if isinstance(result, UnreadablePicture):
            unreadable.append(Unreadable(str(paths[index]), result.reason, index))
        else:
            pictures[index - len(unreadable)] = result
    return pictures[: len(paths) - len(unreadable)], unreadable


def decode(
    paths: Sequence[Path | str], size: int, progress: str | None, enhance: str = ""
) -> Iterator[np.ndarray | UnreadablePicture]:
    """What `read_picture` gives for each file, in order and in parallel threads, or its error.

    Raises:
        KitError: `size` is below 1.
    """
    if size < 1:
        raise KitError(f"The image size is {size}; it must be 1 pixel or more.")

    def read(path: Path | str) -> np.ndarray | UnreadablePicture:
        try:
            return read_picture(Path(path), size, enhance)
        except UnreadablePicture as error:
            return error

    return in_threads(read, paths, progress)


def open_picture(path: Path) -> tuple[PictureFile, Image.Image]:
    """One file, decoded: what lies on disk, and an upright 8-bit image of mode L or RGB.

    Raises:
        UnreadablePicture: missing, empty, cut short, no picture, or too large.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if not head:
                raise UnreadablePicture(path, "the file is empty")
            file.seek(0)
            return _decode(path, file, head)
    except FileNotFoundError:
        raise UnreadablePicture(path, "there is no such file") from None
    except IsADirectoryError:
        raise UnreadablePicture(path, "it is a folder") from None
    except PermissionError:
        raise UnreadablePicture(path, "you have no permission to read it") from None
    except OSError as error:
        raise UnreadablePicture(path, "the disk cannot read it") from error


def _decode(path: Path, file: BinaryIO, head: bytes) -> tuple[PictureFile, Image.Image]:
    too_large = UnreadablePicture(path, f"it has more than {MAX_PIXELS // 10**6} million pixels")
    try:
        image = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except UnidentifiedImageError:
        text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
        what = "it holds text, not a picture" if text else "it is no picture that can be recognised"
        raise UnreadablePicture(path, what) from None
    except Exception as error:  # damaged headers make decoders raise nearly anything
        raise UnreadablePicture(path, "it is damaged") from error
    if image.width * image.height > MAX_PIXELS:
        raise too_large
    facts = PictureFile(image.format or "unknown", image.mode, image.width, image.height)
    try:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise UnreadablePicture(path, "it does not fit into the memory") from None
    except Exception as error:
        reason = "it is damaged or cut short, its pixels cannot be decoded"
        raise UnreadablePicture(path, reason) from error
    try:
        return facts, to_8_bits(image)
    except ValueError as error:
        reason = f"its pixel values (Pillow's mode {facts.mode}) cannot be turned into RGB"
        raise UnreadablePicture(path, reason) from error


def worker_count() -> int:
    """How many threads to use: $NSLOTS (a batch job's share), else the cores we may run on."""
    slots = os.environ.get("NSLOTS", "")
    if slots.isdigit() and int(slots) > 0:
        return int(slots)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def in_threads(function: Callable[[A], B], items: Sequence[A], progress: str | None) -> Iterator[B]:
    """The results of `function` for the items, in their order, computed in parallel threads.

    Shows a progress bar unless `progress`, its name, is None. An interrupt (or an error, or a
    caller that stops asking) ends it at once: what has not begun is dropped. The threads run at
    most `_AHEAD` items ahead of the caller, so that results do not pile up.
    """
    bar = progress_bar(progress, len(items))
    pool = ThreadPoolExecutor(worker_count())
    coming = iter(items)
    try:
        with bar, _no_size_warnings():
            futures = deque(pool.submit(function, item) for item in islice(coming, _AHEAD))
            while futures:
                result = futures.popleft().result()
                futures.extend(pool.submit(function, item) for item in islice(coming, 1))
                yield result
                bar.update()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _no_size_warnings() -> Iterator[None]:
    """Silence Pillow's warning about large pictures: they are refused, with a sentence of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
