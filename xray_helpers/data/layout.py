"""The layout of a data folder: `two/` and `all/`; in each train, test, perhaps val; then classes.

Names of folders are matched whatever their case. The pictures of a class are all picture files
below its folder, subfolders included (a folder a patient is common); what the system leaves about
(`desktop.ini`, `.DS_Store`, `.ipynb_checkpoints`, `__MACOSX`, hidden files and folders) and files
whose suffix is no picture's are left out. Whether a file really is a picture, `pictures` finds out.
"""

import os
from pathlib import Path

from xray_helpers.errors import KitError

SPLITS = ("train", "validation", "test")
PICTURE_SUFFIXES = frozenset(
    (".jpeg", ".jpg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp")
)

_SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_NOT_PICTURES = frozenset(("desktop.ini", "thumbs.db", "__macosx"))


def is_left_about(name: str) -> bool:
    """Whether a file or folder of that name is none of the user's: hidden, or left by a system."""
    return name.startswith(".") or name.lower() in _NOT_PICTURES


def is_picture_name(name: str) -> bool:
    """Whether a file of that name counts as a picture."""
    return not is_left_about(name) and Path(name).suffix.lower() in PICTURE_SUFFIXES


def subfolders(folder: Path) -> list[Path]:
    """The folders in `folder`, by name, without those that systems leave about."""
    try:
        paths = [p for p in folder.iterdir() if p.is_dir() and not is_left_about(p.name)]
    except PermissionError:
        raise KitError(
            f"You have no permission to list the folder {folder}; give yourself read access."
        ) from None
    return sorted(paths, key=lambda p: p.name)


def found(folder: Path) -> str:
    """The end of an error's sentence: what is there instead, "found: a, b"."""
    names = [p.name for p in subfolders(folder)]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"found: {shown}" if names else "no folders are there"


def data_root(root: Path) -> Path:
    """`root` as an absolute path to an existing folder.

    Raises:
        KitError: it does not exist or is a file.
    """
    root = Path(root).expanduser()
    if root.is_file():
        raise KitError(f"{root} is a file; unpack it and give the folder that holds two/ and all/.")
    if not root.is_dir():
        parent = next((p for p in root.absolute().parents if p.is_dir()), None)
        near = f" ({parent}: {found(parent)})" if parent else ""
        raise KitError(
            f"The data folder {root} does not exist{near}; "
            "give the folder that holds two/ and all/."
        )
    return root.resolve()


def task_folders(root: Path) -> dict[str, Path]:
    """{"two": …, "all": …} as far as they exist, else {".": root} if root holds train/ and test/.

    Empty when the folder is laid out otherwise.
    """
    named = {p.name.lower(): p for p in subfolders(root)}
    both = {name: named[name] for name in ("two", "all") if name in named}
    if not both and {"train", "test"} <= named.keys():
        return {".": root}
    return both


def split_folders(folder: Path) -> dict[str, list[Path]]:
    """{split: its folders} of a task's folder; "val" and "validation" are the validation split."""
    splits: dict[str, list[Path]] = {}
    for path in subfolders(folder):
        if split := _SPLIT_NAMES.get(path.name.lower()):
            splits.setdefault(split, []).append(path)
    return {split: splits[split] for split in SPLITS if split in splits}


def class_folders(split_folder: Path) -> dict[str, list[Path]]:
    """{class in lower case: its folders}; two where only the case of their names differs."""
    classes: dict[str, list[Path]] = {}
    for path in subfolders(split_folder):
        classes.setdefault(path.name.lower(), []).append(path)
    return classes


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The picture files below a folder, and the other files there; both sorted by relative path."""
    pictures: list[Path] = []
    others: list[Path] = []
    for where, _, names in os.walk(folder):
        inside = Path(where).relative_to(folder).parts
        left_about = any(is_left_about(part) for part in inside)
        for name in names:
            is_picture = not left_about and is_picture_name(name)
            (pictures if is_picture else others).append(Path(where) / name)

    def by_name(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    return sorted(pictures, key=by_name), sorted(others, key=by_name)
