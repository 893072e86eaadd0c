import json
import re
from pathlib import Path

import pypdf
import pytest
from report_runs import WORDS, draw_nothing, make_run, usual_runs, with_words
from timing_rows import FROZEN, TOY, TUNED, gpu_timing, row, timing

from xray_helpers.errors import KitError
from xray_helpers.files import write_json
from xray_helpers.paths import PACKAGE
from xray_helpers.report.blocks import BLOCKS
from xray_helpers.report.check import check_report
from xray_helpers.report.chosen import chosen_by_itself, named
from xray_helpers.report.fill import write_pages, write_report
from xray_helpers.report.html_page import write_html
from xray_helpers.report.pdf import Part, write_pdf
from xray_helpers.report.places import fill_places, find_places, words_only
from xray_helpers.runs.record import checksum
from xray_helpers.training.timing_table import join_timings

TEMPLATE = (PACKAGE.parent / "report_template.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    if "drawn" not in request.node.name:
        monkeypatch.setattr("xray_helpers.report.pictures_of._draw", draw_nothing)


@pytest.fixture
def runs(tmp_path) -> Path:
    usual_runs(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "report"


def pdf_text(content: bytes, tmp_path: Path) -> str:
    (tmp_path / "x.pdf").write_bytes(content)
    return " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "x.pdf").pages)


# --- the template ---------------------------------------------------------------------------------


def test_template_asks_for_all_points_of_the_assignment():
    points = [int(n) for n in re.findall(r"^## .*?(\d+) points\)$", TEMPLATE, re.MULTILINE)]
    assert points == [5, 10, 10, 5, 5, 10]


def test_template_has_a_place_for_every_facts_and_a_box_for_words_in_every_section():
    assert set(find_places(TEMPLATE)) == set(BLOCKS)
    sections = re.split(r"^## ", TEMPLATE, flags=re.MULTILINE)
    assert [s.count("> **Write here**") for s in sections[:-1]] == [1] * 10


# --- places ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_everything_outside_of_the_places_stays_byte_for_byte(end):
    mine = end.join(["My words  ", "", "\u2028odd\u0085 é 🫁", "<!-- mine -->", "<b>x</b>\t", ""])
    text = f"{mine}<!-- facts: tsne -->{end}old{end}<!-- end of facts -->{end}{mine}last"
    once = fill_places(text, {"tsne": "new\nlines"})
    assert once.startswith(mine) and once.endswith(mine + "last")
    assert f"{end}new{end}lines{end}" in once
    assert fill_places(once, {"tsne": "new\nlines"}) == once


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n<!-- facts: tsne -->\nb", "line 2: the facts 'tsne' have no end"),
        ("<!-- end of facts -->", "line 1: '<!-- end of facts -->' ends nothing"),
        ("<!-- facts: tsne\n<!-- end of facts -->", "line 1: this line is no marker"),
        (
            "<!-- facts: tsne -->\n<!-- facts: runs -->\n<!-- end of facts -->",
            "line 1: the facts 'tsne' have no end",
        ),
        (2 * "<!-- facts: tsne -->\n<!-- end of facts -->\n", "line 3: the facts 'tsne' have a"),
    ],
)
def test_broken_markers_are_refused_with_their_line(text, said):
    with pytest.raises(KitError, match=re.escape(said)):
        find_places(text)


def test_words_are_told_from_facts():
    text = "one\n<!-- facts: tsne -->\ntwo\n<!-- end of facts -->\nthree"
    assert words_only(text) == [(1, "one"), (5, "three")]


# --- which runs -----------------------------------------------------------------------------------


def test_runs_are_chosen_by_validation_accuracy_and_never_by_the_test(runs):
    best = make_run(runs, "task1", "xception", wrong=7, validation=0.99)
    make_run(runs, "task1", "cnn", wrong=0, validation=0.5)
    assert [r["id"] for r in chosen_by_itself(runs).task1] == [best["id"]]


def test_real_pictures_come_before_newer_generated_ones_and_one_run_stands_for_an_architecture(
    runs,
):
    usual_runs(runs, kind="generated", marks=("generated pictures",), fingerprint="drawn")
    make_run(runs, "task2", "resnet50", validation=0.1)
    chosen = chosen_by_itself(runs)
    assert not chosen.marked
    assert [r["model"]["backbone"] for r in chosen.task2] == ["resnet50", "vgg16"]


