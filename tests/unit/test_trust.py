"""Frozen parts of every kind: computed once where that changes nothing, else not, and why."""

import re

import numpy as np
import pandas as pd
import pytest

from xray_helpers.evaluation import embed, evaluate
from xray_helpers.quiet_import import keras
from xray_helpers.training import train
from xray_helpers.training.trust import trusted_split

L = keras.layers


def frozen(layer):
    layer.trainable = False
    return layer


def head(x):
    x = L.Dropout(0.3)(L.Flatten()(x))
    return L.Dense(1, activation="sigmoid")(L.Dense(4, activation="relu")(x))


def on_pictures(build, seed=0) -> keras.Model:
    """The compiled model `pictures / 255 -> build -> head`."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, head(build(inputs / 255)))
    model.compile(keras.optimizers.SGD(0.05), loss="binary_crossentropy", metrics=["accuracy"])
    return model


# --- computed once ------------------------------------------------------------------------------


def shared(x):
    """One frozen layer called twice, the second time on what the first call gave."""
    layer = frozen(L.Conv2D(3, 3, padding="same"))
    return layer(layer(x))


def shared_across(x):
    """One frozen layer, called before and behind a layer that is trained."""
    layer = frozen(L.Conv2D(3, 3, padding="same"))
    return layer(L.Conv2D(3, 3, padding="same", activation="relu")(layer(x)))


def operations(x):
    """Plain operations before, between and behind frozen layers."""
    x = frozen(L.Conv2D(4, 3))(keras.ops.flip(x, axis=-1) * 2 - 1)
    return keras.ops.mean(keras.ops.relu(x), axis=[1, 2])


def nested(x):
    """A model in a model in a model."""
    inside = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(4, 3), L.BatchNormalization()])
    middle = keras.Input((16, 16, 3))
    middle = keras.Model(middle, L.ReLU()(inside(middle)), name="middle")
    return frozen(middle)(x)


def two_outputs(x):
    """A backbone that gives two maps, both used."""
    inputs = keras.Input((16, 16, 3))
    a = L.Conv2D(4, 3, padding="same")(inputs)
    backbone = frozen(keras.Model(inputs, [a, L.MaxPooling2D()(a)]))
    first, second = backbone(x)
    return L.Concatenate()([L.Flatten()(first), L.Flatten()(second)])


def named_outputs(x):
    """A backbone that gives its maps by name."""
    inputs = keras.Input((16, 16, 3))
    a = L.Conv2D(4, 3, padding="same")(inputs)
    backbone = frozen(keras.Model(inputs, {"deep": L.MaxPooling2D()(a), "early": a}))
    maps = backbone(x)
    return L.Concatenate()([L.Flatten()(maps["early"]), L.Flatten()(maps["deep"])])


def beside_the_pictures(x):
    """The pictures themselves are at the boundary too: another branch is trained on them."""
    return L.Concatenate()([frozen(L.Conv2D(2, 3))(x), L.Conv2D(2, 3)(x)])


def beside_an_augmentation(x):
    """One branch is frozen; the other augments."""
    return L.Concatenate()([frozen(L.Conv2D(2, 3))(x), L.Conv2D(2, 3)(L.RandomFlip(seed=0)(x))])


def group_norm(x):
    return frozen(L.GroupNormalization(2))(frozen(L.Conv2D(4, 3))(x))


class Own(L.Layer):
    """A student's layer that does nothing wrong."""

    def __init__(self):
        super().__init__()
        self.inner = L.Conv2D(4, 3)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x, training=None):
        return keras.ops.relu(self.inner(x))


def own(x):
    return frozen(Own())(x)


KINDS = [shared, shared_across, operations, nested, two_outputs, named_outputs]


