"""Pictures with heat on them: where a model looks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from xray_helpers.errors import KitError
from xray_helpers.plotting.pictures import (
    RIGHT,
    WRONG,
    bare,
    percent,
    require_pictures,
)
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    class_name,
    figure,
    legend_height,
    legend_row,
    require_same_length,
    wrap,
)

# Rises in brightness throughout, so that it reads in grey; its dark end is left transparent.
_MAP = "inferno"
_OPAQUE = 0.75  # the hottest place; the picture shines through
_HALF = 0.5


def heat_grid(
    pictures: np.ndarray,
    heats: np.ndarray,
    true: Sequence[str],
    predicted: Sequence[str],
    probability: Sequence[float] | None,
    masks: np.ndarray | None = None,
    covered: np.ndarray | None = None,
    title: str | None = None,
    score: str = "probability",
    mask_name: str = "where the disease is drawn",
) -> Figure:
    """Show each picture, and beside it the same picture with heat on it.

    The more heat, the lighter and the less transparent; a line goes around all places with at
    least half of the most. Each picture's heat is scaled to its own most, so the heat of two
    pictures cannot be compared.

    Args:
        pictures: (n, height, width, 3) uint8.
        heats: (n, height, width), as `grad_cam` gives it; below 0 counts as 0.
        true: n class labels.
        predicted: n class labels.
        probability: n numbers, what the model gave the predicted class; None to leave them out.
        masks: bool (n, height, width), where the disease is: drawn as a dashed outline on the
            picture with heat. One that is empty draws nothing.
        covered: (n, height, width), as `occlusion` gives it: a third column, scaled in the same
            way, with the largest drop below it.
        title: what the figure shows; by default that it is Grad-CAM.
        score: what the number is called; one that is no probability is not shown as percent.
        mask_name: what the masks are, for the legend.

    Raises:
        KitError: the lengths or sizes differ, or there is no picture.
    """
    pictures, heats = np.asarray(pictures), np.asarray(heats)
    parts = {"pictures": pictures, "heats": heats, "true classes": true}
    parts |= {"predicted classes": predicted}
    parts |= {} if probability is None else {"probabilities": probability}
    parts |= {} if masks is None else {"masks": masks}
    parts |= {} if covered is None else {"occlusions": covered}
    number = require_same_length("heat_grid", **parts)
    if number == 0:
        raise KitError("heat_grid: there is no picture to show; give at least one.")
    require_pictures(pictures, "heat_grid: pictures")
    for name, maps in (("heats", heats), ("masks", masks), ("occlusions", covered)):
        if maps is not None and np.shape(maps) != pictures.shape[:3]:
            raise KitError(
                f"heat_grid: {name} have the shape {np.shape(maps)}, the pictures "
                f"{pictures.shape[:3]}; give both in the same size."
            )
    title = title or "Where the model looks: Grad-CAM of the predicted class"
    panels = 2 if covered is None else 3
    across = 2 if covered is None else 1
    rows = -(-number // across)
    side = 2.15 if covered is None else 2.6
    shares = [None] * number if probability is None else probability
    texts = [
        _caption(*of_one, score, int(panels * side * 13.5))
        for of_one in zip(true, predicted, shares, strict=True)
    ]
    lines = max(text.count("\n") for text in texts) + 1
    above = 0.18 * lines + 0.1
    below = 0.05 if covered is None else 0.5
    handles = _handles(mask_name if masks is not None and np.any(masks) else "")
    legend = legend_height([str(handle.get_label()) for handle in handles])
    each = above + side * pictures.shape[1] / pictures.shape[2] + below
    with figure(rows * each + legend + 0.85, title) as made:
        made.get_layout_engine().set(h_pad=0.03, w_pad=0.03, hspace=0, wspace=0)
        heights = [each] * rows + [0.8, legend]
        grid = made.add_gridspec(rows + 2, across, height_ratios=heights)
        for place in range(number):
            cell = grid[place // across, place % across].subgridspec(
                2, panels, height_ratios=[above, each - above]
            )
            _write(made, cell[0, :], texts[place])
            shown = [None, heats[place]] + ([] if covered is None else [covered[place]])
            for column, heat in enumerate(shown):
                axes = made.add_subplot(cell[1, column])
                axes.imshow(pictures[place], interpolation="antialiased")
                bare(axes)
                if heat is not None:
                    _lay_on(axes, heat)
                if column == 1 and masks is not None and np.any(masks[place]):
                    _outline(axes, masks[place])
                if column == 2:
                    axes.set_xlabel(f"largest drop {_drop(heat)}", fontsize=9)
                if covered is not None:
                    axes.set_title(("picture", "Grad-CAM", "occlusion")[column], fontsize=9.5)
        meaning = "how much a place speaks for the predicted class"
        if covered is not None:
            meaning += " (occlusion: how much is lost without it)"
        _bar(made, grid[rows, :], meaning)
        legend_row(made, grid[rows + 1, :], handles)
        return made


def _caption(true: str, predicted: str, share: float | None, score: str, characters: int) -> str:
    sign = RIGHT if true == predicted else WRONG
    said = "" if share is None else f"{share:.2f}"
    if share is not None and score == "probability":
        said = percent(share).replace(" ", "\u00a0")  # not to be broken between
    return wrap(f"{sign} is {class_name(true)}; model: {class_name(predicted)} {said}", characters)


def _write(made: Figure, place: SubplotSpec, text: str) -> None:
    axes = made.add_subplot(place, label="caption")
    axes.axis("off")
    axes.text(0, 0.15, text, fontsize=9.5, va="bottom", ha="left")


def _lay_on(axes: Axes, heat: np.ndarray) -> None:
    heat = np.clip(heat, 0, None)
    if not heat.max() > 0:
        axes.text(
            0.5, 0.5, "no heat", ha="center", va="center", transform=axes.transAxes,
            color="white", path_effects=[withStroke(linewidth=3, foreground="black")],
        )  # fmt: skip
        return
    heat = heat / heat.max()
    axes.imshow(heat, cmap=_MAP, vmin=0, vmax=1, alpha=_OPAQUE * np.sqrt(heat))
    if heat.min() < _HALF:
        for color, width in (("black", 2.6), ("white", 1.2)):
            axes.contour(heat, levels=[_HALF], colors=color, linewidths=width)


def _outline(axes: Axes, mask: np.ndarray) -> None:
    # With an empty rim, so that an outline along the picture's edge is drawn too.
    ends = (-0.5, mask.shape[1] - 0.5), (mask.shape[0] - 0.5, -0.5)
    mask = np.pad(np.asarray(mask, float), 1)
    places = [np.arange(side) - 1 for side in mask.shape]
    for color, width, style in (("black", 2.6, "solid"), ("#56B4E9", 1.5, "dashed")):
        axes.contour(
            places[1], places[0], mask, levels=[0.5], colors=color, linewidths=width,
            linestyles=style,
        )  # fmt: skip
    axes.set(xlim=ends[0], ylim=ends[1])


def _drop(heat: np.ndarray) -> str:
    return f"{heat.max():.2g}" if heat.max() > 0 else "none"


def _handles(masks: str) -> list[Line2D]:
    stroke = [withStroke(linewidth=2.8, foreground="black")]
    lines = [Line2D([], [], color="white", linewidth=1.2, path_effects=stroke)]
    lines[0].set_label("half of the most heat or more")
    if masks:
        lines.append(
            Line2D([], [], color="#56B4E9", linewidth=1.5, linestyle="--", path_effects=stroke)
        )
        lines[1].set_label(masks)
    return lines


def _bar(made: Figure, place: SubplotSpec, meaning: str) -> None:
    """The scale, and what it means."""
    outer = place.subgridspec(3, 3, height_ratios=[0.2, 0.25, 0.55], width_ratios=[1, 3, 1])
    axes = made.add_subplot(outer[1, 1], label="scale")
    bar = made.colorbar(ScalarMappable(Normalize(0, 1), _MAP), cax=axes, orientation="horizontal")
    bar.set_ticks([0, _HALF, 1], labels=["0: nothing", "0.5", "1: most, in this picture"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=9.5, labelcolor=NOTE_COLOR)
    bar.set_label(meaning, fontsize=9.5)
