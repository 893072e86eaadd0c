"""Taking files out of a zip that nobody has looked into, or out of a folder."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xray_helpers.data.layout import is_left_about, is_picture_name
from xray_helpers.disk import check_room
from xray_helpers.errors import KitError
from xray_helpers.progress import progress_bar

TEXT_SUFFIXES = frozenset((".csv", ".txt", ".md"))
_CHUNK = 1 << 20


class NotIt(KitError):
    """A zip or folder that is damaged, unsafe or not what it should be."""


@dataclass(frozen=True)
class Limits:
    """What a zip may hold; pictures hardly shrink when they are packed, a bomb is all shrinking.

    Attributes:
        size: bytes of all files taken out.
        files: entries.
        ratio: bytes taken out for each byte of the zip, once `free` bytes are passed.
        free: bytes below which the ratio does not count.
    """

    size: int = 4_000_000_000
    files: int = 100_000
    ratio: float = 20.0
    free: int = 50_000_000


def take_out(
    given: Path,
    into: Path,
    *,
    text: str | None = "Unpacking",
    limits: Limits = Limits(),
) -> None:
    """Put the pictures and text files of a zip, or of a folder, into the folder `into`.

    Their folders are kept. Left out is what is no picture and no text, and what systems leave
    about (`__MACOSX`, `desktop.ini`, hidden files).

    Raises:
        KitError: there is no such file, or the disk has no room.
        NotIt: it is no zip, is damaged, or holds a way out of the folder, a link, a password or
            more than the limits allow.
    """
    into.mkdir(parents=True, exist_ok=True)
    if given.is_dir():
        _copy(given, into, text)
    elif given.is_file():
        _unzip(given, into, text, limits)
    else:
        raise KitError(f"There is no {given}; give the zip, or the folder it was unpacked to.")


def _wanted(path: PurePosixPath) -> bool:
    """Whether a file, by its name and its folders' names, is to be taken out."""
    if any(is_left_about(part) for part in path.parts):
        return False
    return is_picture_name(path.name) or path.suffix.lower() in TEXT_SUFFIXES


def _copy(given: Path, into: Path, text: str | None) -> None:
    found = []
    for where, _, names in os.walk(given):  # does not follow links to folders
        for name in names:
            path = Path(where) / name
            inside = path.relative_to(given)
            if _wanted(PurePosixPath(inside.as_posix())) and not path.is_symlink():
                found.append((path, into / inside))
    check_room(into, sum(path.stat().st_size for path, _ in found))
    with progress_bar(text, len(found), unit="file") as bar:
        for path, target in found:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            bar.update()


def _unzip(given: Path, into: Path, text: str | None, limits: Limits) -> None:
    try:
        with zipfile.ZipFile(given) as archive:
            entries = list(_entries(archive, given, limits))
            announced = sum(entry.file_size for entry, _ in entries)
            if announced > limits.size:
                raise _refused(given, f"holds {announced / 1e9:,.0f} GB")
            check_room(into, announced)
            budget = _Budget(given, limits)
            with progress_bar(text, len(entries), unit="file") as bar:
                for entry, path in entries:
                    _write(archive, entry, into / path, budget)
                    bar.update()
    except zipfile.BadZipFile as error:
        raise NotIt(
            f"{given} is no zip, or is cut short or damaged ({error}); fetch it again."
        ) from error
    except (zlib.error, EOFError, NotImplementedError) as error:
        raise NotIt(f"{given} is damaged or packed oddly ({error}); fetch it again.") from error


def _entries(
    archive: zipfile.ZipFile, given: Path, limits: Limits
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The entries to take out with their paths; all entries are looked at, wanted or not."""
    if len(archive.infolist()) > limits.files:
        raise _refused(given, f"holds {len(archive.infolist()):,} files")
    seen = set()
    for entry in archive.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise _refused(given, f"holds {entry.filename!r}, which lies outside of its folder")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(given, f"holds {entry.filename!r}, which is a link or no plain file")
        if entry.is_dir() or not _wanted(path):
            continue
        if entry.flag_bits & 0x1:
            raise _refused(given, "has a password")
        # One file on systems that do not tell upper case from lower case.
        if (name := str(path).lower()) in seen:
            raise _refused(given, f"holds {entry.filename!r} twice")
        seen.add(name)
        yield entry, path


class _Budget:
    """Counts the bytes really written, whatever the zip says of itself."""

    def __init__(self, given: Path, limits: Limits) -> None:
        self.given, self.limits, self.written = given, limits, 0
        self.packed = given.stat().st_size

    def spend(self, size: int) -> None:
        self.written += size
        much = self.written > self.limits.free
        if self.written > self.limits.size or (
            much and self.written > self.limits.ratio * self.packed
        ):
            raise _refused(self.given, f"unpacks to more than {self.written / 1e6:,.0f} MB")


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, budget: _Budget) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as packed, target.open("xb") as file:
        while chunk := packed.read(_CHUNK):
            budget.spend(len(chunk))
            file.write(chunk)


def _refused(given: Path, why: str) -> NotIt:
    return NotIt(f"{given} is not unpacked: it {why}; get the zip from its publisher again.")
