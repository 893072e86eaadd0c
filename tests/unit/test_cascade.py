"""Two classifiers in a row: the network, its variants, the routing and the scores."""

from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from xray_helpers.data.dataset import Dataset, Source
from xray_helpers.data.stages import first_stage, second_stage
from xray_helpers.evaluation import variants as running
from xray_helpers.evaluation.cascade import (
    evaluate_cascade,
    largest_elsewhere,
    routed,
    stage_scores,
)
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.pairing import paired
from xray_helpers.evaluation.predict import Evaluation, evaluate
from xray_helpers.evaluation.variants import run_variants
from xray_helpers.models.build import build_model
from xray_helpers.models.cascade import STAGE, softmax_recipe, stage_recipe
from xray_helpers.models.describe import count_parameters
from xray_helpers.models.variants import VARIANTS
from xray_helpers.models.weights import Weights

CLASSES = ("normal", "pneumonia_bac", "pneumonia_vir")
SIZE = 16


def three_classes(counts: dict[str, tuple[int, int, int]], seed: int = 0) -> Dataset:
    """Noise whose brightness tells the class: so many pictures of each class in each split."""
    rows, light = [], []
    for split, numbers in counts.items():
        for number, (label, n) in enumerate(zip(CLASSES, numbers, strict=True)):
            rows += [
                (f"/p/{split}/{label}{i}.png", label, split, f"{split}{label}{i}", "other")
                for i in range(n)
            ]
            light += [number] * n
    table = pd.DataFrame(rows, columns=["path", "label", "split", "patient", "source"])
    bright = 60 + 60 * np.array(light)[:, None, None, None]
    noise = np.random.default_rng(seed).normal(bright, 10, (len(table), SIZE, SIZE, 3))
    pictures = np.clip(noise, 0, 255).astype(np.uint8)
    return Dataset("two_stage", Source(Path("/p"), "other"), CLASSES, table, pictures, [], "f")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return three_classes({"train": (6, 6, 6), "validation": (3, 3, 3), "test": (4, 3, 5)})


# --- the network --------------------------------------------------------------------------------


def test_the_stage_has_the_reports_layers_in_its_order():
    model = build_model(STAGE, ("normal", "infected"), Weights("none"), image_size=150)
    inner = next(layer for layer in model.layers if layer.name == "cnn")
    layers = [*inner.layers, *model.layers[model.layers.index(inner) + 1 :]]
    kinds = [
        type(layer).__name__ for layer in layers if not isinstance(layer, keras.layers.InputLayer)
    ]
    assert kinds == [
        "Conv2D", "MaxPooling2D", "Conv2D", "Conv2D", "Flatten", "Dense", "Dropout", "Dense",
        "Dropout", "Dense",
    ]  # fmt: skip
    pool = inner.layers[1]
    assert pool.pool_size == pool.strides == (2, 2)
    assert all(layer.kernel_size == (3, 3) for layer in layers if "conv" in layer.name)
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [100, 50, 1]
    assert dense[-1].activation is keras.activations.sigmoid
    # 148 -> 74 -> 72 -> 70; weights and biases by hand.
    maps = (27 * 8 + 8) + 2 * (72 * 8 + 8)
    nodes = (70 * 70 * 8 * 100 + 100) + (100 * 50 + 50) + (50 + 1)
    assert count_parameters(model) == {
        "total": maps + nodes, "trainable": maps + nodes, "non_trainable": 0,
    }  # fmt: skip


def test_settings_change_the_stage_and_are_named():
    recipe = stage_recipe({"dropout": 0.5, "epochs": 3, "loss": "hinge", "variants": "all"})
    assert (recipe.dropout, recipe.epochs, recipe.loss) == (0.5, 3, "hinge")
    assert recipe.changed == ("dropout", "epochs", "loss")
    assert stage_recipe(asdict(STAGE)).changed == ()


def test_the_softmax_network_differs_in_its_last_layer_and_loss_only():
    recipe = softmax_recipe(stage_recipe({"loss": "hinge", "epochs": 3}), 3)
    assert recipe.changed == ("epochs",)
    model = build_model(recipe, CLASSES, Weights("none"), image_size=SIZE)
    assert model.output_shape == (None, 3)
    assert model.loss == "categorical_crossentropy"
    assert recipe.head.split(" > ")[:-1] == STAGE.head.split(" > ")[:-1]


def test_what_the_report_leaves_out_is_named():
    text = " ".join(STAGE.chosen)
    assert all(word in text for word in ("filters", "epochs", "batch", "second dense layer", "SGD"))


# --- the variants, against the report's table written out again ---------------------------------

