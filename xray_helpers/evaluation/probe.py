"""A probe: the plainest classifier on a network's features (Alain and Bengio 2017, ICLR).

It has nothing to tune and takes a moment, so it can be trained on every fold, asked every question,
and asked again with shuffled labels thousands of times.
"""

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.models.build import build_model
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs

FOLDS = 5


def pooled_backbone(data: Dataset, backbone: str, weights: Weights, seed: int = 42) -> keras.Model:
    """A frozen backbone: pictures, RGB 0 to 255 -> its last map averaged, (n, channels) float32.

    The preprocessing is part of it. Random weights are calibrated on the training pictures.

    Args:
        data: the pictures, of any task.
        backbone: a name in `BACKBONES`, one with learnt weights.
        weights: what `find_weights` gave.
        seed: of random weights.
    """
    two = len(data.classes) == 2
    last = "dense1 sigmoid" if two else f"dense{len(data.classes)} softmax"
    loss = "binary_crossentropy" if two else "categorical_crossentropy"
    recipe = Recipe("probe", data.task, backbone, f"gap > {last}", loss=loss)
    size = data.pictures.shape[1]
    pictures, _ = data.split("train")
    model = build_model(
        recipe, data.classes, weights, image_size=size, calibrate_on=pictures, seed=seed
    )
    return split_model(model).frozen


def pooled_features(backbone: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """What `pooled_backbone` says of pictures (n, size, size, 3): (n, channels), from the cache."""
    return np.asarray(frozen_outputs(backbone, pictures)[0], np.float64)


def new_probe(features: int) -> Pipeline:
    """A probe that is not fitted yet: features of equal spread, then ridge classification.

    Least squares with a penalty, one target a class; the largest score decides. The penalty grows
    with the number of features, so that it weighs as much as the features of one picture do
    (`alpha` is their number). It is fixed beforehand: to choose it would take another split.
    """
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=float(features)))


def one_row_a_patient(
    features: np.ndarray, labels: np.ndarray, patients: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean features and the most frequent label of each patient, (patients, d), (patients,).

    Pictures of one patient are no independent witnesses. And where one class has more pictures a
    patient than another, shuffling labels among patients would change the classes' shares, which
    alone makes true labels look better than shuffled ones.
    """
    names, member = np.unique(np.asarray(patients), return_inverse=True)
    means = np.zeros((len(names), np.shape(features)[1]))
    np.add.at(means, member, features)
    means /= np.bincount(member)[:, None]
    by_patient = pd.Series(np.asarray(labels)).groupby(member)
    return means, by_patient.agg(lambda own: own.mode().iloc[0]).to_numpy()


def _folds(rows: int, folds: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers to train on and to hold out, fold by fold.

    They do not look at the labels, so that shuffled labels meet the same folds.
    """
    if rows < 2:
        raise KitError(f"A probe needs 2 patients or more, there are {rows}.")
    return KFold(min(folds, rows), shuffle=True, random_state=seed).split(np.arange(rows))


def held_out(
    features: np.ndarray, labels: np.ndarray, folds: int = FOLDS, seed: int = 42
) -> np.ndarray:
    """What probes say of rows that they were not trained on.

    Args:
        features: (n, d), a row a patient, see `one_row_a_patient`.
        labels: (n,), numbers or text.
        folds: each is told by a probe that was trained on all others.
        seed: of the folds.

    Returns:
        The label told for each row, (n,).

    Raises:
        KitError: fewer than 2 rows.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    told = labels.copy()
    for train, held in _folds(len(labels), folds, seed):
        if len(np.unique(labels[train])) == 1:  # a classifier needs two
            told[held] = labels[train][0]
        else:
            probe = new_probe(features.shape[1]).fit(features[train], labels[train])
            told[held] = probe.predict(features[held])
    return told


def shuffled_scores(
    features: np.ndarray, labels: np.ndarray, times: int, folds: int = FOLDS, seed: int = 42
) -> np.ndarray:
    """Accuracies of `held_out` when the labels mean nothing, (times,) float64.

    A row is a patient, and the labels are dealt anew among them (Ojala and Garriga 2010, J. Mach.
    Learn. Res. 11:1833). A probe's scores are sums of its targets with weights that depend on the
    features alone: these are computed once a fold, and no probe is fitted again.

    Raises:
        KitError: fewer than 2 rows.
    """
    features = np.asarray(features, np.float64)
    _, numbers = np.unique(np.asarray(labels), return_inverse=True)
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(numbers, (times, 1)), axis=1)  # (times, n)
    hits = np.zeros(times)
    classes = np.arange(numbers.max() + 1)
    for train, held in _folds(len(numbers), folds, seed):
        weights = _ridge_weights(features[train], features[held])
        scores = [_class_scores(shuffled[:, train] == c, weights) for c in classes]
        hits += (np.argmax(scores, axis=0) == shuffled[:, held]).sum(axis=1)
    return hits / len(numbers)


def _ridge_weights(train: np.ndarray, held: np.ndarray) -> np.ndarray:
    """How much each training target, less the targets' mean, counts for each held-out score.

    (held, train): K_held (K_train + alpha I)^-1 of kernel ridge regression, K = X X^T.
    """
    scaler = StandardScaler().fit(train)
    train, held = scaler.transform(train), scaler.transform(held)
    penalised = train @ train.T + train.shape[1] * np.eye(len(train))
    return np.linalg.solve(penalised, train @ held.T).T


def _class_scores(targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A class's scores (times, held) for its targets (times, train), true where it is the class."""
    mean = targets.mean(axis=1, keepdims=True)
    return mean + (targets - mean) @ weights.T


def probe_network(backbone: keras.Model, pictures: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A network that tells labels: a frozen backbone with a probe fitted to pictures.

    Args:
        backbone: what `pooled_backbone` gave.
        pictures: uint8 (n, size, size, 3).
        labels: class numbers (n,), every class among them.

    Returns:
        As `as_network`; compiled, so that it can be asked everything a trained model can.
    """
    features = pooled_features(backbone, pictures)
    probe = new_probe(features.shape[1]).fit(features, labels)
    network = as_network(backbone, probe)
    two = network.output_shape[-1] == 1
    network.compile(loss="binary_crossentropy" if two else "categorical_crossentropy")
    return network


def as_network(frozen: keras.Model, probe: Pipeline) -> keras.Model:
    """A backbone with a fitted probe as its last layer: pictures -> a share a class.

    The probe's scaling is worked into the weights of the dense layer, so that the network calls
    each picture what the probe calls it, and Grad-CAM can be asked where it looks. The shares are
    no probabilities: a probe is not trained for any.

    Args:
        frozen: pictures -> pooled features (n, d).
        probe: fitted on these features.

    Returns:
        A model with one sigmoid output for two classes, else a softmax.
    """
    scaler, ridge = probe[0], probe[-1]
    # For two classes scikit-learn gives the coefficients as (d,) or (1, d), whichever its release.
    kernel = np.atleast_2d(ridge.coef_).T / scaler.scale_[:, None]
    bias = np.atleast_1d(ridge.intercept_) - scaler.mean_ @ kernel
    units = kernel.shape[1]
    last = keras.layers.Dense(units, activation="sigmoid" if units == 1 else "softmax")
    network = keras.Model(frozen.inputs, last(frozen.outputs[0]), name="probe")
    last.set_weights([kernel.astype("float32"), bias.astype("float32")])
    return network
