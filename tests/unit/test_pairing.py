"""Two classifiers on the same pictures: intervals, exact tests, corrections."""

import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from xray_helpers.errors import KitError
from xray_helpers.evaluation.pairing import Paired, newcombe, paired, paired_difference
from xray_helpers.evaluation.significance import fewest_one_way, flip_p, holm


def counted(both: int, first_only: int, second_only: int, neither: int) -> Paired:
    return Paired(both, first_only, second_only, neither, 1.0)


def table(right: list[bool], patients: list[str] | None = None, names: list[str] | None = None):
    made = pd.DataFrame(
        {
            "path": names or [f"p{i}" for i in range(len(right))],
            "true": "a",
            "predicted": ["a" if r else "b" for r in right],
        }
    )
    return made if patients is None else made.assign(patient=patients)


def tables(both: int, first_only: int, second_only: int, neither: int):
    one = [True] * (both + first_only) + [False] * (second_only + neither)
    two = [True] * both + [False] * first_only + [True] * second_only + [False] * neither
    return table(one), table(two)


# --- Newcombe's interval --------------------------------------------------------------------------


def written_otherwise(e: int, f: int, g: int, h: int) -> tuple[float, float]:
    """Method 10 once more: Wilson's limits as roots of a quadratic, the angle by its cosine."""
    n, z2 = e + f + g + h, norm.ppf(0.975) ** 2

    def limits(x: int) -> tuple[float, float]:
        roots = np.roots([n + z2, -(2 * x + z2), x * x / n])
        return min(roots.real), max(roots.real)

    (l1, u1), (l2, u2) = limits(e + f), limits(e + g)
    p1, p2 = (e + f) / n, (e + g) / n
    product = (e + f) * (g + h) * (e + g) * (f + h)
    numerator = e * h - f * g
    if numerator > n / 2:
        numerator -= n / 2
    elif numerator > 0:
        numerator = 0
    cosine = numerator / math.sqrt(product) if product else 0
    down = (p1 - l1) ** 2 + (u2 - p2) ** 2 - 2 * cosine * (p1 - l1) * (u2 - p2)
    up = (u1 - p1) ** 2 + (p2 - l2) ** 2 - 2 * cosine * (u1 - p1) * (p2 - l2)
    return p1 - p2 - math.sqrt(max(down, 0)), p1 - p2 + math.sqrt(max(up, 0))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998
        ((59, 6, 16, 80), -0.1186, -0.0046),  # Fagerland, Lydersen, Laake 2014: Cavo et al. 2012
    ],
)
def test_the_published_intervals(counts, low, high):
    assert newcombe(counted(*counts)) == pytest.approx((low, high), abs=5e-5)


def test_newcombe_is_its_formula_written_another_way_also_where_a_margin_is_empty():
    rng = np.random.default_rng(0)
    drawn = [
        rng.multinomial(rng.integers(1, 60), rng.dirichlet(np.ones(4) / 2)) for _ in range(300)
    ]
    edges = [(0, 0, 0, 5), (5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 3, 3), (4, 0, 3, 0), (7, 0, 0, 2)]
    for counts in [*map(tuple, drawn), *edges]:
        low, high = newcombe(counted(*map(int, counts)))
        assert (low, high) == pytest.approx(written_otherwise(*map(int, counts)), abs=1e-7)
        value = (counts[1] - counts[2]) / sum(counts)
        assert -1 <= low <= value + 1e-12 and value - 1e-12 <= high <= 1


def test_the_other_way_round_it_is_the_same_interval_with_the_other_sign():
    low, high = newcombe(counted(20, 7, 2, 7))
    assert newcombe(counted(20, 2, 7, 7)) == pytest.approx((-high, -low))


@pytest.mark.parametrize("shares", [(0.6, 0.15, 0.05, 0.2), (0.8, 0.05, 0.05, 0.1)])
def test_of_100_intervals_about_95_hold_the_true_difference(shares):
    rng = np.random.default_rng(1)
    truth, held = shares[1] - shares[2], 0
    for counts in rng.multinomial(36, shares, size=1500):
        low, high = newcombe(counted(*map(int, counts)))
        held += low <= truth <= high
    assert 0.93 <= held / 1500 <= 0.995


# --- exact test, corrections ----------------------------------------------------------------------


def test_p_is_that_of_statsmodels_exact_mcnemar():
    rng = np.random.default_rng(2)
    for _ in range(40):
        counts = [int(c) for c in rng.multinomial(30, rng.dirichlet(np.ones(4)))]
        found = paired_difference(*tables(*counts)).counts
        assert (found.both, found.first_only, found.second_only, found.neither) == tuple(counts)
        expected = mcnemar([counts[:2], counts[2:]], exact=True).pvalue
        assert found.p == pytest.approx(expected)
    assert paired_difference(*tables(5, 0, 0, 3)).counts.p == 1


def test_p_over_patients_is_the_share_of_all_ways_to_turn_their_gains():
    rng = np.random.default_rng(5)
    for _ in range(40):
        gains = rng.integers(-6, 7, rng.integers(1, 11))
        signs = np.array(list(product((-1, 1), repeat=len(gains))))
        expected = np.mean(np.abs(signs @ gains) >= abs(gains.sum()))
        assert flip_p(gains) == pytest.approx(expected)
    assert flip_p([]) == flip_p([0, 0]) == flip_p([7]) == flip_p([3, -3]) == 1
    assert flip_p([2] * 6) == pytest.approx(2 / 2**6)


@pytest.mark.parametrize("seed", [8, 10, 11])  # p = 0.71, 0.016, 0.059
def test_p_of_many_patients_is_that_of_scipys_permutation_test(seed):
    gains = np.random.default_rng(seed).integers(-4, 6, 45)
    drawn = permutation_test(
        (gains,), np.sum, permutation_type="samples", vectorized=True, n_resamples=20_000, rng=0
    )
    assert flip_p(gains) == pytest.approx(drawn.pvalue, abs=0.01)


