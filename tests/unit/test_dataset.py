from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data import dataset, find_source, load_data
from xray_helpers.data.dataset import Source
from xray_helpers.errors import KitError

CLASSES = ("covid", "normal", "pneumonia_bac", "pneumonia_vir")


def write(path: Path, value: int) -> Path:
    """A picture of one grey, which tells it among all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 6), value, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five training and two test pictures of each class; picture number i is of grey i."""
    root, value = tmp_path / "mine", 1
    for task, classes in (("two", CLASSES[:2]), ("all", CLASSES)):
        for split, n in (("train", 5), ("test", 2)):
            for label in classes:
                for i in range(n):
                    write(root / task / split / label / f"{split}{label}{i}.png", value)
                    value += 1
    return root


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """An empty project; `auto` looks for data/ in it."""
    (tmp_path / "project").mkdir()
    monkeypatch.setattr(dataset, "resolve", lambda path: tmp_path / "project" / Path(path))
    monkeypatch.delenv("XRAY_DATA", raising=False)
    return tmp_path / "project"


@pytest.fixture
def drawn(monkeypatch) -> list:
    """What was asked of the generator, which here draws nothing."""
    asked = []

    def write_demo(folder, **options):
        asked.append((folder, options))
        return folder

    monkeypatch.setattr(dataset, "write_demo", write_demo)
    return asked


# --- where pictures come from -------------------------------------------------------------------


def layout(root: Path) -> Path:
    for name in ("two", "all"):
        (root / name).mkdir(parents=True)
    return root


def test_the_order_of_places(project, tmp_path, monkeypatch, drawn):
    assert find_source().kind == "generated"
    assert len(drawn) == 1
    usual = layout(project / "data")
    assert find_source() == Source(usual, "other")
    monkeypatch.setenv("XRAY_DATA", str(layout(tmp_path / "named")))
    assert find_source().root == tmp_path / "named"
    given = layout(tmp_path / "given")
    assert find_source(str(given)).root == given
    assert len(drawn) == 1
    assert find_source(str(given), smoke=True).kind == "generated"


def test_a_data_folder_with_half_of_the_layout_is_not_taken(project, drawn):
    (project / "data" / "two").mkdir(parents=True)
    assert find_source().kind == "generated"


def test_relative_paths_count_from_the_projects_root(project, monkeypatch):
    layout(project / "a")
    assert find_source("a").root == project / "a"
    monkeypatch.setenv("XRAY_DATA", "a")
    assert find_source().root == project / "a"


@pytest.mark.parametrize("way", ["setting", "environment"])
def test_a_folder_that_is_nowhere_is_named_with_who_named_it(project, monkeypatch, way):
    if way == "environment":
        monkeypatch.setenv("XRAY_DATA", "nowhere")
    with pytest.raises(KitError) as caught:
        find_source("auto" if way == "environment" else "nowhere")
    assert str(project / "nowhere") in str(caught.value)
    assert ("$XRAY_DATA=" if way == "environment" else "data_dir=") in str(caught.value)


def test_smoke_sets_are_small_and_every_seed_has_its_own_folder(drawn):
    find_source(smoke=True)
    find_source(seed=1)
    find_source(seed=2)
    (small, options), (one, _), (two, _) = drawn
    assert options["per_class"] == 10
    assert "smoke" in small.name
    assert one != two


def test_generated_pictures_are_known_as_such_also_by_path(tmp_path):
    from xray_helpers.data.generate import write_demo

    root = write_demo(tmp_path / "demo", per_class=2, test_per_class=1, size=64, progress=False)
    source = find_source(str(root))
    assert source.kind == "generated"
    assert "not a result" in source.note


def test_class_data_are_known_by_their_files(tmp_path):
    from xray_helpers.data.patients import class_files

    root = tmp_path / "class"
    for row in class_files():
        path = root / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_source(str(root)).kind == "class"
    for path in list(root.rglob("*.*"))[::4]:
        path.unlink()
    assert find_source(str(root)).kind == "other"


# --- loading ------------------------------------------------------------------------------------


def load(root: Path, task: str = "task2", **options):
    return load_data(task, Source(root, "other"), image_size=8, progress=None, **options)


def greys(root: Path, paths) -> list[int]:
    return [int(np.asarray(Image.open(path))[0, 0]) for path in paths]


