"""A value as a dot with its interval and its number of pictures beside it, on an axis of shares."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from xray_helpers.plotting.style import NOTE_COLOR, Look

UNDEFINED = "not defined"
RUN = Look("#0072B2", "o")


def dot(axes: Axes, y: float, row: pd.Series, look: Look, hollow: bool = False) -> None:
    """Draw one value with its interval, or say that it is not defined."""
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if not np.isfinite(value):
        axes.text(0.02, y, UNDEFINED, va="center", color=NOTE_COLOR, fontstyle="italic")
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


def class_mark(look: Look) -> dict:
    """How a single value of a class or split is drawn, for ``Axes.plot`` and for legends."""
    return {
        "linestyle": "none",
        "marker": look.marker,
        "markersize": 8,
        "markerfacecolor": look.color,
        "markeredgecolor": "black",
        "markeredgewidth": 0.8,
    }


def value_beside(axes: Axes, y: float, row: pd.Series, digits: int) -> None:
    """Write the value and the number of pictures to the right of the panel."""
    text = number_of(row, digits)
    axes.text(1.03, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=10)


def number_of(row: pd.Series, digits: int) -> str:
    """A row's value and the number of pictures it is of, for instance `0.920  (n = 36)`."""
    text = "n = –" if pd.isna(row["n"]) else f"n = {int(row['n'])}"
    return f"{row['value']:.{digits}f}  ({text})" if np.isfinite(row["value"]) else text


def share_axis(axes: Axes, lines: int, label: str) -> None:
    """Make x an axis of shares, 0 to 1, and y one of so many lines, the first on top."""
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(True, axis="both")
    axes.tick_params(axis="y", length=0)


def whisker(label: str, hollow: bool = False) -> Line2D:
    """Give a legend entry for a dot with its interval."""
    return Line2D(
        [],
        [],
        color="black",
        linewidth=1.6,
        marker="o",
        markersize=8,
        markerfacecolor="white" if hollow else "0.5",
        markeredgecolor=RUN.color if hollow else "black",
        markeredgewidth=2 if hollow else 0.8,
        label=label,
    )
