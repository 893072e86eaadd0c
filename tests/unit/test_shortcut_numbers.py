"""The statistics and hashes behind the audit, against scipy and ImageHash one by one."""

import imagehash
import numpy as np
import pytest
from scipy.stats import hypergeom, kruskal

from xray_helpers.data.checks.shortcuts import RARE, corrected_p, place_name
from xray_helpers.data.near_copies import MOST_BITS, close_pairs, detail_in_common

RANDOM = np.random.default_rng(5)


def test_corrected_p_is_how_often_shuffled_labels_get_scipys_h_in_any_column():
    labels = np.repeat(["a", "b", "c"], [12, 15, 9])
    values = RANDOM.integers(0, 6, (36, 8)).astype(float)  # many ties
    values[labels == "b", 1] += 1
    values[labels == "b", 3] += 9
    values[:, 7] = 4.0  # nothing varies: no evidence

    def h(order):
        return kruskal(*(values[order == name, :7] for name in "abc"), axis=0).statistic

    largest = np.array([h(RANDOM.permutation(labels)).max() for _ in range(800)])
    expected = (largest[:, None] >= h(labels)).mean(axis=0)
    p = corrected_p(values, labels)
    np.testing.assert_allclose(p[:7], expected, atol=0.06)
    assert p[7] == 1 and p[3] < 0.001


def test_chance_seldom_raises_an_alarm():
    labels = np.repeat(["a", "b"], 20)
    least = [corrected_p(RANDOM.normal(size=(40, 50)), labels).min() for _ in range(60)]
    assert sum(p < 0.05 for p in least) < 10  # about 3 are expected


def test_what_two_patients_of_a_small_class_have_in_common_is_no_alarm():
    labels = np.repeat(["few", "many"], [20, 280])
    rare = np.isin(np.arange(300), [3, 8]).astype(float)[:, None]
    exact = hypergeom(300, 20, 2).pmf(2)
    assert corrected_p(rare, labels)[0] == pytest.approx(exact, abs=0.002)
    assert exact > RARE and kruskal(rare[:20, 0], rare[20:, 0]).pvalue < RARE / 100


def test_close_pairs_are_those_of_imagehash_one_by_one():
    hashes = RANDOM.random((700, 256)) < 0.5
    for i, j, bits in ((3, 600, MOST_BITS), (4, 650, MOST_BITS + 1), (10, 11, 0), (520, 690, 5)):
        hashes[j] = hashes[i]
        hashes[j, :bits] ^= True
    pairs = sorted(close_pairs(hashes))
    assert pairs == [(3, 600), (10, 11), (520, 690)]
    as_objects = [imagehash.ImageHash(bits.reshape(16, 16)) for bits in hashes[:40]]
    close = [
        (i, j) for i in range(40) for j in range(i) if as_objects[i] - as_objects[j] <= MOST_BITS
    ]
    assert sorted((j, i) for i, j in close) == [pair for pair in pairs if pair[1] < 40]


def test_flat_pictures_have_no_detail_in_common():
    flat = np.full((192, 192), 7, np.float32)
    noise = RANDOM.normal(size=(192, 192)).astype(np.float32)
    assert detail_in_common(flat, flat) == 0
    assert detail_in_common(noise, noise) > 0.999
    assert abs(detail_in_common(noise, RANDOM.normal(size=(192, 192)).astype(np.float32))) < 0.3


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [
        (0, 0, "upper left corner"),
        (31, 2, "lower left corner"),
        (1, 16, "upper edge"),
        (16, 30, "right edge"),
        (30, 31, "lower right corner"),
    ],
)
def test_places_are_named_as_on_the_screen(row, column, name):
    assert place_name(row, column) == name
