"""Folders -> the three classes of the two-stage task, and the two stages' view of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xray_helpers.data import dataset, find_source, load_data
from xray_helpers.data.dataset import Source
from xray_helpers.data.stages import INFECTED, first_stage, second_stage, some_pictures
from xray_helpers.data.three import (
    FEWEST_VALIDATION,
    KERMANY_COUNTS,
    REPORT_E_COUNTS,
    counts_beside,
    read_three,
)
from xray_helpers.errors import KitError


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"not opened when the table is made")


def kermany_names(kind: str, numbers: range) -> list[str]:
    return [f"person{i}_{kind}_{i + 100}.jpeg" for i in numbers]


def kermany(root: Path, splits: dict[str, tuple[int, int, int]]) -> Path:
    """Kermany's layout with so many normal, bacterial and viral pictures in each split."""
    for split, (normal, bacterial, viral) in splits.items():
        touch(root / split / "NORMAL", *(f"IM-{i:04d}-0001.jpeg" for i in range(normal)))
        touch(root / split / "PNEUMONIA", *kermany_names("bacteria", range(bacterial)))
        touch(root / split / "PNEUMONIA", *kermany_names("virus", range(50, 50 + viral)))
    return root


def counts(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {s: t["label"].value_counts().to_dict() for s, t in table.groupby("split")}


def said(root: Path) -> str:
    with pytest.raises(KitError) as caught:
        read_three(root)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text
    return text


# --- layouts ------------------------------------------------------------------------------------


def test_kermanys_folders_are_told_apart_by_file_names(tmp_path):
    kermany(tmp_path, {"train": (5, 7, 4), "test": (2, 3, 1)})
    table, classes, notes = read_three(tmp_path)
    assert classes == ("normal", "pneumonia_bac", "pneumonia_vir")
    assert counts(table) == {
        "train": {"normal": 5, "pneumonia_bac": 7, "pneumonia_vir": 4},
        "test": {"normal": 2, "pneumonia_bac": 3, "pneumonia_vir": 1},
    }
    assert notes == []
    assert table.loc[table["path"].str.contains("_virus_"), "label"].eq("pneumonia_vir").all()


def test_a_kermany_name_with_a_second_number_is_known_too(tmp_path):
    kermany(tmp_path, {"train": (2, 2, 2), "test": (1, 1, 1)})
    touch(tmp_path / "train" / "PNEUMONIA", "person447_virus_921_1.jpeg")
    table = read_three(tmp_path)[0]
    row = table[table["path"].str.contains("person447")].iloc[0]
    assert (row["label"], row["patient"]) == ("pneumonia_vir", "kermany-train-person447")


def test_the_later_names_of_kermanys_set_tell_kind_and_patient(tmp_path):
    for split, first in (("train", 100), ("test", 900)):
        touch(tmp_path / split / "NORMAL", f"NORMAL-{first}-0001.jpeg")
        for i, kind in enumerate(("BACTERIA", "BACTERIA", "VIRUS"), start=1):
            touch(tmp_path / split / "PNEUMONIA", f"{kind}-{first + i // 2}-{i:04d}.jpeg")
    table, classes, _ = read_three(tmp_path)
    assert classes == ("normal", "pneumonia_bac", "pneumonia_vir")
    assert table["patient"].tolist()[:4] == ["kermany-100"] * 2 + ["kermany-101"] * 2
    assert set(table["source"]) == {"kermany"}


def test_train_and_test_of_kermany_number_their_patients_anew(tmp_path):
    kermany(tmp_path, {"train": (2, 2, 2), "test": (2, 2, 2)})
    table = read_three(tmp_path)[0]
    assert not set(table[table["split"] == "train"]["patient"]) & set(
        table[table["split"] == "test"]["patient"]
    )


def infected(root: Path, split: str, n: tuple[int, int, int], named: bool = False) -> None:
    """Normal, and infected/ with non-covid/ and covid/; perhaps with Kermany's file names."""
    normal, other, covid = n
    touch(root / split / "normal", *(f"{split}n{i}.png" for i in range(normal)))
    non, yes = (
        (f"{split}o{i}.png" for i in range(other)),
        (f"{split}c{i}.png" for i in range(covid)),
    )
    if named:
        non, yes = kermany_names("bacteria", range(other)), kermany_names("virus", range(covid))
    touch(root / split / "infected" / "non-covid", *non)
    touch(root / split / "infected" / "covid", *yes)


def test_infected_with_covid_and_non_covid_in_it(tmp_path):
    infected(tmp_path, "train", (4, 6, 5))
    infected(tmp_path, "test", (2, 2, 1))
    table, classes, notes = read_three(tmp_path)
    assert classes == ("normal", "pneumonia_other", "covid")
    assert counts(table)["train"] == {"normal": 4, "pneumonia_other": 6, "covid": 5}
    assert notes == []


def test_a_covid_folder_full_of_kermanys_viral_pneumonia_is_called_that(tmp_path):
    infected(tmp_path, "train", (4, 6, 5), named=True)
    infected(tmp_path, "test", (2, 2, 1), named=True)
    table, classes, notes = read_three(tmp_path)
    assert classes == ("normal", "pneumonia_bac", "pneumonia_vir")
    in_covid = table["path"].str.contains("infected/covid")
    assert table.loc[in_covid, "label"].eq("pneumonia_vir").all()
    assert len(notes) == 2
    assert "All 6 pictures in the folders for covid" in notes[0] and "pneumonia_vir" in notes[0]


def test_one_picture_with_another_name_keeps_the_folders_word(tmp_path):
    infected(tmp_path, "train", (4, 6, 5), named=True)
    infected(tmp_path, "test", (2, 2, 1), named=True)
    touch(tmp_path / "train" / "infected" / "covid", "scan.png")
    assert read_three(tmp_path)[1] == ("normal", "pneumonia_bac", "covid")


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (("NORMAL", "Bacteria", "VIRUS"), ("normal", "pneumonia_bac", "pneumonia_vir")),
        (("normal", "non_covid", "COVID-19"), ("normal", "pneumonia_other", "covid")),
        (
            ("healthy", "pneumonia_bac", "pneumonia_vir"),
            ("normal", "pneumonia_bac", "pneumonia_vir"),
        ),
        (("normal", "pneumonia", "covid"), ("normal", "pneumonia_other", "covid")),
    ],
)
def test_flat_folders_of_three_classes(tmp_path, folders, classes):
    for split in ("train", "test"):
        for name in (*folders, "tuberculosis"):
            touch(tmp_path / split / name, f"{split}{name}1.png", f"{split}{name}2.png")
    table, found, _ = read_three(tmp_path)
    assert found == classes
    assert counts(table)["train"] == dict.fromkeys(classes, 2)


