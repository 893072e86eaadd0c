import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from report_runs import WORDS, draw_nothing, make_run, usual_runs, with_words

from xray_helpers.cli import main
from xray_helpers.errors import KitError
from xray_helpers.report.check import check_report
from xray_helpers.report.chosen import named
from xray_helpers.report.claims import contradicted
from xray_helpers.report.fill import write_report
from xray_helpers.runs.intact import contradictions
from xray_helpers.runs.record import checksum
from xray_helpers.runs.store import find_run


class Answered:
    """A report with words in every section, of which a test spoils something."""

    def __init__(self, root: Path) -> None:
        self.runs = root / "runs"
        self.records = usual_runs(self.runs)
        self.folder = root / "report"
        self.path = self.folder / "report.md"
        write_report(self.folder, self.runs)
        self.write(with_words(self.text))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def write(self, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")

    def change(self, old: str, new: str) -> None:
        assert old in self.text
        self.write(self.text.replace(old, new, 1))

    def edit_record(self, record: dict, change, sealed: bool = False) -> None:
        path = Path(record["folder"]) / "run.json"
        content = json.loads(path.read_text())
        change(content)
        if sealed:  # by somebody who knows how
            content["checksum"] = checksum(content)
        path.write_text(json.dumps(content))

    def findings(self) -> list[str]:
        return [f"{f.line} {f.what}" for f in check_report(self.path, self.runs)]


@pytest.fixture
def report(tmp_path, monkeypatch) -> Answered:
    monkeypatch.setattr("xray_helpers.report.pictures_of._draw", draw_nothing)
    return Answered(tmp_path)


def test_an_answered_report_has_nothing_to_mend(report):
    assert report.findings() == []


def test_a_fresh_report_lists_every_section(report):
    report.path.unlink()
    write_report(report.folder, report.runs)
    found = "\n".join(report.findings())
    assert found.count("'Write here' is left in") == 10
    for number in range(9):
        assert f"Section '{number}." in found


def test_a_section_without_words_is_found_with_its_line(report):
    place = report.text.index("## 4. t-SNE")
    report.write(report.text[:place] + report.text[place:].replace(WORDS, "Clear.", 1))
    line = report.text[:place].count("\n") + 1
    assert report.findings() == [
        f"{line} Section '4. t-SNE (5 points)': 1 words of your own; write your answer."
    ]


def test_an_optional_section_may_go_and_another_may_not(report):
    text = report.text
    start, end = text.index("## 7."), text.index("## 8.")
    report.write(text[:start] + text[end:])
    assert report.findings() == []
    start, end = text.index("## 4."), text.index("## 5.")
    report.write(text[:start] + text[end:])
    found = "\n".join(report.findings())
    assert "section '4. t-SNE (5 points)' is gone" in found and "facts 'tsne' have no" in found


def test_a_deleted_figure_is_found(report):
    picture = next((report.folder / "figures").glob("*/tsne.png"))
    picture.unlink()
    (finding,) = report.findings()
    assert "tsne.png is missing" in finding and int(finding.split()[0]) > 10


def test_a_figure_that_the_run_has_lost_is_found(report):
    (Path(report.records[0]["folder"]) / "figures" / "tsne.png").unlink()
    assert any("has lost its figure tsne.png" in finding for finding in report.findings())


def test_a_figure_of_one_s_own_needs_a_caption(report):
    own = next((report.folder / "figures").glob("*/tsne.png")).relative_to(report.folder)
    report.change(WORDS, f"{WORDS}\n\n![]({own.as_posix()})\n")
    assert "has no caption" in report.findings()[0]


def test_edited_facts_are_found(report):
    report.change("0.889", "0.989")
    assert any("were edited by hand" in finding for finding in report.findings())


def test_facts_of_records_that_have_changed_since_are_found(report):
    report.edit_record(
        report.records[1], lambda r: r["training"]["train"].update(loss=0.1), sealed=True
    )
    assert any("not what the records say now" in finding for finding in report.findings())


def test_a_record_that_was_edited_is_found(report):
    def change(record):
        record["test"]["accuracy"]["value"] = 0.99

    report.edit_record(report.records[1], change)
    found = "\n".join(report.findings())
    assert "says test accuracy 0.990, predictions.csv gives 0.778 (28 of 36)" in found
    assert "edited after it was written" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["test"]["accuracy"].update(high=0.95), "another interval"),
        (lambda r: r["test"]["recall_covid"].update(value=1.0), "says recall of covid 1.000"),
        (lambda r: r["training"]["validation"].update(accuracy=0.9), "says validation accuracy"),
        (lambda r: r["training"].update(epochs=30), "says 30 epochs, history.csv has 3"),
        (lambda r: r["model"]["parameters"].update(total=20_000_000), "says 20,000,000 total"),
        (lambda r: r["data"]["counts"]["test"].update(covid=90), "test pictures, predictions.csv"),
    ],
)
def test_a_record_with_a_new_checksum_still_contradicts_its_tables(report, change, said):
    record = report.records[1]
    report.edit_record(record, change, sealed=True)
    assert said in " ".join(contradictions(find_run(report.runs, record["id"])))


