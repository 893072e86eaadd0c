import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from xray_helpers.evaluation.calibration import bins, calibrate
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.predict import Evaluation
from xray_helpers.files import plain

TWO, FOUR = ("normal", "covid"), ("covid", "normal", "pneumonia_bac", "pneumonia_vir")


def some(seed, n, classes):
    """True classes drawn with the very probabilities that are given."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(classes), n)
    true = np.array([rng.choice(classes, p=row) for row in shares])
    return true, shares.argmax(axis=1), shares


@pytest.mark.parametrize(("n", "number"), [(18, 3), (36, 5), (200, 5), (7, 1)])
def test_the_curve_is_scikit_learns_for_covid(n, number):
    true, predicted, shares = some(n, n, 2)
    found = calibrate(true, predicted, shares, TWO)
    share, mean = calibration_curve(true, shares[:, 1], n_bins=number, strategy="quantile")
    assert found.about == "covid"
    np.testing.assert_allclose(found.table["share"], share)
    np.testing.assert_allclose(found.table["mean"], mean)
    assert found.table["n"].sum() == n and (found.table["n"] >= 5).all()
    first = found.table.iloc[0]
    interval = wilson(round(first["share"] * first["n"]), int(first["n"]))
    assert (first["low"], first["high"]) == (interval.low, interval.high)
    brier = brier_score_loss(true, shares[:, 1])
    assert found.brier.value == pytest.approx(brier)
    assert found.brier.low < brier < found.brier.high
    expected = np.sum(found.table["n"] * np.abs(share - mean)) / n
    assert found.error.value == pytest.approx(expected)


def test_with_four_classes_it_is_the_predicted_ones_probability():
    true, predicted, shares = some(0, 36, 4)
    found = calibrate(true, predicted, shares, FOUR)
    share, mean = calibration_curve(
        true == predicted, shares.max(axis=1), n_bins=5, strategy="quantile"
    )
    assert found.about == "the predicted class"
    np.testing.assert_allclose(found.table["share"], share)
    np.testing.assert_allclose(found.table["mean"], mean)
    assert found.brier.value == pytest.approx(brier_score_loss(true, shares, labels=range(4)))
    even = calibrate(true, predicted, np.full((36, 4), 0.25), FOUR)
    assert even.brier.value == pytest.approx(even.even) == 0.75


@pytest.mark.parametrize(
    "probability",
    [
        [0.0] * 14 + [0.2, 0.5, 0.7, 0.9],
        [1.0] * 18,
        [0.1, 0.2, 0.3] + [1.0] * 15,
        [0.5] * 3 + [0.6] * 9 + [0.7] * 6,
        list(np.linspace(0, 1, 36)),
        [0.3, 0.4],
    ],
)
def test_bins_keep_equal_probabilities_together_and_hold_five_or_all(probability):
    probability = np.array(probability)
    places = bins(probability)
    counts = np.bincount(places)
    assert len(counts) <= 5
    assert len(counts) == 1 or counts.min() >= 5
    for value in np.unique(probability):
        assert len(set(places[probability == value])) == 1
    assert (np.diff(places[np.argsort(probability)]) >= 0).all()


def test_the_error_that_luck_explains_covers_calibrated_ones_and_not_others():
    """Probabilities that are exactly right stay below the 95 % line about 95 times of 100."""
    below = []
    for seed in range(60):
        true, predicted, shares = some(seed, 36, 2)
        found = calibrate(true, predicted, shares, TWO)
        below.append(found.error.value <= found.luck[1])
    assert 0.85 <= np.mean(below) <= 1
    true, predicted, _ = some(0, 36, 2)
    sure = np.eye(2)[1 - true]  # always sure, always wrong
    wrong = calibrate(true, predicted, sure, TWO)
    assert wrong.error.value == wrong.brier.value == 1
    assert wrong.luck == (0, 0)


def test_what_luck_explains_goes_by_patient():
    """12 patients with 3 pictures each, one outcome a patient: there is more luck than in 36."""
    patients, below = np.repeat(np.arange(12), 3), []
    for seed in range(60):
        true, predicted, shares = (np.repeat(part, 3, axis=0) for part in some(seed, 12, 2))
        found = calibrate(true, predicted, shares, TWO, patients)
        below.append(found.error.value <= found.luck[1])
    assert np.mean(below) >= 0.85
    alone = calibrate(true, predicted, shares, TWO)
    assert calibrate(true, predicted, shares, TWO, np.arange(36)).luck == alone.luck


def test_intervals_are_over_patients_where_they_have_several_pictures():
    true, predicted, shares = some(4, 36, 2)
    single = calibrate(true, predicted, shares, TWO)
    # The same pictures, each three times, of 36 patients: no more is known than before.
    three = [np.repeat(part, 3, axis=0) for part in (true, predicted, shares)]
    grouped = calibrate(*three, TWO, np.repeat(np.arange(36), 3))
    assert grouped.brier.value == pytest.approx(single.brier.value)
    assert grouped.brier.by_patient.patients == 36
    assert (grouped.brier.low, grouped.brier.high) == pytest.approx(
        (single.brier.low, single.brier.high)
    )


def evaluation(meaning="probability"):
    true, predicted, shares = some(2, 18, 2)
    names = np.array(TWO)
    table = {"path": [f"{i}.png" for i in range(18)], "true": names[true]}
    table |= {"predicted": names[predicted], "p_normal": shares[:, 0], "p_covid": shares[:, 1]}
    return Evaluation(TWO, pd.DataFrame(table), 0.5, meaning)


def test_margins_have_no_calibration_and_the_reason_is_recorded():
    result = evaluation("margin")
    figures = json.loads(json.dumps(plain(result.figures()), allow_nan=False))
    assert figures["calibration"] is None
    assert "no calibrated probability" in figures["calibration_note"]
    assert str(result.calibration) == figures["calibration_note"]
    assert result.calibration.table.empty
    # The order of margins is worth as much as that of probabilities.
    usual = evaluation().figures()
    assert figures["auc_covid"] == plain(usual["auc_covid"])
    assert "calibration_note" not in usual
    assert usual["calibration"]["about"] == "covid"


def test_the_text_says_what_luck_alone_would_show():
    said = str(evaluation().calibration)
    assert said.startswith("Expected calibration error 0.")
    assert "(n = 18); exactly right probabilities would show 0." in said
    assert "0.25 is the same probability for all classes" in said


def test_records_without_patients_count_each_picture_as_one():
    result = evaluation()
    assert result.patients.tolist() == result.predictions["path"].tolist()
    assert result.accuracy.by_patient is None
    two = result.predictions.assign(patient=np.arange(18) // 2)
    assert replace(result, predictions=two).accuracy.by_patient.patients == 9
