"""What Keras counts while it trains: accuracy, and precision and recall of the second class.

Each reads the model's numbers as what they mean (`models/output.py`): a margin of 0.3 is a yes,
a probability of 0.3 is a no.
"""

from collections.abc import Sequence

import keras

from xray_helpers.errors import KitError
from xray_helpers.models.output import THRESHOLD, Meaning

NAMES = ("precision", "recall")


def training_metrics(
    names: Sequence[str], meaning: Meaning, units: int
) -> list[keras.metrics.Metric | str]:
    """Accuracy, then the metrics of `names`, for `compile`.

    Args:
        names: out of "precision", "recall", which are those of the second class of two.
        meaning: what the model's numbers mean.
        units: numbers that the model gives a picture.
    """
    threshold = THRESHOLD[meaning]
    accuracy = "accuracy"  # of the largest number
    if units == 1:
        accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=threshold)
    kinds = {"precision": Precision, "recall": Recall}
    return [accuracy, *(kinds[name](threshold, name=name) for name in names)]


def check_metrics(names: Sequence[str], classes: int) -> None:
    """Stop with a sentence where the metrics `names` are unknown or not defined.

    Raises:
        KitError: a name is not in `NAMES`, or there are not two classes.
    """
    for name in names:
        if name not in NAMES:
            raise KitError(f"metrics: {name!r} is unknown; take some of {', '.join(NAMES)}.")
    if names and classes != 2:
        raise KitError(
            f"metrics: precision and recall an epoch are those of the second class of two, but "
            f"there are {classes} classes; leave metrics out."
        )


class Precision(keras.metrics.Precision):
    """Of the pictures called the second class, the share that is; NaN where none is called so."""

    def __init__(self, threshold: float, name: str = "precision") -> None:
        """`threshold`: above it, one number a picture is the second class."""
        super().__init__(name=name)
        self.threshold = threshold

    def update_state(
        self, targets: keras.KerasTensor, outputs: keras.KerasTensor, sample_weight: None = None
    ) -> None:
        """Count a batch; the pictures count alike, whatever their weight in the loss."""
        super().update_state(_is_second(targets, 0.5), _is_second(outputs, self.threshold))

    def result(self) -> keras.KerasTensor:
        """The share so far."""
        return (self.true_positives / (self.true_positives + self.false_positives))[0]


class Recall(keras.metrics.Recall):
    """Of the pictures of the second class, the share that is found; NaN where there are none."""

    def __init__(self, threshold: float, name: str = "recall") -> None:
        """`threshold`: above it, one number a picture is the second class."""
        super().__init__(name=name)
        self.threshold = threshold

    def update_state(
        self, targets: keras.KerasTensor, outputs: keras.KerasTensor, sample_weight: None = None
    ) -> None:
        """Count a batch; the pictures count alike, whatever their weight in the loss."""
        super().update_state(_is_second(targets, 0.5), _is_second(outputs, self.threshold))

    def result(self) -> keras.KerasTensor:
        """The share so far."""
        return (self.true_positives / (self.true_positives + self.false_negatives))[0]


def _is_second(numbers: keras.KerasTensor, threshold: float) -> keras.KerasTensor:
    """1 where numbers (n, 1) or (n, 2) stand for the second class, else 0: (n,)."""
    if numbers.shape[-1] == 1:
        return keras.ops.cast(numbers[:, 0] > threshold, "float32")
    return keras.ops.cast(numbers[:, 1] > numbers[:, 0], "float32")
