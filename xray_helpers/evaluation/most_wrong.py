"""The pictures that a model got most wrong: the first to look at."""

import pandas as pd

from xray_helpers.evaluation.predict import Evaluation


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
