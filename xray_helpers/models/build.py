"""From a recipe to a compiled Keras model."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from xray_helpers.data.table import TASK_CLASSES
from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES, Backbone
from xray_helpers.models.calibrate import calibrate, randomize
from xray_helpers.models.head import head_layers
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights

# Random weights are the same in every run, whatever the run's seed: they stand in for the one
# fixed set of ImageNet weights.
RANDOM_WEIGHTS_SEED = 20200328
CALIBRATION_PICTURES = 32
# Filters of the kit's own network, block by block.
CNN_FILTERS = (16, 32, 64, 128)


def build_model(
    recipe: Recipe,
    classes: Sequence[str],
    weights: Weights,
    *,
    image_size: int = 224,
    calibrate_on: np.ndarray | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build and compile the model of a recipe.

    The model takes RGB pictures with values 0 to 255, (n, image_size, image_size, 3), and does
    the backbone's preprocessing itself, so that training, evaluation, t-SNE and Grad-CAM cannot
    differ in it. It gives one probability a class, (n, len(classes)), or, with two classes, the
    probability of the second one, (n, 1).

    Args:
        recipe: what to build.
        classes: names of the classes, in order.
        weights: what the backbone starts from, see `find_weights`.
        image_size: side of the pictures in pixels.
        calibrate_on: training pictures, (n, image_size, image_size, 3); needed for random weights,
            which are calibrated on up to 32 of them.
        seed: seed of the head's first weights and of its dropout.

    Raises:
        KitError: the weights file is not of this backbone; random weights and no pictures.
    """
    info = BACKBONES[recipe.backbone]
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((image_size, image_size, 3), name="picture")
    x = preprocess(inputs, info)
    backbone = _backbone(info, image_size, recipe)
    x = backbone(x)
    if weights.kind == "random":
        if calibrate_on is None or len(calibrate_on) == 0:
            raise KitError("Random weights need training pictures to be calibrated on.")
        randomize(backbone, RANDOM_WEIGHTS_SEED)
        # Evenly out of all, since pictures are sorted by class.
        some = np.linspace(0, len(calibrate_on) - 1, CALIBRATION_PICTURES).astype(int)
        calibrate(keras.Model(inputs, x), calibrate_on[np.unique(some)])
    elif weights.file is not None:
        _load(backbone, weights.file, recipe.backbone)
    unfreeze(backbone, -1 if info.keras_name is None else recipe.unfreeze)
    for layer in head_layers(recipe.head, recipe.dropout, recipe.l2, recipe.initializer):
        x = layer(x)
    units = 1 if len(classes) == 2 else len(classes)
    if x.shape[1:] != (units,):
        raise KitError(
            f"The head of recipe '{recipe.name}' ends with shape {x.shape[1:]}, but {len(classes)} "
            f"classes need ({units},)."
        )
    model = keras.Model(inputs, x, name=recipe.name.replace("-", "_"))
    model.compile(
        optimizer=make_optimizer(recipe.optimizer, recipe.learning_rate),
        loss=recipe.loss,
        metrics=["accuracy"],
    )
    return model


def make_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """A Keras optimizer by name ("adam", "rmsprop", "sgd") with its learning rate."""
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate}})


def preprocess(inputs: keras.KerasTensor, backbone: Backbone) -> keras.KerasTensor:
    """The preprocessing that `backbone` was trained with, as layers on RGB 0 to 255."""
    if backbone.preprocessing == "caffe":
        bgr = keras.ops.flip(inputs, axis=-1)
        # Means of the ImageNet training pictures: blue, green, red.
        return keras.layers.Rescaling(1.0, [-103.939, -116.779, -123.68], name="less_means")(bgr)
    if backbone.preprocessing == "tf":
        return keras.layers.Rescaling(1 / 127.5, -1.0, name="to_minus_one_to_one")(inputs)
    return keras.layers.Rescaling(1 / 255, name="to_zero_to_one")(inputs)


def _backbone(info: Backbone, image_size: int, recipe: Recipe) -> keras.Model:
    shape = (image_size, image_size, 3)
    if info.keras_name is None and recipe.convolutions:
        layers = head_layers(recipe.convolutions, initializer=recipe.initializer)
        return keras.Sequential([keras.Input(shape), *layers], name="cnn")
    if info.keras_name is None:
        return small_cnn(shape, recipe.initializer)
    make = getattr(keras.applications, info.keras_name)
    return make(include_top=False, weights=None, input_shape=shape, name=info.name)


def small_cnn(shape: tuple[int, int, int], initializer: str = "glorot_uniform") -> keras.Model:
    """The kit's own network: blocks of convolution, BatchNormalization, relu and max-pooling."""
    inputs = x = keras.Input(shape)
    for i, filters in enumerate(CNN_FILTERS, start=1):
        x = keras.layers.Conv2D(
            filters,
            3,
            strides=2 if i == 1 else 1,
            padding="same",
            use_bias=False,
            kernel_initializer=initializer,
            name=f"block{i}_conv",
        )(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"block{i}_bn")(x)
        x = keras.layers.ReLU(name=f"block{i}_relu")(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{i}_pool")(x)
    return keras.Model(inputs, x, name="cnn")


def unfreeze(backbone: keras.Model, last: int) -> None:
    """Freeze `backbone` but for its last `last` layers (-1: freeze nothing).

    A frozen BatchNormalization uses its stored statistics, also while the head is trained.
    """
    backbone.trainable = last != 0
    if last > 0:
        for layer in backbone.layers[:-last]:
            layer.trainable = False


def _load(backbone: keras.Model, file: Path, name: str) -> None:
    try:
        backbone.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        raise KitError(
            f"{file} does not hold the weights of backbone='{name}' without its classifier: "
            f"{str(error).splitlines()[0]}"
        ) from error


def check_compiled(model: keras.Model) -> None:
    """Stop with a sentence where a model has no optimizer and no loss yet."""
    if not getattr(model, "compiled", False):
        raise KitError(
            "The model is not compiled; say for instance "
            "model.compile(optimizer='adam', loss='categorical_crossentropy') first."
        )


def loss_name(model: keras.Model) -> str:
    """The name of the loss that a model was compiled with, be it a name, a loss or a function."""
    loss = model.loss
    return loss if isinstance(loss, str) else getattr(loss, "name", None) or loss.__name__


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
        "optimizer": type(model.optimizer).__name__.lower(),
        "learning_rate": float(np.asarray(model.optimizer.learning_rate)),
        "loss": loss_name(model),
        "regularisation": regularisation(model),
        "layers": layer_table(model).to_dict("records"),
        "parameters": counts,
        # 4 bytes a parameter (float32), in units of 1,000,000 bytes.
        "megabytes": round(counts["total"] * 4 / 1e6, 1),
    }


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
