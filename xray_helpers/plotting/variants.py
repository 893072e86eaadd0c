"""Variants of a network, each with our figures and the ones that a report gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    Look,
    figure,
    legend_height,
    legend_row,
    require_columns,
)

_OURS, _REPORT = Look("#0072B2", "o"), Look("#D55E00", "D")
_LINE = 0.235  # inches that one variant takes


def variants_beside_report(
    table: pd.DataFrame,
    split: str = "test",
    metrics: Sequence[str] = ("accuracy", "recall", "precision"),
    same_answer: Mapping[int, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Show a row a variant: our value with its interval, and the report's beside it.

    Args:
        table: columns ``variant``, ``what``, ``stage``, and for each metric ``<split>_<metric>``
            with ``_low`` and ``_high``, and ``reported_<metric>`` (shares from 0 to 1; NaN: not
            defined, or not given).
        split: whose values are ours.
        metrics: a panel each.
        same_answer: stage -> accuracy of one and the same answer for every picture, as a dotted
            line in the panel of the accuracy.
        title: what the figure shows; by default the number of variants.

    Raises:
        KitError: a column is missing or the table is empty.
    """
    _require(table, split, metrics)
    table = table.sort_values("stage", kind="stable").reset_index(drop=True)
    places, heads = _places(list(table["stage"]))
    handles = [
        _dot_of(_OURS, "ours, with 95 % interval"),
        _dot_of(_REPORT, "the report's", hollow=True),
    ]
    if same_answer:
        label = "the same answer for every picture"
        handles.append(Line2D([], [], color="black", linestyle=":", label=label))
    body = _LINE * (places[-1] + 1) + 0.9
    legend = legend_height([str(handle.get_label()) for handle in handles])
    low = _lowest(table, split, metrics)
    with figure(body + legend, title or f"{len(table)} variants beside the report") as made:
        grid = made.add_gridspec(2, len(metrics), height_ratios=[body, legend])
        for column, metric in enumerate(metrics):
            axes = made.add_subplot(grid[0, column])
            _panel(axes, table, places, split, metric, low)
            if metric == "accuracy":
                _dotted(axes, table, places, same_answer or {})
            for stage, place in heads.items():
                if column == 0:
                    axes.annotate(
                        f"Stage {stage}", (0, place), xycoords=axes.get_yaxis_transform(),
                        xytext=(-8, 0), textcoords="offset points", ha="right", va="center",
                        fontweight="bold",
                    )  # fmt: skip
            axes.set_title(metric.capitalize(), loc="left")
            axes.set_xlim(low, 1.005)
            axes.set_ylim(places[-1] + 0.7, -0.7)
            names = [f"{row.what}  ({row.variant})" for row in table.itertuples()]
            axes.set_yticks(places, names if column == 0 else [""] * len(names), fontsize=9.5)
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel("share of pictures")
            axes.grid(True)
        legend_row(made, grid[1, :], handles)
        return made


def _require(table: pd.DataFrame, split: str, metrics: Sequence[str]) -> None:
    ours = [f"{split}_{m}{end}" for m in metrics for end in ("", "_low", "_high")]
    columns = ["variant", "what", "stage", *ours, *(f"reported_{m}" for m in metrics)]
    require_columns(table, columns, "variants_beside_report")
    if table.empty:
        raise KitError("variants_beside_report: the table has no row; run at least one variant.")


def _places(stages: Sequence[int]) -> tuple[list[int], dict[int, int]]:
    """The line of each row, and of each stage's heading above its first row."""
    places, heads, line = [], {}, 0
    for stage in stages:
        if stage not in heads:
            heads[stage] = line
            line += 1
        places.append(line)
        line += 1
    return places, heads


def _lowest(table: pd.DataFrame, split: str, metrics: Sequence[str]) -> float:
    """Where the axes begin: the tenth below the lowest value above 0, to show small differences."""
    columns = [c for m in metrics for c in (f"{split}_{m}", f"{split}_{m}_low", f"reported_{m}")]
    known = table.loc[table[f"{split}_accuracy"].notna(), columns].to_numpy(float)
    known = known[np.isfinite(known) & (known > 0)]
    return float(np.floor(10 * known.min() - 0.2) / 10) if known.size else 0.0


def _panel(
    axes: Axes, table: pd.DataFrame, places: Sequence[int], split: str, metric: str, lowest: float
) -> None:
    middle = (lowest + 1) / 2
    for place, (_, row) in zip(places, table.iterrows(), strict=True):
        value, reported = float(row[f"{split}_{metric}"]), float(row[f"reported_{metric}"])
        if value >= lowest:
            whisker = [row[f"{split}_{metric}_low"], row[f"{split}_{metric}_high"]]
            axes.plot(whisker, [place] * 2, color="black", linewidth=1.4, zorder=2)
            _mark(axes, value, place, _OURS)
        elif np.isfinite(value):  # left of the axis: an arrow at its edge, and the value
            _mark(axes, lowest, place, _OURS._replace(marker="<"))
            _say(axes, place, f"{value:.2f}", left=True)
        else:
            trained = np.isfinite(row[f"{split}_accuracy"])
            # On the side where the report's mark is not.
            _say(axes, place, "not defined" if trained else "diverged", left=reported > middle)
        if np.isfinite(reported):
            _mark(axes, reported, place, _REPORT, hollow=True)


def _say(axes: Axes, place: float, text: str, left: bool) -> None:
    axes.text(
        0.05 if left else 0.97, place, text, ha="left" if left else "right", va="center",
        transform=axes.get_yaxis_transform(), fontsize=9, fontstyle="italic", color=NOTE_COLOR,
    )  # fmt: skip


def _dotted(
    axes: Axes, table: pd.DataFrame, places: Sequence[int], shares: Mapping[int, float]
) -> None:
    for stage, share in shares.items():
        mine = [p for p, s in zip(places, table["stage"], strict=True) if s == stage]
        if mine:
            ends = [min(mine) - 0.5, max(mine) + 0.5]
            axes.plot([share] * 2, ends, color="black", linestyle=":", linewidth=1.5, zorder=1)


def _mark(axes: Axes, x: float, y: float, look: Look, hollow: bool = False) -> None:
    axes.plot([x], [y], linestyle="none", clip_on=False, zorder=4, **_style(look, hollow))


def _dot_of(look: Look, label: str, hollow: bool = False) -> Line2D:
    line = {"linestyle": "none"} if hollow else {"color": "black", "linewidth": 1.4}
    return Line2D([], [], label=label, **line, **_style(look, hollow))


def _style(look: Look, hollow: bool) -> dict[str, Any]:
    return {
        "marker": look.marker,
        "markersize": 7 if hollow else 6,
        "markerfacecolor": "none" if hollow else look.color,
        "markeredgecolor": look.color if hollow else "black",
        "markeredgewidth": 1.8 if hollow else 0.7,
    }
