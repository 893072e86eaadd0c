"""The cache of what a frozen part says about pictures."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from xray_helpers import cache
from xray_helpers.data.pictures import read_pictures
from xray_helpers.errors import KitError
from xray_helpers.paths import cache_folder
from xray_helpers.quiet_import import keras
from xray_helpers.training import features, frozen_outputs
from xray_helpers.training.features import model_outputs

L = keras.layers


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def network(seed=0, *, divisor=255, activation="relu", wiring="ab"):
    """input / divisor -> convolution -> activation; both as outputs, in an order, or the last."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 3))
    a = L.Conv2D(2, 3)(inputs / divisor)
    b = L.Activation(activation)(a)
    return keras.Model(inputs, {"ab": [a, b], "ba": [b, a], "b": [b]}[wiring])


@pytest.fixture
def computed(monkeypatch):
    """How often something was computed rather than read."""
    calls = []

    def spy(*args, **options):
        calls.append(args)
        return model_outputs(*args, **options)

    monkeypatch.setattr(features, "model_outputs", spy)
    return calls


def kept() -> list:
    folder = cache_folder() / "features"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def same(ours, theirs) -> bool:
    return len(ours) == len(theirs) and all(
        np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)
    )


def test_outputs_come_in_order_whatever_the_number_of_pictures(monkeypatch):
    monkeypatch.setattr(features, "BATCH", 4)
    inputs = keras.Input((1, 1, 3))
    model = keras.Model(inputs, [inputs * 2, L.Flatten()(inputs)])
    pictures = np.arange(30, dtype=np.uint8).reshape(10, 1, 1, 3)
    twice, flat = model_outputs(model, pictures)
    assert np.array_equal(twice, 2.0 * pictures)
    assert np.array_equal(flat, pictures.reshape(10, 3))
    (few,) = model_outputs(keras.Model(inputs, inputs * 1), pictures[:3])
    assert np.array_equal(few, pictures[:3])


def test_enhanced_pictures_are_told_from_those_as_they_are(tmp_path, pictures, computed):
    paths = [tmp_path / f"{i}.png" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture // 2).save(path)
    for enhance in ("", "normalize", "", "normalize"):
        read, _ = read_pictures(paths, 8, None, enhance)
        frozen_outputs(network(), read)
    assert len(computed) == len(kept()) == 2


def test_the_second_call_reads_what_the_first_computed(pictures, computed):
    first = frozen_outputs(network(), pictures)
    # Another model object whose layers have other names, but the same content.
    second = frozen_outputs(network(), pictures)
    assert len(computed) == 1
    assert same(first, second)
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"divisor": 128},
        {"activation": "tanh"},
        {"wiring": "ba"},
        {"wiring": "b"},
    ],
)
def test_another_model_is_never_taken_for_this_one(pictures, computed, other):
    """Weights, a number in an operation, a setting, the order and number of outputs."""
    frozen_outputs(network(), pictures)
    model = network(**other)
    ours = frozen_outputs(model, pictures)
    assert len(computed) == 2
    assert same(ours, model_outputs(model, pictures))


def operation(flip: int):
    """The axis of an operation is a number that no layer's settings hold."""
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, keras.ops.flip(inputs, axis=flip))


