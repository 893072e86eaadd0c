"""The order in which pictures are trained on, and the targets a loss wants."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from xray_helpers.errors import KitError
from xray_helpers.models.output import loss_name


def training_order(pictures: int, views: int, epochs: int, seed: int) -> np.ndarray:
    """Which row each place of each epoch takes: (epochs, pictures) int64.

    Every epoch has each picture once, in an order of its own. With K augmented views (rows
    v * pictures + i, v from 0 to K - 1) the epochs take the views in turn.
    """
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(pictures) for _ in range(epochs)])
    turn = np.arange(epochs) % max(views, 1)
    return order + turn[:, None] * pictures


def training_batches(
    inputs: Sequence[np.ndarray], targets: np.ndarray, order: np.ndarray, batch_size: int
) -> tf.data.Dataset:
    """Batches of all epochs, one after the other; the last of an epoch may be smaller.

    Args:
        inputs: arrays (rows, …), one for each input of the model.
        targets: (rows, …) float32.
        order: what `training_order` gives.
        batch_size: pictures a step.
    """
    # Pictures stay 8-bit until a batch needs them: a quarter of the memory.
    arrays = [tf.constant(np.asarray(a)) for a in inputs]
    targets = tf.constant(targets)

    def take(rows: tf.Tensor) -> tuple:
        x = tuple(tf.cast(tf.gather(a, rows), tf.float32) for a in arrays)
        return x if len(x) > 1 else x[0], tf.gather(targets, rows)

    epochs = tf.data.Dataset.from_tensor_slices(order)
    rows = epochs.flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(epoch).batch(batch_size)
    )
    batches = len(order) * math.ceil(order.shape[1] / batch_size)
    rows = rows.apply(tf.data.experimental.assert_cardinality(batches))
    return rows.map(take, num_parallel_calls=2).prefetch(4)


def targets_for(model: keras.Model, units: int, labels: np.ndarray, classes: int) -> np.ndarray:
    """Label numbers in the form that the model's loss wants, float32.

    One output a picture: 0 or 1, (n, 1). A sparse loss: the numbers, (n, 1). Otherwise one-hot,
    (n, classes).

    Args:
        model: compiled.
        units: numbers that the model gives a picture.
        labels: (n,) label numbers.
        classes: how many classes there are.

    Raises:
        KitError: the model's output does not fit the number of classes.
    """
    if units == 1 and classes == 2:
        return labels[:, None].astype(np.float32)
    if units != classes:
        raise KitError(
            f"The model's last layer gives {units} numbers a picture, but the {classes} classes "
            f"need {classes}{' (or 1)' if classes == 2 else ''}; change its number of units."
        )
    if "sparse" in loss_name(model):
        return labels[:, None].astype(np.float32)
    return np.eye(classes, dtype=np.float32)[labels]
