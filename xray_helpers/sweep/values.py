"""Text -> the values of settings, as `papermill -p` reads them; a table of tasks."""

import csv
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError


def parse_value(text: str) -> Any:
    """`True`, `False` and `None`, a whole number, a number, or the text itself."""
    text = text.strip()
    words = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_values(text: str) -> list[Any]:
    """What stands between the commas, each as `parse_value` reads it."""
    return [parse_value(part) for part in text.split(",") if part.strip()]


def read_table(path: Path) -> list[dict[str, Any]]:
    """A table of tasks: names of settings in the first line, tabs between columns, a row a task.

    An empty cell leaves the setting at its default; lines that begin with # are passed over.
    Values may hold commas, which those of `--grid` cannot.

    Raises:
        KitError: the file cannot be read, a row has too many cells, or there is no row.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise KitError(f"--file: there is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(f"--file: {path} cannot be read as text ({error}).") from error
    kept = [(n, x) for n, x in enumerate(lines, 1) if x.strip() and not x.startswith("#")]
    if len(kept) < 2:
        raise KitError(f"--file: {path} has no task; write settings' names, and a line for each.")
    cells_of = csv.reader((x for _, x in kept), delimiter="\t", quoting=csv.QUOTE_NONE)
    (_, header), *rows = zip((n for n, _ in kept), cells_of, strict=True)
    names = [name.strip() for name in header]
    if "" in names or len(set(names)) < len(names):
        raise KitError(f"--file: the first line of {path} names no setting, or one twice.")
    tasks = []
    for number, cells in rows:
        if len(cells) > len(names):
            raise KitError(
                f"--file: line {number} of {path} has {len(cells)} cells for {len(names)} "
                "settings; put one tab between two cells."
            )
        pairs = zip(names, cells, strict=False)
        tasks.append({name: parse_value(cell) for name, cell in pairs if cell.strip()})
    return tasks
