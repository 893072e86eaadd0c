"""What stands at any place of a model for each picture, with as little computed as possible."""

import re
from collections.abc import Sequence

import keras
import numpy as np

from xray_helpers.models.graph import Graph
from xray_helpers.training.boundary import Split, outputs_of, sort_steps
from xray_helpers.training.features import frozen_outputs, model_outputs


def values_at(
    graph: Graph,
    split: Split,
    tensors: Sequence[keras.KerasTensor],
    pictures: np.ndarray,
    name: str,
) -> list[np.ndarray]:
    """The values of tensors of a model for pictures, from the cache as far as they can be.

    Args:
        graph: the model's layer calls; those of `split`, where it has them.
        split: where the model is cut for training.
        tensors: tensors of the graph.
        pictures: (n, size, size, 3), RGB 0 to 255.
        name: what they are for, for the progress bar and for `xray cache`.

    Returns:
        An array (n, …) for each tensor.
    """
    if split.frozen is not None:
        try:
            head = graph.model(split.boundary, tensors)
        except ValueError:  # they lie inside the frozen part, or on a branch that passes it by
            pass
        else:
            features = frozen_outputs(split.frozen, pictures, progress=f"Frozen features, {name}")
            return model_outputs(head, features)
    fixed, _ = sort_steps(graph)
    never_change = {id(t) for t in outputs_of(fixed)}
    part = graph.model(graph.inputs, tensors, re.sub(r"\W+", "_", name, flags=re.ASCII))
    if all(id(t) in never_change for t in tensors):
        return frozen_outputs(part, pictures, progress=f"Frozen features, {name}")
    return model_outputs(part, pictures, progress=name)
