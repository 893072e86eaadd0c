"""Could luck alone have made such a difference? One exact test, and its correction for several."""

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
    chances = np.ones(1)  # of each total, from the smallest to the largest that is possible
    for size in np.abs(gains[gains != 0]):
        either_sign = np.zeros(2 * size + 1)
        either_sign[[0, -1]] = 0.5
        chances = np.convolve(chances, either_sign)
    farthest = len(chances) // 2
    totals = np.abs(np.arange(-farthest, farthest + 1))
    return min(1.0, float(chances[totals >= abs(gains.sum())].sum()))


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
    for k in range(1, len(sizes) + 1):
        signed = np.where(np.arange(len(sizes)) < k, sizes, -sizes)
        if signed.sum() > 0 and flip_p(signed) < SIGNIFICANT / comparisons:
            return k
    return None


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
