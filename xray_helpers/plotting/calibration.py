"""Whether probabilities mean what they say."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.errors import KitError
from xray_helpers.plotting.dots import RUN, whisker
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    class_name,
    figure,
    legend_height,
    legend_row,
    require_columns,
    wrap,
)

_PREDICTED = "the predicted class"
_BIN = {"color": "0.75", "linewidth": 5, "solid_capstyle": "butt"}


def calibration_curve(
    table: pd.DataFrame, about: str, reason: str = "", title: str | None = None
) -> Figure:
    """Show, for pictures with alike probabilities, how many of them are what is said.

    Args:
        table: one row a bin of pictures; columns ``lowest``, ``highest``, ``mean`` (probability,
            0 to 1), ``share``, ``low``, ``high`` (0 to 1) and ``n`` (int).
        about: whose probability: a class label, or ``"the predicted class"``.
        reason: why the table is empty; stands in the panel then.
        title: what the figure shows; by default whose probability and how many pictures.

    Raises:
        KitError: a column is missing, or the table is empty without a reason.
    """
    columns = ["lowest", "highest", "mean", "share", "low", "high", "n"]
    require_columns(table, columns, "calibration_curve")
    if table.empty and not reason:
        raise KitError("calibration_curve: the table has no bin; give at least one.")
    whose = class_name(about)
    if title is None:
        title = f"Calibration of the probability of {whose}, {int(table['n'].sum())} pictures"
        title = "No calibration to show" if table.empty else title
    handles = [
        whisker("share in a bin, with 95 % Wilson interval"),
        Line2D([], [], label="probabilities in the bin", **_BIN),
        Line2D([], [], color="black", linestyle="--", label="as it should be"),
    ]
    legend = legend_height([str(handle.get_label()) for handle in handles])
    with figure(4.6 + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[4.6, legend])
        axes = made.add_subplot(grid[0])
        axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1.3, zorder=1)
        level, before = 0, -1.0
        for _, row in table.sort_values("mean").iterrows():
            ends, mean = [row["lowest"], row["highest"]], row["mean"]
            axes.plot(ends, [row["share"]] * 2, zorder=2, **_BIN)
            axes.plot([mean] * 2, [row["low"], row["high"]], color="black", marker="_", zorder=3)
            axes.plot(
                [mean],
                [row["share"]],
                marker=RUN.marker,
                markersize=9,
                markerfacecolor=RUN.color,
                markeredgecolor="black",
                clip_on=False,
                zorder=4,
            )
            # Bins close to each other write their numbers one below the other.
            level = level + 1 if mean - before < 0.06 else 0
            before = mean
            axes.annotate(
                f"n = {int(row['n'])}",
                (mean, row["low"]),
                xytext=(0, -14 - 13 * level),
                textcoords="offset points",
                ha="center",
                fontsize=10,
            )
        if table.empty:
            text = wrap(reason, 60)
            box = {"facecolor": "white", "edgecolor": "none"}
            axes.text(0.5, 0.5, text, ha="center", va="center", color=NOTE_COLOR, bbox=box)
        axes.set(xlim=(0, 1), ylim=(-0.14, 1.03), yticks=[0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlabel(f"probability of {whose} that the model gives")
        right = "predicted rightly" if about == _PREDICTED else f"that are {whose}"
        axes.set_ylabel(f"share of pictures {right}")
        axes.grid(True)
        legend_row(made, grid[1], handles)
        return made