# name: stage, dropout, third convolution, nodes of the first dense layer, initializer, optimizer,
# learning rate; loss, accuracy, recall, precision
REPORT = {
    "model1_2": (1, 0.25, True, 100, "glorot_uniform", "adam", 1e-3, 5.301, 0.7451, 0.9975, 0.7099),
    "model1_3": (1, 0.40, True, 100, "glorot_uniform", "adam", 1e-3, 3.667, 0.7381, 1.0, 0.7026),
    "model1_4": (1, 0.40, True, 60, "glorot_uniform", "adam", 1e-3, 3.667, 0.7381, 1.0, 0.7026),
    "model1_5": (1, 0.40, False, 60, "glorot_uniform", "adam", 1e-3, 4.421, 0.69, 0.9948, 0.6675),
    "model1_6": (1, 0.35, False, 60, "glorot_uniform", "rmsprop", 1e-3, 2.271, 0.6844, 1, 0.6624),
    "model1_7": (1, 0.35, True, 200, "glorot_uniform", "rmsprop", 1e-3, 36.56, 0.634, 1.0, 0.634),
    "model1_8": (1, 0.35, True, 200, "glorot_uniform", "adam", 1e-3, 2.098, 0.7606, 0.9949, 0.7241),
    "model1_9": (1, 0.35, True, 100, "glorot_normal", "adam", 1e-3, 3.561, 0.7883, 0.9913, 0.747),
    "model1_10": (1, 0.35, True, 100, "glorot_normal", "adam", 1e-3, 2.332, 0.7572, 0.9949, 0.7198),
    "model1_11": (1, 0.35, True, 100, "he_normal", "adam", 1e-3, 2.258, 0.725, 0.998, 0.7),
    "model1_12": (1, 0.35, True, 100, "he_normal", "adam", 1e-3, 3.448, 0.7768, 0.9842, 0.7403),
    "rate0.1": (1, 0.35, True, 100, "glorot_normal", "sgd", 0.1, 0.603, 0.62, None, None),
    "rate0.15": (1, 0.35, True, 100, "glorot_normal", "sgd", 0.15, 0.685, 0.62, None, None),
    "rate0.2": (1, 0.35, True, 100, "glorot_normal", "sgd", 0.2, 0.679, 0.62, None, None),
    "rate0.25": (1, 0.35, True, 100, "glorot_normal", "sgd", 0.25, 0.675, 0.62, None, None),
    "rate0.5": (1, 0.35, True, 100, "glorot_normal", "sgd", 0.5, 0.673, 0.62, None, None),
    "model2_2": (2, 0.35, True, 100, "glorot_uniform", "adam", 1e-3, 0.331, 0.893, 0.784, 0.91),
    "model2_3": (2, 0.35, True, 100, "glorot_uniform", "rmsprop", 1e-3, 0.339, 0.862, 0.798, 0.885),
    "model2_4": (2, 0.35, True, 100, "glorot_uniform", "sgd", 0.1, 0.339, 0.874, 0.707, 0.903),
    "model2_5": (2, 0.35, True, 100, "he_normal", "adam", 1e-3, 0.383, 0.913, 0.831, 0.925),
    "model2_6": (2, 0.35, True, 100, "glorot_normal", "adam", 1e-3, 0.319, 0.906, 0.792, 0.949),
}


@pytest.mark.parametrize("name", REPORT)
def test_a_variant_is_what_the_report_says(name):
    stage, dropout, third, nodes, start, optimizer, rate, *figures = REPORT[name]
    variant = VARIANTS[name]
    recipe = variant.recipe
    assert variant.stage == stage
    assert (recipe.dropout, recipe.initializer) == (dropout, start)
    assert (recipe.optimizer, recipe.learning_rate) == (optimizer, rate)
    assert recipe.convolutions.count("conv") == (3 if third else 2)
    assert f"dense{nodes} relu" in recipe.head.split(" > ")[1]
    reported = variant.reported
    assert [reported.loss, reported.accuracy, reported.recall, reported.precision] == figures


def test_the_second_dense_layer_of_100_is_the_reports():
    assert all(
        "dense100 relu" in VARIANTS[n].recipe.head.split(" > ")[3] for n in ("model1_7", "model1_8")
    )


def test_what_the_report_says_in_words_only_has_no_figures():
    words = {name: v for name, v in VARIANTS.items() if name not in REPORT}
    assert all(set(asdict(v.reported).values()) == {None} for v in words.values())
    by_field = {
        "initializer": {"zeros", "random_normal"},
        "loss": {"binary_crossentropy", "hinge", "squared_hinge"},
        "batch_size": {3, 10, 32},
    }
    for field, values in by_field.items():
        assert {v.changes[field] for v in words.values() if field in v.changes} == values
    assert words["sigmoid_hinge"].changes == {"loss": "hinge", "output": "sigmoid"}


