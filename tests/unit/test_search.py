"""The search for settings: folds, grids, scores, ranking."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from xray_helpers.data import Dataset, Source
from xray_helpers.errors import KitError
from xray_helpers.evaluation import near_best, rank_settings, ranking_text, wilson
from xray_helpers.models import GRIDS, RECIPES, Weights
from xray_helpers.quiet_import import keras
from xray_helpers.training import (
    compare_heads,
    cost_through_backbone,
    fold,
    grid_search,
    regularised,
)
from xray_helpers.training import search as module
from xray_helpers.training.fold import fit_fold
from xray_helpers.training.search import fold_numbers

SIZE = 24


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two classes that differ in brightness; two pictures a patient."""
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    count = 48
    labels = np.arange(count) % 4 // 2
    pictures = rng.integers(0, 60, (count, SIZE, SIZE, 3)) + 120 * labels[:, None, None, None]
    names = np.array(["normal", "covid"])[labels]
    splits = np.repeat(["train", "validation", "test"], [32, 8, 8])
    table = pd.DataFrame(
        {
            "path": [f"{tmp_path}/{i}.png" for i in range(count)],
            "label": names,
            "split": splits,
            "patient": [f"p{i // 2}" for i in range(count)],
            "source": "other",
        }
    )
    source = Source(tmp_path, "other")
    return Dataset(
        "task1", source, ("normal", "covid"), table, pictures.astype(np.uint8), [], "0" * 16
    )


def tiny(**changes):
    """A from-scratch network of a few weights."""
    recipe = replace(
        RECIPES["t1-cnn"],
        convolutions="conv4 3x3 relu > maxpool2",
        head="gap > dense8 relu > dropout > dense1 sigmoid",
        learning_rate=0.01,
        epochs=4,
        batch_size=8,
    )
    return replace(recipe, **changes)


# --- grids --------------------------------------------------------------------------------------


def test_the_grids_have_the_reports_numbers_of_settings():
    assert {name: len(grid.points()) for name, grid in GRIDS.items()} == {
        "t1-vgg16": 90,
        "t2-vgg16": 18,
        "t2-cnn": 36,
    }


def test_the_reports_best_settings_are_points_of_its_grids():
    for grid in GRIDS.values():
        best = dict(grid.reported_best)
        assert any(best.items() <= point.items() for point in grid.points())


def test_a_point_of_the_grid_builds_the_reports_tuned_recipe():
    for name, tuned in (("t1-vgg16", "t1-vgg16-tuned"), ("t2-vgg16", "t2-vgg16-tuned"),
                        ("t2-cnn", "t2-cnn-tuned")):  # fmt: skip
        point = {"epochs": 120, **GRIDS[name].reported_best}
        made, reported = GRIDS[name].recipe_of(point), RECIPES[tuned]
        for field in ("head", "convolutions", "learning_rate", "dropout", "epochs", "optimizer"):
            assert getattr(made, field) == getattr(reported, field), (name, field)


def test_a_part_of_a_grid():
    grid = GRIDS["t2-vgg16"].narrowed({"learning_rate": (0.001,), "dropout": ()})
    assert len(grid.points()) == 6
    drawn = GRIDS["t2-vgg16"].points(at_most=5, seed=1)
    assert len({tuple(sorted(point.items())) for point in drawn}) == 5
    assert drawn == GRIDS["t2-vgg16"].points(at_most=5, seed=1)
    assert len(GRIDS["t2-vgg16"].points(at_most=100)) == 18


def test_an_axis_that_the_grid_does_not_have_is_refused():
    with pytest.raises(KitError, match="does not vary units; it varies learning_rate"):
        GRIDS["t2-vgg16"].narrowed({"units": (32,)})


# --- folds --------------------------------------------------------------------------------------


def test_folds_have_every_picture_once_all_classes_and_no_patient_twice():
    rng = np.random.default_rng(3)
    patients = np.array([f"p{n}" for n in rng.integers(0, 60, 200)])
    labels = np.array([int(p[1:]) % 2 for p in patients])
    folds = fold_numbers(labels, patients, ("a", "b"), 3, seed=0)
    assert set(folds) == {0, 1, 2}
    for patient in set(patients):
        assert len(set(folds[patients == patient])) == 1
    shares = [labels[folds == fold].mean() for fold in range(3)]
    assert max(shares) - min(shares) < 0.15


