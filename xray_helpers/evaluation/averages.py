"""The mean of a number that each picture has, and how sure one can be of it."""

import numpy as np
from numpy.typing import ArrayLike

from xray_helpers.errors import KitError
from xray_helpers.evaluation.bootstrap import resample_weights
from xray_helpers.evaluation.estimate import Estimate, beside, bootstrapped, wilson


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
    return bootstrapped(values.mean(), _means(values, names), len(values), _several(names))


def share_of(hits: ArrayLike, patients: ArrayLike | None = None) -> Estimate:
    """The share of pictures that are hits, with its Wilson interval and that over patients.

    Args:
        hits: bool (n,).
        patients: the patient of each picture, (n,); None: each has one picture.
    """
    hits, names = _same_pictures(hits, patients)
    share = wilson(int(hits.sum()), len(hits))
    if (several := _several(names)) is None:
        return share
    return beside(share, _means(hits, names), several)


def _means(values: np.ndarray, names: np.ndarray) -> np.ndarray:
    """The mean in each resample, (B,)."""
    weights = resample_weights(names)
    return weights @ values / weights.sum(axis=1)


def _several(names: np.ndarray) -> int | None:
    """The number of patients; None where each has one picture."""
    patients = len(np.unique(names))
    return None if patients == len(names) else patients


def _same_pictures(values: ArrayLike, patients: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    names = np.arange(len(values)) if patients is None else np.asarray(patients)
    if len(names) != len(values):
        raise KitError(f"{len(values)} pictures, {len(names)} patients: give one for each picture.")
    return values, names
