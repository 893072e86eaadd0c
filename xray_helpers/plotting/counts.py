"""Counts of pictures: class balance and confusion."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    BAR_LOOKS,
    SPLIT_LOOKS,
    class_name,
    figure,
    legend_height,
    legend_row,
    wrap,
)


def class_balance(counts: pd.DataFrame, title: str | None = None) -> Figure:
    """Show the number of pictures of each class in each split.

    Args:
        counts: index class label, columns split (``train``, ``validation``, ``test``), values
            number of pictures; a missing value counts as 0.
        title: what the figure shows; by default the number of pictures and of classes.

    Raises:
        KitError: the table is empty.
    """
    if counts.empty:
        raise KitError("class_balance: the table has no class or no split; count at least one.")
    counts = counts.fillna(0).astype(int)
    splits, labels = list(counts.columns), list(counts.index)
    title = title or f"{counts.to_numpy().sum()} pictures of {len(labels)} classes, by split"
    looks = {
        split: SPLIT_LOOKS.get(split, BAR_LOOKS[(place + 3) % len(BAR_LOOKS)])
        for place, split in enumerate(splits)
    }
    handles = [
        Patch(
            facecolor=looks[split].color, edgecolor="black", hatch=looks[split].hatch, label=split
        )
        for split in splits
    ]
    legend = legend_height(splits)
    with figure(3.5 + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[3.5, legend])
        axes = made.add_subplot(grid[0])
        thick = 0.84 / len(splits)
        for place, split in enumerate(splits):
            bars = axes.bar(
                np.arange(len(labels)) + (place - (len(splits) - 1) / 2) * thick,
                counts[split],
                width=thick * 0.92,
                color=looks[split].color,
                edgecolor="black",
                linewidth=0.8,
                hatch=looks[split].hatch,
                label=split,
            )
            axes.bar_label(bars, fmt="{:.0f}", padding=2, fontsize=10)
        characters = max(8, 84 // len(labels))
        axes.set_xticks(
            range(len(labels)), [wrap(class_name(label), characters) for label in labels]
        )
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.set_ylim(0, max(1, counts.to_numpy().max()) * 1.1)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("number of pictures")
        axes.grid(True, axis="y")
        legend_row(made, grid[1], handles)
        return made


def confusion(matrix: np.ndarray, classes: Sequence[str], title: str | None = None) -> Figure:
    """Show how often each true class (row) was predicted as each class (column).

    Each cell has the number of pictures and its share of the row; a row without pictures shows
    "–".

    Args:
        matrix: (k, k) int, rows true, columns predicted.
        classes: k class labels, in the order of the rows and columns.
        title: what the figure shows; by default the number of pictures on the diagonal.

    Raises:
        KitError: the matrix is not square or does not fit the classes, or a count is negative.
    """
    matrix = np.asarray(matrix)
    number = len(classes)
    if matrix.shape != (number, number) or number == 0:
        raise KitError(
            f"confusion: the matrix has the shape {tuple(matrix.shape)} and there are {number} "
            f"classes; give a row and a column for each class."
        )
    if (matrix < 0).any():
        raise KitError("confusion: a count is negative; give numbers of pictures.")
    totals = matrix.sum(axis=1)
    share = np.divide(
        matrix, totals[:, None], out=np.full(matrix.shape, np.nan), where=totals[:, None] > 0
    )
    texts = np.array(
        [
            [
                f"{matrix[i, j]}\n{100 * share[i, j]:.0f} %" if totals[i] else "–"
                for j in range(number)
            ]
            for i in range(number)
        ]
    )
    if title is None:
        title = f"{np.trace(matrix)} of {matrix.sum()} pictures predicted as their true class"
    side = min(1.15, 5.6 / number)
    with figure(side * number + 1.3, title, width=7.0) as made:
        axes = made.add_subplot()
        sns.heatmap(
            np.nan_to_num(share),
            annot=texts,
            fmt="",
            cmap="Blues",
            vmin=0,
            vmax=1,
            square=True,
            linewidths=1,
            linecolor="0.6",
            annot_kws={"fontsize": 12 if number <= 5 else 9},
            cbar=False,
            ax=axes,
        )
        names = [class_name(label) for label in classes]
        characters = max(9, 40 // number)
        axes.set_xticks(
            np.arange(number) + 0.5, [wrap(name, characters) for name in names], rotation=0
        )
        axes.set_yticks(
            np.arange(number) + 0.5,
            [f"{wrap(name, 16)}\n(n = {total})" for name, total in zip(names, totals, strict=True)],
            rotation=0,
        )
        axes.tick_params(length=0)
        axes.set_xlabel("predicted class\n(under each count: its share of the row)")
        axes.set_ylabel("true class (n: number of pictures)")
        return made
