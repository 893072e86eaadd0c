"""Learning rates from epoch to epoch."""

import math

import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.quiet_import import keras
from xray_helpers.settings.task import SCHEDULES
from xray_helpers.training import train
from xray_helpers.training.schedule import DECAY, PLATEAU_FACTOR, PLATEAU_PATIENCE

L = keras.layers
RATE = 0.02


def network(optimizer=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            L.Rescaling(1 / 255),
            L.Flatten(),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer or keras.optimizers.SGD(RATE), loss="binary_crossentropy")
    return model


FORMULAS = {
    "constant": lambda epoch: RATE,
    "cosine": lambda epoch: RATE * (1 + math.cos(math.pi * epoch / 6)) / 2,
    "exponential": lambda epoch: RATE * 0.95**epoch,
}


@pytest.mark.parametrize("schedule", FORMULAS)
def test_the_rate_of_each_epoch_is_that_of_the_formula_and_stands_in_the_history(
    schedule, tiny_data
):
    model = network()
    result = train(model, tiny_data, epochs=6, schedule=schedule)
    expected = [FORMULAS[schedule](epoch) for epoch in range(6)]
    np.testing.assert_allclose(result.history["learning_rate"], expected, rtol=1e-5)
    assert result.summary()["schedule"] == schedule


def test_the_steps_are_taken_at_the_scheduled_rate(tiny_data):
    """By hand: plain gradient steps at the rates of the formula give the same weights."""
    from xray_helpers.training.batches import training_order

    model, by_hand = network(), network()
    result = train(model, tiny_data, epochs=2, batch_size=8, schedule="exponential", seed=3)
    pictures, labels = tiny_data.split("train")
    weights = []
    for epoch, order in enumerate(training_order(24, 0, 2, 3)):
        by_hand.optimizer.learning_rate = RATE * DECAY**epoch
        for start in range(0, 24, 8):
            rows = order[start : start + 8]
            by_hand.train_on_batch(pictures[rows].astype("float32"), labels[rows, None])
        weights.append(by_hand.get_weights())
    for ours, theirs in zip(model.get_weights(), weights[result.best_epoch - 1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_plateau_halves_the_rate_when_the_validation_loss_stands_still(tiny_data):
    """At a rate of 1e-12 nothing gets better."""
    model = network(keras.optimizers.SGD(1e-12))
    result = train(model, tiny_data, epochs=PLATEAU_PATIENCE + 3, schedule="plateau")
    rates = result.history["learning_rate"] / 1e-12
    # The first epoch counts as better than nothing; then so many without a lower loss.
    before = PLATEAU_PATIENCE + 1
    np.testing.assert_allclose(rates[:before], 1, rtol=1e-5)
    np.testing.assert_allclose(rates[before:], PLATEAU_FACTOR, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["exponential", "plateau"])
def test_the_optimizer_has_its_first_rate_back(schedule, tiny_data):
    model = network()
    train(model, tiny_data, epochs=3, schedule=schedule)
    assert float(model.optimizer.learning_rate.numpy()) == np.float32(RATE)
    again = train(model, tiny_data, epochs=1, schedule=schedule)
    assert again.history["learning_rate"][0] == pytest.approx(RATE)


def test_the_rate_is_put_back_when_training_is_interrupted(tiny_data, monkeypatch):
    fit = keras.Model.fit

    def interrupted(self, *args, **options):
        fit(self, *args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", interrupted)
    model = network()
    with pytest.raises(KeyboardInterrupt):
        train(model, tiny_data, epochs=3, schedule="cosine")
    assert float(model.optimizer.learning_rate.numpy()) == np.float32(RATE)


def test_an_optimizer_with_a_schedule_of_its_own_is_left_to_it(tiny_data):
    own = keras.optimizers.schedules.ExponentialDecay(RATE, decay_steps=3, decay_rate=0.5)
    model = network(keras.optimizers.SGD(own))
    # 24 pictures in steps of 8: three steps an epoch.
    result = train(model, tiny_data, epochs=3, batch_size=8)
    np.testing.assert_allclose(
        result.history["learning_rate"], [RATE, RATE / 2, RATE / 4], rtol=1e-5
    )
    with pytest.raises(KitError, match=r"schedule of its own; leave schedule='constant'"):
        train(model, tiny_data, epochs=3, schedule="cosine")


def test_an_unknown_schedule_is_refused_with_those_there_are(tiny_data):
    assert set(SCHEDULES) == {*FORMULAS, "plateau"}
    with pytest.raises(KitError, match=r"'cosin' is unknown; it is one of constant, cosine"):
        train(network(), tiny_data, epochs=1, schedule="cosin")
