import numpy as np
import pandas as pd
import pytest

from xray_helpers.errors import KitError
from xray_helpers.models.precision import precision_policy
from xray_helpers.quiet_import import keras
from xray_helpers.training import Training, split_model, time_uncached, train
from xray_helpers.training.batches import (
    fixed_batches,
    targets_for,
    training_batches,
    training_order,
)

L = keras.layers
SGD = keras.optimizers.SGD


def frozen(layer):
    layer.trainable = False
    return layer


def compiled(model, optimizer=None, loss="binary_crossentropy"):
    model.compile(optimizer or SGD(0.05), loss=loss, metrics=["accuracy"])
    return model


def plain(seed=0, rate=0.5):
    """Frozen convolutions, a head with dropout."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((16, 16, 3))
    x = L.Rescaling(1 / 255)(x)
    x = frozen(L.Conv2D(8, 3, activation="relu"))(x)
    x = frozen(L.BatchNormalization())(x)
    x = L.Flatten()(L.MaxPooling2D(2)(x))
    x = L.Dropout(rate)(L.Dense(8, activation="relu", name="feature_dense")(x))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(x))


def nested(seed=0):
    """The same, the frozen part a model of its own that is called with training=False."""
    keras.utils.set_random_seed(seed)
    x = inside = keras.Input((16, 16, 3))
    x = L.Conv2D(6, 3, activation="relu")(x)
    x = L.BatchNormalization()(x)
    backbone = frozen(keras.Model(inside, L.Dropout(0.5)(x), name="backbone"))
    inputs = keras.Input((16, 16, 3))
    x = backbone(inputs / 255, training=False)
    x = L.Dropout(0.3)(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(x))


def residual(seed=0):
    """Two tensors at the boundary: the last block is trained, its shortcut comes from before."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    shortcut = frozen(L.Conv2D(6, 3, padding="same"))(L.Rescaling(1 / 255)(inputs))
    x = frozen(L.Conv2D(6, 3, padding="same", activation="relu"))(shortcut)
    x = L.BatchNormalization()(x)  # live
    x = L.GlobalAveragePooling2D()(L.Add()([x, shortcut]))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Dropout(0.3)(x)))


