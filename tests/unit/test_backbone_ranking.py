"""Backbones ranked by repeated cross-validation: folds, scores, intervals, and what is not read."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_helpers.errors import KitError
from xray_helpers.evaluation import backbone_ranking as module
from xray_helpers.evaluation.backbone_ranking import chosen_backbones, rank_backbones
from xray_helpers.evaluation.floor import FLOORS
from xray_helpers.evaluation.ranking import backbone_ranking_text
from xray_helpers.models.backbones import PRETRAINED


@pytest.fixture
def data(new_data, tmp_path):
    """Task 2 in files: 60 train and validation pictures of 30 patients, 8 test pictures."""
    made = new_data("task2", counts=(40, 20, 8), size=16, root=tmp_path)
    for path, picture in zip(made.table["path"], made.pictures, strict=True):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    # Two pictures a patient, of the same class; in the four classes' turns.
    number = made.table["path"].str.extract(r"(\d+)\.png")[0].astype(int)
    patients = made.table["split"] + "-" + made.table["label"] + (number // 8).astype(str)
    return replace(made, table=made.table.assign(patient=patients))


@pytest.fixture
def planted(monkeypatch):
    """Features by the backbone's name: "good" ones tell the classes, in part; others are noise."""

    def features(data, name, weights, seed):
        labels = np.concatenate([data.split(s)[1] for s in ("train", "validation")])
        signal = {"resnet50": 0.9, "vgg16": 0.35, "vgg19": 0.35}.get(name, 0.0)
        noise = np.random.default_rng(0).normal(size=(len(labels), 30))
        return signal * np.eye(30)[labels] * 3 + noise

    monkeypatch.setattr(module, "_features", features)
    # Pictures of 16 pixels: no backbone takes them, and none is asked.
    monkeypatch.setattr(module, "chosen_backbones", lambda names, size: list(names))


def ranked(data, *names: str, **options) -> pd.DataFrame:
    return rank_backbones(data, names, "random", **options)


def test_the_planted_better_backbone_is_first_and_noise_last(data, planted):
    table = ranked(data, "xception", "vgg16", "resnet50")
    assert table["backbone"].tolist() == ["resnet50", "vgg16", "xception", *FLOORS.values()]
    assert table["rank"].tolist()[:3] == [1, 2, 3]
    assert table["rank"].isna().tolist() == table["reference"].tolist() == [False] * 3 + [True] * 2
    assert table["verdict"].tolist()[:3] == ["the best here", *["worse than the best"] * 2]
    assert table["mark"].tolist() == ["random weights"] * 3 + [""] * 2
    backbones = table.iloc[:3]
    assert (backbones["low"] < backbones["accuracy"]).all()
    assert (backbones["accuracy"] < backbones["high"]).all()
    assert (table["n"] == 60).all()
    assert (
        table["patients"] == data.table[data.table["split"] != "test"]["patient"].nunique()
    ).all()


def test_the_accuracy_is_that_of_scikit_learns_cross_validation(data, planted):
    row = ranked(data, "vgg16", folds=4, repeats=3, seed=7).iloc[0]
    x = module._features(data, "vgg16", None, 0)
    rows = np.concatenate([data.rows("train"), data.rows("validation")])
    labels, patients = (data.table[c].to_numpy(str)[rows] for c in ("label", "patient"))
    shares = []
    for repeat in range(3):
        cut = StratifiedGroupKFold(4, shuffle=True, random_state=7 + repeat)
        # Labels in the order of the classes: a splitter may use their numbers.
        numbers = np.array([data.classes.index(label) for label in labels])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=5000))
        said = cross_val_predict(model, x, numbers, groups=patients, cv=cut)
        shares.append(said == numbers)
    assert row["accuracy"] == pytest.approx(np.mean(shares))
    assert row["spread"] == pytest.approx(np.std(np.mean(shares, axis=1), ddof=1))
    # The interval: patients drawn one by one.
    rng, by_patient = np.random.default_rng(0), pd.Series(range(60)).groupby(patients).agg(list)
    mean = np.mean(shares, axis=0)
    drawn = []
    for _ in range(3000):
        chosen = rng.integers(0, len(by_patient), len(by_patient))
        drawn.append(mean[np.concatenate([by_patient.iloc[i] for i in chosen])].mean())
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_a_patient_is_never_in_two_folds_and_the_cuts_differ(data, planted, monkeypatch):
    cuts, made = [], module.fold_numbers

    def kept(labels, patients, *rest):
        cuts.append(made(labels, patients, *rest))
        folds = pd.Series(cuts[-1]).groupby(patients).nunique()
        assert (folds == 1).all()
        return cuts[-1]

    monkeypatch.setattr(module, "fold_numbers", kept)
    ranked(data, "vgg16", repeats=3)
    assert len(cuts) == 3
    assert len({tuple(cut) for cut in cuts}) == 3
    assert all(np.bincount(cut, minlength=5).min() > 0 for cut in cuts)


def test_equal_features_differ_by_nothing_and_cannot_be_told_apart(data, planted):
    table = ranked(data, "vgg19", "vgg16", repeats=2).iloc[:2]
    assert table["accuracy"].nunique() == 1
    assert table["behind"].tolist() == [0, 0]
    assert table["verdict"].tolist() == ["the best here", "cannot be told from the best"]


def test_the_distance_to_the_best_is_paired_over_patients(data, planted):
    first, second = ranked(data, "resnet50", "vgg16").iloc[:2].to_dict("records")
    assert second["behind"] == pytest.approx(first["accuracy"] - second["accuracy"])
    assert second["behind_low"] < second["behind"] < second["behind_high"]
    assert np.isnan(first["behind_low"])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.02, 0.2, "worse than the best"),
        (-0.02, 0.2, "cannot be told from the best"),
        (-0.2, -0.01, "better than the best"),
        (np.nan, np.nan, "cannot be told from the best"),
    ],
)
def test_verdicts_on_floors(low, high, said):
    assert module._verdict(low, high) == said


