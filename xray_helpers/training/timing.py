"""How long training takes through the whole model, on this machine."""

import math
from collections.abc import Sequence

import keras
import numpy as np

from xray_helpers.training.batches import training_batches, training_order
from xray_helpers.training.boundary import whole_model
from xray_helpers.training.distribute import on_devices
from xray_helpers.training.watch import StepTimer


def time_uncached(
    model: keras.Model,
    pictures: np.ndarray,
    targets: np.ndarray,
    batch_size: int,
    epochs: int,
    seed: int,
    xla: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    devices: Sequence[str] = (),
) -> dict[str, float]:
    """Train for a few epochs through all layers, time it, and put the weights back.

    What a cached epoch takes says nothing about a backbone; this does. Steps for warming up
    (compiling, first memory), one of each batch size, are not counted, nor is validation;
    `callbacks` do not see them. Several `devices` (`distribute.device_names`) share each batch.

    Returns:
        `uncached_epoch` and `uncached_step`: medians, in seconds; `uncached_total`: all epochs.
    """
    weights = model.get_weights()
    probe = whole_model(model, pictures.shape[1:])
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(model.optimizer))
    compiled = {"loss": model.loss, "jit_compile": xla}
    probe.compile(optimizer=optimizer, **compiled)
    steps = math.ceil(len(pictures) / batch_size)
    order = training_order(len(pictures), 0, epochs + 1, seed)
    timer = StepTimer()
    try:
        # A full batch and, where there is one, an epoch's smaller last one.
        few = order[:1, : batch_size + len(pictures) % batch_size]
        first = training_batches([pictures], targets, few, batch_size)
        batches = training_batches([pictures], targets, order[1:], batch_size)
        with on_devices(probe, devices, compiled) as timed:
            timed.fit(first, shuffle=False, verbose=0)
            timed.fit(
                batches,
                epochs=epochs,
                steps_per_epoch=steps,
                callbacks=[timer, *callbacks],
                shuffle=False,
                verbose=0,
            )
    finally:
        model.set_weights(weights)
    return {
        "uncached_epoch": float(np.median(timer.epochs)),
        "uncached_step": float(np.median(timer.steps)),
        "uncached_total": float(np.sum(timer.epochs)),
    }