def test_a_table_that_was_edited_is_found(report):
    path = Path(report.records[1]["folder"]) / "predictions.csv"
    table = pd.read_csv(path)
    table["predicted"] = table["true"]
    table.to_csv(path, index=False)
    found = "\n".join(report.findings())
    assert "another predictions.csv than was written" in found
    assert "says test accuracy 0.778, predictions.csv gives 1.000" in found


def test_runs_on_other_pictures_are_found(report):
    other = make_run(report.runs, "task2", "vgg19", kind="generated", fingerprint="drawn")
    write_report(report.folder, report.runs, tuple(r["id"] for r in [*report.records, other]))
    found = "\n".join(report.findings())
    assert f"{other['id']} was trained on other pictures than" in found
    assert f"{other['id']} is of generated pictures" in found


def test_a_run_that_is_not_complete_is_found(report):
    other = make_run(report.runs, "task2", "vgg19", complete=False)
    write_report(report.folder, report.runs, tuple(r["id"] for r in [*report.records, other]))
    assert any(f"{other['id']} is not complete" in finding for finding in report.findings())


def test_a_run_that_is_gone_is_found(report):
    path = Path(report.records[1]["folder"]) / "run.json"
    path.unlink()
    assert any("No run in" in finding for finding in report.findings())


def test_one_architecture_twice_is_not_two(report):
    again = make_run(report.runs, "task2", validation=0.9)
    names = [report.records[0]["id"], report.records[1]["id"], again["id"]]
    write_report(report.folder, report.runs, tuple(names))
    assert any("Task 2 has 1 architecture in" in finding for finding in report.findings())


def test_marked_runs_want_a_sentence_that_says_so(report):
    records = usual_runs(report.runs, marks=("random weights",), fingerprint="x")
    write_report(report.folder, report.runs, tuple(r["id"] for r in records))
    (finding,) = report.findings()
    assert "Marked runs (random weights)" in finding
    report.change("Ada Lovelace", "These numbers are not results. Ada Lovelace")
    assert report.findings() == []


def test_a_report_without_facts_and_one_that_is_not_there(report):
    report.write("# Mine\n")
    assert any("No facts are filled in yet" in finding for finding in report.findings())
    report.path.unlink()
    with pytest.raises(KitError, match="run `xray report` first"):
        report.findings()


# --- numbers in the student's words ---------------------------------------------------------------
# vgg16 of task 2: accuracy 0.950 on training, 0.750 on validation, 28/36 = 0.778 on test pictures,
# loss 0.2, 0.61, 0.8123; resnet50: validation 0.8, test 32/36 = 0.889; task 1 (vgg16): 14/18.


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    runs = tmp_path_factory.mktemp("claims")
    return named(runs, [record["id"] for record in usual_runs(runs)])