def test_more_folds_than_patients_of_a_class_are_refused():
    labels, patients = np.array([0, 0, 0, 1, 1, 1]), np.array(list("abcdde"))
    with pytest.raises(KitError, match="class covid has pictures of 2 patients only; use folds=2"):
        fold_numbers(labels, patients, ("normal", "covid"), 3, seed=0)


# --- the search ---------------------------------------------------------------------------------


def test_every_setting_is_scored_on_every_training_picture_once(data):
    found = grid_search([tiny(), tiny(dropout=0.0)], data, Weights("none"), workers=1)
    totals = found.scores.groupby("setting")["n"].sum()
    assert list(totals) == [40, 40]  # train and validation; test is left alone
    assert found.fits == 6 and found.kept == 0


def test_the_search_finds_what_learns(data):
    good, bad = tiny(epochs=12), tiny(epochs=12, learning_rate=1e-7)
    found = grid_search([bad, good], data, Weights("none"), workers=1)
    ranking = rank_settings([{"learning_rate": 1e-7}, {"learning_rate": 0.01}], found.scores)
    assert ranking.loc[0, "learning_rate"] == 0.01
    assert ranking.loc[0, "accuracy"] > 0.9


def test_a_search_run_again_fits_nothing(data):
    first = grid_search([tiny()], data, Weights("none"), workers=1)
    second = grid_search([tiny(), tiny(dropout=0.0)], data, Weights("none"), workers=1)
    assert (second.fits, second.kept) == (6, 3)
    pd.testing.assert_frame_equal(
        second.scores.query("setting == 0").reset_index(drop=True), first.scores
    )


def test_settings_that_differ_in_epochs_share_a_fit_and_score_as_on_their_own(
    data, tmp_path, monkeypatch
):
    together = grid_search([tiny(epochs=2), tiny(epochs=5)], data, Weights("none"), workers=1)
    assert together.fits == 3
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "another"))
    alone = grid_search([tiny(epochs=2)], data, Weights("none"), workers=1)
    pd.testing.assert_frame_equal(
        together.scores.query("setting == 0").reset_index(drop=True), alone.scores
    )


def test_a_model_set_back_to_its_start_gives_what_a_new_one_gives(data):
    x, labels = data.pictures[:40], np.arange(40) % 4 // 2
    inputs = {
        "x": x, "labels": labels, "fold_of": np.arange(40) // 2 % 2,
        "classes": list(data.classes), "seed": 1, "xla": False, "precision": "float32",
    }  # fmt: skip

    def job(recipe):
        return {"recipe": asdict(recipe), "epochs": [3], "fold": 0}

    fold._starts.clear()
    new = fit_fold(job(tiny()), inputs)
    fit_fold(job(tiny(learning_rate=0.1)), inputs)
    (start,) = fold._starts.values()
    again = fit_fold(job(tiny()), inputs)
    assert list(fold._starts.values()) == [start], "the model was compiled anew"
    assert again == new


@pytest.mark.parametrize("xla", [False, True])
def test_other_folds_and_rates_are_trained_without_tracing_again(xla, monkeypatch):
    traced, calls = [], []
    step, fit = keras.Model.train_step, keras.Model.fit

    def spy(self, *args, **options):
        calls.append((self.steps_per_execution, options["steps_per_epoch"], self.jit_compile))
        return fit(self, *args, **options)

    monkeypatch.setattr(keras.Model, "train_step", lambda *a: traced.append(1) or step(*a))
    monkeypatch.setattr(keras.Model, "fit", spy)
    rng = np.random.default_rng(0)
    inputs = {
        "x": rng.normal(size=(40, 5)).astype(np.float32), "labels": np.arange(40) % 2,
        "fold_of": np.arange(40) % 3, "classes": ["a", "b"], "seed": 1, "xla": xla,
        "precision": "float32",
    }  # fmt: skip
    head = "dense8 relu > dropout > dense1 sigmoid"
    recipe = replace(RECIPES["t1-vgg16"], head=head, batch_size=13)  # of 26 and 27 pictures

    def fits(rate):
        job = {"recipe": asdict(replace(recipe, learning_rate=rate)), "epochs": [2]}
        return [fit_fold({**job, "fold": n}, inputs) for n in range(3)]

    fold._starts.clear()
    first, before = fits(0.01), len(traced)
    assert fits(0.1) != first
    assert len(traced) == before
    assert {steps for steps, _, _ in calls} == {2, 3}
    assert all(steps == of_epoch and jit is xla for steps, of_epoch, jit in calls)


