"""Figures made of pictures: samples, what enhancement makes of them, test pictures as predicted."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    WIDTH,
    class_name,
    figure,
    require_same_length,
    wrap,
)

MOST_SHOWN = 60
"""Of more pictures with their predictions, so many are shown."""
WRONG = "✗"
RIGHT = "✓"
_WRONG_COLOR = "#D55E00"


def sample_pictures(pictures: Mapping[str, np.ndarray], title: str | None = None) -> Figure:
    """Show a few pictures of each class, one row a class.

    Args:
        pictures: class label -> (k, height, width, 3) uint8; k may differ between classes and
            may be 0.
        title: what the figure shows; by default built from the classes.

    Raises:
        KitError: no class at all, or an array of another shape or type.
    """
    if not pictures:
        raise KitError("sample_pictures: there is no class to show; give at least one.")
    for label, stack in pictures.items():
        require_pictures(stack, f"sample_pictures: the pictures of {label!r}")
    columns = max(1, *(len(stack) for stack in pictures.values()))
    side = min(1.9, (WIDTH - 0.6) / columns)
    if title is None:
        title = "Sample pictures: " + ", ".join(class_name(label) for label in pictures)
    with figure(side * len(pictures) + 0.2, title) as made:
        grid = made.subplots(len(pictures), columns, squeeze=False)
        for row, (label, stack) in zip(grid, pictures.items(), strict=True):
            for place, axes in enumerate(row):
                bare(axes)
                if place < len(stack):
                    axes.imshow(stack[place], interpolation="antialiased")
                else:
                    axes.set_frame_on(False)
                    axes.set_box_aspect(1)
            if not len(stack):
                row[0].text(0.5, 0.5, "no picture", ha="center", va="center", color=NOTE_COLOR)
            row[0].set_ylabel(wrap(class_name(label), 14), fontsize=11)
        return made


def enhancement_grid(
    columns: Mapping[str, np.ndarray], rows: Sequence[str], title: str | None = None
) -> Figure:
    """Show the same pictures in several forms: a row a picture, a column a form of it.

    Args:
        columns: name of a form ("as it is", "clahe") -> (n, height, width, 3) uint8.
        rows: n texts, one to stand at the left of each picture, such as its class.
        title: what the figure shows.

    Raises:
        KitError: no column or no picture, other numbers of pictures, another shape or type.
    """
    if not columns or not len(rows):
        raise KitError("enhancement_grid: there is no picture to show; give at least one.")
    for name, stack in columns.items():
        require_pictures(stack, f"enhancement_grid: the pictures of {name!r}")
    require_same_length("enhancement_grid", rows=rows, **columns)
    if title is None:
        title = "The same pictures, as they are and after one step"
    side = (WIDTH - 0.4) / len(columns)
    with figure(side * len(rows) + 0.35, title) as made:
        made.get_layout_engine().set(h_pad=0.03, w_pad=0.03)
        grid = made.subplots(len(rows), len(columns), squeeze=False)
        for place, (name, stack) in enumerate(columns.items()):
            grid[0, place].set_title(wrap(name, 14), fontsize=11)
            for axes, picture in zip(grid[:, place], stack, strict=True):
                axes.imshow(picture, interpolation="antialiased")
                bare(axes)
        for axes, text in zip(grid[:, 0], rows, strict=True):
            axes.set_ylabel(wrap(class_name(text), 16), fontsize=11)
        return made


def predictions_grid(
    pictures: np.ndarray,
    true: Sequence[str],
    predicted: Sequence[str],
    probability: Sequence[float],
    columns: int = 6,
    title: str | None = None,
    score: str = "probability",
    most: int = MOST_SHOWN,
) -> Figure:
    """Show every picture with its true class, its predicted class and that one's probability.

    A wrong prediction has a thick frame and a "✗" before its probability: seen in grey too.

    Args:
        pictures: (n, height, width, 3) uint8; an array, or what gives one when some are picked.
        true: n class labels.
        predicted: n class labels.
        probability: n numbers from 0 to 1, the model's probability of the predicted class.
        columns: pictures side by side; at least 1.
        title: what the figure shows; by default the counts of right and wrong predictions.
        score: what the number is called; one that is no probability is not shown as percent.
        most: of more pictures, so many are shown, spread evenly; the title says so.

    Raises:
        KitError: the lengths differ, there is no picture, or ``pictures`` is not such an array.
    """
    true, predicted = list(true), list(predicted)
    number = require_same_length(
        "predictions_grid",
        pictures=pictures,
        **{"true classes": true, "predicted classes": predicted, "probabilities": probability},
    )
    if number == 0:
        raise KitError("predictions_grid: there is no picture to show; give at least one.")
    if columns < 1:
        raise KitError(f"predictions_grid: columns is {columns}; it must be 1 or more.")
    require_pictures(pictures, "predictions_grid: pictures")
    wrong = sum(t != p for t, p in zip(true, predicted, strict=True))
    if title is None:
        title = (
            f"{number:,} picture{'s'[: number > 1]}: {number - wrong:,} predicted rightly, "
            f"{wrong:,} wrongly"
        )
    if number > most:
        title += f"; {most} of them shown, spread evenly"
        some = np.linspace(0, number - 1, most).astype(int)
        pictures, true, predicted, probability = (
            [part[i] for i in some] for part in (pictures, true, predicted, list(probability))
        )
        number = most
    pictures = np.asarray(pictures)
    columns = min(columns, max(number, 3))
    rows = -(-number // columns)
    cell = WIDTH / columns
    size = 9 if columns >= 5 else 10
    characters = int(cell * 72 / (size * 0.56))
    above = [wrap(class_name(label), characters) for label in true]
    below = [
        f"{wrap(class_name(guess), characters)}\n{RIGHT if guess == label else WRONG} "
        + (percent(share) if score == "probability" else f"{share:.2f}")
        for label, guess, share in zip(true, predicted, probability, strict=True)
    ]
    lines = max(text.count("\n") for text in above) + max(text.count("\n") for text in below) + 2
    ratio = pictures.shape[1] / pictures.shape[2]
    height = rows * ((cell - 0.14) * ratio + lines * size * 1.25 / 72 + 0.32) + 0.35
    with figure(height, title) as made:
        made.get_layout_engine().set(h_pad=0.08, w_pad=0.07, hspace=0, wspace=0)
        grid = made.add_gridspec(rows + 1, columns, height_ratios=[0.1] + [height / rows] * rows)
        note = made.add_subplot(grid[0, :], label="legend")
        note.axis("off")
        note.text(
            0,
            0.5,
            f"Above a picture: its true class. Below: the predicted class and its {score}. "
            f"{WRONG} and a thick frame: wrong.",
            fontsize=9.5,
            color=NOTE_COLOR,
            va="center",
        )
        for place in range(number):
            axes = made.add_subplot(grid[1 + place // columns, place % columns])
            axes.imshow(pictures[place], interpolation="antialiased")
            bare(axes)
            axes.set_title(above[place], fontsize=size, pad=5)
            axes.set_xlabel(below[place], fontsize=size, labelpad=5)
            if true[place] != predicted[place]:
                frame = Rectangle(
                    (0, 0),
                    1,
                    1,
                    transform=axes.transAxes,
                    fill=False,
                    linewidth=3.5,
                    edgecolor=_WRONG_COLOR,
                    clip_on=False,
                    path_effects=[withStroke(linewidth=5.5, foreground="black")],
                )
                axes.add_patch(frame)
        return made


def percent(share: float) -> str:
    """A share in percent, such as "93 %"; "– %" where it is not defined."""
    return "– %" if not np.isfinite(share) else f"{100 * share:.0f} %"


def bare(axes: Axes) -> None:
    """Take ticks and frame away, which mean nothing around a picture."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def require_pictures(stack: np.ndarray, what: str) -> None:
    """Raise a KitError if an array is not uint8 of shape (number, height, width, 3)."""
    if stack.ndim != 4 or stack.shape[-1] != 3 or stack.dtype != np.uint8:
        raise KitError(
            f"{what} must be a uint8 array of shape (number, height, width, 3), "
            f"not {stack.dtype} of shape {tuple(stack.shape)}."
        )