@pytest.mark.parametrize(
    "words",
    [
        "ResNet50 reaches a test accuracy of 0.92.",
        "ResNet-50's test accuracy was only 78 %.",
        "In task 2 VGG16 has a validation accuracy of 0.80.",
        "The validation loss of resnet50 is 0.7.",
        "The accuracy of VGG 16 on the test pictures is 0.95.",
        "In task 1 the test accuracy is 1.0.",
        "ResNet50 has 25,000,000 parameters.",
        "VGG16 has 138 million parameters.",
        "resnet50 was trained for 50 epochs.",
        "The best epoch of ResNet50 was 3.",
        "The recall of covid is 0.5 for resnet50.",
        "With resnet50 we get a test\naccuracy of 0.92.",
        "VGG16 gets 26 of the 36 test pictures right in task 2.",
        "Task 1: 15 of 18 right.",
        "Task 2: 25 of 36 correct.",
        "resnet50 calls 32/36 right (0.90).",
        "The recall of covid for resnet50 is high; the recall of covid is 1 of 9.",
    ],
)
def test_a_number_that_contradicts_the_record_is_found(chosen, words):
    lines = [(n, line) for n, line in enumerate(words.split("\n"), 7)]
    (claim,) = contradicted(lines, chosen)
    assert claim.line == 7
    assert "#" in claim.known


@pytest.mark.parametrize(
    "words",
    [
        "ResNet50 reaches a test accuracy of 0.889.",
        "ResNet50 reaches a test accuracy of 0.89 and a validation accuracy of 80 %.",
        "ResNet50 reaches a test accuracy of 88.8 %, cut off.",
        "ResNet50: accuracy 0.95 in training and 0.8 later.",
        "VGG16 has a test accuracy of 0.778 (0.619 to 0.883), resnet50 a test accuracy of 0.889.",
        "VGG16 has 14.8 million parameters, of which 131,328 parameters are trained.",
        "VGG16 has 14,846,016 parameters and ran 3 epochs of at most 40.",
        "ResNet50 was trained for 40 epochs at most.",
        "In epoch 10 the validation accuracy of resnet50 was 0.6.",
        "A test accuracy of 0.99 would be needed before anybody used resnet50.",
        "The accuracy of ResNet50 is 0.11 higher than that of VGG16.",
        "The floor has an accuracy of 0.5, and resnet50 is above it.",
        "Report C has a test accuracy of 0.58 for VGG16.",
        "Nobody had a test accuracy of 0.92.",
        "I chose ResNet50 in 2026 for 3 reasons, with dropout 0.25 and 10 pictures a batch.",
        "ResNet50 was made in 2015. A test accuracy of 0.92 is what I had hoped for.",
        "- ResNet50 is deeper\n- test accuracy 0.92 is what others had",
        "The test accuracy rose from 0.50 to 0.92 with resnet50 in the paper.",
        "In task 2 the test accuracy is between 0.7 and 0.9.",
        "VGG16 gets 28 of 36 right (0.778), ResNet50 32 of 36 right, 0.889.",
        "VGG16 alone gets 3 of 36 right, and 12 of 18 right would be chance for resnet50.",
        "ResNet50 recognises 9 of 9 covid pictures.",
        "It is deeper. Its validation accuracy is 0.75, ResNet50's 0.8.",
        "In task 2 one network gets 28 of 36 right.",
    ],
)
def test_other_numbers_raise_no_alarm(chosen, words):
    assert contradicted(list(enumerate(words.split("\n"), 1)), chosen) == []


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_to_mend_and_exits_with_1(report, monkeypatch):
    monkeypatch.setenv("XRAY_RUNS", str(report.runs))
    monkeypatch.setenv("XRAY_REPORT", str(report.folder))
    clean = CliRunner().invoke(main, ["report", "--check"])
    assert clean.exit_code == 0 and clean.output.startswith("Nothing to mend.")
    report.change(WORDS, f"ResNet50 has a test accuracy of 0.95. {WORDS}")
    found = CliRunner().invoke(main, ["report", "--check", str(report.path)])
    assert found.exit_code == 1
    assert "report.md:" in found.output and "test accuracy of #" in found.output
    assert CliRunner().invoke(main, ["report", "--check", "a", "b"]).exit_code == 2
