"""How much room kept arrays may take, which of them go first, and what killed processes left.

An entry that a process reads can be removed without disturbing it: on Linux and macOS a mapped
file stays readable after it lost its name, and Windows does not let go of it, so there it stays.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.paths import cache_folder
from xray_helpers.processes import is_alive

META = "entry.json"
KINDS = ("features", "pictures")
"""What entries hold, and the folders they lie in: what frozen layers say, and decoded pictures."""
USUAL_GB = 10.0
_DAY = 86_400  # seconds
_KEY = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(rf"\.{_KEY.pattern}-(?P<pid>\d+)@(?P<host>.+)-[0-9a-f]+\.part")
_FILE = re.compile(rf"\d\d\.npy|{re.escape(META)}")


@dataclass(frozen=True)
class Entry:
    """What is known of an entry without reading its arrays.

    Attributes:
        folder: where it lies; the name is its key, that of the folder around it its kind.
        about: what the arrays are, "" where that cannot be read.
        size: bytes on disk.
        used: when it was last read or written, seconds since 1970.
    """

    folder: Path
    about: str
    size: int
    used: float

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.folder.parent.name


def folder_of(kind: str) -> Path:
    """Where the entries of a kind lie."""
    return cache_folder() / kind


def features_folder() -> Path:
    """Where what frozen layers say lies."""
    return folder_of("features")


def cache_limit() -> float:
    """Bytes that the entries may take together: `$XRAY_CACHE_GB`, else 10, times 1,000,000,000.

    Raises:
        KitError: it is no size.
    """
    text = os.environ.get("XRAY_CACHE_GB") or str(USUAL_GB)
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not size >= 0:
        raise KitError(
            f"XRAY_CACHE_GB={text!r} is no size; give gigabytes, for instance 10, or 0 to keep "
            "nothing."
        )
    return size * 1e9


def entries() -> list[Entry]:
    """All entries, the one not used for the longest time first."""
    found = []
    for folder in _folders(_KEY):
        with contextlib.suppress(OSError):  # another process removes it just now
            files = [file.stat() for file in folder.iterdir()]
            meta = folder / META
            used = meta.stat().st_mtime if meta.is_file() else 0.0
            found.append(Entry(folder, _about(meta), sum(f.st_size for f in files), used))
    return sorted(found, key=lambda entry: entry.used)


def clear() -> int:
    """Remove every entry and what killed processes left; nothing else. Return the bytes freed."""
    freed = sum(entry.size for entry in entries() if remove(entry.folder))
    return freed + remove_leftovers()


def make_room(but: Path) -> None:
    """Remove the entries not used for the longest time, until the rest is below the limit."""
    kept = entries()
    excess = sum(entry.size for entry in kept) - cache_limit()
    for entry in kept:
        if excess <= 0:
            return
        if entry.folder != but and remove(entry.folder):
            excess -= entry.size


def part_of(folder: Path) -> Path:
    """What an entry is called while it is written or removed: it tells whose process does it."""
    whose = f"{os.getpid()}@{socket.gethostname()}"
    return folder.with_name(f".{folder.name}-{whose}-{secrets.token_hex(3)}.part")


def remove(folder: Path) -> bool:
    """Remove an entry, first its name: no process finds half of it. False where that fails."""
    part = part_of(folder)
    try:
        if any(not _FILE.fullmatch(file.name) for file in folder.iterdir()):
            return False  # somebody keeps a file of their own there
        folder.rename(part)
    except OSError:  # another process removed it, or reads it on Windows, or it may only be read
        return not folder.is_dir()
    _delete(part)
    return True


def remove_leftovers() -> int:
    """Delete what was being written or removed when its process was killed; return the bytes.

    Dead for sure is a process of this machine that no longer runs. Of other machines' processes
    nothing is known; what they have not touched for a day is left over.
    """
    freed = 0
    for part in _folders(_PART):
        with contextlib.suppress(OSError):
            name = _PART.fullmatch(part.name)
            here = name["host"] == socket.gethostname()
            if (here and not is_alive(int(name["pid"]))) or (
                time.time() - part.stat().st_mtime > _DAY
            ):
                freed += _delete(part)
    return freed


def _folders(name: re.Pattern) -> list[Path]:
    """The folders among the entries whose names are like `name`; links are not the kit's."""
    inside: list[Path] = []
    for kind in KINDS:
        with contextlib.suppress(OSError):  # not there, or may not be read
            inside += sorted(folder_of(kind).iterdir())
    return [f for f in inside if name.fullmatch(f.name) and f.is_dir() and not f.is_symlink()]


def _delete(folder: Path) -> int:
    """Delete the kit's own files in `folder`, and the folder if it is then empty; bytes freed."""
    freed = 0
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if _FILE.fullmatch(file.name):
                size = file.stat().st_size
                file.unlink()
                freed += size
        folder.rmdir()
    return freed


def _about(meta: Path) -> str:
    try:
        return str(json.loads(meta.read_text(encoding="utf-8"))["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
