"""One training on several devices at once: each takes a share of every batch.

Every device has the trained layers' weights. It takes its share of a batch through them, the
gradients of all devices are added up, and all make the same step: data-parallel training, by
TensorFlow's `tf.distribute.MirroredStrategy`. Losses, metrics and weights are those of one device
but for rounding, whatever the size of the last batch (`shared_steps`); where a training is
unstable, rounding grows, as it does from one machine to another. Two things need care:

- BatchNormalization that is trained takes mean and variance over the whole batch, as on one
  device: its copies have Keras's `synchronized=True`.
- Dropout and other random layers draw other numbers on each device, so with them the result is
  that of another seed.

Layers keep the place where they were made. So those of the model that is trained are copied to the
devices, and the weights are copied back behind the training.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xray_helpers.errors import KitError
from xray_helpers.models.graph import Graph, trace
from xray_helpers.training.shared_steps import SharedSteps

# Settings of an optimizer that work on the gradient of a whole batch. Keras would apply them to
# the part that each device has.
WHOLE_GRADIENT = ("clipnorm", "global_clipnorm", "clipvalue", "gradient_accumulation_steps")

Pairs = list[tuple[keras.Variable, keras.Variable]]


def device_names(number: int, *, xla: bool = False) -> list[str]:
    """The first devices that a training can have: GPUs, or CPUs where there is no GPU.

    Args:
        number: how many.
        xla: whether XLA shall compile what is trained.

    Returns:
        As TensorFlow calls them: "GPU:0", "GPU:1". A machine has one "CPU:0", whatever its cores;
        more only where somebody divided it up (`tf.config.set_logical_device_configuration`).

    Raises:
        KitError: there are not so many, or XLA is asked for with several.
    """
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    found = len(tf.config.list_logical_devices(kind))
    if number > found:
        seen = f"{found} GPU{'s' * (found > 1)}" if kind == "GPU" else "no GPU"
        raise KitError(
            f"devices={number}, but TensorFlow sees {seen} here; set devices = {found}, or run on "
            f"a machine with {number} GPUs."
        )
    if number > 1 and xla:
        raise KitError(
            "XLA cannot compile a step that devices share: set xla = False, or devices = 1."
        )
    return [f"{kind}:{place}" for place in range(number)]


@contextmanager
def on_devices(
    head: keras.Model, devices: Sequence[str], compiled: dict[str, Any]
) -> Iterator[keras.Model]:
    """A model to call `fit` on in place of `head`: `head` itself where there is one device.

    With several it is a compiled copy on all of them. Behind the block `head` and its optimizer
    have what the copy learnt, also when the training was interrupted.

    Args:
        head: a functional model, compiled.
        devices: what `device_names` gave; none is one.
        compiled: what `head` was compiled with, the optimizer left out.

    Raises:
        KitError: a layer or the optimizer cannot be copied.
    """
    if len(devices) < 2:
        yield head
        return
    # Summed on the first device. TensorFlow's default, collective operations, takes the sums of a
    # second training in the same process for those of the first (2.21) and stops with an error.
    sums = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)
    _check_optimizer(head.optimizer)
    if not head.optimizer.built:
        head.optimizer.build(head.trainable_variables)
    graph = trace(head)
    with strategy.scope():
        copy, pairs = _copied_model(graph)
        copies = {id(own): mirrored for own, mirrored in pairs}
        trained = [copies[id(variable)] for variable in head.trainable_variables]
        optimizer, state = _copied_optimizer(head.optimizer, trained)
    _draw_apart(strategy, pairs)
    shared = SharedSteps(copy.input, copy.outputs[0])
    shared.strategy = strategy
    # Of several steps in one call TensorFlow loses inputs where a step runs on several devices.
    shared.compile(optimizer=optimizer, **{**compiled, "steps_per_execution": 1})
    try:
        yield shared
    finally:
        for own, mirrored in [*pairs, *state]:
            own.assign(np.asarray(mirrored))


def _copied_model(graph: Graph) -> tuple[keras.Model, Pairs]:
    """A model like that of `graph`, and the variables of both in pairs, the copy's second.

    Layers without variables, one's own and Lambda among them, have nothing that a device would
    need of its own, and are taken as they are.
    """
    layers = {id(step.layer): step.layer for step in graph.steps}
    copies = {key: _copied_layer(layer) for key, layer in layers.items()}
    steps = [replace(step, layer=copies[id(step.layer)]) for step in graph.steps]
    try:
        copy = replace(graph, steps=steps).model(graph.inputs, graph.outputs)
    except (TypeError, ValueError) as error:  # such as two nested models with layers of one name
        why = str(error).splitlines()[0].rstrip(".")
        raise KitError(
            f"The model cannot be copied to several devices ({why}); set devices = 1."
        ) from error
    pairs: Pairs = []
    for key, layer in layers.items():
        if copies[key] is not layer:
            pairs += _paired(layer, copies[key])
    return copy, pairs


def _copied_layer(layer: Any) -> Any:
    if not getattr(layer, "variables", []):
        return layer
    try:
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = True
        return type(layer).from_config(config)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise _no_copy(layer) from error


def _paired(layer: keras.Layer, copy: keras.Layer) -> Pairs:
    """The variables of a layer, each with that of its copy, which gets its value."""
    own, mirrored = _state(layer), _state(copy)
    if [v.shape for v in own] != [v.shape for v in mirrored]:
        raise _no_copy(layer)
    pairs = _values_copied(own, mirrored)
    for old, new in pairs:
        new.trainable = old.trainable
    if hasattr(copy, "finalize_state"):  # Normalization makes constants of its variables
        copy.finalize_state()
    return pairs


def _state(layer: keras.Layer) -> list[keras.Variable]:
    """Weights, then the states of random numbers; not what a nested model counts as metrics."""
    return [*layer.weights, *filter(_is_seed, layer.variables)]


def _is_seed(variable: keras.Variable) -> bool:
    return variable.name == "seed_generator_state"


def _no_copy(layer: keras.Layer) -> KitError:
    return KitError(
        f"Layer '{layer.name}' cannot be copied to several devices, because its class "
        f"{type(layer).__name__} has no get_config that describes it; give it one (keras.io, "
        "'custom layers'), or set devices = 1."
    )


def _check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    wrong = [name for name in WHOLE_GRADIENT if getattr(optimizer, name, None)]
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        wrong = ["loss scaling"]
    if wrong:
        raise KitError(
            f"The optimizer's {wrong[0]} needs the gradient of the whole batch, which no device "
            "has; compile the model without it, or set devices = 1."
        )


def _copied_optimizer(
    old: keras.optimizers.Optimizer, trained: list[keras.Variable]
) -> tuple[keras.optimizers.Optimizer, Pairs]:
    """A copy of a built optimizer that steps `trained`, and the variables of both in pairs."""
    try:
        new = type(old).from_config(old.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise KitError(
            "The optimizer cannot be copied to several devices; give it a number or one of Keras's "
            "schedules as learning_rate, or set devices = 1."
        ) from error
    new.build(trained)
    if [v.shape for v in old.variables] != [v.shape for v in new.variables]:
        raise KitError(
            "The model's optimizer was used for other weights before, so it cannot go on with "
            "these; compile the model again."
        )
    return new, _values_copied(old.variables, new.variables)


def _values_copied(old: list[keras.Variable], new: list[keras.Variable]) -> Pairs:
    pairs = list(zip(old, new, strict=True))
    for own, copy in pairs:
        copy.assign(np.asarray(own))
    return pairs


def _draw_apart(strategy: tf.distribute.Strategy, pairs: Pairs) -> None:
    """Give each device random numbers of its own; with equal states all drop the same units."""
    for old, new in pairs:
        if _is_seed(old):
            for place, state in enumerate(strategy.experimental_local_results(new.value)):
                seed, count = np.asarray(old)
                state.assign(np.array([seed + place, count], np.asarray(old).dtype))