def test_the_class_data_become_normal_other_pneumonia_and_covid(tmp_path):
    for split in ("train", "test"):
        for name in ("covid", "normal", "pneumonia_bac", "pneumonia_vir"):
            touch(tmp_path / "all" / split / name, f"{split}{name}1.png", f"{split}{name}2.png")
    touch(tmp_path / "two" / "train" / "covid", "x.png")
    table, classes, _ = read_three(tmp_path)
    assert classes == ("normal", "pneumonia_other", "covid")
    assert counts(table)["test"] == {"normal": 2, "pneumonia_other": 4, "covid": 2}
    assert not table["path"].str.contains("/two/").any()


def test_rows_are_in_the_order_of_splits_classes_and_paths(tmp_path):
    kermany(tmp_path, {"test": (2, 2, 2), "train": (3, 3, 3)})
    table = read_three(tmp_path)[0]
    splits, labels = ["train", "validation", "test"], list(table["label"].unique())
    keys = [(splits.index(r.split), labels.index(r.label), r.path) for r in table.itertuples()]
    assert keys == sorted(keys)
    assert labels == ["normal", "pneumonia_bac", "pneumonia_vir"]
    assert list(table.index) == list(range(len(table)))


# --- validation ---------------------------------------------------------------------------------


def test_a_val_folder_like_kermanys_is_trained_on_and_said_so(tmp_path):
    kermany(tmp_path, {"train": (5, 5, 5), "test": (2, 2, 2), "val": (8, 8, 0)})
    table, _, notes = read_three(tmp_path)
    assert counts(table)["train"] == {"normal": 13, "pneumonia_bac": 13, "pneumonia_vir": 5}
    assert "validation" not in set(table["split"])
    assert len(notes) == 1 and "16 pictures, too few" in notes[0]


