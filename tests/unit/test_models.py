import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.models import (
    RECIPES,
    Recipe,
    Weights,
    build_model,
    choose_recipe,
    count_parameters,
    layer_table,
    own_recipe,
)
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.precision import precision_of, precision_policy
from xray_helpers.quiet_import import keras

TASK1, TASK2 = ("normal", "covid"), ("covid", "normal", "pneumonia_bac", "pneumonia_vir")
NONE = Weights("none")


def recipe(backbone: str, head: str, unfreeze: int = 0, task: str = "task2", **more) -> Recipe:
    return Recipe("test", task, backbone, head, unfreeze=unfreeze, **more)


def small(backbone: str, head: str = "gap > dense4 softmax", **more) -> keras.Model:
    """With random-looking weights, on pictures as small as the backbone takes."""
    size = BACKBONES[backbone].smallest_size
    return build_model(recipe(backbone, head, **more), TASK2, NONE, image_size=size)


# --- parameter counts ---------------------------------------------------------------------------

FLATTEN1 = "flatten > dense256 relu > dropout > dense1 sigmoid"
FLATTEN4 = "flatten > dense256 relu > dropout > dense4 softmax"
BN_FLATTEN4 = "batchnorm > flatten > dense256 relu > dropout > dense4 softmax"
GAP512X2 = "gap > dense512 relu > dropout > dense512 relu > dropout > dense4 softmax"


@pytest.mark.parametrize(
    ("backbone", "unfreeze", "head", "total", "trainable"),
    [
        ("vgg16", 0, FLATTEN4, 21138500, 6423812),
        ("vgg16", 2, FLATTEN4, 21138500, 8783620),
        ("vgg16", 5, FLATTEN1, 21137729, 13502465),
        ("vgg16", 0, GAP512X2, 15242052, 527364),
        ("vgg19", 0, GAP512X2, 20551748, 527364),
        ("vgg19", 0, FLATTEN1, 26447425, 6423041),
        ("resnet50", 3, "flatten > dense256 relu > dense4 softmax", 49279108, 25695492),
        ("inception_v3", 0, BN_FLATTEN4, 34919460, 13112580),
        ("inception_resnet_v2", 0, FLATTEN4, 64168420, 9831684),
        ("xception", 0, FLATTEN4, 46552876, 25691396),
    ],
)
def test_parameter_counts_are_those_of_the_reports(backbone, unfreeze, head, total, trainable):
    classes = TASK1 if head is FLATTEN1 else TASK2
    model = build_model(recipe(backbone, head, unfreeze), classes, NONE)
    assert count_parameters(model) == {
        "total": total,
        "trainable": trainable,
        "non_trainable": total - trainable,
    }
    assert int(layer_table(model)["parameters"].sum()) == total


@pytest.mark.parametrize(("backbone", "features", "below"), [("vgg16", 512, 14714688)])
def test_parameter_counts_of_the_default_recipe(backbone, features, below):
    """gap > batchnorm > dense256 > dropout > dense4, whatever the size of the pictures."""
    chosen = choose_recipe("task2", {"backbone": backbone, "image_size": 32})
    model = build_model(chosen, TASK2, NONE, image_size=32)
    head = 2 * features + features * 256 + 256 + 256 * 4 + 4
    assert count_parameters(model) == {
        "total": below + 2 * features + head,
        "trainable": head,
        "non_trainable": below + 2 * features,
    }


def test_the_kits_own_network_is_trained_whole():
    model = small("cnn", unfreeze=0)
    counts = count_parameters(model)
    convolutions = 27 * 16 + 9 * 16 * 32 + 9 * 32 * 64 + 9 * 64 * 128
    norms = 16 + 32 + 64 + 128
    assert counts["trainable"] == convolutions + 2 * norms + 128 * 4 + 4
    assert counts["non_trainable"] == 2 * norms  # moving means and variances


def test_a_shared_weight_counts_once():
    x = keras.Input((4,))
    dense = keras.layers.Dense(4)
    assert count_parameters(keras.Model(x, dense(dense(x))))["total"] == 20


# --- preprocessing ------------------------------------------------------------------------------

MODULES = {
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet50": "resnet",
    "inception_v3": "inception_v3",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "xception",
}