def statistics_only(seed=0):
    """Statistics that move although nothing in the layer is trained and it is called so."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    norm = L.BatchNormalization(center=False, scale=False)
    x = norm(frozen(L.Conv2D(4, 3))(inputs), training=False)
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.GlobalAveragePooling2D()(x)))


def sixteen_bits(seed=0):
    """The frozen part computes in bfloat16."""
    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((16, 16, 3))
    with precision_policy("mixed_bfloat16"):
        x = frozen(L.Conv2D(8, 3, activation="relu"))(L.Rescaling(1 / 255)(x))
    x = L.Dropout(0.5)(L.Dense(8, activation="relu")(L.Flatten()(x)))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(x))


# --- the boundary -------------------------------------------------------------------------------


def test_the_frozen_part_ends_at_the_first_layer_that_changes():
    split = split_model(plain())
    assert split.reason == ""
    kinds = [type(layer).__name__ for layer in split.frozen.layers[1:]]
    assert kinds == ["Rescaling", "Conv2D", "BatchNormalization", "MaxPooling2D", "Flatten"]
    assert [type(layer).__name__ for layer in split.head.layers[1:]] == [
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert len(split.boundary) == 1


def test_two_parts_together_are_the_model():
    model = residual()
    split = split_model(model)
    assert len(split.boundary) == 2
    x = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype("float32")
    whole = model.predict(x, verbose=0)
    parts = split.head.predict(split.frozen.predict(x, verbose=0), verbose=0)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


@pytest.fixture(scope="module")
def vgg16():
    return keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))


@pytest.mark.parametrize(
    ("last", "boundary"), [(0, "flatten"), (5, "block4_pool"), (2, "block5_conv2")]
)
def test_boundary_of_a_backbone_with_its_last_layers_unfrozen(vgg16, last, boundary):
    from xray_helpers.models.build import unfreeze

    for layer in vgg16.layers:
        layer.trainable = True
    unfreeze(vgg16, last)
    inputs = keras.Input((32, 32, 3))
    flat = L.Flatten(name="flatten")(vgg16(inputs))
    split = split_model(keras.Model(inputs, L.Dense(1)(flat)))
    assert split.frozen.layers[-1].name == boundary
    assert [id(w) for w in split.head.trainable_weights] == [
        id(w) for w in [*vgg16.trainable_weights, *split.head.layers[-1].weights]
    ]


def test_resnet50_with_its_last_three_layers_unfrozen_has_two_boundary_tensors():
    from xray_helpers.models.build import unfreeze

    backbone = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3))
    unfreeze(backbone, 3)
    inputs = keras.Input((32, 32, 3))
    split = split_model(keras.Model(inputs, L.Dense(1)(L.Flatten()(backbone(inputs)))))
    assert len(split.boundary) == 2
    assert not split.frozen.trainable_weights
    assert [layer.name for layer in split.head.layers if layer.name.startswith("conv5")] == [
        "conv5_block3_3_bn",
        "conv5_block3_add",
        "conv5_block3_out",
    ]


def split_behind(layer, *, training=None):
    inputs = keras.Input((4,))
    x = frozen(L.Dense(4))(inputs)
    x = layer(x) if training is None else layer(x, training=training)
    return split_model(keras.Model(inputs, L.Dense(1)(frozen(L.Dense(3, name="behind"))(x))))


def is_frozen(layer, **options) -> bool:
    return any(found.name == "behind" for found in split_behind(layer, **options).frozen.layers)


def test_a_batch_normalization_is_frozen_only_while_nothing_in_it_moves():
    assert is_frozen(frozen(L.BatchNormalization()))
    assert not is_frozen(L.BatchNormalization())
    assert not is_frozen(L.BatchNormalization(center=False, scale=False))  # statistics move
    # What a student says when calling it does not hold: `fit` overrides it.
    assert not is_frozen(L.BatchNormalization(center=False, scale=False), training=False)
    assert not is_frozen(L.BatchNormalization(), training=False)  # gamma and beta are trained


def test_dropout_is_not_frozen_not_even_with_trainable_false():
    assert not is_frozen(L.Dropout(0.5))
    assert not is_frozen(frozen(L.Dropout(0.5)))
    assert not is_frozen(L.GaussianNoise(0.1))
    assert is_frozen(L.Activation("relu"))


def test_dropout_inside_a_layer_of_ones_own_is_seen():
    class Block(L.Layer):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(4)
            self.dropout = L.Dropout(0.5)

        def call(self, x):
            return self.dropout(self.inner(x))

    assert not is_frozen(frozen(Block()))


@pytest.mark.parametrize("trainable", [True, False])
def test_without_anything_to_compute_once_the_reason_is_told(trainable):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(1)(inputs))
    model.trainable = trainable
    split = split_model(model)
    assert split.frozen is None
    assert split.head is model
    word = (
        "No layer with weights is frozen" if trainable else "Nothing in this model can be trained"
    )
    assert word in split.reason


def test_augmentation_at_the_input_leaves_nothing_to_compute_once():
    inputs = keras.Input((16, 16, 3))
    x = frozen(L.Conv2D(4, 3))(L.RandomFlip()(inputs))
    split = split_model(keras.Model(inputs, L.Dense(1)(L.Flatten()(x))))
    assert split.frozen is None
    assert split.reason


# --- cached training is the same training -------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "xla"),
    [
        (plain, False),
        (nested, False),
        (residual, False),
        (statistics_only, False),
        (sixteen_bits, False),
        (plain, True),
    ],
)
def test_cached_training_equals_training_end_to_end(build, xla, tiny_data):
    results, ends = [], []
    start = build().get_weights()
    for cache in (True, False):
        model = compiled(build())
        result = train(model, tiny_data, epochs=3, batch_size=5, cache=cache, xla=xla, seed=3)
        assert (result.cached, result.xla) == (cache, xla)
        assert result.precision == ("mixed_bfloat16" if build is sixteen_bits else "float32")
        results.append(result.history[["loss", "accuracy", "val_loss", "val_accuracy"]])
        ends.append(model.get_weights())
        assert result.validation["loss"] == pytest.approx(
            result.history["val_loss"].min(), rel=1e-4
        )
    pd.testing.assert_frame_equal(results[0], results[1], rtol=1e-5)
    for first, cached, whole in zip(start, *ends, strict=True):
        moved = np.abs(whole - first).max()
        assert np.abs(cached - whole).max() <= 1e-4 * moved + 1e-7
    assert any(np.abs(b - a).max() > 1e-3 for a, b in zip(start, ends[0], strict=True))


def test_training_is_plain_keras_training(tiny_data):
    """Without dropout, the same batches in the same order by hand give the same weights."""
    model, by_hand = compiled(plain(rate=0)), compiled(plain(rate=0))
    result = train(model, tiny_data, epochs=2, batch_size=5, seed=3)
    pictures, labels = tiny_data.split("train")
    weights = []
    for epoch in training_order(24, 0, 2, 3):
        for start in range(0, 24, 5):
            rows = epoch[start : start + 5]
            x, y = pictures[rows].astype("float32"), labels[rows, None].astype("float32")
            by_hand.train_on_batch(x, y)
        weights.append(by_hand.get_weights())
    best = weights[result.best_epoch - 1]
    for ours, theirs in zip(model.get_weights(), best, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_same_settings_twice_give_identical_weights(tiny_data):
    ends = []
    for seed in (5, 5, 6):
        model = compiled(plain())
        train(model, tiny_data, epochs=2, seed=seed)
        ends.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


# --- any Keras model ----------------------------------------------------------------------------


def sequential_without_input():
    return keras.Sequential([L.Rescaling(1 / 255), L.Flatten(), L.Dense(1, activation="sigmoid")])


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.dense = L.Flatten(), L.Dense(1, activation="sigmoid")

    def call(self, x):
        return self.dense(self.flatten(x / 255))


class NoConfig(L.Layer):
    """A frozen layer that Keras cannot write down."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def with_own_layer(factor=1 / 255):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = frozen(L.Conv2D(4, 3))(NoConfig(lambda x: x * factor)(inputs))
    return keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Flatten()(x)))


