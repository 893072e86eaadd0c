"""The statistics and hashes behind the audit, against scipy and ImageHash one by one."""

import imagehash
import numpy as np
import pytest
from scipy.stats import kruskal

from xray_helpers.data.checks.shortcuts import corrected_p, place_name
from xray_helpers.data.near_copies import MOST_BITS, close_pairs, detail_in_common

RANDOM = np.random.default_rng(5)


def test_corrected_p_is_scipys_times_the_number_of_tests():
    labels = np.repeat(["a", "b", "c"], [12, 15, 9])
    values = RANDOM.integers(0, 6, (36, 20)).astype(float)  # many ties
    values[labels == "b", 3] += 9
    values[:, 7] = 4.0  # nothing varies: no evidence
    p = corrected_p(values, labels)
    for k in range(20):
        if k == 7:
            assert p[k] == 1
            continue
        each = kruskal(*(values[labels == name, k] for name in "abc")).pvalue
        assert p[k] == pytest.approx(min(1, each * 20))
    assert p[3] < 0.001


def test_chance_seldom_raises_an_alarm():
    labels = np.repeat(["a", "b"], 30)
    least = [corrected_p(RANDOM.normal(size=(60, 300)), labels).min() for _ in range(100)]
    assert sum(p < 0.05 for p in least) < 15  # about 5 are expected


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