@pytest.mark.parametrize("backbone", MODULES)
def test_preprocessing_equals_that_of_keras(backbone):
    from xray_helpers.models.build import preprocess

    rgb = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
    inputs = keras.Input((8, 8, 3))
    ours = keras.Model(inputs, preprocess(inputs, BACKBONES[backbone]))
    theirs = getattr(keras.applications, MODULES[backbone]).preprocess_input(rgb.copy())
    np.testing.assert_allclose(ours.predict(rgb, verbose=0), theirs, atol=2e-5)


def test_the_kits_own_network_sees_zero_to_one():
    from xray_helpers.models.build import preprocess

    inputs = keras.Input((1, 1, 3))
    model = keras.Model(inputs, preprocess(inputs, BACKBONES["cnn"]))
    seen = model.predict(np.array([[[[0, 51, 255]]]], "float32"), verbose=0)
    np.testing.assert_allclose(seen.ravel(), [0, 0.2, 1], atol=1e-6)


def test_the_model_itself_does_the_preprocessing():
    """What goes in is RGB 0 to 255: the same picture as BGR gives another answer."""
    model = small("vgg16")
    rgb = np.zeros((1, 32, 32, 3), "float32")
    rgb[..., 0] = 200
    assert model.input_shape == (None, 32, 32, 3)
    assert not np.allclose(model.predict(rgb, verbose=0), model.predict(rgb[..., ::-1], verbose=0))


# --- frozen and not -----------------------------------------------------------------------------


def test_frozen_weights_and_statistics_do_not_move():
    from xray_helpers.models.build import small_cnn, unfreeze

    backbone = small_cnn((32, 32, 3))
    unfreeze(backbone, 0)
    outputs = keras.layers.Dense(4)(keras.layers.Flatten()(backbone.output))
    model = keras.Model(backbone.input, outputs)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    before = backbone.get_weights()
    head = model.layers[-1].get_weights()[0].copy()
    x = np.random.default_rng(0).random((4, 32, 32, 3), "float32")
    model.fit(x, np.eye(4, dtype="float32"), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True))
    assert not np.array_equal(head, model.layers[-1].get_weights()[0])


def test_only_the_last_layers_are_trained_when_they_are_unfrozen():
    model = small("vgg16", unfreeze=5)
    backbone = model.get_layer("vgg16")
    assert [layer.name for layer in backbone.layers if layer.trainable] == [
        "block4_pool",
        "block5_conv1",
        "block5_conv2",
        "block5_conv3",
        "block5_pool",
    ]
    assert len(backbone.trainable_weights) == 6


def test_minus_one_unfreezes_the_whole_backbone():
    model = small("vgg16", unfreeze=-1)
    assert len(model.get_layer("vgg16").trainable_weights) == 26


# --- the head in words --------------------------------------------------------------------------


def test_every_word_of_the_head():
    from xray_helpers.models.head import head_layers

    words = (
        "conv8 3x3 valid relu l2 > conv4 1x1 > maxpool2 > batchnorm > flatten > "
        "dense16 sigmoid l2 > dropout > dense8 relu (mine) > dense4 softmax"
    )
    layers = head_layers(words, dropout=0.4, l2=0.01, initializer="he_normal")
    kinds = [type(layer).__name__ for layer in layers]
    assert kinds == [
        *("Conv2D", "Conv2D", "MaxPooling2D", "BatchNormalization", "Flatten"),
        *("Dense", "Dropout", "Dense", "Dense"),
    ]
    conv, plain, _, _, _, first, drop, named, output = layers
    assert (conv.filters, conv.kernel_size, conv.padding) == (8, (3, 3), "valid")
    assert conv.activation is keras.activations.relu
    assert float(conv.kernel_regularizer.l2) == pytest.approx(0.01)
    assert (plain.kernel_size, plain.padding) == ((1, 1), "same")
    assert plain.activation is keras.activations.linear
    assert plain.kernel_regularizer is None
    assert (first.units, first.name) == (16, "feature_dense")
    assert first.activation is keras.activations.sigmoid
    assert first.kernel_regularizer is not None
    assert isinstance(first.kernel_initializer, keras.initializers.HeNormal)
    assert drop.rate == 0.4
    assert named.name == "mine"
    assert (output.units, output.name) == (4, "output")


def test_the_only_dense_layer_is_the_output():
    from xray_helpers.models.head import head_layers

    assert [layer.name for layer in head_layers("flatten > dense4 softmax")][-1] == "output"


