"""The score of a class: the number that speaks for it, before the last activation.

A softmax or sigmoid squeezes its numbers: where it says 0.999, a sign more or less changes next to
nothing. And a softmax rises for one class when another falls. So whatever asks which places of a
picture speak for a class asks the number before it, the logit.

| the model ends with | scores |
|---|---|
| a Dense with an activation of its own | what this Dense gives without it |
| a Softmax, Activation or operation of its own (`Activation("softmax")`) | what goes into it |
| anything else (a linear Dense, pooling) | the output as it stands |

With one output above 0 for the second class, the first class's score is the output with its sign
turned.
"""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike

from xray_helpers.errors import KitError
from xray_helpers.models.graph import Graph, Step
from xray_helpers.training.boundary import outputs_of

_ACTIVATIONS = ("sigmoid", "softmax", "tanh", "relu")


def score_model(graph: Graph, inputs: Sequence[keras.KerasTensor]) -> keras.Model:
    """A model from tensors of the graph to the scores of the classes, (batch, units).

    It shares its layers with the graph; only a last Dense that has an activation is a copy.

    Raises:
        KitError: the model has several outputs, or not one row of numbers a picture.
        ValueError: the scores cannot be computed from `inputs` alone.
    """
    if len(graph.outputs) != 1 or len(graph.outputs[0].shape) != 2:
        shapes = ", ".join(str(tuple(t.shape)) for t in graph.outputs)
        raise KitError(
            f"The model gives {shapes}; to ask what speaks for a class, take one with a single "
            "output of one number a class."
        )
    tensor, dense = _before_activation(graph)
    model = graph.model(inputs, [tensor])
    (score,) = model.outputs
    if dense is not None:
        score = _without_activation(dense)(score)
    return keras.Model(model.inputs, score)


def _before_activation(graph: Graph) -> tuple[keras.KerasTensor, keras.layers.Dense | None]:
    """The tensor to cut at, and the Dense to put behind it without its activation, if any."""
    (tensor,) = graph.outputs
    while (step := _maker(graph, tensor)) is not None:
        name = _function_name(step)
        if isinstance(step.layer, keras.layers.Dense):
            return (tensor, None) if name == "linear" else (step.inputs[0], step.layer)
        own_layer = isinstance(step.layer, keras.layers.Activation)
        if not own_layer and name not in _ACTIVATIONS:
            break
        tensor = step.inputs[0]
        if name != "linear":
            break
    return tensor, None


def _maker(graph: Graph, tensor: keras.KerasTensor) -> Step | None:
    """The step that gives a tensor."""
    return next((s for s in graph.steps if any(t is tensor for t in outputs_of([s]))), None)


def _function_name(step: Step) -> str:
    function = getattr(step.layer, "activation", step.layer)
    return getattr(function, "__name__", type(function).__name__).lower()


def _without_activation(dense: keras.layers.Dense) -> keras.layers.Dense:
    """The same layer, same weights, that gives its numbers as they are."""
    twin = type(dense).from_config({**dense.get_config(), "activation": "linear"})
    twin.build((None, dense.kernel.shape[0]))
    twin.set_weights(dense.get_weights())
    return twin


def class_signs(classes: ArrayLike, units: int, pictures: int) -> np.ndarray:
    """What scores (n, units) are multiplied by, and summed over, to get each picture's own class.

    Args:
        classes: the class number of each picture, (n,), or one for all.
        units: numbers that the model gives a picture; 1 stands for two classes.
        pictures: n.

    Returns:
        float32 (n, units): 1 at the class and 0 elsewhere; for one unit 1 or, for class 0, -1.

    Raises:
        KitError: another number of classes than pictures, or one that does not exist.
    """
    classes, most = np.asarray(classes), max(units, 2)
    if classes.shape not in ((), (pictures,)):
        raise KitError(
            f"{pictures} pictures and {classes.size} classes: give one for each picture."
        )
    if not np.issubdtype(classes.dtype, np.integer) or not np.isin(classes, range(most)).all():
        raise KitError(f"Classes are numbers from 0 to {most - 1}, in the order of the data's.")
    classes = np.broadcast_to(classes, pictures)
    if units == 1:
        return np.where(classes == 1, 1, -1).astype(np.float32)[:, None]
    return np.eye(units, dtype=np.float32)[classes]
