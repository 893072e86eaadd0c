"""A finished figure: the mark at its bottom, and its file."""

import os
import uuid
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import NOTE_COLOR, wrap

_STAMP = "xray-stamp"
_LINE = 0.17
LEAST_DPI = 150


def stamp(figure: Figure, mark: str) -> Figure:
    """Write ``mark`` in small italics in a strip of its own at the bottom of the figure.

    Args:
        figure: any matplotlib figure, also one that the kit did not make; it grows by the strip.
        mark: such as ``"generated pictures · random weights: not a result"``. An empty mark, or
            one that the figure already has, leaves the figure alone; a second mark is added to
            the first.

    Returns:
        The same figure.
    """
    mark = mark.strip()
    old = next((text for text in figure.texts if text.get_gid() == _STAMP), None)
    marks = old.get_label().split("\n") if old is not None else []
    if not mark or mark in marks:
        return figure
    if old is not None:
        _strip(figure, -_height(old.get_text()))
        old.remove()
    width = float(figure.get_size_inches()[0])
    lines = wrap(" · ".join([*marks, mark]), max(20, int(width * 13)))
    _strip(figure, _height(lines))
    figure.text(
        0.12 / width,
        0.05 / float(figure.get_size_inches()[1]),
        lines,
        fontsize=9,
        fontstyle="italic",
        fontfamily="DejaVu Sans",
        color=NOTE_COLOR,
        va="bottom",
        ha="left",
        gid=_STAMP,
        label="\n".join([*marks, mark]),
    )
    return figure


def _height(lines: str) -> float:
    """Return the inches of the strip that holds these lines."""
    return 0.1 + _LINE * (lines.count("\n") + 1)


def _strip(figure: Figure, inches: float) -> None:
    """Add (or with negative ``inches`` take away) an empty strip below all that is drawn."""
    width, before = (float(side) for side in figure.get_size_inches())
    after = before + inches
    figure.set_size_inches(width, after, forward=False)

    def lift(y: float) -> float:
        return (y * before + inches) / after

    for text in figure.texts:
        if text.get_transform() == figure.transFigure:
            text.set_y(lift(text.get_position()[1]))
    below = figure._supxlabel
    if below is not None:
        # With a position of its own, the layout no longer moves this label to the very bottom.
        x, y = below.get_position()
        figure.supxlabel(below.get_text(), x=x, y=y, fontproperties=below.get_fontproperties())
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        left, bottom, across, up = engine.get()["rect"]
        top = lift(bottom + up)
        engine.set(rect=(left, lift(bottom), across, top - lift(bottom)))
        return
    if isinstance(engine, TightLayoutEngine):
        left, bottom, right, top = engine.get()["rect"]
        engine.set(rect=(left, lift(bottom), right, lift(top)))
    else:
        for axes in figure.axes:
            box = axes.get_position(original=True)
            axes.set_position((box.x0, lift(box.y0), box.width, box.height * before / after))
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, lift(0), 1, 1 - lift(0)), figure.transFigure)


def save(figure: Figure, path: Path, dpi: int = LEAST_DPI) -> Path:
    """Save a figure as PNG; the file appears whole or not at all.

    Args:
        figure: the figure.
        path: a file name that ends in ``.png``; its folder is made when missing.
        dpi: dots an inch; below 150 it is taken as 150, which still prints well.

    Returns:
        ``path``.

    Raises:
        KitError: the name does not end in ``.png``, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise KitError(f"Figures are saved as PNG: {path.name!r} must end in '.png'.")
    beside = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(beside, format="png", dpi=max(dpi, LEAST_DPI))
        beside.replace(path)
    except OSError as error:
        raise KitError(
            f"The figure {path} cannot be saved ({error.strerror or error}); "
            "free some space, or name another runs_dir."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return path