@pytest.mark.parametrize("word", ["dens256", "pool2", "relu", "conv", "dense"])
def test_an_unknown_word_is_named_with_the_words_there_are(word):
    from xray_helpers.models.head import head_layers

    with pytest.raises(KitError, match=f"'{word}', which is none of: gap, flatten"):
        head_layers(f"gap > {word} > dense4 softmax")


def test_a_head_that_does_not_fit_the_classes_is_refused():
    with pytest.raises(KitError, match="4 classes need"):
        small("cnn", "gap > dense3 softmax")


# --- recipes ------------------------------------------------------------------------------------


def test_the_default_recipes_are_those_of_the_readme():
    for name, task, output in (
        ("t1-default", "task1", "dense1 sigmoid"),
        ("t2-default", "task2", "dense4 softmax"),
    ):
        kit = choose_recipe(task, {})
        assert kit == RECIPES[name]
        assert (kit.backbone, kit.unfreeze, kit.epochs, kit.dropout) == ("vgg16", 0, 40, 0.25)
        assert (kit.optimizer, kit.learning_rate) == ("adam", 1e-3)
        head = "gap > batchnorm > dense256 relu (feature_dense) > dropout > "
        assert kit.head.replace("batchnorm 0.9", "batchnorm") == head + output


def test_a_setting_replaces_its_field_and_nothing_else():
    from dataclasses import asdict

    base, changed = choose_recipe("task2", {}), choose_recipe("task2", {"backbone": "resnet50"})
    different = {k for k, v in asdict(changed).items() if v != getattr(base, k)}
    assert different == {"backbone", "changed"}
    assert changed.changed == ("backbone",)
    assert changed.title == "t2-default (backbone=resnet50)"


def test_zero_counts_as_a_setting_and_none_does_not():
    chosen = choose_recipe("task1", {"dropout": 0, "l2": 0.0, "epochs": None, "unfreeze": 5})
    assert (chosen.dropout, chosen.epochs, chosen.unfreeze) == (0, 40, 5)
    assert chosen.changed == ("dropout", "unfreeze")


def test_a_recipe_of_the_other_task_is_refused_with_ones_own():
    with pytest.raises(KitError, match="belongs to task1, this is task2; choose one of: t2-def"):
        choose_recipe("task2", {"recipe": "t1-default"})


def test_an_unknown_recipe_gets_the_nearest_ones_or_all():
    with pytest.raises(KitError, match=r"'t2-defualt' is unknown; did you mean t2-default"):
        choose_recipe("task2", {"recipe": "t2-defualt"})
    with pytest.raises(KitError, match="there are: t1-default, t2-default"):
        choose_recipe("task2", {"recipe": "something"})


# --- first weights ------------------------------------------------------------------------------

KINDS = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "random_normal": keras.initializers.RandomNormal,
    "zeros": keras.initializers.Zeros,
}


def test_every_initializer_of_the_settings_is_known_here():
    from xray_helpers.settings.task import INITIALIZERS

    assert set(INITIALIZERS) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_initializer_takes_effect_in_the_head_and_in_convolutions_from_scratch(name):
    head = "conv4 1x1 relu > flatten > dense8 relu > dense4 softmax"
    words = "conv8 3x3 valid relu > maxpool2 > conv8 3x3 valid relu > maxpool2"
    for model in (
        small("cnn", head, initializer=name),
        small("cnn", head, initializer=name, convolutions=words),
    ):
        layers = [*model.get_layer("cnn").layers, *model.layers]
        with_kernel = [layer for layer in layers if hasattr(layer, "kernel_initializer")]
        assert len(with_kernel) >= 5
        assert all(isinstance(layer.kernel_initializer, KINDS[name]) for layer in with_kernel)
        spreads = [float(np.std(layer.kernel)) for layer in with_kernel]
        assert all(s == 0 for s in spreads) if name == "zeros" else all(s > 0 for s in spreads)


def test_from_zeros_only_the_last_bias_learns(new_data):
    from xray_helpers.training import train

    head = "flatten > dense8 relu > dense1 sigmoid"
    chosen = recipe("cnn", head, task="task1", initializer="zeros", loss="binary_crossentropy")
    model = build_model(chosen, TASK1, NONE, image_size=32)
    data = new_data(size=32)
    data.table.loc[data.table.index[:10], "label"] = "covid"
    train(model, data, epochs=2, cache=False)
    assert not np.any(model.get_layer("feature_dense").kernel)
    assert not np.any(model.get_layer("output").kernel)
    assert np.all(np.asarray(model.get_layer("output").bias) > 0)  # more covid than normal


