"""Two classifiers on the same test pictures: which one is better, and can these pictures tell?

Pictures that both get right, or both get wrong, say nothing about which one is better. Only those
that one alone gets right do, and of 36 pictures there are often three or four. So two accuracies
are compared picture by picture, not by whether their intervals overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from xray_helpers.errors import KitError
from xray_helpers.evaluation.bootstrap import percentile_interval, resample_weights
from xray_helpers.evaluation.metrics import wilson

if TYPE_CHECKING:
    from xray_helpers.evaluation.predict import Evaluation

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same n pictures: how many both get right, only one, or neither.

    `p` is that of McNemar's exact test: how likely so uneven a number of pictures that only one
    gets right is if both are equally good (McNemar 1947, Psychometrika 12:153; exact: a sign
    test, binomial with one half).
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    p: float

    @property
    def n(self) -> int:
        """All pictures."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def apart(self) -> int:
        """Pictures that only one of the two gets right."""
        return self.first_only + self.second_only


@dataclass(frozen=True)
class Difference:
    """Accuracy of the first classifier less that of the second, on the same pictures.

    Attributes:
        counts: the pictures counted.
        value: the difference, -1 to 1; above 0 the first is better.
        low, high: its 95 % interval, see `newcombe`; it takes each picture for a new patient.
        patients: how many patients the pictures are of.
        patient_low, patient_high: 95 % interval by drawing whole patients, see `bootstrap`; NaN
            where each patient has one picture, or where the two differ on no picture.
    """

    counts: Paired
    value: float
    low: float
    high: float
    patients: int
    patient_low: float
    patient_high: float


def paired(first: "Evaluation", second: "Evaluation") -> Paired:
    """Compare two classifiers picture by picture, which tells more than their two intervals.

    Raises:
        KitError: they were not evaluated on the same pictures.
    """
    return _counted(*_right(first.predictions, second.predictions))


def paired_difference(first: pd.DataFrame, second: pd.DataFrame) -> Difference:
    """The difference of two accuracies, from two tables of predictions.

    Args:
        first, second: as `predictions.csv`: columns path, true, predicted and, where known,
            patient (without it each picture counts as a patient); in any order.

    Raises:
        KitError: they are not of the same pictures, or call their true classes differently.
    """
    right_1, right_2 = _right(first, second)
    counts = _counted(right_1, right_2)
    patients = first["patient"].astype(str) if "patient" in first else first["path"]
    low, high = newcombe(counts)
    number = int(patients.nunique())
    by_patient = (float("nan"), float("nan"))
    if number < counts.n:
        times = resample_weights(patients)
        gains = right_1.astype(float) - right_2.astype(float)
        by_patient = percentile_interval(times @ gains / times.sum(axis=1))
    value = (counts.first_only - counts.second_only) / counts.n
    return Difference(counts, value, low, high, number, *by_patient)


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


def fewest_one_way(apart: int, comparisons: int = 1) -> int | None:
    """Of `apart` pictures, how many must be right for one classifier only, for p < 0.05.

    None where not even all of them would do. With several comparisons, p < 0.05 / comparisons:
    what Holm's correction asks of the smallest.
    """
    limit = SIGNIFICANT / comparisons
    enough = (k for k in range(apart // 2, apart + 1) if apart and _exact_p(k, apart) < limit)
    return next(enough, None)


def _exact_p(first_only: int, apart: int) -> float:
    return float(binomtest(first_only, apart).pvalue) if apart else 1.0


def _counted(right_1: np.ndarray, right_2: np.ndarray) -> Paired:
    first_only, second_only = int((right_1 & ~right_2).sum()), int((right_2 & ~right_1).sum())
    return Paired(
        both=int((right_1 & right_2).sum()),
        first_only=first_only,
        second_only=second_only,
        neither=int((~right_1 & ~right_2).sum()),
        p=_exact_p(first_only, first_only + second_only),
    )


def _right(first: pd.DataFrame, second: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Whether each picture is called right, (n,) bool, twice, in the order of the first table."""
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
    right_1, right_2 = first["true"] == first["predicted"], other["true"] == other["predicted"]
    return right_1.to_numpy(bool), right_2.to_numpy(bool)
