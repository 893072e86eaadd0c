"""What a model says about the pictures of a split, and how often it is right."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.evaluation.calibration import Calibration, calibrate, no_calibration
from xray_helpers.evaluation.metrics import (
    Estimate,
    accuracy,
    all_metrics,
    class_scores,
    confusion_matrix,
    metric_table,
)
from xray_helpers.models.output import (
    P_COLUMNS,
    Meaning,
    class_probabilities,
    output_meaning,
    predicted_classes,
)
from xray_helpers.paths import below
from xray_helpers.training.batches import targets_for
from xray_helpers.training.boundary import split_model
from xray_helpers.training.features import frozen_outputs, head_output, model_outputs


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of one model for one split, in the table's fixed order.

    Attributes:
        classes: names of the classes.
        predictions: a row a picture: path (below the data folder), true, predicted, and a column
            `p_<class>` with the probability of each class. Of a hinge model these are the logistic
            function of its margin: the class is right, but 0.9 does not mean 9 of 10. The last
            column is patient; where it is missing, as in older records, each picture counts as a
            patient of its own.
        loss: mean loss, with what L2 adds; None for a model that was not compiled.
        meaning: what the model's own numbers are: "probability", "logit" or "margin".
        split: whose pictures: "train", "validation" or "test". What does not say counts as test,
            on which nothing may be chosen.
    """

    classes: tuple[str, ...]
    predictions: pd.DataFrame
    loss: float | None
    meaning: Meaning = "probability"
    split: str = "test"

    def _numbers(self, column: str) -> np.ndarray:
        return self.predictions[column].map(self.classes.index).to_numpy(np.int64)

    @property
    def patients(self) -> np.ndarray:
        """The patient of each picture, text (n,)."""
        column = "patient" if "patient" in self.predictions else "path"
        return self.predictions[column].to_numpy(str)

    @property
    def scores(self) -> np.ndarray:
        """The `p_` columns, float64 (n, classes)."""
        return self.predictions[[f"p_{c}" for c in self.classes]].to_numpy(np.float64)

    @property
    def accuracy(self) -> Estimate:
        """Share of pictures whose class is right."""
        return accuracy(self._numbers("true"), self._numbers("predicted"), self.patients)

    @cached_property
    def estimates(self) -> dict[tuple[str, str], Estimate]:
        """Every figure by metric and class, see `metrics.all_metrics`."""
        true, predicted = self._numbers("true"), self._numbers("predicted")
        return all_metrics(true, predicted, self.scores, self.classes, self.patients)

    @property
    def metrics(self) -> pd.DataFrame:
        """Every figure, a row each, see `metrics.metric_table`."""
        return metric_table(self.estimates)

    @cached_property
    def calibration(self) -> Calibration:
        """How far the probabilities can be taken at their word; of margins only why they cannot."""
        if self.meaning == "margin":
            return no_calibration(f"No calibration: the columns p_ hold the {self.p_columns}.")
        true, predicted = self._numbers("true"), self._numbers("predicted")
        return calibrate(true, predicted, self.scores, self.classes, self.patients)

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
        """The `p_` column of the predicted class of each picture, (n,); see `p_columns`."""
        return self.scores[np.arange(len(self.predictions)), self._numbers("predicted")]

    @property
    def p_columns(self) -> str:
        """What the `p_` columns are, in words; "probability" for most models."""
        return P_COLUMNS[self.meaning]

    @property
    def score_name(self) -> str:
        """What `probability` is to be called in figures."""
        return "score (no probability)" if self.meaning == "margin" else "probability"

    def figures(self) -> dict[str, Any]:
        """The `test` section of `run.json`.

        Returns:
            loss; p_columns; accuracy and `<metric>_<class>` or `<metric>_macro`, each as
            `Estimate.as_dict` gives it; confusion (classes, counts, shares of each row, None for a
            class without pictures); calibration (None for margins, and calibration_note says why).
        """
        named = {
            metric if label == "all" else f"{metric}_{label}": one.as_dict()
            for (metric, label), one in self.estimates.items()
        }
        counts = self.confusion
        rows = [row / row.sum() if row.sum() else np.full(len(row), np.nan) for row in counts]
        note = {"calibration_note": self.calibration.reason} if self.calibration.reason else {}
        return {
            "loss": self.loss,
            "p_columns": self.p_columns,
            **named,
            "confusion": {"classes": self.classes, "counts": counts, "shares": np.array(rows)},
            "calibration": self.calibration.as_dict(),
            **note,
        }


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
        KitError: the model's output does not fit the classes, is NaN or infinite, or is none of a
            probability, a logit and a margin.
    """
    pictures, labels = data.split(split)
    outputs = predict(model, pictures, cache=cache)
    meaning = output_meaning(model)
    check_outputs(outputs, meaning, len(data.classes))
    probabilities = class_probabilities(outputs, meaning)
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
            "path": [below(p, data.source.root) for p in data.table["path"].iloc[rows]],
            "true": names[labels],
            "predicted": names[predicted_classes(outputs, meaning)],
            **{f"p_{c}": probabilities[:, i] for i, c in enumerate(data.classes)},
            "patient": data.table["patient"].to_numpy(str)[rows],
        }
    )
    return Evaluation(data.classes, predictions, loss, meaning, split)


def predict(model: keras.Model, pictures: np.ndarray, *, cache: bool = True) -> np.ndarray:
    """The model's output for pictures (n, size, size, 3), in order: (n, units) float32."""
    split = split_model(model) if cache else None
    if split is None or split.frozen is None:
        return model_outputs(model, pictures, progress="Predicting")[0]
    features = frozen_outputs(split.frozen, pictures, progress="Frozen features, predicting")
    return head_output(split.head, features)


def called(model: keras.Model, pictures: np.ndarray, *, cache: bool = True) -> np.ndarray:
    """The class number that the model calls each picture (n, size, size, 3), int64 (n,)."""
    outputs = predict(model, pictures, cache=cache)
    return predicted_classes(outputs, output_meaning(model))


def check_outputs(outputs: np.ndarray, meaning: Meaning, classes: int) -> None:
    """Stop where outputs (n, …) cannot be what a model says of so many classes.

    Raises:
        KitError: another number of them, no finite numbers, or no probabilities where such are due.
    """
    one_for_two = outputs.shape[1:] == (1,) and classes == 2
    if outputs.shape[1:] != (classes,) and not one_for_two:
        raise KitError(
            f"The model gives {outputs.shape[1:]} numbers a picture; {classes} classes need "
            f"({classes},)."
        )
    if not np.isfinite(outputs).all():
        raise KitError(
            "The model's outputs are not numbers (NaN or infinite): training has diverged; use a "
            "smaller learning_rate."
        )
    sums_to_one = one_for_two or np.allclose(outputs.sum(axis=1), 1, atol=1e-3)
    in_range = outputs.min() >= -1e-6 and outputs.max() <= 1 + 1e-6
    if meaning == "probability" and not (sums_to_one and in_range):
        raise KitError(
            "The model's outputs are no probabilities; end it with a softmax (or, with one "
            "output, a sigmoid), or compile it with a loss that has from_logits=True, or a hinge."
        )
