"""From a recipe to a compiled Keras model."""

import random
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES, Backbone
from xray_helpers.models.calibrate import calibrate, randomize
from xray_helpers.models.head import head_layers
from xray_helpers.models.precision import precision_policy
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
    precision: str = "float32",
) -> keras.Model:
    """Build and compile the model of a recipe.

    The model takes RGB pictures with values 0 to 255, (n, image_size, image_size, 3), and does
    the backbone's preprocessing itself, so that training, evaluation, t-SNE and Grad-CAM cannot
    differ in it. It gives one probability a class, (n, len(classes)), or, with two classes, the
    probability of the second one, (n, 1); with a hinge loss, a margin: above 0 for the second.

    Args:
        recipe: what to build.
        classes: names of the classes, in order.
        weights: what the backbone starts from, see `find_weights`.
        image_size: side of the pictures in pixels.
        calibrate_on: training pictures, (n, image_size, image_size, 3); needed for random weights,
            which are calibrated on up to 32 of them.
        seed: seed of the head's first weights and of its dropout.
        precision: what the backbone computes in, see `models/precision.py`.

    Raises:
        KitError: the weights file is not of this backbone; random weights and no pictures.
    """
    info = BACKBONES[recipe.backbone]
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((image_size, image_size, 3), name="picture")
    with precision_policy(precision):
        backbone = _backbone(info, image_size, recipe)
    x = backbone(preprocess(inputs, info))
    if weights.kind == "random":
        _randomize(backbone, info, recipe, calibrate_on, precision)
    elif weights.file is not None:
        _load(backbone, weights.file, recipe.backbone)
    unfreeze(backbone, -1 if info.keras_name is None else recipe.unfreeze)
    model = _with_head(recipe, inputs, x, classes)
    if precision == "mixed_float16" and backbone.trainable_weights:
        # Small gradients would be 0 in 16 bits: Keras scales the loss up, and them down again.
        model.optimizer = keras.optimizers.LossScaleOptimizer(model.optimizer)
    return model


def _randomize(
    backbone: keras.Model,
    info: Backbone,
    recipe: Recipe,
    pictures: np.ndarray | None,
    precision: str,
) -> None:
    """Give a backbone its random weights, which are the same whatever it computes in."""
    if pictures is None or len(pictures) == 0:
        raise KitError("Random weights need training pictures to be calibrated on.")
    size = pictures.shape[1]
    drawn = random.getstate()  # where Keras takes the seeds of first weights from
    exact = backbone if precision == "float32" else _backbone(info, size, recipe)
    random.setstate(drawn)  # so that the head starts as in float32
    randomize(exact, RANDOM_WEIGHTS_SEED)
    inputs = keras.Input((size, size, 3))
    # Evenly out of all, since pictures are sorted by class.
    some = np.linspace(0, len(pictures) - 1, CALIBRATION_PICTURES).astype(int)
    chosen = np.asarray(pictures[np.unique(some)])
    calibrate(keras.Model(inputs, exact(preprocess(inputs, info))), chosen)
    backbone.set_weights(exact.get_weights())


def build_head(
    recipe: Recipe, shape: tuple[int, ...], classes: Sequence[str], seed: int = 0
) -> keras.Model:
    """The head of a recipe alone, compiled, on a backbone's output of `shape` (without the batch).

    For training many heads on outputs that were computed once.
    """
    keras.utils.set_random_seed(seed)
    features = keras.Input(shape, name="features")
    return _with_head(recipe, features, features, classes)


def _with_head(
    recipe: Recipe, inputs: keras.KerasTensor, x: keras.KerasTensor, classes: Sequence[str]
) -> keras.Model:
    for layer in head_layers(recipe.whole_head, recipe.dropout, recipe.l2, recipe.initializer):
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


def preprocess(
    inputs: keras.KerasTensor, backbone: Backbone, way: str | None = None
) -> keras.KerasTensor:
    """The preprocessing that `backbone` was trained with, as layers on RGB 0 to 255.

    `way` is another one, "caffe", "tf" or "unit", see `Backbone`.
    """
    way = way or backbone.preprocessing
    if way == "caffe":
        bgr = keras.ops.flip(inputs, axis=-1)
        # Means of the ImageNet training pictures: blue, green, red.
        return keras.layers.Rescaling(1.0, [-103.939, -116.779, -123.68], name="less_means")(bgr)
    if way == "tf":
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

    A frozen BatchNormalization uses its stored statistics, also while the head is trained. One
    that is trained takes each batch's statistics while it trains and moving averages of them in
    evaluation, as everywhere in Keras. (Keras's guide on fine-tuning calls the backbone with
    training=False to keep the stored ones, but the `fit` of Keras 3 overrides that inside a
    functional model: github.com/keras-team/keras/issues/20285.)
    """
    backbone.trainable = last != 0
    frozen = len(backbone.layers) - last if last >= 0 else 0
    for place, layer in enumerate(backbone.layers):  # Keras leaves them as they are, for True
        layer.trainable = place >= frozen


def _load(backbone: keras.Model, file: Path, name: str) -> None:
    try:
        backbone.load_weights(file)
    except (OSError, ValueError, KeyError) as error:
        raise KitError(
            f"{file} does not hold the weights of backbone='{name}' without its classifier: "
            f"{str(error).splitlines()[0]}"
        ) from error
