"""A folder that appears whole or not at all, and the files that say where its content is from."""

import csv
import hashlib
import io
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from xray_helpers.data.layout import is_left_about
from xray_helpers.errors import KitError
from xray_helpers.files import write_text
from xray_helpers.processes import is_alive

ORIGIN = "ORIGIN.txt"


def is_filled(folder: Path) -> bool:
    """Whether a folder, or a file, is in the way; what systems leave about does not count."""
    if folder.is_dir():
        return any(not is_left_about(path.name) for path in folder.iterdir())
    return folder.exists()


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, which takes its place when the block ends well.

    When it does not, nothing is left; what a killed process of this machine left is removed.

    Raises:
        KitError: `folder` is not empty, or cannot be written.
    """
    if is_filled(folder):
        raise KitError(
            f"{folder} is there and is not empty; name another folder, or move it away first."
        )
    mine = f".{folder.name}.{socket.gethostname()}"
    part = folder.parent / f"{mine}.{os.getpid()}.part"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{mine}.*.part"):
            number = left.name.removeprefix(f"{mine}.").removesuffix(".part")
            if number.isdecimal() and (int(number) == os.getpid() or not is_alive(int(number))):
                shutil.rmtree(left, ignore_errors=True)
        part.mkdir()
        yield part
        if folder.is_dir():  # empty but for what systems leave about
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        raise KitError(
            f"{folder} cannot be written ({error.strerror or error}); free some space, or name "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_own_file(path: Path, column: str, said: Mapping[str, str]) -> None:
    """A sources.csv or patients.csv: columns file (a path relative to its folder) and `column`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", column))
    rows.writerows(sorted(said.items()))
    write_text(path, text.getvalue())


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
