"""What is noted while Keras trains."""

import time
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.progress import progress_bar
from xray_helpers.training.schedule import learning_rate


class StepTimer(keras.callbacks.Callback):
    """Times steps and epochs.

    Attributes:
        steps: seconds of a step, in order; steps that ran as one call count once, as their mean.
        epochs: seconds of each epoch, in order.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.steps: list[float] = []
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the epoch's clock."""
        self.epoch_start = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Start the step's clock; `batch` is the first step of the call."""
        self.first_step, self.step_start = batch, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop the step's clock, and for now the epoch's; `batch` is the last step of the call."""
        self.last_step = time.perf_counter()
        self.steps.append((self.last_step - self.step_start) / (batch - self.first_step + 1))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch's time up to its last step: validation does not count."""
        self.epochs.append(self.last_step - self.epoch_start)


class Watch(StepTimer):
    """Keeps the history too, and shows progress."""

    def __init__(self, epochs: int, metrics: Sequence[str] = ()) -> None:
        """Show a bar of `epochs`; keep `metrics` beside loss and accuracy."""
        super().__init__()
        kept = ("loss", "accuracy", *metrics)
        self.columns = (*kept, *(f"val_{name}" for name in kept))
        self.rows: list[dict[str, float]] = []
        self.bar = progress_bar("Training", epochs, unit="epoch")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the rate of the epoch's first step."""
        super().on_epoch_begin(epoch, logs)
        self.learning_rate = learning_rate(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch and move the bar on."""
        super().on_epoch_end(epoch, logs)
        logs = logs or {}
        row = {name: float(logs.get(name, np.nan)) for name in self.columns}
        self.rows.append(
            {
                "epoch": epoch + 1,
                **row,
                "learning_rate": self.learning_rate,
                "seconds": self.epochs[-1],
            }
        )
        self.bar.set_postfix_str(
            f"loss {row['loss']:.3f}, validation {row['val_loss']:.3f}", refresh=False
        )
        self.bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the bar."""
        self.bar.close()

    def history(self) -> pd.DataFrame:
        """A row an epoch.

        Raises:
            KitError: the loss became infinite or no number before the first epoch ended.
        """
        table = pd.DataFrame(self.rows)
        if table.empty or not np.isfinite(table["val_loss"]).any():
            raise KitError(
                "The loss is no number any more (NaN): the training diverged; use a smaller "
                "learning_rate."
            )
        return table

    def summary(self) -> dict[str, float]:
        """Seconds of the first epoch, of an epoch and of a step (medians)."""
        return {
            "first_epoch": self.epochs[0],
            "median_epoch": float(np.median(self.epochs)),
            "median_step": float(np.median(self.steps)),
        }
