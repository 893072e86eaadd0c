"""Walking any Keras model, and cutting it."""

import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.models import trace
from xray_helpers.models.graph import NotAGraph, is_graph
from xray_helpers.quiet_import import keras

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((4, 8, 8, 3), "float32")


def chain():
    inputs = keras.Input((8, 8, 3))
    x = keras.ops.flip(inputs, axis=-1) / 2.0
    x = L.Conv2D(4, 3, name="conv")(x)
    x = keras.ops.mean(keras.ops.relu(x), axis=[1, 2])
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def sequential_in_functional():
    inner = keras.Sequential(
        [L.Conv2D(4, 3, name="conv"), L.ReLU(), L.GlobalMaxPooling2D()], name="inner"
    )
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Dense(2, name="out")(inner(inputs)))


def functional_in_sequential():
    inside = keras.Input((8, 8, 3))
    inner = keras.Model(inside, L.Conv2D(4, 3, name="conv")(inside), name="inner")
    return keras.Sequential([keras.Input((8, 8, 3)), inner, L.Flatten(), L.Dense(2, name="out")])


def nested_twice():
    a = keras.Input((8, 8, 3))
    deep = keras.Model(a, L.Conv2D(4, 3, name="conv")(a), name="deep")
    b = keras.Input((8, 8, 3))
    middle = keras.Model(b, L.ReLU(name="relu")(deep(b)), name="middle")
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(middle(inputs))))


def shared_layer():
    inputs = keras.Input((8, 8, 3))
    conv = L.Conv2D(3, 3, padding="same", name="conv")
    x = L.Add()([conv(conv(inputs)), inputs])
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))


def shared_model():
    """A nested model called twice, with two outputs of which one is left alone once."""
    inside = keras.Input((8, 8, 3))
    c = L.Conv2D(3, 3, padding="same", name="conv")(inside)
    twin = keras.Model(inside, [c, L.ReLU()(c)], name="twin")
    inputs = keras.Input((8, 8, 3))
    first, _ = twin(inputs)
    a, b = twin(first)
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(L.Concatenate()([a, b]))))


def inference_backbone():
    inside = keras.Input((8, 8, 3))
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, 3, name="conv")(inside))
    backbone = keras.Model(inside, L.Dropout(0.5, name="drop")(x), name="backbone")
    inputs = keras.Input((8, 8, 3))
    x = backbone(inputs, training=False)
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))


MODELS = [
    chain,
    sequential_in_functional,
    functional_in_sequential,
    nested_twice,
    shared_layer,
    shared_model,
    inference_backbone,
]


@pytest.mark.parametrize("build", MODELS)
def test_a_model_built_from_the_trace_is_the_same_model(build):
    model = build()
    before = [w.copy() for w in model.get_weights()]
    expected = model(X)
    for _ in range(2):  # tracing once does not spoil tracing again
        graph = trace(model)
        again = graph.model(graph.inputs, graph.outputs)
        assert np.array_equal(again(X), expected)
        assert {id(w) for w in again.weights} == {id(w) for w in model.weights}
    assert np.array_equal(model(X), expected)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_traced_model_still_saves_and_loads(tmp_path):
    model = nested_twice()
    trace(model)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again(X), model(X), rtol=1e-6)
    # What students do to look at a layer, by Keras alone.
    model = chain()
    trace(model)
    looked = keras.Model(model.input, model.get_layer("conv").output)
    assert looked(X).shape == (4, 6, 6, 4)


def test_several_inputs_and_outputs():
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    both = L.Concatenate()([a, b])
    model = keras.Model({"a": a, "b": b}, [L.Dense(2)(both), L.Subtract()([a, b])])
    graph = trace(model)
    assert (len(graph.inputs), len(graph.outputs)) == (2, 2)
    again = graph.model(graph.inputs, graph.outputs)
    x, y = RNG.random((2, 3), "float32"), RNG.random((2, 3), "float32")
    for ours, theirs in zip(again([x, y]), model({"a": x, "b": y}), strict=True):
        assert np.array_equal(ours, theirs)


def test_names_of_nested_layers_tell_where_they_are():
    names = [step.name for step in trace(nested_twice()).steps]
    assert names[:2] == ["middle/deep/conv", "middle/relu"]
    graph = trace(nested_twice())
    assert graph.find("middle/relu").name == graph.find("relu").name == "middle/relu"


def test_training_false_holds_for_every_layer_inside():
    said = {s.name: s.kwargs.get("training") for s in trace(inference_backbone()).steps}
    assert said["backbone/bn"] is False
    assert said["backbone/drop"] is False
    assert said["out"] is None


def test_an_unknown_layer_gets_the_names_of_the_last_ones():
    with pytest.raises(KitError, match=r"no layer 'feature'; its last layers are: .*out\."):
        trace(chain()).find("feature")


def test_a_model_can_be_cut_at_any_layer():
    model = nested_twice()
    graph = trace(model)
    cut = graph.find("relu").outputs
    below, above = graph.model(graph.inputs, [cut]), graph.model([cut], graph.outputs)
    assert np.array_equal(above(below(X)), model(X))
    with pytest.raises(ValueError, match="cannot be computed"):
        graph.model([cut], [graph.find("conv").outputs])


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


class OwnCallOnTop(keras.Model):
    """Built as a functional model, but computes something else."""

    def __init__(self):
        inputs = keras.Input((3,))
        super().__init__(inputs, L.Dense(2)(inputs))

    def call(self, x):
        return 2 * super().call(x)


class OwnSequential(keras.Sequential):
    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize(
    "build", [OwnCall, OwnCallOnTop, lambda: OwnSequential([keras.Input((3,)), L.Dense(2)])]
)
def test_a_call_of_ones_own_is_not_looked_into(build):
    model = build()
    assert not is_graph(model)
    with pytest.raises(NotAGraph, match="functional API or Sequential"):
        trace(model)


def test_a_nested_model_with_a_call_of_its_own_is_one_step():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, L.Dense(2)(OwnCallOnTop()(inputs)))
    graph = trace(model)
    assert len(graph.steps) == 2
    x = RNG.random((2, 3), "float32")
    assert np.array_equal(graph.model(graph.inputs, graph.outputs)(x), model(x))


def test_a_model_compiled_with_functions_of_ones_own_can_be_traced():
    """Keras would compile the trace's clone too, and looks for such a function by its name."""

    def own(targets, outputs):
        return keras.losses.binary_crossentropy(targets, outputs)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(inputs))
    model.compile("adam", loss=own, metrics=[own])
    assert [step.name for step in trace(model).steps] == ["last"]
    assert model.optimizer.built is False
