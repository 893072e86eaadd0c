"""Random weights that can be trained on: a stand-in where ImageNet weights cannot be had.

A deep network with plain He-normal weights turns all pictures into nearly the same features.
Layer by layer, on a few training pictures and without their labels, the kit rescales each
convolution so that its output has zero mean and unit spread a channel, and sets the statistics
of each BatchNormalization to those it sees (layer-sequential unit-variance initialisation,
Mishkin and Matas 2016, arXiv:1511.06422). The last BatchNormalization of each residual block
gets gamma 0.1, so that at first a block changes little (compare Goyal et al. 2017,
arXiv:1706.02677, who start at 0).
"""

from collections import Counter

import keras
import numpy as np

from xray_helpers.models.graph import Graph, Step, run_step, trace

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
RESIDUAL_GAMMA = 0.1


def randomize(model: keras.Model, seed: int) -> None:
    """Set every convolution kernel of `model` to He-normal random numbers, biases to zero."""
    for i, step in enumerate(trace(model).steps):
        for j, weight in enumerate(getattr(step.layer, "weights", [])):
            if isinstance(step.layer, keras.layers.BatchNormalization):
                continue
            if len(weight.shape) > 1:
                # A seed of its own for each weight: no two layers start alike.
                he = keras.initializers.HeNormal(seed=seed * 1_000_003 + i * 10 + j)
                weight.assign(he(weight.shape))
            else:
                weight.assign(np.zeros(weight.shape, "float32"))


def calibrate(model: keras.Model, pictures: np.ndarray) -> None:
    """Calibrate the random weights of `model`, in place, on `pictures`.

    Args:
        model: a functional or sequential model, preprocessing included.
        pictures: (n, height, width, 3), RGB 0 to 255; 32 are enough.
    """
    graph = trace(model)
    uses = Counter(id(t) for step in graph.steps for t in step.inputs)
    consumers = {id(t): step for step in graph.steps for t in step.inputs}
    last_of_block = {id(step.layer) for step in _last_norms(graph)}
    values = {id(graph.inputs[0]): keras.ops.convert_to_tensor(pictures, dtype="float32")}
    for step in graph.steps:
        layer = step.layer
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma = RESIDUAL_GAMMA if id(layer) in last_of_block else 1.0
            _set_statistics(layer, values[id(step.inputs[0])], gamma)
        if isinstance(layer, CONVOLUTIONS) and not isinstance(
            getattr(consumers.get(id(step.outputs)), "layer", None),
            keras.layers.BatchNormalization,
        ):
            _standardise_convolution(step, values)
        else:
            run_step(step, values)
        for tensor in step.inputs:  # free what no later step needs
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                values.pop(id(tensor), None)


def _moments(values: keras.KerasTensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel, (channels,) each."""
    mean, variance = keras.ops.moments(values, axes=[0, 1, 2])
    return np.asarray(mean), np.asarray(variance)


def _standardise_convolution(step: Step, values: dict) -> None:
    """Rescale a convolution to mean 0 and spread 1 before its activation; run it."""
    layer = step.layer
    activation, layer.activation = layer.activation, keras.activations.linear
    run_step(step, values)
    layer.activation = activation
    # Maps of 32 pictures take hundreds of megabytes: no more of them at once than must be.
    output = values.pop(id(step.outputs))
    mean, variance = _moments(output)
    spread = np.sqrt(variance)
    spread[spread < 1e-6] = 1.0
    separable = isinstance(layer, keras.layers.SeparableConv2D)
    kernel = layer.pointwise_kernel if separable else layer.kernel
    kernel.assign(np.asarray(kernel) / spread)
    if layer.bias is not None:
        layer.bias.assign((np.asarray(layer.bias) - mean) / spread)
        output = output - mean
    output = output / spread
    values[id(step.outputs)] = activation(output)


def _set_statistics(
    layer: keras.layers.BatchNormalization, values: keras.KerasTensor, gamma: float
) -> None:
    mean, variance = _moments(values)
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    if layer.gamma is not None:
        layer.gamma.assign(np.full(layer.gamma.shape, gamma, "float32"))
    elif gamma != 1.0:
        # Without a gamma the same is said by a larger variance.
        layer.moving_variance.assign(variance / gamma**2)


def _last_norms(graph: Graph) -> list[Step]:
    """The BatchNormalization that ends the branch of each residual block.

    Behind an `Add`, each input is followed back through layers without weights to the layer that
    made it. Of the BatchNormalizations found (a projected shortcut has one too, and Keras calls
    it first) the one called last ends the branch.
    """
    producer = {id(step.outputs): i for i, step in enumerate(graph.steps)}
    found = []
    for step in graph.steps:
        if not isinstance(step.layer, keras.layers.Add):
            continue
        norms = []
        for tensor in step.inputs:
            i = producer.get(id(tensor))
            while i is not None and not getattr(graph.steps[i].layer, "weights", []):
                inputs = graph.steps[i].inputs
                i = producer.get(id(inputs[0])) if len(inputs) == 1 else None
            if i is not None and isinstance(graph.steps[i].layer, keras.layers.BatchNormalization):
                norms.append(i)
        if norms:
            found.append(graph.steps[max(norms)])
    return found
