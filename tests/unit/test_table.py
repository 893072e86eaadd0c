import csv
import re
from pathlib import Path

import pytest

from xray_helpers.data.patients import class_files, patient_of, source_of
from xray_helpers.data.table import TASK_CLASSES, read_table
from xray_helpers.errors import KitError

TASK1, TASK2 = TASK_CLASSES["task1"], TASK_CLASSES["task2"]


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not opened when the table is made")
    return folder


def fill(folder: Path, classes: tuple[str, ...], splits: tuple[str, ...] = ("train", "test")):
    for split in splits:
        for label in classes:
            touch(folder / split / label, f"{split}-{label}-b.jpeg", f"{split}-{label}-a.png")


def names(table) -> list[str]:
    return [Path(path).name for path in table["path"]]


def test_classes_have_their_fixed_order():
    assert TASK_CLASSES["task1"] == ("normal", "covid")
    assert TASK_CLASSES["task2"] == ("covid", "normal", "pneumonia_bac", "pneumonia_vir")


def test_task1_reads_two_and_task2_reads_all(tmp_path):
    fill(tmp_path / "two", TASK1)
    fill(tmp_path / "all", TASK2)
    one, two = read_table(tmp_path, "task1"), read_table(tmp_path, "task2")
    assert list(one.columns) == ["path", "label", "split", "patient", "source"]
    assert all(Path(path).is_absolute() and "two" in Path(path).parts for path in one["path"])
    assert all("all" in Path(path).parts for path in two["path"])
    assert len(one) == 8 and len(two) == 16


def test_task1_falls_back_to_its_two_classes_in_all(tmp_path):
    fill(tmp_path / "all", TASK2)
    table = read_table(tmp_path, "task1")
    assert set(table["label"]) == set(TASK1) and len(table) == 8


@pytest.mark.parametrize("task", ["task1", "task2"])
def test_a_root_with_train_and_test_of_its_own_is_read_itself(tmp_path, task):
    fill(tmp_path, TASK2)
    assert len(read_table(tmp_path, task)) == 4 * len(TASK_CLASSES[task])


def test_rows_are_sorted_by_split_then_class_order_then_file_name(tmp_path):
    fill(tmp_path, TASK1, ("test", "val", "train"))
    table = read_table(tmp_path, "task1")
    assert names(table) == [
        f"{folder}-{label}-{x}"
        for folder in ("train", "val", "test")
        for label in ("normal", "covid")
        for x in ("a.png", "b.jpeg")
    ]


@pytest.mark.parametrize("folder", ["val", "validation", "Val"])
def test_a_val_folder_becomes_the_validation_split(tmp_path, folder):
    fill(tmp_path, TASK1, ("train", "test", folder))
    assert (read_table(tmp_path, "task1")["split"] == "validation").sum() == 4


def test_a_val_folder_without_pictures_counts_as_none(tmp_path):
    fill(tmp_path, TASK1)
    touch(tmp_path / "val" / "covid")
    assert set(read_table(tmp_path, "task1")["split"]) == {"train", "test"}


def test_folder_names_are_matched_whatever_their_case(tmp_path):
    fill(tmp_path / "Two", ("NORMAL", "Covid"), ("Train", "TEST"))
    table = read_table(tmp_path, "task1")
    assert set(table["label"]) == set(TASK1) and len(table) == 8


def test_what_systems_leave_about_is_no_picture(tmp_path):
    fill(tmp_path, TASK1)
    touch(
        tmp_path / "train" / "covid",
        "desktop.ini",
        "Thumbs.db",
        ".DS_Store",
        "._scan.jpeg",
        ".hidden.png",
        ".ipynb_checkpoints/scan-checkpoint.jpeg",
        "__MACOSX/scan.jpeg",
        "notes.txt",
        "paper.pdf",
        "nosuffix",
    )
    touch(tmp_path / "train" / ".ipynb_checkpoints", "scan.jpeg")
    assert len(read_table(tmp_path, "task1")) == 8


def test_pictures_in_subfolders_of_a_class_belong_to_it(tmp_path):
    fill(tmp_path, TASK1)
    touch(tmp_path / "train" / "covid", "patient 7/a.JPG", "patient 7/b.jpg")
    table = read_table(tmp_path, "task1")
    assert len(table) == 10
    assert table.loc[table["path"].str.contains("patient 7"), "label"].eq("covid").all()


def test_class_folders_of_no_task_are_passed_over(tmp_path):
    fill(tmp_path, (*TASK1, "tuberculosis"))
    assert set(read_table(tmp_path, "task1")["label"]) == set(TASK1)


