"""Grad-CAM: the right numbers, on any model, computed once."""

import numpy as np
import pytest
import tensorflow as tf

from xray_helpers.errors import KitError
from xray_helpers.evaluation import embed, evaluate, grad_cam, has_map
from xray_helpers.quiet_import import keras
from xray_helpers.training import features, train

L = keras.layers
RNG = np.random.default_rng(0)
SIDE = 16
X = RNG.integers(0, 255, (5, SIDE, SIDE, 3)).astype(np.uint8)


def resized(maps):
    """Maps (n, h, w) as heat: cut off at 0, resized, each 1 at its hottest place."""
    heat = tf.image.resize(np.maximum(maps, 0)[..., None], (SIDE, SIDE)).numpy()[..., 0]
    most = heat.max(axis=(1, 2), keepdims=True)
    return np.where(most > 0, heat / np.where(most > 0, most, 1), 0)


def network(units=3, activation="softmax", head="gap", frozen=True, on_top=()):
    """A backbone inside a model, with dropout and BatchNormalization in it."""
    keras.utils.set_random_seed(3)
    inside = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(6, 3, strides=2, activation="relu", name="conv")(inside)
    x = L.BatchNormalization(name="bn")(x)
    backbone = keras.Model(inside, L.Conv2D(8, 3, name="last")(x), name="net")
    backbone.trainable = not frozen
    inputs = keras.Input((SIDE, SIDE, 3))
    x = backbone(L.Rescaling(1 / 255)(inputs))
    for layer in on_top:
        x = layer(x)
    x = L.GlobalAveragePooling2D()(x) if head == "gap" else L.Flatten()(x)
    if head == "deep":
        x = L.Dense(7, activation="relu", name="feature_dense")(x)
    x = L.Dropout(0.5)(x)
    return keras.Model(inputs, L.Dense(units, activation, name="out")(x))


def by_hand(model, pictures, number, sign=1.0):
    """Grad-CAM of `network` written out: the backbone, then the head, layer by layer."""
    net, heads = model.get_layer("net"), []
    after = model.layers[model.layers.index(net) + 1 :]
    for picture in pictures.astype("float32"):
        maps = tf.convert_to_tensor(net(picture[None] / 255, training=False))
        with tf.GradientTape() as tape:
            tape.watch(maps)
            x = maps
            for layer in after[:-1]:
                x = layer(x, training=False)
            score = sign * (x @ after[-1].kernel + after[-1].bias)[0, number]
        gradient = tape.gradient(score, maps)[0].numpy()
        heads.append(np.einsum("hwc,c->hw", maps[0].numpy(), gradient.mean(axis=(0, 1))))
    return resized(np.array(heads))


@pytest.mark.parametrize(
    ("head", "frozen", "activation"),
    [
        *(("gap", True, "softmax"), ("flatten", True, "softmax"), ("deep", True, "sigmoid")),
        *(("gap", False, "sigmoid"), ("flatten", False, None), ("deep", False, "softmax")),
    ],
)
def test_heat_is_what_a_computation_by_hand_gives(head, frozen, activation):
    model = network(3, activation, head, frozen)
    for number in range(3):
        heat = grad_cam(model, X, number)
        assert heat.max() == 1
        assert heat.shape == (5, SIDE, SIDE) and heat.dtype == np.float32
        np.testing.assert_allclose(heat, by_hand(model, X, number), atol=1e-4)


def test_behind_an_average_the_weights_are_the_last_layers_column():
    """Zhou et al. 2016, CVPR: CAM; with pooling and one Dense, Grad-CAM is the same."""
    model = network(3, "softmax")
    maps = np.asarray(model.get_layer("net")(X.astype("float32") / 255, training=False))
    kernel = model.get_layer("out").get_weights()[0]
    np.testing.assert_allclose(grad_cam(model, X, 1), resized(maps @ kernel[:, 1]), atol=1e-4)


def test_one_output_has_two_classes_and_the_first_is_its_minus():
    model = network(1, "sigmoid")
    np.testing.assert_allclose(grad_cam(model, X, 1), by_hand(model, X, 0), atol=1e-4)
    np.testing.assert_allclose(grad_cam(model, X, 0), by_hand(model, X, 0, sign=-1), atol=1e-4)


@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (3, "softmax"), (3, None)])
def test_without_classes_it_is_the_predicted_one(units, activation):
    model = network(units, activation)
    outputs = model.predict(X, verbose=0)
    said = (outputs[:, 0] > 0.5).astype(int) if units == 1 else outputs.argmax(axis=1)
    np.testing.assert_array_equal(grad_cam(model, X), grad_cam(model, X, said))