def answered(rng: np.random.Generator, backbones: int = 6, patients: int = 60) -> dict:
    """What equally good backbones answered: easy and hard patients, four of five repeats alike."""
    easy = rng.beta(2, 1, patients)
    once = rng.random((backbones, 1, patients)) < easy
    again = rng.random((backbones, 5, patients)) < easy
    right = np.where(rng.random((backbones, 5, patients)) < 0.2, again, once)
    return {f"b{i}": right[i] for i in range(backbones)}


def test_of_six_equals_one_is_seldom_called_worse_and_a_worse_one_is_found():
    rng = np.random.default_rng(0)
    names, patients = [f"b{i}" for i in range(6)], np.array([f"p{i}" for i in range(60)])
    false = found = 0
    for _ in range(30):
        right = answered(rng)
        verdicts = module._scored(right, patients, names)["verdict"]
        false += (verdicts == "worse than the best").any()
        right["b3"] &= rng.random(60) < 0.6  # which patients it fails on
        table = module._scored(right, patients, names).set_index("backbone")
        found += table.loc["b3", "verdict"] == "worse than the best"
    assert false <= 4
    assert found >= 24


def test_one_patient_ranks_nothing():
    right = {"a": np.ones((3, 7), bool), "b": np.array([[True] * 3 + [False] * 4] * 3)}
    table = module._scored(right, np.array(["one"] * 7), ["a", "b"])
    assert table["verdict"].tolist() == ["the best here", "cannot be told from the best"]
    assert table["behind"].tolist() == pytest.approx([0, 4 / 7])
    floor = module._scored(right, np.array(["one"] * 7), ["a"])
    assert floor["verdict"].tolist() == ["the best here", "cannot be told from the best"]


def test_the_floors_are_scored_on_the_same_folds_and_have_no_weights(data, planted):
    one = ranked(data, "vgg16", repeats=2).iloc[1:]
    other = ranked(data, "xception", repeats=2).iloc[1:]
    assert one["accuracy"].tolist() == other["accuracy"].tolist()
    assert one["weights"].isna().all()
    # The classes differ in brightness, which a floor sees.
    assert (one["accuracy"] > 0.9).all()


def test_the_ranking_as_text_has_no_numbers_where_there_are_none(data, planted):
    table = ranked(data, "vgg16", "xception", repeats=2)
    text = backbone_ranking_text(table)
    assert text.index.tolist() == ["1", "2", "–", "–"]
    best, second = table.iloc[0], table.iloc[1]
    assert text["accuracy"].iloc[0] == f"{best['accuracy']:.3f}"
    assert text["behind the best"].iloc[0] == text["95 % interval of that"].iloc[0] == "–"
    assert text["behind the best"].iloc[1] == f"{second['behind']:+.3f}"
    assert text[""].tolist() == table["verdict"].tolist()
    assert not text.isin(["nan", "<NA>"]).any(axis=None)


# --- a real backbone ------------------------------------------------------------------------------


@pytest.fixture
def large(data):
    """The same pictures in 32 pixels, which VGG takes."""
    return replace(data, pictures=data.pictures.repeat(2, axis=1).repeat(2, axis=2))


def test_test_pictures_are_not_read_and_features_are_kept_pooled(large, tmp_path, capsys):
    before = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    said = before.predict(np.ones((1, 2)), verbose=0)
    table = rank_backbones(large, "vgg16", "random", folds=3, repeats=1)
    assert table["weights"].tolist()[0] == "random"
    assert "Ranking backbones" in capsys.readouterr().err
    kept = sorted((tmp_path / "cache" / "features").glob("*/*.npy"))
    shapes = [np.load(file).shape for file in kept]
    assert sorted(shapes) == [(20, 512), (40, 512)]
    pictures = large.pictures.copy()
    for row in large.rows("test"):
        pictures[row] = 255
        Path(large.table["path"][row]).unlink()
    again = rank_backbones(replace(large, pictures=pictures), ["vgg16"], "random", 3, 1)
    pd.testing.assert_frame_equal(table, again)
    assert sorted((tmp_path / "cache" / "features").glob("*/*.npy")) == kept
    # What was built before still works, although Keras was told to forget.
    assert np.array_equal(before.predict(np.ones((1, 2)), verbose=0), said)


# --- names ----------------------------------------------------------------------------------------


def test_backbones_by_name():
    assert chosen_backbones("all", 224) == list(PRETRAINED)
    assert len(PRETRAINED) == 6
    assert chosen_backbones(" vgg16, xception,vgg16 ", 224) == ["vgg16", "xception"]
    assert chosen_backbones(["vgg19"], 32) == ["vgg19"]


@pytest.mark.parametrize(
    ("names", "size", "said"),
    [
        ("", 224, "no backbone is named"),
        ("vgg61", 224, "did you mean 'vgg1[69]'"),
        ("cnn", 224, "no backbone with learnt weights; choose from vgg16"),
        ("vgg16,xception", 64, "'xception' takes pictures of 71 pixels and more, these have 64"),
    ],
)
def test_names_that_are_refused(names, size, said):
    with pytest.raises(KitError, match=said) as caught:
        chosen_backbones(names, size)
    assert "\n" not in str(caught.value)


def test_more_folds_than_patients_of_a_class_are_refused(data, planted):
    with pytest.raises(KitError, match="folds=40"):
        ranked(data, "vgg16", folds=40)