@pytest.mark.parametrize("build", [sequential_without_input, OwnCall, with_own_layer])
def test_models_of_every_kind_are_trained_timed_and_evaluated(build, tiny_data):
    from xray_helpers.evaluation import evaluate

    model = compiled(build(), "adam")
    result = train(model, tiny_data, epochs=2, timed_epochs=1)
    assert len(result.history) == 2
    assert result.seconds["uncached_step"] > 0
    assert evaluate(model, tiny_data).accuracy.n == 9


@pytest.mark.parametrize(
    ("units", "loss"),
    [
        (1, "binary_crossentropy"),
        (1, keras.losses.binary_crossentropy),
        (2, "categorical_crossentropy"),
        (2, "sparse_categorical_crossentropy"),
        (2, keras.losses.SparseCategoricalCrossentropy()),
        (2, keras.losses.sparse_categorical_crossentropy),
    ],
)
def test_targets_have_the_form_that_the_loss_wants(units, loss):
    inputs = keras.Input((3,))
    model = compiled(keras.Model(inputs, L.Dense(units)(inputs)), loss=loss)
    targets = targets_for(model, units, np.array([0, 1, 1]), 2)
    one_hot = units == 2 and "sparse" not in str(getattr(loss, "name", None) or loss)
    expected = [[1, 0], [0, 1], [0, 1]] if one_hot else [[0], [1], [1]]
    assert targets.tolist() == expected
    assert targets.dtype == np.float32


