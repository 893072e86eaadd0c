import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import RidgeClassifier

from xray_helpers.data.generate import read_mask, write_demo
from xray_helpers.errors import KitError
from xray_helpers.evaluation.probe import (
    as_network,
    held_out,
    new_probe,
    one_row_a_patient,
    shuffled_scores,
)
from xray_helpers.evaluation.shortcuts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    answers_table,
    ask,
    blank_lungs,
    border_alone,
    both_ways,
    chance,
    labels_mean_something,
    source_answer,
)

CLASSES = 3


def planted(n: int = 90, gap: float = 3.0, each: int = 2, seed: int = 0):
    """Features (n, 6) of patients with `each` pictures; the first three tell the class."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n // each), each)
    labels = (patients % CLASSES).astype(np.int64)
    # What pictures of one patient have in common tells the patient, not the class.
    own = rng.normal(0, 1, (n // each, 6))[patients]
    features = own + rng.normal(0, 0.3, (n, 6))
    features[:, :CLASSES] += gap * np.eye(CLASSES)[labels]
    return features, labels, patients


# --- the probe ----------------------------------------------------------------------------------


def test_no_probe_sees_the_rows_that_it_is_scored_on(monkeypatch):
    features, labels, _ = planted(each=1)
    features = np.column_stack([features, np.arange(len(features))])
    fit, predict = RidgeClassifier.fit, RidgeClassifier.predict
    seen = []

    def watched_fit(self, x, y):
        seen.append(x)
        return fit(self, x, y)

    def watched_predict(self, x):
        seen.append(x)
        return predict(self, x)

    monkeypatch.setattr(RidgeClassifier, "fit", watched_fit)
    monkeypatch.setattr(RidgeClassifier, "predict", watched_predict)
    held_out(features, labels)
    assert len(seen) == 2 * 5
    for trained, held in zip(seen[::2], seen[1::2], strict=True):
        assert len(trained) + len(held) == len(features)
        # Scaled on its way, but still another number for each row.
        assert not set(np.round(trained[:, -1], 9)) & set(np.round(held[:, -1], 9))


def test_a_patient_is_one_row_with_mean_features_and_the_most_frequent_label():
    features = np.array([[1.0, 0], [3, 0], [5, 4], [7, 7]])
    rows, labels = one_row_a_patient(
        features, np.array(["a", "b", "b", "a"]), np.array(["p", "p", "p", "q"])
    )
    np.testing.assert_allclose(rows, [[3, 4 / 3], [7, 7]])
    assert list(labels) == ["b", "a"]


def test_fewer_patients_than_folds_are_enough_and_one_is_refused():
    features, labels, _ = planted(n=3, each=1)
    assert held_out(features, labels).shape == (3,)
    with pytest.raises(KitError, match="2 patients or more, there are 1"):
        held_out(features[:1], labels[:1])


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_as_a_network_says_what_the_probe_says(classes):
    rng = np.random.default_rng(0)
    frozen = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 3),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    pictures = rng.uniform(0, 255, (30, 8, 8, 3)).astype(np.float32)
    features = frozen.predict(pictures, verbose=0)
    probe = new_probe(5).fit(features, np.arange(30) % classes)
    said = as_network(frozen, probe).predict(pictures, verbose=0)
    scores = probe.decision_function(features)
    if classes == 2:
        np.testing.assert_allclose(said[:, 0], 1 / (1 + np.exp(-scores)), atol=1e-4)
    else:
        np.testing.assert_allclose(said, softmax(scores, axis=1), atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_shuffled_scores_are_those_of_probes_fitted_to_shuffled_labels(classes):
    features, labels, _ = planted(gap=1.0, each=1)
    labels = labels % classes
    quick = shuffled_scores(features, labels, times=4, seed=3)
    shuffled = np.random.default_rng(3).permuted(np.tile(labels, (4, 1)), axis=1)
    slow = [np.mean(held_out(features, y, seed=3) == y) for y in shuffled]
    np.testing.assert_allclose(quick, slow)
    assert len(set(slow)) > 1


# --- what is blanked out ------------------------------------------------------------------------


def test_the_lungs_lie_in_what_is_blanked_out(tmp_path):
    root = write_demo(tmp_path / "demo", per_class=6, test_per_class=6, size=128, progress=False)
    inside = np.zeros((128, 128), bool)
    inside[round(TOP * 128) : round(BOTTOM * 128), round(LEFT * 128) : round(RIGHT * 128)] = True
    masks = [read_mask(path) for path in sorted((root / "all").rglob("*.jpeg"))]
    masks = [mask for mask in masks if mask.any()]
    assert len(masks) == 36
    assert np.sum([mask & inside for mask in masks]) / np.sum(masks) > 0.99


def test_blanking_and_border_are_parts_of_the_picture_and_leave_it_as_it_is():
    pictures = np.full((2, 56, 56, 3), 200, np.uint8)
    blank, border = blank_lungs(pictures), border_alone(pictures)
    assert (pictures == 200).all()
    assert (blank[:, 28, 28] == 0).all()
    assert (border[:, 28, 28] == 0).all()
    assert (blank[:, 0] == 200).all()
    assert (border[:, :4] == 200).all()
    assert (border[:, 4:-4, 4:-4] == 0).all()


# --- questions ----------------------------------------------------------------------------------


def test_chance_is_the_share_of_the_most_frequent_label():
    assert chance(np.array(["a", "b", "b", "b"])) == 0.75


def test_a_planted_shortcut_is_answered_with_yes_and_none_with_no():
    features, labels, patients = planted(n=120)
    yes = ask("?", features, labels, patients, "yes", "no", checks=6)
    no = ask("?", features[:, CLASSES:], labels, patients, "yes", "no", checks=6)
    assert (yes.reading, no.reading) == ("yes", "no")
    assert yes.p == pytest.approx(6 / 10_000)
    assert no.p > 0.05
    assert abs(yes.shuffled.mean() - 1 / CLASSES) < 0.05


@pytest.mark.parametrize("pictures", [(2, 2), (4, 1)], ids=["alike", "one class has more"])
def test_without_a_shortcut_p_is_as_small_as_it_may_be_and_no_smaller(pictures):
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        patients = np.repeat(np.arange(40), np.repeat(pictures, 20))
        labels = np.where(patients < 20, "a", "b")
        own = rng.normal(size=(40, 8))[patients]
        features = own + 0.3 * rng.normal(size=own.shape)
        p.append(ask("?", features, labels, patients, "yes", "no", times=199, seed=seed).p)
    # Of 60 runs 3 are expected below .05, 11 or more in one of 5,000 such tests.
    assert np.sum(np.array(p) < 0.05) < 11
    assert 0.35 < np.mean(p) < 0.65


def test_the_correction_for_several_questions_makes_p_larger():
    features, labels, patients = planted(gap=0.5)
    one = ask("?", features, labels, patients, "", "", times=99)
    six = ask("?", features, labels, patients, "", "", times=99, checks=6)
    assert six.p == pytest.approx(min(1, 6 * one.p))


def test_shuffled_labels_are_caught_and_true_ones_are_not():
    features, labels, patients = planted(n=120)
    right = labels_mean_something(ask("?", features, labels, patients, "", "", checks=4))
    assert right.p == 1 / 10_000
    assert right.reading == "The labels say something about the pictures."
    shuffled = np.random.default_rng(1).permutation(labels.reshape(-1, 2)[:, 0]).repeat(2)
    wrong = labels_mean_something(ask("?", features, shuffled, patients, "", ""))
    assert wrong.p > 0.05
    assert wrong.reading.startswith("ALARM")


def test_trained_here_tested_there():
    here, labels, patients = planted(n=120)
    there, _, _ = planted(n=120, seed=1)
    there[:, :CLASSES] = there[:, [1, 2, 0]]  # elsewhere the same signs mean another class
    both = {"here": here, "there": there}
    table = both_ways(both, dict.fromkeys(both, labels), dict.fromkeys(both, patients))
    value = table.set_index(["trained on", "tested on"])["value"]
    assert value["here", "here"] > 0.8
    assert value["there", "there"] > 0.8
    assert value["here", "there"] < 0.2
    assert value["there", "here"] < 0.2
    assert (table["n"] == 60).all()
    assert table[["low", "high"]].notna().all(axis=None)


def test_one_collection_cannot_give_a_class_away_and_two_can():
    features, labels, patients = planted(n=90)
    sources = np.where(labels == 0, "here", "there")
    one = source_answer(features, np.full(90, "here"), labels, patients)
    two = source_answer(features, sources, labels, patients)
    assert one.score is None
    assert "one collection (here)" in one.reading
    assert two.score.value > 0.8
    assert "every class is from one collection" in two.reading
    mixed = np.where(np.arange(90) < 6, "there", sources)
    assert "every class" not in source_answer(features, mixed, labels, patients).reading


def test_the_table_has_a_row_a_question():
    features, labels, patients = planted(n=90)
    asked = ask("Told?", features, labels, patients, "yes", "no", times=99)
    alone = source_answer(features, np.full(90, "here"), labels, patients)
    table = answers_table([asked, alone])
    assert list(table["question"]) == ["Told?", "Which collection is the picture from?"]
    assert list(table["n"]) == ["45", "–"]
    assert table.loc[0, "p"] == "0.01"
    assert table.loc[1, "score"] == "–"


def test_too_few_shufflings_give_no_answer():
    features, labels, patients = planted(n=120)
    few = ask("?", features, labels, patients, "yes", "no", checks=6, times=5000)
    assert few.reading.startswith("Not asked well enough: 5,000 shufflings are too few")
