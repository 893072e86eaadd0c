"""What a model's last numbers mean, told from the compiled model, be it the kit's or one's own.

| meaning | last layer | loss | class of one number | class of several |
|---|---|---|---|---|
| probability | sigmoid, softmax | any | above 0.5: the second | the largest |
| logit | linear | `from_logits=True` | above 0: the second | the largest |
| margin | linear | hinge, squared hinge | above 0: the second | the largest |

From it follow the accuracy in training, the predicted class and the `p_<class>` columns, so that
these cannot disagree.
"""

from typing import Any, Literal

import keras
import numpy as np
from scipy.special import expit, softmax

from xray_helpers.models.graph import is_graph
from xray_helpers.models.pairs import pair_note, pair_problem

Meaning = Literal["probability", "logit", "margin"]

# One number a picture says "the second class" above this.
THRESHOLD: dict[Meaning, float] = {"probability": 0.5, "logit": 0.0, "margin": 0.0}

# What the columns `p_<class>` hold, for the record and for readers.
P_COLUMNS: dict[Meaning, str] = {
    "probability": "probability",
    "logit": "probability (logistic function of the logit)",
    "margin": "logistic function of the margin: the same order, but no calibrated probability",
}


def output_meaning(model: keras.Model) -> Meaning:
    """What the numbers of `model` mean.

    A sigmoid or softmax at the end gives numbers from 0 to 1, which are read as probabilities
    whatever the loss. Otherwise the loss says it: margins for a hinge (a Keras name, class or
    function, or a function with "hinge" in its name), logits where the loss has
    `from_logits=True`. Of a subclass with a `call` of its own only the loss is seen.
    """
    loss = getattr(model, "loss", None)
    if last_activation(model) in ("sigmoid", "softmax") or loss is None:
        return "probability"
    if "hinge" in f"{loss_name(model)} {type(loss).__name__}".lower():
        return "margin"
    return "logit" if getattr(loss, "from_logits", False) else "probability"


def last_activation(model: keras.Model) -> str | None:
    """What the last layer applies ("sigmoid", "linear"); None where the layers cannot be seen."""
    if not is_graph(model):
        return None
    if isinstance(model, keras.Sequential):
        layer = model.layers[-1]
    else:
        layer = next(op for op in model.operations if op.name == model.output_names[0])
    if isinstance(layer, keras.Model):
        return last_activation(layer)
    # A Dense has its function; a Softmax layer or keras.ops.sigmoid is one.
    function = getattr(layer, "activation", layer)
    return getattr(function, "__name__", type(function).__name__).lower()


def loss_name(model: keras.Model) -> str:
    """The name of the loss that a model was compiled with, be it a name, a loss or a function."""
    loss = model.loss
    return loss if isinstance(loss, str) else getattr(loss, "name", None) or loss.__name__


def predicted_classes(outputs: np.ndarray, meaning: Meaning) -> np.ndarray:
    """Class numbers (n,) int64 that outputs (n, 1) or (n, classes) stand for."""
    outputs = np.asarray(outputs)
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > THRESHOLD[meaning]).astype(np.int64)
    return outputs.argmax(axis=1)


def class_probabilities(outputs: np.ndarray, meaning: Meaning) -> np.ndarray:
    """A number from 0 to 1 for each class, (n, classes) float64.

    Probabilities stay what they are. Of logits it is what the model says: their logistic function
    or softmax. Of margins it is the same function, since it keeps their order: the class is right,
    but 0.9 does not mean that nine of ten such pictures are (Platt 1999 fits a slope for that).
    """
    outputs = np.asarray(outputs, np.float64)
    if outputs.shape[1] > 1:
        return outputs if meaning == "probability" else softmax(outputs, axis=1)
    second = outputs if meaning == "probability" else expit(outputs)
    return np.hstack([1 - second, second])


def model_output(model: keras.Model) -> dict[str, Any]:
    """The `output` part of the `model` section of `run.json`."""
    return {"activation": last_activation(model), "meaning": output_meaning(model)}


def model_notes(model: keras.Model) -> list[str]:
    """What to know of the model's last layer and its loss, in sentences; none for usual pairs."""
    activation = last_activation(model)
    if activation is None or output_meaning(model) == "logit":
        return []
    pair = (model.output_shape[-1], activation, loss_name(model))
    return [note for note in (pair_problem(*pair), pair_note(*pair)) if note]
