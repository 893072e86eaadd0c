"""What can be told apart and what cannot: pairs of runs, and backbones in their order."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xray_helpers.errors import KitError
from xray_helpers.plotting.dots import RUN, dot, whisker
from xray_helpers.plotting.rows import accuracy_rows, row_name, row_places, words_beside
from xray_helpers.plotting.style import figure, legend_height, legend_row, require_columns, wrap


def paired_differences(
    table: pd.DataFrame,
    interval: str = "95 % interval of the pair",
    title: str = "Which is better on the same test pictures?",
) -> Figure:
    """Show each pair's difference of accuracy around a line at zero, and the verdict in words.

    Args:
        table: one row a pair; columns ``first``, ``second`` (names), ``difference`` (accuracy of
            the first less that of the second, -1 to 1), ``low``, ``high``, ``only first right``,
            ``only second right`` (pictures) and ``verdict`` (a few words; a pair of which neither
            "is better" is drawn hollow).
        interval: what the whiskers are, for the legend.
        title: what the figure shows.

    Raises:
        KitError: a column is missing or the table is empty.
    """
    columns = ["first", "second", "difference", "low", "high"]
    columns += ["only first right", "only second right", "verdict"]
    require_columns(table, columns, "paired_differences")
    if table.empty:
        raise KitError("paired_differences: the table has no row; compare at least two runs.")
    names = [
        f"{wrap(first, 38)}\nless {wrap(second, 34)}"
        for first, second in zip(table["first"], table["second"], strict=True)
    ]
    beside = [_said(row) for _, row in table.iterrows()]
    middles, edges = row_places(names, [""] * len(names), beside)
    # The axis reaches as far to the left as to the right, in steps of 0.1.
    farthest = np.nanmax(np.abs(table[["difference", "low", "high"]].to_numpy(float)))
    reach = min(1.0, np.ceil(10 * farthest + 0.5) / 10)
    handles = [
        whisker(f"difference and {interval}"),
        whisker("hollow: the exact test cannot tell them apart", hollow=True),
    ]
    legend = legend_height([str(handle.get_label()) for handle in handles])
    body = max(1.6, edges[-1] + 0.8)
    with figure(body + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[body, legend])
        axes = made.add_subplot(grid[0])
        axes.axvline(0, color="black", linestyle="--", linewidth=1.3, zorder=2)
        for place, (_, row) in enumerate(table.rename(columns={"difference": "value"}).iterrows()):
            hollow = "is better" not in row["verdict"]
            dot(axes, middles[place], row, RUN, hollow=hollow)
            words_beside(axes, middles[place], beside[place])
            row_name(axes, middles[place], names[place])
        axes.set_xlim(-reach, reach)
        axes.set_ylim(edges[-1], 0)
        axes.set_yticks(middles, [""] * len(middles))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="both")
        axes.set_xlabel("← lower name better    difference of accuracy    upper name better →")
        legend_row(made, grid[1], handles)
        return made


def _said(row: pd.Series) -> str:
    """What stands beside a pair; the figure has no first and second, but upper and lower names."""
    verdict = str(row["verdict"]).replace("first", "upper one").replace("second", "lower one")
    return (
        f"{row['difference']:+.3f}\nright alone: {row['only first right']} and "
        f"{row['only second right']}\n{wrap(verdict, 24)}"
    ).replace("-", "−")


def backbone_ranking(
    table: pd.DataFrame,
    chance: float | None = None,
    interval: str = "95 % interval over patients",
    title: str = "Frozen backbones by repeated cross-validation",
) -> Figure:
    """Show backbones in their order with intervals, the floors below, and who can be told apart.

    Args:
        table: one row a backbone, best first, and a row a floor; columns ``backbone``,
            ``accuracy``, ``low``, ``high`` (shares from 0 to 1; NaN: no interval), ``verdict``
            (a few words) and, if wanted, ``mark`` (text; drawn hollow) and ``reference`` (bool;
            a floor).
        chance: the accuracy of guessing, from 0 to 1, as a dashed line.
        interval: what the whiskers are, for the legend.
        title: what the figure shows.

    Raises:
        KitError: a column is missing or the table is empty.
    """
    columns = ["backbone", "accuracy", "low", "high", "verdict"]
    require_columns(table, columns, "backbone_ranking")
    if table.empty:
        raise KitError("backbone_ranking: the table has no row; rank at least one backbone.")
    beside = [f"{row['accuracy']:.3f}\n{wrap(row['verdict'], 20)}" for _, row in table.iterrows()]
    rows = table.rename(columns={"backbone": "name", "accuracy": "value"})
    label = "accuracy on pictures left out of training (no test pictures)"
    return accuracy_rows(rows, title, chance, interval, beside, label)