def test_six_all_one_way_is_the_least_that_can_tell_two_apart():
    assert [fewest_one_way([1] * n) for n in range(7)] == [None] * 6 + [6]
    assert fewest_one_way([1] * 10) == 9  # 9 of 10: p = 0.021; 8 of 10: 0.109
    assert fewest_one_way([1] * 6, comparisons=2) is None
    assert fewest_one_way([1] * 7, comparisons=2) == 7


def test_so_many_patients_one_way_are_enough_whichever_they_are():
    rng = np.random.default_rng(7)
    for _ in range(10):
        sizes = rng.integers(1, 5, 8)
        enough = fewest_one_way(-sizes)
        ways = np.array(list(product((-1, 1), repeat=8)))
        one_way = np.maximum((ways > 0).sum(axis=1), (ways < 0).sum(axis=1))
        p = np.array([flip_p(way * sizes) for way in ways[one_way >= enough]])
        assert p.max() < 0.05
        fewer = [flip_p(way * sizes) for way in ways[one_way == enough - 1]]
        assert max(fewer) >= 0.05


def test_holm_is_that_of_statsmodels_in_any_order():
    rng = np.random.default_rng(3)
    for size in (1, 2, 5, 9):
        p = np.round(rng.uniform(0, 0.2, size), 2)  # with ties
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert len(holm([])) == 0


# --- tables of predictions ------------------------------------------------------------------------


def test_tables_are_aligned_by_path():
    one = table([True, True, False, False])
    two = table([False, True, False, True], names=["p3", "p2", "p1", "p0"])
    found = paired_difference(one, two)
    # Picture by picture: p0 both, p1 only the first, p2 only the second, p3 neither.
    assert found.counts == Paired(1, 1, 1, 1, 1.0)
    assert found.value == 0


@pytest.mark.parametrize(
    "other",
    [
        table([True] * 3),
        table([True] * 4, names=["p0", "p1", "p2", "other"]),
        table([True] * 4, names=["p0", "p1", "p2", "p2"]),
        table([True] * 4).assign(true="c"),
    ],
)
def test_other_pictures_or_other_classes_are_refused(other):
    with pytest.raises(KitError, match="same pictures"):
        paired_difference(table([True] * 4), other)


def test_the_interval_over_patients_is_that_of_drawing_patients_one_by_one():
    rng = np.random.default_rng(4)
    patients = [f"p{i}" for i in np.sort(rng.integers(0, 12, 40))]
    one, two = rng.random(40) < 0.8, rng.random(40) < 0.5
    found = paired_difference(table(list(one), patients), table(list(two)))
    of = pd.Series(np.arange(40)).groupby(patients).agg(list)
    values = []
    for _ in range(3000):
        drawn = np.concatenate([of.iloc[i] for i in rng.integers(0, len(of), len(of))])
        values.append(one[drawn].mean() - two[drawn].mean())
    low, high = np.quantile(values, [0.025, 0.975])
    assert found.patients == len(of)
    assert (found.patient_low, found.patient_high) == pytest.approx((low, high), abs=0.03)


def test_pictures_of_one_patient_each_have_one_interval_only():
    for patients in (None, ["a", "b", "c", "d"]):
        found = paired_difference(table([True] * 4, patients), table([False] * 4))
        assert found.patients == 4
        assert np.isnan(found.patient_low) and np.isnan(found.patient_high)
        assert found.value == 1


def test_a_patient_who_repeats_is_no_more_evidence():
    many = [f"p{i // 8}" for i in range(32)]
    one, two = [True] * 32, [True] * 16 + [False] * 16
    alone, shared = (paired_difference(table(one, p), table(two)) for p in (None, many))
    assert (alone.low, alone.high) == (shared.low, shared.high)
    assert shared.patient_high - shared.patient_low > 2 * (alone.high - alone.low)


def test_a_single_patient_tells_nothing_apart():
    found = paired_difference(table([True] * 10, ["one"] * 10), table([False] * 10))
    assert found.counts.p == 1 and found.counts.over_patients
    assert (found.patients, found.gains) == (1, (10,))
    assert np.isnan(found.patient_low)


def test_the_patients_may_stand_in_either_table_in_any_order():
    one, two = [True] * 8 + [False] * 4, [False] * 7 + [True] * 5
    patients = [f"p{i // 2}" for i in range(12)]
    whole = paired_difference(table(one, patients), table(two))
    assert whole.patients == 6 and whole.gains == (2, 2, 2, 1, -2, -2)
    order = np.random.default_rng(8).permutation(12)
    shuffled = table(two, patients).iloc[order]
    assert paired_difference(table(one), shuffled) == whole


def test_correlated_pictures_of_equals_are_seldom_called_different():
    """9 patients with 8 pictures each; a run is right for a patient's pictures or is not."""
    rng = np.random.default_rng(9)
    patients = np.repeat([f"p{i}" for i in range(9)], 8)
    false = by_picture = 0
    for _ in range(150):
        right = rng.random((2, 72)) < np.repeat(rng.choice([0.1, 0.9], (2, 9)), 8, axis=1)
        one, two = (SimpleNamespace(predictions=table(list(r), list(patients))) for r in right)
        false += paired(one, two).p < 0.05
        alone = [
            SimpleNamespace(predictions=run.predictions[["path", "true", "predicted"]])
            for run in (one, two)
        ]
        by_picture += paired(*alone).p < 0.05
    assert false <= 14  # 5 % of 150 are 7 or 8
    assert by_picture > 40
