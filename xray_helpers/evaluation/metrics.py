"""Shares of pictures, each with the number it is of and a 95 % interval."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A share and how sure one can be of it.

    Attributes:
        value: the share, 0 to 1; NaN where n is 0.
        low, high: 95 % Wilson interval.
        n: the number of pictures it is a share of.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """For instance `0.750 (27/36, 95 % interval 0.589 to 0.862)`."""
        if self.n == 0:
            return "not defined (no pictures)"
        return (
            f"{self.value:.3f} ({round(self.value * self.n)}/{self.n}, "
            f"95 % interval {self.low:.3f} to {self.high:.3f})"
        )

    def as_dict(self) -> dict[str, float]:
        """As in `run.json`."""
        return asdict(self)


def wilson(hits: int, n: int) -> Estimate:
    """A share with its Wilson score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209).

    Unlike value ± 2 standard errors it stays within 0 to 1 and is honest for small n: 18 of 18 is
    0.824 to 1, not "exactly 1".

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


def accuracy(true: np.ndarray, predicted: np.ndarray) -> Estimate:
    """Share of pictures whose class is right; `true` and `predicted` are (n,) label numbers."""
    return wilson(int(np.sum(np.asarray(true) == np.asarray(predicted))), len(true))


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts, (classes, classes) int64: rows are true classes, columns predicted ones."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(true), np.asarray(predicted)), 1)
    return matrix


def class_scores(matrix: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Precision and recall of each class, with intervals.

    Precision: of the pictures called so, the share that is. Recall: of the pictures that are so,
    the share that is found.

    Returns:
        Columns class, metric ("precision", "recall"), value, low, high, n.
    """
    rows = []
    for i, label in enumerate(classes):
        hits = int(matrix[i, i])
        for metric, n in (("precision", matrix[:, i].sum()), ("recall", matrix[i].sum())):
            rows.append({"class": label, "metric": metric, **wilson(hits, int(n)).as_dict()})
    return pd.DataFrame(rows)
