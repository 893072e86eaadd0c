"""What `xray doctor` says on a cluster about disks: the project's space, the small home, quotas."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from xray_helpers.cache_room import cache_limit
from xray_helpers.models.weights import weights_folders
from xray_helpers.paths import cache_folder, project_root, runs_folder
from xray_helpers.quota import Quota, home_quota, space_quota

HOME_GB = 10.0  # what a home often holds on a cluster
LITTLE_GB = 1.0
_TRIAL = b"\0" * 1_000_000  # over a quota a file can be made, but nothing be written into it
_MEASURING_SECONDS = 5.0


def space() -> tuple[str, str]:
    """Whether `$XRAY_SPACE` is a folder in the project's space that can be written."""
    named = os.environ.get("XRAY_SPACE")
    if not named:
        return "note", (
            f"XRAY_SPACE is not set, so runs and cache go to {project_root()}; "
            "`source scc/env.sh` sets it to a folder in the project's space."
        )
    folder = Path(named)
    if not folder.is_dir():
        return "problem", f"XRAY_SPACE: there is no folder {folder}; name one in scc/env.sh."
    if trouble := _trouble(folder):
        return "problem", (
            f"{folder} cannot be written ({trouble}); free some space there, or name another "
            "folder in scc/env.sh."
        )
    if _in_home(folder):
        return "note", f"{folder} is in your home; name one in your project's space in scc/env.sh."
    return "ok", str(folder)


def home() -> tuple[str, str]:
    """Whether the home can be written, and what of the kit's lies or would lie there."""
    if trouble := _trouble(Path.home()):
        return "problem", (
            f"{Path.home()} cannot be written ({trouble}), and Jupyter has to; "
            "`du -h --max-depth=1 ~` shows what to delete or to move to the project's space."
        )
    inside = [(what, folder) for what, folder in _folders() if _in_home(folder)]
    if not inside:
        return "ok", "nothing of the kit's goes there"
    until = time.monotonic() + _MEASURING_SECONDS
    sizes = ", ".join(f"{what} {_size(folder, until) / 1e9:.1f}" for what, folder in inside)
    least = "at least " if time.monotonic() > until else ""
    growing = f" (features may take {cache_limit() / 1e9:g} GB)" if "cache" in dict(inside) else ""
    return "note", (
        f"{least}{sizes} GB of the kit's go there{growing}, and often {HOME_GB:g} GB is all that "
        "fits; `source scc/env.sh` puts new ones into the project's space."
    )


def quota() -> tuple[str, str]:
    """How much more may be written, to the home and to the project's space."""
    named = Path(os.environ.get("XRAY_SPACE") or project_root())
    folder = named if named.is_dir() else project_root()
    home_left, home_words = _left("home", Path.home(), home_quota())
    space_left, space_words = _left("space", folder, space_quota(folder))
    found = f"{home_words}; {space_words}"
    if min(home_left, space_left) < LITTLE_GB * 1e9:
        return "note", f"{found}; that is little, so delete what you do not need."
    return "ok", found


def _left(what: str, folder: Path, quota: Quota | None) -> tuple[float, str]:
    """Bytes that may still be written below a folder, as far as that is known, and in words."""
    if quota:
        return quota.left, f"{what} {quota.used / 1e9:.1f} of {quota.limit / 1e9:.1f} GB used"
    free = shutil.disk_usage(folder).free
    return free, (
        f"{what} {free / 1e9:.1f} GB free on a disk that others share, your part of it unknown"
    )


def _folders() -> Iterator[tuple[str, Path]]:
    """What the kit and its tools write to, and where; the slowest to measure last."""
    yield "runs", runs_folder()
    yield "cache", cache_folder()
    yield "weights", weights_folders()[0]
    for what, variable, usual in (
        ("matplotlib", "MPLCONFIGDIR", ".config/matplotlib"),
        ("CUDA", "CUDA_CACHE_PATH", ".nv/ComputeCache"),
        ("pip", "PIP_CACHE_DIR", ".cache/pip"),
        ("conda", "CONDA_PKGS_DIRS", ".conda/pkgs"),
    ):
        yield what, Path(os.environ.get(variable) or Path.home() / usual)
    yield "environment", Path(sys.prefix)


def _in_home(folder: Path) -> bool:
    return folder.resolve().is_relative_to(Path.home().resolve())


def _trouble(folder: Path) -> str:
    """Why nothing can be written into a folder; "" where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_TRIAL)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _size(folder: Path, until: float) -> int:
    """Bytes of the files in a folder, or, later than `until`, of those seen by then."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if time.monotonic() > until:
                return total
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total