def one_sentence(error) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


def test_a_missing_root_is_named_with_what_is_there_instead(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(KitError) as error:
        read_table(tmp_path / "dta", "task1")
    assert "dta" in one_sentence(error) and "found: data" in str(error.value)


def test_a_root_that_is_a_file_is_named(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"PK")
    with pytest.raises(KitError, match=r"data\.zip is a file; unpack it"):
        read_table(tmp_path / "data.zip", "task1")


def test_a_root_one_level_too_high_is_told_which_folder_to_give(tmp_path):
    fill(tmp_path / "unpacked" / "all", TASK2)
    with pytest.raises(KitError) as error:
        read_table(tmp_path, "task2")
    assert f"give {tmp_path.resolve() / 'unpacked'} instead" in one_sentence(error)


def test_task2_does_not_make_do_with_the_folder_two(tmp_path):
    fill(tmp_path / "two", TASK1)
    with pytest.raises(KitError, match=r"holds no all/ .*found: two"):
        read_table(tmp_path, "task2")


def test_a_missing_split_folder_is_named(tmp_path):
    fill(tmp_path / "two", TASK1, ("train",))
    with pytest.raises(KitError, match=r"two has no test/ folder \(found: train\)"):
        read_table(tmp_path, "task1")


def test_a_missing_class_is_named_with_the_folders_there(tmp_path):
    fill(tmp_path, ("normal", "covid19"))
    with pytest.raises(KitError, match=r"train has no folder for the class covid \(found: covid19"):
        read_table(tmp_path, "task1")


def test_a_class_folder_without_pictures_is_named(tmp_path):
    fill(tmp_path, TASK1)
    for path in (tmp_path / "test" / "covid").iterdir():
        path.unlink()
    touch(tmp_path / "test" / "covid", "desktop.ini")
    with pytest.raises(KitError, match=r"test/covid holds no pictures"):
        read_table(tmp_path, "task1")


def test_an_unknown_task_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(KitError, match="'task3'; it is one of task1, task2"):
        read_table(tmp_path, "task3")


@pytest.mark.parametrize(
    ("name", "split", "patient", "source"),
    [
        ("person1753_bacteria_4594.jpeg", "train", "kermany-train-person1753", "kermany"),
        ("person1753_virus_12.jpeg", "test", "kermany-test-person1753", "kermany"),
        ("NORMAL2-IM-1281-0001.jpeg", "train", "kermany-train-IM-1281", "kermany"),
        ("IM-0031-0001.jpeg", "validation", "kermany-train-IM-0031", "kermany"),
        ("NORMAL2-IM-0246-0001-0002.jpeg", "test", "kermany-test-IM-0246", "kermany"),
        ("nejmoa2001191_f1-PA.jpeg", "train", "ieee-13", "covid-chestxray-dataset"),
        ("nejmoa2001191_f4.jpeg", "test", "ieee-13", "covid-chestxray-dataset"),
        ("BACTERIA-7422-0001.jpeg", "train", "kermany-7422", "kermany"),
        ("gen-0042-1.jpeg", "train", "gen-0042", "generated"),
        ("scan_7.png", "train", "train/covid/scan_7", "other"),
        ("my-person1_virus_2.jpeg", "test", "test/covid/my-person1_virus_2", "other"),
    ],
)
def test_file_names_tell_patient_and_source(name, split, patient, source):
    path = Path("/data/two/train/covid") / name
    assert patient_of(path, split) == patient
    assert source_of(path) == source


def test_equal_names_in_two_classes_are_two_patients():
    one, other = Path("/d/train/covid/1.jpeg"), Path("/d/train/normal/1.jpeg")
    assert patient_of(one, "train") != patient_of(other, "train")


def test_the_class_files_are_all_there_with_their_patients():
    rows = class_files()
    pictures = [row for row in rows if not row["path"].endswith("desktop.ini")]
    covid = [row for row in pictures if "/covid/" in row["path"]]
    assert len(pictures) == 306 and len(covid) == 69
    assert len({r["patient"] for r in covid if r["path"].startswith("all/train/")}) == 43
    assert len({r["patient"] for r in covid if r["path"].startswith("all/test/")}) == 5
    assert all(re.fullmatch("[0-9a-f]{40}", row["git_blob_sha1"]) for row in rows)
    unhashed = [row["path"] for row in rows if not re.fullmatch("[0-9a-f]{64}", row["sha256"])]
    assert unhashed == ["all/train/covid/covid-19-pneumonia-14-PA.png"]


def write_own(path: Path, *lines: tuple[str, ...]):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def write_patients(root: Path, *lines: tuple[str, ...]):
    write_own(root / "patients.csv", *lines)


def test_sources_csv_overrules_names_by_file_name_or_relative_path(tmp_path):
    fill(tmp_path / "two", TASK1)
    touch(tmp_path / "two" / "train" / "covid", "person1_virus_1.jpeg")
    write_own(
        tmp_path / "sources.csv",
        ("file", "source"),
        ("person1_virus_1.jpeg", "ward 3"),
        ("two/test/covid/test-covid-a.png", "ward 4"),
    )
    table = read_table(tmp_path, "task1").set_index("path")
    named = {Path(path).name: source for path, source in table["source"].items()}
    assert named["person1_virus_1.jpeg"] == "ward 3" and named["test-covid-a.png"] == "ward 4"
    assert sorted(named.values())[:-2] == ["other"] * (len(named) - 2)
    assert not table["patient"].str.startswith("ward").any()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("file", "patient"), ("a", "b")], "has the columns file, patient; it needs file and sou"),
        ([("file", "source"), ("train-covid-a.png", "")], "line 2, has an empty cell"),
        ([("file", "source"), ("gone.png", "ward")], "names gone.png, which is no file"),
        ([("file", "source"), ("x", "A"), ("x", "B")], "gives x two sources, A and B"),
    ],
)
def test_a_bad_sources_csv_is_refused_in_one_sentence(tmp_path, lines, message):
    fill(tmp_path, TASK1)
    write_own(tmp_path / "sources.csv", *lines)
    with pytest.raises(KitError, match=re.escape(message)) as error:
        read_table(tmp_path, "task1")
    assert "sources.csv" in one_sentence(error)


