"""How much a figure changes when other patients had come: the bootstrap over patients.

Pictures of one patient are alike, so drawing pictures one by one would pretend that there is more
to go by than there is. Here whole patients are drawn with replacement (Field and Welsh 2007,
J. R. Stat. Soc. B 69:369; the percentile interval: Efron and Tibshirani 1993, chapter 13).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 2000
CONFIDENCE = 0.95
_ROUNDING = 1e-9
_BLOCK = 1_000_000  # weights that are worked on at once, 8 MB an array


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
    Values that differ by rounding alone are the same.
    """
    values = np.asarray(values, np.float64)
    defined = values[np.isfinite(values)]
    if len(defined) < max(1, len(values) / 2):
        return float("nan"), float("nan")
    if np.ptp(defined) <= _ROUNDING * max(1, np.abs(defined).max()):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def several_patients(patients: ArrayLike | None) -> int | None:
    """The number of patients; None where each has one picture, or where none is known."""
    if patients is None:
        return None
    number = len(np.unique(np.asarray(patients)))
    return number if number < len(np.asarray(patients)) else None


def with_resamples(n: int, patients: ArrayLike | None) -> np.ndarray:
    """How often each of n pictures counts: in the first row once, below as `resample_weights` says.

    What is computed from these is the figure itself and, behind it, its values over the resamples.

    Returns:
        int64 (1 + RESAMPLES, n).
    """
    groups = np.arange(n) if patients is None else patients
    return np.vstack([np.ones((1, n), np.int64), resample_weights(groups)])


def in_blocks(
    compute: Callable[[np.ndarray], dict[str, np.ndarray]], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """`compute` for all rows of the weights, a block of rows at a time, to keep memory small.

    Args:
        compute: weights float64 (rows, n) -> name -> array (rows, …).
        weights: (B, n).

    Returns:
        Name -> array (B, …).
    """
    blocks = np.array_split(weights, max(1, -(-weights.size // _BLOCK)))
    parts = [compute(block.astype(np.float64)) for block in blocks]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
