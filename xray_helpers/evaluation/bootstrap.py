"""How much a figure changes when other patients had come: the bootstrap over patients.

Pictures of one patient are alike, so drawing pictures one by one would pretend that there is more
to go by than there is. Here whole patients are drawn with replacement (Field and Welsh 2007,
J. R. Stat. Soc. B 69:369; the percentile interval: Efron and Tibshirani 1993, chapter 13).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from xray_helpers.evaluation.areas import divide

RESAMPLES = 2000
CONFIDENCE = 0.95
_ROUNDING = 1e-9
_BLOCK = 1_000_000  # weights that are worked on at once, 8 MB an array
_LARGE_BLOCK = 5_000_000  # the same where little is done with them: 2500 pictures are one block


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
    return next(_weights_in_blocks(groups, [resamples], seed))


def resampled_means(values: ArrayLike, groups: ArrayLike) -> np.ndarray:
    """The mean of a number that each picture has, in each resample, float64 (RESAMPLES,).

    Args:
        values: (n,).
        groups: the patient of each picture, (n,).
    """
    values = np.asarray(values)
    means = [
        weights @ values / weights.sum(axis=1)
        for weights in _weights_in_blocks(groups, block_sizes(RESAMPLES, len(values)))
    ]
    return np.concatenate(means)


def resampled_shares(part: np.ndarray, whole: np.ndarray, groups: ArrayLike) -> np.ndarray:
    """The share of pictures that are in `part`, of those in `whole`, in each resample.

    Args:
        part, whole: bool (n,).
        groups: the patient of each picture, (n,).

    Returns:
        float64 (RESAMPLES,); NaN where no picture of `whole` was drawn.
    """
    shares = [
        divide(weights @ part, weights @ whole)
        for weights in _weights_in_blocks(groups, block_sizes(RESAMPLES, len(part)))
    ]
    return np.concatenate(shares)


def _weights_in_blocks(groups: ArrayLike, sizes: list[int], seed: int = 0) -> Iterator[np.ndarray]:
    """`resample_weights`, so many rows at a time: 20,000 patients would take 1 GB at once."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    for rows in sizes:
        drawn = rng.integers(len(names), size=(rows, len(names)))
        times = np.apply_along_axis(np.bincount, 1, drawn, minlength=len(names))
        yield times[:, member]


def block_sizes(rows: int, columns: int, most: int = _LARGE_BLOCK) -> list[int]:
    """Rows of each block, as even as can be, so that hardly one holds more numbers than `most`."""
    blocks = min(max(1, -(-rows * columns // most)), max(1, rows // 2))
    return [len(part) for part in np.array_split(np.arange(rows), blocks)]


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


def over_resamples(
    compute: Callable[[np.ndarray], dict[str, np.ndarray]], n: int, patients: ArrayLike | None
) -> dict[str, np.ndarray]:
    """A figure itself and, behind it, its values over the resamples.

    Args:
        compute: how often each picture counts, float64 (rows, n) -> name -> array (rows, …). It
            is asked for a block of rows at a time, to keep memory small.
        n: pictures.
        patients: the patient of each, (n,); None: each has one picture.

    Returns:
        Name -> array (1 + RESAMPLES, …); the first row counts each picture once.
    """
    first, *sizes = block_sizes(1 + RESAMPLES, n, _BLOCK)
    groups = np.arange(n) if patients is None else patients
    parts = []
    for block in _weights_in_blocks(groups, [first - 1, *sizes]):
        if not parts:
            block = np.vstack([np.ones((1, n), np.int64), block])
        parts.append(compute(block.astype(np.float64)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
