"""The mean of a number that each picture has, and how sure one can be of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from xray_helpers.errors import KitError
from xray_helpers.evaluation.bootstrap import (
    resampled_means,
    resampled_shares,
    several_patients,
)
from xray_helpers.evaluation.estimate import Estimate, beside, bootstrapped, combined, wilson


def mean_of(values: ArrayLike, patients: ArrayLike | None = None) -> Estimate:
    """The mean with its interval by the bootstrap over patients.

    Args:
        values: a number a picture, (n,); pictures with NaN are left out.
        patients: the patient of each picture, (n,); None: each has one picture.
    """
    values, names = _same_pictures(values, patients)
    there = np.isfinite(values)
    values, names = values[there], names[there]
    if len(values) == 0:
        return bootstrapped(float("nan"), [], 0, None)
    resampled = resampled_means(values, names)
    return bootstrapped(values.mean(), resampled, len(values), several_patients(names))


def share_of(hits: ArrayLike, patients: ArrayLike | None = None) -> Estimate:
    """The share of pictures that are hits, with its Wilson interval and that over patients.

    Args:
        hits: bool (n,).
        patients: the patient of each picture, (n,); None: each has one picture.
    """
    hits, names = _same_pictures(hits, patients)
    share = wilson(int(hits.sum()), len(hits))
    if (several := several_patients(names)) is None:
        return share
    return beside(share, resampled_means(hits, names), several)


def share_among(hits: np.ndarray, among: np.ndarray, patients: np.ndarray) -> Estimate:
    """The share of some of the pictures that are hits: a recall, a precision.

    All patients are drawn, not only those of these pictures, so that the interval over patients is
    that of `metrics.all_metrics`.

    Args:
        hits, among: bool (n,).
        patients: the patient of each picture, (n,).
    """
    hits = hits & among
    share = wilson(int(hits.sum()), int(among.sum()))
    resampled = resampled_shares(hits, among, patients)
    return beside(share, resampled, several_patients(patients[among]))


def priced(parts: Sequence[tuple[float, np.ndarray]], patients: np.ndarray) -> Estimate:
    """What pictures cost on average, with the interval of `combined` and that over patients.

    Args:
        parts: a price, which may be negative, and which pictures have it, bool (n,).
        patients: the patient of each picture, (n,).
    """
    n = len(patients)
    found = combined([(price, wilson(int(some.sum()), n)) for price, some in parts], n)
    prices = sum(price * some for price, some in parts)
    return beside(found, resampled_means(prices, patients), several_patients(patients))


def _same_pictures(values: ArrayLike, patients: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    names = np.arange(len(values)) if patients is None else np.asarray(patients)
    if len(names) != len(values):
        raise KitError(f"{len(values)} pictures, {len(names)} patients: give one for each picture.")
    return values, names
