"""Arrays kept on disk under a key that says what they were made of.

An entry is a folder, `cache/features/<key>/`: one `.npy` file an array, and `entry.json` with a
checksum of each and what they are. It is written beside its place and renamed when it is whole:
whoever is killed, or writes the same at the same time, what has the name is whole.

Disks change bytes, and people cut files short. So each reading compares the checksums (CRC-32: it
finds every changed byte, and 2 GB a second are checked, less than reading them from a disk
takes). What does not agree is removed and made anew, never used. The arrays are mapped, not
loaded: processes share one copy, and memory that others need is given back.
"""

import contextlib
import functools
import json
import os
import shutil
import sys
import zlib
from collections.abc import Sequence
from io import BufferedWriter
from pathlib import Path

import numpy as np

from xray_helpers.training.cache_room import (
    META,
    cache_limit,
    features_folder,
    make_room,
    part_of,
    remove,
    remove_leftovers,
)


def read(key: str) -> list[np.ndarray] | None:
    """The arrays kept under `key`, mapped and read-only; None where there are none to be trusted.

    An entry that is damaged is said to be so and removed.
    """
    folder = features_folder() / key
    try:
        entry = json.loads((folder / META).read_text(encoding="utf-8"))
        files = [folder / _name(i) for i in range(len(entry["crc32"]))]
        if [_checksum(file) for file in files] != entry["crc32"]:
            raise ValueError("a checksum that does not agree")
        arrays = [np.load(file, mmap_mode="r") for file in files]
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        if folder.is_dir():  # else nothing was kept, or another process has just removed it
            _say(f"{folder} is damaged (cut short or changed): it is not used but made anew.")
            remove(folder)
        return None
    with contextlib.suppress(OSError):  # a folder that may only be read
        os.utime(folder / META)
    return arrays


def keep(key: str, arrays: Sequence[np.ndarray], about: str) -> None:
    """Keep arrays under `key`, whole or not at all; say in a sentence where that fails.

    Args:
        key: 32 hexadecimal digits.
        arrays: of numpy's own dtypes.
        about: what they are, for `xray cache`.
    """
    place, size = features_folder(), sum(array.nbytes for array in arrays)
    if size > cache_limit():
        _say_once(
            f"What the frozen layers say takes {size / 1e9:.3g} GB, more than the cache may hold "
            f"({cache_limit() / 1e9:g} GB): it is not kept; set XRAY_CACHE_GB higher."
        )
        return
    part = part_of(place / key)
    try:
        place.mkdir(parents=True, exist_ok=True)
        remove_leftovers()
        part.mkdir()
        entry = {
            "about": about,
            "crc32": [_write(part / _name(i), a) for i, a in enumerate(arrays)],
        }
        (part / META).write_text(json.dumps(entry), encoding="utf-8")
        part.rename(place / key)
        make_room(but=key)
    except OSError as error:
        if not os.access(place / key, os.F_OK):  # else another process was quicker
            _say_once(
                f"What the frozen layers say could not be kept in {place} "
                f"({error.strerror or error}) and will be computed again; free some space "
                "(`xray cache --clear`), or name another folder with XRAY_CACHE."
            )
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _name(number: int) -> str:
    return f"{number:02d}.npy"


class _Summing:
    """A file that sums up what is written to it."""

    def __init__(self, file: BufferedWriter) -> None:
        self.file, self.crc32 = file, 0

    def write(self, data: bytes) -> int:
        self.crc32 = zlib.crc32(data, self.crc32)
        return self.file.write(data)


def _write(path: Path, array: np.ndarray) -> int:
    """Write an array as `.npy`; the checksum is that of what was to be written."""
    with path.open("wb") as file:
        summing = _Summing(file)
        np.save(summing, array)
    return summing.crc32


def _checksum(path: Path) -> int:
    crc32 = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc32 = zlib.crc32(block, crc32)
    return crc32


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


_say_once = functools.cache(_say)  # a folder that cannot be written is heard of once, not each time
