"""Grad-CAM: which places of a picture speak for a class (Selvaraju et al. 2017, ICCV, p. 618).

The last map of a network still has places: of 224x224 pixels VGG16 makes 7x7 fields with 512
channels. The gradient of the class's score says how much each channel counts, on average over the
fields; the channels, weighted so and summed, are a picture of what speaks for the class. What
speaks against it is cut off at 0.

The heat is as coarse as the map, and it says where, not what. A model that goes by a mark at the
border and one that goes by the lungs can be right equally often; their heat tells them apart.
"""

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from xray_helpers.errors import KitError
from xray_helpers.evaluation.class_score import class_signs, score_model
from xray_helpers.evaluation.cut import values_at
from xray_helpers.models.graph import Graph, Step, trace
from xray_helpers.models.output import output_meaning, predicted_classes
from xray_helpers.training.boundary import outputs_of, split_model
from xray_helpers.training.features import BATCH, model_outputs


def grad_cam(
    model: keras.Model,
    pictures: np.ndarray,
    classes: ArrayLike | None = None,
    layer: str | None = None,
) -> np.ndarray:
    """How much each place of each picture speaks for a class.

    The score is the number before the last activation, see `class_score.py`. Layers work as in
    prediction (no dropout, stored statistics). Where the map lies in the frozen part, it comes
    from the cache that training, evaluation and t-SNE use too.

    Args:
        model: any functional or sequential Keras model with a convolution, backbones inside it
            included.
        pictures: (n, size, size, 3), RGB 0 to 255.
        classes: the class number of each picture, (n,), or one for all; None: the predicted one.
        layer: the layer whose map is used (`backbone/layer` for one inside a nested model); None:
            the last one with a map of more than one field.

    Returns:
        float32 (n, size, size), 0 to 1: 1 is the place that speaks most for the class in this
        picture, whatever it is in others. All 0 where nothing speaks for the class.

    Raises:
        KitError: the layers cannot be seen (a `call` of its own), there is no map, `layer` has
            none, the model has several outputs, or `classes` do not fit.
    """
    split = split_model(model)
    graph = split.graph or trace(model)
    place = _named_map(graph, layer) if layer else _last_map(graph)
    boundary = _boundary(graph, place)
    score = score_model(graph, boundary)
    if len(pictures) == 0:
        return np.zeros(pictures.shape[:3], np.float32)
    values = values_at(graph, split, boundary, pictures, "Grad-CAM")
    if classes is None:
        (outputs,) = model_outputs(graph.model(boundary, graph.outputs), values)
        classes = predicted_classes(outputs, output_meaning(model))
    signs = class_signs(classes, score.output_shape[-1], len(pictures))
    heats = [
        _heat(score, [v[i : i + BATCH] for v in values], signs[i : i + BATCH], pictures.shape[1:3])
        for i in range(0, len(pictures), BATCH)
    ]
    return np.concatenate(heats)


def has_map(model: keras.Model) -> bool:
    """Whether `grad_cam` has a map of this model to work with."""
    try:
        _last_map(trace(model))
    except KitError:
        return False
    return True


def _heat(
    score: keras.Model, values: list[np.ndarray], signs: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The heat of one batch; the first of `values` is the map."""
    inputs = [tf.constant(v.astype(np.float32)) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(inputs[0])
        scores = score(inputs if len(inputs) > 1 else inputs[0], training=False)
        # Pictures do not touch each other, so the sum has each one's own gradient.
        own = tf.reduce_sum(tf.cast(scores, tf.float32) * signs)
    gradient = tape.gradient(own, inputs[0], unconnected_gradients="zero")
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * inputs[0], axis=-1, keepdims=True))
    heat = tf.image.resize(heat, size, "bilinear")[..., 0].numpy()
    most = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, most, out=np.zeros_like(heat), where=most > 0)


# --- where the model is cut -----------------------------------------------------------------


def _last_map(graph: Graph) -> keras.KerasTensor:
    """The last map on the way to the output."""
    for tensor in reversed(_maps(graph)):
        if _leads_to_output(graph, tensor):
            return tensor
    raise KitError(
        "This model has no map of more than one field behind a convolution, so there are no places "
        "that could speak for a class; use one with a convolution, or larger pictures."
    )


def _named_map(graph: Graph, layer: str) -> keras.KerasTensor:
    step = graph.find(layer)
    tensor = outputs_of([step])[0]
    if not _is_map(tensor) or not _leads_to_output(graph, tensor):
        names = ", ".join(s.name for s in graph.steps if any(map(_is_map, outputs_of([s]))))
        raise KitError(
            f"The layer '{step.name}' gives {tuple(tensor.shape)}, no map of more than one field "
            f"that the output is computed from; layers with a map are: {names}."
        )
    return tensor


def _maps(graph: Graph) -> list[keras.KerasTensor]:
    """All maps that were made with a kernel, in order; scaled pictures are not among them."""
    made: dict[int, keras.KerasTensor] = {}
    for step in graph.steps:
        kernel = any(len(w.shape) > 1 for w in getattr(step.layer, "weights", []))
        if kernel or any(id(t) in made for t in step.inputs):
            made |= {id(t): t for t in outputs_of([step])}
    return [t for t in made.values() if _is_map(t)]


def _is_map(tensor: keras.KerasTensor) -> bool:
    """Whether it is (batch, height, width, channels) with more than one row and column."""
    return len(tensor.shape) == 4 and all(side is None or side > 1 for side in tensor.shape[1:3])


def _leads_to_output(graph: Graph, tensor: keras.KerasTensor) -> bool:
    made = {id(t) for t in outputs_of(_behind(graph, tensor))}
    return id(tensor) in map(id, graph.outputs) or any(id(t) in made for t in graph.outputs)


def _behind(graph: Graph, tensor: keras.KerasTensor) -> list[Step]:
    """The steps whose outputs change when `tensor` does."""
    changed, steps = {id(tensor)}, []
    for step in graph.steps:
        if any(id(t) in changed for t in step.inputs):
            changed |= {id(t) for t in outputs_of([step])}
            steps.append(step)
    return steps


def _boundary(graph: Graph, place: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The map, and what else the output is computed from: branches that pass it by."""
    behind = _behind(graph, place)
    changed = {id(place)} | {id(t) for t in outputs_of(behind)}
    used = [t for step in behind for t in step.inputs] + graph.outputs
    return [place, *{id(t): t for t in used if id(t) not in changed}.values()]
