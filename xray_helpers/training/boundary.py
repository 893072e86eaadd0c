"""Where a model stops being the same in every epoch.

Frozen layers say the same about the same picture, epoch after epoch. `split_model` cuts a model
behind the largest part that cannot change during training. The kit computes that part once and
trains the rest, the head, on its outputs: with the same numbers as training the whole, since the
layers, and so the weights, are those of the model that was given.
"""

from dataclasses import dataclass

import keras

from xray_helpers.models.graph import Graph, NotAGraph, Step, is_graph, trace


@dataclass(frozen=True)
class Split:
    """A model in two parts.

    Attributes:
        frozen: pictures -> outputs at the boundary; None where nothing is worth computing once.
        head: those outputs (or the pictures, when `frozen` is None) -> the model's output.
        boundary: the tensors between the two, as `graph` names them.
        graph: the model's layer calls; None where they cannot be seen.
        reason: why the model was not split, "" when it was.
    """

    frozen: keras.Model | None
    head: keras.Model
    boundary: list[keras.KerasTensor]
    graph: Graph | None
    reason: str = ""


def split_model(model: keras.Model) -> Split:
    """Cut `model` behind its frozen part; any functional or sequential model, nested or not."""
    try:
        graph = trace(model)
    except NotAGraph as error:
        return Split(None, model, [], None, str(error))
    fixed = {id(t): t for t in graph.inputs}  # tensors that cannot change during training
    changing: list[Step] = []
    has_weights = False
    for step in graph.steps:
        if is_frozen(step) and all(id(t) in fixed for t in step.inputs):
            fixed.update({id(t): t for t in _flat(step.outputs)})
            has_weights = has_weights or bool(getattr(step.layer, "weights", []))
        else:
            changing.append(step)
    used = [t for step in changing for t in step.inputs] + graph.outputs
    boundary = list({id(t): t for t in used if id(t) in fixed}.values())
    if not changing:
        return Split(None, model, [], graph, "Nothing in this model can be trained.")
    if not has_weights:
        return Split(None, model, [], graph, "No layer with weights is frozen from the input on.")
    frozen = graph.model(graph.inputs, boundary, name="frozen")
    head = graph.model(boundary, graph.outputs, name="head")
    return Split(frozen, head, boundary, graph)


def whole_model(model: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """A model on all layers of `model`, so that compiling it leaves the student's as it is.

    A subclass with a `call` of its own becomes the one layer of a functional model.
    """
    if is_graph(model):
        (pictures,) = model.inputs
        return keras.Model(pictures, model.outputs)
    pictures = keras.Input(shape)
    return keras.Model(pictures, model(pictures))


def is_frozen(step: Step) -> bool:
    """Whether a layer gives the same output for the same input all through training.

    It does unless it has weights to train, draws random numbers (its seed is among its variables,
    not among its weights), or keeps statistics that move while it trains.
    """
    layer = step.layer
    if not isinstance(layer, keras.layers.Layer):
        return True  # a plain operation such as `keras.ops.flip`
    if layer.trainable_variables or len(layer.variables) > len(layer.weights):
        return False
    moves = isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    return not (moves and step.kwargs.get("training") is not False)


def _flat(structure: object) -> list[keras.KerasTensor]:
    return [t for t in keras.tree.flatten(structure) if isinstance(t, keras.KerasTensor)]