def test_no_run_is_a_sentence(tmp_path):
    with pytest.raises(KitError, match="No complete run of 01_task1 or 02_task2"):
        chosen_by_itself(tmp_path)


# --- the report -----------------------------------------------------------------------------------


def test_words_are_kept_and_facts_renewed_when_the_report_is_written_again(runs, folder):
    write_report(folder, runs)
    path = folder / "report.md"
    words = with_words(path.read_text(encoding="utf-8"))
    path.write_text(words, encoding="utf-8")
    assert not write_report(folder, runs).notes
    assert path.read_text(encoding="utf-8") == words
    other = make_run(runs, "task2", "vgg19", validation=0.9)
    write_report(folder, runs, anew=True)
    now = path.read_text(encoding="utf-8")
    assert other["id"] in now and other["id"] not in words
    assert words_only(now)[0] == words_only(words)[0]
    assert [line for _, line in words_only(now)] == [line for _, line in words_only(words)]


def test_runs_of_the_report_stay_when_none_are_named(runs, folder):
    first = write_report(folder, runs).chosen
    make_run(runs, "task1", validation=0.99)
    assert [r["id"] for r in write_report(folder, runs).chosen.all] == [r["id"] for r in first.all]


def test_a_place_that_was_deleted_and_facts_that_were_edited_are_said(runs, folder):
    write_report(folder, runs)
    path = folder / "report.md"
    text = path.read_text(encoding="utf-8").replace("| dropout", "| drop")
    place = find_places(text)["tsne"]
    lines = text.splitlines(keepends=True)
    edited = "".join(lines[: place.first] + lines[place.last + 1 :])
    edited = edited.replace("59.4", "12.3", 1)
    path.write_text(edited, encoding="utf-8")
    notes = " ".join(write_report(folder, runs).notes)
    assert "no place for the facts 'tsne'" in notes
    assert "'architectures'" in notes and "edited by hand" in notes
    assert (folder / "report.before.md").read_text(encoding="utf-8") == edited
    assert "59.4" in path.read_text(encoding="utf-8")


def test_the_comparison_is_drawn_of_the_report_s_runs_alone(runs, folder):
    make_run(runs, "task2", "vgg19", validation=0.1)
    names = [r["id"] for r in chosen_by_itself(runs).task2[:2]]
    assert not write_report(folder, runs, tuple(names)).notes
    for name in ("comparison_accuracy", "comparison_curves"):
        assert (folder / "figures" / "all" / f"{name}.png").stat().st_size > 10_000


def test_a_figure_that_a_run_has_lost_is_said(runs, folder):
    chosen = chosen_by_itself(runs)
    (Path(chosen.task1[0]["folder"]) / "figures" / "tsne.png").unlink()
    assert any("tsne.png is not there" in note for note in write_report(folder, runs).notes)


def test_runs_of_one_task_alone_make_a_report(tmp_path, folder):
    make_run(tmp_path / "runs", "task1")
    write_report(folder, tmp_path / "runs")
    assert "No run of this task" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_run_of_another_notebook_is_refused(runs):
    record = make_run(runs)
    path = Path(record["folder"]) / "run.json"
    path.write_text(path.read_text().replace("02_task2", "05_grid_search"))
    with pytest.raises(KitError, match="is of 05_grid_search"):
        named(runs, [record["id"]])


def test_facts_say_intervals_floors_verdicts_and_marks(runs, folder):
    usual_runs(runs, marks=("random weights",), fingerprint="other")
    ids = [r["id"] for r in named(runs, [p.name for p in runs.iterdir()]).marked]
    write_report(folder, runs, tuple(ids))
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "**Not a result: random weights.**" in text
    assert "95 % interval" in text and "floor: size" in text and "McNemar" in text
    assert "Random weights: not a result" in (folder / "report.html").read_text(encoding="utf-8")