def test_an_output_that_does_not_fit_the_classes_is_refused(tiny_data, tiny_data4):
    model = compiled(keras.Sequential([keras.Input((16, 16, 3)), L.Flatten(), L.Dense(3)]))
    with pytest.raises(KitError, match=r"gives 3 numbers a picture, but the 2 classes need 2"):
        train(model, tiny_data)
    with pytest.raises(KitError, match="the 4 classes need 4"):
        train(model, tiny_data4)


def test_a_model_that_is_not_compiled_is_refused(tiny_data):
    with pytest.raises(KitError, match="not compiled"):
        train(plain(), tiny_data)


def test_a_model_for_pictures_of_another_size_is_refused(tiny_data):
    model = compiled(keras.Sequential([keras.Input((32, 32, 3)), L.Flatten(), L.Dense(1)]))
    with pytest.raises(KitError, match=r"takes pictures of shape \(32, 32, 3\)"):
        train(model, tiny_data)


# --- what a training does -----------------------------------------------------------------------


def test_the_best_epochs_weights_are_kept(tiny_data):
    """A rate so high that the validation loss goes up and down."""
    model = compiled(plain(), SGD(1.0))
    result = train(model, tiny_data, epochs=8, batch_size=4)
    val_loss = result.history["val_loss"]
    assert result.best_epoch == 1 + val_loss.argmin()
    assert result.best_epoch < 8
    pictures, labels = tiny_data.split("validation")
    loss, accuracy = model.evaluate(
        pictures.astype("float32"), labels[:, None].astype("float32"), verbose=0
    )
    assert loss == pytest.approx(val_loss.min(), rel=1e-4)
    assert result.validation == pytest.approx(
        {"loss": loss, "accuracy": accuracy, "n": 12}, rel=1e-4
    )
    train_pictures, train_labels = tiny_data.split("train")
    loss, accuracy = model.evaluate(
        train_pictures.astype("float32"), train_labels[:, None].astype("float32"), verbose=0
    )
    assert result.train == pytest.approx({"loss": loss, "accuracy": accuracy, "n": 24}, rel=1e-4)


def test_patience_stops_a_training_that_gets_no_better(tiny_data):
    result = train(compiled(plain(), SGD(0.0)), tiny_data, epochs=20, patience=2)
    assert result.best_epoch == 1
    assert len(result.history) == 3
    assert result.history["epoch"].tolist() == [1, 2, 3]


def bare():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            L.Rescaling(1 / 255),
            L.Flatten(),
            L.Dense(1, activation="sigmoid"),
        ]
    )


@pytest.fixture
def fits(monkeypatch):
    """What `fit` was told, each time; it still trains."""
    told = []
    fit = keras.Model.fit

    def spy(self, x=None, **options):
        told.append({"batches": x, "steps_a_call": self.steps_per_execution, **options})
        return fit(self, x, **options)

    monkeypatch.setattr(keras.Model, "fit", spy)
    return told


def test_class_weights_make_classes_count_alike(new_data, fits):
    from dataclasses import replace

    data = new_data()
    labels = data.table["label"].where(
        (data.table["split"] != "train") | (data.table.index < 6), "covid"
    )
    data = replace(data, table=data.table.assign(label=labels))  # 3 normal, 21 covid
    result = train(compiled(bare(), SGD(0.0)), data, epochs=1, class_weight=True)
    assert fits[0]["class_weight"] == pytest.approx({0: 24 / 6, 1: 24 / 42})
    unweighted = train(compiled(bare(), SGD(0.0)), data, epochs=1)
    assert fits[1]["class_weight"] is None
    assert result.history["loss"][0] != pytest.approx(unweighted.history["loss"][0], rel=1e-3)


