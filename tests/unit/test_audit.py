import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data.audit import Audit, audit
from xray_helpers.data.table import TASK_CLASSES
from xray_helpers.errors import KitError

RANDOM = np.random.default_rng(0)


def picture(path: Path, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = RANDOM.integers(0, 256, (12, 16), np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return path


def fill(folder: Path, classes: tuple[str, ...], train: int = 3, test: int = 2) -> Path:
    for split, n in (("train", train), ("test", test)):
        for label in classes:
            for i in range(n):
                picture(folder / split / label / f"{split}_{i}.jpeg")
    return folder


@pytest.fixture
def clean(tmp_path) -> Path:
    """A data folder in the class's layout, two/ a copy of two classes of all/."""
    fill(tmp_path / "all", TASK_CLASSES["task2"])
    for split in ("train", "test"):
        for label in TASK_CLASSES["task1"]:
            shutil.copytree(tmp_path / "all" / split / label, tmp_path / "two" / split / label)
    return tmp_path


def found(result: Audit, kind: str):
    return [finding for finding in result.findings if finding.kind == kind]


def only(result: Audit, kind: str):
    (finding,) = found(result, kind)
    return finding


def test_a_clean_folder_has_notes_only(clean):
    result = audit(clean)
    assert result.ok
    assert {f.severity for f in result.findings} == {"note"}
    assert {f.kind for f in result.findings} == {
        "class_balance",
        "patients_by_class",
        "picture_size_by_class",
        "border_by_class",
    }
    assert result.pictures == 30 and result.distinct == 20
    assert result.counts["two"] == {
        "train": {"normal": 3, "covid": 3},
        "test": {"normal": 2, "covid": 2},
    }
    assert list(result.counts["all"]["test"]) == list(TASK_CLASSES["task2"])


def test_json_holds_what_scripts_rely_on(clean):
    picture(clean / "all/train/covid/extra.png", "RGBA")
    data = json.loads(json.dumps(audit(clean).to_json()))
    assert set(data) == {"root", "pictures", "distinct", "counts", "findings"}
    assert data["root"] == str(clean.resolve())
    for finding in data["findings"]:
        assert set(finding) == {"kind", "severity", "message", "paths"}
        assert finding["severity"] in ("error", "warning", "note")
        assert finding["message"].endswith(".") and isinstance(finding["paths"], list)


def test_errors_come_first_and_the_text_names_them(clean):
    shutil.copy(clean / "all/train/covid/train_0.jpeg", clean / "all/test/covid/copy.jpeg")
    result = audit(clean)
    assert result.findings[0].severity == "error"
    text = result.text()
    assert "ERROR duplicate_in_two_splits" in text and "all/test/covid/copy.jpeg" in text
    assert str(result) == text and "all/train: covid 3" in text


def test_a_long_list_of_paths_is_cut_in_the_text_and_whole_in_the_json(clean):
    for i in range(9):
        (clean / "all/train/covid" / f"{i}.txt").write_text("x")
    result = audit(clean)
    assert "… and 3 more" in result.text()
    assert len(only(result, "ignored_file").paths) == 9


def test_files_that_are_no_pictures_are_listed(clean):
    for name in ("desktop.ini", ".DS_Store", ".ipynb_checkpoints/a.jpeg"):
        path = clean / "two/train/covid" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    finding = only(audit(clean), "ignored_file")
    assert finding.severity == "note"
    assert sorted(finding.paths) == [
        "two/train/covid/.DS_Store",
        "two/train/covid/.ipynb_checkpoints/a.jpeg",
        "two/train/covid/desktop.ini",
    ]


def test_pictures_outside_class_folders_are_listed(clean):
    picture(clean / "all/train/stray.jpeg")
    picture(clean / "all/train/tuberculosis/a.jpeg")
    assert sorted(only(audit(clean), "ignored_picture").paths) == [
        "all/train/stray.jpeg",
        "all/train/tuberculosis/a.jpeg",
    ]


def test_unreadable_pictures_are_warnings_by_reason(clean):
    (clean / "all/train/covid/empty1.jpeg").write_bytes(b"")
    (clean / "all/test/covid/empty2.jpeg").write_bytes(b"")
    (clean / "all/train/covid/text.png").write_text("no picture")
    result = audit(clean)
    findings = found(result, "unreadable")
    assert {f.severity for f in findings} == {"warning"}
    by_paths = {tuple(f.paths): f.message for f in findings}
    assert "empty" in by_paths["all/train/covid/empty1.jpeg", "all/test/covid/empty2.jpeg"]
    assert "text" in by_paths["all/train/covid/text.png",]
    assert not found(result, "duplicate_in_two_splits")  # two empty files are no pictures
    assert result.distinct == 20 and result.pictures == 33


def test_a_missing_and_an_empty_class_are_errors(clean):
    shutil.rmtree(clean / "all/test/pneumonia_vir")
    for path in (clean / "two/train/covid").iterdir():
        path.write_bytes(b"")
    result = audit(clean)
    assert not result.ok
    assert only(result, "missing_class").paths == ["all/test/pneumonia_vir"]
    assert only(result, "empty_class").paths == ["two/train/covid"]


def test_a_missing_split_folder_is_an_error(clean):
    shutil.rmtree(clean / "all/test")
    finding = only(audit(clean), "missing_folder")
    assert finding.severity == "error" and finding.paths == ["all/test"]


def test_a_folder_of_another_layout_is_an_error_and_names_what_is_there(tmp_path):
    (tmp_path / "pictures").mkdir()
    result = audit(tmp_path)
    assert "found: pictures" in only(result, "missing_folder").message
    assert not result.ok and result.pictures == 0 and result.counts == {}
    assert "pictures" in result.text()


def test_a_root_with_train_and_test_is_judged_by_the_task_of_its_classes(tmp_path):
    fill(tmp_path / "a", TASK_CLASSES["task1"])
    fill(tmp_path / "b", TASK_CLASSES["task2"][:3])
    assert audit(tmp_path / "a").ok
    result = audit(tmp_path / "b")
    assert [f.paths[0] for f in found(result, "missing_class")] == [
        "train/pneumonia_vir",
        "test/pneumonia_vir",
    ]
    assert list(result.counts) == ["."]


def test_a_missing_root_is_the_users_error(tmp_path):
    with pytest.raises(KitError, match="does not exist"):
        audit(tmp_path / "nowhere")


def test_copies_within_a_split_are_a_warning(clean):
    shutil.copy(clean / "all/train/covid/train_0.jpeg", clean / "all/train/covid/copy.jpeg")
    result = audit(clean)
    finding = only(result, "duplicate")
    assert finding.severity == "warning" and result.ok
    assert finding.paths == ["all/train/covid/copy.jpeg", "all/train/covid/train_0.jpeg"]


def test_copies_across_splits_are_an_error(clean):
    shutil.copy(clean / "all/train/covid/train_0.jpeg", clean / "all/test/covid/copy.jpeg")
    result = audit(clean)
    finding = only(result, "duplicate_in_two_splits")
    assert finding.severity == "error" and not result.ok
    assert finding.paths == ["all/train/covid/train_0.jpeg", "all/test/covid/copy.jpeg"]
    assert "train and test" in finding.message


def test_copies_in_two_classes_are_an_error(clean):
    shutil.copy(clean / "all/train/covid/train_0.jpeg", clean / "all/train/normal/copy.jpeg")
    finding = only(audit(clean), "duplicate_in_two_classes")
    assert finding.severity == "error" and "covid and normal" in finding.message


def test_a_patient_in_two_splits_is_an_error_listed_once_for_both_folders(clean):
    for folder in ("two", "all"):
        picture(clean / folder / "train/covid/nejmoa2001191_f1-PA.jpeg")
        picture(clean / folder / "test/covid/nejmoa2001191_f4.jpeg")
    finding = only(audit(clean), "patient_in_two_splits")
    assert finding.severity == "error" and "ieee-13" in finding.message
    assert sorted(finding.paths) == [
        "all/test/covid/nejmoa2001191_f4.jpeg",
        "all/train/covid/nejmoa2001191_f1-PA.jpeg",
        "two/test/covid/nejmoa2001191_f4.jpeg",
        "two/train/covid/nejmoa2001191_f1-PA.jpeg",
    ]


def test_patients_csv_counts_in_the_audit(clean):
    (clean / "patients.csv").write_text(
        "file,patient\nall/train/covid/train_0.jpeg,Ann\nall/test/covid/test_0.jpeg,Ann\n"
    )
    assert "Patient Ann" in only(audit(clean), "patient_in_two_splits").message


def test_a_kermany_number_in_both_splits_is_a_note(clean):
    picture(clean / "all/train/pneumonia_vir/person7_virus_1.jpeg")
    picture(clean / "all/test/pneumonia_bac/person7_bacteria_2.jpeg")
    picture(clean / "all/test/pneumonia_bac/person8_bacteria_3.jpeg")
    result = audit(clean)
    finding = only(result, "number_in_two_splits")
    assert finding.severity == "note" and result.ok
    assert sorted(finding.paths) == [
        "all/test/pneumonia_bac/person7_bacteria_2.jpeg",
        "all/train/pneumonia_vir/person7_virus_1.jpeg",
    ]


def test_a_class_with_files_of_its_own_kind_stands_out(clean):
    for i in range(4):
        picture(clean / f"all/train/covid/extra{i}.png", "RGBA")
    finding = only(audit(clean), "file_mode_by_class")
    assert finding.severity == "warning"
    assert "all: the kind of file gives covid away" in finding.message
    assert "4 PNG RGBA" in finding.message


def test_class_balance_names_the_largest_and_the_smallest(clean):
    for i in range(3):
        picture(clean / f"all/train/normal/extra{i}.jpeg")
    messages = [f.message for f in found(audit(clean), "class_balance")]
    assert any("normal is the largest class with 6" in m and "ratio 2.00" in m for m in messages)
    assert "all/test: all classes have 2 pictures." in messages


def test_several_copies_within_a_split_are_one_warning(clean):
    for i in range(2):
        name = f"all/train/covid/train_{i}.jpeg"
        shutil.copy(clean / name, clean / f"all/train/covid/copy_{i}.jpeg")
    finding = only(audit(clean), "duplicate")
    assert len(finding.paths) == 4 and "2 pictures" in finding.message


def test_a_patient_in_both_splits_comes_with_the_test_pictures_concerned(clean):
    (clean / "patients.csv").write_text(
        "file,patient\nall/train/covid/train_0.jpeg,Ann\n"
        "all/test/covid/test_0.jpeg,Ann\nall/test/covid/test_1.jpeg,Ann\n"
    )
    message = only(audit(clean), "patient_in_two_splits").message
    assert "2 of the 8 test pictures of all/" in message and "two/" not in message


def test_classes_from_collections_of_their_own_stand_out(clean):
    (clean / "sources.csv").write_text(
        "file,source\n"
        + "".join(
            f"{path.relative_to(clean).as_posix()},ward\n" for path in clean.glob("all/*/covid/*")
        )
    )
    finding = only(audit(clean), "source_by_class")
    assert finding.severity == "warning" and "all: covid" in finding.message
    assert "covid: ward; normal: other" in finding.message


def test_kermanys_own_layout_is_understood(tmp_path):
    for split in ("train", "test"):
        for i in range(3):
            picture(tmp_path / split / "NORMAL" / f"IM-{i:04d}-0001.jpeg")
            for kind in ("bacteria", "virus"):
                picture(tmp_path / split / "PNEUMONIA" / f"person{i}_{kind}_{i}.jpeg")
    shutil.copy(
        tmp_path / "train/PNEUMONIA/person1_virus_1.jpeg",
        tmp_path / "train/PNEUMONIA/person1_virus_2.jpeg",
    )
    picture(tmp_path / "val" / "NORMAL" / "IM-0001-0002.jpeg")  # patient of train, too few for val
    result = audit(tmp_path)
    assert result.ok
    assert result.counts == {
        ".": {
            "train": {"normal": 4, "pneumonia_bac": 3, "pneumonia_vir": 4},
            "test": {"normal": 3, "pneumonia_bac": 3, "pneumonia_vir": 3},
        }
    }
    assert only(result, "duplicate").severity == "warning"
    assert not found(result, "ignored_picture") and only(result, "two_stage_layout")
    assert "trained on" in only(result, "small_validation").message
    assert any("pneumonia_vir 4 of 3 patients" in f.message for f in result.findings)


def test_kermanys_layout_without_one_kind_misses_it_in_that_split(tmp_path):
    for name in ("train/NORMAL/IM-0001-0001", "train/PNEUMONIA/person1_virus_1"):
        picture(tmp_path / f"{name}.jpeg")
    picture(tmp_path / "test/NORMAL/IM-0002-0001.jpeg")
    finding = only(audit(tmp_path), "missing_class")
    assert finding.paths == ["test"] and "pneumonia_vir" in finding.message


def test_class_data_has_its_known_findings(class_data):
    result = audit(class_data)
    assert not result.ok
    assert (result.pictures, result.distinct) == (454, 306)
    errors = [f for f in result.findings if f.severity == "error"]
    assert [f.kind for f in errors] == ["patient_in_two_splits"]
    assert "ieee-13" in errors[0].message and len(errors[0].paths) == 8
    assert "3 of the 18 test pictures of two/ and 3 of the 36" in errors[0].message
    modes = found(result, "file_mode_by_class")
    assert any("gives covid away" in f.message for f in modes)
    assert len(only(result, "ignored_file").paths) == 2
    assert not found(result, "unreadable") and not found(result, "duplicate")
    # The same exposure of patient ieee-51, cut and sharpened in two ways.
    copies = {Path(path).name[:8] for path in only(result, "near_duplicate").paths}
    assert copies == {"E63574A7", "F4341CE7"}
    assert {f.kind for f in result.findings if f.severity == "warning"} == {
        "near_duplicate",
        "source_by_class",
        "file_mode_by_class",
        "shortcut_floor",
        "shortcut",
    }