def test_a_large_val_folder_is_the_validation_split(tmp_path):
    n = FEWEST_VALIDATION
    kermany(tmp_path, {"train": (5, 5, 5), "test": (2, 2, 2), "val": (n, n, n)})
    table, _, notes = read_three(tmp_path)
    assert counts(table)["validation"] == dict.fromkeys(counts(table)["validation"], n)
    assert notes == []


# --- wrong folders ------------------------------------------------------------------------------


def test_a_folder_of_another_layout_is_told_what_is_there(tmp_path):
    (tmp_path / "chest_xray" / "train").mkdir(parents=True)
    (tmp_path / "chest_xray" / "test").mkdir()
    assert f"give {tmp_path.resolve() / 'chest_xray'} instead" in said(tmp_path)


def test_two_classes_are_not_three(tmp_path):
    for split in ("train", "test"):
        touch(tmp_path / split / "normal", "a.png")
        touch(tmp_path / split / "covid", "b.png")
    assert "holds covid, normal and not three classes" in said(tmp_path)


def test_pneumonia_without_kermanys_names_is_told_how_to_sort_it(tmp_path):
    for split in ("train", "test"):
        touch(tmp_path / split / "NORMAL", "a.png")
        touch(tmp_path / split / "PNEUMONIA", "person1_virus_6.jpeg", "scan.png")
    text = said(tmp_path)
    assert "scan.png is some pneumonia" in text and "bacteria/ and virus/" in text


def test_a_class_missing_in_test_is_named(tmp_path):
    kermany(tmp_path, {"train": (5, 5, 5), "test": (2, 2, 0)})
    text = said(tmp_path)
    assert str(tmp_path / "test") in text and "no picture of pneumonia_vir" in text


def test_no_pictures_at_all(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "normal").mkdir(parents=True)
    assert "holds no class and not three classes" in said(tmp_path)


# --- the whole way ------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Kermany's layout with real files; a person has up to three pictures."""
    root = tmp_path / "kermany"
    value = 0
    for split, n in (("train", 30), ("test", 6)):
        for folder, kind in (("NORMAL", None), ("PNEUMONIA", "bacteria"), ("PNEUMONIA", "virus")):
            (root / split / folder).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                value += 1
                name = f"person{i // 3}_{kind}_{i}" if kind else f"IM-{i // 3:04d}-{i:04d}"
                grey = np.full((8, 8), value, np.uint8)
                Image.fromarray(grey).save(root / split / folder / f"{name}.png")
    return root


def test_no_patient_is_on_both_sides_of_the_validation_split(pictures):
    data = load_data("two_stage", Source(pictures, "other"), image_size=8, progress=None)
    assert data.task == "two_stage"
    assert data.counts.loc["pneumonia_vir"].tolist() == [24, 6, 6]
    # person3_bacteria and person3_virus count as one patient, who is on one side only
    assert (data.table.groupby("patient")["split"].nunique() == 1).all()
    assert len(set(data.table[data.table["split"] == "validation"]["patient"])) < 18


def test_pictures_stay_with_their_rows(pictures):
    data = load_data("two_stage", Source(pictures, "other"), image_size=8, progress=None)
    for row, path in enumerate(data.table["path"]):
        grey = np.asarray(Image.open(path))[0, 0]
        assert (data.pictures[row] == grey).all()


