"""A search for settings as heat maps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import figure, require_columns

_PANEL = 2.9  # inches, the least width of a panel
_MAP = "cividis"  # rises in brightness throughout, and reads the same without red or green


def heat_map(
    table: pd.DataFrame,
    rows: str = "learning_rate",
    columns: str = "dropout",
    panels: Sequence[str] = (),
    value: str = "accuracy",
    spread: str = "spread",
    title: str | None = None,
) -> Figure:
    """Show the score of every setting: one panel for each combination of `panels`.

    Each field has the score and, below it, its spread over the folds; the best one is framed. A
    field without a number stays empty.

    Args:
        table: a row a setting; columns as named by the other arguments.
        rows, columns: the settings along the two axes.
        panels: settings that make panels.
        value, spread: columns with the score and its standard deviation.
        title: what the figure shows.

    Raises:
        KitError: a column is missing, there is no row, or a setting comes twice.
    """
    require_columns(table, [rows, columns, *panels, value, spread], "heat_map")
    if table.empty:
        raise KitError("heat_map: the table has no row; search at least one setting.")
    if table.duplicated([rows, columns, *panels]).any():
        raise KitError(
            "heat_map: the table has a setting twice; name all that differs in rows, columns and "
            "panels."
        )
    groups = list(table.groupby(list(panels), sort=True)) if panels else [((), table)]
    across = 2 if len(groups) == 4 else min(len(groups), 3)
    down = -(-len(groups) // across)
    heights, widths = sorted(table[rows].unique()), sorted(table[columns].unique())
    colors = _limits(table[value])
    title = title or f"{value.capitalize()} of each setting: mean over the folds ± spread"
    best = table[value].idxmax() if table[value].notna().any() else None
    panel_height = 0.52 * len(heights) + 0.9
    with figure(panel_height * down, title, max(9.0, _PANEL * across)) as made:
        for place, (key, group) in enumerate(groups):
            axes = made.add_subplot(down, across, place + 1)
            grid = group.pivot(index=rows, columns=columns, values=value)
            grid = grid.reindex(index=heights, columns=widths)
            spreads = group.pivot(index=rows, columns=columns, values=spread)
            spreads = spreads.reindex(index=heights, columns=widths)
            image = axes.imshow(grid, cmap=_MAP, vmin=colors[0], vmax=colors[1], aspect="auto")
            _label(axes, heights, widths, rows if place % across == 0 else "", columns)
            names = zip(panels, key, strict=True)
            axes.set_title(", ".join(f"{name} {_text(v)}" for name, v in names))
            _write(axes, grid.to_numpy(float), spreads.to_numpy(float), colors)
            if best in group.index:
                _frame(axes, heights.index(table[rows][best]), widths.index(table[columns][best]))
        bar = made.colorbar(image, ax=made.axes, shrink=0.8, pad=0.02)
        bar.set_label(f"mean {value}")
        bar.outline.set_visible(False)
    return made


def _limits(values: pd.Series) -> tuple[float, float]:
    low, high = values.min(), values.max()
    if not np.isfinite(low):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.05, high + 0.05)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _label(axes: Axes, heights: list, widths: list, rows: str, columns: str) -> None:
    axes.set_xticks(range(len(widths)), [_text(v) for v in widths])
    axes.set_yticks(range(len(heights)), [_text(v) for v in heights])
    axes.set_xlabel(columns.replace("_", " "))
    axes.set_ylabel(rows.replace("_", " "))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write(
    axes: Axes, values: np.ndarray, spreads: np.ndarray, limits: tuple[float, float]
) -> None:
    middle = sum(limits) / 2
    for (row, column), number in np.ndenumerate(values):
        if np.isfinite(number):
            text = f"{number:.3f}"
            if np.isfinite(spreads[row, column]):
                text += f"\n±{spreads[row, column]:.3f}"
            color = "black" if number > middle else "white"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)


def _frame(axes: Axes, row: int, column: int) -> None:
    # White under black: seen on dark and on light fields.
    for color, width in (("white", 4.5), ("black", 2.0)):
        corner = (column - 0.47, row - 0.47)
        axes.add_patch(
            Rectangle(corner, 0.94, 0.94, fill=False, edgecolor=color, linewidth=width, zorder=3)
        )
