"""The order in which pictures are trained on, and the targets a loss wants.

What fits is in TensorFlow's memory before the first step. What does not (`FileRows`: pictures or
features in a file) stays there, and each batch reads its rows, in the same order.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from xray_helpers.errors import KitError
from xray_helpers.file_rows import FileRows, left_in_file
from xray_helpers.models.output import loss_name

Rows = tf.Tensor | FileRows


def training_order(pictures: int, views: int, epochs: int, seed: int) -> np.ndarray:
    """Which row each place of each epoch takes: (epochs, pictures) int64.

    Every epoch has each picture once, in an order of its own. With K augmented views (rows
    v * pictures + i, v from 0 to K - 1) the epochs take the views in turn.
    """
    rng = np.random.default_rng(seed)
    order = np.stack([rng.permutation(pictures) for _ in range(epochs)])
    turn = np.arange(epochs) % max(views, 1)
    return order + turn[:, None] * pictures


def as_tensors(arrays: Sequence[np.ndarray | FileRows]) -> list[Rows]:
    """Arrays copied once into TensorFlow's memory: that of the CPU, where batches are made.

    Rows that lie in a file stay there, those of a mapped file of the cache too where they take
    more than `file_rows.MOST_IN_MEMORY` bytes.
    """
    with tf.device("CPU:0"):
        return [
            array if isinstance(array, FileRows) else tf.constant(np.asarray(array))
            for array in map(left_in_file, arrays)
        ]


def some_rows(inputs: Sequence[Rows], rows: np.ndarray) -> list[Rows]:
    """Some rows of what `as_tensors` gave."""
    with tf.device("CPU:0"):
        return [
            part.some(rows) if isinstance(part, FileRows) else tf.gather(part, rows)
            for part in inputs
        ]


def training_batches(
    inputs: Sequence[np.ndarray | Rows],
    targets: np.ndarray,
    order: np.ndarray,
    batch_size: int,
) -> tf.data.Dataset:
    """Batches of all epochs, one after the other; the last of an epoch may be smaller.

    Args:
        inputs: (rows, …), one for each input of the model; what `as_tensors` gave is not copied.
        targets: (rows, …) float32.
        order: what `training_order` gives.
        batch_size: pictures a step.
    """
    # Pictures stay 8-bit until a batch needs them: a quarter of the memory.
    parts = _tensors(inputs)
    (answers,) = as_tensors([targets])

    def take(rows: tf.Tensor) -> tuple:
        x = tuple(tf.cast(_take(part, rows), tf.float32) for part in parts)
        return _one_or_all(x), tf.gather(answers, rows)

    epochs = tf.data.Dataset.from_tensor_slices(order)
    rows = epochs.flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(epoch).batch(batch_size)
    )
    batches = len(order) * math.ceil(order.shape[1] / batch_size)
    rows = rows.apply(tf.data.experimental.assert_cardinality(batches))
    return _untuned(rows.map(take, num_parallel_calls=2).prefetch(4))


def fixed_batches(
    inputs: Sequence[np.ndarray | Rows], targets: np.ndarray, batch_size: int
) -> tf.data.Dataset:
    """Batches of all rows once, in their order: for validation.

    Keras begins them anew after every epoch. That takes a twentieth of the time that
    `training_batches` would need, whose functions TensorFlow sets up each time.
    """
    parts = _tensors(inputs)
    if any(isinstance(part, FileRows) for part in parts):
        (answers,) = as_tensors([targets])
        rows = tf.data.Dataset.range(len(targets)).batch(batch_size)
        batches = rows.map(
            lambda some: (_one_or_all([_take(part, some) for part in parts]), _take(answers, some)),
            num_parallel_calls=2,
        ).prefetch(4)
    else:
        slices = tf.data.Dataset.from_tensor_slices((_one_or_all(parts), targets))
        batches = slices.batch(batch_size)
    if any(part.dtype != tf.float32 for part in parts):  # pictures, and features of 16 bits
        batches = batches.map(_as_float32)
    return _untuned(batches)


def _untuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Without tf.data's tuning: there is nothing to tune, and to end it takes 10 ms each time."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _take(part: Rows, rows: tf.Tensor) -> tf.Tensor:
    """Rows of one input, of its own type."""
    if not isinstance(part, FileRows):
        return tf.gather(part, rows)
    taken = tf.numpy_function(lambda some: part.some(some).read(), [rows], part.dtype)
    return tf.ensure_shape(taken, (None, *part.shape[1:]))


def _tensors(inputs: Sequence[np.ndarray | Rows]) -> list[Rows]:
    return list(inputs) if tf.is_tensor(inputs[0]) else as_tensors(inputs)


def _one_or_all(parts: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, ...]:
    """What a model takes: its one input, or a tuple of several."""
    return tuple(parts) if len(parts) > 1 else parts[0]


def _as_float32(x: tf.Tensor | tuple, y: tf.Tensor) -> tuple:
    return keras.tree.map_structure(lambda t: tf.cast(t, tf.float32), x), y


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
