"""Settings of a search, ranked, with what the ranking is worth; rankings as text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xray_helpers.evaluation.metrics import wilson


def rank_settings(points: Sequence[Mapping[str, Any]], scores: pd.DataFrame) -> pd.DataFrame:
    """A row a setting, best first.

    Args:
        points: the settings that were searched, as dicts with the same names.
        scores: columns setting (place in `points`), fold, hits, n, loss; hits and loss are NaN
            where a training diverged.

    Returns:
        Columns rank (from 1), the names of `points`, accuracy (mean over the folds), spread
        (standard deviation over the folds, n - 1), lowest, highest, low, high (95 % Wilson
        interval of all pictures, each scored once), n, loss (mean), diverged (folds). A setting
        that diverged in a fold has no accuracy and comes last. Equal accuracies are ranked by
        their loss.
    """
    rows = []
    for place, point in enumerate(points):
        mine = scores[scores["setting"] == place]
        shares = mine["hits"] / mine["n"]
        diverged = int(shares.isna().sum())
        row = {**point, "accuracy": np.nan, "spread": np.nan, "lowest": np.nan, "highest": np.nan}
        row |= {"low": np.nan, "high": np.nan, "n": int(mine["n"].sum()), "loss": np.nan}
        if not diverged:
            pooled = wilson(int(mine["hits"].sum()), row["n"])
            row |= {
                "accuracy": shares.mean(),
                "spread": shares.std(ddof=1),
                "lowest": shares.min(),
                "highest": shares.max(),
                "low": pooled.low,
                "high": pooled.high,
                "loss": mine["loss"].mean(),
            }
        rows.append({**row, "diverged": diverged})
    table = pd.DataFrame(rows).sort_values(
        ["accuracy", "loss"], ascending=[False, True], na_position="last", kind="stable"
    )
    table.insert(0, "rank", range(1, len(table) + 1))
    return table.reset_index(drop=True)


def near_best(table: pd.DataFrame) -> int:
    """How many settings, the best included, lie within the best one's interval.

    How flat the top of the ranking is: these pictures do not say which of those is the better
    one, nor that they are equal. No test of each pair, since all are scored on the same pictures.
    """
    return int((table["accuracy"] >= table["low"].iloc[0]).sum())


def ranking_text(table: pd.DataFrame) -> pd.DataFrame:
    """A ranking to look at: settings as they are written, scores in three digits, all as text."""
    scores = ["accuracy", "spread", "lowest", "highest", "low", "high", "n", "loss", "diverged"]
    shown = table.drop(columns=scores).map(
        lambda value: f"{value:g}" if isinstance(value, float) else str(value)
    )
    for name in ("accuracy", "spread", "loss"):
        shown[name] = ["–" if pd.isna(value) else f"{value:.3f}" for value in table[name]]
    shown["95 % interval"] = [
        "diverged" if pd.isna(low) else f"{low:.3f} to {high:.3f} (n = {n})"
        for low, high, n in zip(table["low"], table["high"], table["n"], strict=True)
    ]
    return shown.set_index("rank")


def backbone_ranking_text(table: pd.DataFrame) -> pd.DataFrame:
    """What `rank_backbones` gave, to look at: all as text, intervals beside their values."""
    best = table["verdict"] == "the best here"

    def interval(low: float, high: float, sign: str = "") -> str:
        return "–" if pd.isna(low) else f"{low:{sign}.3f} to {high:{sign}.3f}"

    return pd.DataFrame(
        {
            "rank": ["–" if pd.isna(rank) else str(rank) for rank in table["rank"]],
            "backbone": table["backbone"],
            "accuracy": [f"{value:.3f}" for value in table["accuracy"]],
            "95 % interval over patients": [
                interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "spread over repeats": [
                "–" if pd.isna(value) else f"{value:.3f}" for value in table["spread"]
            ],
            "behind the best": np.where(best, "–", [f"{b:+.3f}" for b in table["behind"]]),
            "95 % interval of that": [
                interval(low, high, "+")
                for low, high in zip(table["behind_low"], table["behind_high"], strict=True)
            ],
            "": table["verdict"],
            "mark": table["mark"],
        }
    ).set_index("rank")
