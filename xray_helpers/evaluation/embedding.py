"""Features of a layer, and the same in two dimensions: t-SNE and PCA."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from xray_helpers.data import Dataset
from xray_helpers.data.stages import some_pictures
from xray_helpers.errors import KitError
from xray_helpers.evaluation.cut import values_at
from xray_helpers.models.graph import trace
from xray_helpers.training.boundary import outputs_of, split_model

MOST_PICTURES = 2_000
"""Of more pictures, so many are taken: t-SNE of 100,000 takes hours, and the scores of neighbours
need a table of each picture with each."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a layer says about pictures, with what is known of them: place i is the same picture.

    Attributes:
        values: float32 (n, features).
        labels: class names, str (n,).
        patients: their patients, str (n,).
        rows: their rows in the data's table, int64 (n,).
        test: which are test pictures, bool (n,).
        note: of how many pictures these are some, a sentence; "" where they are all.
    """

    values: np.ndarray
    labels: np.ndarray
    patients: np.ndarray
    rows: np.ndarray
    test: np.ndarray
    note: str = ""


def split_features(
    model: keras.Model,
    data: Dataset,
    split: str | Sequence[str] = "train",
    layer: str = "feature_dense",
    most: int = MOST_PICTURES,
    seed: int = 42,
) -> Features:
    """`embed` of a split's pictures, with their labels and patients from the same rows.

    Taking them together is what keeps a figure from showing one picture's label at another's
    point.

    Args:
        model: any functional or sequential Keras model.
        data: the pictures.
        split: "train", "validation" or "test", or several, which are put one behind the other.
        layer: as for `embed`.
        most: of more pictures, about so many are drawn by chance, in the shares of the splits and
            of the classes.
        seed: of that draw.

    Raises:
        KitError: the model has no such layer, or its layers cannot be seen.
    """
    splits = [split] if isinstance(split, str) else list(split)
    parts = {name: data.rows(name) for name in splits}
    there, note = sum(map(len, parts.values())), ""
    if there > most:
        wanted = {name: round(most * len(rows) / there) for name, rows in parts.items()}
        some = some_pictures(data, wanted, seed)
        parts = {name: some.rows(name) for name in splits}
        taken = sum(map(len, parts.values()))
        note = f"{taken:,} of these {there:,} pictures, drawn by chance: all take too long."
    # One split at a time: those that the model was trained and scored on are in the cache.
    values = [embed(model, data.pictures[rows], layer) for rows in parts.values() if len(rows)]
    rows = np.concatenate(list(parts.values()))
    if not values:
        raise KitError(f"There is no picture in {' and '.join(splits)}; name another split.")
    table = data.table.iloc[rows]
    return Features(
        np.concatenate(values),
        table["label"].to_numpy(str),
        table["patient"].to_numpy(str),
        rows,
        (table["split"] == "test").to_numpy(bool),
        note,
    )


def embed(model: keras.Model, pictures: np.ndarray, layer: str = "feature_dense") -> np.ndarray:
    """The output of a layer for each picture, flattened: (n, features) float32.

    Args:
        model: any functional or sequential Keras model.
        pictures: (n, size, size, 3), RGB 0 to 255.
        layer: its name; `backbone/layer` for one inside a nested model.

    Raises:
        KitError: the model has no such layer, or its layers cannot be seen.
    """
    split = split_model(model)
    graph = split.graph or trace(model)
    outputs = outputs_of([graph.find(layer)])[:1]
    (features,) = values_at(graph, split, outputs, pictures, layer)
    return np.asarray(features, np.float32).reshape(len(pictures), -1)


def standard(features: np.ndarray, most: int = 50) -> np.ndarray:
    """Features of equal spread, then their `most` principal components: what t-SNE starts from.

    float64 (n, min(most, n, features)).
    """
    scaled = StandardScaler().fit_transform(np.asarray(features, np.float64))
    most = min(most, *scaled.shape)
    # Without any spread the share that each component explains is 0 / 0.
    with np.errstate(invalid="ignore"):
        return PCA(most, random_state=0).fit_transform(scaled)


def tsne(features: np.ndarray, perplexity: float = 30.0, seed: int = 42) -> np.ndarray:
    """t-SNE of features (n, d): (n, 2) float64, row i is picture i.

    Each feature is scaled to unit spread and the first 50 principal components are taken first,
    as van der Maaten and Hinton (2008) advise; the points start from the first two (Kobak and
    Berens 2019: large-scale order is kept better so). Perplexity is lowered to (n - 1) / 3 where
    there are too few pictures, see `fitting_perplexity`. Where all pictures have the same
    features, as behind a layer that starts from zeros, all lie at the origin.
    """
    return _tsne(standard(features), perplexity, seed, "pca")


def tsne_seeds(
    features: np.ndarray, perplexity: float = 30.0, seeds: Sequence[int] = (0, 1, 2, 3)
) -> list[np.ndarray]:
    """The same t-SNE from several random starts: a cloud (n, 2) for each seed.

    `tsne` starts from principal components, where the seed changes next to nothing and hides how
    much of the picture is chance. Here the points start anywhere. What all clouds show is in the
    features; what only one shows is not. `neighbours_kept` puts a number to it.
    """
    points = standard(features)
    return [_tsne(points, perplexity, seed, "random") for seed in seeds]


def _tsne(points: np.ndarray, perplexity: float, seed: int, start: str) -> np.ndarray:
    perplexity = fitting_perplexity(perplexity, len(points))
    if not points.any():  # scikit-learn's t-SNE would take the whole process down
        return np.zeros((len(points), 2))
    return TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(points)


def fitting_perplexity(perplexity: float, pictures: int) -> float:
    """The perplexity, at most (pictures - 1) / 3.

    Raises:
        KitError: fewer than 4 pictures.
    """
    if pictures < 4:
        raise KitError(f"t-SNE needs 4 pictures or more, there are {pictures}.")
    return min(perplexity, (pictures - 1) / 3)


def pca(features: np.ndarray) -> tuple[np.ndarray, float]:
    """First two principal components of scaled features, (n, 2), and their share of variance.

    The share is NaN where all pictures have the same features.
    """
    scaled = StandardScaler().fit_transform(np.asarray(features, np.float64))
    model = PCA(2, random_state=0)
    with np.errstate(invalid="ignore"):
        points = model.fit_transform(scaled)
    return points, float(model.explained_variance_ratio_.sum())
