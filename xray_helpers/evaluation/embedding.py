"""Features of a layer in two dimensions, and how well they part the classes before that."""

from typing import Any

import keras
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from xray_helpers.errors import KitError
from xray_helpers.evaluation.metrics import Estimate, wilson
from xray_helpers.models.graph import trace
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs, head_output, model_outputs

NEIGHBOURS = 5


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
    outputs = [t for t in keras.tree.flatten(graph.find(layer).outputs)][:1]
    try:
        if split.frozen is None:
            raise ValueError("nothing is frozen")
        tail = graph.model(split.boundary, outputs)
    except ValueError:  # the layer lies inside the frozen part
        (features,) = model_outputs(graph.model(graph.inputs, outputs), pictures, progress=layer)
    else:
        features = head_output(tail, frozen_outputs(split.frozen, pictures))
    return np.asarray(features, np.float32).reshape(len(pictures), -1)


def _standard(features: np.ndarray, most: int = 50) -> np.ndarray:
    """Features of equal spread, then their `most` principal components: what t-SNE starts from."""
    scaled = StandardScaler().fit_transform(np.asarray(features, np.float64))
    most = min(most, *scaled.shape)
    # Without any spread the share that each component explains is 0 / 0.
    with np.errstate(invalid="ignore"):
        return PCA(most, random_state=0).fit_transform(scaled)


def tsne(features: np.ndarray, perplexity: float = 30.0, seed: int = 42) -> np.ndarray:
    """t-SNE of features (n, d): (n, 2) float64, row i is picture i.

    Each feature is scaled to unit spread and the first 50 principal components are taken first,
    as van der Maaten and Hinton (2008) advise. Perplexity is lowered to (n - 1) / 3 where there
    are too few pictures, see `fitting_perplexity`. Where all pictures have the same features, as
    behind a layer that starts from zeros, all lie at the origin.
    """
    perplexity = fitting_perplexity(perplexity, len(features))
    points = _standard(features)
    if not points.any():  # scikit-learn's t-SNE would take the whole process down
        return np.zeros((len(features), 2))
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)


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


def separation(features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How well the classes part in feature space (not on the picture, where distances mislead).

    Args:
        features: (n, d).
        labels: (n,).

    Returns:
        `silhouette` (-1 to 1; 0: classes overlap; float) and `neighbours` (an `Estimate`: share
        of pictures whose class is the most frequent one among its 5 nearest other pictures).
        Both after scaling and 50 principal components. Several pictures of one patient lie close
        together, so with many of them the interval is too narrow.
    """
    points = _standard(features)
    labels = np.asarray(labels)
    return {
        "silhouette": float(silhouette_score(points, labels)),
        "neighbours": _neighbour_accuracy(points, labels),
    }


def _neighbour_accuracy(points: np.ndarray, labels: np.ndarray) -> Estimate:
    """Leave-one-out accuracy of the nearest neighbours."""
    k = min(NEIGHBOURS, len(points) - 1)
    classes, numbers = np.unique(labels, return_inverse=True)
    near = (
        KNeighborsClassifier(k)
        .fit(points, numbers)
        .kneighbors(return_distance=False)  # without arguments: a point is not its own neighbour
    )
    votes = np.stack([np.bincount(numbers[row], minlength=len(classes)) for row in near])
    # Where two classes have as many neighbours, the nearest one decides.
    votes = votes + 0.5 * np.eye(len(classes))[numbers[near[:, 0]]]
    return wilson(int((votes.argmax(axis=1) == numbers).sum()), len(numbers))
