"""Which losses go with which last layers, and which are refused."""

import re
from itertools import product

import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.models import RECIPES, Weights, build_model, choose_recipe
from xray_helpers.models.pairs import last_activation, last_units, pair_note, with_activation
from xray_helpers.quiet_import import keras
from xray_helpers.settings.task import LOSSES, OUTPUTS

BINARY, CATEGORICAL = "binary_crossentropy", "categorical_crossentropy"
HINGES = ("hinge", "squared_hinge")
CLASSES = {"task1": ("a", "b"), "task2": ("a", "b", "c", "d")}

# What the last layer applies in every pair that can be trained; all others are refused.
ALLOWED = {
    ("task1", BINARY, None): "sigmoid",
    ("task1", BINARY, "sigmoid"): "sigmoid",
    ("task2", CATEGORICAL, None): "softmax",
    ("task2", CATEGORICAL, "softmax"): "softmax",
    ("task2", BINARY, None): "softmax",
    ("task2", BINARY, "softmax"): "softmax",
}
for _hinge in HINGES:
    ALLOWED["task1", _hinge, None] = "linear"
    ALLOWED["task1", _hinge, "linear"] = "linear"
    ALLOWED["task1", _hinge, "sigmoid"] = "sigmoid"
EVERY = list(product(CLASSES, LOSSES, (None, *OUTPUTS)))


@pytest.mark.parametrize(("task", "loss", "output"), ALLOWED)
def test_a_pair_that_can_be_trained_is_built_as_asked(task, loss, output):
    recipe = choose_recipe(task, {"loss": loss, "output": output, "backbone": "cnn"})
    model = build_model(recipe, CLASSES[task], Weights("none"), image_size=32)
    activation = ALLOWED[task, loss, output]
    assert model.get_layer("output").activation is keras.activations.get(activation)
    assert model.loss == loss


@pytest.mark.parametrize(
    ("task", "loss", "output"), [pair for pair in EVERY if pair not in ALLOWED]
)
def test_every_other_pair_is_refused_in_one_sentence_that_says_why(task, loss, output):
    with pytest.raises(KitError) as refused:
        choose_recipe(task, {"loss": loss, "output": output})
    said = str(refused.value)
    assert said.startswith(f"loss='{loss}' with output='")
    reasons = {
        "softmax of one number is always 1": task == "task1" and output == "softmax",
        "needs one output a class": task == "task1" and loss == CATEGORICAL,
        "parts two classes": task == "task2" and loss in HINGES,
        "4 separate probabilities whose sum is not 1": task == "task2" and output == "sigmoid",
        "wants probabilities, but a linear layer": output == "linear" and loss not in HINGES,
    }
    (found,) = [reason for reason in reasons if reason in said]
    assert reasons[found]
    assert re.search(r"; use (output|loss)=", said)


def test_no_pair_is_left_undecided():
    assert len(EVERY) == 32
    assert set(ALLOWED) <= set(EVERY)


@pytest.mark.parametrize("name", [r.name for r in RECIPES.values() if r.task == "task1"])
def test_every_recipe_of_two_classes_takes_a_hinge_and_keeps_its_other_layers(name):
    recipe = RECIPES[name]
    changed = choose_recipe("task1", {"recipe": name, "loss": "hinge"})
    assert changed.whole_head == recipe.head.replace("dense1 sigmoid", "dense1 linear")
    assert recipe.whole_head == recipe.head


@pytest.mark.parametrize(
    ("head", "changed"),
    [
        ("gap > dense1 sigmoid", "gap > dense1 linear"),
        ("gap > dense256 relu > dense4 softmax l2", "gap > dense256 relu > dense4 linear l2"),
        ("dense4 l2 (mine)", "dense4 linear l2 (mine)"),
        ("dense4", "dense4 linear"),
        ("dense4 softmax (mine)", "dense4 linear (mine)"),
    ],
)
def test_the_activation_of_the_last_layer_alone_is_replaced(head, changed):
    assert with_activation(head, "linear") == changed
    assert last_units(head) == last_units(changed)
    assert last_activation(changed, None, "mse") == "linear"


def test_poor_pairs_have_a_note_and_usual_ones_have_none():
    assert "never reaches the -1" in pair_note(1, "sigmoid", "hinge")
    assert "never reaches the -1" in pair_note(1, "sigmoid", "squared_hinge")
    assert "cannot be compared" in pair_note(4, "softmax", BINARY)
    assert pair_note(1, "linear", "hinge") == ""
    assert pair_note(1, "sigmoid", BINARY) == ""
    assert pair_note(4, "softmax", CATEGORICAL) == ""


def test_what_the_note_on_hinge_behind_a_sigmoid_says_is_so():
    """The best that scores from 0 to 1 can do: a loss of 1 for each negative picture."""
    labels = np.array([[0], [0], [0], [1]], "float32")
    best = np.clip(labels, 1e-7, 1 - 1e-7)
    assert float(np.mean(keras.losses.hinge(labels, best))) == pytest.approx(0.75, abs=1e-5)
    # Rightly negative at 0.4, and the loss still falls when the score does.
    higher, lower = (
        float(np.mean(keras.losses.hinge(np.zeros((1, 1)), np.array([[score]]))))
        for score in (0.4, 0.1)
    )
    assert lower < higher