def test_same_settings_twice_are_a_repetition_with_another_seed():
    for one, two in (("model1_9", "model1_10"), ("model1_11", "model1_12")):
        assert VARIANTS[one].recipe == VARIANTS[two].recipe
        assert (VARIANTS[one].repeat, VARIANTS[two].repeat) == (0, 1)
    assert sum(v.repeat for v in VARIANTS.values()) == 2


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_every_variant_can_be_built(variant):
    model = build_model(variant.recipe, ("a", "b"), Weights("none"), image_size=SIZE)
    linear = variant.recipe.loss != "binary_crossentropy" and variant.recipe.output is None
    assert model.layers[-1].activation.__name__ == ("linear" if linear else "sigmoid")


# --- the routing --------------------------------------------------------------------------------


def test_routing_by_hand():
    p_infected = np.array([0.2, 0.5, 0.9, 0.9, 0.6])
    p_target = np.array([0.9, 0.9, 0.1, 0.8, 0.5])
    numbers, shares = routed(p_infected, p_target)
    # 0.5 is not above one half: healthy, and other.
    assert numbers.tolist() == [0, 0, 1, 2, 1]
    assert shares == pytest.approx(
        np.array(
            [
                [0.8, 0.02, 0.18],
                [0.5, 0.05, 0.45],
                [0.1, 0.81, 0.09],
                [0.1, 0.18, 0.72],
                [0.4, 0.3, 0.3],
            ]
        )
    )
    assert shares.sum(axis=1) == pytest.approx(1)


def test_the_largest_probability_differs_only_where_it_can():
    p1, p2 = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1, 101))
    numbers, shares = routed(p1.ravel(), p2.ravel())
    own = shares[np.arange(len(numbers)), numbers]
    elsewhere = shares.max(axis=1) > own + 1e-12
    assert elsewhere.any()
    assert ((p1.ravel()[elsewhere] > 0.5) & (p1.ravel()[elsewhere] < 2 / 3)).all()


def known(name: str, values: dict[int, float]) -> keras.Model:
    """A model that says what the red corner pixel of a picture stands for, and sees no more."""
    table = np.zeros(256, np.float32)
    for pixel, p in values.items():
        table[pixel] = p
    inputs = keras.Input((SIZE, SIZE, 3))
    corner = inputs[:, 0, 0, :1]
    embedding = keras.layers.Embedding(256, 1, name=name, embeddings_initializer="zeros")
    outputs = keras.layers.Flatten()(embedding(corner))
    model = keras.Model(inputs, outputs)
    embedding.set_weights([table[:, None]])
    model.compile(loss="binary_crossentropy")
    return model


@pytest.fixture
def marked(data):
    """The test pictures numbered 1, 2, … by their corner pixel; 4 normal, 3 bacterial, 5 viral."""
    pictures = data.pictures.copy()
    for number, row in enumerate(data.rows("test"), start=1):
        pictures[row, 0, 0, 0] = number
    return replace(data, pictures=pictures)


def test_a_cascade_is_scored_as_three_classes(marked):
    # Of 4 normal ones stage 1 lets one through; of 8 infected ones it holds one back.
    infected = {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.9, 5: 0.2, **dict.fromkeys(range(6, 13), 0.8)}
    target = {4: 0.9, 5: 0.1, 6: 0.1, 7: 0.7, **dict.fromkeys(range(8, 12), 0.9), 12: 0.3}
    result = evaluate_cascade(known("one", infected), known("two", target), marked)
    assert result.confusion.tolist() == [[3, 0, 1], [1, 1, 1], [0, 1, 4]]
    assert result.accuracy == wilson(8, 12)
    assert list(result.predictions["path"].str.slice(0, 6)) == ["test/n"] * 4 + ["test/p"] * 8
    fourth = result.predictions.iloc[3]
    assert fourth["predicted"] == "pneumonia_vir"
    assert fourth[["p_normal", "p_pneumonia_bac", "p_pneumonia_vir"]].tolist() == pytest.approx(
        [0.1, 0.9 * 0.1, 0.9 * 0.9], abs=1e-6
    )
    rows = marked.rows("test")
    assert list(result.predictions.columns)[-1] == "patient"
    assert result.predictions["patient"].tolist() == marked.table["patient"].iloc[rows].tolist()
    assert result.probability[3] == pytest.approx(0.81, abs=1e-6)
    own = [0.9, 0.9, 0.6, 0.1, 0.2 * 0.9, 0.8 * 0.9, 0.8 * 0.3, *[0.8 * 0.9] * 4, 0.8 * 0.3]
    assert result.loss == pytest.approx(-np.mean(np.log(own)), abs=1e-5)
    assert largest_elsewhere(result) == 0


def test_the_verdicts_count_where_the_largest_probability_lies_elsewhere(marked):
    infected = dict.fromkeys(range(1, 13), 0.6)
    target = dict.fromkeys(range(1, 13), 0.55)
    result = evaluate_cascade(known("one", infected), known("two", target), marked)
    assert set(result.predictions["predicted"]) == {"pneumonia_vir"}
    assert result.probability == pytest.approx(0.33, abs=1e-6)
    assert largest_elsewhere(result) == 12