def test_steps_per_epoch_lets_the_stream_run_on(tiny_data, fits):
    result = train(compiled(bare()), tiny_data, epochs=4, batch_size=10, steps_per_epoch=2)
    assert result.steps_per_epoch == 2
    assert len(result.history) == 4
    assert fits[0]["steps_per_epoch"] == 2
    assert int(fits[0]["batches"].cardinality()) >= 8
    plain_run = train(compiled(bare()), tiny_data, epochs=1, batch_size=10)
    assert plain_run.steps_per_epoch == 3


def test_few_validation_steps_see_the_same_pictures_of_all_classes_each_epoch(new_data, fits):
    data = new_data(counts=(10, 40, 4))
    data.table.loc[data.table["split"] == "validation", "label"] = ["normal"] * 20 + ["covid"] * 20
    result = train(compiled(bare(), SGD(0.0)), data, epochs=3, validation_steps=2)
    assert result.history["val_loss"].nunique() == 1
    seen = np.concatenate([y for _, y in fits[0]["validation_data"].take(2)])
    assert set(seen.ravel()) == {0.0, 1.0}
    assert result.validation["n"] == 40


def test_an_epoch_of_a_small_head_is_one_call_and_counts_as_its_steps(tiny_data, fits):
    result = train(compiled(plain()), tiny_data, epochs=4, batch_size=5)
    assert fits[0]["steps_a_call"] == result.steps_per_epoch == 5
    assert len(result.history) == 4
    assert result.model.optimizer.iterations == 4 * 5


def test_steps_that_are_one_call_have_its_mean_time_and_validation_does_not_count(monkeypatch):
    from types import SimpleNamespace

    from xray_helpers.training import watch

    clock = iter([100.0, 101.0, 111.0, 120.0, 121.0, 123.0])
    monkeypatch.setattr(watch, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    timer = watch.StepTimer()
    for first, last in ((0, 4), (5, 5)):
        timer.on_epoch_begin(0)
        timer.on_train_batch_begin(first)
        timer.on_train_batch_end(last)
        timer.on_epoch_end(0)
    assert timer.steps == [10 / 5, 2]
    assert timer.epochs == [11, 3]


@pytest.mark.parametrize("options", [{"cache": False}, {"unfreeze": True}])
def test_what_takes_long_goes_step_by_step_so_that_it_can_be_interrupted(options, tiny_data, fits):
    model = plain()
    if options.pop("unfreeze", False):  # the convolution is trained, the rescaling has no weights
        inputs = keras.Input((16, 16, 3))
        x = L.Conv2D(4, 3)(frozen(L.Conv2D(4, 3))(inputs))
        model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Flatten()(x)))
        assert split_model(model).frozen
    train(compiled(model), tiny_data, epochs=1, **options)
    assert fits[0]["steps_a_call"] == 1


def test_fewer_validation_steps_than_a_call_takes_see_only_their_pictures(new_data):
    """A call could run on over all of the validation pictures."""
    data = new_data(counts=(40, 40, 4))
    result = train(compiled(plain(), SGD(0.0)), data, epochs=2, batch_size=5, validation_steps=1)
    alone = train(compiled(plain(), SGD(0.0)), data, epochs=1, batch_size=5)
    assert result.history["val_accuracy"].mul(5).mod(1).abs().max() < 1e-6  # of 5 pictures
    assert result.validation == pytest.approx(alone.validation, rel=1e-5)  # of all 40


def test_a_training_of_epochs_in_one_call_can_be_interrupted(tiny_data):
    """As a notebook's stop button does it; 5000 epochs would take half a minute."""
    import os
    import signal
    import threading
    import time

    train(compiled(plain()), tiny_data, epochs=1)  # what is done once is done
    stop = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT))
    # A process that a shell started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stop.start()
    started = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            train(compiled(plain()), tiny_data, epochs=5000)
    finally:
        stop.cancel()
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - started < 10


