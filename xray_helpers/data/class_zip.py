"""The zip that the class is given: whether a folder is it, and which of its files have changed."""

import hashlib
from pathlib import Path

from xray_helpers.data.patients import class_files

BOTH = ("covid", "normal")  # the classes that are in two/ as well
_ENOUGH = 0.9  # of its pictures, by name


def class_pictures() -> dict[str, dict[str, str]]:
    """Path in the zip -> its row of `class_files.csv`, for all pictures of all/ and of two/."""
    rows = [row for row in class_files() if not row["path"].endswith(".ini")]
    of_all = {row["path"]: row for row in rows}
    of_two = {
        path.replace("all/", "two/", 1): row
        for path, row in of_all.items()
        if path.split("/")[2] in BOTH
    }
    return of_all | of_two


def is_class_data(root: Path) -> bool:
    """Whether most pictures of the zip's all/ are here, by name."""
    named = [path for path in class_pictures() if path.startswith("all/")]
    return sum((root / path).is_file() for path in named) > _ENOUGH * len(named)


def is_original(path: Path, sha256: str, row: dict[str, str]) -> bool:
    """Whether a file is the zip's, byte for byte.

    Args:
        path: the file, read only where its SHA-256 in the zip is not known.
        sha256: of the file.
        row: of `class_files.csv`.
    """
    if row["sha256"]:
        return sha256 == row["sha256"]
    content = path.read_bytes()
    # What git names a file by: the hash of its length and content.
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == row["git_blob_sha1"]
