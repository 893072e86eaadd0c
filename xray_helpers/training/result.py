"""What came out of a training."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.models.graph import is_graph
from xray_helpers.training.device import device_facts


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
        devices: those that shared every batch, as TensorFlow calls them: ["GPU:0"].
        train, validation: {"loss", "accuracy", "n"} of the trained model, dropout off.
        seconds: features, first_epoch, median_epoch, median_step, uncached_epoch, uncached_step
            (None where not measured), total (without the uncached timing).
        cached: whether the frozen part was computed only once.
        reason: why not, "" otherwise.
        xla: whether XLA compiled what was trained.
        precision: what the model computes in, see `models.precision.precision_of`.
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
    devices: list[str]
    train: dict[str, float]
    validation: dict[str, float]
    seconds: dict[str, float | None]
    cached: bool
    reason: str
    xla: bool = False
    precision: str = "float32"
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
            "devices": self.devices,
            "train": self.train,
            "validation": self.validation,
            "seconds": self.seconds,
            "device": self.environment["device"],
            "xla": self.xla,
            "precision": self.precision,
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
