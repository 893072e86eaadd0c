"""How much a figure changes when other patients had come: the bootstrap over patients.

Pictures of one patient are alike, so drawing pictures one by one would pretend that there is more
to go by than there is. Here whole patients are drawn with replacement (Field and Welsh 2007,
J. R. Stat. Soc. B 69:369; the percentile interval: Efron and Tibshirani 1993, chapter 13).
"""

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 2000
CONFIDENCE = 0.95


def resample_weights(groups: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each picture occurs in each resample.

    Any figure that is a sum over pictures can be computed for all resamples at once from these.

    Args:
        groups: the patient of each picture, (n,).
        resamples: number of resamples.
        seed: the same seed gives the same resamples.

    Returns:
        Counts, int64 (resamples, n). In each resample as many patients are drawn as there are,
        each with all of its pictures, so the number of pictures varies.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    times = np.apply_along_axis(np.bincount, 1, drawn, minlength=len(names))
    return times[:, member]


def percentile_interval(values: ArrayLike) -> tuple[float, float]:
    """The middle 95 % of a figure's values over the resamples, (low, high).

    Resamples in which the figure is not defined (NaN: no picture of the class was drawn) are left
    out. Where fewer than half are defined, or all are the same, there is no interval to speak of:
    both ends are NaN. (All resamples of a perfect score are perfect; that does not make it sure.)
    """
    values = np.asarray(values, np.float64)
    defined = values[np.isfinite(values)]
    if len(defined) < max(1, len(values) / 2) or np.ptp(defined) == 0:
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