def test_a_frozen_backbone_is_searched_on_features_computed_once(data, monkeypatch):
    recipe = replace(RECIPES["t1-vgg16"], epochs=2, learning_rate=1e-3)
    small = replace(data, pictures=np.repeat(np.repeat(data.pictures, 2, 1), 2, 2))
    calls = []
    compute = module.frozen_outputs
    monkeypatch.setattr(
        module, "frozen_outputs", lambda *a, **k: calls.append(1) or compute(*a, **k)
    )
    found = grid_search(
        [recipe, replace(recipe, dropout=0.1)], small, Weights("random"), folds=2, workers=1
    )
    assert len(calls) == 2  # train and validation, not one a setting or fold
    assert found.scores["hits"].notna().all()


def test_a_partly_trained_backbone_is_refused(data):
    with pytest.raises(KitError, match="unfreeze=2: a search shares the frozen backbone"):
        grid_search([replace(RECIPES["t1-vgg16"], unfreeze=2)], data, Weights("random"))


def test_a_diverged_fit_has_no_score_and_comes_last(data):
    wild = tiny(optimizer="sgd", learning_rate=1e30, initializer="he_normal",
                head="gap > dense8 relu > dense1 linear", loss="hinge")  # fmt: skip
    found = grid_search([wild, tiny()], data, Weights("none"), workers=1)
    ranking = rank_settings([{"which": "wild"}, {"which": "tame"}], found.scores)
    if found.scores.query("setting == 0")["hits"].isna().any():
        assert ranking.loc[1, "which"] == "wild"
        assert ranking.loc[1, "diverged"] > 0 and np.isnan(ranking.loc[1, "accuracy"])
        assert ranking_text(ranking)["95 % interval"].iloc[1] == "diverged"
    else:
        pytest.fail("a learning rate of 1e30 did not diverge")


# --- ranking ------------------------------------------------------------------------------------


def test_ranking_by_mean_with_spread_and_interval():
    scores = pd.DataFrame(
        {
            "setting": [0, 0, 1, 1, 2, 2],
            "fold": [0, 1] * 3,
            "hits": [5, 7, 9, 8, 8, 9],
            "n": [10] * 6,
            "loss": [1.0, 1.0, 0.5, 0.7, 0.2, 0.2],
        }
    )
    ranking = rank_settings([{"a": 1}, {"a": 2}, {"a": 3}], scores)
    assert list(ranking["a"]) == [3, 2, 1]  # equal accuracies: the lower loss first
    top = ranking.iloc[0]
    assert top["accuracy"] == pytest.approx(0.85)
    assert top["spread"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert (top["low"], top["high"]) == (wilson(17, 20).low, wilson(17, 20).high)
    assert near_best(ranking) == 2
    assert ranking_text(ranking)["95 % interval"].iloc[0] == "0.640 to 0.948 (n = 20)"


# --- cost and heads -----------------------------------------------------------------------------


def test_cost_grows_with_epochs_and_folds(data, monkeypatch):
    from xray_helpers.training import cost

    monkeypatch.setattr(cost, "time_uncached", lambda *a, **k: {"uncached_epoch": 32.0})
    from xray_helpers.models import build_model

    model = build_model(tiny(), data.classes, Weights("none"), image_size=SIZE)
    # 32 pictures take 32 s an epoch; 40 pictures, (3 + 5) epochs, two of three folds at a time.
    recipes = [tiny(epochs=3), tiny(epochs=5)]
    assert cost_through_backbone(model, data, recipes, folds=3) == pytest.approx(40 * 8 * 2)
    assert cost_through_backbone(model, data, recipes, folds=3, timed_epochs=0) is None


def test_heads_with_and_without_regularisation_share_the_frozen_part(data):
    from xray_helpers.models import build_model

    recipe = replace(RECIPES["t1-vgg16"], epochs=2, learning_rate=1e-3)
    small = replace(data, pictures=np.repeat(np.repeat(data.pictures, 2, 1), 2, 2))
    model = build_model(
        recipe, data.classes, Weights("random"), image_size=2 * SIZE, calibrate_on=small.pictures
    )
    before = [w.numpy() for w in model.layers[2].weights]
    heads = regularised(recipe, l2=0.1)
    assert list(heads) == ["plain", "dropout 0.5", "L2 0.1"]
    curves = compare_heads(model, heads, small, seed=0)
    assert all(len(history) == 2 for history in curves.values())
    # The penalty is part of the loss.
    assert curves["L2 0.1"]["loss"][0] > curves["plain"]["loss"][0] + 1
    for weight, value in zip(model.layers[2].weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