# --- a BatchNormalization that is trained -------------------------------------------------------


def test_a_trained_batchnorm_takes_batches_in_training_and_moving_averages_in_evaluation(new_data):
    """The recipe t2-resnet50-last3, one step, against the arithmetic of Keras's documentation."""
    from xray_helpers.evaluation import evaluate
    from xray_helpers.training import split_model, train

    chosen = RECIPES["t2-resnet50-last3"].override({"learning_rate": 1e-12})
    model = build_model(chosen, TASK2, NONE, image_size=32)
    norm = model.get_layer("resnet50").get_layer("conv5_block3_3_bn")
    assert norm.trainable
    data = new_data("task2", counts=(8, 4, 5), size=32)
    pictures, _ = data.split("train")
    split = split_model(model)
    (into_norm,) = (
        features
        for features in split.frozen.predict(pictures.astype("float32"), verbose=0)
        if features.min() < 0  # the other one is the block's shortcut, behind a relu
    )
    mean, variance = into_norm.mean(axis=(0, 1, 2)), into_norm.var(axis=(0, 1, 2))
    train(model, data, epochs=1, batch_size=8)
    step = 1 - norm.momentum
    np.testing.assert_allclose(norm.moving_mean, step * mean, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        norm.moving_variance, norm.momentum + step * variance, rtol=1e-3, atol=1e-5
    )
    before = [np.array(w) for w in norm.weights]
    tested = evaluate(model, data).predictions.filter(like="p_").to_numpy()
    test_pictures = data.split("test")[0].astype("float32")
    np.testing.assert_allclose(tested, model(test_pictures, training=False), atol=1e-4)
    assert all(np.array_equal(a, b) for a, b in zip(before, norm.weights, strict=True))


def test_a_trained_batchnorm_of_a_backbone_is_noted_in_the_record_and_on_the_recipe():
    from xray_helpers.models.build import unfreeze
    from xray_helpers.models.describe import describe

    chosen = RECIPES["t2-resnet50-last3"]
    assert "mean and variance" in chosen.note
    model = build_model(chosen, TASK2, NONE, image_size=32)
    for last, noted in ((3, True), (0, False)):
        unfreeze(model.get_layer("resnet50"), last)
        notes = describe(model, chosen, "none", (32, 32, 3))["notes"]
        assert any("conv5_block3_3_bn" in note for note in notes) == noted
    assert describe(small("cnn"), recipe("cnn", "own"), "none", (32, 32, 3))["notes"] == []


def test_a_picture_too_small_for_the_backbone_is_refused():
    with pytest.raises(KitError, match=r"image_size=64 .*'inception_v3'; it takes 75"):
        choose_recipe("task1", {"backbone": "inception_v3", "image_size": 64})


def test_ones_own_model_keeps_the_training_of_the_recipe():
    mine = own_recipe(choose_recipe("task1", {"epochs": 7}), "my-network")
    assert (mine.name, mine.backbone, mine.epochs, mine.changed) == (
        "my-network",
        None,
        7,
        ("epochs",),
    )


# --- random weights -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noise():
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (16, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)  # 16 pictures of 64x64


@pytest.fixture(scope="module")
def calibrated_vgg(noise):
    return build_model(
        recipe("vgg16", "gap > dense4 softmax"),
        TASK2,
        Weights("random"),
        image_size=64,
        calibrate_on=noise,
        seed=1,
    )


def test_calibrated_convolutions_give_zero_mean_and_unit_spread(calibrated_vgg, noise):
    """Before the activation, a channel, on the pictures that were calibrated on."""
    backbone = calibrated_vgg.get_layer("vgg16")
    below = keras.Model(calibrated_vgg.input, calibrated_vgg.layers[-4].output)
    x = below(noise.astype("float32"))
    assert x.shape[1:] == (64, 64, 3)  # preprocessed pictures
    for layer in backbone.layers[1:]:
        if isinstance(layer, keras.layers.Conv2D):
            z = keras.ops.conv(x, layer.kernel, padding="same") + layer.bias
            mean, variance = keras.ops.moments(z, axes=[0, 1, 2])
            np.testing.assert_allclose(mean, 0, atol=0.02, err_msg=layer.name)
            np.testing.assert_allclose(np.sqrt(variance), 1, atol=0.05, err_msg=layer.name)
        x = layer(x)


