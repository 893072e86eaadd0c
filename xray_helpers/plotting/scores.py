"""Scores with their intervals: precision and recall of classes, accuracies of runs."""

import pandas as pd
from matplotlib.figure import Figure

from xray_helpers.errors import KitError
from xray_helpers.plotting.dots import dot, number_of, share_axis, value_beside, whisker
from xray_helpers.plotting.rows import accuracy_rows
from xray_helpers.plotting.style import (
    class_looks,
    class_name,
    figure,
    legend_row,
    require_columns,
    wrap,
)


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
                    dot(axes, line, row, look)
                    value_beside(axes, line, row, digits=2)
            share_axis(axes, len(labels), f"{metric} (share of n)")
            names = [wrap(class_name(label), 20) for label in labels]
            axes.set_yticks(range(len(labels)), names if place == 0 else [""] * len(labels))
            axes.set_title(metric.capitalize(), loc="left")
        legend_row(made, grid[1, :], [whisker(f"value and {interval}")])
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
            (text; a run with one is drawn hollow and the text stands under its name) and
            ``reference`` (bool; such a row is no run but a floor: a grey diamond, shaded).
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
    runs = len(table) - int(table["reference"].sum() if "reference" in table else 0)
    title = title or f"Accuracy of {runs} run{'s'[: runs > 1]}"
    beside = [number_of(row, digits=3) for _, row in table.iterrows()]
    return accuracy_rows(table, title, chance, interval, beside, "accuracy (share of n pictures)")
