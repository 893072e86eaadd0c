"""Could luck alone have made such a difference? One exact test, and its correction for several."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

SIGNIFICANT = 0.05


def flip_p(gains: ArrayLike) -> float:
    """How likely so large a total gain is if each patient's were as likely a loss.

    If two classifiers are equally good, then it is a matter of luck which of them is better for a
    patient: each gain might have had the other sign. p is the share of all combinations of signs
    that give a total at least as far from 0 (Fisher's randomization test: Fisher 1935, The Design
    of Experiments, section 21). Where each gain is one picture, it is McNemar's exact test.

    All combinations are counted, not drawn: the chances of every total, patient by patient.

    Args:
        gains: whole numbers of pictures (k,), one a patient; see `Difference.gains`.

    Returns:
        0 to 1; 1 where there is no gain.
    """
    gains = np.asarray(gains, np.int64)
    return _as_far(_chances(gains), int(gains.sum()))


def _chances(gains: np.ndarray) -> np.ndarray:
    """The chance of each total of the gains with any signs, from the smallest to the largest."""
    chances = np.ones(1)
    for size in np.abs(gains[gains != 0]):
        either_sign = np.zeros(2 * size + 1)
        either_sign[[0, -1]] = 0.5
        chances = np.convolve(chances, either_sign)
    return chances


def _as_far(chances: np.ndarray, total: int) -> float:
    """The chance of a total at least as far from 0."""
    farthest = len(chances) // 2
    totals = np.abs(np.arange(-farthest, farthest + 1))
    return min(1.0, float(chances[totals >= abs(total)].sum()))


def fewest_one_way(gains: ArrayLike, comparisons: int = 1) -> int | None:
    """For how many of these patients one classifier must be better, for p < 0.05.

    So many are enough whichever they are: also where those that go the other way are the ones with
    the most pictures. None where not even all of them would do. With several comparisons,
    p < 0.05 / comparisons: what Holm's correction asks of the smallest.

    Args:
        gains: as for `flip_p`; their signs do not matter. Of pictures of one patient each: ones.
        comparisons: how many pairs are compared at once.
    """
    sizes = np.sort(np.abs(np.asarray(gains, np.int64)))
    chances = _chances(sizes)  # the same whatever the signs are
    totals = 2 * np.cumsum(sizes) - sizes.sum()  # where the first k are better, the others worse

    def enough(k: int) -> bool:
        total = int(totals[k - 1])
        return total > 0 and _as_far(chances, total) < SIGNIFICANT / comparisons

    # The larger the total, the less likely: what is enough for k is enough for k + 1.
    k = bisect_left(range(1, len(sizes) + 1), True, key=enough) + 1
    return k if k <= len(sizes) else None


def holm(p: Sequence[float]) -> np.ndarray:
    """P-values of several comparisons, each as large as it has to be for all of them together.

    Of twenty comparisons of equals one has p < 0.05 by chance. Holm's correction (1979,
    Scandinavian Journal of Statistics 6:65) keeps the chance of even one such error below 5 %:
    the smallest p is multiplied by the number of comparisons, the next by one less, and so on.

    Args:
        p: (m,), 0 to 1.

    Returns:
        float64 (m,), in the order of `p`.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.minimum(corrected, 1)
    return result
