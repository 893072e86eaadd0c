"""What a model's numbers mean: probabilities, logits, margins; from training to the record."""

import numpy as np
import pandas as pd
import pytest

from xray_helpers.errors import KitError
from xray_helpers.evaluation import evaluate
from xray_helpers.models.describe import describe
from xray_helpers.models.output import (
    class_probabilities,
    last_activation,
    model_notes,
    output_meaning,
    predicted_classes,
)
from xray_helpers.models.recipes import RECIPES, choose_recipe, own_recipe
from xray_helpers.quiet_import import keras
from xray_helpers.training import train

L = keras.layers
SHAPE = (16, 16, 3)


def compiled(model, loss, rate=0.01):
    model.compile(keras.optimizers.Adam(rate), loss=loss)
    return model


def sequential(units=1, activation=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input(SHAPE), L.Rescaling(1 / 255), L.Flatten(), L.Dense(units, activation)]
    )


def frozen_below(units=1, activation=None):
    """A frozen convolution, a head with dropout."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    conv = L.Conv2D(6, 3, activation="relu")
    conv.trainable = False
    x = L.MaxPooling2D(4)(conv(L.Rescaling(1 / 255)(inputs)))
    x = L.Dropout(0.3)(L.Dense(8, activation="relu", name="feature_dense")(L.Flatten()(x)))
    return keras.Model(inputs, L.Dense(units, activation, name="output")(x))


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.dense = L.Flatten(), L.Dense(1)

    def call(self, x):
        return self.dense(self.flatten(x / 255))


@keras.saving.register_keras_serializable()
def my_hinge(true, score):
    return keras.losses.hinge(true, score)


# --- the meaning --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "activation", "meaning"),
    [
        ("binary_crossentropy", "sigmoid", "probability"),
        (keras.losses.BinaryCrossentropy(), "sigmoid", "probability"),
        (keras.losses.binary_crossentropy, "sigmoid", "probability"),
        ("mse", "sigmoid", "probability"),
        ("hinge", None, "margin"),
        ("squared_hinge", None, "margin"),
        (keras.losses.Hinge(), None, "margin"),
        (keras.losses.SquaredHinge(name="mine"), None, "margin"),
        (keras.losses.squared_hinge, None, "margin"),
        (my_hinge, None, "margin"),
        ("hinge", "tanh", "margin"),
        ("hinge", "sigmoid", "probability"),
        (keras.losses.BinaryCrossentropy(from_logits=True), None, "logit"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid", "probability"),
    ],
)
def test_loss_and_last_layer_tell_what_one_number_means(loss, activation, meaning):
    for build in (sequential, frozen_below):
        assert output_meaning(compiled(build(1, activation), loss)) == meaning


@pytest.mark.parametrize(
    ("loss", "activation", "meaning"),
    [
        ("categorical_crossentropy", "softmax", "probability"),
        ("sparse_categorical_crossentropy", "softmax", "probability"),
        (keras.losses.CategoricalCrossentropy(from_logits=True), None, "logit"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, "logit"),
        ("categorical_hinge", None, "margin"),
    ],
)
def test_loss_and_last_layer_tell_what_several_numbers_mean(loss, activation, meaning):
    assert output_meaning(compiled(sequential(4, activation), loss)) == meaning


def test_the_last_activation_is_found_in_models_of_every_kind():
    inputs = keras.Input((3,))
    assert last_activation(keras.Model(inputs, L.Dense(1, activation="tanh")(inputs))) == "tanh"
    assert last_activation(keras.Model(inputs, L.Softmax()(L.Dense(2)(inputs)))) == "softmax"
    behind = L.Activation("sigmoid")(L.Dense(1)(inputs))
    assert last_activation(keras.Model(inputs, behind)) == "sigmoid"
    assert last_activation(keras.Model(inputs, keras.ops.sigmoid(inputs))) == "sigmoid"
    nested = keras.Sequential([keras.Input((3,)), L.Dense(2, activation="softmax")])
    assert last_activation(keras.Model(inputs, nested(inputs))) == "softmax"
    assert last_activation(keras.Sequential([keras.Input((3,)), nested])) == "softmax"
    assert last_activation(OwnCall()) is None


def test_of_a_model_with_a_call_of_its_own_the_loss_tells():
    assert output_meaning(compiled(OwnCall(), "hinge")) == "margin"
    assert output_meaning(compiled(OwnCall(), "binary_crossentropy")) == "probability"


# --- from numbers to classes --------------------------------------------------------------------


def test_classes_and_columns_agree_and_keep_the_order():
    scores = np.array([[-3.0], [-1e-12], [0.0], [1e-12], [0.4], [2.0], [50.0]])
    for meaning in ("logit", "margin"):
        assert predicted_classes(scores, meaning).tolist() == [0, 0, 0, 1, 1, 1, 1]
        columns = class_probabilities(scores, meaning)
        np.testing.assert_allclose(columns[:, 1], 1 / (1 + np.exp(-scores[:, 0])))
        np.testing.assert_allclose(columns.sum(axis=1), 1)
        assert (np.diff(columns[:, 1]) >= 0).all()
    shares = np.array([[0.2], [0.5], [0.6]])
    assert predicted_classes(shares, "probability").tolist() == [0, 0, 1]
    np.testing.assert_allclose(class_probabilities(shares, "probability")[:, 1], shares[:, 0])


def test_several_logits_become_their_softmax():
    logits = np.array([[1.0, 3.0, -2.0], [0.0, -1.0, -1.0]])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(class_probabilities(logits, "logit"), expected)
    assert predicted_classes(logits, "logit").tolist() == [1, 0]


# --- hinge, from training to the record ---------------------------------------------------------


@pytest.mark.parametrize("power", [1, 2])
def test_keras_makes_minus_one_and_one_of_the_labels(power):
    """What `train` relies on: it gives 0 and 1."""
    loss = keras.losses.hinge if power == 1 else keras.losses.squared_hinge
    scores = np.array([[-2.0], [-0.5], [0.5], [2.0], [0.3]], "float32")
    for labels in ([0, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]):
        labels = np.array(labels, "float32")[:, None]
        by_hand = np.maximum(0, 1 - (2 * labels - 1) * scores)[:, 0] ** power
        np.testing.assert_allclose(loss(labels, scores), by_hand, rtol=1e-6)


@pytest.fixture
def separable(new_data):
    """Covid is bright, normal is dark: a line parts them."""
    data = new_data(counts=(40, 20, 21))
    dark = (data.table["label"] == "normal").to_numpy()
    data.pictures[dark] //= 4
    return data


@pytest.mark.parametrize(("loss", "power"), [("hinge", 1), ("squared_hinge", 2)])
def test_a_hinge_model_learns_and_is_scored_as_by_hand(loss, power, separable):
    model = compiled(sequential(), loss)
    result = train(model, separable, epochs=15, batch_size=8, seed=1)
    test = evaluate(model, separable)
    pictures, labels = separable.split("test")
    margins = model.predict(pictures.astype("float32"), verbose=0).ravel()
    by_hand = (margins > 0).astype(int)
    assert test.accuracy.value == (by_hand == labels).mean() > 0.9
    names = np.array(separable.classes)[by_hand]
    assert test.predictions["predicted"].tolist() == names.tolist()
    expected = np.mean(np.maximum(0, 1 - (2 * labels - 1) * margins) ** power)
    assert test.loss == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(
        test.predictions["p_covid"], 1 / (1 + np.exp(-margins)), rtol=1e-5, atol=1e-6
    )
    # The training saw the same threshold.
    val_pictures, val_labels = separable.split("validation")
    val_margins = model.predict(val_pictures.astype("float32"), verbose=0).ravel()
    assert result.validation["accuracy"] == pytest.approx(((val_margins > 0) == val_labels).mean())


def test_cached_and_uncached_training_agree_for_margins_and_schedules(tiny_data):
    histories = []
    for cache in (True, False):
        model = compiled(frozen_below(), "hinge")
        options = {"metrics": ("precision", "recall"), "schedule": "cosine", "seed": 3}
        result = train(model, tiny_data, epochs=4, batch_size=5, cache=cache, **options)
        assert result.cached is cache
        histories.append(result.history.drop(columns="seconds"))
    pd.testing.assert_frame_equal(*histories, rtol=1e-4)


def test_class_weights_go_with_a_hinge(new_data):
    """They are looked up by the labels 0 and 1."""
    data = new_data()
    data.table.loc[data.table.index[:6], "label"] = "covid"
    losses = [
        train(
            compiled(sequential(), "hinge", rate=1e-9), data, epochs=1, batch_size=24,
            class_weight=weight,
        ).history["loss"][0]
        for weight in (False, True)
    ]  # fmt: skip
    pictures, labels = data.split("train")
    margins = sequential().predict(pictures.astype("float32"), verbose=0).ravel()
    by_hand = np.maximum(0, 1 - (2 * labels - 1) * margins)
    weights = np.where(labels == 0, 24 / (2 * (labels == 0).sum()), 24 / (2 * labels.sum()))
    np.testing.assert_allclose(losses, [by_hand.mean(), (weights * by_hand).mean()], rtol=1e-4)


@pytest.mark.parametrize(
    ("units", "loss"),
    [
        (1, keras.losses.BinaryCrossentropy(from_logits=True)),
        (2, keras.losses.CategoricalCrossentropy(from_logits=True)),
    ],
)
def test_logits_give_the_same_results_as_the_probabilities_they_stand_for(units, loss, tiny_data):
    plain = {1: ("sigmoid", "binary_crossentropy"), 2: ("softmax", "categorical_crossentropy")}
    activation, same_loss = plain[units]
    logits, shares = compiled(sequential(units), loss), compiled(
        sequential(units, activation), same_loss
    )  # fmt: skip
    results = [train(model, tiny_data, epochs=3, seed=2) for model in (logits, shares)]
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    pd.testing.assert_frame_equal(
        results[0].history[columns], results[1].history[columns], rtol=1e-3
    )
    tested = [evaluate(model, tiny_data) for model in (logits, shares)]
    for name in ("p_normal", "p_covid"):
        np.testing.assert_allclose(*(t.predictions[name] for t in tested), atol=1e-3)
    assert tested[0].predictions["predicted"].equals(tested[1].predictions["predicted"])
    assert tested[0].loss == pytest.approx(tested[1].loss, rel=1e-3)


def test_the_record_says_that_margins_are_no_probabilities(tiny_data):
    result = evaluate(compiled(sequential(), "hinge"), tiny_data)
    assert "no calibrated probability" in result.figures()["p_columns"]
    assert result.score_name == "score (no probability)"
    usual = evaluate(compiled(sequential(1, "sigmoid"), "binary_crossentropy"), tiny_data)
    assert usual.figures()["p_columns"] == usual.score_name == "probability"


def test_a_margin_without_its_loss_is_refused(tiny_data):
    with pytest.raises(KitError, match=r"no probabilities; .* or a hinge"):
        evaluate(sequential(), tiny_data)


# --- the notes ----------------------------------------------------------------------------------


def test_a_model_of_ones_own_gets_the_same_notes_as_a_recipe():
    (note,) = model_notes(compiled(sequential(1, "sigmoid"), keras.losses.Hinge()))
    assert "never reaches the -1" in note
    (note,) = model_notes(compiled(sequential(1, "softmax"), "binary_crossentropy"))
    assert "softmax of one number is always 1" in note
    (note,) = model_notes(compiled(sequential(1), "binary_crossentropy"))
    assert "wants probabilities" in note
    assert not model_notes(compiled(sequential(), "hinge"))
    assert not model_notes(
        compiled(sequential(1), keras.losses.BinaryCrossentropy(from_logits=True))
    )
    assert not model_notes(compiled(OwnCall(), "hinge"))


def test_the_models_section_says_what_its_numbers_mean():
    mine = own_recipe(RECIPES["t1-default"], "mine")
    section = describe(compiled(sequential(), "hinge"), mine, "none", SHAPE)
    assert section["output"] == {"activation": "linear", "meaning": "margin"}
    assert section["notes"] == []


def test_a_model_of_ones_own_keeps_the_schedule_of_the_settings():
    chosen = choose_recipe("task1", {"schedule": "cosine", "dropout": 0.5})
    assert own_recipe(chosen, "mine").changed == ("schedule",)
    assert own_recipe(chosen, "mine").schedule == "cosine"
