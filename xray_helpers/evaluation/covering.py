"""Occlusion: what a model loses when a part of the picture is covered (Zeiler and Fergus 2014).

Slower than Grad-CAM by far, but with no theory in it: a grey patch is laid on one place after the
other, and the model is asked each time. Where its score for the class drops, it had needed what
was there. Where both methods show the same place, one may believe it.
"""

from typing import Literal

import keras
import numpy as np
from numpy.typing import ArrayLike

from xray_helpers.errors import KitError
from xray_helpers.evaluation.class_score import class_signs, score_model
from xray_helpers.models.graph import is_graph, trace
from xray_helpers.models.output import output_meaning, predicted_classes
from xray_helpers.progress import progress_bar
from xray_helpers.training.features import model_outputs


def occlusion(
    model: keras.Model,
    pictures: np.ndarray,
    classes: ArrayLike | None = None,
    patch: int = 32,
    stride: int = 16,
    fill: Literal["mean"] | float = "mean",
) -> np.ndarray:
    """By how much the score of a class drops when a place is covered.

    Meant for a few pictures: at 224 pixels each takes 170 passes through the network, with VGG16
    on a laptop's two cores about 12 seconds. Nothing of it is kept in the cache. Needs no look
    inside: a model with a `call` of its own will do.

    Args:
        model: any Keras model; its score is the number before the last activation, see
            `class_score.py`, or the output itself where its layers cannot be seen.
        pictures: (n, size, size, 3), RGB 0 to 255.
        classes: the class number of each picture, (n,), or one for all; None: the predicted one.
        patch: side of the square that covers, in pixels.
        stride: how far it moves each time, in pixels; at the edges less.
        fill: what is laid on, a grey value from 0 to 255 or "mean", the picture's own mean colour.

    Returns:
        float32 (n, size, size): the score of the whole picture less that of the covered one, in
        the score's own unit, averaged over all patches that cover a pixel. Positive: needed.
        Negative: without it the model would be surer.

    Raises:
        KitError: the patch is larger than the picture, the stride leaves gaps or is below 1, or
            `classes` do not fit.
    """
    height, width = pictures.shape[1:3]
    if not 1 <= patch <= min(height, width) or not 1 <= stride <= patch:
        raise KitError(
            f"occlusion: a patch of {patch} pixels that moves by {stride} does not go over a "
            f"picture of {height}x{width}; take 1 <= stride <= patch <= {min(height, width)}."
        )
    if len(pictures) == 0:
        return np.zeros((0, height, width), np.float32)
    if classes is None:
        (outputs,) = model_outputs(model, pictures)
        classes = predicted_classes(outputs, output_meaning(model))
    score = model
    if is_graph(model):
        graph = trace(model)
        score = score_model(graph, graph.inputs)
    (whole,) = model_outputs(score, pictures)
    signs = class_signs(classes, whole.shape[-1], len(pictures))
    places = [(y, x) for y in _starts(height, patch, stride) for x in _starts(width, patch, stride)]
    count = np.zeros((height, width))
    for y, x in places:
        count[y : y + patch, x : x + patch] += 1
    heats = np.zeros(pictures.shape[:3], np.float32)
    with progress_bar("Covering places", len(pictures)) as bar:
        for heat, picture, own, sign in zip(heats, pictures, whole, signs, strict=True):
            (scores,) = model_outputs(score, _covered(picture, places, patch, fill))
            total = np.zeros((height, width))
            for (y, x), drop in zip(places, (own - scores) @ sign, strict=True):
                total[y : y + patch, x : x + patch] += drop
            heat[:] = total / count
            bar.update()
    return heats


def _starts(side: int, patch: int, stride: int) -> list[int]:
    """Where patches begin along a side; the last one ends at the edge."""
    return [*range(0, side - patch, stride), side - patch]


def _covered(
    picture: np.ndarray, places: list[tuple[int, int]], patch: int, fill: Literal["mean"] | float
) -> np.ndarray:
    """The picture once for each place, with the patch on it."""
    color = picture.mean(axis=(0, 1)) if fill == "mean" else fill
    copies = np.repeat(picture[None], len(places), axis=0)
    for copy, (y, x) in zip(copies, places, strict=True):
        copy[y : y + patch, x : x + patch] = color
    return copies
