"""Trainings on one device and on several, side by side; `test_distribute.py` reads the figures.

    python several_devices.py RESULT.json

A process of its own, since TensorFlow's one CPU can be divided up only before it starts.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from xray_helpers.quiet_import import keras

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 3)

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import make_data  # noqa: E402

from xray_helpers.errors import KitError  # noqa: E402
from xray_helpers.training import time_uncached, train  # noqa: E402
from xray_helpers.training.distribute import device_names, on_devices  # noqa: E402

L = keras.layers
SGD = keras.optimizers.SGD


def fixed(layer):
    layer.trainable = False
    return layer


def frozen_head(l2=None):
    """Frozen convolutions, a small head."""
    x = inputs = keras.Input((16, 16, 3))
    x = fixed(L.Conv2D(8, 3, strides=3, activation="relu"))(L.Rescaling(1 / 255)(x))
    x = fixed(L.BatchNormalization())(x)
    x = L.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(l2) if l2 else None)(
        L.Flatten()(x)
    )
    return keras.Model(inputs, L.Dense(1, "sigmoid")(x))


def plain_head():
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, L.Dense(1, "sigmoid")(L.Flatten()(inputs / 255)))


def last_unfrozen():
    """A nested backbone whose last convolution and normalization are trained."""
    x = inside = keras.Input((16, 16, 3))
    x = fixed(L.Conv2D(6, 3, activation="relu"))(x)
    x = L.BatchNormalization()(L.Conv2D(6, 3, strides=2, use_bias=False)(x))
    backbone = keras.Model(inside, L.Activation("relu")(x), name="backbone")
    inputs = keras.Input((16, 16, 3))
    x = L.GlobalAveragePooling2D()(backbone(inputs / 255))
    return keras.Model(inputs, L.Dense(1, "sigmoid")(x))


def whole():
    """Everything is trained, normalizations too.

    Biases before them would have no effect, and so be steered by rounding.
    """
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            L.Rescaling(1 / 127.5, offset=-1),
            L.Conv2D(6, 3, strides=2, use_bias=False),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Conv2D(8, 3, use_bias=False),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(4, "softmax"),
        ]
    )


class Doubled(L.Layer):
    """A layer of one's own without weights, which needs no get_config."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor


class Inside(keras.Model):
    """A model with a call of its own, which Keras can make again from its settings."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.dense = L.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {"units": self.units, "name": self.name}


def ones_own():
    """What students bring along: a lambda, layers of their own, adapted statistics."""
    pictures, _ = DATA["odd"].split("train")
    normalization = L.Normalization()
    normalization.adapt(pictures.astype("float32"))
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            normalization,
            Doubled(np.array(0.5, "float32")),
            L.Conv2D(4, 5, strides=4),
            L.Lambda(lambda x: keras.ops.tanh(x)),
            L.Flatten(),
            Inside(2),
        ]
    )


DATA = {
    "even": make_data(counts=(24, 12, 9)),
    "odd": make_data(counts=(23, 11, 9)),
    "one": make_data(counts=(21, 11, 9)),
    "four": make_data("task2", counts=(24, 13, 9)),
}
LOGITS = keras.losses.CategoricalCrossentropy(from_logits=True)
# name: devices, data, model, optimizer, loss, settings of the training, how often
CASES = {
    # batches of 10, 10 and 4
    "frozen head": (2, "even", frozen_head, "adam", "binary_crossentropy", {"batch_size": 10}, 2),
    # 10, 10 and 3: shares of 5 and 5, 5 and 5, 1 and 2
    "L2, class weights, schedule": (
        2,
        "odd",
        lambda: frozen_head(l2=0.05),
        lambda: SGD(0.05, momentum=0.9),
        "binary_crossentropy",
        {
            "batch_size": 10,
            "class_weight": True,
            "schedule": "cosine",
            "metrics": ("precision", "recall"),
        },
        1,
    ),
    # 5, 5, 5, 5 and 1: less pictures than devices in the last step
    "last layers unfrozen": (
        2,
        "one",
        last_unfrozen,
        lambda: SGD(0.1),
        "binary_crossentropy",
        {"batch_size": 5},
        1,
    ),
    # 11, 11 and 2: shares of 3, 4 and 4, then less pictures than devices
    "whole cnn": (
        3,
        "four",
        whole,
        "rmsprop",
        "sparse_categorical_crossentropy",
        {"batch_size": 11, "cache": False, "augment_views": 2},
        1,
    ),
    # 11, 11 and 1; stops before its last epoch
    "one's own": (
        2,
        "odd",
        ones_own,
        lambda: SGD(4.0),
        LOGITS,
        {
            "batch_size": 11,
            "schedule": "plateau",
            "patience": 1,
            "epochs": 12,
            "cache": False,
        },
        1,
    ),
}


def compiled(build, optimizer="sgd", loss="binary_crossentropy"):
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(optimizer() if callable(optimizer) else optimizer, loss=loss)
    return model


def history(result):
    table = result.history.drop(columns="seconds")
    scores = [result.train["loss"], result.validation["loss"]]
    return table.to_numpy().tolist(), scores, result.best_epoch


def difference(ours, theirs):
    """The largest difference between two lists of arrays, as a share of each array's largest."""
    return max(
        float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-3))
        for a, b in zip(ours, theirs, strict=True)
    )


