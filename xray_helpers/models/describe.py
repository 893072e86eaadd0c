"""A model in words and numbers: its layers, its parameters, the `model` section of the record."""

import keras
import numpy as np
import pandas as pd

from xray_helpers.data.table import TASK_CLASSES
from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.build import build_model
from xray_helpers.models.output import loss_name, model_notes, model_output
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights


def check_compiled(model: keras.Model) -> None:
    """Stop with a sentence where a model has no optimizer and no loss yet."""
    if not getattr(model, "compiled", False):
        raise KitError(
            "The model is not compiled; say for instance "
            "model.compile(optimizer='adam', loss='categorical_crossentropy') first."
        )


def count_parameters(model: keras.Model) -> dict[str, int]:
    """Numbers of parameters: total, trainable, non_trainable; each shared weight counted once."""
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    total = sum(int(np.prod(w.shape)) for w in model.weights)
    return {"total": total, "trainable": trainable, "non_trainable": total - trainable}


def layer_table(model: keras.Model, nested: bool = False) -> pd.DataFrame:
    """One row a layer: name, type, output shape (without the batch), parameters, trainable ones.

    With `nested`, the layers inside a backbone stand in its place, as `backbone/layer`.
    """
    return pd.DataFrame(_layer_rows(model, nested, ""))


def _layer_rows(model: keras.Model, nested: bool, prefix: str) -> list[dict]:
    rows = []
    for layer in model.layers:
        if nested and isinstance(layer, keras.Model):
            rows += _layer_rows(layer, nested, f"{prefix}{layer.name}/")
            continue
        counts = count_parameters(layer)
        shape = getattr(getattr(layer, "output", None), "shape", None)
        rows.append(
            {
                "layer": prefix + layer.name,
                "type": type(layer).__name__,
                "output": "×".join(str(n) for n in shape[1:]) if shape else "",
                "parameters": counts["total"],
                "trainable": counts["trainable"],
            }
        )
    return rows


def regularisation(model: keras.Model) -> list[str]:
    """What keeps the model from learning by heart, read off its layers: "dropout 0.25", …"""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            found.append(f"dropout {layer.rate:g}")
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.append("batch normalisation")
        penalty = getattr(layer, "kernel_regularizer", None)
        if isinstance(penalty, keras.regularizers.L2):
            found.append(f"L2 {float(penalty.l2):g} on {layer.name}")
    return found


def describe(model: keras.Model, recipe: Recipe, weights: str, shape: tuple[int, int, int]) -> dict:
    """The `model` section of `run.json`: recipe, backbone, weights, layers, parameters, size.

    `shape` is that of a picture: a model without `keras.Input` gets its weights from it.
    """
    if not model.built:
        model(np.zeros((1, *shape), np.float32))
    check_compiled(model)
    counts = count_parameters(model)
    return {
        "recipe": recipe.name,
        "changed": {name: getattr(recipe, name) for name in recipe.changed},
        "backbone": recipe.backbone,
        "weights": weights,
        # Its kind: Keras counts the names of optimizers up, "adam_1".
        "optimizer": type(_inner(model.optimizer)).__name__.lower(),
        "learning_rate": float(np.asarray(model.optimizer.learning_rate)),
        "loss": loss_name(model),
        "output": model_output(model),
        "notes": model_notes(model) + _batchnorm_notes(model, recipe),
        "regularisation": regularisation(model),
        "layers": layer_table(model).to_dict("records"),
        "parameters": counts,
        # 4 bytes a parameter (float32), in units of 1,000,000 bytes.
        "megabytes": round(counts["total"] * 4 / 1e6, 1),
    }


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer itself, where Keras's scaling of the loss (float16) is wrapped around it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _batchnorm_notes(model: keras.Model, recipe: Recipe) -> list[str]:
    """A sentence where BatchNormalization of a backbone that comes with weights is trained."""
    if recipe.backbone is None or BACKBONES[recipe.backbone].keras_name is None:
        return []
    found = [
        layer
        for backbone in model.layers
        if backbone.name == recipe.backbone
        for layer in backbone.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not found:
        return []
    steps = round(1 / (1 - found[-1].momentum))
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [
        f"Among the trained layers of {recipe.backbone} is BatchNormalization ({found[-1].name}"
        f"{more}): while it trains it normalises with each batch's mean and variance, in "
        f"validation and test with moving averages that follow in about {steps} steps, so the "
        "validation losses of the first epochs say little."
    ]


def recipe_counts(recipe: Recipe) -> dict:
    """A recipe in a few facts, with the parameter counts of the model it builds."""
    classes = TASK_CLASSES[recipe.task]
    model = build_model(recipe, classes, Weights("none"))
    return {
        "name": recipe.name,
        "task": recipe.task,
        "backbone": recipe.backbone,
        **count_parameters(model),
        "report": recipe.report,
        "reported": recipe.reported,
    }