def test_a_margin_is_a_score_and_its_sign_the_class():
    model = network(1, None)
    model.compile("sgd", loss="hinge")
    said = (model.predict(X, verbose=0)[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(grad_cam(model, X), grad_cam(model, X, said))


def test_a_sure_model_still_has_heat():
    """The gradient of a softmax that says 1.0 is 0; that of its logit is not."""
    model = network(3, "softmax")
    sure = network(3, "softmax")
    kernel, bias = model.get_layer("out").get_weights()
    sure.get_layer("out").set_weights([kernel * 1e4, bias])
    assert (sure.predict(X, verbose=0).max(axis=1) == 1).all()
    np.testing.assert_allclose(grad_cam(sure, X, 1), grad_cam(model, X, 1), atol=1e-4)


@pytest.mark.parametrize(
    "end",
    [
        lambda x: L.Softmax()(L.Dense(3, name="dense")(x)),
        lambda x: L.Activation("softmax")(L.Dense(3, name="dense")(x)),
        lambda x: keras.ops.softmax(L.Dense(3, name="dense")(x)),
        lambda x: L.Activation("linear", dtype="float32")(L.Dense(3, "softmax", name="dense")(x)),
    ],
)
def test_the_score_comes_before_an_activation_wherever_it_stands(end):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIDE, SIDE, 3))
    maps = L.Conv2D(4, 5, strides=2)(inputs / 255)
    model = keras.Model(inputs, end(L.GlobalAveragePooling2D()(maps)))
    values = np.asarray(keras.Model(inputs, maps)(X.astype("float32")))
    kernel = model.get_layer("dense").get_weights()[0]
    np.testing.assert_allclose(grad_cam(model, X, 2), resized(values @ kernel[:, 2]), atol=1e-4)


def test_a_network_without_a_dense_layer_and_one_that_is_sequential():
    keras.utils.set_random_seed(0)
    layers = [L.Rescaling(1 / 255), L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Softmax()]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers])
    maps = np.asarray(layers[1](layers[0](X.astype("float32"))))
    np.testing.assert_allclose(grad_cam(model, X, 1), resized(maps[..., 1]), atol=1e-4)


def test_layers_work_as_in_prediction():
    on_top = [L.BatchNormalization(), L.SpatialDropout2D(0.5)]
    model = network(3, "softmax", "deep", on_top=on_top)
    on_top[0].set_weights([np.full(8, v, "float32") for v in (2.0, 0.5, 0.1, 3.0)])
    before = model.get_weights()
    one, other = grad_cam(model, X, 0), grad_cam(model, X, 0)
    np.testing.assert_array_equal(one, other)  # no dropout
    np.testing.assert_allclose(one[2:3], grad_cam(model, X[2:3], 0), atol=1e-4)  # no batch's mean
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_many_pictures_are_as_a_few():
    many = RNG.integers(0, 255, (2 * features.BATCH + 3, SIDE, SIDE, 3)).astype(np.uint8)
    model = network(3, "softmax", "deep")
    heat = grad_cam(model, many, np.arange(len(many)) % 3)
    for i in (0, features.BATCH, len(many) - 1):
        np.testing.assert_allclose(heat[i], grad_cam(model, many[[i]], i % 3)[0], atol=1e-4)
    assert grad_cam(model, many[:0]).shape == (0, SIDE, SIDE)


def test_another_layers_map_can_be_asked_for():
    model = network(3, "softmax")
    net = model.get_layer("net")
    below = keras.Model(net.input, net.get_layer("bn").output)
    maps = tf.convert_to_tensor(below(X.astype("float32") / 255, training=False))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        x = tf.reduce_mean(net.get_layer("last")(maps), axis=(1, 2))
        score = tf.reduce_sum((x @ model.get_layer("out").kernel)[:, 0])
    weights = tape.gradient(score, maps).numpy().mean(axis=(1, 2))
    expected = resized(np.einsum("nhwc,nc->nhw", maps.numpy(), weights))
    np.testing.assert_allclose(grad_cam(model, X, 0, "net/bn"), expected, atol=1e-4)
    with pytest.raises(KitError, match=r"'out' gives \(None, 3\), no map.*net/conv, net/bn"):
        grad_cam(model, X, 0, "out")
    with pytest.raises(KitError, match="no layer 'nowhere'"):
        grad_cam(model, X, 0, "nowhere")


def test_a_branch_that_passes_the_map_by_is_held_still():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    early = L.Conv2D(4, 3, trainable=False, name="early")(inputs / 255)
    late = L.Conv2D(5, 3, name="late")(early)
    both = L.Concatenate()([L.GlobalAveragePooling2D()(late), L.GlobalMaxPooling2D()(early)])
    model = keras.Model(inputs, L.Dense(2, name="out")(both))
    maps = np.asarray(keras.Model(inputs, late)(X.astype("float32")))
    kernel = model.get_layer("out").get_weights()[0]
    np.testing.assert_allclose(grad_cam(model, X, 1), resized(maps @ kernel[:5, 1]), atol=1e-4)


def test_nothing_that_speaks_for_a_class_is_no_heat_and_no_nan():
    model = network(3, "softmax", on_top=[L.ReLU()])
    model.get_layer("net").get_layer("last").set_weights(
        [np.zeros((3, 3, 6, 8), "float32"), np.full(8, -1, "float32")]
    )
    assert not grad_cam(model, X).any()


