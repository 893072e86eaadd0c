"""The generated pictures: their layout, their signs, and that nothing but the signs tells them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data.generate import COUNTS, draw, is_generated, read_mask, write, write_demo
from xray_helpers.data.generate.film import draw_again, measured
from xray_helpers.errors import KitError
from xray_helpers.evaluation.floor import floor_inputs

SMALL = {"per_class": 3, "test_per_class": 2, "size": 64, "progress": False}
SICK = ("covid", "pneumonia_bac", "pneumonia_vir")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("generated") / "demo", seed=1, **SMALL)


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


# --- the folder -----------------------------------------------------------------------------


def test_layout(demo):
    for split, wanted in (("train", 3), ("test", 2)):
        for label in COUNTS[split]:
            pictures = sorted((demo / "all" / split / label).iterdir())
            assert len(pictures) == wanted
            for path in pictures:
                assert label not in path.name
                with Image.open(path) as picture:
                    assert (picture.mode, picture.format, picture.size) == ("L", "JPEG", (64, 64))
    assert is_generated(demo)
    assert not is_generated(demo / "all")


def test_two_is_a_copy_of_all(demo):
    everything, two = files(demo / "all"), files(demo / "two")
    assert two == {name: data for name, data in everything.items() if "/pneumonia" not in name}


def test_default_counts_are_those_of_the_class_data():
    orders = list(write._orders(0, write._counts(None, None)))
    for split, label in itertools.product(("train", "test"), COUNTS["train"]):
        drawn = [o for o in orders if (o.split, o.label) == (split, label)]
        assert len(drawn) == COUNTS[split][label]
    assert sum(COUNTS["train"].values()) == 270
    assert sum(COUNTS["test"].values()) == 36
    assert write._counts(40, None)["test"]["covid"] == 10
    assert write._counts(4, None)["test"]["covid"] == 4


def test_a_patient_is_in_one_split_and_one_class():
    orders = list(write._orders(0, write._counts(None, None)))
    where: dict[str, set] = {}
    for order in orders:
        where.setdefault(order.stem.rsplit("-", 1)[0], set()).add((order.split, order.label))
    assert all(len(places) == 1 for places in where.values())
    assert len({order.stem for order in orders}) == len(orders)
    assert len(where) < len(orders)  # some patients have several pictures


def test_patient_numbers_do_not_tell_the_class():
    orders = write._orders(0, write._counts(None, None))
    numbers: dict[str, list] = {}
    for order in orders:
        numbers.setdefault(order.label, []).append(int(order.stem.split("-")[1]))
    centres = [np.mean(some) for some in numbers.values()]
    assert max(centres) - min(centres) < 80  # in order they would lie about 230 apart


def test_the_seed_decides(demo, tmp_path):
    again = write_demo(tmp_path / "again", seed=1, **SMALL)
    other = write_demo(tmp_path / "other", seed=2, **SMALL)
    assert files(again) == files(demo)
    pictures = {data for name, data in files(demo).items() if name.endswith(".jpeg")}
    assert not pictures & {d for name, d in files(other).items() if name.endswith(".jpeg")}


def test_the_same_set_is_kept(demo):
    before = (demo / "generated.json").stat().st_mtime_ns
    assert write_demo(demo, seed=1, **SMALL) == demo
    assert (demo / "generated.json").stat().st_mtime_ns == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "demo").mkdir()
    write_demo(tmp_path / "demo", **SMALL)
    assert is_generated(tmp_path / "demo")
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]


def test_refusals(demo, tmp_path):
    with pytest.raises(KitError, match="holds another set of generated pictures"):
        write_demo(demo, seed=5, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(KitError, match="is not empty and not a set of generated pictures; name"):
        write_demo(tmp_path, **SMALL)
    with pytest.raises(KitError, match="is a file"):
        write_demo(tmp_path / "notes.txt", **SMALL)
    with pytest.raises(KitError, match="could not be written"):
        write_demo(tmp_path / "notes.txt" / "below", **SMALL)
    with pytest.raises(KitError, match="per_class is 0"):
        write_demo(tmp_path / "new", per_class=0)
    with pytest.raises(KitError, match="seed"):
        write_demo(tmp_path / "new", seed=-1)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_missing_pictures_are_noticed(tmp_path):
    folder = write_demo(tmp_path / "demo", **SMALL)
    next((folder / "all" / "test" / "covid").iterdir()).unlink()
    with pytest.raises(KitError, match="Pictures are missing"):
        write_demo(folder, **SMALL)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch, error):
    calls = itertools.count()
    real = write._write_one

    def stops_at_the_fifth(*args):
        if next(calls) == 4:
            raise error
        real(*args)

    monkeypatch.setattr(write, "_write_one", stops_at_the_fifth)
    with pytest.raises(error):
        write_demo(tmp_path / "demo", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    for text in ("", "[1]", json.dumps({"generated": "yes"})):
        (tmp_path / "generated.json").write_text(text)
        assert not is_generated(tmp_path)


# --- the signs ------------------------------------------------------------------------------


def test_masks_are_found_from_both_groups(demo):
    for path in sorted(demo.glob("*/*/*/*.jpeg")):
        mask = read_mask(path)
        assert mask.dtype == bool
        assert mask.shape == (64, 64)
        assert mask.any() == (path.parent.name != "normal")
    assert read_mask(demo / "generated.json") is None
    assert read_mask(Path("picture.jpeg")) is None


@pytest.fixture(scope="module")
def pictures():
    """Ten pictures and masks of each class, from generators of their own."""
    return {
        label: [draw(label, np.random.default_rng([i, k]), size=96) for i in range(10)]
        for k, label in enumerate(COUNTS["train"])
    }


def test_a_picture_and_its_mask(pictures):
    for label, drawn in pictures.items():
        for picture, mask in drawn:
            assert (picture.dtype, picture.shape) == (np.uint8, (96, 96))
            assert (mask.dtype, mask.shape) == (bool, (96, 96))
            assert mask.any() == (label != "normal")
            assert mask.mean() < 0.4
            edge = np.ones_like(mask)
            edge[4:-4, 4:-4] = False
            assert not mask[edge].any()  # the lungs do not reach the edge


def test_ground_glass_is_in_both_lungs_low_and_outside(pictures):
    for _, mask in pictures["covid"]:
        rows, columns = np.nonzero(mask)
        sides = [(columns < 48).mean(), (columns >= 48).mean()]
        assert min(sides) > 0.1
    rows, columns = np.nonzero(sum(mask.astype(int) for _, mask in pictures["covid"]))
    assert np.median(rows) > 0.48 * 96  # the lungs reach from about 0.12 to 0.75
    assert np.median(np.abs(columns - 48)) > 0.19 * 96  # and sideways to about 0.35


def test_a_consolidation_is_in_one_lung(pictures):
    for _, mask in pictures["pneumonia_bac"]:
        columns = np.nonzero(mask)[1]
        assert max((columns < 48).mean(), (columns >= 48).mean()) > 0.9


def test_interstitial_signs_are_in_both_lungs(pictures):
    for _, mask in pictures["pneumonia_vir"]:
        columns = np.nonzero(mask)[1]
        assert min((columns < 48).mean(), (columns >= 48).mean()) > 0.15


def same_patient(label: str, patient: int) -> tuple[np.ndarray, np.ndarray]:
    return draw_again(label, np.random.default_rng(patient), np.random.default_rng(99), 96)


@pytest.mark.parametrize("label", SICK)
def test_the_signs_brighten_the_lung(label):
    for patient in range(4):
        sick, mask = same_patient(label, patient)
        healthy, _ = same_patient("normal", patient)
        more = sick.astype(float) - healthy
        assert more[mask].mean() > more[~mask].mean() + 5


# --- and nothing but the signs --------------------------------------------------------------


@pytest.mark.parametrize("label", SICK)
def test_mean_spread_and_borders_are_those_of_the_healthy_patient(label):
    # Equal for each patient, so equal in distribution: no classifier can tell classes by them.
    for patient in range(8):
        sick, _ = same_patient(label, patient)
        healthy, _ = same_patient("normal", patient)
        assert np.abs(measured(sick) - measured(healthy)).max() < 0.3


@pytest.mark.parametrize("label", SICK)
def test_the_frame_is_that_of_the_healthy_patient(label):
    for patient in range(4):
        sick, _ = same_patient(label, patient)
        healthy, _ = same_patient("normal", patient)
        different = sick != healthy
        assert different[20:-20, 20:-20].mean() > 0.5
        different[9:-9, 9:-9] = False
        assert not different.any()


def test_the_measures_are_those_of_the_floor(demo, tmp_path):
    path = next((demo / "all" / "train" / "covid").iterdir())
    with Image.open(path) as picture:
        here = measured(np.array(picture))
    assert np.allclose(here, floor_inputs([path])["numbers"][0, 6:])


def test_one_size_mode_and_format(demo):
    numbers = floor_inputs(sorted(demo.glob("all/*/*/*.jpeg")))["numbers"]
    assert np.all(np.ptp(numbers[:, :6], axis=0) == 0)
