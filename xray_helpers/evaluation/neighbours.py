"""How well features part the classes, and how far a t-SNE picture can be believed.

t-SNE draws islands whether there are any or not. So the classes are scored in feature space,
before t-SNE (each feature scaled, then 50 principal components, as t-SNE itself begins), and the
picture is scored as a picture: does it show neighbours that are neighbours (trustworthiness), and
would another random start have shown the same ones (`neighbours_kept`)?

Every score is a mean over pictures, so its interval comes from the bootstrap over patients.
"""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples

from xray_helpers.errors import KitError
from xray_helpers.evaluation.averages import mean_of, share_of
from xray_helpers.evaluation.embedding import Features, standard

NEIGHBOURS = 5


def separation(
    features: np.ndarray,
    labels: ArrayLike,
    patients: ArrayLike | None = None,
    points: np.ndarray | None = None,
) -> dict[str, Any]:
    """How well the classes part in feature space (not on the picture, where distances mislead).

    Best called with what `split_features` gives, so that features, labels and patients are those
    of the same pictures.

    Args:
        features: (n, d).
        labels: the class of each picture, (n,).
        patients: the patient of each picture, (n,); None: each has one picture.
        points: what t-SNE or PCA made of the features, (n, 2); None: no trustworthiness.

    Returns:
        - `silhouette`: float, -1 to 1: how much nearer the own class is than the next one; 0: the
          classes overlap. `silhouette_interval` is the same as an `Estimate` (bootstrap).
        - `neighbours`: an `Estimate`, the share of pictures whose class is the most frequent one
          among their 5 nearest others; pictures of the same patient do not count, or the person
          would be recognised in place of the disease. A picture without any other is a miss.
        - `chance`: the share of the largest class, which `neighbours` has to beat.
        - `trustworthiness`: an `Estimate`, see `trustworthiness`; None without points.

    Raises:
        KitError: other numbers of features, labels, patients or points.
    """
    labels = np.asarray(labels)
    patients = np.arange(len(labels)) if patients is None else np.asarray(patients)
    given = {"rows of features": features, "labels": labels, "patients": patients}
    _require_same_length(given if points is None else given | {"points": points})
    space = standard(features)
    classes, numbers = np.unique(labels, return_inverse=True)
    parted = 1 < len(classes) < len(labels)  # else the silhouette is not defined
    silhouettes = silhouette_samples(space, numbers) if parted else np.full(len(labels), np.nan)
    silhouette = mean_of(silhouettes, patients)
    hits = _neighbour_hits(space, numbers, patients)
    return {
        "silhouette": silhouette.value,
        "silhouette_interval": silhouette,
        "neighbours": share_of(hits, patients),
        "chance": float(np.bincount(numbers).max() / len(numbers)),
        "trustworthiness": None
        if points is None
        else mean_of(trustworthiness(space, points), patients),
    }


