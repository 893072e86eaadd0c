"""A score among those of shuffled labels: would chance have given it too?"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import figure, legend_height, legend_row

_BARS, _TRUE = "#56B4E9", "#D55E00"


def shuffled_scores(scores: Sequence[float], true: float, title: str | None = None) -> Figure:
    """Show what shuffled labels score, and what the true ones do.

    Args:
        scores: accuracies with shuffled labels, 0 to 1, (times,).
        true: accuracy with the true labels.
        title: what the figure shows; by default that it is true against shuffled labels.

    Raises:
        KitError: there is no score.
    """
    scores = np.asarray(scores, float)
    if scores.size == 0:
        raise KitError("shuffled_scores: there is no score of shuffled labels; shuffle some.")
    handles = [
        Patch(facecolor=_BARS, edgecolor="white", label=f"labels shuffled ({len(scores):,} times)"),
        Line2D([], [], color=_TRUE, linewidth=2.5, label=f"true labels: {true:.3f}"),
    ]
    names = [handle.get_label() for handle in handles]
    legend = legend_height(names)
    with figure(2.6 + legend, title or "Accuracy with true and with shuffled labels") as made:
        grid = made.add_gridspec(2, 1, height_ratios=[2.6, legend])
        axes = made.add_subplot(grid[0])
        # As many steps as the scores can take would leave gaps between the bars.
        axes.hist(scores, bins=np.linspace(0, 1, 51), color=_BARS, edgecolor="white")
        axes.axvline(true, color=_TRUE, linewidth=2.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("accuracy (share of pictures told right)")
        axes.set_ylabel("number of shufflings")
        legend_row(made, grid[1], handles)
        return made
