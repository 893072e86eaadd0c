"""What is handed in: one PDF (code of task 1, of task 2, report), and one zip with everything."""

import hashlib
import io
import re
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.files import write_bytes
from xray_helpers.paths import project_root
from xray_helpers.report.chosen import Chosen, named
from xray_helpers.report.executed import (
    Notebook,
    as_markdown,
    find_executed,
    find_looking,
    read_notebook,
)
from xray_helpers.report.fill import REPORT, read_report, runs_in, write_pages
from xray_helpers.report.pdf import Part, write_pdf
from xray_helpers.runs.record import all_marks

SETTINGS = "submit.toml"
SUMS = "SHA256SUMS"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LEFT_OUT = (".keras", ".part")


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes:
        pdf, zip: the two files to hand in.
        files: what is in the zip: its path there, its size in bytes.
        notes: what the student should know, in sentences.
    """

    pdf: Path
    zip: Path
    files: list[tuple[str, int]]
    notes: list[str]


def names_from(course: str | None, assignment: str | None, student: str | None) -> str:
    """`<course>-<assignment>-<student>`, from options or from `submit.toml` in the project.

    Raises:
        KitError: one is not given or no name for a file; `submit.toml` cannot be read.
    """
    path = project_root() / SETTINGS
    try:
        known = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise KitError(f"{path} cannot be read ({error}).") from error
    given = {"course": course, "assignment": assignment, "student": student}
    parts = {name: str(value or known.get(name, "")) for name, value in given.items()}
    for name, value in parts.items():
        if not value:
            raise KitError(
                f'The {name} is not known: give --{name}, or write a line {name} = "…" into {path}.'
            )
        if not _NAME.fullmatch(value):
            raise KitError(
                f"{name} = '{value}' is no part of a file's name; take letters without accents, "
                "digits, '-', '_' and '.'."
            )
    return "-".join(parts.values())


def pack(name: str, folder: Path, runs: Path, notebooks: Sequence[Path] = ()) -> Packed:
    """Make `<name>.pdf` and `<name>.zip` in the report's folder: both, or neither.

    Args:
        name: see `names_from`.
        folder: the report's folder.
        runs: the folder of all runs.
        notebooks: executed notebooks; for runs of the report that none of them made, the newest
            one in `notebooks/` and in the folder of runs is taken, and so are the newest 03_tsne
            of these runs and 07_shortcuts of their pictures.

    Raises:
        KitError: the report is about no runs; a task has no executed notebook; a given one has no
            outputs; a file cannot be read or written.
    """
    text = read_report(folder / REPORT)
    ids = runs_in(text)
    if not ids:
        raise KitError(f"{folder / REPORT} is about no runs yet; run `xray report` first.")
    chosen = named(runs, ids)
    taken, notes = _notebooks(chosen, notebooks, [project_root() / "notebooks", runs])
    write_pages(folder, chosen)
    pdf = _pdf(name, folder, text, chosen, taken)
    files = dict(_files(folder, chosen, taken))
    packed = _zip(name, files)
    pdf_path, zip_path = folder / f"{name}.pdf", folder / f"{name}.zip"
    earlier = pdf_path.read_bytes() if pdf_path.is_file() else None
    write_bytes(pdf_path, pdf)
    try:
        write_bytes(zip_path, packed)
    except KitError:
        pdf_path.unlink()
        if earlier is not None:
            write_bytes(pdf_path, earlier)
        raise
    return Packed(pdf_path, zip_path, [(k, len(v)) for k, v in files.items()], notes)


def _notebooks(
    chosen: Chosen, given: Sequence[Path], folders: Sequence[Path]
) -> tuple[list[tuple[str, list[Notebook]]], list[str]]:
    """The notebooks under their headings, in the order of the PDF; runs that have none."""
    ids = [record["id"] for record in chosen.all]
    mine = [read_notebook(path, ids) for path in given]
    folders = [f for f in folders if f.is_dir()]
    by_run = find_executed(ids, folders)
    by_run |= {notebook.run: notebook for notebook in mine if notebook.run}
    further = [notebook for notebook in mine if not notebook.run]
    given = {notebook.path.resolve() for notebook in further}
    looking = find_looking(chosen.all, folders)
    further += [page for page in looking if page.path.resolve() not in given]
    others = [*chosen.two_stage, *chosen.timing]
    parts = []
    for title, records in (("Code of task 1", chosen.task1), ("Code of task 2", chosen.task2)):
        here = [by_run[r["id"]] for r in records if r["id"] in by_run]
        if records and not here:
            raise KitError(
                f"{title}: no executed notebook of {records[0]['id']} is in notebooks/ or in the "
                "folder of runs; give it with --notebook FILE."
            )
        parts.append((title, here))
    further = [by_run[r["id"]] for r in others if r["id"] in by_run] + further
    parts.append(("Code of further notebooks", further))
    notes = [
        f"No executed notebook of {run} was found; its record is packed without."
        for run in ids
        if run not in by_run
    ]
    return [(title, books) for title, books in parts if books], notes


def _pdf(
    name: str,
    folder: Path,
    text: str,
    chosen: Chosen,
    notebooks: Sequence[tuple[str, list[Notebook]]],
) -> bytes:
    """The notebooks' cells and outputs, and then the report."""
    with tempfile.TemporaryDirectory() as temporary:
        contents = [title for title, _ in notebooks] + ["Report"]
        listed = "\n".join(f"{i}. {title}" for i, title in enumerate(contents, 1))
        parts = [Part(f"# {name}\n\n{listed}\n", folder)]
        for place, (title, books) in enumerate(notebooks):
            for number, notebook in enumerate(books):
                pictures = Path(temporary) / f"{place}-{number}"
                pictures.mkdir()
                heading = f"# {title}\n\n" if number == 0 else ""
                if heading:
                    parts.append(Part(heading, folder, new_page=True))
                markdown = as_markdown(notebook, pictures)
                parts.append(Part(markdown, pictures, demote=1, new_page=number > 0))
        parts.append(Part(text, folder, new_page=True))
        return write_pdf(parts, name, all_marks(chosen.all).capitalize())


def _files(
    folder: Path, chosen: Chosen, notebooks: Sequence[tuple[str, list[Notebook]]]
) -> Iterator[tuple[str, bytes]]:
    """What the zip holds: path in it, content."""
    for notebook in (book for _, books in notebooks for book in books):
        beside = f"{notebook.run}-" if notebook.run else ""
        yield f"notebooks/{beside}{notebook.path.name}", notebook.path.read_bytes()
    for record in chosen.all:
        root = Path(record["folder"])
        for path in _below(root):
            yield f"runs/{root.name}/{path.relative_to(root).as_posix()}", path.read_bytes()
    for path in (folder / REPORT, folder / "report.html", folder / "report.pdf"):
        yield f"report/{path.name}", path.read_bytes()
    for path in _below(folder / "figures"):
        yield f"report/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _below(root: Path) -> list[Path]:
    """The files below a folder, without models and half-written ones."""
    return sorted(p for p in root.rglob("*") if p.is_file() and p.suffix not in _LEFT_OUT)


def _zip(name: str, files: dict[str, bytes]) -> bytes:
    sums = "".join(f"{hashlib.sha256(v).hexdigest()}  {k}\n" for k, v in files.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**files, SUMS: sums.encode()}.items():
            entry = zipfile.ZipInfo(f"{name}/{path}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
