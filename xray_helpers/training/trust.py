"""Whether frozen layers really do in training what they do in prediction.

Most layers say of themselves that they cannot change (`boundary.is_frozen`). One of the student's
own may do something else while the model is trained, and Keras's `SpectralNormalization` scales
its weights in every step, frozen or not. So before the frozen part is computed only once, two
pictures go through it both ways.
"""

from dataclasses import replace

import keras
import numpy as np

from xray_helpers.models.graph import Graph, Step, takes_training
from xray_helpers.training.boundary import Split, outputs_of, sort_steps, split_model


def trusted_split(model: keras.Model, pictures: np.ndarray) -> Split:
    """`split_model`, but whole, with the reason, where a frozen layer turns out not to be the same.

    Args:
        model: as for `split_model`; its weights are afterwards what they were.
        pictures: (n, size, size, 3), RGB 0 to 255; the first and the last are tried.
    """
    split = split_model(model)
    if split.frozen is None:
        return split
    difference = _difference(split.graph, np.array(pictures[[0, -1]], np.float32))
    if not difference:
        return split
    return replace(split, frozen=None, head=model, boundary=[], reason=difference)


def _difference(graph: Graph, batch: np.ndarray) -> str:
    """The first frozen layer that is not the same, in a sentence; "" where all are."""
    frozen, _ = sort_steps(graph)
    doubtful = [step for step in frozen if _may_differ(step.layer)]
    if not doubtful:
        return ""
    probe = graph.model(graph.inputs, outputs_of(doubtful))
    before = [[np.array(v) for v in step.layer.variables] for step in doubtful]
    predicted = iter(keras.tree.flatten(probe(batch, training=False)))
    trained = iter(keras.tree.flatten(probe(batch, training=True)))
    problems = []
    for step, weights in zip(doubtful, before, strict=True):
        same = [_alike(next(trained), next(predicted)) for _ in outputs_of([step])]
        problems.append(_problem(step, same, weights))
    for step, weights in zip(doubtful, before, strict=True):
        for variable, old in zip(step.layer.variables, weights, strict=True):
            variable.assign(old)
    return next((problem for problem in problems if problem), "")


def _may_differ(layer: object) -> bool:
    """Whether a frozen layer is told that it is trained, or is not Keras's own."""
    if not isinstance(layer, keras.layers.Layer):
        return False
    if type(layer) is keras.layers.BatchNormalization:  # `is_frozen` knows all about it
        return False
    return takes_training(layer) or type(layer).__module__.split(".")[0] != "keras"


def _problem(step: Step, same: list[bool], weights: list[np.ndarray]) -> str:
    """What is wrong with a layer that has just been called with training=True."""
    layer = f"The frozen layer '{step.name}'"
    if not all(same):
        return f"{layer} says something else in training than in prediction."
    if not all(map(_alike, step.layer.variables, weights)):
        return f"{layer} changes its own weights in training."
    if step.layer.losses:
        return f"{layer} adds to the loss."
    return ""


def _alike(a: object, b: object) -> bool:
    """Whether two arrays are equal but for rounding, which on a GPU is coarse."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max(initial=0), equal_nan=True)
