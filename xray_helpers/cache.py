"""Arrays kept on disk under a key that says what they were made of.

An entry is a folder, `cache/<kind>/<key>/`: one `.npy` file an array, and `entry.json` with a
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
from collections.abc import Iterator, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np

from xray_helpers.cache_room import (
    META,
    cache_limit,
    folder_of,
    make_room,
    part_of,
    remove,
    remove_leftovers,
)


def read(key: str, kind: str = "features") -> list[np.ndarray] | None:
    """The arrays kept under `key`, mapped and read-only; None where there are none to be trusted.

    An entry that is damaged is said to be so and removed.
    """
    folder = folder_of(kind) / key
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


def read_facts(key: str, kind: str) -> dict[str, Any] | None:
    """What `NewEntry.facts` was when the entry was written; None where it is not to be trusted."""
    try:
        entry = json.loads((folder_of(kind) / key / META).read_text(encoding="utf-8"))
        return entry["facts"] if entry["facts_crc32"] == _sum_of(entry["facts"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(key: str, arrays: Sequence[np.ndarray], about: str) -> None:
    """Keep what frozen layers say under `key`, whole or not at all; say where that fails.

    Args:
        key: 32 hexadecimal digits.
        arrays: of numpy's own dtypes.
        about: what they are, for `xray cache`.
    """
    if not fits(sum(array.nbytes for array in arrays)):
        return
    place = folder_of("features")
    try:
        with _whole_or_not(place / key) as part:
            crc32 = [_write(part / _name(i), array) for i, array in enumerate(arrays)]
            _write_meta(part, about, crc32, {})
    except OSError as error:
        say_not_kept(error)


def fits(size: float) -> bool:
    """Whether so many bytes of what frozen layers say may be kept; says so once where not."""
    if size <= cache_limit():
        return True
    say_once(
        f"What the frozen layers say takes {size / 1e9:.3g} GB, more than the cache may hold "
        f"({cache_limit() / 1e9:g} GB): it is not kept; set XRAY_CACHE_GB higher."
    )
    return False


def say_not_kept(error: OSError) -> None:
    """Say once that what frozen layers say could not be kept, and why."""
    say_once(
        f"What the frozen layers say could not be kept in {folder_of('features')} "
        f"({error.strerror or error}) and will be computed again; free some space "
        "(`xray cache --clear`), or name another folder with XRAY_CACHE."
    )


class NewEntry:
    """An entry that is being written, some rows at a time: see `new_entry`.

    Attributes:
        facts: plain values to be kept with the arrays; may be filled until the entry is whole.
    """

    def __init__(self, part: Path, rows: int) -> None:
        """An entry whose arrays will have so many rows."""
        self.facts: dict[str, Any] = {}
        self._part, self._rows, self._written = part, rows, 0
        self._files: list[_Summing] = []

    def add(self, *arrays: np.ndarray) -> None:
        """The next rows of each array; always as many arrays, of the same types and shapes."""
        if not self._files:
            self._files = [self._begin(i, array) for i, array in enumerate(arrays)]
        for file, array in zip(self._files, arrays, strict=True):
            file.write(np.ascontiguousarray(array).tobytes())
        self._written += len(arrays[0])

    def _begin(self, number: int, array: np.ndarray) -> "_Summing":
        shape = (self._rows, *array.shape[1:])
        file = _Summing((self._part / _name(number)).open("wb"))
        np.lib.format.write_array_header_1_0(
            file, {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
        )
        return file

    def close(self) -> list[int]:
        """Close the files; their checksums."""
        for file in self._files:
            file.file.close()
        return [file.crc32 for file in self._files]

    @property
    def whole(self) -> bool:
        """Whether all rows have been added."""
        return self._written == self._rows


@contextlib.contextmanager
def new_entry(kind: str, key: str, rows: int, about: str) -> Iterator[NewEntry]:
    """Keep arrays that are too large to be held at once, whole or not at all.

    Args:
        kind: see `cache_room.KINDS`.
        key: 32 hexadecimal digits.
        rows: of each array.
        about: what they are, for `xray cache`.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
        ValueError: other than so many rows were added.
    """
    with _whole_or_not(folder_of(kind) / key) as part:
        entry = NewEntry(part, rows)
        try:
            yield entry
        finally:
            crc32 = entry.close()
        if not entry.whole:
            raise ValueError(f"{about}: not all of its {rows} rows were written")
        _write_meta(part, about, crc32, entry.facts)


@contextlib.contextmanager
def _whole_or_not(place: Path) -> Iterator[Path]:
    """A folder beside `place`, for an entry; it takes that name when the block has ended.

    Raises:
        OSError: it cannot be written; not where another process was quicker.
    """
    part = part_of(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers()
        part.mkdir()
        yield part
        part.rename(place)
        make_room(but=place)
    except OSError:
        if not os.access(place, os.F_OK):
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_meta(part: Path, about: str, crc32: list[int], facts: dict[str, Any]) -> None:
    entry = {"about": about, "crc32": crc32, "facts": facts, "facts_crc32": _sum_of(facts)}
    (part / META).write_text(json.dumps(entry), encoding="utf-8")


def _sum_of(facts: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


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


def say_once(sentence: str) -> None:
    """Say it on standard error, once a process."""
    _say_once(sentence)
