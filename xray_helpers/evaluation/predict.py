"""What a model says about the pictures of a split, and how often it is right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.evaluation.metrics import Estimate, accuracy, class_scores, confusion_matrix
from xray_helpers.training.batches import targets_for
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs, head_output, model_outputs


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of one model for one split, in the table's fixed order.

    Attributes:
        classes: names of the classes.
        predictions: a row a picture: path (below the data folder), true, predicted, and a column
            `p_<class>` with the probability of each class.
        loss: mean loss, with what L2 adds; None for a model that was not compiled.
    """

    classes: tuple[str, ...]
    predictions: pd.DataFrame
    loss: float | None

    def _numbers(self, column: str) -> np.ndarray:
        return self.predictions[column].map(self.classes.index).to_numpy(np.int64)

    @property
    def accuracy(self) -> Estimate:
        """Share of pictures whose class is right."""
        return accuracy(self._numbers("true"), self._numbers("predicted"))

    @property
    def confusion(self) -> np.ndarray:
        """Counts (classes, classes): rows are true classes, columns predicted ones."""
        return confusion_matrix(
            self._numbers("true"), self._numbers("predicted"), len(self.classes)
        )

    @property
    def class_scores(self) -> pd.DataFrame:
        """Precision and recall of each class, see `metrics.class_scores`."""
        return class_scores(self.confusion, self.classes)

    @property
    def probability(self) -> np.ndarray:
        """Probability of the predicted class of each picture, (n,)."""
        return self.predictions[[f"p_{c}" for c in self.classes]].max(axis=1).to_numpy()

    def figures(self) -> dict[str, Any]:
        """The `test` section of `run.json`."""
        rows = self.class_scores.to_dict("records")
        scores = {
            f"{row['metric']}_{row['class']}": {k: row[k] for k in ("value", "low", "high", "n")}
            for row in rows
        }
        return {"loss": self.loss, "accuracy": self.accuracy.as_dict(), **scores}


def evaluate(
    model: keras.Model, data: Dataset, split: str = "test", *, cache: bool = True
) -> Evaluation:
    """Let `model` predict every picture of a split, in the table's order.

    Args:
        model: as for `train`.
        data: the pictures.
        split: "test", "validation" or "train".
        cache: take the frozen part's outputs from the cache.

    Raises:
        KitError: the model's output does not fit the classes, or is not a probability.
    """
    pictures, labels = data.split(split)
    outputs = predict(model, pictures, cache=cache)
    probabilities = _per_class(outputs, len(data.classes))
    loss = None
    if getattr(model, "compiled", False):
        targets = targets_for(model, outputs.shape[-1], labels, len(data.classes))
        # As in training: the mean over the pictures, and what weights with L2 add.
        penalties = [w.regularizer(w) for w in model.trainable_weights if w.regularizer]
        loss = float(np.mean(keras.losses.get(model.loss)(targets, outputs)) + sum(penalties))
    rows = data.rows(split)
    names = np.array(data.classes)
    predictions = pd.DataFrame(
        {
            "path": [_below(p, data.source.root) for p in data.table["path"].iloc[rows]],
            "true": names[labels],
            "predicted": names[probabilities.argmax(axis=1)],
            **{f"p_{c}": probabilities[:, i] for i, c in enumerate(data.classes)},
        }
    )
    return Evaluation(data.classes, predictions, loss)


def predict(model: keras.Model, pictures: np.ndarray, *, cache: bool = True) -> np.ndarray:
    """The model's output for pictures (n, size, size, 3), in order: (n, units) float32."""
    split = split_model(model) if cache else None
    if split is None or split.frozen is None:
        return model_outputs(model, pictures, progress="Predicting")[0]
    features = frozen_outputs(split.frozen, pictures, progress="Frozen features, predicting")
    return head_output(split.head, features)


def _per_class(outputs: np.ndarray, classes: int) -> np.ndarray:
    """One probability a class, (n, classes), float64, rows sum to 1."""
    outputs = np.asarray(outputs, np.float64)
    if outputs.ndim == 2 and outputs.shape[1] == 1 and classes == 2:
        outputs = np.hstack([1 - outputs, outputs])
    if outputs.shape[1:] != (classes,):
        raise KitError(
            f"The model gives {outputs.shape[1:]} numbers a picture; {classes} classes need "
            f"({classes},)."
        )
    if outputs.min() < -1e-6 or not np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise KitError(
            "The model's outputs are no probabilities; end it with a softmax (or, with one "
            "output, a sigmoid)."
        )
    return outputs


def _below(path: str, root: Path) -> str:
    try:
        return Path(path).relative_to(root.resolve()).as_posix()
    except ValueError:
        return path
