import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from xray_helpers.errors import KitError
from xray_helpers.evaluation.cost_tables import (
    cost_curve,
    cost_section,
    cost_table,
    usual_costs,
)
from xray_helpers.evaluation.costs import Threshold, at_threshold, choose_threshold, cost_at, saving
from xray_helpers.evaluation.estimate import combined
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.predict import Evaluation
from xray_helpers.files import plain

THRESHOLD = Threshold(0.5, 0.4, 0.6, 5, 1)
TWO, FOUR = ("normal", "covid"), ("covid", "normal", "pneumonia_bac", "pneumonia_vir")


def given(scores, covid, split="validation", patients=None, meaning="probability"):
    """Task 1: the scores of pictures, and which are covid."""
    scores, covid = np.array(scores, float), np.array(covid, bool)
    table = pd.DataFrame(
        {
            "path": [f"{split}/{i}.png" for i in range(len(scores))],
            "true": np.where(covid, "covid", "normal"),
            "predicted": np.where(scores > 0.5, "covid", "normal"),
            "p_normal": 1 - scores,
            "p_covid": scores,
            "patient": patients if patients is not None else [f"{i}" for i in range(len(scores))],
        }
    )
    return Evaluation(TWO, table, None, meaning, split)


def drawn(seed, n=40, split="validation", classes=FOUR):
    """Task 2: true classes drawn with the very probabilities that are given."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(len(classes)) * 0.6, n)
    true = np.array([rng.choice(len(classes), p=row) for row in shares])
    names = np.array(classes)
    table = pd.DataFrame({"path": [f"{i}" for i in range(n)], "true": names[true]})
    table["predicted"] = names[shares.argmax(axis=1)]
    table[[f"p_{c}" for c in classes]] = shares
    table["patient"] = [f"{i // 2}" for i in range(n)]
    return Evaluation(classes, table, None, "probability", split)


def test_the_threshold_is_the_middle_of_the_widest_best_interval():
    # Between 0.4 and 0.9 there is no error; any threshold there is as good.
    chosen = choose_threshold(given([0.1, 0.4, 0.9, 0.95], [0, 0, 1, 1]), 5, 1)
    assert (chosen.low, chosen.high) == (0.4, 0.9)
    assert chosen.value == pytest.approx(0.65)
    assert chosen.bayes == pytest.approx(1 / 6)
    assert "any above 0.400 up to 0.900" in str(chosen)


def test_of_equally_wide_intervals_the_lower_one_is_taken():
    # One error each at 0.1 … 0.3, or at 0.6 … 0.8, if both cost the same.
    chosen = choose_threshold(given([0.125, 0.25, 0.5, 0.625], [0, 1, 0, 1]), 1, 1)
    assert (chosen.low, chosen.high) == (0.5, 0.625) or chosen.high == 0.25
    assert chosen.value < 0.5


def test_neighbouring_intervals_of_one_cost_are_one():
    # A false alarm costs nothing here: all from 0 to the covid picture's score is as good.
    chosen = choose_threshold(given([0.1, 0.2, 0.3, 0.8], [0, 0, 0, 1]), 1, 0)
    assert (chosen.low, chosen.high) == (0, 0.8)


@pytest.mark.parametrize("prices", [(5, 1), (1, 5), (1, 1), (0, 1), (2.5, 0.5)])
@pytest.mark.parametrize("seed", range(3))
def test_no_other_threshold_is_cheaper(seed, prices):
    rng = np.random.default_rng(seed)
    covid = rng.random(30) < 0.4
    scores = np.round(np.clip(rng.normal(0.4 + 0.25 * covid, 0.2), 0.01, 0.99), 1 + seed % 2)
    validation = given(scores, covid)
    chosen = choose_threshold(validation, *prices)
    cost = cost_at(validation, chosen.value, *prices).cost.value
    everything = [
        np.mean(prices[0] * (covid & (scores < t)) + prices[1] * (~covid & (scores >= t)))
        for t in np.linspace(0.001, 0.999, 997)
    ]
    assert cost == pytest.approx(min(everything))
    for inside in (chosen.low + 1e-9, chosen.high):
        assert cost_at(validation, inside, *prices).cost.value == pytest.approx(cost)


def test_of_true_probabilities_bayes_threshold_is_the_best():
    """With many pictures the chosen one comes near it, and hardly costs less."""
    chosen = choose_threshold(drawn(0, 20000), 5, 1)
    other = drawn(1, 20000, "test")
    assert chosen.bayes == pytest.approx(1 / 6)
    assert chosen.value == pytest.approx(chosen.bayes, abs=0.05)
    ours, bayes = (
        float(np.mean(5 * missed + alarm))
        for threshold in (chosen.value, chosen.bayes)
        for missed, alarm in [errors(other, threshold)]
    )
    assert ours == pytest.approx(bayes, rel=0.02)


def errors(evaluation, threshold):
    called = evaluation.predictions["p_covid"] >= threshold
    covid = evaluation.predictions["true"] == "covid"
    return covid & ~called, ~covid & called


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_threshold_cannot_be_chosen_on_other_pictures_than_validation(split):
    with pytest.raises(KitError, match=f"validation pictures, and these are {split}"):
        choose_threshold(given([0.2, 0.8], [0, 1], split), 5, 1)


def test_pictures_that_do_not_say_of_which_split_they_are_count_as_test():
    table = given([0.2, 0.8], [0, 1]).predictions
    with pytest.raises(KitError, match="these are test"):
        choose_threshold(Evaluation(TWO, table, None), 5, 1)


def test_the_split_that_was_evaluated_is_carried_along(tiny_data):
    from xray_helpers.evaluation import evaluate
    from xray_helpers.quiet_import import keras

    inputs = keras.Input((16, 16, 3))
    outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.GlobalAveragePooling2D()(inputs / 255))
    model = keras.Model(inputs, outputs)
    chosen = choose_threshold(evaluate(model, tiny_data, "validation"), 5, 1)
    assert 0 < chosen.value < 1
    with pytest.raises(KitError, match="these are test"):
        choose_threshold(evaluate(model, tiny_data), 5, 1)


@pytest.mark.parametrize("prices", [(0, 0), (-1, 2), (2, -1)])
def test_impossible_costs_are_refused(prices):
    with pytest.raises(KitError, match="0 or more, at least one above 0"):
        choose_threshold(given([0.2, 0.8], [0, 1]), *prices)
    with pytest.raises(KitError, match="0 or more, at least one above 0"):
        cost_at(given([0.2, 0.8], [0, 1], "test"), 0.5, *prices)


def test_pictures_of_one_kind_only_and_unknown_classes_are_refused():
    with pytest.raises(KitError, match="validation pictures 0 of 2 are of the class covid"):
        choose_threshold(given([0.2, 0.8], [0, 0]), 5, 1)
    with pytest.raises(KitError, match="no class 'flu' among normal, covid"):
        choose_threshold(given([0.2, 0.8], [0, 1]), 5, 1, "flu")


def test_costs_and_errors_by_hand():
    test = given([0.1, 0.3, 0.35, 0.6, 0.45, 0.9], [0, 0, 1, 0, 1, 1], "test")
    usual = cost_at(test, None, 5, 1)
    assert (usual.missed, usual.alarms, usual.cost.value) == (2, 1, 11 / 6)
    low = cost_at(test, 0.35, 5, 1)  # at the score itself: called
    assert (low.missed, low.alarms, low.cost.value) == (0, 1, 1 / 6)
    assert (low.recall, low.precision) == (wilson(3, 3), wilson(3, 4))
    assert cost_at(test, 0.36, 5, 1).missed == 1
    assert low.cost.n == 6 and low.split == "test"


def test_below_the_threshold_task_2_takes_the_likeliest_of_the_others():
    result = drawn(3)
    after = at_threshold(result, 0.2)
    p, called = result.scores, after.predictions["predicted"].to_numpy()
    for row, name in zip(p, called, strict=True):
        assert name == ("covid" if row[0] >= 0.2 else FOUR[1 + row[1:].argmax()])
    assert result.predictions["predicted"].tolist() != called.tolist()
    assert after.split == result.split and list(after.predictions) == list(result.predictions)


def test_margins_are_thresholded_by_their_score():
    chosen = choose_threshold(given([0.1, 0.4, 0.9], [0, 1, 1], meaning="margin"), 5, 1)
    assert (chosen.low, chosen.high) == (0.1, 0.4)


def test_the_interval_of_a_cost_is_over_patients():
    patients = np.repeat(["a", "b", "c"], 6)
    covid = patients == "a"
    scores = np.where(covid, 0.4, 0.1)  # all pictures of one patient are missed
    grouped = cost_at(given(scores, covid, "test", patients), None, 5, 1).cost
    single = cost_at(given(scores, covid, "test"), None, 5, 1).cost
    assert grouped.value == single.value == pytest.approx(5 * 6 / 18)
    assert grouped.by_patient.patients == 3
    assert single.by_patient is None
    over = grouped.by_patient
    assert over.high - over.low > single.high - single.low
    assert (over.low, over.high) == (0, 5)
    called = cost_table(given(scores, covid), given(scores, covid, "test", patients), THRESHOLD)[
        "cost a picture"
    ]
    assert called[2] == "1.667 (0.000 to 5.000)"  # the wider one


@pytest.mark.parametrize("hits", [(2, 1), (0, 0), (5, 3)])
def test_the_interval_of_a_cost_combines_those_of_both_errors(hits):
    missed, alarms = hits
    covid = np.arange(18) < 9
    scores = np.where(covid, 0.9, 0.1)
    scores[:missed], scores[18 - alarms :] = 0.2, 0.8
    cost = cost_at(given(scores, covid, "test"), None, 5, 1).cost
    ends = [proportion_confint(k, 18, method="wilson") for k in hits]
    below = [price * (k / 18 - low) for price, k, (low, _) in zip((5, 1), hits, ends, strict=True)]
    above = [price * (up - k / 18) for price, k, (_, up) in zip((5, 1), hits, ends, strict=True)]
    assert cost.value == pytest.approx((5 * missed + alarms) / 18)
    assert cost.low == pytest.approx(cost.value - np.hypot(*below), abs=1e-12)
    assert cost.high == pytest.approx(cost.value + np.hypot(*above))


@pytest.mark.parametrize("prices", [(5, 1), (5, -1)])  # a cost, and what is saved
def test_intervals_of_costs_hold_the_truth_about_95_times_of_100(prices):
    rng, n, held = np.random.default_rng(0), 18, []
    for counts in rng.multinomial(n, [0.1, 0.1, 0.8], 1000)[:, :2]:
        parts = [(price, wilson(int(k), n)) for price, k in zip(prices, counts, strict=True)]
        found = combined(parts, n)
        held.append(found.low <= 0.1 * sum(prices) <= found.high)
    assert 0.93 <= np.mean(held) <= 0.985


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_recall_and_precision_are_those_of_all_metrics_over_patients_too(threshold):
    test = drawn(4, split="test")
    cost = cost_at(test, threshold, 5, 1)
    after = test if threshold is None else at_threshold(test, threshold)
    for ours, metric in ((cost.recall, "recall"), (cost.precision, "precision")):
        assert ours == after.estimates[metric, "covid"]


def test_costs_that_differ_a_little_are_not_the_same():
    # At 0.6 and above both errors are one missed case; below, one more false alarm is dearer.
    validation = given([0.1, 0.3, 0.4, 0.9], [0, 1, 0, 1])
    chosen = choose_threshold(validation, 1 + 1e-7, 1)
    assert (chosen.low, chosen.high) == (0.1, 0.3)


def test_where_both_rules_agree_there_is_no_interval_and_the_reason_is_said():
    two = given([0.2, 0.8, 0.4], [0, 1, 1], "test")
    saved = saving(two, replace(THRESHOLD, value=0.5))
    assert "no interval: both rules call every picture the same" in str(saved)


def test_what_is_saved_is_the_difference_of_both_costs_picture_by_picture():
    validation, test = drawn(0), drawn(1, split="test")
    chosen = choose_threshold(validation, 5, 1)
    saved = saving(test, chosen)
    usual, new = (cost_at(test, at, 5, 1).cost for at in (None, chosen.value))
    assert saved.value == pytest.approx(usual.value - new.value)
    assert saved.low <= saved.value <= saved.high
    same = replace(chosen, value=0.5)  # with two classes the usual threshold
    two = given([0.2, 0.8, 0.4], [0, 1, 1], "test")
    assert saving(two, same).value == 0


def test_the_curve_gives_the_cost_at_every_threshold():
    validation, test = drawn(0), drawn(1, split="test")
    chosen = choose_threshold(validation, 5, 1)
    curve = cost_curve(validation, test, chosen)
    for evaluation in (validation, test):
        part = curve[curve["split"] == evaluation.split]
        assert (part["above"].iloc[0], part["up_to"].iloc[-1]) == (0, 1)
        assert (part["above"].to_numpy()[1:] == part["up_to"].to_numpy()[:-1]).all()
        for at in (0.05, 0.3, chosen.value, 0.8):
            (row,) = part[(part["above"] < at) & (at <= part["up_to"])].itertuples()
            cost = cost_at(evaluation, at, 5, 1)
            assert (row.missed, row.alarms) == (cost.missed, cost.alarms)
            assert row.cost == pytest.approx(cost.cost.value)
    assert curve[curve["split"] == "validation"]["cost"].min() == pytest.approx(
        cost_at(validation, chosen.value, 5, 1).cost.value
    )


def test_the_table_and_the_record_have_both_splits_and_both_rules():
    validation, test = drawn(0), drawn(1, split="test")
    chosen = choose_threshold(validation, 5, 1)
    table = cost_table(validation, test, chosen)
    assert table["pictures"].tolist() == ["validation"] * 2 + ["test"] * 2
    assert table["called"].tolist()[:2] == [
        "the likeliest class",
        f"at {chosen.value:.3f} and above",
    ]
    section = json.loads(json.dumps(plain(cost_section(validation, test, chosen)), allow_nan=False))
    assert section["threshold"] == chosen.value
    assert section["test"]["chosen"]["missed"] == cost_at(test, chosen.value, 5, 1).missed
    assert section["test"]["usual"]["cost"].keys() >= {"value", "low", "high", "n"}
    assert section["saving_on_test"]["value"] == pytest.approx(saving(test, chosen).value)
    assert usual_costs(validation, test, chosen).keys() == {"validation", "test"}
    two = given([0.2, 0.8], [0, 1]), given([0.2, 0.8], [0, 1], "test")
    assert usual_costs(*two, choose_threshold(two[0], 5, 1)) is None
    assert cost_table(*two, chosen)["called"].iloc[0] == "above 0.5"
