"""Scores with their intervals: precision and recall of classes, accuracies of runs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    Look,
    class_looks,
    class_name,
    figure,
    legend_height,
    legend_row,
    require_columns,
    wrap,
)

_UNDEFINED = "not defined"
_RUN = Look("#0072B2", "o")


def class_scores(
    table: pd.DataFrame, interval: str = "95 % interval", title: str | None = None
) -> Figure:
    """Show precision and recall of each class, with their intervals.

    Args:
        table: one row a class and metric; columns ``class`` (label), ``metric`` (``"precision"``,
            ``"recall"`` or another), ``value``, ``low``, ``high`` (shares from 0 to 1; NaN: not
            defined) and ``n`` (int, the pictures that the share is taken of).
        interval: what the whiskers are, for the legend.
        title: what the figure shows; by default the metrics.

    Raises:
        KitError: a column is missing, the table is empty or a class has a metric twice.
    """
    require_columns(table, ["class", "metric", "value", "low", "high", "n"], "class_scores")
    if table.empty:
        raise KitError("class_scores: the table has no row; score at least one class.")
    if table.duplicated(["class", "metric"]).any():
        raise KitError("class_scores: a class has the same metric twice; keep one of the rows.")
    metrics = list(dict.fromkeys(table["metric"]))
    labels = list(dict.fromkeys(table["class"]))
    looks = class_looks(labels)
    title = title or f"{' and '.join(metrics).capitalize()} of each class"
    body = max(1.7, 0.52 * len(labels) + 0.9)
    with figure(body + 0.3, title) as made:
        grid = made.add_gridspec(2, len(metrics), height_ratios=[body, 0.3])
        for place, metric in enumerate(metrics):
            axes = made.add_subplot(grid[0, place])
            rows = table[table["metric"] == metric].set_index("class")
            for line, label in enumerate(labels):
                if label in rows.index:
                    row = rows.loc[label]
                    look = looks[label]
                    _dot(axes, line, row, look)
                    _beside(axes, line, row, digits=2)
            _share_axis(axes, len(labels), f"{metric} (share of n)")
            names = [wrap(class_name(label), 20) for label in labels]
            axes.set_yticks(range(len(labels)), names if place == 0 else [""] * len(labels))
            axes.set_title(metric.capitalize(), loc="left")
        legend_row(made, grid[1, :], [_whisker(f"value and {interval}")])
        return made


def compare_accuracy(
    table: pd.DataFrame,
    chance: float | None = None,
    interval: str = "95 % interval",
    title: str | None = None,
) -> Figure:
    """Show the test accuracy of each run with its interval, the best on top.

    Args:
        table: one row a run; columns ``name``, ``value``, ``low``, ``high`` (shares from 0 to 1;
            NaN: not defined, at the bottom), ``n`` (int, pictures) and, if wanted, ``mark``
            (text; a run with one is drawn hollow and the text stands under its name).
        chance: the accuracy of guessing, from 0 to 1, as a dashed line.
        interval: what the whiskers are, for the legend.
        title: what the figure shows; by default the number of runs.

    Raises:
        KitError: a column is missing or the table is empty.
    """
    require_columns(table, ["name", "value", "low", "high", "n"], "compare_accuracy")
    if table.empty:
        raise KitError("compare_accuracy: the table has no row; give at least one run.")
    table = table.sort_values("value", ascending=False, na_position="last", kind="stable")
    marks = [
        "" if pd.isna(mark) else str(mark)
        for mark in table.get("mark", pd.Series([""] * len(table)))
    ]
    names = [wrap(name, 36) for name in table["name"]]
    wrapped = [wrap(mark, 42) if mark else "" for mark in marks]
    title = title or f"Accuracy of {len(table)} run{'s'[: len(table) > 1]}"
    handles = [_whisker(f"value and {interval}")]
    if any(marks):
        handles.append(_whisker("hollow: marked under its name", hollow=True))
    if chance is not None:
        handles.append(
            Line2D([], [], color="black", linestyle="--", label=f"guessing ({chance:.2f})")
        )
    legend = legend_height([str(handle.get_label()) for handle in handles])
    lines = [
        name.count("\n") + 1 + (mark.count("\n") + 1 if mark else 0)
        for name, mark in zip(names, wrapped, strict=True)
    ]
    tall = [0.12 + 0.185 * count for count in lines]
    body = max(1.6, sum(tall) + 0.8)
    middles = np.cumsum(tall) - np.array(tall) / 2
    with figure(body + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[body, legend])
        axes = made.add_subplot(grid[0])
        for middle, (_, row), name, mark in zip(
            middles, table.iterrows(), names, wrapped, strict=True
        ):
            _dot(axes, middle, row, _RUN, hollow=bool(mark))
            _beside(axes, middle, row, digits=3)
            axes.annotate(
                name,
                (0, middle),
                xycoords=axes.get_yaxis_transform(),
                xytext=(-8, 6.5 * (mark.count("\n") + 1) if mark else 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=10,
            )
            if mark:
                axes.annotate(
                    mark,
                    (0, middle),
                    xycoords=axes.get_yaxis_transform(),
                    xytext=(-8, -6.5 * (name.count("\n") + 1)),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    fontsize=9,
                    fontstyle="italic",
                    color=NOTE_COLOR,
                )
        _share_axis(axes, 1, "accuracy (share of n pictures)")
        axes.set_ylim(sum(tall), 0)
        axes.set_yticks(middles, [""] * len(middles))
        if chance is not None:
            axes.axvline(chance, color="black", linestyle="--", linewidth=1.3, zorder=2)
        legend_row(made, grid[1], handles)
        return made


def _dot(axes: Axes, y: float, row: pd.Series, look: Look, hollow: bool = False) -> None:
    """Draw one value with its interval, or say that it is not defined."""
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if not np.isfinite(value):
        axes.text(0.02, y, _UNDEFINED, va="center", color=NOTE_COLOR, fontstyle="italic")
        return
    if np.isfinite(low) and np.isfinite(high):
        axes.plot([low, high], [y, y], color="black", linewidth=1.6, marker="|", markersize=9)
    axes.plot(
        [value],
        [y],
        linestyle="none",
        marker=look.marker,
        markersize=9,
        markerfacecolor="white" if hollow else look.color,
        markeredgecolor=look.color if hollow else "black",
        markeredgewidth=2 if hollow else 0.8,
        clip_on=False,
        zorder=4,
    )


def _beside(axes: Axes, y: float, row: pd.Series, digits: int) -> None:
    """Write the value and the number of pictures to the right of the panel."""
    text = "n = –" if pd.isna(row["n"]) else f"n = {int(row['n'])}"
    if np.isfinite(row["value"]):
        text = f"{row['value']:.{digits}f}  ({text})"
    axes.text(1.03, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=10)


def _share_axis(axes: Axes, lines: int, label: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(True, axis="both")
    axes.tick_params(axis="y", length=0)


def _whisker(label: str, hollow: bool = False) -> Line2D:
    return Line2D(
        [],
        [],
        color="black",
        linewidth=1.6,
        marker="o",
        markersize=8,
        markerfacecolor="white" if hollow else "0.5",
        markeredgecolor=_RUN.color if hollow else "black",
        markeredgewidth=2 if hollow else 0.8,
        label=label,
    )