def separation_table(features: Features, points: np.ndarray | None = None) -> pd.DataFrame:
    """`separation` of training and test pictures apart, for reading.

    A layer was shaped to part the training pictures, so their scores flatter; those of the test
    pictures say what a new patient's would be.

    Args:
        features: what `split_features` gave.
        points: what t-SNE made of all of them, (n, 2); None: no trustworthiness.

    Returns:
        A row for "train" (validation with it, if asked for) and one for "test", where there are
        such pictures. Columns `pictures`, `n`, `patients`, `chance`, and for each of `silhouette`,
        `neighbours` and `trustworthiness` its value and, with `_low` and `_high`, its 95 %
        interval (over patients where some have several pictures, but Wilson's where all are hits).
    """
    rows = []
    for name, part in (("train", ~features.test), ("test", features.test)):
        if not part.any():
            continue
        labels, patients = features.labels[part], features.patients[part]
        shown = None if points is None else points[part]
        scores = separation(features.values[part], labels, patients, shown)
        row = {"pictures": name, "n": len(labels), "patients": len(np.unique(patients))}
        row["chance"] = scores["chance"]
        for score in ("silhouette_interval", "neighbours", "trustworthiness"):
            if (found := scores[score]) is not None:
                column, ends = score.removesuffix("_interval"), found.ends
                row |= {column: found.value, f"{column}_low": ends.low, f"{column}_high": ends.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _neighbour_hits(space: np.ndarray, numbers: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Whether most of the nearest pictures of other patients are of the own class, bool (n,)."""
    distance = cdist(space, space)
    distance[patients[:, None] == patients] = np.inf  # the picture itself among them
    near = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    counts = np.isfinite(np.take_along_axis(distance, near, axis=1))
    # Where two classes have as many neighbours, the one whose nearest is nearest wins: the votes
    # of nearer ones weigh a little more, all of it together less than one vote.
    votes = counts * (1 + 0.5 ** np.arange(2, near.shape[1] + 2))
    of_class = np.zeros((len(numbers), numbers.max() + 1))
    np.add.at(of_class, (np.arange(len(numbers))[:, None], numbers[near]), votes)
    return (of_class.argmax(axis=1) == numbers) & counts.any(axis=1)


def trustworthiness(space: np.ndarray, points: np.ndarray) -> np.ndarray:
    """How far the neighbours that each picture has on the plane are its neighbours in the space.

    For each of its 5 nearest on the plane that is not among its 5 nearest in the space, a picture
    loses by how far down the list it stands there (Venna and Kaski 2001, ICANN, p. 485). The mean
    is `sklearn.manifold.trustworthiness`: 1 where all are neighbours, about 0.5 by chance.

    Args:
        space: (n, d).
        points: (n, 2), row i of the same picture.

    Returns:
        float64 (n,); NaN for fewer than 4 pictures. Of fewer than 11 pictures fewer than 5
        neighbours are taken.
    """
    n = len(space)
    k = min(NEIGHBOURS, (n - 1) // 2)
    if k < 1 or n < 4:
        return np.full(n, np.nan)
    rank = np.empty((n, n), np.int64)
    np.put_along_axis(rank, _nearest(space, n - 1), np.arange(1, n), axis=1)
    too_far = np.clip(np.take_along_axis(rank, _nearest(points, k), axis=1) - k, 0, None)
    return 1 - too_far.sum(axis=1) * 2 / (k * (2 * n - 3 * k - 1))


def neighbours_kept(clouds: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """How many of the 5 nearest pictures on one t-SNE picture are so on the others as well.

    Args:
        clouds: points (n, 2) of the same n pictures, at least two clouds.

    Returns:
        For each picture the share, averaged over all pairs of clouds, float64 (n,): 1 where all
        show the same neighbours; and the share that clouds laid out at random would keep.

    Raises:
        KitError: fewer than two clouds, fewer than two pictures, or other numbers of points.
    """
    _require_same_length({f"points on picture {i}": c for i, c in enumerate(clouds, 1)})
    n = len(clouds[0]) if len(clouds) else 0
    if len(clouds) < 2 or n < 2:
        raise KitError(
            f"neighbours_kept: {n} points on {len(clouds)} t-SNE pictures; there is nothing to "
            "compare with fewer than two of each."
        )
    k = min(NEIGHBOURS, n - 1)
    beside = np.zeros((len(clouds), n, n), bool)
    for near, points in zip(beside, clouds, strict=True):
        np.put_along_axis(near, _nearest(points, k), True, axis=1)
    pairs = [(i, j) for i in range(len(clouds)) for j in range(i)]
    shares = [(beside[i] & beside[j]).sum(axis=1) / k for i, j in pairs]
    return np.mean(shares, axis=0), k / (n - 1)


def _nearest(points: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other pictures of each, nearest first, int64 (n, k)."""
    distance = cdist(points, points)
    np.fill_diagonal(distance, -1)  # a picture stands first in its own list, and is left out
    return np.argsort(distance, axis=1, kind="stable")[:, 1 : k + 1]


def _require_same_length(parts: Mapping[str, Sized]) -> None:
    if len({len(part) for part in parts.values()}) > 1:
        counted = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
        raise KitError(f"There are {counted}; give one of each for every picture.")
