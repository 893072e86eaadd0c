"""The variants of a stage that report E tried, each with the figures that it gives. Plain Python.

A variant is the network of `cascade.STAGE` with a few settings changed, mostly one at a time. The
report tells some of them in words only: those have no figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xray_helpers.models.cascade import STAGE, WITHOUT_THIRD_CONV, stage_head
from xray_helpers.models.recipe import Recipe


@dataclass(frozen=True)
class Reported:
    """What report E gives for a variant; None where it gives nothing.

    The report calls the figures validation, but they can only be of its 615 test pictures.
    """

    loss: float | None = None
    accuracy: float | None = None
    recall: float | None = None
    precision: float | None = None


@dataclass(frozen=True)
class Variant:
    """One training of a stage.

    Attributes:
        name: what the setting `variants` takes; the report's own name where it has one.
        stage: 1 or 2.
        what: what it is, in words.
        changes: fields of `Recipe` -> value in place of `STAGE`'s.
        reported: the report's figures.
        repeat: 1 for the same settings a second time, with another seed.
    """

    name: str
    stage: int
    what: str
    changes: Mapping[str, Any]
    reported: Reported = Reported()
    repeat: int = 0

    @property
    def recipe(self) -> Recipe:
        """`STAGE` with the changes worked in."""
        return replace(STAGE, **self.changes)


_DEFAULT = {"initializer": "glorot_uniform"}
_XAVIER = {"initializer": "glorot_normal"}
_HE = {"initializer": "he_normal"}
_FEWER = {"convolutions": WITHOUT_THIRD_CONV, "head": stage_head(60, 30)}
_DENSE60 = {"head": stage_head(60, 50)}
_MORE = {"head": stage_head(200, 100)}
_RMSPROP = {"optimizer": "rmsprop"}


def _sgd(rate: float) -> dict[str, Any]:
    return {"optimizer": "sgd", "learning_rate": rate}


# A table: name, stage, in words, changes, (loss, accuracy, recall, precision).
# fmt: off
_WITH_FIGURES = (
    ("model1_2", 1, "dropout 0.25", {**_DEFAULT, "dropout": 0.25},
     (5.301, 0.7451, 0.9975, 0.7099)),
    ("model1_3", 1, "dropout 0.40", {**_DEFAULT, "dropout": 0.40},
     (3.667, 0.7381, 1.0, 0.7026)),
    ("model1_4", 1, "dropout 0.40, dense 60", {**_DEFAULT, "dropout": 0.40, **_DENSE60},
     (3.667, 0.7381, 1.0, 0.7026)),
    ("model1_5", 1, "dropout 0.40, no third conv, fewer nodes",
     {**_DEFAULT, **_FEWER, "dropout": 0.40},
     (4.421, 0.6900, 0.9948, 0.6675)),
    ("model1_6", 1, "no third conv, fewer nodes, RMSprop", {**_DEFAULT, **_FEWER, **_RMSPROP},
     (2.271, 0.6844, 1.0, 0.6624)),
    ("model1_7", 1, "dense 200 and 100, RMSprop", {**_DEFAULT, **_MORE, **_RMSPROP},
     (36.56, 0.634, 1.0, 0.634)),
    ("model1_8", 1, "dense 200 and 100", {**_DEFAULT, **_MORE},
     (2.098, 0.7606, 0.9949, 0.7241)),
    ("model1_9", 1, "Xavier", _XAVIER, (3.561, 0.7883, 0.9913, 0.7470)),
    ("model1_10", 1, "Xavier, once more", _XAVIER, (2.332, 0.7572, 0.9949, 0.7198)),
    ("model1_11", 1, "Kaiming", _HE, (2.258, 0.725, 0.998, 0.700)),
    ("model1_12", 1, "Kaiming, once more", _HE, (3.448, 0.7768, 0.9842, 0.7403)),
    ("rate0.1", 1, "SGD at 0.1", _sgd(0.1), (0.603, 0.620, None, None)),
    ("rate0.15", 1, "SGD at 0.15", _sgd(0.15), (0.685, 0.620, None, None)),
    ("rate0.2", 1, "SGD at 0.2", _sgd(0.2), (0.679, 0.620, None, None)),
    ("rate0.25", 1, "SGD at 0.25", _sgd(0.25), (0.675, 0.620, None, None)),
    ("rate0.5", 1, "SGD at 0.5", _sgd(0.5), (0.673, 0.620, None, None)),
    ("model2_2", 2, "Adam", _DEFAULT, (0.331, 0.893, 0.784, 0.910)),
    ("model2_3", 2, "RMSprop", {**_DEFAULT, **_RMSPROP}, (0.339, 0.862, 0.798, 0.885)),
    ("model2_4", 2, "SGD at 0.1", {**_DEFAULT, **_sgd(0.1)},
     (0.339, 0.874, 0.707, 0.903)),
    ("model2_5", 2, "Kaiming", _HE, (0.383, 0.913, 0.831, 0.925)),
    ("model2_6", 2, "Xavier", _XAVIER, (0.319, 0.906, 0.792, 0.949)),
)
_IN_WORDS = (
    ("zeros", 1, "all weights start at 0", {"initializer": "zeros"}),
    ("random", 1, "start normal, spread 0.05", {"initializer": "random_normal"}),
    ("crossentropy", 1, "binary cross-entropy", {"loss": "binary_crossentropy"}),
    ("hinge", 1, "hinge", {"loss": "hinge"}),
    ("squared_hinge", 1, "squared hinge", {"loss": "squared_hinge"}),
    ("sigmoid_hinge", 1, "hinge behind a sigmoid", {"loss": "hinge", "output": "sigmoid"}),
    ("batch3", 1, "batch 3", {"batch_size": 3}),
    ("batch10", 1, "batch 10", {"batch_size": 10}),
    ("batch32", 1, "batch 32", {"batch_size": 32}),
)
# fmt: on
_REPEATS = ("model1_10", "model1_12")

VARIANTS: dict[str, Variant] = {
    name: Variant(name, stage, what, changes, Reported(*figures), int(name in _REPEATS))
    for name, stage, what, changes, figures in (
        *_WITH_FIGURES,
        *((*row, ()) for row in _IN_WORDS),
    )
}
"""All variants by name: those with figures first, in the report's order."""
