"""All figures of a classifier, each class and metric a dot with its intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.errors import KitError
from xray_helpers.plotting.dots import UNDEFINED, class_mark, share_axis
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

_COLUMNS = ("class", "metric", "value", "low", "high", "n", "method", "patient_low", "patient_high")
_NAMES = {
    "f1": "F1 (of precision and recall)",
    "auc": "AUC (area under the ROC curve)",
    "average_precision": "Average precision",
}
_TOGETHER = {"all": "all classes", "macro": "macro average"}
_LINE = 0.31  # inches that one value takes
_AVERAGE = Look("black", "X")
_PATIENTS = {"color": "#E69F00", "linewidth": 2.6, "solid_capstyle": "butt"}


def metric_dots(table: pd.DataFrame, title: str | None = None) -> Figure:
    """Show every metric of every class with its intervals, a panel a metric.

    A black line is the Wilson interval of a share, a thick orange one the bootstrap interval over
    patients. Where every resample gives the same value there is none, and a star says so.

    Args:
        table: one row a class and metric; columns ``class`` (label, ``"all"`` or ``"macro"``),
            ``metric``, ``value``, ``low``, ``high`` (0 to 1; NaN: not defined), ``n`` (int),
            ``method`` (``"wilson"`` or ``"bootstrap"``), ``patient_low``, ``patient_high`` (NaN
            where each patient has one picture).
        title: what the figure shows; by default the number of pictures.

    Raises:
        KitError: a column is missing, the table is empty or a class has a metric twice.
    """
    require_columns(table, _COLUMNS, "metric_dots")
    if table.empty:
        raise KitError("metric_dots: the table has no row; score at least one class.")
    if table.duplicated(["class", "metric"]).any():
        raise KitError("metric_dots: a class has the same metric twice; keep one of the rows.")
    pictures = f"{(most := int(table['n'].max()))} picture{'' if most == 1 else 's'}"
    title = title or f"All figures of {pictures}, with 95 % intervals"
    metrics = list(dict.fromkeys(table["metric"]))
    heights, places = _places(table, metrics)
    handles = _handles(starred=table.apply(_starred, axis=1).any())
    legend = legend_height([str(handle.get_label()) for handle in handles])
    with figure(sum(heights) + legend, title) as made:
        grid = made.add_gridspec(len(heights) + 1, 2, height_ratios=[*heights, legend])
        for metric, (row, column) in places.items():
            axes = made.add_subplot(grid[row, column])
            _panel(axes, table[table["metric"] == metric], metric, named=column == 0)
        if _alone(metrics):
            _explain(made.add_subplot(grid[0, 1], label="note"))
        legend_row(made, grid[-1, :], handles)
        return made


def _alone(metrics: Sequence[str]) -> bool:
    """Whether the accuracy, which is of no class, stands in a row of its own."""
    return metrics[0] == "accuracy" and len(metrics) > 1


def _places(
    table: pd.DataFrame, metrics: Sequence[str]
) -> tuple[list[float], dict[str, tuple[int, int]]]:
    """The height of each row of panels in inches, and the row and column of each metric."""
    rest = list(metrics[1:] if _alone(metrics) else metrics)
    rows = [metrics[:1]] if _alone(metrics) else []
    rows += [rest[start : start + 2] for start in range(0, len(rest), 2)]
    lines = [max((table["metric"] == metric).sum() for metric in row) for row in rows]
    places = {metric: (i, j) for i, row in enumerate(rows) for j, metric in enumerate(row)}
    return [_LINE * count + 0.75 for count in lines], places


def _panel(axes: Axes, rows: pd.DataFrame, metric: str, named: bool) -> None:
    looks = class_looks([label for label in rows["class"] if label not in _TOGETHER])
    for line, (_, row) in enumerate(rows.iterrows()):
        _dot(axes, line, row, looks.get(row["class"], _AVERAGE))
    share_axis(axes, len(rows), "")
    names = [_TOGETHER.get(label, class_name(label)) for label in rows["class"]]
    axes.set_yticks(range(len(rows)), [wrap(name, 20) if named else "" for name in names])
    axes.set_title(_NAMES.get(metric, metric.replace("_", " ").capitalize()), loc="left")
    if metric == "auc":
        axes.axvline(0.5, color="black", linestyle="--", linewidth=1.2, zorder=1)


def _starred(row: pd.Series) -> bool:
    """Whether a value has no interval at all."""
    ends = row[["value", "low", "high"]].to_numpy(float)
    return bool(row["method"] != "wilson" and np.isfinite(ends[0]) and not np.isfinite(ends).all())


def _dot(axes: Axes, y: float, row: pd.Series, look: Look) -> None:
    text = f"n = {int(row['n'])}"
    if not np.isfinite(row["value"]):
        axes.text(0.02, y, UNDEFINED, va="center", color=NOTE_COLOR, fontstyle="italic")
    else:
        text = f"{row['value']:.2f}  ({text})"
        wilson = row["method"] == "wilson"
        over = ["patient_low", "patient_high"] if wilson else ["low", "high"]
        below = y + (0.24 if wilson else 0)
        if np.isfinite(row[over].to_numpy(float)).all():
            axes.plot(row[over].to_numpy(float), [below] * 2, zorder=2, **_PATIENTS)
        if _starred(row):
            text += " *"
        if wilson:
            ends = row[["low", "high"]].to_numpy(float)
            axes.plot(ends, [y, y], color="black", linewidth=1.5, marker="|", markersize=8)
        axes.plot([row["value"]], [y], clip_on=False, zorder=4, **class_mark(look))
    axes.annotate(
        text,
        (1, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9.5,
    )


def _explain(axes: Axes) -> None:
    axes.axis("off")
    text = "Macro average: the mean over the classes that have pictures, each with the same weight."
    axes.text(0, 0.5, wrap(text, 44), va="center", fontsize=10, color=NOTE_COLOR)


def _handles(starred: bool) -> list[Line2D]:
    dashed = {"color": "black", "linestyle": "--", "linewidth": 1.2}
    handles = [
        Line2D(
            [], [], color="black", linewidth=1.5, marker="|", markersize=8, label="Wilson interval"
        ),
        Line2D([], [], label="bootstrap over patients", **_PATIENTS),
        Line2D([], [], label="guessing", **dashed),
    ]
    if starred:
        note = "* no interval: all resamples alike"
        handles.append(Line2D([], [], linestyle="none", label=note))
    return handles
