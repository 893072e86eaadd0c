"""Pictures that are too many for the memory: decoded once, in order, into a file of the cache.

100,000 pictures of 64x64 take 1.2 GB, and training copies them more than once. So above
`file_rows.MOST_IN_MEMORY` (16,276 of 64x64, 1,328 of 224x224) they go to `cache/pictures/`, a few
at a time, under a key made of what the files hold and of how they are decoded; `Dataset.pictures`
are then `FileRows`, which read what a batch needs. The next run on the same pictures finds the
file and decodes nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from xray_helpers import cache, file_rows
from xray_helpers.cache_room import cache_limit, folder_of, remove
from xray_helpers.data.pictures import Unreadable, UnreadablePicture, decode, read_picture
from xray_helpers.disk import check_room
from xray_helpers.errors import KitError
from xray_helpers.file_rows import FileRows

VERSION = 1  # of how pictures are decoded; raised when the same file gives other pixels
KIND = "pictures"
_AT_ONCE = 64  # pictures that are written in one go


def belong_on_disk(pictures: int, size: int) -> bool:
    """Whether so many pictures of `size` pixels a side are read from a file, not held in memory.

    Where the cache may not hold them, they are held in memory all the same, which is said once.

    Raises:
        KitError: `$XRAY_CACHE_GB` is no size.
    """
    needed = pictures * size * size * 3
    if needed <= file_rows.MOST_IN_MEMORY:
        return False
    if needed > cache_limit():
        cache.say_once(
            f"The decoded pictures take {needed / 1e9:.3g} GB, more than the cache may hold "
            f"({cache_limit() / 1e9:g} GB): they are held in memory; set XRAY_CACHE_GB higher."
        )
        return False
    return True


def read_to_disk(
    paths: Sequence[str],
    digests: Sequence[str],
    size: int,
    progress: str | None = "Reading pictures",
    enhance: str = "",
) -> tuple[FileRows, list[Unreadable]]:
    """`read_pictures`, but the pictures go to a file of the cache, or are found there.

    Args:
        paths: the files.
        digests: the SHA-256 of each.
        size: side in pixels.
        progress: name of the progress bar; None for none.
        enhance: as for `read_picture`.

    Returns:
        Pictures, uint8 (n, size, size, 3), in the order of `paths`, and the files set aside.

    Raises:
        KitError: they cannot be written, for instance because the disk is full; `size` is below
            1, or `enhance` names no step.
    """
    made_by = [VERSION, version("pillow"), version("scikit-image") if enhance else ""]
    key = key_of([*made_by, size, enhance, *digests])
    reasons: dict[str, str] = {}  # the place of a file that is no picture -> why

    def rows() -> Iterable[np.ndarray]:
        for place, picture in enumerate(decode(paths, size, progress, enhance)):
            if isinstance(picture, UnreadablePicture):
                reasons[str(place)] = picture.reason
                picture = np.zeros((size, size, 3), np.uint8)  # nobody asks for this row
            yield picture

    # A file that could not be read then, for a disk that was not there, may be read now.
    if any(_can_be_read(paths[int(i)], size) for i in cache.read_facts(key, KIND) or {}):
        remove(folder_of(KIND) / key)
    about = f"pictures, {len(paths)}×{size}×{size}×3"
    pictures, facts = kept_rows(key, len(paths), (size, size, 3), rows(), about, reasons)
    unreadable = [Unreadable(paths[int(i)], reason, int(i)) for i, reason in facts.items()]
    used = np.setdiff1d(np.arange(len(paths)), [u.index for u in unreadable])
    return pictures.some(used), unreadable


def _can_be_read(path: str, size: int) -> bool:
    try:
        read_picture(Path(path), size)
    except UnreadablePicture:
        return False
    return True


def kept_rows(
    key: str,
    count: int,
    shape: tuple[int, ...],
    rows: Iterable[np.ndarray],
    about: str,
    facts: dict[str, Any] | None = None,
) -> tuple[FileRows, dict[str, Any]]:
    """Rows that the cache keeps under `key`; where it has none, they are written there first.

    Args:
        key: 32 hexadecimal digits for all that the rows depend on.
        count: how many there are.
        shape: of one.
        rows: uint8 of that shape, one after the other; only begun where they are not kept yet.
        about: what they are, for `xray cache` and for messages.
        facts: plain values that are full when the last row has been given; kept with the rows.

    Returns:
        The rows, and the facts.

    Raises:
        KitError: they cannot be written.
    """
    found = _kept(key)
    if found is None:
        _write(key, count, shape, rows, about, {} if facts is None else facts)
        found = _kept(key)
    if found is None:
        raise KitError(
            f"{about}: what was written to {folder_of(KIND)} cannot be read again; name a folder "
            "on another disk with XRAY_CACHE."
        )
    return found


def _kept(key: str) -> tuple[FileRows, dict[str, Any]] | None:
    arrays, facts = cache.read(key, KIND), cache.read_facts(key, KIND)
    if arrays is None:
        return None
    if facts is None:
        remove(folder_of(KIND) / key)
        return None
    try:
        return FileRows.of_map(arrays[0], content=key), facts
    except OSError:  # another process has just removed it, to make room
        return None


def _write(
    key: str,
    count: int,
    shape: tuple[int, ...],
    rows: Iterable[np.ndarray],
    about: str,
    facts: dict[str, Any],
) -> None:
    folder = folder_of(KIND)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_room(folder, count * int(np.prod(shape)))
        with cache.new_entry(KIND, key, count, about) as entry:
            coming = iter(rows)
            while some := list(islice(coming, _AT_ONCE)):
                entry.add(np.stack(some))
            entry.facts.update(facts)
    except OSError as error:
        raise KitError(
            f"{about}: they are more than the memory should hold, and cannot be written to "
            f"{folder} ({error.strerror or error}); free some space there (`xray cache --clear`), "
            "or name a folder on another disk with XRAY_CACHE."
        ) from error


def key_of(parts: Sequence[Any]) -> str:
    """Thirty-two hexadecimal digits for plain values."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:32]