def test_patients_csv_overrules_names_by_file_name_or_relative_path(tmp_path):
    fill(tmp_path / "two", TASK1)
    touch(tmp_path / "two" / "train" / "covid", "person1_virus_1.jpeg")
    write_patients(
        tmp_path,
        ("file", "patient"),
        ("person1_virus_1.jpeg", "Ann"),
        ("two/test/covid/test-covid-a.png", "Ann"),
    )
    table = read_table(tmp_path, "task1")
    assert sorted(names(table[table["patient"] == "Ann"])) == [
        "person1_virus_1.jpeg",
        "test-covid-a.png",
    ]
    assert table["patient"].nunique() == len(table) - 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("file", "patient", "age"), ("a", "b", "3")], "has the columns file, patient, age"),
        ([("file",), ("a",)], "has the columns file;"),
        ([("file", "patient"), ("train-covid-a.png", "")], "line 2, has an empty cell"),
        ([("file", "patient"), ("gone.png", "Ann")], "names gone.png, which is no file"),
        ([("file", "patient"), ("x", "Ann"), ("x", "Bob")], "two patients, Ann and Bob"),
    ],
)
def test_a_bad_patients_csv_is_refused_in_one_sentence(tmp_path, lines, message):
    fill(tmp_path, TASK1)
    write_patients(tmp_path, *lines)
    with pytest.raises(KitError, match=re.escape(message)) as error:
        read_table(tmp_path, "task1")
    assert "patients.csv" in one_sentence(error)


def test_patients_csv_may_name_pictures_of_the_other_task(tmp_path):
    fill(tmp_path / "two", TASK1)
    fill(tmp_path / "all", TASK2)
    write_patients(tmp_path, ("file", "patient"), ("train-pneumonia_vir-a.png", "Ann"))
    assert "Ann" not in set(read_table(tmp_path, "task1")["patient"])
    assert "Ann" in set(read_table(tmp_path, "task2")["patient"])


def test_class_data_has_its_counts_and_patients(class_data):
    one, two = read_table(class_data, "task1"), read_table(class_data, "task2")
    assert one.groupby(["split", "label"]).size().to_dict() == {
        ("test", "covid"): 9,
        ("test", "normal"): 9,
        ("train", "covid"): 60,
        ("train", "normal"): 70,
    }
    assert len(two) == 306
    sources = two.groupby("label")["source"].agg(set).to_dict()
    assert sources.pop("covid") == {"covid-chestxray-dataset"}
    assert all(source == {"kermany"} for source in sources.values()) and len(sources) == 3
    patients = two.groupby(["split", "label"])["patient"].nunique()
    assert patients["train"].to_dict() == {
        "covid": 43,
        "normal": 66,
        "pneumonia_bac": 62,
        "pneumonia_vir": 59,
    }
    assert patients["test"].to_list() == [5, 9, 7, 9]