def test_the_cut_off_part_is_what_speaks_against():
    """A bright square speaks for class 1, and so not for class 0."""
    inputs = keras.Input((SIDE, SIDE, 3))
    conv = L.Conv2D(1, 1, use_bias=False)
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(conv(inputs))))
    conv.set_weights([np.ones((1, 1, 3, 1), "float32")])
    model.layers[-1].set_weights([np.array([[-1, 1]], "float32"), np.zeros(2, "float32")])
    picture = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    picture[:, 2:5, 8:12] = 200
    heat = grad_cam(model, picture, 1)[0]
    assert (heat[2:5, 8:12] == 1).all() and heat.sum() == 12
    assert not grad_cam(model, picture, 0).any()


def test_half_precision_maps_give_nearly_the_same_heat():
    keras.utils.set_random_seed(3)
    conv = L.Conv2D(6, 3, dtype="mixed_bfloat16", trainable=False)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.GlobalAveragePooling2D(dtype="float32")(conv(inputs / 255))
    model = keras.Model(inputs, L.Dense(2, "softmax")(x))
    kernel = model.layers[-1].get_weights()[0]
    maps = tf.nn.conv2d(X / np.float32(255), conv.kernel, 1, "VALID").numpy() + np.asarray(
        conv.bias
    )
    np.testing.assert_allclose(grad_cam(model, X, 1), resized(maps @ kernel[:, 1]), atol=0.03)


# --- computed once ------------------------------------------------------------------------------


@pytest.fixture
def passes(monkeypatch):
    """How many pictures went through a frozen part."""
    seen = []

    def counted(model, inputs, **options):
        seen.append(len(inputs))
        return outputs(model, inputs, **options)

    outputs = features.model_outputs
    monkeypatch.setattr(features, "model_outputs", counted)  # what `frozen_outputs` calls
    return seen


def test_asking_again_computes_no_map_again(passes):
    for head in ("gap", "flatten"):  # the map lies inside the frozen part, which ends behind it
        model = network(3, "softmax", head)
        grad_cam(model, X)
        first = list(passes)
        grad_cam(model, X, 2)
        assert passes == first
    assert len(passes) == 1  # the backbone is the same: so is its map


def test_after_training_and_evaluation_the_map_is_there(passes, tiny_data4):
    """The map is the end of the frozen part, since the head begins with dropout on it."""
    model = network(4, "softmax", on_top=[L.SpatialDropout2D(0.1)])
    model.compile("sgd", loss="categorical_crossentropy", metrics=["accuracy"])
    train(model, tiny_data4, epochs=1, timed_epochs=0)
    evaluate(model, tiny_data4)
    before = list(passes)
    grad_cam(model, tiny_data4.split("test")[0])
    grad_cam(model, tiny_data4.split("validation")[0])
    assert passes == before


def test_features_of_a_frozen_layer_are_those_of_grad_cam(passes):
    model = network(3, "softmax")
    grad_cam(model, X)
    assert embed(model, X, "net/last").shape == (5, 5 * 5 * 8)
    assert passes == [5]


def test_the_map_of_unfrozen_layers_is_computed_from_the_frozen_ones(passes):
    model = network(3, "softmax", "deep", frozen=False)
    model.get_layer("net").get_layer("conv").trainable = False
    np.testing.assert_allclose(grad_cam(model, X, 1), by_hand(model, X, 1), atol=1e-4)
    before = list(passes)
    last = model.get_layer("net").get_layer("last")
    last.set_weights([w * 2 + 0.1 for w in last.get_weights()])  # as training would
    np.testing.assert_allclose(grad_cam(model, X, 1), by_hand(model, X, 1), atol=1e-4)
    assert passes == before


# --- what cannot be done ------------------------------------------------------------------------


def test_models_without_a_map_are_told_so():
    layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dense(3, "softmax")]
    with pytest.raises(KitError, match="no map of more than one field"):
        grad_cam(keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers]), X)
    assert not has_map(keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers]))
    assert has_map(keras.Sequential([keras.Input((SIDE, SIDE, 3)), L.Conv2D(3, 3), L.Flatten()]))
    one_field = [L.Conv2D(3, SIDE), L.Flatten(), L.Dense(3)]
    with pytest.raises(KitError, match="larger pictures"):
        grad_cam(keras.Sequential([keras.Input((SIDE, SIDE, 3)), *one_field]), X)


def test_a_call_of_ones_own_is_told_so():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(KitError, match="computes in a `call` of its own"):
        grad_cam(Own(), X)
    assert not has_map(Own())


def test_classes_that_do_not_fit_are_refused():
    model = network(3)
    for wrong in (3, -1, 0.5, [0, 1]):
        with pytest.raises(KitError, match=r"give one for each|numbers from 0 to 2"):
            grad_cam(model, X, wrong)
    with pytest.raises(KitError, match="from 0 to 1"):
        grad_cam(network(1, "sigmoid"), X, 2)


def test_several_outputs_are_refused():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(inputs))
    with pytest.raises(KitError, match="single output"):
        grad_cam(keras.Model(inputs, [L.Dense(2)(x), L.Dense(1)(x)]), X)
