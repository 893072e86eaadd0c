"""Train a Keras model, the student's own included, and say how it went."""

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.data.augment import augmented_views
from xray_helpers.errors import KitError
from xray_helpers.models.describe import check_compiled
from xray_helpers.models.graph import is_graph
from xray_helpers.models.output import output_meaning
from xray_helpers.training.batches import targets_for, training_batches, training_order
from xray_helpers.training.boundary import split_model, whole_model
from xray_helpers.training.device import device_facts
from xray_helpers.training.features import BATCH, frozen_outputs
from xray_helpers.training.metrics import check_metrics, training_metrics
from xray_helpers.training.schedule import first_rate_kept, schedule_callbacks
from xray_helpers.training.timing import time_uncached
from xray_helpers.training.trust import trusted_split
from xray_helpers.training.watch import Watch


@dataclass
class Training:
    """What came out of a training.

    Attributes:
        model: the trained model, with the weights of its best epoch.
        history: a row an epoch: epoch (from 1), loss, accuracy, val_loss, val_accuracy, the
            metrics that were asked for (precision, val_precision, …; NaN where not defined),
            learning_rate (of the epoch's first step), seconds. Training loss and accuracy are
            means over the epoch's steps, dropout on.
        best_epoch: the epoch, from 1, with the lowest validation loss.
        batch_size, steps_per_epoch: pictures a step, steps an epoch.
        augment_views, patience, schedule: as they were asked for.
        train, validation: {"loss", "accuracy", "n"} of the trained model, dropout off.
        seconds: features, first_epoch, median_epoch, median_step, uncached_epoch, uncached_step
            (None where not measured), total (without the uncached timing).
        cached: whether the frozen part was computed only once.
        reason: why not, "" otherwise.
        environment: gpus, threads, device.
    """

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int
    batch_size: int
    steps_per_epoch: int
    augment_views: int
    patience: int | None
    schedule: str
    train: dict[str, float]
    validation: dict[str, float]
    seconds: dict[str, float | None]
    cached: bool
    reason: str
    environment: dict[str, Any] = field(default_factory=device_facts)

    def summary(self) -> dict[str, Any]:
        """The `training` section of `run.json`."""
        return {
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "batch_size": self.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "augment_views": self.augment_views,
            "patience": self.patience,
            "schedule": self.schedule,
            "train": self.train,
            "validation": self.validation,
            "seconds": self.seconds,
            "device": self.environment["device"],
            "cached": self.cached,
            "not_cached_because": self.reason or None,
        }

    def save_model(self, path: Path) -> None:
        """Save the model without its optimizer's state, whole or not at all.

        Raises:
            KitError: the disk is full, the folder cannot be written, or a layer cannot be saved.
        """
        model = self.model
        if is_graph(model):
            # A model on the same layers that was never compiled has no optimizer to save.
            (pictures,) = model.inputs
            model = keras.Model(pictures, model.outputs, name=model.name)
        part = path.with_name(f".{secrets.token_hex(4)}.part.keras")
        try:
            model.save(part)
            part.replace(path)
        except OSError as error:
            raise KitError(
                f"The model cannot be saved to {path} ({error.strerror or error}); free some "
                "space, or set save_model = False."
            ) from error
        except NotImplementedError as error:
            raise KitError(
                "The model cannot be saved, because a layer class of your own has no get_config; "
                "give it one (keras.io, 'custom layers'), or set save_model = False."
            ) from error
        finally:
            part.unlink(missing_ok=True)


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
        timed_epochs: so many epochs through the whole model are timed afterwards.
        seed: seed of the order of the pictures, of augmentation and of dropout.

    Raises:
        KitError: the model is not compiled or does not fit the data; a schedule or a metric that
            this model cannot have.
    """
    _check(model, data)
    check_metrics(metrics, len(data.classes))
    rates = schedule_callbacks(schedule, model.optimizer, epochs)
    started = time.perf_counter()
    pictures, labels = data.split("train")
    split = trusted_split(model, pictures) if cache else split_model(model)
    use_cache = cache and split.frozen is not None
    val_pictures, val_labels = data.split("validation")
    count = len(pictures)
    views = augmented_views(pictures, augment_views, seed) if augment_views else pictures
    if use_cache:
        head = split.head
        inputs = frozen_outputs(split.frozen, views, progress="Frozen features, training")
        val_inputs = frozen_outputs(split.frozen, val_pictures, progress="… validation")
    else:
        head = whole_model(model, pictures.shape[1:])
        inputs, val_inputs = [views], [val_pictures]
    features_seconds = time.perf_counter() - started

    units, classes = head.output_shape[-1], len(data.classes)
    targets = np.tile(targets_for(model, units, labels, classes), (max(augment_views, 1), 1))
    val_targets = targets_for(model, units, val_labels, classes)
    # The table is sorted by class: with few validation steps, they shall see all classes.
    val_order = training_order(len(val_labels), 0, 1, seed)
    head.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        metrics=training_metrics(metrics, output_meaning(model), units),
    )
    steps = steps_per_epoch or math.ceil(count / batch_size)
    # With fewer or more steps an epoch than pictures, the stream simply runs on.
    passes = math.ceil(epochs * steps / math.ceil(count / batch_size))
    order = training_order(count, augment_views, passes, seed)
    watch = Watch(epochs, metrics)
    keras.utils.set_random_seed(seed)
    with first_rate_kept(model.optimizer):
        head.fit(
            training_batches(inputs, targets, order, batch_size),
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=training_batches(val_inputs, val_targets, val_order, batch_size),
            validation_steps=validation_steps,
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
    best_epoch = 1 + int(np.nanargmin(history["val_loss"].to_numpy()))
    every = np.arange(count)[None]
    seconds = {
        "features": features_seconds,
        "first_epoch": float(history["seconds"].iloc[0]),
        "median_epoch": float(history["seconds"].median()),
        "median_step": float(np.median(watch.steps)),
        "uncached_epoch": None,
        "uncached_step": None,
        "total": time.perf_counter() - started,
    }
    result = Training(
        model=model,
        history=history,
        best_epoch=best_epoch,
        batch_size=batch_size,
        steps_per_epoch=steps,
        augment_views=augment_views,
        patience=patience,
        schedule=schedule,
        train=_scores(head, training_batches(inputs, targets, every, BATCH), count),
        validation=_scores(
            head, training_batches(val_inputs, val_targets, val_order, BATCH), len(val_targets)
        ),
        seconds=seconds,
        cached=use_cache,
        reason="" if use_cache else (split.reason or "cache = False"),
    )
    if timed_epochs:
        times = time_uncached(model, pictures, targets[:count], batch_size, timed_epochs, seed)
        seconds.update({name: times[name] for name in ("uncached_epoch", "uncached_step")})
    return result


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


def _scores(model: keras.Model, batches: Any, n: int) -> dict[str, float]:
    scores = model.evaluate(batches, verbose=0, return_dict=True)
    return {"loss": float(scores["loss"]), "accuracy": float(scores["accuracy"]), "n": n}
