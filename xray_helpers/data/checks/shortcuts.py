"""Checks for shortcuts: what tells the classes apart without a look at a lung.

Both count patients and not pictures: of each patient's pictures the mean is taken, so that one
with many pictures has no more weight than any other. Classes with fewer than `FEWEST` patients in
a folder say nothing either way, and are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_helpers.data.checks.seen import BLOCKS, Finding, Seen, place
from xray_helpers.data.file_numbers import NAMES

FEWEST = 10  # patients of a class
FOLDS = 5
RARE = 0.001  # chance that would explain what is warned of
FRAME = 3  # blocks of 32 at each side, a tenth of the picture: no lung lies there
_SHUFFLES = (2000, 10_000)  # of the labels, at least and at most
_AT_ONCE = 100  # of them, to keep memory small
_WORK = 1e10  # multiplications that they may take, about a second
SHOWN = 5  # places and numbers that a message names


@dataclass(frozen=True, eq=False)
class _Patients:
    """A row a patient: classes, text (n,), the ten numbers (n, 10), blocks of the frame (n, k)."""

    labels: np.ndarray
    numbers: np.ndarray
    frame: np.ndarray


def shortcut_floor(seen: Seen) -> Iterator[Finding]:
    """How often ten numbers of how a picture was made tell the class, against the largest class.

    Logistic regression, 5-fold cross-validation over patients. Whether it beats the largest class
    is a sign test (McNemar's, exact): of the patients for whom one of the two is right and the
    other wrong, half would fall to each by chance. The interval is Wilson's.
    """
    for folder, of in _folders(seen):
        names, n = np.unique(of.labels, return_counts=True)
        largest = names[n.argmax()]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        right = cross_val_predict(model, of.numbers, of.labels, cv=folds) == of.labels
        always = of.labels == largest
        better, worse = int((right & ~always).sum()), int((~right & always).sum())
        rare = better + worse > 0 and (
            binomtest(better, better + worse, alternative="greater").pvalue < RARE
        )
        # As `evaluation.estimate.wilson`, which `data` may not import: it comes before.
        interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        verdict = (
            "a network can score that much without having learnt a disease"
            if rare
            else "that is no more than chance explains"
        )
        message = (
            f"{place(folder)}: ten numbers of how a picture was made (size, file mode, border, "
            f"brightness) tell the class of {right.sum()} of {len(right)} patients "
            f"({right.mean():.3f}, 95 % interval {interval.low:.3f} to {interval.high:.3f}, "
            f"n = {len(right)}; {FOLDS}-fold cross-validation), always saying {largest} that of "
            f"{always.sum()} ({always.mean():.3f}): {verdict}."
        )
        yield Finding("shortcut_floor", "warning" if rare else "note", message, [])


def shortcut_alarm(seen: Seen) -> Iterator[Finding]:
    """Which numbers and which places of the frame differ between the classes.

    Each is tested on its own (do the ranks of one class lie higher than another's?) and corrected
    for the number of tests, so that a warning comes up by chance in one of a thousand folders at
    most; see `corrected_p`.
    """
    for folder, of in _folders(seen):
        rows, columns = np.nonzero(_in_frame())
        values = np.concatenate([of.numbers, of.frame], axis=1)
        rare = corrected_p(values, of.labels) < RARE
        names = [name for name, is_rare in zip(NAMES, rare, strict=False) if is_rare]
        places = _places(rows, columns, rare[len(NAMES) :], values[:, len(NAMES) :], of.labels)
        if not names and not places:
            continue
        parts = []
        if places:
            parts.append("places at the edge of the picture: " + _some(places, "; "))
        if names:
            parts.append("numbers of how it was made: " + _some(names, ", "))
        message = (
            f"{place(folder)}: what no disease explains differs between the classes, more than "
            f"by chance (p < {RARE} after correction for {values.shape[1]} tests, n = "
            f"{len(values)} patients): {'; '.join(parts)}. A network can use it as a shortcut."
        )
        yield Finding("shortcut", "warning", message, [])


def corrected_p(values: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """P of the Kruskal-Wallis test of each column, corrected for the number of columns.

    The labels are shuffled many times, and each time the largest H of all columns is kept: the p
    of a column is how often chance, which had all columns to choose from, got an H as large as its
    own (Westfall and Young 1993, Resampling-Based Multiple Testing, chapter 2). Tables of the
    chi-square distribution would not do: where nearly all values are the same and the classes are
    of different sizes, large H are far more frequent than they say.

    Args:
        values: float (n, k).
        labels: the class of each row, (n,).
        seed: of the shuffles, 10,000 of them, fewer for large tables, but 2000 or more.

    Returns:
        float64 (k,); 1 where nothing varies.
    """
    p = np.ones(values.shape[1])
    varies = np.ptp(values, axis=0) > 0
    if not varies.any():
        return p
    n = len(labels)
    ranks = rankdata(values[:, varies], axis=0) - (n + 1) / 2
    scaled = ranks / np.sqrt((ranks**2).sum(axis=0) / (n - 1))
    names, number, sizes = np.unique(labels, return_inverse=True, return_counts=True)

    def h(orders: np.ndarray) -> np.ndarray:
        """Kruskal and Wallis's H of each column, ties counted, for class numbers (times, n)."""
        sums = [(orders == g).astype(np.float64) @ scaled for g in range(len(names) - 1)]
        sums.append(-sum(sums))  # all ranks together are 0
        return sum(of**2 / size for of, size in zip(sums, sizes, strict=True))

    random = np.random.default_rng(seed)
    same = np.tile(number, (_AT_ONCE, 1))
    blocks = _WORK // (same.shape[0] * scaled.size * (len(names) - 1))
    blocks = int(np.clip(blocks, *(times // _AT_ONCE for times in _SHUFFLES)))
    largest = [h(random.permuted(same, axis=1)).max(axis=1) for _ in range(blocks)]
    found = h(number[None]) - 1e-9  # less what rounding does
    as_large = (np.concatenate(largest)[:, None] >= found).sum(axis=0)
    p[varies] = (1 + as_large) / (1 + blocks * _AT_ONCE)
    return p


def _folders(seen: Seen) -> Iterator[tuple[str, _Patients]]:
    """Each folder's patients, of classes with enough of them; folders with one class left out."""
    frame = _in_frame()
    for folder in seen.folders:
        table = seen.distinct(folder)
        # One class a patient: the one of most of the pictures.
        of_patient = table.groupby("patient")["label"].agg(lambda labels: labels.mode().iloc[0])
        enough = of_patient.map(of_patient.value_counts()) >= FEWEST
        of_patient = of_patient[enough]
        if of_patient.nunique() < 2:
            continue
        pictures = table[table["patient"].isin(of_patient.index)].groupby("patient")["sha256"]
        measured = [[seen.measured[sha] for sha in shas] for _, shas in pictures]
        yield (
            folder,
            _Patients(
                of_patient.to_numpy(str),
                np.array([np.mean([m.numbers for m in of], axis=0) for of in measured]),
                np.array([np.mean([m.blocks[frame] for m in of], axis=0) for of in measured]),
            ),
        )


def _in_frame() -> np.ndarray:
    """The blocks at the edge of a picture, bool (32, 32)."""
    frame = np.ones((BLOCKS, BLOCKS), bool)
    frame[FRAME:-FRAME, FRAME:-FRAME] = False
    return frame


def _places(
    rows: np.ndarray, columns: np.ndarray, rare: np.ndarray, values: np.ndarray, labels: np.ndarray
) -> list[str]:
    """The places that differ, those that differ most first, with each class's median there."""
    spread: dict[str, tuple[float, str]] = {}
    for k in np.flatnonzero(rare):
        name = place_name(rows[k], columns[k])
        medians = {label: np.median(values[labels == label, k]) for label in np.unique(labels)}
        difference = max(medians.values()) - min(medians.values())
        if name not in spread or difference > spread[name][0]:
            each = ", ".join(f"{label} {value:.0f}" for label, value in medians.items())
            spread[name] = difference, f"the {name} (median brightness {each})"
    return [text for _, text in sorted(spread.values(), reverse=True)]


def place_name(row: int, column: int) -> str:
    """A block of the frame in words, as seen on the screen: "lower left corner", "upper edge"."""
    quarter = BLOCKS // 4
    down = "upper" if row < quarter else "lower" if row >= BLOCKS - quarter else ""
    across = "left" if column < quarter else "right" if column >= BLOCKS - quarter else ""
    return f"{down} {across} corner" if down and across else f"{down or across} edge"


def _some(texts: list[str], between: str) -> str:
    """The first of the texts, and how many more there are."""
    more = len(texts) - SHOWN
    return between.join(texts[:SHOWN]) + (f"{between}and {more} more" if more > 0 else "")
