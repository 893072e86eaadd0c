import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as sk_confusion
from sklearn.metrics import precision_score, recall_score

from xray_helpers.evaluation.metrics import accuracy, class_scores, confusion_matrix, wilson


@pytest.mark.parametrize(
    ("hits", "n"),
    [(0, 1), (1, 1), (0, 9), (9, 9), (18, 18), (27, 36), (1, 36), (35, 36), (401, 997)],
)
def test_intervals_are_scipys(hits, n):
    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    ours = wilson(hits, n)
    assert (ours.value, ours.n) == (hits / n, n)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_intervals_known_by_heart():
    all_right, most = wilson(18, 18), wilson(27, 36)
    assert (round(all_right.low, 3), all_right.high) == (0.824, 1.0)
    assert (round(most.low, 3), round(most.high, 3)) == (0.589, 0.862)
    assert str(most) == "0.750 (27/36, 95 % interval 0.589 to 0.862)"


def test_a_share_of_nothing_is_not_defined():
    nothing = wilson(0, 0)
    assert np.isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)
    assert str(nothing) == "not defined (no pictures)"


@pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3), (1, 0)])
def test_impossible_shares_are_refused(hits, n):
    with pytest.raises(ValueError, match="not possible"):
        wilson(hits, n)


CLASSES = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([0, 1, 2, 3, 0, 1, 2, 3, 0], [0, 1, 2, 3, 1, 1, 0, 3, 2]),
        ([0, 0, 0], [1, 1, 1]),  # classes without pictures, classes never predicted
        ([2], [2]),
    ],
)
def test_confusion_precision_and_recall_are_scikit_learns(true, predicted):
    labels = range(4)
    matrix = confusion_matrix(np.array(true), np.array(predicted), 4)
    assert np.array_equal(matrix, sk_confusion(true, predicted, labels=labels))
    scores = class_scores(matrix, CLASSES).set_index(["metric", "class"])
    for metric, of in (("precision", precision_score), ("recall", recall_score)):
        theirs = of(true, predicted, labels=labels, average=None, zero_division=np.nan)
        ours = scores.loc[metric].loc[list(CLASSES), "value"]
        np.testing.assert_allclose(ours, theirs)
    assert scores.loc["recall"]["n"].tolist() == np.bincount(true, minlength=4).tolist()
    assert scores.loc["precision"]["n"].tolist() == np.bincount(predicted, minlength=4).tolist()


def test_accuracy_counts_the_right_ones():
    assert str(accuracy(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])))[:10] == "0.750 (3/4"