def test_stage_scores_are_those_of_the_second_class(marked):
    infected = {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.9, 5: 0.2, **dict.fromkeys(range(6, 13), 0.8)}
    result = evaluate(known("one", infected), first_stage(marked))
    table = stage_scores({"test": result}).set_index("metric")
    assert table.loc["accuracy", "value"] == 10 / 12
    assert table.loc["precision", ["value", "n"]].tolist() == [7 / 8, 8]
    recall = table.loc["recall", ["value", "low", "high", "n"]]
    share = wilson(7, 8)
    assert recall.tolist() == [share.value, share.low, share.high, share.n]


def evaluation(right: list[bool], path: str = "p") -> Evaluation:
    table = pd.DataFrame(
        {
            "path": [f"{path}{i}" for i in range(len(right))],
            "true": "a",
            "predicted": ["a" if r else "b" for r in right],
        }
    )
    return Evaluation(("a", "b"), table, None)


def test_pairs_by_hand():
    one = evaluation([True] * 6 + [False] * 2)
    two = evaluation([False] * 6 + [True] + [False])
    pairs = paired(one, two)
    assert (pairs.both, pairs.first_only, pairs.second_only, pairs.neither) == (0, 6, 1, 1)
    assert pairs.p == pytest.approx(2 * (1 + 7) / 2**7)
    assert paired(one, one).p == 1
    with pytest.raises(ValueError, match="same pictures"):
        paired(one, evaluation([True] * 8, "other"))
    # All pictures of two patients: not more evidence than two.
    for result in (one, two):
        result.predictions["patient"] = [f"p{i % 2}" for i in range(8)]
    assert paired(one, two).p == 0.5


# --- running the variants -----------------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch) -> list[str]:
    """The optimizers of the trainings that were done."""
    done, train = [], running.train

    def counted(model, *args, **options):
        done.append(type(model.optimizer).__name__)
        return train(model, *args, **options)

    monkeypatch.setattr(running, "train", counted)
    return done


def test_variants_with_the_same_settings_share_a_training(data, trainings):
    table = run_variants([VARIANTS["model1_9"], VARIANTS["batch32"]], data, epochs=1)
    assert len(trainings) == 1
    assert list(table["variant"]) == ["model1_9", "batch32"]
    assert table["test_accuracy"].nunique() == 1
    assert table["reported_accuracy"].tolist()[0] == 0.7883
    assert np.isnan(table["reported_accuracy"].tolist()[1])


def test_what_was_run_before_is_not_run_again(data, trainings):
    names = ("model2_2", "model2_3")
    first = run_variants([VARIANTS[names[0]]], data, epochs=1)
    both = run_variants([VARIANTS[n] for n in names], data, epochs=1)
    assert trainings == ["Adam", "RMSprop"]
    pd.testing.assert_frame_equal(first, both.iloc[:1])
    run_variants([VARIANTS[names[0]]], data, epochs=2)
    assert trainings == ["Adam", "RMSprop", "Adam"]


def test_a_variants_scores_are_those_of_the_model_it_trained(data, monkeypatch):
    models, train = [], running.train

    def kept(model, *args, **options):
        models.append(model)
        return train(model, *args, **options)

    monkeypatch.setattr(running, "train", kept)
    row = run_variants([VARIANTS["model2_6"]], data, epochs=3, pictures=9).iloc[0]
    stage = second_stage(data)
    pictures, labels = stage.split("test")
    called = (models[0].predict(pictures.astype("float32"), verbose=0)[:, 0] > 0.5).astype(int)
    assert row["test_accuracy"] == np.mean(called == labels)
    assert row["test_accuracy_n"] == 8
    assert row["test_recall"] == called[labels == 1].mean()
    assert row["test_recall_n"] == 5
    assert row["test_recall_low"] == wilson(int(called[labels == 1].sum()), 5).low
    assert row["validation_accuracy_n"] == 4  # a third of 9, in equal shares of two classes


def test_a_variant_that_diverges_has_no_scores(data, monkeypatch):
    from xray_helpers.errors import KitError

    def diverges(*args, **options):
        raise KitError("The loss is no number any more (NaN): the training diverged.")

    monkeypatch.setattr(running, "train", diverges)
    row = run_variants([VARIANTS["rate0.5"]], data, epochs=1).iloc[0]
    assert np.isnan(row["test_accuracy"]) and np.isnan(row["test_loss"])
    assert row["test_accuracy_n"] == 0
    assert row["reported_accuracy"] == 0.62


def test_no_variants_make_an_empty_table(data):
    assert len(run_variants([], data)) == 0
