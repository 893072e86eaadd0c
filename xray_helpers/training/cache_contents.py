"""What lies in the cache folder, and how to empty it: `xray cache`.

All of it can be made again but for weights files, which somebody fetched: those stay.
"""

import contextlib
import re
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from xray_helpers import cache_room as room
from xray_helpers.data.generate import is_generated
from xray_helpers.errors import KitError
from xray_helpers.paths import cache_folder

_RESULT = re.compile(r"[0-9a-f]{32}\.json")
_RESULT_PART = re.compile(r"\.[0-9a-f]{32}\.json\.\d+\.part")
_DRAWING = re.compile(r"\..+-[0-9a-f]{8}\.part")
_DAY = 86_400


@dataclass(frozen=True)
class Item:
    """A line of `xray cache`.

    Attributes:
        kind: "features" (what frozen layers say), "pictures" (decoded, more than the memory
            should hold), "jobs" (results of searches), "generated" (drawn pictures), "downloads"
            (unfinished ones) or "weights".
        name: its path below the cache folder.
        about: what is in it.
        size: bytes.
        used: seconds since 1970: of features and pictures when they were last used, else last
            written.
    """

    kind: str
    name: str
    about: str
    size: int
    used: float


def contents() -> list[Item]:
    """What the kit keeps in the cache folder, kind by kind, what is longest unused first.

    Raises:
        KitError: there is a file in place of the folder.
    """
    root = cache_folder()
    if root.is_file():
        raise KitError(f"{root} is a file; move it away, or name a folder with XRAY_CACHE.")
    items = [
        Item(e.kind, f"{e.kind}/{e.folder.name}", e.about or "damaged", e.size, e.used)
        for e in sorted(room.entries(), key=lambda entry: room.KINDS.index(entry.kind))
    ]
    results = [file for file in _inside(root / "jobs") if _RESULT.fullmatch(file.name)]
    if results:
        items.append(_item("jobs", root / "jobs", f"{len(results)} results", results))
    for folder in _inside(root / "generated"):
        if is_generated(folder):
            items.append(_item("generated", folder, "drawn pictures", [folder]))
    for path in _inside(root / "downloads"):
        items.append(_item("downloads", path, "gone on with by `xray data get`", [path]))
    for file in _inside(root / "weights"):
        items.append(_item("weights", file, "stays with --clear", [file]))
    return items


def others() -> list[str]:
    """Names of what `clear` leaves: not the kit's, or being written at this moment."""
    root = cache_folder()
    kinds = {*room.KINDS, "jobs", "generated", "downloads", "weights"}
    found = [path for path in _inside(root) if path.name not in kinds]
    entries = {entry.folder for entry in room.entries()}
    for kind in room.KINDS:
        found += [path for path in _inside(root / kind) if path not in entries]
    found += [path for path in _inside(root / "jobs") if not _RESULT.fullmatch(path.name)]
    found += [path for path in _inside(root / "generated") if not is_generated(path)]
    return [path.relative_to(root).as_posix() for path in found]


def clear() -> int:
    """Empty the cache of features, pictures, results and downloads left for a day.

    Returns the bytes freed. Whatever else lies there stays, and so does what a living process is
    writing.
    """
    root = cache_folder()
    contents()  # refuses a file
    freed = room.clear()
    for file in _inside(root / "jobs"):
        if _RESULT.fullmatch(file.name) or (_RESULT_PART.fullmatch(file.name) and _old(file)):
            freed += _remove(file)
    for folder in _inside(root / "generated"):
        if is_generated(folder) or (_DRAWING.fullmatch(folder.name) and _old(folder)):
            freed += _remove(folder)
    for path in _inside(root / "downloads"):
        if _old(path):
            freed += _remove(path)
    for kind in (*room.KINDS, "jobs", "generated", "downloads"):
        with contextlib.suppress(OSError):  # not there, or not empty
            (root / kind).rmdir()
    return freed


def as_json(items: list[Item]) -> dict[str, Any]:
    """What `xray cache --json` prints."""
    return {
        "folder": str(cache_folder()),
        "limit_gb": room.cache_limit() / 1e9,
        "total_bytes": sum(item.size for item in items),
        "other": others(),
        "items": [asdict(item) | {"used": _when(item.used).isoformat()} for item in items],
    }


def as_text(items: list[Item]) -> str:
    """What `xray cache` prints: a line an item, then sums."""
    lines = [
        f"{item.kind:9}  {megabytes(item.size):>10}  {_when(item.used):%Y-%m-%d %H:%M}  "
        f"{item.name[:30]:30}  {item.about}".rstrip()
        for item in items
    ]
    limited = sum(item.size for item in items if item.kind in room.KINDS)
    lines.append(f"In all {megabytes(sum(item.size for item in items))} in {cache_folder()}.")
    lines.append(
        f"Features and decoded pictures take {megabytes(limited)}; beyond "
        f"{room.cache_limit() / 1e9:g} GB (XRAY_CACHE_GB), those not used for the longest time go."
    )
    if others():
        lines.append(f"Not the kit's, or being written: {', '.join(others())}.")
    return "\n".join(lines)


def megabytes(size: float) -> str:
    """Bytes as megabytes (1,000,000 bytes), for people."""
    return f"{size / 1e6:,.1f} MB"


def _item(kind: str, path: Path, about: str, of: list[Path]) -> Item:
    files = [file for part in of for file in _files(part)]
    used = max((file.stat().st_mtime for file in files), default=path.stat().st_mtime)
    name = path.relative_to(cache_folder()).as_posix()
    return Item(kind, name, about, sum(f.stat().st_size for f in files), used)


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, links left out; nothing where there is no folder."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.iterdir() if not path.is_symlink())
    return []


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]


def _old(path: Path) -> bool:
    """Whether nobody has written it for a day."""
    return time.time() - path.stat().st_mtime > _DAY


def _remove(path: Path) -> int:
    """Remove a file or folder; the bytes freed."""
    size = sum(file.stat().st_size for file in _files(path))
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
    return 0 if path.exists() else size


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds)).astimezone()
