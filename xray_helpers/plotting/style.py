"""What all figures share: class names, one fixed look a class and a split, size, title, legend."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.transforms import blended_transform_factory

from xray_helpers.errors import KitError

WIDTH = 9.0
"""Inches: 900 pixels in a notebook; on A4 between margins everything is about 0.75 of its size."""
NOTE_COLOR = "0.3"
LEGEND_LINE = 0.26
"""Inches that one line of a legend takes."""

_RC = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "figure.dpi": 100,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "0.3",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "hatch.linewidth": 0.8,
    "text.color": "black",
    "text.usetex": False,
    "axes.labelcolor": "black",
    "xtick.color": "black",
    "ytick.color": "black",
}

_NAMES = {
    "covid": "COVID-19",
    "normal": "normal",
    "infected": "infected",
    "pneumonia_other": "other pneumonia",
    "pneumonia_bac": "bacterial pneumonia",
    "pneumonia_vir": "viral pneumonia",
}


class Look(NamedTuple):
    """How one class or one split is drawn everywhere."""

    color: str
    marker: str
    line: Any = "-"
    hatch: str = ""


_CLASS_LOOKS = {
    "normal": Look("#56B4E9", "o"),
    "covid": Look("#D55E00", "^"),
    "pneumonia_bac": Look("#0072B2", "s"),
    "pneumonia_vir": Look("#CC79A7", "D"),
}
_OTHER_LOOKS = (
    Look("#009E73", "P"),
    Look("#E69F00", "v"),
    Look("#000000", "X"),
    Look("#F0E442", "p"),
    Look("#009E73", "<"),
    Look("#E69F00", ">"),
    Look("#000000", "h"),
    Look("#F0E442", "*"),
)
SPLIT_LOOKS = {
    "train": Look("#0072B2", "o", "-", ""),
    "validation": Look("#E69F00", "s", (0, (4, 2)), "////"),
    "test": Look("#009E73", "^", ":", "...."),
}
BAR_LOOKS = (
    Look("#0072B2", "o", hatch=""),
    Look("#E69F00", "s", hatch="////"),
    Look("#009E73", "^", hatch="...."),
    Look("#CC79A7", "D", hatch="xxxx"),
    Look("#56B4E9", "v", hatch="\\\\\\\\"),
    Look("#D55E00", "P", hatch="----"),
    Look("#F0E442", "X", hatch="++++"),
)


def class_name(label: str) -> str:
    """Return the name of a class as figures show it, e.g. ``"covid"`` -> ``"COVID-19"``.

    A label that is not one of the kit's classes is returned as it is.
    """
    return _NAMES.get(label, str(label))


def class_looks(labels: Iterable[str]) -> dict[str, Look]:
    """Return a look for each distinct label, in a fixed order of classes.

    The kit's classes always look the same. Other labels take the remaining looks in alphabetical
    order, so the order in which labels come never matters.
    """
    distinct = set(labels)
    known = {label: look for label, look in _CLASS_LOOKS.items() if label in distinct}
    others = sorted(distinct - known.keys(), key=str)
    return known | {
        label: _OTHER_LOOKS[place % len(_OTHER_LOOKS)] for place, label in enumerate(others)
    }


@contextmanager
def figure(height: float, title: str, width: float = WIDTH) -> Iterator[Figure]:
    """Give a constrained-layout figure of ``width`` x ``height`` inches, to be drawn in the block.

    The figure is made by pyplot, so that notebooks know how to display it, and closed there at
    once, so that they do not also show it by themselves.
    """
    with plt.rc_context(_RC):
        made = plt.figure(figsize=(width, height), layout="constrained")
        plt.close(made)
        made.get_layout_engine().set(h_pad=0.06, w_pad=0.06)
        if title:
            text = wrap(title, int(width * 9.2))
            made.set_size_inches(width, height + 0.25 * (text.count("\n") + 1), forward=False)
            made.suptitle(text, x=0.012, ha="left")
        yield made


def wrap(text: str, characters: int) -> str:
    """Break a text into lines of at most ``characters``, also inside long names."""
    lines: list[str] = []
    for part in str(text).splitlines():
        # A name such as "20250102T101112Z-task2-vgg16" may break after "_", "/" and "=" too.
        softened = part.replace("_", "_\u200b").replace("/", "/\u200b").replace("=", "=\u200b")
        words = [piece for word in softened.split(" ") for piece in _pieces(word, characters)]
        line = ""
        for word in words:
            if line and len(line + word.rstrip()) > characters:
                lines.append(line.rstrip())
                line = ""
            line += word
        lines.append(line.rstrip())
    return "\n".join(lines)


def _pieces(word: str, characters: int) -> list[str]:
    """Cut one word where a line may break; the last piece carries the space after the word."""
    if len(word.replace("\u200b", "")) <= characters:
        return [word.replace("\u200b", "") + " "]
    pieces: list[str] = []
    for piece in word.split("\u200b"):
        pieces += textwrap.wrap(piece, characters, break_on_hyphens=True) or [""]
    return [*pieces[:-1], pieces[-1] + " "]


def legend_columns(names: Sequence[str], width: float = WIDTH) -> int:
    """Return how many of the names stand side by side in ``width`` inches."""
    sizes = [len(name) * 0.08 + 0.75 for name in names]
    for columns in range(len(sizes), 1, -1):
        # A legend is filled column by column; the first ones are one longer than the last ones.
        if sum(max(part) for part in np.array_split(sizes, columns)) <= width - 0.3:
            return columns
    return 1


def legend_height(names: Sequence[str], width: float = WIDTH) -> float:
    """Return the inches that a legend with these names needs."""
    return LEGEND_LINE * -(-len(names) // legend_columns(names, width)) + 0.05


def legend_row(
    made: Figure, place: SubplotSpec, handles: Sequence[Artist], width: float = WIDTH
) -> Axes:
    """Write one legend for the whole figure into a row of its own, where it hides no data."""
    names = [str(handle.get_label()) for handle in handles]
    axes = made.add_subplot(place, label="legend")
    axes.axis("off")
    axes.legend(
        handles=handles,
        loc="center",
        bbox_to_anchor=(0.5, 0.5),
        bbox_transform=blended_transform_factory(made.transFigure, axes.transAxes),
        ncols=legend_columns(names, width),
        frameon=False,
        borderpad=0,
        handlelength=2.6,
    )
    return axes


def require_columns(table: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Raise a KitError if the table lacks one of the columns."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise KitError(
            f"{where}: the table has no column {', '.join(map(repr, missing))}; "
            f"it needs {', '.join(columns)}."
        )


def require_same_length(where: str, **parts: Sequence[Any]) -> int:
    """Return the common length of the parts; raise a KitError that counts them if they differ."""
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"{count} {name}" for name, count in lengths.items())
        raise KitError(f"{where}: got {counted}; give one of each for every picture.")
    return next(iter(lengths.values()))
