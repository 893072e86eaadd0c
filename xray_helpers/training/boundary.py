"""Where a model stops being the same in every epoch.

Frozen layers say the same about the same picture, epoch after epoch. `split_model` cuts a model
behind the largest part that cannot change during training. The kit computes that part once and
trains the rest, the head, on its outputs: with the same numbers as training the whole, since the
layers, and so the weights, are those of the model that was given.
"""

import re
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
    fixed, changing = sort_steps(graph)
    used = [t for step in changing for t in step.inputs] + graph.outputs
    known = {id(t) for t in [*graph.inputs, *outputs_of(fixed)]}
    boundary = list({id(t): t for t in used if id(t) in known}.values())
    if not changing:
        return Split(None, model, [], graph, "Nothing in this model can be trained.")
    if not any(getattr(step.layer, "weights", []) for step in fixed):
        first = f"'{changing[0].name}' already changes while the model is trained"
        reason = f"No layer with weights is frozen from the input on: {first}."
        return Split(None, model, [], graph, reason)
    frozen = graph.model(graph.inputs, boundary, name=_name(model, fixed))
    head = graph.model(boundary, graph.outputs, name="head")
    return Split(frozen, head, boundary, graph)


def sort_steps(graph: Graph) -> tuple[list[Step], list[Step]]:
    """The steps that give the same in every epoch, from the input on, and all others."""
    fixed, changing = [], []
    known = {id(t) for t in graph.inputs}
    for step in graph.steps:
        if is_frozen(step) and all(id(t) in known for t in step.inputs):
            known |= {id(t) for t in outputs_of([step])}
            fixed.append(step)
        else:
            changing.append(step)
    return fixed, changing


def _name(model: keras.Model, fixed: list[Step]) -> str:
    """The frozen part in words: the nested models in it, else `model`, and its last layer."""
    nested = dict.fromkeys(s.name.split("/")[0] for s in fixed if "/" in s.name)
    words = f"{'_'.join(nested) or model.name} to {fixed[-1].name.split('/')[-1]}"
    # A name that TensorFlow takes.
    return re.sub(r"\W+", "_", words, flags=re.ASCII).strip("_")


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
    not among its weights), adds to the loss, or keeps statistics that move while it trains.
    """
    layer = step.layer
    if not isinstance(layer, keras.layers.Layer):
        return True  # a plain operation such as `keras.ops.flip`
    if layer.trainable_variables or len(layer.variables) > len(layer.weights):
        return False
    if getattr(layer, "activity_regularizer", None) is not None:
        return False
    # Its statistics move even where it is called with training=False, which the `fit` of Keras 3
    # overrides inside a functional model (github.com/keras-team/keras/issues/20285).
    return not (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable)


def outputs_of(steps: list[Step]) -> list[keras.KerasTensor]:
    """What the steps give, in order."""
    flat = keras.tree.flatten([step.outputs for step in steps])
    return [t for t in flat if isinstance(t, keras.KerasTensor)]
