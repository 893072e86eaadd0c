"""How the learning rate changes from epoch to epoch: Keras's own schedules and callback.

| schedule | rate of epoch e of E (from 0), starting from r |
|---|---|
| constant | r |
| cosine | r (1 + cos(pi e / E)) / 2: half a cosine, 0 after the last epoch (Loshchilov 2017) |
| exponential | r 0.95^e |
| plateau | half as much after 5 epochs without a lower validation loss |
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from xray_helpers.errors import KitError
from xray_helpers.settings.task import SCHEDULES

# Share of the epoch before's: 0.13 of the first rate after 40 epochs, 0.006 after 100.
DECAY = 0.95
PLATEAU_FACTOR = 0.5
# A quarter of the default recipes' patience, so that two or three smaller rates are tried before
# training stops.
PLATEAU_PATIENCE = 5


def schedule_callbacks(
    schedule: str, optimizer: keras.optimizers.Optimizer, epochs: int
) -> list[keras.callbacks.Callback]:
    """The callbacks that set the optimizer's learning rate at each epoch.

    Raises:
        KitError: the schedule is unknown, or the optimizer was built with one of its own.
    """
    if schedule not in SCHEDULES:
        raise KitError(f"schedule={schedule!r} is unknown; it is one of {', '.join(SCHEDULES)}.")
    if schedule == "constant":
        return []
    if not _can_be_set(optimizer):
        raise KitError(
            f"schedule={schedule!r}: the model's optimizer has a learning-rate schedule of its "
            "own; leave schedule='constant', or compile the model with a number as learning_rate."
        )
    rate = learning_rate(optimizer)
    if schedule == "cosine":
        decay = keras.optimizers.schedules.CosineDecay(rate, decay_steps=epochs)
    elif schedule == "exponential":
        decay = keras.optimizers.schedules.ExponentialDecay(rate, decay_steps=1, decay_rate=DECAY)
    else:
        return [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
            )
        ]
    # These count steps; here a step of theirs is an epoch.
    return [keras.callbacks.LearningRateScheduler(lambda epoch, _: float(np.asarray(decay(epoch))))]


@contextmanager
def first_rate_kept(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Give the optimizer its rate back afterwards, so that training on starts with it again."""
    rate = learning_rate(optimizer)
    try:
        yield
    finally:
        if _can_be_set(optimizer):
            optimizer.learning_rate = rate


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The rate of the optimizer's next step."""
    return float(np.asarray(optimizer.learning_rate))


def _can_be_set(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether the rate is a number, which can be set, and no schedule."""
    return isinstance(optimizer.learning_rate, keras.Variable)
