"""Pictures as points in a plane (t-SNE or the like), coloured by class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    WIDTH,
    class_looks,
    class_name,
    figure,
    legend_height,
    legend_row,
    require_same_length,
    wrap,
)


@dataclass(frozen=True, eq=False)
class EmbeddingPanel:
    """One cloud of points for ``embedding_grid``.

    Attributes:
        points: (n, 2) float, no unit.
        labels: n class labels.
        title: what this panel shows.
        note: a line below the panel, such as the perplexity.
        test: (n,) bool or None; True points are drawn hollow.
    """

    points: np.ndarray
    labels: Sequence[str]
    title: str
    note: str = ""
    test: np.ndarray | None = None


def embedding(
    points: np.ndarray,
    labels: Sequence[str],
    title: str,
    test: np.ndarray | None = None,
    note: str = "",
    axes: str = "t-SNE",
) -> Figure:
    """Show one cloud of points, one colour and marker a class.

    Args:
        points: (n, 2) float, no unit.
        labels: n class labels.
        title: what the figure shows.
        test: (n,) bool; points of the test split are drawn hollow. None: all are filled.
        note: a line below the points, such as the perplexity.
        axes: what the axes are called; their ticks are hidden, since they have no unit.

    Raises:
        KitError: the lengths differ, the shape is not (n, 2), or a point is not finite.
    """
    panel = EmbeddingPanel(points, labels, "", note, test)
    return _clouds([panel], title, axes, "embedding", panel_height=5.6)


def embedding_grid(
    panels: Sequence[EmbeddingPanel], title: str = "", axes: str = "t-SNE"
) -> Figure:
    """Show several clouds side by side (three in a row, four as two by two), one legend for all.

    Args:
        panels: the clouds; each panel's title stands above it.
        title: what the whole figure shows.
        axes: what the axes are called, as for ``embedding``.

    Raises:
        KitError: no panel, or one that ``embedding`` would refuse.
    """
    if not panels:
        raise KitError("embedding_grid: there is no panel to show; give at least one.")
    return _clouds(panels, title, axes, "embedding_grid", panel_height=None)


def _clouds(
    panels: Sequence[EmbeddingPanel],
    title: str,
    axes_name: str,
    where: str,
    panel_height: float | None,
) -> Figure:
    for panel in panels:
        _check(panel, f"{where}: panel {panel.title!r}" if panel.title else where)
    looks = class_looks(label for panel in panels for label in panel.labels)
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = -(-len(panels) // columns)
    handles = _handles(panels, list(looks))
    width = WIDTH if columns > 1 else 7.0
    legend = legend_height([str(handle.get_label()) for handle in handles], width)
    titles = [wrap(panel.title, 88 // columns if columns > 1 else 80) for panel in panels]
    notes = [wrap(panel.note, int(width * 11.6) // columns) for panel in panels]
    each = panel_height or min(3.6, WIDTH / columns)
    each += 0.2 * max(text.count("\n") for text in titles)
    each += 0.18 * max(text.count("\n") for text in notes)
    with figure(each * rows + legend, title, width) as made:
        grid = made.add_gridspec(rows + 1, columns, height_ratios=[each] * rows + [legend])
        for place, panel in enumerate(panels):
            axes = made.add_subplot(grid[divmod(place, columns)])
            _scatter(axes, panel, size=42 if columns == 1 else 26)
            if titles[place]:
                axes.set_title(titles[place], loc="left", fontsize=11)
            axes.set_xlabel(f"{axes_name} 1 (no unit)")
            if notes[place]:
                axes.annotate(
                    notes[place],
                    (0, 0),
                    xycoords="axes fraction",
                    xytext=(0, -24),
                    textcoords="offset points",
                    fontsize=9.5,
                    color=NOTE_COLOR,
                    va="top",
                )
            if place % columns == 0:
                axes.set_ylabel(f"{axes_name} 2 (no unit)")
        legend_row(made, grid[-1, :], handles, width)
        return made


def _check(panel: EmbeddingPanel, where: str) -> None:
    points = np.asarray(panel.points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise KitError(f"{where}: points must have the shape (n, 2), not {tuple(points.shape)}.")
    parts = {"points": points, "labels": panel.labels}
    if panel.test is not None:
        parts["test flags"] = panel.test
    require_same_length(where, **parts)
    if not np.isfinite(points).all():
        raise KitError(f"{where}: a point is not a finite number; leave such pictures out.")


def _scatter(axes: Axes, panel: EmbeddingPanel, size: float) -> None:
    points = np.asarray(panel.points, dtype=float)
    labels = np.asarray(panel.labels, dtype=object)
    test = np.zeros(len(points), bool) if panel.test is None else np.asarray(panel.test, bool)
    for label, look in class_looks(panel.labels).items():
        for hollow in (False, True):
            chosen = (labels == label) & (test == hollow)
            if not chosen.any():
                continue
            axes.scatter(
                *points[chosen].T,
                s=size,
                marker=look.marker,
                facecolors="none" if hollow else look.color,
                edgecolors=look.color if hollow else "white",
                linewidths=1.6 if hollow else 0.5,
                alpha=1.0 if hollow else 0.85,
                label=label,
                zorder=4 if hollow else 3,
            )
    if not len(points):
        axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", color=NOTE_COLOR)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.06)


def _handles(panels: Sequence[EmbeddingPanel], labels: Sequence[str]) -> list[Line2D]:
    """Return a legend entry a class, with its count where one panel or equal panels allow it."""
    counts = [Counter(panel.labels) for panel in panels]
    alike = all(count == counts[0] for count in counts)
    looks = class_looks(labels)
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=looks[label].marker,
            markersize=8,
            markerfacecolor=looks[label].color,
            markeredgecolor="white",
            label=class_name(label) + (f" ({counts[0][label]})" if alike else ""),
        )
        for label in labels
    ]
    if any(panel.test is not None and np.any(panel.test) for panel in panels):
        common = {"linestyle": "none", "marker": "o", "markersize": 8, "markeredgecolor": "0.35"}
        handles.append(Line2D([], [], markerfacecolor="0.35", label="filled: train", **common))
        handles.append(Line2D([], [], markerfacecolor="none", label="hollow: test", **common))
    return handles