def test_the_bar_moves_with_every_epoch(tiny_data, monkeypatch):
    from xray_helpers.training import watch

    moved = []

    class Bar:
        def set_postfix_str(self, text, refresh):
            moved.append(text)

        def update(self):
            pass

        def close(self):
            pass

    monkeypatch.setattr(watch, "progress_bar", lambda *a, **k: Bar())
    history = train(compiled(plain()), tiny_data, epochs=3).history
    assert moved == [
        f"loss {a:.3f}, validation {b:.3f}"
        for a, b in zip(history["loss"], history["val_loss"], strict=True)
    ]


def test_a_cached_loss_that_is_no_number_stops_after_its_epoch(tiny_data):
    model = compiled(plain(), SGD(1e30), "mse")
    with pytest.raises(KitError, match="diverged; use a smaller learning_rate"):
        train(model, tiny_data, epochs=50)
    assert model.optimizer.iterations <= 2 * 3


@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_a_loss_that_is_no_number_ends_in_advice(tiny_data):
    model = keras.Sequential([keras.Input((16, 16, 3)), L.Flatten(), L.Dense(1)])
    with pytest.raises(KitError, match="diverged; use a smaller learning_rate"):
        train(compiled(model, SGD(1e30), "mse"), tiny_data, epochs=3)


def test_the_record_of_a_training(tiny_data):
    result = train(compiled(bare()), tiny_data, epochs=2, batch_size=7, timed_epochs=1)
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    assert list(result.history) == columns
    summary = result.summary()
    assert summary["epochs"] == 2
    assert summary["cached"] is False
    assert "frozen" in summary["not_cached_because"]
    assert set(summary["seconds"]) == {
        *("features", "first_epoch", "median_epoch", "median_step", "total"),
        *("uncached_epoch", "uncached_step"),
    }
    assert (summary["xla"], summary["precision"]) == (False, "float32")
    assert all(value >= 0 for value in summary["seconds"].values())


def test_timing_through_the_whole_model_changes_nothing(tiny_data):
    model = compiled(residual(), "adam")
    before = model.get_weights()
    pictures, labels = tiny_data.split("train")
    times = time_uncached(model, pictures, labels[:, None].astype("float32"), 5, 2, 0)
    assert times["uncached_epoch"] > times["uncached_step"] > 0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.optimizer.iterations == 0
    assert model.metrics_names  # still compiled


