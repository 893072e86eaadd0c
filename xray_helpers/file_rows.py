"""Rows of an array that is too large for the memory: they stay in a file until they are asked for.

A memory map would do the same, and its pages would count as memory of this process; an array of
10 GB that is read once looks then as if it took 10 GB. Here a row is in memory for as long as
somebody uses it.
"""

import hashlib
import mmap
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from xray_helpers.errors import KitError

MOST_IN_MEMORY = 200_000_000
"""Bytes of pictures, or of features, that are held in memory: 1,328 pictures of 224x224."""
SMALL = 32_000_000
"""A selection of up to so many bytes is read and comes as an array: 212 pictures of 224x224."""
MOST_AT_ONCE = 1_000_000_000
"""More bytes than these are not read as one array."""
_READ = 4_000_000  # bytes of neighbouring rows that are read in one go


class FileRows:
    """Rows of an array in a file: in many places as good as the array, read piece by piece.

    `len`, `shape`, `dtype`, `ndim` and `nbytes` are an array's. `rows[5]` is read. A slice, row
    numbers or a mask give an array where that is small (see `SMALL`), and otherwise again rows in
    the file. `np.asarray(rows)` reads all of them, up to `MOST_AT_ONCE`.
    """

    def __init__(
        self,
        path: Path,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype,
        content: str,
        rows: np.ndarray | None = None,
        file: "_OpenFile | None" = None,
    ) -> None:
        """Rows of an array of `shape` that begins at byte `offset` of a file, in C order.

        Args:
            path: the file; it is opened now, and may be removed from then on.
            offset: where the array begins, in bytes.
            shape: of the whole array.
            dtype: its type.
            content: a text that no array with other numbers has.
            rows: which rows these are, int64 (n,); None: all.
            file: the file, where it is open already.

        Raises:
            OSError: the file cannot be opened.
        """
        self._place = (Path(path), offset, tuple(shape), np.dtype(dtype), content)
        self._rows = np.arange(shape[0]) if rows is None else rows
        self._file = file or _OpenFile(Path(path))

    @classmethod
    def of_map(cls, array: np.memmap, content: str = "") -> "FileRows":
        """The same rows as those of a mapped `.npy` file, none of which is in memory then."""
        content = content or f"{array.filename} {array.offset}"
        return cls(Path(array.filename), array.offset, array.shape, array.dtype, content)

    @property
    def shape(self) -> tuple[int, ...]:
        """As an array's."""
        return (len(self._rows), *self._place[2][1:])

    @property
    def dtype(self) -> np.dtype:
        """As an array's."""
        return self._place[3]

    @property
    def ndim(self) -> int:
        """As an array's."""
        return len(self._place[2])

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return len(self) * self._row_bytes

    @property
    def identity(self) -> str:
        """Sixty-four hexadecimal digits that no rows with other numbers have."""
        digest = hashlib.sha256(f"{self._place[4]} {self.dtype} {self.shape}".encode())
        digest.update(np.ascontiguousarray(self._rows, np.int64).data)
        return digest.hexdigest()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def __getitem__(self, key: Any) -> "np.ndarray | FileRows":
        """One row, or some: see above."""
        if isinstance(key, tuple):  # rows first, then places within them
            first, *rest = key
            if isinstance(first, int | np.integer):
                return self[first][tuple(rest)]
            return np.asarray(self[first])[(slice(None), *rest)]
        if np.ndim(self._rows[key]) == 0:
            return self._read(self._rows[[key]])[0]
        some = self.some(key)
        return some.read() if some.nbytes <= SMALL else some

    def some(self, rows: slice | np.ndarray) -> "FileRows":
        """Some of these rows, which stay in the file however few they are."""
        return FileRows(*self._place, self._rows[rows], self._file)

    def read(self) -> np.ndarray:
        """All rows as an array, however many they are."""
        return self._read(self._rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows as an array, for numpy.

        Raises:
            KitError: that would take more than `MOST_AT_ONCE` bytes.
        """
        if self.nbytes > MOST_AT_ONCE:
            raise KitError(
                f"These {len(self):,} rows would take {self.nbytes / 1e9:.1f} GB of memory at "
                "once, and so they stay in their file; take some of them, for instance [:100]."
            )
        return self.read() if dtype is None else self.read().astype(dtype, copy=False)

    def __reduce__(self) -> tuple:
        """Let them travel between processes: the file is opened anew."""
        return FileRows, (*self._place, self._rows)

    def __repr__(self) -> str:
        """Say in a line what they are."""
        return f"<{self.shape} {self.dtype} in {self._place[0]}>"

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self._place[2][1:], dtype=np.int64)) * self.dtype.itemsize

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the file; neighbours are read together."""
        size = self._row_bytes
        out = np.empty((len(rows), size), np.uint8)
        longest = max(1, _READ // max(1, size))
        start = 0
        while start < len(rows):
            end = start + 1
            while end < len(rows) and end - start < longest and rows[end] == rows[end - 1] + 1:
                end += 1
            data = self._file.read(self._place[1] + int(rows[start]) * size, (end - start) * size)
            out[start:end] = np.frombuffer(data, np.uint8).reshape(end - start, size)
            start = end
        return out.view(self.dtype).reshape(len(rows), *self._place[2][1:])


def left_in_file(array: np.ndarray | FileRows) -> np.ndarray | FileRows:
    """A mapped file of more than `MOST_IN_MEMORY` bytes as rows of it; any other array as it is."""
    whole = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    if whole and array.nbytes > MOST_IN_MEMORY and array.flags.c_contiguous:
        return FileRows.of_map(array)
    return array


class _OpenFile:
    """A file open for reading at any place, by several threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, self._number)

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from a place on.

        Raises:
            KitError: the file has become too short.
        """
        data = self._some(offset, size)
        while 0 < len(data) < size:  # a system may give less than it was asked for
            more = self._some(offset + len(data), size - len(data))
            if not more:
                break
            data += more
        if len(data) < size:
            raise KitError(f"{self.path} was cut short while it was read; run again.")
        return data

    def _some(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._number, size, offset)
        with self._lock:  # Windows: the place belongs to the open file
            os.lseek(self._number, offset, os.SEEK_SET)
            return os.read(self._number, size)