@pytest.mark.parametrize("task", ["task1", "task2"])
def test_every_row_has_its_own_picture(folder, task):
    data = load(folder, task)
    assert data.pictures[:, 0, 0, 0].tolist() == greys(folder, data.table["path"])
    assert (data.pictures == data.pictures[:, :1, :1, :1]).all()
    for split in ("train", "validation", "test"):
        pictures, labels = data.split(split)
        rows = data.table[data.table["split"] == split]
        assert pictures[:, 0, 0, 0].tolist() == greys(folder, rows["path"])
        assert [data.classes[i] for i in labels] == rows["label"].tolist()
        assert labels.dtype == np.int64


def test_label_one_of_task_1_is_covid(folder):
    data = load(folder, "task1")
    assert data.classes == ("normal", "covid")
    _, labels = data.split("test")
    rows = data.table[data.table["split"] == "test"]
    assert set(rows["label"][labels == 1]) == {"covid"}


def test_counts_of_classes_and_splits(folder):
    data = load(folder)
    assert list(data.counts.index) == list(CLASSES)
    assert data.counts.to_dict() == {
        "train": dict.fromkeys(CLASSES, 4),
        "validation": dict.fromkeys(CLASSES, 1),
        "test": dict.fromkeys(CLASSES, 2),
    }
    assert "16 train, 4 validation, 8 test" in repr(data)


def test_a_broken_picture_is_set_aside_and_nothing_shifts(folder):
    broken = folder / "all" / "train" / "covid" / "traincovid1.png"
    broken.write_bytes(b"")
    data = load(folder)
    assert [(u.path, u.reason) for u in data.set_aside] == [(str(broken), "the file is empty")]
    assert str(broken) not in set(data.table["path"])
    assert data.counts.loc["covid", ["train", "validation"]].sum() == 4
    assert data.pictures[:, 0, 0, 0].tolist() == greys(folder, data.table["path"])
    assert "1 unreadable set aside" in repr(data)


def test_a_class_with_broken_pictures_only_stops(folder):
    for path in (folder / "all" / "test" / "normal").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(KitError, match="No normal picture in the test folder"):
        load(folder)


def test_dropped_leaks_leave_pictures_and_rows_in_step(folder):
    lines = ["file,patient"]
    for name in ("traincovid2.png", "traincovid4.png", "testcovid0.png"):
        lines.append(f"all/{'train' if name.startswith('train') else 'test'}/covid/{name},p7")
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")
    kept, dropped = load(folder), load(folder, leaks="drop_train")
    assert len(kept.table) - len(dropped.table) == 2
    names = {Path(path).name for path in dropped.table["path"]}
    assert not names & {"traincovid2.png", "traincovid4.png"}
    assert "testcovid0.png" in names
    assert len(dropped.pictures) == len(dropped.table)
    assert dropped.pictures[:, 0, 0, 0].tolist() == greys(folder, dropped.table["path"])
    assert dropped.fingerprint == kept.fingerprint  # the folder is the same


def test_enhancement_changes_pixels_and_nothing_else(folder):
    for path in folder.rglob("*.png"):
        values = np.random.default_rng(len(path.name)).integers(90, 120, (12, 12), np.uint8)
        Image.fromarray(values).save(path)
    (folder / "all" / "test" / "normal" / "broken.png").write_bytes(b"")
    plain, enhanced = load(folder), load(folder, enhance="crop,normalize")
    assert enhanced.table.equals(plain.table)
    assert enhanced.fingerprint == plain.fingerprint
    assert enhanced.set_aside == plain.set_aside
    assert np.ptp(plain.pictures) < 40
    assert (np.ptp(enhanced.pictures, axis=(1, 2, 3)) == 255).all()
    assert np.array_equal(load(folder, enhance="normalize, crop").pictures, enhanced.pictures)


def test_a_misspelt_step_stops_the_loading(folder):
    with pytest.raises(KitError, match="enhance: 'clae' is no step; did you mean 'clahe'"):
        load(folder, enhance="crop,clae")


def test_the_fingerprint_stands_for_pictures_labels_and_test_split_alone(folder):
    first = load(folder).fingerprint
    assert load(folder, seed=7).fingerprint == first
    assert load(folder, "task1").fingerprint != first
    moved = folder.rename(folder.with_name("elsewhere"))
    assert load(moved).fingerprint == first


@pytest.mark.parametrize("change", ["pixel", "label", "split", "gone"])
def test_the_fingerprint_changes_with_the_data(folder, change):
    first = load(folder).fingerprint
    path = folder / "all" / "train" / "covid" / "traincovid1.png"
    if change == "pixel":
        write(path, 200)
    elif change == "label":
        path.rename(folder / "all" / "train" / "normal" / path.name)
    elif change == "split":
        path.rename(folder / "all" / "test" / "covid" / path.name)
    else:
        path.unlink()
    assert load(folder).fingerprint != first