@pytest.mark.parametrize("build", [*KINDS, beside_the_pictures, group_norm, own])
def test_frozen_parts_of_every_kind_give_the_same_as_training_end_to_end(build, tiny_data):
    results, ends = [], []
    for cache in (True, False):
        model = on_pictures(build)
        result = train(model, tiny_data, epochs=2, batch_size=5, cache=cache, seed=3)
        assert result.cached is cache, result.reason
        results.append(result.history.drop(columns="seconds"))
        ends.append(model.get_weights())
    pd.testing.assert_frame_equal(*results, rtol=1e-5)
    for cached, whole in zip(*ends, strict=True):
        np.testing.assert_allclose(cached, whole, rtol=1e-4, atol=1e-5)


def test_a_branch_that_augments_is_trained_beside_one_that_is_computed_once(tiny_data):
    result = train(on_pictures(beside_an_augmentation), tiny_data, epochs=1)
    assert result.cached


# --- not computed once --------------------------------------------------------------------------


def augmented(x):
    x = L.RandomRotation(0.1, seed=1)(L.RandomFlip("horizontal", seed=0)(x))
    return frozen(L.Conv2D(4, 3))(x)


def spectral(x):
    """Scales its weights in every step of training, frozen or not."""
    return frozen(L.SpectralNormalization(L.Conv2D(4, 3), name="spectral"))(x)


def regularised(x):
    return frozen(L.Conv2D(4, 3, activity_regularizer="l2", name="regularised"))(x)


class Livelier(Own):
    """Another factor while it is trained."""

    def call(self, x, training=None):
        return super().call(x) * (2 if training else 1)


class Inside(Own):
    """Has a layer inside that behaves so; its own `call` does not say."""

    def __init__(self):
        super().__init__()
        self.livelier = Livelier()

    def build(self, shape):
        self.livelier.build(shape)
        super().build(shape)

    def call(self, x):
        return self.livelier(x)


class Drawing(Own):
    """Draws random numbers of its own, with no seed that Keras knows of."""

    def call(self, x):
        return super().call(x) + np.random.default_rng().normal()


class Counting(Own):
    """Keeps a statistic that its output does not show at first."""

    def build(self, shape):
        super().build(shape)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=None):
        if training:
            self.calls.assign_add(1.0)
        return super().call(x)


class AddingLoss(Own):
    def call(self, x):
        self.add_loss(keras.ops.mean(x))
        return super().call(x)


def made_of(kind):
    return lambda x: frozen(kind())(x)


NOT_SAME = [
    (augmented, "'random_flip.*' already changes while the model is trained"),
    (spectral, "'spectral' says something else in training than in prediction"),
    (regularised, "'regularised' already changes while the model is trained"),
    (made_of(Livelier), "'livelier.*' says something else in training than in prediction"),
    (made_of(Inside), "'inside.*' says something else in training than in prediction"),
    (made_of(Drawing), "'drawing.*' says something else in training than in prediction"),
    (made_of(Counting), "'counting.*' changes its own weights in training"),
    (made_of(AddingLoss), "'adding_loss.*' adds to the loss"),
]


@pytest.mark.parametrize(("build", "reason"), NOT_SAME)
def test_what_is_not_the_same_in_training_is_found_and_told(build, reason, tiny_data):
    model = on_pictures(build)
    before = model.get_weights()
    split = trusted_split(model, tiny_data.pictures)
    assert split.frozen is None
    assert split.head is model
    assert re.search(reason, split.reason), split.reason
    for ours, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, old)  # the trial leaves no trace


@pytest.mark.parametrize("build", [augmented, spectral])
def test_what_is_not_the_same_is_trained_end_to_end_and_recorded(build, tiny_data):
    model = on_pictures(build)
    result = train(model, tiny_data, epochs=1)
    assert not result.cached
    reason = trusted_split(on_pictures(build), tiny_data.pictures).reason
    assert result.summary()["not_cached_because"].split("'")[2:] == reason.split("'")[2:]
    assert evaluate(model, tiny_data).accuracy.n == 9
    assert embed(model, tiny_data.pictures, model.layers[-2].name).shape == (45, 4)


def test_the_layer_that_is_told_is_the_first_of_several(tiny_data):
    model = on_pictures(lambda x: made_of(Livelier)(spectral(group_norm(x))))
    assert "'spectral'" in trusted_split(model, tiny_data.pictures).reason
