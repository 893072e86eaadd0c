"""Whether probabilities mean what they say: of pictures called with 0.9, are nine of ten right?

With two classes it is the probability of the second one (covid) that is looked at, and how many of
the pictures are covid; with more classes the probability of the predicted class, and how many of
the pictures are predicted rightly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from xray_helpers.evaluation.bootstrap import (
    RESAMPLES,
    block_sizes,
    over_resamples,
    several_patients,
)
from xray_helpers.evaluation.estimate import Estimate, bootstrapped, wilson

MOST_BINS, LEAST_IN_BIN = 5, 5
COLUMNS = ("lowest", "highest", "mean", "share", "low", "high", "n")
PREDICTED = "the predicted class"


@dataclass(frozen=True, eq=False)
class Calibration:
    """How far the probabilities can be taken at their word.

    Attributes:
        about: whose probability: a class's name, or "the predicted class".
        table: a row a bin of pictures with alike probabilities: lowest, highest and mean
            probability; share (of n) that is so, with low, high (95 % Wilson interval).
        error: the expected calibration error (Guo et al. 2017, ICML): how far share and mean
            probability of a bin are apart, averaged over the pictures.
        luck: the error that perfectly calibrated probabilities would show by chance with as few
            pictures of as few patients: (mean, the value below which 95 % of 2000 draws lie).
        brier: the Brier score (Brier 1950, Mon. Weather Rev. 78:1), the mean squared distance of
            the probabilities from what is true; with two classes of the second one's, 0 to 1,
            otherwise summed over the classes, 0 to 2.
        even: the Brier score of the same probability for all classes.
        reason: why there is nothing of all this, else "".
    """

    about: str
    table: pd.DataFrame
    error: Estimate | None = None
    luck: tuple[float, float] | None = None
    brier: Estimate | None = None
    even: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        """Say in two sentences what there is to know."""
        if self.reason:
            return self.reason
        mean, high = self.luck
        return (
            f"Expected calibration error {self.error.value:.3f} (n = {self.error.n}); exactly "
            f"right probabilities would show {mean:.3f} on average, and up to {high:.3f} in 95 of "
            f"100 draws. Brier score {self.brier}; 0 is always sure and right, "
            f"{self.even:.2f} is the same probability for all classes."
        )

    def as_dict(self) -> dict[str, Any] | None:
        """As in `run.json`; None where there is nothing."""
        if self.reason:
            return None
        return {
            "about": self.about,
            "error": self.error.as_dict(),
            "error_by_luck": {"mean": self.luck[0], "high": self.luck[1]},
            "brier": self.brier.as_dict(),
            "bins": self.table.to_dict("records"),
        }


def no_calibration(reason: str) -> Calibration:
    """What stands in the place of a calibration that there is not, with the reason."""
    return Calibration(PREDICTED, pd.DataFrame(columns=list(COLUMNS)), reason=reason)


def calibrate(
    true: np.ndarray,
    predicted: np.ndarray,
    shares: np.ndarray,
    classes: Sequence[str],
    patients: np.ndarray | None = None,
) -> Calibration:
    """The calibration of probabilities, with intervals by the bootstrap over patients.

    The error's interval is for looking only: resampling adds noise of its own, so that the error
    itself may lie near the interval's lower end, or below it.

    Args:
        true, predicted: label numbers, (n,).
        shares: the probability of each class, (n, classes).
        classes: their names.
        patients: the patient of each picture, (n,); None: each has one picture.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    shares = np.asarray(shares, np.float64)
    n, number = shares.shape
    if number == 2:
        about, probability, is_so = classes[1], shares[:, 1], true == 1
        distance, even = (probability - is_so) ** 2, 0.25
    else:
        about, is_so = PREDICTED, true == predicted
        probability = shares[np.arange(n), predicted]
        distance, even = ((shares - np.eye(number)[true]) ** 2).sum(axis=1), 1 - 1 / number
    places = bins(probability)
    inside = np.eye(places.max() + 1)[places]  # (n, bins), a one each row
    apart = inside * (is_so - probability)[:, None]
    values = over_resamples(
        lambda weights: {
            "error": np.abs(weights @ apart).sum(axis=1) / weights.sum(axis=1),
            "brier": weights @ distance / weights.sum(axis=1),
        },
        n,
        patients,
    )
    several = several_patients(patients)
    error, brier = (bootstrapped(v[0], v[1:], n, several) for v in values.values())
    luck = _luck(probability, inside, np.arange(n) if patients is None else patients)
    return Calibration(about, _table(probability, is_so, places), error, luck, brier, even)


def bins(probability: np.ndarray) -> np.ndarray:
    """The bin of each picture, from 0, bins of about as many pictures each, (n,) int64.

    At most 5 bins, each of 5 pictures or more: 18 pictures make three bins, 36 make five. The
    edges are quantiles, as with scikit-learn's `calibration_curve(strategy="quantile")`. Equal
    probabilities stay in one bin; one that ends with too few pictures for it joins its neighbour.
    """
    number = int(np.clip(len(probability) // LEAST_IN_BIN, 1, MOST_BINS))
    edges = np.unique(np.percentile(probability, np.linspace(0, 100, number + 1)[1:-1]))
    while True:
        places = np.searchsorted(edges, probability)
        counts = np.bincount(places, minlength=len(edges) + 1)
        if not len(edges) or counts.min() >= LEAST_IN_BIN:
            return places
        edges = np.delete(edges, max(0, int(counts.argmin()) - 1))


def _table(probability: np.ndarray, is_so: np.ndarray, places: np.ndarray) -> pd.DataFrame:
    rows = []
    for place in range(places.max() + 1):
        some = probability[places == place]
        share = wilson(int(is_so[places == place].sum()), len(some))
        ends = (some.min(), some.max(), some.mean(), share.value, share.low, share.high, share.n)
        rows.append(ends)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _luck(
    probability: np.ndarray, inside: np.ndarray, patients: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """Mean and 95 % quantile of the error where each probability is exactly right.

    One random number a patient decides about all of its pictures: they come out together, as the
    pictures of one person do. Drawn one by one they would even each other out.
    """
    names, member = np.unique(patients, return_inverse=True)
    rng = np.random.default_rng(seed)
    errors = []
    for rows in block_sizes(RESAMPLES, len(probability)):
        chance = rng.random((rows, len(names)))
        drawn = chance[:, member] < probability
        errors.append(np.abs((drawn - probability) @ inside).sum(axis=1) / len(probability))
    errors = np.concatenate(errors)
    return float(errors.mean()), float(np.quantile(errors, 0.95))
