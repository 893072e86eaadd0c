"""Executed notebooks: which they are, and their code and outputs as Markdown."""

import base64
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.report.shown_table import html_table

MOST_LINES = 80
"""Of longer printed outputs, the middle is left out of the PDF; the notebook has them whole."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Notebook:
    """A notebook with outputs.

    Attributes:
        path: its file.
        cells: its cells, as nbformat has them.
        run: the id of the report's run that it made; "" for a further one.
    """

    path: Path
    cells: list[dict[str, Any]]
    run: str = ""


def read_notebook(path: Path, ids: Iterable[str] = ()) -> Notebook:
    """A notebook file.

    Raises:
        KitError: it cannot be read, or has no outputs.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = content["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KitError(f"{path} is no notebook that can be read ({error}).") from error
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    if not outputs:
        raise KitError(f"{path} has no outputs; run all its cells and save it.")
    return Notebook(path, cells, next((name for name in ids if _made(name, outputs)), ""))


def _made(run: str, outputs: list[dict[str, Any]]) -> bool:
    """Whether the first or the last cell of a notebook said that this is its run."""
    line = re.compile(rf"^(Run|Complete): .*{re.escape(run)}\s*$", re.MULTILINE)
    return any(line.search(_text(output.get("text", ""))) for output in outputs)


def find_executed(ids: Sequence[str], folders: Iterable[Path]) -> dict[str, Notebook]:
    """The newest notebook of each run in these folders and those below: run's id -> notebook."""
    found: dict[str, Notebook] = {}
    for path in _pages(folders):
        try:
            notebook = read_notebook(path, ids)
        except KitError:
            continue
        if notebook.run:
            found[notebook.run] = notebook
    return found


def find_looking(records: Sequence[dict[str, Any]], folders: Iterable[Path]) -> list[Notebook]:
    """The newest `03_tsne` that shows one of these runs, and `07_shortcuts` on their pictures.

    They keep no record: a page counts where it ran to its end without an error and what its cells
    printed names a run, or the folder of pictures, of the records.
    """
    signs = {
        "03_tsne": [f"#{record['id'][-4:]} " for record in records],
        "07_shortcuts": [f"Pictures: {r['data']['root']} " for r in records if "data" in r],
    }
    found: dict[str, Notebook] = {}
    for path in _pages(folders):
        for name, wanted in signs.items():
            with contextlib.suppress(KitError):
                page = read_notebook(path)
                if not any(f'begin("{name}"' in _text(c.get("source", "")) for c in page.cells):
                    continue
                outputs = [o for cell in page.cells for o in cell.get("outputs", [])]
                said = " ".join(_text(o.get("text", "")) for o in outputs)
                if any(o["output_type"] == "error" for o in outputs):
                    continue
                if any(sign in said for sign in wanted):
                    found[name] = page
    return [found[name] for name in signs if name in found]


def _pages(folders: Iterable[Path]) -> list[Path]:
    """All notebooks in these folders and those below, the newest last."""
    paths = {path for folder in folders for path in folder.rglob("*.ipynb")}
    paths = {path for path in paths if ".ipynb_checkpoints" not in path.parts}
    return sorted(paths, key=lambda p: (p.stat().st_mtime, str(p)))


def as_markdown(notebook: Notebook, folder: Path) -> str:
    """A notebook's cells and outputs as Markdown; its pictures are written into `folder`."""
    texts = [f"# {notebook.path.name}"]
    for number, cell in enumerate(notebook.cells, 1):
        source = _text(cell.get("source", ""))
        if not source.strip():
            continue
        if cell["cell_type"] == "code":
            texts.append(_fence(source))
            texts += _outputs(cell, folder, number)
        else:
            texts.append(_lower(source))
    return "\n\n".join(texts) + "\n"


def _outputs(cell: dict[str, Any], folder: Path, number: int) -> Iterator[str]:
    for place, output in enumerate(cell.get("outputs", [])):
        data = output.get("data", {})
        if output["output_type"] == "stream":
            yield _fence(_printed(_text(output["text"])))
        elif output["output_type"] == "error":
            yield _fence(_printed("\n".join(output["traceback"])))
        elif "image/png" in data:
            file = folder / f"cell{number}-{place}.png"
            file.write_bytes(base64.b64decode(_text(data["image/png"])))
            about = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            yield f"![{about or f'Figure of cell {number}'}]({file.name})"
        elif "text/markdown" in data:
            yield _lower(_text(data["text/markdown"]))
        elif found := html_table(_text(data.get("text/html", ""))):
            yield found
        elif "text/plain" in data:
            yield _fence(_printed(_text(data["text/plain"])))


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _printed(text: str) -> str:
    """What a terminal would show: no colours, of progress bars the last state, not too long."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.rstrip().split("\n")]
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        left = len(lines) - 2 * half
        lines = [*lines[:half], f"… {left} lines are in the notebook …", *lines[-half:]]
    return "\n".join(lines)


def _fence(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}\n{text}\n{ticks}" if text.strip() else ""


def _lower(source: str) -> str:
    """A Markdown cell with its headings one level lower: the file's name stands above them."""
    return re.sub(r"^(#{1,5}) ", r"#\1 ", source, flags=re.MULTILINE)