def half(policy: str):
    """The same layer and weights; only the precision it computes in differs."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Conv2D(2, 3, dtype=policy)(inputs))


@pytest.mark.parametrize(
    ("build", "settings"),
    [(operation, (1, 2)), (half, ("float32", "mixed_bfloat16", "mixed_float16"))],
)
def test_operations_and_precision_are_told_apart(pictures, computed, build, settings):
    for setting in settings:
        model = build(setting)
        for _ in range(2):
            assert same(frozen_outputs(model, pictures), model_outputs(model, pictures))
    assert len(computed) == len(settings)


def test_bfloat16_is_kept_without_a_loss_as_float32(pictures):
    model = half("mixed_bfloat16")
    exact = model.predict(pictures.astype(np.float32), verbose=0)
    for _ in range(2):
        (found,) = frozen_outputs(model, pictures)
        assert found.dtype == np.float32
        assert np.array_equal(found, exact.astype(np.float32))


def test_the_choice_of_xla_is_told_apart(pictures, computed):
    for xla in (False, True):
        model = network()
        model.jit_compile = xla
        frozen_outputs(model, pictures)
    assert len(computed) == 2


def test_another_pixel_or_order_of_pictures_is_computed_anew(pictures, computed):
    model = network()
    frozen_outputs(model, pictures)
    changed = pictures.copy()
    changed[3, 4, 4, 1] ^= 1
    frozen_outputs(model, changed)
    frozen_outputs(model, pictures[::-1])
    assert len(computed) == 3


def own(factor: float) -> keras.Model:
    class Scale(L.Layer):
        def call(self, x):
            return x * factor

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, Scale()(inputs))


def lambda_(factor: float) -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Lambda(lambda x: x * factor)(inputs))


def function(factor: float) -> keras.Model:
    def scale(x):
        return x * factor

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Activation(scale)(inputs))


def wrapped(factor: float) -> keras.Model:
    """Code of one's own inside a layer of Keras's."""

    class Scale(L.Layer):
        def call(self, x):
            return x * factor

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.TimeDistributed(Scale())(inputs))


@pytest.mark.parametrize("build", [own, lambda_, function, wrapped])
def test_code_of_ones_own_may_change_and_is_not_kept(pictures, build):
    for factor in (0.5, 2.0):
        (out,) = frozen_outputs(build(factor), pictures)
        np.testing.assert_allclose(out, pictures * factor)
    assert kept() == []


@pytest.mark.parametrize("obstacle", ["file", "full", "nothing kept"])
def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    pictures, obstacle, monkeypatch, tmp_path, computed
):
    if obstacle == "file":
        (tmp_path / "cache").write_text("")
    elif obstacle == "nothing kept":
        monkeypatch.setenv("XRAY_CACHE_GB", "0")
    else:

        def full(path, array):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(cache, "_write", full)
    model = network()
    for _ in range(2):
        assert same(frozen_outputs(model, pictures), model_outputs(model, pictures))
    assert kept() == []
    assert len(computed) == 2


def test_a_size_that_is_none_is_refused_before_anything_is_computed(
    pictures, monkeypatch, computed
):
    monkeypatch.setenv("XRAY_CACHE_GB", "much")
    with pytest.raises(KitError, match="XRAY_CACHE_GB='much' is no size"):
        frozen_outputs(network(), pictures)
    assert computed == []


def test_an_interrupted_write_leaves_nothing_that_passes_for_whole(pictures, monkeypatch, computed):
    write, model = cache._write, network()

    def interrupted(path, array):
        write(path, array)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            frozen_outputs(model, pictures)
    assert kept() == []
    assert same(frozen_outputs(model, pictures), model_outputs(model, pictures))
    assert len(computed) == 2


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_entry_is_computed_again_said_and_kept_again(pictures, computed, damage, capsys):
    model = network()
    whole = [np.array(a) for a in frozen_outputs(model, pictures)]
    (folder,) = kept()
    file = folder / "01.npy"
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-1])
    else:
        content[-2] ^= 1  # somewhere in the last number
        file.write_bytes(content)
    assert same(frozen_outputs(model, pictures), whole)
    assert len(computed) == 2
    assert "is damaged" in capsys.readouterr().err
    assert same(frozen_outputs(model, pictures), whole)
    assert len(computed) == 2
    assert "damaged" not in capsys.readouterr().err


def test_every_user_of_the_features_is_right_when_they_are_damaged(tiny_data, capsys):
    """Training, prediction and embedding read one entry, whose last number was changed."""
    from xray_helpers.evaluation import embed
    from xray_helpers.evaluation.predict import predict
    from xray_helpers.training import train

    def result():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((16, 16, 3))
        x = L.Conv2D(4, 3, trainable=False)(inputs / 255)
        x = L.Dense(3, name="feature_dense")(L.GlobalAveragePooling2D()(x))
        model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(x))
        model.compile(loss="binary_crossentropy")
        pictures, _ = tiny_data.split("train")
        yield train(model, tiny_data, epochs=2).history.drop(columns="seconds").to_numpy()
        yield predict(model, pictures)
        yield embed(model, pictures)

    right = list(result())
    capsys.readouterr()
    for ours, number in zip(result(), right, strict=True):
        np.testing.assert_array_equal(ours, number)
        for folder in kept():
            content = bytearray((folder / "00.npy").read_bytes())
            content[-1] ^= 0x40
            (folder / "00.npy").write_bytes(content)
    said = capsys.readouterr().err
    assert said.count("is damaged") == 2  # predict and embed meet what `train` kept


TWO = """
import numpy as np, time, sys
from xray_helpers.quiet_import import keras
from xray_helpers.training import frozen_outputs
keras.utils.set_random_seed(0)
inputs = keras.Input((64, 64, 3))
model = keras.Model(inputs, keras.layers.Conv2D(32, 3)(inputs / 255))
pictures = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
print("ready", flush=True)
sys.stdin.readline()
(found,) = frozen_outputs(model, pictures, progress=None)
expected = model.predict(pictures.astype("float32"), batch_size=16, verbose=0)
print(float(np.abs(found - expected).max()))
"""


def test_two_processes_at_once_on_an_empty_cache_are_both_right():
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([sys.executable, "-c", TWO], stdin=pipe, stdout=pipe, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        assert float(process.communicate()[0]) < 1e-5
    assert len(kept()) == 1


def test_the_structure_has_no_counted_up_names():
    text = json.dumps(features._structure(network()))
    assert json.dumps(features._structure(network())) == text
