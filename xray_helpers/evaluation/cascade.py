"""Two classifiers in a row, scored as one classifier of three classes."""

from collections.abc import Mapping

import keras
import numpy as np
import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.data.stages import INFECTED, first_stage
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.predict import Evaluation, check_outputs, evaluate, predict
from xray_helpers.models.output import class_probabilities, output_meaning

_SMALLEST = keras.config.epsilon()  # as Keras's own cross-entropy: the logarithm of 0 is infinite


def evaluate_cascade(
    first: keras.Model, second: keras.Model, data: Dataset, split: str = "test"
) -> Evaluation:
    """What the cascade calls each picture of a split.

    The first classifier's verdict decides: what it calls healthy is healthy, what it calls
    infected goes to the second one, which calls it other or target (see `routed`).

    Args:
        first: gives the probability of infected, (n, 1).
        second: gives the probability of the target among infected pictures, (n, 1).
        data: of the task "two_stage".
        split: "test", "validation" or "train".

    Returns:
        The three-class predictions; `p_` columns are those of `routed`, and the loss is their mean
        cross-entropy, as a softmax network's.

    Raises:
        KitError: a model's output does not fit two classes.
    """
    stage_1 = evaluate(first, first_stage(data), split)
    p_infected = stage_1.predictions[f"p_{INFECTED}"].to_numpy()
    # All pictures of the split, the healthy ones too: stage 1 may send any of them.
    pictures, labels = data.split(split)
    outputs = predict(second, pictures)
    meaning = output_meaning(second)
    check_outputs(outputs, meaning, 2)
    p_target = class_probabilities(outputs, meaning)[:, 1]
    numbers, shares = routed(p_infected, p_target)
    names = np.array(data.classes)
    predictions = pd.DataFrame(
        {
            "path": stage_1.predictions["path"],
            "true": names[labels],
            "predicted": names[numbers],
            **{f"p_{name}": shares[:, i] for i, name in enumerate(data.classes)},
            "patient": stage_1.predictions["patient"],
        }
    )
    own = np.clip(shares[np.arange(len(labels)), labels], _SMALLEST, 1)
    return Evaluation(data.classes, predictions, float(-np.log(own).mean()), meaning, split)


def routed(p_infected: np.ndarray, p_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers (n,) and class probabilities (n, 3) of healthy, other, target.

    With p1 = P(infected) and p2 = P(target | infected) the probabilities are 1 - p1, p1 (1 - p2)
    and p1 p2. The class is where the verdicts lead, p1 above 0.5 and then p2 above 0.5, and not
    always the largest probability: 0.6 and 0.5 give 0.4, 0.3, 0.3 and yet infected. That can
    happen for p1 between 1/2 and 2/3; what is reported is the class of the verdicts.

    Args:
        p_infected, p_target: (n,), 0 to 1.
    """
    p1, p2 = np.asarray(p_infected, np.float64), np.asarray(p_target, np.float64)
    shares = np.stack([1 - p1, p1 * (1 - p2), p1 * p2], axis=1)
    numbers = np.where(p1 > 0.5, np.where(p2 > 0.5, 2, 1), 0)
    return numbers, shares


def largest_elsewhere(result: Evaluation) -> int:
    """Number of pictures whose largest probability is not that of their predicted class."""
    shares = result.predictions[[f"p_{name}" for name in result.classes]].to_numpy()
    return int(np.sum(shares.max(axis=1) > result.probability))


def stage_scores(results: Mapping[str, Evaluation]) -> pd.DataFrame:
    """Accuracy, and precision and recall of the second class, of classifiers of two classes.

    Args:
        results: a name, such as that of the split -> an evaluation.

    Returns:
        Columns pictures (the name), metric, value, low, high (95 % Wilson interval), n.
    """
    rows = []
    for name, result in results.items():
        (_, false_alarms), (missed, found) = result.confusion.tolist()
        scores = {
            "accuracy": result.accuracy,
            "precision": wilson(found, found + false_alarms),
            "recall": wilson(found, found + missed),
        }
        for metric, one in scores.items():
            ends = {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
            rows.append({"pictures": name, "metric": metric, **ends})
    return pd.DataFrame(rows)
