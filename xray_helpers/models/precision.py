"""What a model computes in: Keras's dtype policies, for a backbone alone.

| precision | multiplications of the backbone | quicker on |
|---|---|---|
| float32 | 32 bits | |
| mixed_bfloat16 | 16 bits: float32's range, 2 to 3 significant digits | CPUs with AMX, newer GPUs |
| mixed_float16 | 16 bits: 3 to 4 significant digits, up to 65,504 | GPUs; slower on CPUs |

Weights are float32 in all three. The preprocessing and the head stay float32: they take little
time, and the loss and the optimizer's small steps need the digits. What the features then differ
by is what a comparison has to say, so the record and the run's name bear the precision.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def precision_policy(name: str) -> Iterator[None]:
    """Layers that are made meanwhile have the dtype policy `name`; Keras's own is put back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def precision_of(model: keras.Model) -> str:
    """The dtype policies other than float32 of a model's layers, joined by "+"; else "float32"."""
    return "+".join(sorted(set(_policies(model)) - {"float32"})) or "float32"


def _policies(model: keras.Model) -> Iterator[str]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _policies(layer)
        else:
            yield layer.dtype_policy.name
