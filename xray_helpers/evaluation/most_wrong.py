"""Which test pictures to look at: those that a model got most wrong, and some of very many."""

from dataclasses import replace

import numpy as np
import pandas as pd

from xray_helpers.evaluation.predict import Evaluation

MOST_LOOKED_AT = 500
"""Of more pictures, so many are looked at one by one: heat on each takes time and memory."""


def mistakes(result: Evaluation, most: int = 8) -> pd.DataFrame:
    """The wrong predictions, the most surely wrong one first.

    Args:
        result: what `evaluate` gave.
        most: at most so many.

    Returns:
        Columns `row` (place in the split's pictures and in `result.predictions`), `path`, `true`,
        `predicted`, `probability` (that the model gave the predicted, wrong class) and
        `probability_true` (that it gave the right one). No row where all is right. Of equally
        sure ones the first picture comes first.
    """
    table = result.predictions.reset_index(drop=True)
    table["probability"] = result.probability
    table["probability_true"] = [row[f"p_{row['true']}"] for row in table.to_dict("records")]
    table = table.rename_axis("row").reset_index()
    wrong = table[table["true"] != table["predicted"]]
    columns = ["row", "path", "true", "predicted", "probability", "probability_true"]
    ordered = wrong.sort_values("probability", ascending=False, kind="stable")[columns]
    return ordered.head(most).reset_index(drop=True)


def to_look_at(result: Evaluation, most: int = MOST_LOOKED_AT) -> Evaluation:
    """The same predictions where there are up to `most`; of more, some.

    Those are spread evenly over the table, so that the classes keep their shares, and the surest
    mistakes are among them.

    Args:
        result: what `evaluate` gave.
        most: at most so many, and the mistakes.

    Returns:
        An evaluation whose `predictions` keep the row numbers that they have in `result`.
    """
    number = len(result.predictions)
    if number <= most:
        return result
    even = np.linspace(0, number - 1, most).astype(int)
    rows = np.union1d(even, mistakes(result)["row"].to_numpy(int))
    return replace(result, predictions=result.predictions.iloc[rows])
