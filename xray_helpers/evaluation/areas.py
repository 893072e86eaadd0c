"""How well scores put the pictures of a class before the others: two areas under curves.

Both look at the order of the scores only, at no threshold. They are computed for many resamples
at once, from how often each picture occurs in each.
"""

import numpy as np


def roc_auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The area under the ROC curve.

    It is how often a picture of the class has a higher score than one of another class, an equal
    score counting half (Hanley and McNeil 1982, Radiology 143:29): 1 is a perfect order, 0.5 what
    chance gives. Equal scores are treated as in scikit-learn's `roc_auc_score`.

    Args:
        positive: which pictures are of the class, bool (n,).
        scores: higher means rather of the class, (n,).
        weights: how often each picture occurs in each resample, (B, n).

    Returns:
        float64 (B,); NaN where the class, or the others, have no picture, and where a score is not
        finite: a network that gives no numbers has put nothing in order.
    """
    hits, others = _by_score(positive, scores, weights)
    all_others = others.sum(axis=1, keepdims=True)
    below = all_others - np.cumsum(others, axis=1) + others / 2
    return divide((hits * below).sum(axis=1), hits.sum(axis=1) * all_others[:, 0])


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The average precision, the area under the steps of the precision-recall curve.

    The threshold falls from the highest score to the lowest; each time that recall rises, the
    precision there counts with the rise (scikit-learn's `average_precision_score`). Chance gives
    the share of the class, not 0.5.

    Args:
        positive, scores, weights: as for `roc_auc`.

    Returns:
        float64 (B,); NaN where the class has no picture, and where a score is not finite.
    """
    hits, others = _by_score(positive, scores, weights)
    found = np.cumsum(hits, axis=1)
    precision = divide(found, found + np.cumsum(others, axis=1))
    # Where nothing is called so yet there is no precision, and no rise of recall to count.
    return divide((hits * np.nan_to_num(precision)).sum(axis=1), found[:, -1])


def _by_score(
    positive: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the class and others at each distinct score, highest first, each (B, scores).

    All NaN where a score is not finite. Each NaN would count as a score of its own, in the order of
    the pictures; these lie class by class, and the area would be 1.
    """
    if not np.isfinite(scores).all():
        unknown = np.full((len(weights), 1), np.nan)
        return unknown, unknown
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))
    sorted_weights = np.asarray(weights, np.float64)[:, order]
    is_so = positive[order]
    hits = np.add.reduceat(sorted_weights * is_so, starts, axis=1)
    return hits, np.add.reduceat(sorted_weights * ~is_so, starts, axis=1)


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, both of the same shape; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