def compared(devices, data, build, optimizer, loss, options, times):
    """The same training on one device and on several."""
    data = DATA[data]
    options = {"epochs": 3, "seed": 3, **options}
    told, models = [], []
    for number in (1, devices):
        model = compiled(build, optimizer, loss)
        results = [train(model, data, devices=number, **options) for _ in range(times)]
        told.append([history(result) for result in results])
        models.append((model, results[-1]))
    (alone, _), (shared, result) = models
    return {
        "one": told[0],
        "several": told[1],
        "cached": result.cached,
        "devices": result.summary()["devices"],
        "weights": difference(shared.get_weights(), alone.get_weights()),
        "statistics": difference(
            [np.asarray(v) for v in shared.non_trainable_variables],
            [np.asarray(v) for v in alone.non_trainable_variables],
        )
        if shared.non_trainable_variables
        else 0.0,
        "optimizer": difference(
            [np.asarray(v) for v in shared.optimizer.variables],
            [np.asarray(v) for v in alone.optimizer.variables],
        ),
        "predictions": predictions(shared, data),
        "saved": saved(result, data),
    }


def predictions(model, data):
    pictures, _ = data.split("test")
    return model.predict(pictures.astype("float32"), verbose=0).tolist()


def saved(result, data):
    """What the saved model says; None where a layer of one's own cannot be saved."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            result.save_model(path)
            return predictions(keras.models.load_model(path), data)
        except (KitError, TypeError, ValueError):
            return None


def refusal(build=plain_head, optimizer="sgd", loss="binary_crossentropy", **options):
    options = {"epochs": 1, "cache": False, "devices": 2, **options}
    try:
        train(compiled(build, optimizer, loss), DATA["even"], **options)
    except KitError as error:
        return str(error)
    return "no refusal"


class Scaled(L.Layer):
    """A layer with weights that does not say how it was made."""

    def __init__(self, units, activation):
        super().__init__()
        self.activation = keras.activations.get(activation.name)
        self.w = self.add_weight(shape=(units,))

    def call(self, x):
        return x * self.w


def without_config():
    inputs = keras.Input((16, 16, 3))
    x = Scaled(3, L.Activation("relu", name="relu"))(L.GlobalAveragePooling2D()(inputs / 255))
    return keras.Model(inputs, L.Dense(1, "sigmoid")(x))


def adds_to_the_loss():
    inputs = keras.Input((16, 16, 3))
    x = L.Dense(3, activity_regularizer="l2")(L.GlobalAveragePooling2D()(inputs / 255))
    return keras.Model(inputs, L.Dense(1, "sigmoid")(x))


def tower():
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, L.Dense(2, name="same")(L.Flatten(name="flat")(inputs)))


def two_towers():
    inputs = keras.Input((16, 16, 3))
    x = L.Concatenate()([tower()(inputs), tower()(inputs)])
    return keras.Model(inputs, L.Dense(1, "sigmoid")(x))


def mean_of_all(targets, outputs):
    return keras.ops.mean(keras.losses.binary_crossentropy(targets, outputs))


def refusals():
    summed = keras.losses.BinaryCrossentropy(reduction="sum")
    return {
        "four devices": refusal(devices=4),
        "xla": refusal(xla=True),
        "no get_config": refusal(without_config),
        "same names": refusal(two_towers),
        "add_loss": refusal(adds_to_the_loss),
        "scalar loss": refusal(loss=mean_of_all),
        "summed loss": refusal(loss=summed),
        "short name": refusal(loss="crossentropy"),
        "clipnorm": refusal(optimizer=lambda: SGD(0.1, clipnorm=1.0)),
    }


def dropout():
    """Each device's state of random numbers, and the losses of a training with dropout."""
    inputs = keras.Input((16, 16, 3))
    x = L.Dropout(0.5)(L.Flatten()(inputs / 255))
    model = keras.Model(inputs, L.Dense(1, "sigmoid")(x))
    model.compile("sgd", loss="binary_crossentropy")
    options = {"loss": model.loss}
    with on_devices(model, device_names(2), options) as shared:
        (seed,) = (v for v in shared.variables if v.name == "seed_generator_state")
        states = [v.numpy().tolist() for v in seed.value.values]
    return states, train(model, DATA["even"], epochs=2, devices=2).history["loss"].tolist()


def interrupted():
    """What a training that was broken off leaves in the student's model: whether it moved."""
    model = compiled(plain_head)
    before = model.get_weights()
    fit = keras.Model.fit

    def broken_off(self, *args, **options):
        fit(self, *args, **options)
        raise KeyboardInterrupt

    keras.Model.fit = broken_off
    try:
        train(model, DATA["even"], epochs=1, devices=2)
    except KeyboardInterrupt:
        return difference(model.get_weights(), before)
    finally:
        keras.Model.fit = fit


def timed():
    """Times of a training through the whole model on two devices, and what they changed."""
    model = compiled(last_unfrozen)
    before = model.get_weights()
    pictures, labels = DATA["even"].split("train")
    targets = labels[:, None].astype("float32")
    seconds = time_uncached(model, pictures, targets, 10, 1, 0, devices=device_names(2))
    return seconds, difference(model.get_weights(), before)


if __name__ == "__main__":
    figures = {name: compared(*case) for name, case in CASES.items()}
    figures |= {"refusals": refusals(), "dropout": dropout(), "interrupted": interrupted()}
    figures["timed"] = timed()
    Path(sys.argv[1]).write_text(json.dumps(figures), encoding="utf-8")