def test_times_and_two_stages_get_their_facts(runs, folder):
    path = Path(make_run(runs, "task1")["folder"])
    cpu = {"work": "training", "weights": "random", "device": "cpu", "host": "vm", "threads": 2}
    cpu |= {"data_fingerprint": "x", "seconds_epoch": 9.5, "seconds_step": 0.5}
    gpu = {**cpu, "device": "Tesla P100", "seconds_epoch": 1.5, "seconds_total": 3.0}
    order = {"task": "task1", "image_size": 224, "epochs": 2, "settings": {}, "toy_repeats": 50}
    rows = [{**cpu, "seconds_total": 19.0}, gpu]
    write_json(path / "timing.json", {"schema": 1, "order": order, "rows": rows})
    text = (path / "run.json").read_text().replace("01_task1", "04_cpu_vs_gpu")
    (path / "run.json").write_text(text)
    cascade = make_run(runs, "task1")
    path = Path(cascade["folder"])
    record = {**cascade, "notebook": "06_two_stage", "task": "two_stage"}
    pairs = {"both": 5, "first_only": 3, "second_only": 1, "neither": 0, "p": 0.625}
    write_json(path / "run.json", {**record, "cascade": {"beside_softmax": pairs}})
    for name in ("stage1", "stage2", "softmax"):
        write_json(
            path / f"{name}.json", {k: cascade[k] for k in ("data", "model", "training", "test")}
        )
    write_report(folder, runs)
    report = (folder / "report.md").read_text(encoding="utf-8")
    frozen = "| training, backbone frozen |"  # as the recipe has it
    assert f"{frozen} CPU, 2 threads on vm | 9.500 | 0.5000 | 19.000 | 1.0 |" in report
    assert f"{frozen} Tesla P100 on vm | 1.500 | 0.5000 | 3.000 | 6.3 |" in report
    assert "| stage 1: normal or infected | recall of covid | 0.778 (7/9" in report
    assert "only the cascade 3, only the one network 1" in report
    (path / "stage2.json").unlink()
    with pytest.raises(KitError, match=r"stage2\.json cannot be read"):
        write_report(folder, runs)


def test_times_have_both_machines_frozen_fine_tuned_and_toy(runs, folder):
    path = Path(make_run(runs, "task1")["folder"])
    both = join_timings([timing(row(), row(TUNED, total=30.0), row(TOY)), gpu_timing()])
    both["measurements"][0] |= {"run": path.name, "processor": "Ryzen"}
    write_json(path / "timing.json", both)
    record = json.loads((path / "run.json").read_text())
    # What was merged lies in timing.json: where it came from may be gone.
    record |= {"notebook": "04_cpu_vs_gpu", "settings": {"merge": "/gone/timing.json"}}
    write_json(path / "run.json", {**record, "checksum": checksum(record)})
    write_report(folder, runs)
    report = (folder / "report.md").read_text(encoding="utf-8")
    for line in (
        "- laptop: Ryzen, 4 threads.",
        "- scc-213: Xeon, 4 threads, NVIDIA A100-SXM4-80GB, 81,920 MiB, driver 535.104.05; ",
        f"| {FROZEN} | NVIDIA A100-SXM4-80GB on scc-213 | 0.500 | 0.0500 | 1.000 | 10.0 |",
        f"| {TUNED} | CPU, 4 threads on laptop | 15.000 | 1.5000 | 30.000 | 1.0 |",
        f"| {TOY} | NVIDIA A100-SXM4-80GB on scc-213 | – | 0.0100 | 0.200 | 50.0 |",
        "- The machines differ (laptop, scc-213)",
    ):
        assert line in report
    told = [finding.what for finding in check_report(folder / "report.md", runs)]
    assert not [what for what in told if "timing" in what or path.name in what]
    (path / "timing.json").write_text("{}")
    assert any(
        "timing.json cannot be read" in finding.what
        for finding in check_report(folder / "report.md", runs)
    )


def test_a_record_of_something_else_is_a_sentence(runs, folder):
    record = make_run(runs, "task2", "vgg19")
    path = Path(record["folder"]) / "run.json"
    path.write_text(path.read_text().replace('"layers"', '"leyers"'))
    with pytest.raises(KitError, match="'architectures' cannot be made"):
        write_report(folder, runs, (record["id"],))


# --- the pages ------------------------------------------------------------------------------------


def test_the_pdf_has_numbered_pages_captions_and_the_mark_on_each(runs, folder):
    usual_runs(runs, marks=("random weights",), fingerprint="other")
    ids = [r["id"] for r in named(runs, [p.name for p in runs.iterdir()]).marked]
    write_report(folder, runs, tuple(ids))
    pages = pypdf.PdfReader(folder / "report.pdf").pages
    texts = [page.extract_text() for page in pages]
    assert len(pages) > 3
    for number, text in enumerate(texts, 1):
        assert f"{number} of {len(pages)}" in text
        assert "Random weights: not a result" in text
    shown = (folder / "report.md").read_text(encoding="utf-8").count("![")
    assert len(set(re.findall(r"Figure\s(\d+):", " ".join(texts)))) == shown