def test_calibrated_features_tell_pictures_apart(calibrated_vgg, noise):
    features = keras.Model(calibrated_vgg.input, calibrated_vgg.layers[-2].output)
    out = features.predict(noise.astype("float32"), verbose=0)
    assert (out.std(axis=0) > 0.05).mean() > 0.5


def test_random_weights_are_the_same_whatever_the_runs_seed(calibrated_vgg, noise):
    again = build_model(
        recipe("vgg16", "gap > dense4 softmax"),
        TASK2,
        Weights("random"),
        image_size=64,
        calibrate_on=noise,
        seed=2,
    )
    pairs = zip(
        calibrated_vgg.get_layer("vgg16").get_weights(),
        again.get_layer("vgg16").get_weights(),
        strict=True,
    )
    assert all(np.array_equal(a, b) for a, b in pairs)
    heads = calibrated_vgg.layers[-1].get_weights()[0], again.layers[-1].get_weights()[0]
    assert not np.array_equal(*heads)


def test_residual_blocks_change_little_at_first(noise):
    model = build_model(
        recipe("resnet50", "gap > dense4 softmax"),
        TASK2,
        Weights("random"),
        image_size=32,
        calibrate_on=noise[:, ::2, ::2],
    )
    norms = [
        layer
        for layer in model.get_layer("resnet50").layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    last = {layer.name for layer in norms if layer.name.endswith("_3_bn")}
    assert len(last) == 16
    for layer in norms:
        expected = 0.1 if layer.name in last else 1.0
        np.testing.assert_allclose(layer.gamma, expected, rtol=1e-6, err_msg=layer.name)


def test_random_weights_need_pictures():
    with pytest.raises(KitError, match="need training pictures"):
        build_model(recipe("vgg16", "gap > dense4 softmax"), TASK2, Weights("random"))


def test_the_seed_decides_on_the_head():
    def head(seed):
        built = build_model(
            recipe("cnn", "gap > dense4 softmax"), TASK2, NONE, image_size=32, seed=seed
        )
        return built.layers[-1].get_weights()[0]

    assert np.array_equal(head(3), head(3))
    assert not np.array_equal(head(3), head(4))


# --- precision ----------------------------------------------------------------------------------


def policies(model):
    return {layer.name: layer.dtype_policy.name for layer in model.layers}


def in_precision(precision, noise, **more):
    more = {"backbone": "vgg16", "head": "gap > dense8 relu > dense4 softmax", **more}
    return build_model(
        recipe(**more),
        TASK2,
        Weights("random"),
        image_size=64,
        calibrate_on=noise,
        seed=1,
        precision=precision,
    )


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_only_the_backbone_computes_in_16_bits(precision, noise):
    model = in_precision(precision, noise)
    backbone = model.get_layer("vgg16")
    assert {p for name, p in policies(backbone).items() if "input" not in name} == {precision}
    others = {p for name, p in policies(model).items() if name != "vgg16"}
    assert others == {"float32"}
    assert {str(w.dtype) for w in model.weights} == {"float32"}
    assert model.predict(noise.astype("float32"), verbose=0).dtype == np.float32
    assert precision_of(model) == precision


def test_precision_changes_the_features_a_little_and_no_first_weight(noise):
    models = [in_precision(p, noise) for p in ("float32", "mixed_bfloat16")]
    for a, b in zip(*(m.get_weights() for m in models), strict=True):
        assert np.array_equal(a, b)
    exact, rounded = (keras.Model(m.input, m.layers[-3].output) for m in models)  # of gap
    a, b = (f.predict(noise.astype("float32"), verbose=0) for f in (exact, rounded))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, atol=0.05 * np.abs(a).max())


def test_the_next_model_of_a_kernel_is_float32_again(noise):
    in_precision("mixed_bfloat16", noise)
    assert keras.config.dtype_policy().name == "float32"
    assert precision_of(in_precision("float32", noise)) == "float32"
    with pytest.raises(ZeroDivisionError), precision_policy("mixed_float16"):
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"


