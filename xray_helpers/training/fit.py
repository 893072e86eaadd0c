"""Train a Keras model, the student's own included, and say how it went."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from xray_helpers.data import Dataset
from xray_helpers.data.augment import augmented_views
from xray_helpers.errors import KitError
from xray_helpers.models.describe import check_compiled
from xray_helpers.models.graph import is_graph
from xray_helpers.models.output import output_meaning
from xray_helpers.models.precision import precision_of
from xray_helpers.training.batches import (
    as_tensors,
    fixed_batches,
    some_rows,
    targets_for,
    training_batches,
    training_order,
)
from xray_helpers.training.boundary import split_model, whole_model
from xray_helpers.training.distribute import device_names, on_devices
from xray_helpers.training.features import frozen_outputs
from xray_helpers.training.metrics import check_metrics, training_metrics
from xray_helpers.training.result import Training
from xray_helpers.training.schedule import first_rate_kept, schedule_callbacks
from xray_helpers.training.timing import time_uncached
from xray_helpers.training.trust import trusted_split
from xray_helpers.training.watch import Watch


def train(
    model: keras.Model,
    data: Dataset,
    *,
    epochs: int = 40,
    batch_size: int = 10,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    patience: int | None = None,
    schedule: str = "constant",
    metrics: Sequence[str] = (),
    class_weight: bool = False,
    augment_views: int = 0,
    cache: bool = True,
    xla: bool = False,
    devices: int = 1,
    timed_epochs: int = 0,
    seed: int = 42,
) -> Training:
    """Train a compiled model on the training pictures; keep the weights of the best epoch.

    What the model's frozen layers say about a picture is computed once, unless `cache` is False.
    Best is the epoch with the lowest validation loss; the test pictures are not looked at.

    Args:
        model: any compiled Keras model on (n, size, size, 3) RGB 0 to 255. With two classes its
            output is (n, 1), the probability of the second class (or its logit, or a margin: see
            `models/output.py`), or (n, 2); else (n, classes). One output gets the labels 0 and 1;
            Keras's own hinge losses make -1 and 1 of them.
        data: the pictures.
        epochs: passes over the training pictures, at most.
        batch_size: pictures a step.
        steps_per_epoch: steps that count as an epoch; None for all training pictures.
        validation_steps: batches of each validation; None for all validation pictures.
        patience: epochs without a lower validation loss before training stops; None: never.
        schedule: how the learning rate changes, see `training/schedule.py`; afterwards the
            optimizer has its first rate back.
        metrics: "precision", "recall": those of the second class of two, kept for every epoch.
        class_weight: weigh each class by the inverse of its share of training pictures.
        augment_views: augmented views a training picture, which the epochs take in turn; 0: none.
        cache: compute the frozen part once.
        xla: let XLA compile what is trained. It draws other dropout masks, so the numbers are
            those of another seed.
        devices: GPUs that share every batch, see `training/distribute.py`: the same numbers as
            with one but for rounding, and other dropout masks.
        timed_epochs: so many epochs through the whole model are timed afterwards.
        seed: seed of the order of the pictures, of augmentation and of dropout.

    Raises:
        KitError: the model is not compiled or does not fit the data; a schedule or a metric that
            this model cannot have; there are not so many devices, or it cannot be copied to them.
    """
    _check(model, data)
    check_metrics(metrics, len(data.classes))
    names = device_names(devices, xla=xla)
    rates = schedule_callbacks(schedule, model.optimizer, epochs)
    started = time.perf_counter()
    pictures, labels = data.split("train")
    val_labels = data.split("validation")[1]
    count, classes = len(pictures), len(data.classes)
    views = augmented_views(pictures, augment_views, seed) if augment_views else pictures
    part = _trained_part(model, data, views, cache)
    head, inputs, val_inputs = part.head, part.inputs, part.val_inputs
    features_seconds = time.perf_counter() - started

    units = head.output_shape[-1]
    targets = np.tile(targets_for(model, units, labels, classes), (max(augment_views, 1), 1))
    val_targets = targets_for(model, units, val_labels, classes)
    steps = steps_per_epoch or math.ceil(count / batch_size)
    compiled = {
        "loss": model.loss,
        "metrics": training_metrics(metrics, output_meaning(model), units),
        "steps_per_execution": steps if part.cached and _is_light(head) else 1,
        "jit_compile": xla,
    }
    head.compile(optimizer=model.optimizer, **compiled)
    # With fewer or more steps an epoch than pictures, the stream simply runs on.
    passes = math.ceil(epochs * steps / math.ceil(count / batch_size))
    order = training_order(count, augment_views, passes, seed)
    watch = Watch(epochs, metrics)
    keras.utils.set_random_seed(seed)
    with first_rate_kept(model.optimizer), on_devices(head, names, compiled) as trained:
        trained.fit(
            training_batches(inputs, targets, order, batch_size),
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=_validated(val_inputs, val_targets, batch_size, validation_steps, seed),
            class_weight=_class_weights(labels) if class_weight else None,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    "val_loss", patience=patience or epochs, restore_best_weights=True
                ),
                keras.callbacks.TerminateOnNaN(),
                *rates,
                watch,  # behind what sets the rate, which it notes
            ],
            shuffle=False,  # the stream has its order already
            verbose=0,
        )
    history = watch.history()
    if augment_views:  # the scores are those of the pictures themselves
        inputs = some_rows(inputs, np.arange(count))
    result = Training(
        model=model,
        history=history,
        best_epoch=1 + int(np.nanargmin(history["val_loss"].to_numpy())),
        batch_size=batch_size,
        steps_per_epoch=steps,
        augment_views=augment_views,
        patience=patience,
        schedule=schedule,
        devices=names,
        train=_scores(head, inputs, targets[:count], batch_size),
        validation=_scores(head, val_inputs, val_targets, batch_size),
        seconds={
            "features": features_seconds,
            **watch.summary(),
            "uncached_epoch": None,
            "uncached_step": None,
            "total": time.perf_counter() - started,
        },
        cached=part.cached,
        reason=part.reason,
        xla=bool(head.jit_compile),  # Keras may refuse
        precision=precision_of(model),
    )
    if timed_epochs:
        times = time_uncached(
            model, pictures, targets[:count], batch_size, timed_epochs, seed, xla, devices=names
        )
        result.seconds.update({name: times[name] for name in ("uncached_epoch", "uncached_step")})
    return result


@dataclass(frozen=True)
class _Part:
    """What is trained (`head`), on what, and whether and why not its inputs were computed once."""

    head: keras.Model
    inputs: list[tf.Tensor]
    val_inputs: list[tf.Tensor]
    cached: bool
    reason: str


def _trained_part(model: keras.Model, data: Dataset, views: np.ndarray, cache: bool) -> _Part:
    """The part of `model` that is trained, with its inputs for `views` and for validation."""
    pictures, _ = data.split("train")
    val_pictures, _ = data.split("validation")
    split = trusted_split(model, pictures) if cache else split_model(model)
    if not cache or split.frozen is None:
        head = whole_model(model, pictures.shape[1:])
        reason = split.reason or "cache = False"
        return _Part(head, as_tensors([views]), as_tensors([val_pictures]), False, reason)
    inputs = frozen_outputs(split.frozen, views, progress="Frozen features, training")
    val_inputs = frozen_outputs(split.frozen, val_pictures, progress="… validation")
    return _Part(split.head, as_tensors(inputs), as_tensors(val_inputs), True, "")


def _is_light(head: keras.Model) -> bool:
    """Whether steps are so short that it pays to run all of an epoch in one call.

    They are where there are dense layers, and no convolutions. Each call costs Keras a
    millisecond, and lasts until its end when somebody interrupts it.
    """
    return all(len(weight.shape) <= 2 for weight in head.weights)


def _validated(
    inputs: list[tf.Tensor], targets: np.ndarray, batch_size: int, steps: int | None, seed: int
) -> tf.data.Dataset:
    """The pictures of each validation: all, or `steps` batches of them."""
    if steps:
        # The table is sorted by class: a few batches shall see all classes.
        some = training_order(len(targets), 0, 1, seed)[0, : steps * batch_size]
        inputs, targets = some_rows(inputs, some), targets[some]
    return fixed_batches(inputs, targets, batch_size)


def _check(model: keras.Model, data: Dataset) -> None:
    check_compiled(model)
    wanted = tuple(data.pictures.shape[1:])
    if not model.built:  # a model without keras.Input gets its shapes when it is first called
        model(data.pictures[:1].astype(np.float32))
    shape = tuple(model.input_shape[1:]) if is_graph(model) else wanted
    if len(shape) != 3 or any(s not in (None, w) for s, w in zip(shape, wanted, strict=True)):
        raise KitError(
            f"The model takes pictures of shape {shape}, the data have {wanted}; build it with "
            f"keras.Input({wanted}), or change image_size."
        )


def _class_weights(labels: np.ndarray) -> dict[int, float]:
    """Weight of each class: total / (classes * pictures of the class), as scikit-learn's."""
    counts = np.bincount(labels)
    return {i: len(labels) / (len(counts) * n) for i, n in enumerate(counts)}


def _scores(
    model: keras.Model, inputs: list[tf.Tensor], targets: np.ndarray, batch_size: int
) -> dict[str, float]:
    batches = fixed_batches(inputs, targets, batch_size)
    scores = model.evaluate(batches, verbose=0, return_dict=True)
    return {"loss": float(scores["loss"]), "accuracy": float(scores["accuracy"]), "n": len(targets)}
