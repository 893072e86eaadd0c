"""The metrics against scikit-learn, their intervals against statsmodels and SciPy."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    precision_recall_fscore_support,
    roc_auc_score,
)
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from xray_helpers.errors import KitError
from xray_helpers.evaluation import bootstrap as over_patients
from xray_helpers.evaluation.areas import average_precision, roc_auc
from xray_helpers.evaluation.averages import mean_of
from xray_helpers.evaluation.bootstrap import (
    over_resamples,
    resample_weights,
    resampled_means,
    resampled_shares,
)
from xray_helpers.evaluation.estimate import ByPatient, Estimate, bootstrapped, combined, wilson
from xray_helpers.evaluation.metrics import accuracy, all_metrics, metric_table
from xray_helpers.files import plain

FOUR = ("a", "b", "c", "d")


def some(seed, n=40, classes=4, ties=False, missing=None, uncalled=None):
    """True and predicted classes and scores of n pictures.

    The scores know a little; `missing` has no picture, `uncalled` is never predicted.
    """
    rng = np.random.default_rng(seed)
    true = rng.choice([c for c in range(classes) if c != missing], n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), true] += 1
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    called = scores.copy()
    if uncalled is not None:
        called[:, uncalled] = -1
    if ties:
        scores = np.round(scores, 1)
    return true, called.argmax(axis=1), scores


def areas_of(true, scores, classes):
    """scikit-learn's areas of each class; NaN where it has no picture."""
    auc, precision = [], []
    for place in range(classes):
        positive = true == place
        auc.append(roc_auc_score(positive, scores[:, place]) if positive.any() else np.nan)
        precision.append(
            average_precision_score(positive, scores[:, place]) if positive.any() else np.nan
        )
    return np.array(auc), np.array(precision)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "kind",
    [{}, {"ties": True}, {"missing": 2}, {"uncalled": 1}, {"missing": 0, "uncalled": 0, "n": 9}],
    ids=str,
)
def test_every_value_is_scikit_learns(seed, kind):
    true, predicted, scores = some(seed, **kind)
    found = all_metrics(true, predicted, scores, FOUR)
    labels = range(4)
    precision, recall, f1, support = precision_recall_fscore_support(
        true, predicted, labels=labels, zero_division=np.nan
    )
    f1 = np.where(support == 0, np.nan, f1)  # not defined here, where scikit-learn may say 0
    not_so = np.array([np.mean(predicted[true != c] != c) for c in labels])
    auc, area = areas_of(true, scores, 4)
    expected = {"precision": precision, "recall": recall, "f1": f1, "specificity": not_so}
    expected |= {"auc": auc, "average_precision": area}
    present = [c for c in labels if support[c]]
    for metric, values in expected.items():
        ours = [found[metric, label].value for label in FOUR]
        np.testing.assert_allclose(ours, values, err_msg=metric)
        assert [found[metric, label].n == 0 for label in FOUR] == list(np.isnan(values)), metric
        average = np.mean(np.nan_to_num(values[present]))
        assert found[metric, "macro"].value == pytest.approx(average), metric
    macro = precision_recall_fscore_support(
        true, predicted, labels=present, average="macro", zero_division=0
    )
    for metric, value in zip(("precision", "recall", "f1"), macro, strict=False):
        assert found[metric, "macro"].value == pytest.approx(value)
    if "uncalled" not in kind and "missing" not in kind:
        assert found["recall", "macro"].value == pytest.approx(
            balanced_accuracy_score(true, predicted)
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_areas_of_every_resample_are_scikit_learns_with_weights(seed):
    true, _, scores = some(seed, n=25, classes=2, ties=seed % 2 == 0)
    positive, score = true == 1, scores[:, 1]
    weights = resample_weights(np.arange(25) // 2, 30, seed)
    both = np.array([0 < w[positive].sum() < w.sum() for w in weights])
    assert both.sum() > 20
    for ours, theirs in ((roc_auc, roc_auc_score), (average_precision, average_precision_score)):
        values = ours(positive, score, weights)[both]
        expected = [theirs(positive, score, sample_weight=w) for w in weights[both]]
        np.testing.assert_allclose(values, expected, atol=1e-12)


def test_an_area_without_pictures_of_the_class_or_of_others_is_not_defined():
    yes, scores, weights = np.ones(4, bool), np.arange(4.0), np.ones((1, 4))
    assert np.isnan(roc_auc(yes, scores, weights)) and np.isnan(roc_auc(~yes, scores, weights))
    assert np.isnan(average_precision(~yes, scores, weights))
    assert average_precision(yes, scores, weights) == 1


def test_two_classes_have_one_auc_also_where_the_first_column_is_rounded_off():
    true = np.array([0, 0, 1, 1])
    second = np.array([1e-30, 2e-30, 1e-29, 0.5])  # 1 - p cannot tell the first three apart
    scores = np.stack([1 - second, second], axis=1)
    found = all_metrics(true, (second > 0.4).astype(int), scores, ("normal", "covid"))
    assert found["auc", "normal"].value == found["auc", "covid"].value == 1


@pytest.mark.parametrize("seed", range(2))
def test_shares_have_wilsons_interval_as_in_statsmodels(seed):
    true, predicted, scores = some(seed, n=18)
    found = all_metrics(true, predicted, scores, FOUR)
    for (metric, label), one in found.items():
        if one.method == "wilson" and one.n:
            hits = round(one.value * one.n)
            ends = proportion_confint(hits, one.n, method="wilson")
            assert (one.low, one.high) == pytest.approx(ends, abs=1e-12), (metric, label)
    assert {m for (m, _), one in found.items() if one.method == "wilson"} == {
        *("accuracy", "precision", "recall", "specificity")
    }


def test_with_one_picture_a_patient_the_interval_is_scipys_bootstrap():
    true, predicted, scores = some(5, n=60, classes=2)
    found = all_metrics(true, predicted, scores, ("normal", "covid"), np.arange(60).astype(str))

    def scipys(statistic):
        samples = (true, predicted, scores[:, 1])
        made = bootstrap(
            samples, statistic, paired=True, vectorized=False, n_resamples=1500,
            method="percentile", rng=np.random.default_rng(1),
        )  # fmt: skip
        return made.confidence_interval

    def f1(true, predicted, _):
        return 2 * np.sum(true * predicted) / (true.sum() + predicted.sum())

    def area(true, _, scores):
        higher = np.subtract.outer(scores[true == 1], scores[true == 0])
        return np.mean((higher > 0) + (higher == 0) / 2)

    for metric, statistic in (("f1", f1), ("auc", area)):
        one = found[metric, "covid"]
        assert (one.method, one.by_patient) == ("bootstrap", None)
        assert (one.low, one.high) == pytest.approx(tuple(scipys(statistic)), abs=0.02), metric


def test_nine_pictures_of_five_patients_are_less_sure_than_nine_patients():
    """As in the class's data: patients with 3, 3, 1, 1 and 1 pictures, alike within a patient."""
    patients = np.array(["p1"] * 3 + ["p2"] * 3 + ["p3", "p4", "p5"] + [f"q{i}" for i in range(9)])
    true = np.repeat([1, 0], 9)
    predicted = np.where(patients == "p1", 0, true)  # one patient, three pictures
    scores = np.stack([1 - predicted, predicted], axis=1).astype(float)
    names = ("normal", "covid")
    found = all_metrics(true, predicted, scores, names, patients)
    alone = all_metrics(true, predicted, scores, names)
    recall = found["recall", "covid"]
    assert (recall.value, recall.n, recall.by_patient.patients) == (6 / 9, 9, 5)
    assert recall.high - recall.low < recall.by_patient.high - recall.by_patient.low
    assert found["recall", "normal"].by_patient is None
    assert found["accuracy", "all"].by_patient.patients == 14
    for metric in ("f1", "auc"):
        one, single = found[metric, "covid"], alone[metric, "covid"]
        assert one.high - one.low > single.high - single.low, metric
        assert (one.by_patient.low, one.by_patient.high) == (one.low, one.high)
    ours = accuracy(true, predicted, patients)
    assert ours == found["accuracy", "all"]


def test_the_interval_over_patients_is_the_one_of_patients_drawn_one_by_one():
    rng = np.random.default_rng(0)
    patients = rng.integers(40, size=120)  # enough for the quantiles not to jump
    true, predicted, scores = some(3, n=120, classes=2)
    one = all_metrics(true, predicted, scores, ("normal", "covid"), patients)["recall", "covid"]
    names, values = np.unique(patients), []
    for _ in range(1500):
        rows = [np.flatnonzero(patients == p) for p in rng.choice(names, len(names))]
        chosen = np.concatenate(rows)
        if (true[chosen] == 1).any():
            values.append(np.mean(predicted[chosen][true[chosen] == 1] == 1))
    expected = tuple(np.quantile(values, [0.025, 0.975]))
    assert (one.by_patient.low, one.by_patient.high) == pytest.approx(expected, abs=0.03)


def test_a_perfect_score_has_no_bootstrap_interval_and_the_text_says_why():
    true = np.repeat([0, 1], 9)
    scores = np.eye(2)[true]
    patients = np.arange(18) // 2
    found = all_metrics(true, true, scores, ("normal", "covid"), patients)
    area = found["auc", "covid"]
    assert area.value == 1 and np.isnan([area.low, area.high]).all()
    assert str(area) == (
        "1.000 (n = 18, no interval: all resamples agree, which does not make it sure)"
    )
    recall = str(found["recall", "covid"])
    assert recall.startswith("1.000 (9/9, 95 % interval 0.701 to 1.000; over 5 patients no inter")
    assert "1.000 to 1.000" not in "".join(map(str, found.values()))


def test_what_most_resamples_do_not_define_has_no_interval():
    values = np.r_[np.full(60, np.nan), np.linspace(0, 1, 40)]
    one = bootstrapped(0.5, values, 7, 3)
    assert np.isnan(one.low)
    assert (
        str(one) == "0.500 (n = 7, no interval: in most resamples no picture is left to define it)"
    )


def test_what_is_not_defined_is_null_in_json_and_text_says_so():
    true, predicted, scores = some(1, missing=2, uncalled=1)
    found = all_metrics(true, predicted, scores, FOUR)
    for key in (("recall", "c"), ("f1", "c"), ("auc", "c"), ("average_precision", "c"),
                ("precision", "b")):  # fmt: skip
        assert str(found[key]) == "not defined (no pictures)"
        record = plain(found[key].as_dict())
        assert (record["value"], record["n"]) == (None, 0)
    assert found["f1", "b"].value == 0  # it has pictures, and none is found


def test_a_record_gives_the_figure_back():
    patients = np.arange(18) // 2
    true, predicted, scores = some(2, n=18, classes=2)
    for one in all_metrics(true, predicted, scores, ("a", "b"), patients).values():
        assert str(Estimate.from_dict(plain(one.as_dict()))) == str(one)
    old = {"value": 0.75, "low": 0.589, "high": 0.862, "n": 36}  # as older kits wrote it
    assert str(Estimate.from_dict(old)) == str(wilson(27, 36))


def test_the_table_has_a_row_a_figure_and_both_intervals():
    true, predicted, scores = some(2, n=18)
    table = metric_table(all_metrics(true, predicted, scores, FOUR, np.arange(18) // 3))
    assert len(table) == 1 + 6 * 5
    assert list(table) == [
        *("class", "metric", "value", "low", "high", "n", "method"),
        *("patient_low", "patient_high", "patients"),
    ]
    assert table.iloc[0][["class", "metric", "patients"]].tolist() == ["all", "accuracy", 6]
    single = metric_table(all_metrics(true, predicted, scores, FOUR))
    assert single[["patient_low", "patient_high", "patients"]].isna().all(axis=None)


def test_the_first_row_of_weights_is_the_pictures_as_they_are_and_blocks_change_nothing():
    patients, values = np.arange(700) // 2, np.random.default_rng(0).random(700)
    seen = []

    def mean(weights):
        seen.append(weights)
        return {"mean": weights @ values / weights.sum(axis=1)}

    found = over_resamples(mean, 700, patients)["mean"]
    weights = np.concatenate(seen)
    assert len(seen) > 1  # several blocks
    assert (weights[0] == 1).all() and (weights.sum(axis=1) == 700).all()
    assert np.array_equal(weights[1:], resample_weights(patients))
    assert found[0] == pytest.approx(values.mean())
    np.testing.assert_allclose(found, weights @ values / 700)


def test_shares_and_means_over_the_resamples_do_not_depend_on_the_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    patients, part = rng.integers(0, 40, 90), rng.random(90) < 0.5
    whole = part | (rng.random(90) < 0.3)
    once = resampled_shares(part, whole, patients), resampled_means(part, patients)
    weights = resample_weights(patients)
    np.testing.assert_allclose(once[0], weights @ part / (weights @ whole))
    np.testing.assert_allclose(once[1], weights @ part / weights.sum(axis=1))
    monkeypatch.setattr(over_patients.block_sizes, "__defaults__", (1000,))
    again = resampled_shares(part, whole, patients), resampled_means(part, patients)
    for one, other in zip(once, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


# --- what cannot be scored, and intervals put together ------------------------------------------


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_no_numbers_have_no_area_though_the_classes_lie_in_order(wrong):
    positive, weights = np.repeat([True, False], 9), np.ones((3, 18))
    scores = np.full(18, wrong)
    assert np.isnan(roc_auc(positive, scores, weights)).all()
    assert np.isnan(average_precision(positive, scores, weights)).all()
    scores = np.linspace(0, 1, 18)
    scores[4] = wrong  # one is enough
    assert np.isnan(roc_auc(positive, scores, weights)).all()
    true = np.repeat([0, 1], 9)
    found = all_metrics(true, true, np.full((18, 2), wrong), ("normal", "covid"))
    assert np.isnan(found["auc", "covid"].value) and found["recall", "covid"].value == 1


def test_no_pictures_are_refused():
    nothing = np.array([], int)
    with pytest.raises(KitError, match="no picture to score"):
        all_metrics(nothing, nothing, np.zeros((0, 2)), ("normal", "covid"))


@pytest.mark.parametrize("value", [0.1, 1e6 / 3, 1e-3 / 3])
def test_equal_values_have_no_interval_whatever_rounding_makes_of_their_mean(value):
    same = mean_of([value] * 9)
    assert np.isnan([same.low, same.high]).all()
    assert "all resamples agree" in str(same)
    assert mean_of([value] * 8 + [1.01 * value]).high > value


@pytest.mark.parametrize("hits", [((7, 12), (3, 18)), ((0, 9), (9, 9)), ((4, 36), (5, 36))])
def test_a_difference_of_shares_has_newcombes_interval(hits):
    (a, n), (b, m) = hits
    ours = combined([(1, wilson(a, n)), (-1, wilson(b, m))], n + m)
    theirs = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    assert ours.value == pytest.approx(a / n - b / m)
    assert (ours.low, ours.high) == pytest.approx(theirs)


def test_where_one_interval_is_shown_it_is_that_over_patients_if_there_is_one():
    share = wilson(6, 9)
    assert share.ends == share
    over = ByPatient(0.1, 0.9, 4)
    assert Estimate(6 / 9, 0.35, 0.88, 9, by_patient=over).ends == over
    none = Estimate(1, 0.7, 1, 9, by_patient=ByPatient(np.nan, np.nan, 4, "all alike"))
    assert none.ends == none


def test_one_patient_is_said_in_the_singular():
    found = accuracy(np.array([1, 1, 1]), np.array([1, 0, 1]), np.array(["a"] * 3))
    assert "over 1 patient no interval" in str(found)
    area = Estimate(0.5, 0.1, 0.9, 9, "bootstrap", ByPatient(0.1, 0.9, 1))
    assert str(area) == "0.500 (n = 9, 95 % interval 0.100 to 0.900 over 1 patient)"
