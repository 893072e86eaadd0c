"""The cache of what a frozen part says about pictures."""

import json
import os

import numpy as np
import pytest

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


@pytest.mark.parametrize("build", [own, lambda_, function])
def test_code_of_ones_own_may_change_and_is_not_kept(pictures, build):
    for factor in (0.5, 2.0):
        (out,) = frozen_outputs(build(factor), pictures)
        np.testing.assert_allclose(out, pictures * factor)
    assert kept() == []


@pytest.mark.parametrize("obstacle", ["file", "full", "read-only"])
def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    pictures, obstacle, monkeypatch, tmp_path
):
    if obstacle == "file":
        (tmp_path / "cache").write_text("")
    elif obstacle == "full":

        def full(path, array):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "save", full)
    else:
        if os.geteuid() == 0:
            pytest.skip("root writes anywhere")
        (tmp_path / "cache").mkdir(mode=0o500)
    model = network()
    for _ in range(2):
        assert same(frozen_outputs(model, pictures), model_outputs(model, pictures))
    assert kept() == []


def test_an_interrupted_write_leaves_nothing_that_passes_for_whole(pictures, monkeypatch, computed):
    save, model = np.save, network()

    def interrupted(path, array):
        save(path, array)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            frozen_outputs(model, pictures)
    assert kept() == []
    assert same(frozen_outputs(model, pictures), model_outputs(model, pictures))
    assert len(computed) == 2


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "fewer"])
def test_a_damaged_entry_is_computed_again_and_kept_again(pictures, computed, damage):
    model = network()
    whole = [np.array(a) for a in frozen_outputs(model, pictures)]
    (folder,) = kept()
    file = folder / "01.npy"
    if damage == "missing":
        file.unlink()
    elif damage == "fewer":
        np.save(file, whole[1][:2])
    else:
        file.write_bytes(b"" if damage == "empty" else file.read_bytes()[:200])
    assert same(frozen_outputs(model, pictures), whole)
    assert len(computed) == 2
    assert same(frozen_outputs(model, pictures), whole)
    assert len(computed) == 2


def test_two_who_compute_the_same_at_once_both_get_it(pictures):
    from concurrent.futures import ThreadPoolExecutor

    outputs = [np.ones((5, 2), np.float32)]
    folder = cache_folder() / "features" / "key"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: features._keep(folder, outputs), range(8)))
    assert [p.name for p in kept()] == ["key"]
    assert same(features._kept(folder, 1, 5), outputs)


def test_the_structure_has_no_counted_up_names():
    text = json.dumps(features._structure(network()))
    assert json.dumps(features._structure(network())) == text
