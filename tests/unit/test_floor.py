"""The floor: ten numbers, thumbnails, and what classifiers make of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from xray_helpers.data import Dataset, find_source, load_data
from xray_helpers.data.checks.seen import measure
from xray_helpers.errors import KitError
from xray_helpers.evaluation.floor import (
    NAMES,
    floor_inputs,
    floor_model,
    floors,
)
from xray_helpers.evaluation.metrics import wilson


def test_ten_numbers_of_a_known_picture(tmp_path):
    values = np.full((224, 224), 100, np.uint8)
    values[:, :8] = 20
    values[:, -8:] = 40
    path = tmp_path / "grey.png"
    Image.fromarray(values).save(path)
    numbers = dict(zip(NAMES, floor_inputs([path])["numbers"][0], strict=True))
    assert numbers["width"] == numbers["height"] == 224
    assert (numbers["width / height"], numbers["mode is L"], numbers["mode is RGBA"]) == (1, 1, 0)
    assert numbers["file is PNG"] == 1
    assert numbers["mean"] == pytest.approx(values.mean())
    assert numbers["standard deviation"] == pytest.approx(values.std())
    assert numbers["mean of the left and right 8 columns"] == pytest.approx(30)
    assert numbers["mean of the top and bottom 8 rows"] == pytest.approx(values[0].mean())


def test_colour_and_transparency(tmp_path):
    Image.new("RGBA", (50, 20), (255, 0, 0, 128)).save(tmp_path / "a.png")
    Image.new("RGB", (50, 20)).save(tmp_path / "b.jpg")
    features = floor_inputs([tmp_path / "a.png", tmp_path / "b.jpg"])["numbers"]
    assert features.shape == (2, 10)
    assert features.dtype == np.float64
    assert features[0, :6].tolist() == [50, 20, 2.5, 0, 1, 1]
    assert features[1, :6].tolist() == [50, 20, 2.5, 0, 0, 0]
    assert floor_inputs([])["numbers"].shape == (0, 10)


def test_files_are_seen_as_the_audit_sees_them(tmp_path):
    """16 bits, half transparent and turned by EXIF: upright, 8 bits, on black; mode of the file."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**16, (60, 90), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    Image.new("RGBA", (50, 20), (255, 255, 255, 128)).save(tmp_path / "clear.png")
    dark_left = np.repeat(np.linspace(0, 255, 300), 200).reshape(300, 200).T.astype(np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # what lies on the left belongs on top
    Image.fromarray(dark_left).save(tmp_path / "turned.jpg", exif=turned)
    paths = sorted(tmp_path.iterdir())
    seen = floor_inputs(paths)
    clear, deep, lying = (dict(zip(NAMES, row, strict=True)) for row in seen["numbers"])
    assert deep["mean"] == pytest.approx(values.mean() / 257, abs=1)
    assert (deep["mode is L"], clear["mode is RGBA"], lying["mode is L"]) == (0, 1, 1)
    assert clear["mean"] == 128
    assert (lying["width"], lying["height"]) == (300, 200)
    sides, ends = list(NAMES)[-2:]
    assert abs(lying[ends] - lying["mean"]) < 4 and lying[sides] == pytest.approx(127, abs=4)
    upright = seen["thumbnails"][2].reshape(14, 14)
    assert (np.diff(upright.mean(axis=1)) > 0).all() and np.ptp(upright.mean(axis=0)) < 3
    audited = [measure(path).numbers for path in paths]
    assert np.array_equal(seen["numbers"], audited)


def test_a_file_that_would_fill_the_memory_is_named_in_one_sentence(tmp_path, monkeypatch):
    Image.new("L", (300, 300)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(KitError, match=r"huge\.png cannot be read any more \(it has more than"):
        floor_inputs([tmp_path / "huge.png"])


def test_the_model_learns_what_the_numbers_tell():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 10))
    labels = features[:, 6] > 0
    assert floor_model().fit(features, labels).score(features, labels) > 0.9


