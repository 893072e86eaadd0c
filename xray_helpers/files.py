"""Files that appear whole or not at all: written beside their place, then moved there."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from xray_helpers.errors import KitError


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all; numpy numbers become plain ones, NaN becomes null."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; line ends as they are in `text`.

    Raises:
        KitError: the disk is full or the folder cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        KitError: the disk is full or the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise KitError(f"{path} cannot be written: {error.strerror}; free some space.") from error
    finally:
        part.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """`value` as JSON has it: lists, numbers without numpy, None for what is no number."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value