def right_edges(content: bytes, tmp_path: Path) -> list[tuple[float, float, float]]:
    """Left end of each piece of text, and the page's width and height."""
    (tmp_path / "wide.pdf").write_bytes(content)
    found = []
    for page in pypdf.PdfReader(tmp_path / "wide.pdf").pages:
        width, height = float(page.mediabox.width), float(page.mediabox.height)

        def visit(text, cm, tm, font, size, width=width, height=height):
            if text.strip():
                x = cm[0] * tm[4] + cm[2] * tm[5] + cm[4]
                found.append((x + 0.4 * abs(size) * len(text.strip()), width, height))

        page.extract_text(visitor_text=visit)
    return found


@pytest.mark.parametrize(("columns", "rows"), [(5, 1), (9, 1), (14, 1), (14, 6)])
def test_a_wide_table_is_not_cut(columns, rows, tmp_path):
    long = "global_average_pooling2d_with_a_very_long_name_that_never_ends"
    row = "| " + " | ".join([long] * columns) + " |"
    rule = "|" + "---|" * columns
    body = f"{row}\n" * rows
    content = write_pdf([Part(f"{row}\n{rule}\n{body}\nend", tmp_path)], "x")
    text = pdf_text(content, tmp_path)
    letters = re.sub(r"[^a-z0-9]", "", text)
    assert letters.count("neverends") == (1 + rows) * columns
    assert all(x < width for x, width, _ in right_edges(content, tmp_path))
    turned = [w > h for _, w, h in right_edges(content, tmp_path)]
    # Of few rows, rows become columns; of many, the page is turned.
    assert any(turned) == (columns > 9 and rows > 4)


def test_a_wide_table_of_few_rows_keeps_each_number_beside_its_name(tmp_path):
    names, numbers = [f"name{i}" for i in range(12)], [f"number{i}" for i in range(12)]
    table = "\n".join(f"| {' | '.join(c)} |" for c in (names, ["---"] * 12, numbers))
    words = pdf_text(write_pdf([Part(table, tmp_path)], "x"), tmp_path).split()
    assert all(words[words.index(a) + 1] == b for a, b in zip(names, numbers, strict=True))


def test_words_cannot_become_commands_of_the_page(tmp_path):
    text = 'A #panic("x") $y^2$ @ref <label> `#code` \\ " _a_ [b](javascript:x) <script>1</script>'
    content = write_pdf([Part(text, tmp_path)], "x")
    assert '#panic("x")' in pdf_text(content, tmp_path)
    page = write_html(text, tmp_path, "x")
    assert "<script>" not in page and "javascript:" not in page.split("[b]")[0]


def test_what_students_write_in_markdown_is_on_both_pages(tmp_path):
    text = """
Line one  \nline two<br>line three, ~~struck~~ and **bold** *words*

```python
x = [1, 2]
```

    indented

3. third
   - inner

> quoted

---

| a | b |
|---|--:|
| `c_d` | 1 |

A ![in the line](none.png) figure, [a link](https://example.org), Łódź, 数据.
"""
    words = ("line three", "x = [1, 2]", "indented", "inner", "quoted", "c_d", "a link", "Łódź")
    on_paper = pdf_text(write_pdf([Part(text, tmp_path)], "x"), tmp_path)
    page = write_html(text, tmp_path, "x")
    for word in words:
        assert word in on_paper and word in page
    assert 'class="right"' in page and "<br>" in page and '<ol start="3">' in page


def test_a_missing_figure_is_seen_on_both_pages(tmp_path):
    text = "![My figure](nowhere.png)"
    assert "nowhere.png is missing" in pdf_text(write_pdf([Part(text, tmp_path)], "x"), tmp_path)
    assert "nowhere.png is missing" in write_html(text, tmp_path, "x")


def test_a_broken_picture_is_a_sentence(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(KitError, match=r"broken\.png cannot be read as a picture"):
        write_pdf([Part("![x](broken.png)", tmp_path)], "x")


def test_the_html_page_needs_no_other_file(runs, folder):
    chosen = write_report(folder, runs).chosen
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r'src="(?!data:)', page) and "figcaption" in page
    assert "<!-- facts" not in page
    (folder / "report.md").write_text(f"# Mine\n\n{WORDS}\n", encoding="utf-8")
    write_pages(folder, chosen)
    assert WORDS in (folder / "report.html").read_text(encoding="utf-8")