def test_notes_reach_the_data(pictures):
    for kind in ("NORMAL", "PNEUMONIA"):
        (pictures / "val" / kind).mkdir(parents=True)
        name = "IM-0999-0001" if kind == "NORMAL" else "person999_bacteria_1"
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(pictures / "val" / kind / f"{name}.png")
    data = load_data("two_stage", Source(pictures, "other"), image_size=8, progress=None)
    assert "holds 2 pictures" in data.notes[0]


def test_where_the_pictures_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "resolve", lambda path: tmp_path / Path(path))
    monkeypatch.setattr(dataset, "write_demo", lambda folder, **options: folder)
    monkeypatch.delenv("XRAY_DATA", raising=False)
    monkeypatch.delenv("XRAY_KERMANY", raising=False)
    assert find_source(task="two_stage").kind == "generated"
    (tmp_path / "data" / "all").mkdir(parents=True)
    assert find_source(task="two_stage").root == tmp_path / "data"
    for variable in ("XRAY_DATA", "XRAY_KERMANY"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, variable)
        assert find_source(task="two_stage").root == tmp_path / variable
    assert find_source(task="task2").root == tmp_path / "XRAY_DATA"
    monkeypatch.setenv("XRAY_KERMANY", "nowhere")
    with pytest.raises(KitError, match=r"\$XRAY_KERMANY='nowhere': there is no folder"):
        find_source(task="two_stage")


# --- the stages ---------------------------------------------------------------------------------


@pytest.fixture
def data(pictures):
    return load_data("two_stage", Source(pictures, "other"), image_size=8, progress=None)


def test_stage_one_sees_every_picture_as_normal_or_infected(data):
    stage = first_stage(data)
    assert stage.classes == ("normal", INFECTED)
    assert stage.counts.loc[INFECTED].tolist() == [48, 12, 12]
    labels = stage.split("test")[1]
    assert labels.tolist() == [0] * 6 + [1] * 12


def test_stage_two_sees_the_infected_pictures_only(data):
    stage = second_stage(data)
    assert stage.classes == ("pneumonia_bac", "pneumonia_vir")
    assert stage.counts.to_numpy().tolist() == [[24, 6, 6], [24, 6, 6]]
    pictures, labels = stage.split("test")
    assert labels.tolist() == [0] * 6 + [1] * 6
    rows = np.flatnonzero((data.table["split"] == "test") & (data.table["label"] != "normal"))
    assert (pictures == data.pictures[rows]).all()


def test_the_stages_share_the_pictures_without_a_copy(data):
    assert first_stage(data).pictures is data.pictures
    assert second_stage(data).pictures is data.pictures
    assert some_pictures(data, {"train": 6}, 0).pictures is data.pictures


def test_some_pictures_keep_the_shares_of_the_classes(data):
    few = some_pictures(first_stage(data), {"train": 24, "validation": 6}, seed=1)
    assert few.counts.to_numpy().tolist() == [[8, 2, 6], [16, 4, 12]]
    kept, every = set(few.rows("train")), set(data.rows("train"))
    assert kept < every
    again = some_pictures(first_stage(data), {"train": 24, "validation": 6}, seed=1)
    other = some_pictures(first_stage(data), {"train": 24, "validation": 6}, seed=2)
    assert set(again.rows("train")) == kept != set(other.rows("train"))


def test_more_pictures_than_there_are_is_all_of_them(data):
    few = some_pictures(data, {"train": 10_000}, seed=0)
    assert few.counts.equals(data.counts)


# --- what the report says -----------------------------------------------------------------------


def test_the_reports_covid_has_the_counts_of_kermanys_viral_pneumonia():
    assert REPORT_E_COUNTS["train"] == KERMANY_COUNTS["train"]
    assert (
        REPORT_E_COUNTS["test"][2] + REPORT_E_COUNTS["validation"][2] == KERMANY_COUNTS["test"][2]
    )
    assert sum(REPORT_E_COUNTS["test"]) == 615
    assert sum(REPORT_E_COUNTS["test"][1:]) == 381
    table = counts_beside()
    assert table["test"].tolist() == [234, 242, 139]
    assert table["its test"].tolist() == [234, 242, 148]
