"""The set under open licences: covid from Hannover, the rest from Kermany."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from xray_helpers.data.get.hannover import read_hannover
from xray_helpers.data.get.open_set import build_open_set
from xray_helpers.data.table import read_table
from xray_helpers.errors import KitError

PATIENTS = 30  # of each class


def picture(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content or path.as_posix()).encode())


@pytest.fixture
def kermany(tmp_path):
    """Two pictures a patient in train; the numbers of bacterial patients are viral ones' too."""
    folder = tmp_path / "kermany"
    for i in range(PATIENTS):
        for j in range(2):
            picture(folder / f"train/NORMAL/IM-{i:04d}-{j:04d}.jpeg")
            picture(folder / f"train/PNEUMONIA/person{i}_bacteria_{j}.jpeg")
            picture(folder / f"train/PNEUMONIA/person{i + 20}_virus_{j}.jpeg")
    for name in (
        "NORMAL/IM-9999-0001",
        "PNEUMONIA/person9_bacteria_9",
        "PNEUMONIA/person9_virus_9",
    ):
        picture(folder / f"test/{name}.jpeg")
    return folder


@pytest.fixture
def hannover(tmp_path):
    """Three pictures a patient, one of them long before the disease; names tell nothing."""
    folder = tmp_path / "hannover" / "repository"
    lines = ["patient_id,image_id,admission_offset,projection"]
    for i in range(PATIENTS):
        for j, offset in enumerate((0, -4, 20)):
            picture(folder / f"png/{i:04x}{j}.png")
            lines.append(f"p{i},{i:04x}{j},{offset},ap")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    return folder.parent


def build(tmp_path, kermany, hannover, name="open", **options) -> Path:
    options = {"per_class": 12, "test_per_class": 5} | options
    build_open_set(tmp_path / name, kermany, hannover, **options)
    return tmp_path / name


def test_it_has_the_layout_and_the_numbers_asked_for(tmp_path, kermany, hannover):
    folder = build(tmp_path, kermany, hannover)
    two, four = read_table(folder, "task1"), read_table(folder, "task2")
    assert Counter(zip(four["split"], four["label"], strict=True)) == {
        (split, label): n
        for split, n in (("train", 12), ("test", 5))
        for label in ("covid", "normal", "pneumonia_bac", "pneumonia_vir")
    }
    assert len(two) == 34
    sources = four.groupby("label")["source"].agg(set).to_dict()
    assert sources.pop("covid") == {"hannover"}
    assert set.union(*sources.values()) == {"kermany"}


def test_no_patient_is_in_train_and_test_or_in_two_classes(tmp_path, kermany, hannover):
    for seed in range(5):
        table = read_table(build(tmp_path, kermany, hannover, f"open{seed}", seed=seed), "task2")
        places = table.groupby("patient")[["split", "label"]].nunique()
        assert (places == 1).all().all()
        assert not table["patient"].str.contains("kermany-test").any()


def test_there_are_as_many_patients_as_can_be(tmp_path, kermany, hannover):
    table = read_table(build(tmp_path, kermany, hannover), "task2")
    covid = table[table["label"] == "covid"]
    assert covid["patient"].nunique() == len(covid) == 17


def test_pictures_from_before_the_disease_are_left_out(tmp_path, kermany, hannover):
    folder = build(tmp_path, kermany, hannover, per_class=30)
    names = {path.stem for path in (folder / "all").glob("*/covid/*")}
    assert len(names) == 35 and not any(name.endswith("2") for name in names)


def test_copies_are_drawn_once(tmp_path, kermany, hannover):
    for path in sorted((kermany / "train" / "NORMAL").iterdir())[:40]:
        path.write_bytes(b"the same picture")
    folder = build(tmp_path, kermany, hannover)
    contents = [path.read_bytes() for path in (folder / "all").rglob("normal/*")]
    assert len(contents) == len(set(contents)) == 17


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_same_seed_gives_the_same_set_and_another_another(tmp_path, kermany, hannover):
    one = contents(build(tmp_path, kermany, hannover, "one", seed=3))
    assert one == contents(build(tmp_path, kermany, hannover, "two", seed=3))
    assert one.keys() != contents(build(tmp_path, kermany, hannover, "three", seed=4)).keys()


def test_run_twice_it_is_kept_and_any_other_folder_is_refused(tmp_path, kermany, hannover):
    options = {"per_class": 3, "test_per_class": 2}
    folder = tmp_path / "open"
    assert build_open_set(folder, kermany, hannover, **options)
    assert not build_open_set(folder, kermany, hannover, **options)
    with pytest.raises(KitError, match="is not empty"):
        build_open_set(folder, kermany, hannover, seed=1, **options)


def test_both_licences_and_every_picture_are_in_the_note(tmp_path, kermany, hannover):
    folder = build(tmp_path, kermany, hannover)
    note = (folder / "ORIGIN.txt").read_text()
    for part in ("CC BY 3.0", "CC BY 4.0", "12275009", "Kermany D.", "seed 0"):
        assert part in note
    assert len(re.findall(r"^[0-9a-f]{64}  all/", note, re.MULTILINE)) == 68
    with (folder / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 68 + 34 and all((folder / row["file"]).is_file() for row in rows)


def test_too_few_pictures_are_said_with_what_could_be_drawn(tmp_path, kermany, hannover):
    with pytest.raises(KitError, match=r"too few covid .* 60 could be drawn from 30 patients"):
        build(tmp_path, kermany, hannover, per_class=80, test_per_class=0)
    assert not (tmp_path / "open").exists()


def test_a_folder_without_a_table_of_patients_is_refused(tmp_path, kermany, hannover):
    (hannover / "repository" / "data.csv").unlink()
    with pytest.raises(KitError, match=r"no table of patients.*patient_id and image_id"):
        build(tmp_path, kermany, hannover)


@pytest.mark.parametrize("column", ["image_id", "Filename", " file "])
def test_hannovers_table_is_found_by_its_columns(tmp_path, column):
    picture(tmp_path / "x" / "a1.png")
    picture(tmp_path / "y" / "b2.png")
    picture(tmp_path / "y" / "unknown.png")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    rows = (
        f"sex,Patient_ID,{column},projection\nm,p,images/a1.png,PA\nf,q,b2,lateral\nf,r,gone,ap\n"
    )
    (tmp_path / "y" / "metadata.csv").write_text(rows)
    table = read_hannover(tmp_path)
    assert list(table["patient"]) == ["hannover-p", "hannover-q"]
    assert list(table["covid"]) == [True, False]