# --- both floors, fitted and scored ---------------------------------------------------------------


def written(data: Dataset, root: Path) -> Dataset:
    """The data, its pictures written as files below `root`."""
    table = data.table.copy()
    table["path"] = [str(root / Path(path).relative_to("/pictures")) for path in table["path"]]
    for path, picture in zip(table["path"], data.pictures, strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return replace(data, table=table, source=replace(data.source, root=root))


def test_a_thumbnail_is_every_16th_pixel_of_the_grey_picture(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (224, 224), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    large = Image.fromarray(values).resize((300, 260))
    large.save(tmp_path / "b.png")
    seen = floor_inputs([tmp_path / "a.png", tmp_path / "b.png"])
    assert seen["thumbnails"].shape == (2, 196)
    assert seen["thumbnails"][0].tolist() == values[::16, ::16].ravel().tolist()
    small = np.asarray(large.resize((224, 224), Image.Resampling.BILINEAR))
    assert seen["thumbnails"][1].tolist() == small[::16, ::16].ravel().tolist()
    assert seen["numbers"][:, 0].tolist() == [224, 300]
    assert floor_inputs([])["thumbnails"].shape == (0, 196)


@pytest.mark.parametrize("task", ["task1", "task2", "two_stage"])
def test_floors_are_those_of_scikit_learn_on_train_and_validation_scored_on_test(
    new_data, tmp_path, task
):
    made = new_data("task1" if task == "two_stage" else task)
    if task == "two_stage":
        names = np.array(["normal", "pneumonia_bac", "pneumonia_vir"])
        labels = names[np.arange(len(made.table)) % 3]
        made = replace(made, task=task, classes=tuple(names), table=made.table.assign(label=labels))
    data = written(made, tmp_path)
    found = floors(data, progress=None)
    labels, test = data.table["label"].to_numpy(str), (data.table["split"] == "test").to_numpy()
    for name, penalty in (("numbers", 1.0), ("thumbnails", 0.01)):
        x = floor_inputs(list(data.table["path"]))[name]
        scale = StandardScaler().fit(x[~test])
        model = LogisticRegression(C=penalty, max_iter=5000)
        model.fit(scale.transform(x[~test]), labels[~test])
        expected = model.predict(scale.transform(x[test]))
        assert found.predictions[name].tolist() == expected.tolist()
        hits = int((expected == labels[test]).sum())
        score = found.scores[name]
        assert (score.value, score.n) == (hits / test.sum(), test.sum())
        assert found.as_dict()[name] == {
            "value": score.value, "low": wilson(hits, 9).low, "high": wilson(hits, 9).high, "n": 9
        }  # fmt: skip
    assert list(found.predictions) == ["path", "true", "numbers", "thumbnails", "patient"]
    assert found.predictions["path"].iloc[0] == "test/000.png"
    assert found.predictions["true"].tolist() == labels[test].tolist()
    assert found.predictions["patient"].iloc[0] == "test-0"


def test_a_file_that_has_gone_is_named(new_data, tmp_path):
    data = written(new_data(), tmp_path)
    (tmp_path / "test" / "003.png").unlink()
    with pytest.raises(KitError, match=r"003\.png cannot be read any more"):
        floors(data, progress=None)


@pytest.mark.parametrize(
    ("task", "numbers", "thumbnails"), [("task1", 18, 18), ("task2", 19, 24)]
)  # fmt: skip
def test_the_floors_of_the_class_data(class_data, task, numbers, thumbnails):
    data = load_data(task, find_source(str(class_data)), image_size=32, progress=None)
    found = floors(data, progress=None)
    hits = {name: round(s.value * s.n) for name, s in found.scores.items()}
    assert hits == {
        "numbers": pytest.approx(numbers, abs=2),
        "thumbnails": pytest.approx(thumbnails, abs=2),
    }
