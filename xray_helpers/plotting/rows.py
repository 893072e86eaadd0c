"""Rows of a name, a dot with its interval and a few words: runs, backbones and pairs of runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.plotting.dots import RUN, dot, share_axis, whisker
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    Look,
    figure,
    legend_height,
    legend_row,
    wrap,
)

FLOOR = Look("#999999", "D")
_SHADE = "0.94"


def accuracy_rows(
    table: pd.DataFrame,
    title: str,
    chance: float | None,
    interval: str,
    beside: Sequence[str],
    label: str,
) -> Figure:
    """Draw an accuracy with its interval in each row, in the table's order from the top.

    Args:
        table: columns ``name``, ``value``, ``low``, ``high``; if wanted ``mark`` (text under the
            name, the dot hollow) and ``reference`` (bool: a shaded row with a grey diamond).
        title: what the figure shows.
        chance: the accuracy of guessing, as a dashed line; None for none.
        interval: what the whiskers are, for the legend.
        beside: text to the right of each row.
        label: that of the axis.
    """
    given = table.get("mark", pd.Series([""] * len(table)))
    marks = ["" if pd.isna(mark) else wrap(str(mark), 42) for mark in given]
    references = table.get("reference", pd.Series([False] * len(table))).to_numpy(bool)
    names = [wrap(name, 36) for name in table["name"]]
    handles = [whisker(f"value and {interval}")]
    if any(marks):
        handles.append(whisker("hollow: marked under its name", hollow=True))
    if references.any():
        handles.append(_diamond("floor: has seen no detail of a lung"))
    if chance is not None:
        handles.append(
            Line2D([], [], color="black", linestyle="--", label=f"guessing ({chance:.2f})")
        )
    legend = legend_height([str(handle.get_label()) for handle in handles])
    middles, edges = row_places(names, marks, beside)
    body = max(1.6, edges[-1] + 0.8)
    with figure(body + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[body, legend])
        axes = made.add_subplot(grid[0])
        for place, (_, row) in enumerate(table.iterrows()):
            if references[place]:
                axes.axhspan(edges[place], edges[place + 1], color=_SHADE, linewidth=0, zorder=0)
            look = FLOOR if references[place] else RUN
            dot(axes, middles[place], row, look, hollow=bool(marks[place]))
            words_beside(axes, middles[place], beside[place])
            row_name(axes, middles[place], names[place], marks[place])
        share_axis(axes, 1, label)
        axes.set_ylim(edges[-1], 0)
        axes.set_yticks(middles, [""] * len(middles))
        if chance is not None:
            axes.axvline(chance, color="black", linestyle="--", linewidth=1.3, zorder=2)
        legend_row(made, grid[1], handles)
        return made


def row_places(
    names: Sequence[str], marks: Sequence[str], beside: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Where rows lie, in inches from the top, each as tall as what is written in it.

    Returns:
        Their middles, (rows,), and their edges, (rows + 1,).
    """
    lines = [
        max(name.count("\n") + 1 + (mark.count("\n") + 1 if mark else 0), words.count("\n") + 1)
        for name, mark, words in zip(names, marks, beside, strict=True)
    ]
    tall = np.array([0.12 + 0.185 * count for count in lines])
    edges = np.concatenate([[0], np.cumsum(tall)])
    return edges[1:] - tall / 2, edges


def row_name(axes: Axes, y: float, name: str, mark: str = "") -> None:
    """Write a row's name to the left of the panel and its mark, if any, in italics below it."""

    def write(text: str, up: float, size: float, **looks: str) -> None:
        axes.annotate(
            text,
            (0, y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-8, up),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=size,
            **looks,
        )

    write(name, 6.5 * (mark.count("\n") + 1) if mark else 0, 10)
    if mark:
        write(mark, -6.5 * (name.count("\n") + 1), 9, fontstyle="italic", color=NOTE_COLOR)


def words_beside(axes: Axes, y: float, words: str) -> None:
    """Write to the right of the panel."""
    axes.text(1.03, y, words, transform=axes.get_yaxis_transform(), va="center", fontsize=10)


def _diamond(label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=FLOOR.marker,
        markersize=8,
        markerfacecolor=FLOOR.color,
        markeredgecolor="black",
        markeredgewidth=0.8,
        label=label,
    )
