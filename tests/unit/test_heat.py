"""Heat against masks, and the pictures that a model got most wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binomtest

from xray_helpers.data import Source, load_data
from xray_helpers.data.generate import write_demo
from xray_helpers.errors import KitError
from xray_helpers.evaluation import heat_scores, lesion_masks, mistakes
from xray_helpers.evaluation.predict import Evaluation

RNG = np.random.default_rng(0)


def squares(n, side=20):
    """A lesion of 4x5 pixels somewhere in each picture."""
    masks = np.zeros((n, side, side), bool)
    for mask, (y, x) in zip(masks, RNG.integers(0, side - 5, (n, 2)), strict=True):
        mask[y : y + 4, x : x + 5] = True
    return masks


def test_heat_in_the_lesion_scores_one_and_heat_elsewhere_zero():
    masks = squares(9)
    good = heat_scores(masks.astype("float32"), masks)
    assert good.pointing.value == good.inside.value == 1
    assert good.chance == pytest.approx(20 / 400)
    bad = heat_scores((~masks).astype("float32"), masks)
    assert bad.pointing.value == bad.inside.value == 0
    assert "9/9" in str(good) and "0.050 in both" in str(good)


def test_heat_that_knows_nothing_gets_what_is_said_of_it():
    masks = squares(3000, 12)
    scores = heat_scores(RNG.random(masks.shape), masks)
    assert scores.pointing.value == pytest.approx(scores.chance, abs=0.02)
    assert scores.inside.value == pytest.approx(scores.chance, abs=0.005)


def test_intervals_are_wilsons_and_those_over_patients():
    masks, patients = squares(12), np.arange(12) // 3
    heats = RNG.random(masks.shape)
    heats[:6][masks[:6]] += 1  # two patients' heat is right in all of their pictures
    heats[6:][~masks[6:]] += 1  # that of the other two is wrong in all of theirs
    scores = heat_scores(heats, masks, patients)
    wilson = binomtest(6, 12).proportion_ci(method="wilson")
    assert (scores.pointing.low, scores.pointing.high) == pytest.approx(tuple(wilson))
    # Four patients, half of them all right: 0 of 4 to 4 of 4 are drawn.
    assert (scores.pointing.by_patient.low, scores.pointing.by_patient.high) == (0, 1)
    assert scores.inside.low < scores.inside.value < scores.inside.high
    expected = [(h * m).sum() / h.sum() for h, m in zip(heats, masks, strict=True)]
    assert scores.inside.value == pytest.approx(np.mean(expected))


def test_pictures_without_heat_are_misses_and_have_no_share():
    masks = squares(4)
    heats = masks.astype("float32")
    heats[0], heats[1] = 0, -1  # what occlusion gives where covering only helps
    scores = heat_scores(heats, masks)
    assert scores.pointing.value == 0.5 and scores.pointing.n == 4
    assert scores.inside.value == 1 and scores.inside.n == 2
    assert scores.without_heat == 2 and "without any heat: 2" in str(scores)


def test_pictures_with_heat_that_is_no_number_count_as_without():
    masks = squares(3)
    heats = masks.astype("float32")
    heats[0], heats[1, 0, 0] = np.nan, np.nan
    scores = heat_scores(heats, masks)
    assert scores.without_heat == 2
    assert scores.pointing.value == 1 / 3 and scores.inside.n == 1


def test_the_share_of_heat_has_a_chance_of_its_own_pictures():
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :2], masks[1, :5] = True, True
    heats = np.stack([np.ones((10, 10)), np.zeros((10, 10))])  # even heat, and none
    scores = heat_scores(heats, masks)
    assert scores.chance == 0.35
    assert scores.inside_chance == scores.inside.value == 0.2
    assert "0.350 for the first, and 0.200 for the second" in str(scores)
    nothing = heat_scores(0 * heats, masks)
    assert np.isnan(nothing.inside_chance) and "nan" not in str(nothing)


def test_of_equally_hot_places_half_have_to_lie_inside():
    masks = np.zeros((2, 4, 4), bool)
    masks[:, 0, 3] = True
    heats = np.zeros((2, 4, 4))
    heats[0, 0, [0, 3]] = 1
    heats[1, 0, [0, 1, 3]] = 1
    assert heat_scores(heats[:1], masks[:1]).pointing.value == 1
    assert heat_scores(heats[1:], masks[1:]).pointing.value == 0


def test_masks_that_do_not_fit_are_refused():
    masks = squares(3)
    heats = masks.astype(float)
    for wrong in (masks[:2], masks.astype(float), masks[:, :5]):
        with pytest.raises(KitError, match="same height and width"):
            heat_scores(heats, wrong)
    masks[1] = False
    with pytest.raises(KitError, match="have a lesion"):
        heat_scores(heats, masks)
    with pytest.raises(KitError, match="at least one picture"):
        heat_scores(heats[:0], masks[:0])
    with pytest.raises(KitError, match="3 pictures, 2 patients"):
        heat_scores(heats, squares(3), ["a", "b"])


# --- masks of generated pictures ----------------------------------------------------------------


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "set"
    return write_demo(folder, per_class=5, test_per_class=3, size=64, progress=False)


def test_the_masks_are_those_of_the_sick_test_pictures(generated):
    data = load_data("task2", Source(generated, "generated"), image_size=32, progress=None)
    rows, masks = lesion_masks(data)
    table = data.table.iloc[data.rows("test")]
    assert rows.tolist() == np.flatnonzero(table["label"] != "normal").tolist()
    assert masks.shape == (9, 32, 32) and masks.dtype == bool
    for row, mask in zip(rows, masks, strict=True):
        path = Path(table["path"].iloc[row])
        file = generated / "masks" / "test" / path.parent.name / f"{path.stem}.png"
        drawn = np.array(Image.open(file).convert("L")) > 0
        np.testing.assert_array_equal(mask, drawn[1::2, 1::2])  # every second pixel
    plain, _ = lesion_masks(data, "train")
    assert len(plain) == (data.table["split"].eq("train") & (data.table["label"] != "normal")).sum()


def test_cropped_pictures_have_cropped_masks(generated, tmp_path):
    """A lesion marked in the picture itself is found where the mask says, cropped or not."""
    import shutil

    root = tmp_path / "set"
    shutil.copytree(generated, root)
    for path in (root / "two" / "test" / "covid").iterdir():
        mask = np.array(Image.open(root / "masks/test/covid" / f"{path.stem}.png").convert("L")) > 0
        picture = np.random.default_rng(0).integers(60, 100, (64, 64)).astype(np.uint8)
        picture[mask] = 255
        picture[:9], picture[:, -13:] = 0, 0  # a border for `crop` to cut
        Image.fromarray(picture).save(path, quality=100)
    source = Source(root, "generated")
    data = load_data("task1", source, image_size=32, enhance="crop", progress=None)
    rows, masks = lesion_masks(data, "test", "crop")
    bright = data.split("test")[0][rows][..., 0] > 180
    overlap = (bright & masks).sum() / (bright | masks).sum()
    assert overlap > 0.8
    _, wrong = lesion_masks(data, "test")
    assert (bright & wrong).sum() / (bright | wrong).sum() < 0.7


def test_real_pictures_have_no_masks(tiny_data):
    rows, masks = lesion_masks(tiny_data)
    assert len(rows) == 0 and masks.shape == (0, 16, 16)


# --- mistakes -----------------------------------------------------------------------------------


def evaluation(true, covid):
    """Of `normal` and `covid`, with these probabilities of the second."""
    covid = np.asarray(covid)
    table = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(len(covid))],
            "true": true,
            "predicted": np.where(covid > 0.5, "covid", "normal"),
            "p_normal": 1 - covid,
            "p_covid": covid,
        }
    )
    return Evaluation(("normal", "covid"), table, None)


def test_mistakes_are_the_wrong_ones_the_surest_first():
    true = ["normal", "covid", "normal", "covid", "normal", "covid"]
    result = evaluation(true, [0.6, 0.9, 0.95, 0.05, 0.1, 0.3])
    found = mistakes(result)
    assert found["row"].tolist() == [2, 3, 5, 0]
    np.testing.assert_allclose(found["probability"], [0.95, 0.95, 0.7, 0.6])
    np.testing.assert_allclose(found["probability_true"], [0.05, 0.05, 0.3, 0.4])
    for row in found.to_dict("records"):
        there = result.predictions.iloc[row["row"]]
        assert (row["path"], row["true"], row["predicted"]) == tuple(there.iloc[:3])
    assert mistakes(result, 2)["row"].tolist() == [2, 3]


def test_a_perfect_result_has_no_mistakes():
    found = mistakes(evaluation(["normal", "covid"], [0.1, 0.9]))
    assert found.empty and "row" in found


def test_rows_are_places_whatever_the_tables_index():
    result = evaluation(["covid", "normal"], [0.1, 0.2])
    moved = replace(result, predictions=result.predictions.set_axis([7, 3]))
    assert mistakes(moved)["row"].tolist() == [0]