def test_the_models_weights_are_put_back_when_timing_is_interrupted(tiny_data, monkeypatch):
    model = compiled(bare())
    before = model.get_weights()
    fit = keras.Model.fit

    def interrupted(self, *args, **options):
        fit(self, *args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", interrupted)
    pictures, labels = tiny_data.split("train")
    with pytest.raises(KeyboardInterrupt):
        time_uncached(model, pictures, labels[:, None].astype("float32"), 5, 1, 0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# --- precision and recall an epoch --------------------------------------------------------------


def small_head(units=1, activation=None, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((16, 16, 3)), L.Rescaling(1 / 255), L.Flatten(), L.Dense(units, activation)]
    )


def precision_and_recall(said, true):
    """By hand: of those called 1 the share that is; of those that are 1 the share called so."""
    return true[said == 1].mean() if said.any() else np.nan, said[true == 1].mean()


@pytest.mark.parametrize(
    ("units", "activation", "loss", "above"),
    [
        (1, "sigmoid", "binary_crossentropy", 0.5),
        (1, None, "hinge", 0),
        (1, None, keras.losses.BinaryCrossentropy(from_logits=True), 0),
        (2, "softmax", "categorical_crossentropy", None),
        (2, "softmax", "sparse_categorical_crossentropy", None),
        (2, None, keras.losses.CategoricalCrossentropy(from_logits=True), None),
    ],
)
def test_precision_and_recall_an_epoch_are_those_counted_by_hand(
    units, activation, loss, above, tiny_data
):
    model = compiled(small_head(units, activation), SGD(0.0), loss)
    # A bias that divides the pictures, so that no count is 0.
    outputs = model.predict(tiny_data.pictures.astype("float32"), verbose=0)
    kernel, bias = model.layers[-1].get_weights()
    if units == 1 and activation is None:
        bias = bias - np.median(outputs, axis=0)
    model.layers[-1].set_weights([kernel, bias])
    result = train(model, tiny_data, epochs=1, batch_size=7, metrics=("precision", "recall"))
    for split, prefix in (("train", ""), ("validation", "val_")):
        pictures, labels = tiny_data.split(split)
        outputs = model.predict(pictures.astype("float32"), verbose=0)
        said = outputs.argmax(axis=1) if units == 2 else (outputs[:, 0] > above).astype(int)
        precision, recall = precision_and_recall(said, labels)
        row = result.history.iloc[0]
        assert row[f"{prefix}precision"] == pytest.approx(precision, nan_ok=True)
        assert row[f"{prefix}recall"] == pytest.approx(recall)
        assert row[f"{prefix}accuracy"] == pytest.approx((said == labels).mean())


def test_precision_is_not_defined_where_nothing_is_called_positive(tiny_data):
    model = compiled(small_head(1, "sigmoid"), SGD(0.0))
    model.layers[-1].set_weights([np.zeros((768, 1)), np.array([-1.0])])
    row = train(model, tiny_data, epochs=1, metrics=("precision", "recall")).history.iloc[0]
    assert np.isnan([row["precision"], row["val_precision"]]).all()
    assert row["recall"] == row["val_recall"] == 0


def test_without_asking_there_is_no_precision_in_the_history(tiny_data):
    assert "precision" not in train(compiled(small_head(1, "sigmoid")), tiny_data, epochs=1).history


def test_metrics_that_cannot_be_had_are_refused(tiny_data, tiny_data4):
    with pytest.raises(KitError, match=r"'auc' is unknown; take some of precision, recall"):
        train(compiled(small_head(1, "sigmoid")), tiny_data, metrics=("auc",))
    with pytest.raises(KitError, match="there are 4 classes; leave metrics out"):
        model = compiled(small_head(4, "softmax"), loss="categorical_crossentropy")
        train(model, tiny_data4, metrics=("recall",))


# --- batches ------------------------------------------------------------------------------------


def test_every_epoch_holds_each_picture_once_in_an_order_of_its_own():
    order = training_order(7, 0, 5, 1)
    assert all(sorted(epoch) == list(range(7)) for epoch in order)
    assert len({tuple(epoch) for epoch in order}) > 1
    assert np.array_equal(order, training_order(7, 0, 5, 1))
    assert not np.array_equal(order, training_order(7, 0, 5, 2))


def test_augmented_views_are_taken_in_turn():
    order = training_order(4, 3, 5, 1)
    assert [sorted(epoch) for epoch in order] == [
        [first + i for i in range(4)] for first in (0, 4, 8, 0, 4)
    ]


def test_batches_hold_pictures_and_targets_of_the_same_rows():
    pictures = np.arange(5, dtype=np.uint8)[:, None]
    targets = 10.0 * np.arange(5, dtype=np.float32)[:, None]
    order = training_order(5, 0, 2, 0)
    batches = list(training_batches([pictures], targets, order, 2))
    assert [len(x) for x, _ in batches] == [2, 2, 1, 2, 2, 1]
    x = np.concatenate([x for x, _ in batches]).ravel()
    assert x.dtype == np.float32
    assert x.tolist() == order.ravel().tolist()
    assert np.concatenate([y for _, y in batches]).ravel().tolist() == (10 * x).tolist()


def test_fixed_batches_hold_every_row_once_in_order():
    pictures = np.arange(5, dtype=np.uint8)[:, None]
    targets = 10.0 * np.arange(5, dtype=np.float32)[:, None]
    for inputs in ([pictures], [pictures, -1.0 * pictures]):
        batches = list(fixed_batches(inputs, targets, 2))
        x = np.concatenate([x if len(inputs) == 1 else x[0] for x, _ in batches])
        assert x.dtype == np.float32
        assert x.ravel().tolist() == [0, 1, 2, 3, 4]
        assert np.concatenate([y for _, y in batches]).ravel().tolist() == [0, 10, 20, 30, 40]
        assert [len(y) for _, y in batches] == [2, 2, 1]


def test_several_inputs_stay_together():
    a, b = np.arange(4)[:, None], -np.arange(4)[:, None]
    order = training_order(4, 0, 1, 0)
    for (x, y), _ in training_batches([a, b], np.zeros((4, 1)), order, 3):
        assert (np.asarray(x) == -np.asarray(y)).all()


# --- augmentation -------------------------------------------------------------------------------


def test_augmented_views_are_small_changes_that_a_seed_repeats(new_data):
    from xray_helpers.data.augment import augmented_views

    pictures = np.repeat(new_data(size=32).pictures[:3], 1, axis=0)
    pictures[:] = 60
    pictures[:, 8:24, 4:12] = 200  # more to the left: nobody is mirrored
    views = augmented_views(pictures, 4, seed=1)
    assert views.dtype == np.uint8
    assert views.shape == (12, 32, 32, 3)
    assert np.array_equal(views, augmented_views(pictures, 4, seed=1))
    assert not np.array_equal(views, augmented_views(pictures, 4, seed=2))
    assert not np.array_equal(views[:3], views[3:6])
    left, right = views[:, :, :16].mean(axis=(1, 2, 3)), views[:, :, 16:].mean(axis=(1, 2, 3))
    assert (left > right).all()


def test_training_takes_augmented_views_and_validation_does_not(tiny_data, monkeypatch):
    from xray_helpers.training import fit as fit_module

    asked = []

    def views(pictures, number, seed, progress=None):
        asked.append((len(pictures), number, seed))
        return np.concatenate([pictures] * number)

    monkeypatch.setattr(fit_module, "augmented_views", views)
    result = train(compiled(plain()), tiny_data, epochs=3, augment_views=2, seed=9)
    assert asked == [(24, 2, 9)]
    assert result.summary()["augment_views"] == 2
    assert result.train["n"] == 24
    assert result.validation["n"] == 12
    # Views that change nothing leave the training as it is without views.
    alone = train(compiled(plain()), tiny_data, epochs=3, seed=9)
    pd.testing.assert_series_equal(result.history["loss"], alone.history["loss"], rtol=1e-4)


# --- saving -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory) -> Training:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(compiled(nested(), "adam"), tiny_data, epochs=1)


def test_the_saved_model_loads_without_an_optimizer_and_gives_the_same(
    trained, tiny_data, tmp_path
):
    trained.save_model(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert getattr(again, "optimizer", None) is None
    x = tiny_data.pictures[:6].astype("float32")
    np.testing.assert_allclose(
        again.predict(x, verbose=0), trained.model.predict(x, verbose=0), rtol=1e-6
    )
    assert [p.name for p in tmp_path.glob("*.keras")] == ["model.keras"]


def test_a_disk_that_is_full_leaves_no_half_model(trained, tmp_path, monkeypatch):
    from pathlib import Path

    def full(self, path, *args, **options):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(KitError, match=r"No space left .* save_model = False"):
        trained.save_model(tmp_path / "model.keras")
    assert not [p for p in tmp_path.iterdir() if p.is_file()]


def test_a_layer_that_cannot_be_saved_is_told_in_a_sentence(trained, tmp_path):
    from dataclasses import replace

    with pytest.raises(KitError, match="get_config"):
        replace(trained, model=with_own_layer()).save_model(tmp_path / "model.keras")


def test_the_students_model_still_works_as_keras_promises(trained, tiny_data, tmp_path):
    model = trained.model
    x, labels = tiny_data.split("train")
    x, y = x.astype("float32"), labels[:, None].astype("float32")
    before = model.predict(x, verbose=0)
    model.save(tmp_path / "own.keras")
    again = keras.models.load_model(tmp_path / "own.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), before, rtol=1e-6)
    model.fit(x, y, epochs=1, verbose=0)
    assert not np.allclose(model.predict(x, verbose=0), before)
