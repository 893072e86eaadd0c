"""Two classifiers on the same test pictures: which one is better, and can these pictures tell?

Pictures that both get right, or both get wrong, say nothing about which one is better. Only those
that one alone gets right do, and of 36 pictures there are often three or four. So two accuracies
are compared picture by picture, not by whether their intervals overlap.

Pictures of one patient are alike: a network that fails on one of them fails on most. Ten of them
are no more evidence than one, so what is counted in the test is patients.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.evaluation.bootstrap import percentile_interval, resampled_means
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.significance import flip_p

if TYPE_CHECKING:
    from xray_helpers.evaluation.predict import Evaluation


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same n pictures: how many both get right, only one, or neither.

    `p` is how likely so uneven a number of pictures that only one gets right is if both are equally
    good, patient by patient: see `flip_p`. `over_patients` says whether some patient has several
    pictures; where none has, p is that of McNemar's exact test (McNemar 1947, Psychometrika
    12:153).
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    p: float
    over_patients: bool = False

    @property
    def n(self) -> int:
        """All pictures."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def apart(self) -> int:
        """Pictures that only one of the two gets right."""
        return self.first_only + self.second_only

    @property
    def p_name(self) -> str:
        """What `p` is called in a sentence."""
        return "exact McNemar p over patients" if self.over_patients else "exact McNemar p"


@dataclass(frozen=True)
class Difference:
    """Accuracy of the first classifier less that of the second, on the same pictures.

    Attributes:
        counts: the pictures counted.
        value: the difference, -1 to 1; above 0 the first is better.
        low, high: its 95 % interval, see `newcombe`; it takes each picture for a new patient.
        patients: how many patients the pictures are of.
        gains: by how many pictures the first is better, for each patient for whom it is better or
            (below 0) worse.
        patient_low, patient_high: 95 % interval by drawing whole patients, see `bootstrap`; NaN
            where each patient has one picture, or where all draws give the same difference (those
            of a single patient, say, or of two classifiers that differ on no picture).
    """

    counts: Paired
    value: float
    low: float
    high: float
    patients: int
    gains: tuple[int, ...]
    patient_low: float
    patient_high: float


def paired(first: "Evaluation", second: "Evaluation") -> Paired:
    """Compare two classifiers picture by picture, which tells more than their two intervals.

    Raises:
        KitError: they were not evaluated on the same pictures.
    """
    return _counted(*_aligned(first.predictions, second.predictions))


def paired_difference(first: pd.DataFrame, second: pd.DataFrame) -> Difference:
    """The difference of two accuracies, from two tables of predictions.

    Args:
        first, second: as `predictions.csv`: columns path, true, predicted and, where known,
            patient, which one table is enough to know; in any order. Where neither knows, each
            picture counts as a patient.

    Raises:
        KitError: they are not of the same pictures, or call their true classes differently.
    """
    right_1, right_2, patients = _aligned(first, second)
    counts = _counted(right_1, right_2, patients)
    low, high = newcombe(counts)
    by_patient = (float("nan"), float("nan"))
    if counts.over_patients:
        gains = right_1.astype(float) - right_2.astype(float)
        by_patient = percentile_interval(resampled_means(gains, patients))
    return Difference(
        counts=counts,
        value=(counts.first_only - counts.second_only) / counts.n,
        low=low,
        high=high,
        patients=len(np.unique(patients)),
        gains=tuple(_patient_gains(right_1, right_2, patients).tolist()),
        patient_low=by_patient[0],
        patient_high=by_patient[1],
    )


def newcombe(counts: Paired) -> tuple[float, float]:
    """95 % interval of the difference of two accuracies on the same pictures, (low, high).

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: the distances from each accuracy to
    the ends of its own Wilson interval are added like the sides of a triangle, whose angle is
    given by how often the two are right together (their correlation, moved towards 0 by n/2).
    """
    n, both, neither = counts.n, counts.both, counts.neither
    one = wilson(both + counts.first_only, n)
    two = wilson(both + counts.second_only, n)
    together = both * neither - counts.first_only * counts.second_only
    if together > 0:
        together = max(together - n / 2, 0)
    margins = (both + counts.first_only, counts.second_only + neither)
    margins += (both + counts.second_only, counts.first_only + neither)
    spread = np.sqrt(np.prod(np.array(margins, np.float64)))
    likeness = together / spread if spread else 0.0

    def side(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 - 2 * likeness * a * b + b**2, 0)))

    difference = one.value - two.value
    return (
        difference - side(one.value - one.low, two.high - two.value),
        difference + side(one.high - one.value, two.value - two.low),
    )


def _patient_gains(right_1: np.ndarray, right_2: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """See `Difference.gains`: int64, one a patient for whom the two differ."""
    gains = right_1.astype(np.int64) - right_2.astype(np.int64)
    net = pd.Series(gains).groupby(patients).sum().to_numpy()
    return net[net != 0]


def _counted(right_1: np.ndarray, right_2: np.ndarray, patients: np.ndarray) -> Paired:
    return Paired(
        both=int((right_1 & right_2).sum()),
        first_only=int((right_1 & ~right_2).sum()),
        second_only=int((right_2 & ~right_1).sum()),
        neither=int((~right_1 & ~right_2).sum()),
        p=flip_p(_patient_gains(right_1, right_2, patients)),
        over_patients=len(np.unique(patients)) < len(patients),
    )


def _aligned(
    first: pd.DataFrame, second: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each picture is called right, (n,) bool, twice, and whose it is, (n,) text.

    In the order of the first table.
    """
    other = second.set_index("path")
    paths = first["path"]
    same = not other.index.has_duplicates and not paths.duplicated().any()
    if not same or set(paths) != set(other.index):
        raise KitError(
            "The two are not of the same pictures; compare runs that were tested on the same ones."
        )
    other = other.loc[paths]
    if (first["true"].to_numpy() != other["true"].to_numpy()).any():
        raise KitError(
            "The two call the same pictures' true classes differently; compare runs of one task."
        )
    # A run of an older kit has not written down its patients; the other run may have.
    knows = next((table for table in (first, other) if "patient" in table), None)
    patients = paths if knows is None else knows["patient"]
    right_1, right_2 = first["true"] == first["predicted"], other["true"] == other["predicted"]
    return right_1.to_numpy(bool), right_2.to_numpy(bool), patients.to_numpy(str)
