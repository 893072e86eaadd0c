"""Where things are: the project's root and the folders for data, runs and cached work."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def project_root(start: Path | None = None) -> Path:
    """The project's folder: the nearest one, from `start` upwards, that holds the kit.

    Outside the project (a notebook copied elsewhere) it is the folder that the package was
    installed from, and where that is not a project, `start` itself (default: current folder).
    """
    start = (start or Path.cwd()).resolve()
    for folder in [start, *start.parents, PACKAGE.parent]:
        if (folder / "notebooks").is_dir() and (folder / "xray_helpers").is_dir():
            return folder
    return start


def resolve(path: str | Path) -> Path:
    """An absolute path; `~` is the home folder, a relative one counts from the project's root."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else project_root() / path


def below(path: str | Path, root: Path) -> str:
    """`path` as seen from the folder `root`, with `/` on every system; as it is where not below."""
    try:
        return Path(path).relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path)


def runs_folder(setting: str = "auto") -> Path:
    """The folder of all runs: the setting, else `$XRAY_RUNS`, else `runs/`."""
    return resolve(os.environ.get("XRAY_RUNS") or "runs" if setting == "auto" else setting)


def cache_folder() -> Path:
    """The folder for work that can be done again: `$XRAY_CACHE`, else `cache/`."""
    return resolve(os.environ.get("XRAY_CACHE") or "cache")
