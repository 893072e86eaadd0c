"""The network of report E's two classifiers in a row, in words.

Both stages are the same network, trained from scratch, with a sigmoid at its end. Plain Python:
what the report says is stated here, and what it leaves out is chosen here and named in `chosen`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xray_helpers.models.recipe import Recipe

_CONV = "conv8 3x3 valid relu"
CONVOLUTIONS = f"{_CONV} > maxpool2 > {_CONV} > {_CONV}"
WITHOUT_THIRD_CONV = f"{_CONV} > maxpool2 > {_CONV}"


def stage_head(first: int, second: int) -> str:
    """The three fully connected layers in words; `first` and `second` are numbers of nodes."""
    return f"flatten > dense{first} relu > dropout > dense{second} relu > dropout > dense1 sigmoid"


STAGE = Recipe(
    name="cascade",
    task="two_stage",
    backbone="cnn",
    convolutions=CONVOLUTIONS,
    head=stage_head(100, 50),
    unfreeze=-1,
    dropout=0.35,
    initializer="glorot_normal",
    optimizer="adam",
    learning_rate=1e-3,
    loss="binary_crossentropy",
    epochs=12,
    batch_size=32,
    patience=None,
    report="E",
    reported="stage 1 accuracy 0.788, recall 0.991, precision 0.747; "
    "stage 2 accuracy 0.913, recall 0.831, precision 0.925",
    chosen=(
        "8 filters in each convolution, no padding, relu",
        "a second dense layer of 50 nodes (60 and 30 in place of 100 and 50 for fewer nodes)",
        "12 epochs, with the weights of the lowest validation loss",
        "batch 32, for time; the report took 3",
        "values from 0 to 1",
        "default is Keras's own start, glorot_uniform; Xavier is glorot_normal, Kaiming he_normal",
        "dropout 0.35, Xavier and Adam at 0.001 where a variant names none",
        "SGD for the learning rates of 0.1 and more, whose optimizer the report does not name",
    ),
)
"""The stage with the report's best settings of stage 1: Xavier, dropout 0.35, Adam."""


def stage_recipe(settings: Mapping[str, Any]) -> Recipe:
    """The network of both stages with the settings that are not None worked in."""
    return STAGE.override(settings)


def softmax_recipe(stage: Recipe, classes: int) -> Recipe:
    """One network for all classes at once: the stage's, but for its last layer and its loss."""
    first, _, _ = stage.head.rpartition(" > ")
    return replace(
        stage,
        name="softmax",
        head=f"{first} > dense{classes} softmax",
        loss="categorical_crossentropy",
        output=None,
        report=None,
        reported=None,
        changed=tuple(name for name in stage.changed if name != "loss"),
    )
