"""What each threshold costs, and which errors it makes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xray_helpers.errors import KitError
from xray_helpers.plotting.dots import class_mark
from xray_helpers.plotting.style import (
    SPLIT_LOOKS,
    Look,
    class_name,
    figure,
    legend_height,
    legend_row,
    require_columns,
)

_CHOSEN = {"color": "black", "linestyle": "-", "linewidth": 1.6}
_BAYES = {"color": "0.35", "linestyle": "-.", "linewidth": 1.4}
_HALF = {"color": "0.55", "linestyle": (0, (1, 1.5)), "linewidth": 1.6}


def cost_curve(
    table: pd.DataFrame,
    threshold: float,
    bayes: float,
    prices: tuple[float, float],
    positive: str = "covid",
    usual: Mapping[str, float] | None = None,
    score: str = "probability",
    title: str | None = None,
) -> Figure:
    """Show cost a picture, missed cases and false alarms against the threshold, a line a split.

    Args:
        table: columns ``split``, ``above``, ``up_to`` (the thresholds that a row is for, 0 to 1),
            ``cost`` (a picture), ``missed``, ``alarms`` (pictures); of each split the rows in
            order, one beginning where the other ends.
        threshold: the one that was chosen, on the validation pictures.
        bayes: the best one if the scores were true probabilities.
        prices: of a missed case and of a false alarm.
        positive: the class that is called from the threshold on.
        usual: split -> cost a picture where each is called its likeliest class; None: that is the
            threshold 0.5, which is marked.
        score: what the threshold is one of.
        title: what the figure shows; by default the class and the prices.

    Raises:
        KitError: a column is missing or the table is empty.
    """
    columns = ["split", "above", "up_to", "cost", "missed", "alarms"]
    require_columns(table, columns, "cost_curve")
    if table.empty:
        raise KitError("cost_curve: the table has no row; give those of at least one split.")
    name = class_name(positive)
    missed, alarm = prices
    title = title or (
        f"What each threshold costs, if a missed {name} costs {missed:g} and a false alarm "
        f"{alarm:g}"
    )
    parts = {str(split): part for split, part in table.groupby("split", sort=False)}
    looks = {split: SPLIT_LOOKS.get(split, Look("#000000", "o")) for split in parts}
    handles = _handles(looks, threshold, bayes, usual)
    legend = legend_height([str(handle.get_label()) for handle in handles])
    heights = [2.7, 1.55, 1.75]
    with figure(sum(heights) + legend, title) as made:
        grid = made.add_gridspec(4, 1, height_ratios=[*heights, legend])
        panels = [
            ("cost", "cost a picture"),
            ("missed", f"{name}\nmissed"),
            ("alarms", "false\nalarms"),
        ]
        for place, (column, label) in enumerate(panels):
            axes = made.add_subplot(grid[place])
            for split, part in parts.items():
                _steps(axes, part, column, looks[split])
            axes.axvline(threshold, **_CHOSEN)
            axes.axvline(bayes, **_BAYES)
            if usual is None:
                axes.axvline(0.5, **_HALF)
            axes.set_xlim(0, 1)
            axes.set_ylim(bottom=0)
            axes.set_ylabel(label)
            axes.grid(True)
            if column == "cost":
                _usual(axes, usual or {}, looks)
            else:
                axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
            axes.tick_params(axis="x", labelbottom=place == len(panels) - 1)
        axes.set_xlabel(f"threshold ({score} of {name})")
        legend_row(made, grid[-1], handles)
        return made


def _steps(axes: Axes, part: pd.DataFrame, column: str, look: Look) -> None:
    edges = np.append(part["above"].to_numpy(float), float(part["up_to"].iloc[-1]))
    axes.stairs(
        part[column],
        edges,
        baseline=None,
        color=look.color,
        linestyle=look.line,
        linewidth=2.2,
        clip_on=False,
        zorder=3,
    )


def _usual(axes: Axes, usual: Mapping[str, float], looks: Mapping[str, Look]) -> None:
    """Mark the cost without a threshold at the right edge."""
    for split, cost in usual.items():
        look = looks.get(split, Look("#000000", "o"))
        axes.plot(
            [1.015], [cost], transform=axes.get_yaxis_transform(), clip_on=False, **class_mark(look)
        )
        axes.text(
            1.03,
            cost,
            f"{cost:.2f}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9.5,
        )


def _handles(
    looks: Mapping[str, Look], threshold: float, bayes: float, usual: Mapping[str, float] | None
) -> list[Line2D]:
    handles = [
        Line2D([], [], color=look.color, linestyle=look.line, linewidth=2.2, label=split)
        for split, look in looks.items()
    ]
    handles.append(Line2D([], [], label=f"chosen on validation: {threshold:.3f}", **_CHOSEN))
    handles.append(
        Line2D([], [], label=f"best if scores were true probabilities: {bayes:.3f}", **_BAYES)
    )
    if usual is None:
        handles.append(Line2D([], [], label="0.5, the usual one", **_HALF))
    else:
        label = "at the right edge: each picture called its likeliest class"
        handles.append(Line2D([], [], label=label, **class_mark(Look("0.6", "o"))))
    return handles
