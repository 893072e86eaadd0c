import base64
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path

import pypdf
import pytest
from click.testing import CliRunner
from PIL import Image
from report_runs import draw_nothing, usual_runs, with_words

from xray_helpers.cli import main
from xray_helpers.errors import KitError
from xray_helpers.report.executed import as_markdown, find_executed, read_notebook
from xray_helpers.report.fill import write_report
from xray_helpers.report.submit import names_from


def notebook(path: Path, said: str, title: str = "Task", outputs: bool = True) -> Path:
    """An executed notebook with a print, a table and a figure."""
    buffer = io.BytesIO()
    Image.new("L", (20, 20)).save(buffer, "PNG")
    rows = "<tr><th></th><th>layer|x</th></tr><tr><td>0</td><td>a_b_c &lt;i&gt;</td></tr>"
    page = f"<table>{rows}</table>"
    shown = [
        {
            "output_type": "stream",
            "name": "stdout",
            "text": f"10%\r100%\x1b[31m\nRun: /runs/{said}\n",
        },
        {"output_type": "display_data", "data": {"text/plain": "plain", "text/html": page}},
        {
            "output_type": "display_data",
            "data": {"image/png": base64.b64encode(buffer.getvalue()).decode()},
            "metadata": {"image/png": {"alt": "The curves"}},
        },
    ]
    cells = [
        {"cell_type": "markdown", "source": [f"# {title}\n", "words"]},
        {"cell_type": "code", "source": "run = begin()", "outputs": shown if outputs else []},
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    return path


class Ready:
    """An answered report and executed notebooks of its runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs, self.folder = root, root / "runs", root / "report"
        self.records = usual_runs(self.runs)
        write_report(self.folder, self.runs)
        self.report = self.folder / "report.md"
        self.report.write_text(with_words(self.report.read_text(encoding="utf-8")))
        for record, name in zip(self.records, ("01", "02a", "02b"), strict=True):
            notebook(self.runs / "demo" / f"{name}.ipynb", record["id"], f"Code {name}")
            (Path(record["folder"]) / "model.keras").write_bytes(b"large")

    def submit(self, *options: str):
        names = ("--course", "dl-26", "--assignment", "xray", "--student", "U1")
        where = ("--dir", str(self.folder), "--runs-dir", str(self.runs))
        return CliRunner().invoke(main, ["submit", *names, *where, *options])


@pytest.fixture
def ready(tmp_path, monkeypatch) -> Ready:
    monkeypatch.setattr("xray_helpers.report.pictures_of._draw", draw_nothing)
    monkeypatch.setattr("xray_helpers.report.submit.project_root", lambda: tmp_path)
    return Ready(tmp_path)


def test_one_pdf_and_one_zip_are_named_and_listed(ready):
    done = ready.submit()
    assert done.exit_code == 0, done.output
    pdf, packed = ready.folder / "dl-26-xray-U1.pdf", ready.folder / "dl-26-xray-U1.zip"
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)
    order = [text.rindex(part) for part in ("Code 01", "Code 02b", "Chest X-rays: report")]
    assert order == sorted(order)
    assert "run = begin()" in text and "a_b_c <i>" in text and "The curves" in text
    with zipfile.ZipFile(packed) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        sums = archive.read("dl-26-xray-U1/SHA256SUMS").decode().splitlines()
        for line in sums:
            digest, _, name = line.partition("  ")
            assert hashlib.sha256(archive.read(f"dl-26-xray-U1/{name}")).hexdigest() == digest
            assert name in done.output
        assert len(sums) == len(names) - 1
    for record in ready.records:
        assert {f"runs/{record['id']}/{n}" for n in ("run.json", "history.csv")} <= names
    assert {"report/report.md", "report/report.html", "report/report.pdf"} <= names
    assert sum(name.endswith(".ipynb") for name in names) == 3
    assert not any(name.endswith(".keras") for name in names)


def test_what_the_check_refuses_is_refused_unless_told_otherwise(ready):
    ready.report.write_text(
        ready.report.read_text().replace("| dropout", "| drop") + "\n> **Write here** x\n"
    )
    done = ready.submit()
    assert done.exit_code == 1 and "'Write here' is left in" in done.output
    assert not list(ready.folder.glob("dl-26*"))
    done = ready.submit("--anyway")
    assert done.exit_code == 0 and "(--anyway)" in done.output


def test_both_files_or_neither(ready, monkeypatch):
    from xray_helpers.files import write_bytes

    def full(path, content):
        if path.suffix == ".zip":
            raise KitError("the disk is full")
        write_bytes(path, content)

    monkeypatch.setattr("xray_helpers.report.submit.write_bytes", full)
    assert ready.submit().exit_code == 1
    assert not list(ready.folder.glob("dl-26*"))
    assert not list(ready.folder.glob(".*part"))


def test_a_task_without_an_executed_notebook_is_refused_and_a_single_run_is_said(ready):
    (ready.runs / "demo" / "02a.ipynb").unlink()
    assert f"No executed notebook of {ready.records[1]['id']}" in ready.submit().output
    (ready.runs / "demo" / "01.ipynb").unlink()
    done = ready.submit()
    assert done.exit_code == 1 and "give it with --notebook" in done.output
    given = notebook(ready.root / "mine" / "01.ipynb", ready.records[0]["id"])
    assert ready.submit("--notebook", str(given)).exit_code == 0


def test_pages_that_look_at_these_runs_or_their_pictures_come_along(ready):
    last, root = ready.records[2]["id"][-4:], ready.records[2]["data"]["root"]
    for name, said in {
        "03_tsne": f"t2 #{last} <task2 on …>",
        "other/03_tsne": "t2 #0000 <task2 on …>",
        "07_shortcuts": f"x\nPictures: {root} (class)",
        "other/07_shortcuts": f"x\nPictures: {root}2 (class)",
    }.items():
        page = notebook(ready.runs / "executed" / f"{name}.ipynb", said, f"Looks {name}")
        code = f'begin(\\"{name.removeprefix("other/")}\\", globals())'
        page.write_text(page.read_text().replace("run = begin()", code))
        os.utime(page, (2e9, 2e9) if "other" in name else (1e9, 1e9))
    done = ready.submit()
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(ready.folder / "dl-26-xray-U1.zip") as archive:
        pages = {n.rpartition("/")[2]: archive.read(n) for n in archive.namelist()}
    assert b"Looks 03_tsne" in pages["03_tsne.ipynb"]
    assert b"Looks 07_shortcuts" in pages["07_shortcuts.ipynb"]


def test_another_notebook_that_names_a_run_is_not_its_code(tmp_path):
    page = notebook(tmp_path / "a.ipynb", "abc-1")
    page.write_text(page.read_text().replace("Run: /runs/abc-1", "compared with abc-1"))
    assert find_executed(["abc-1"], [tmp_path]) == {}


def test_a_notebook_without_outputs_is_refused(ready):
    given = notebook(ready.root / "mine" / "01.ipynb", "x", outputs=False)
    done = ready.submit("--notebook", str(given))
    assert done.exit_code == 1 and "has no outputs; run all its cells" in done.output


def test_the_newest_notebook_of_a_run_is_taken(tmp_path):
    old, new = (notebook(tmp_path / name, "abc-1") for name in ("b.ipynb", "a.ipynb"))
    os.utime(old, (1, 1))
    os.utime(new, (2, 2))
    notebook(tmp_path / ".ipynb_checkpoints" / "c.ipynb", "abc-1")
    assert find_executed(["abc-1"], [tmp_path])["abc-1"].path == new


def test_progress_and_colours_are_shown_as_a_terminal_does(tmp_path):
    text = as_markdown(read_notebook(notebook(tmp_path / "x.ipynb", "r")), tmp_path)
    assert "\x1b" not in text and "10%" not in text.replace("100%", "")
    assert "# x.ipynb\n\n## Task" in text


def test_names_come_from_options_and_from_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("xray_helpers.report.submit.project_root", lambda: tmp_path)
    with pytest.raises(KitError, match="The course is not known: give --course"):
        names_from(None, "a", "b")
    (tmp_path / "submit.toml").write_text('course = "dl"\nassignment = "xray"\n')
    assert names_from(None, None, "U1") == "dl-xray-U1"
    with pytest.raises(KitError, match="is no part of a file's name"):
        names_from(None, None, "../../U1")
    (tmp_path / "submit.toml").write_text("course = ")
    with pytest.raises(KitError, match=r"submit\.toml cannot be read"):
        names_from(None, None, "U1")
