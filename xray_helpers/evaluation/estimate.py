"""A figure, the number of pictures that it is of, and how sure one can be of it.

Where there are two intervals, one that takes pictures for independent and one over patients,
believe the wider one. With few patients that is still somewhat too narrow, see `metrics`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from xray_helpers.evaluation.bootstrap import CONFIDENCE, percentile_interval

_ALL_SAME = "all resamples agree, which does not make it sure"
_TOO_FEW = "in most resamples no picture is left to define it"


@dataclass(frozen=True)
class ByPatient:
    """The interval of a figure where patients, not pictures, are what came by chance.

    Attributes:
        low, high: 95 % interval of the bootstrap over patients; NaN where there is none.
        patients: how many patients the pictures are of that the figure is of.
        no_interval: why there is none; else "".
    """

    low: float
    high: float
    patients: int
    no_interval: str = ""


@dataclass(frozen=True)
class Estimate:
    """A figure and how sure one can be of it.

    Attributes:
        value: the figure, 0 to 1 but for costs; NaN where n is 0.
        low, high: 95 % interval by `method`; NaN where there is none.
        n: the number of pictures it is taken of.
        method: "wilson"; "bootstrap" over patients (over pictures where each patient has one);
            "combined" Wilson intervals, see `combined`.
        by_patient: the interval over patients, where some patient has several pictures. For a
            figure by "bootstrap" it is the same as low and high.
        no_interval: why there is none; else "".
    """

    value: float
    low: float
    high: float
    n: int
    method: str = "wilson"
    by_patient: ByPatient | None = None
    no_interval: str = ""

    def __str__(self) -> str:
        """For instance `0.750 (27/36, 95 % interval 0.589 to 0.862)`."""
        if self.n == 0:
            return "not defined (no pictures)"
        said = f"n = {self.n}"
        if self.method == "wilson":
            said = f"{round(self.value * self.n)}/{self.n}"
        said += f", {'' if self.no_interval else '95 % interval '}{_interval(self)}"
        if by := self.by_patient:
            over = f"over {by.patients} patient{'' if by.patients == 1 else 's'}"
            if self.method != "bootstrap":
                said += f"; {over} {_interval(by)}"
            elif not self.no_interval:
                said += f" {over}"
        return f"{self.value:.3f} ({said})"

    @property
    def ends(self) -> "ByPatient | Estimate":
        """What has the interval to show where there is room for one: `low` and `high`.

        That over patients, where some patient has several pictures and there is one.
        """
        return self.by_patient if self.by_patient and not self.by_patient.no_interval else self

    def as_dict(self) -> dict[str, Any]:
        """As in `run.json`: the attributes' names; by_patient is None or those of `ByPatient`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Estimate":
        """The figure again that `as_dict` or an older kit's `run.json` holds."""
        known = {**record}
        if by := record.get("by_patient"):
            ends = {name: _number(by[name]) for name in ("low", "high")}
            known["by_patient"] = ByPatient(**{**by, **ends})
        return cls(**known | {name: _number(record[name]) for name in ("value", "low", "high")})


def wilson(hits: int, n: int) -> Estimate:
    """A share with its Wilson score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Unlike value ± 2 standard errors it stays within 0 to 1 and is honest for small n: 18 of 18 is
    0.824 to 1, not "exactly 1". It takes the pictures for independent of each other, which those
    of one patient are not: see `ByPatient`.

    Raises:
        ValueError: not 0 <= hits <= n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} are not possible.")
    if n == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    z = norm.ppf(0.5 + CONFIDENCE / 2)
    share = hits / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if hits == 0 else float(centre - half)
    high = 1.0 if hits == n else float(centre + half)
    return Estimate(share, low, high, int(n))


def combined(parts: Iterable[tuple[float, Estimate]], n: int) -> Estimate:
    """A sum of shares, each times a number, with an interval from those of the shares.

    The distances from each share to the ends of its interval are combined like standard errors:
    squared, added up, and the root taken (Newcombe 1998, Stat. Med. 17:873, for a difference; Zou
    and Donner 2008, Stat. Med. 27:1693, for any sum). Unlike a bootstrap's it does not shrink to
    nothing where there are few errors or none.

    Args:
        parts: a number, which may be negative, and the share that it is multiplied by.
        n: the number of pictures that all the shares are of, 1 or more.
    """
    value = below = above = 0.0
    for factor, share in parts:
        to_low, to_high = factor * (share.value - share.low), factor * (share.high - share.value)
        value += factor * share.value
        # Times a negative number, the upper end becomes the lower one.
        below += (to_low if factor > 0 else to_high) ** 2
        above += (to_high if factor > 0 else to_low) ** 2
    return Estimate(value, value - math.sqrt(below), value + math.sqrt(above), int(n), "combined")


def bootstrapped(value: float, values: ArrayLike, n: int, patients: int | None) -> Estimate:
    """A figure that has no formula for its interval.

    Args:
        value: the figure; NaN where it is not defined.
        values: its values over the resamples of `resample_weights`, (B,).
        n: the number of pictures it is taken of.
        patients: how many there are; None where each has one picture.
    """
    if not np.isfinite(value):
        return Estimate(float("nan"), float("nan"), float("nan"), 0, "bootstrap")
    low, high, why = _percentiles(values)
    by = None if patients is None else ByPatient(low, high, patients, why)
    return Estimate(float(value), low, high, int(n), "bootstrap", by, why)


def beside(estimate: Estimate, values: ArrayLike, patients: int | None) -> Estimate:
    """A figure with the interval over patients beside its own; see `bootstrapped`."""
    if patients is None or estimate.n == 0:
        return estimate
    low, high, why = _percentiles(values)
    return replace(estimate, by_patient=ByPatient(low, high, patients, why))


def _percentiles(values: ArrayLike) -> tuple[float, float, str]:
    low, high = percentile_interval(values)
    if np.isfinite(low):
        return low, high, ""
    values = np.asarray(values, np.float64)
    enough = np.isfinite(values).mean() >= 0.5
    return low, high, _ALL_SAME if enough else _TOO_FEW


def _interval(of: Estimate | ByPatient) -> str:
    return f"no interval: {of.no_interval}" if of.no_interval else f"{of.low:.3f} to {of.high:.3f}"


def _number(value: float | None) -> float:
    """JSON has null for what is no number."""
    return float("nan") if value is None else value