def test_small_gradients_of_a_trained_float16_backbone_are_scaled_up(noise):
    from xray_helpers.models.describe import describe

    frozen, trained = (in_precision("mixed_float16", noise, unfreeze=n) for n in (0, 2))
    assert not isinstance(frozen.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(trained.optimizer, keras.optimizers.LossScaleOptimizer)
    plan = recipe("vgg16", "gap > dense8 relu > dense4 softmax", 2)
    section = describe(trained, plan, "random", (64, 64, 3))
    assert (section["optimizer"], section["learning_rate"]) == ("adam", pytest.approx(1e-3))


# --- weights from a file ------------------------------------------------------------------------


def test_weights_are_loaded_from_a_file(tmp_path):
    first = small("vgg16").get_layer("vgg16")
    file = tmp_path / "mine.weights.h5"
    first.save_weights(file)
    second = build_model(
        recipe("vgg16", "gap > dense4 softmax"), TASK2, Weights(str(file), file), image_size=32
    ).get_layer("vgg16")
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize("content", ["another network", "no weights"])
def test_a_file_of_other_weights_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "mine.weights.h5"
    if content == "no weights":
        file.write_text("hello")
    else:
        small("cnn").get_layer("cnn").save_weights(file)
    with pytest.raises(KitError, match="does not hold the weights of backbone='vgg16'"):
        build_model(
            recipe("vgg16", "gap > dense4 softmax"), TASK2, Weights(str(file), file), image_size=32
        )


# --- the record ---------------------------------------------------------------------------------


def test_the_models_section_of_the_record():
    from xray_helpers.models.describe import describe

    chosen = choose_recipe("task1", {"backbone": "cnn", "dropout": 0.5, "image_size": 32})
    model = build_model(chosen, TASK1, NONE, image_size=32)
    section = describe(model, chosen, "none", (32, 32, 3))
    assert section["recipe"] == "t1-default"
    assert section["backbone"] == "cnn"
    assert section["changed"] == {"backbone": "cnn", "dropout": 0.5}
    assert section["weights"] == "none"
    assert section["optimizer"] == "adam"
    assert section["learning_rate"] == pytest.approx(1e-3)
    assert section["loss"] == "binary_crossentropy"
    assert section["parameters"] == count_parameters(model)
    assert section["megabytes"] == round(section["parameters"]["total"] * 4e-6, 1)
    assert [layer["layer"] for layer in section["layers"]][-1] == "output"
    assert section["layers"][-1]["output"] == "1"


def test_a_second_model_in_the_same_kernel_has_the_same_words_in_its_record():
    """Keras counts names up: the second Adam is called adam_1."""
    from xray_helpers.models.describe import describe

    chosen = choose_recipe("task1", {"backbone": "cnn"})
    for _ in range(2):
        section = describe(
            build_model(chosen, TASK1, NONE, image_size=32), chosen, "none", (32, 32, 3)
        )
    assert (section["optimizer"], section["loss"]) == ("adam", "binary_crossentropy")


def test_losses_of_every_form_have_a_name_and_an_uncompiled_model_is_told_so():
    from xray_helpers.models.describe import describe

    x = keras.Input((32, 32, 3))
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    mine = own_recipe(RECIPES["t1-default"], "mine")
    with pytest.raises(KitError, match="not compiled"):
        describe(model, mine, "none", (32, 32, 3))
    for loss in (
        "binary_crossentropy",
        keras.losses.BinaryCrossentropy(),
        keras.losses.binary_crossentropy,
    ):
        model.compile("sgd", loss=loss)
        assert describe(model, mine, "none", (32, 32, 3))["loss"] == "binary_crossentropy"


def test_unfreezing_again_counts_from_the_start():
    from xray_helpers.models.build import unfreeze

    shape = (32, 32, 3)
    backbone = keras.applications.VGG16(include_top=False, weights=None, input_shape=shape)
    layers = len(backbone.layers)
    for last, trained in ((5, 5), (-1, layers), (3, 3), (0, 0), (-1, layers), (1000, layers)):
        unfreeze(backbone, last)
        assert sum(layer.trainable for layer in backbone.layers) == trained, last


def test_the_parameter_table_counts_heads_and_frozen_parts():
    from xray_helpers.models import parameter_table

    table = parameter_table(RECIPES["t2-default"], ("a", "b", "c", "d"), 224)
    counts = table.set_index(["head", "backbone trained"])
    assert counts.loc[("flatten", "none"), "inputs of the head"] == 25088
    assert counts.loc[("average (gap)", "none"), "inputs of the head"] == 512
    head = 25088 * 256 + 256 + 256 * 4 + 4
    assert counts.loc[("flatten", "none"), "trainable"] == head
    assert counts.loc[("flatten", "none"), "total"] == 14_714_688 + head
    assert counts.loc[("flatten", "its last 5 layers"), "trainable"] == 7_079_424 + head
    assert counts.loc[("flatten", "all"), "trainable"] == 14_714_688 + head
