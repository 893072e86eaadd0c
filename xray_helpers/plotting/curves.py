"""Accuracy, loss and more over the epochs, of one run and of several side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    NOTE_COLOR,
    SPLIT_LOOKS,
    figure,
    legend_height,
    legend_row,
    require_columns,
    wrap,
)

_SPLITS = {"train": "", "validation": "val_"}
_LOG_SPREAD = 30.0
_UNITS = {
    "accuracy": "accuracy (share of pictures)",
    "loss": "loss (no unit)",
    "precision": "precision (share)",
    "recall": "recall (share)",
}


def learning_curves(
    history: pd.DataFrame, best_epoch: int | None = None, title: str | None = None
) -> Figure:
    """Show accuracy and loss after each epoch, in training (solid) and validation (dashed).

    Precision and recall of the positive class get panels of their own where the table has them.

    Args:
        history: one row an epoch; columns ``epoch`` (from 1), ``loss``, ``accuracy``, perhaps
            ``precision``, ``recall`` and, when there was validation, each of them with ``val_``
            before it. NaN leaves a gap; a curve that is missing or all NaN is not drawn.
        best_epoch: the epoch to mark, counted from 1.
        title: what the figure shows; by default the quantities and the number of epochs.

    Raises:
        KitError: the table has no ``epoch`` column or no row.
    """
    _require_history(history, "learning_curves")
    more = [q for q in ("precision", "recall") if {q, f"val_{q}"} & set(history.columns)]
    quantities = ["accuracy", "loss", *more]
    if title is None:
        epochs = len(history)
        named = ", ".join(quantities[:-1]) + f" and {quantities[-1]}"
        title = f"{named.capitalize()} by epoch ({epochs} epoch{'s'[: epochs > 1]})"
    handles = _handles([history])
    if best_epoch is not None:
        handles.append(_best_line(f"best epoch: {best_epoch}"))
    rows = -(-len(quantities) // 2)
    panel = 3.4 if rows == 1 else 2.9
    legend = legend_height([str(handle.get_label()) for handle in handles])
    with figure(rows * panel + legend, title) as made:
        grid = made.add_gridspec(rows + 1, 2, height_ratios=[panel] * rows + [legend])
        for place, quantity in enumerate(quantities):
            axes = made.add_subplot(grid[place // 2, place % 2])
            _draw(axes, history, quantity, best_epoch)
            axes.set_title(quantity.capitalize(), loc="left")
            axes.set_xlabel("epoch")
            axes.set_ylabel(_unit(quantity))
            _limit(axes, [history], quantity)
        legend_row(made, grid[rows, :], handles)
        return made


def compare_curves(
    histories: Mapping[str, pd.DataFrame],
    best_epochs: Mapping[str, int] | None = None,
    title: str | None = None,
) -> Figure:
    """Show several runs side by side: a column a run, accuracy above loss, all on the same axes.

    After three runs a new row begins. The loss axis is logarithmic when the losses span more than
    a factor of 30.

    Args:
        histories: a run's name -> its history, as for ``learning_curves``.
        best_epochs: a run's name -> the epoch to mark in it.
        title: what the figure shows; by default the number of runs.

    Raises:
        KitError: no run, or a history without ``epoch`` column or rows.
    """
    if not histories:
        raise KitError("compare_curves: there is no run to show; give at least one.")
    for name, history in histories.items():
        _require_history(history, f"compare_curves: run {name!r}")
    best_epochs = best_epochs or {}
    if title is None:
        title = (
            f"Accuracy and loss of {len(histories)} runs"
            if len(histories) > 1
            else ("Accuracy and loss of one run")
        )
    every = list(histories.values())
    handles = _handles(every)
    if best_epochs:
        handles.append(_best_line("best epoch"))
    columns = min(3, max(2, len(histories)))
    bands = -(-len(histories) // columns)
    names = [wrap(name, 96 // columns) for name in histories]
    name_lines = [
        max(name.count("\n") for name in names[band * columns : (band + 1) * columns])
        for band in range(bands)
    ]
    panel = 2.2 if bands == 1 else 1.3
    legend = legend_height([str(handle.get_label()) for handle in handles])
    ratios = [panel] * (2 * bands) + [legend]
    height = sum(ratios) + 0.2 * sum(name_lines) + 0.3 * bands
    with figure(height, title) as made:
        grid = made.add_gridspec(2 * bands + 1, columns, height_ratios=ratios)
        shared: dict[str, Axes] = {}
        for place, (name, history) in enumerate(histories.items()):
            band, column = divmod(place, columns)
            upper: Axes | None = None
            for below, quantity in enumerate(("accuracy", "loss")):
                axes = made.add_subplot(
                    grid[2 * band + below, column], sharey=shared.get(quantity), sharex=upper
                )
                _draw(axes, history, quantity, best_epochs.get(name))
                axes.tick_params(labelleft=column == 0, labelbottom=bool(below))
                if column == 0:
                    axes.set_ylabel(
                        "accuracy (share)" if quantity == "accuracy" else _unit(quantity),
                        fontsize=11 if bands == 1 else 9.5,
                    )
                if quantity not in shared:
                    shared[quantity] = axes
                    _limit(axes, every, quantity)
                if below:
                    axes.set_xlabel("epoch")
                else:
                    axes.set_title(names[place], fontsize=10, loc="left")
                upper = axes
        legend_row(made, grid[-1, :], handles)
        return made


def _require_history(history: pd.DataFrame, where: str) -> None:
    require_columns(history, ["epoch"], where)
    if history.empty:
        raise KitError(f"{where}: the history has no epoch; train for at least one.")


def _values(history: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as float64 with NaN wherever it is missing or not finite."""
    if column not in history.columns:
        return np.full(len(history), np.nan)
    values = pd.to_numeric(history[column], errors="coerce").to_numpy(dtype=float, copy=True)
    values[~np.isfinite(values)] = np.nan
    return values


def _draw(axes: Axes, history: pd.DataFrame, quantity: str, best_epoch: int | None) -> None:
    epochs = history["epoch"].to_numpy(dtype=float)
    drawn = False
    for split, prefix in _SPLITS.items():
        values = _values(history, prefix + quantity)
        known = np.flatnonzero(np.isfinite(values))
        if not known.size:
            continue
        drawn = True
        look = SPLIT_LOOKS[split]
        axes.plot(
            epochs,
            values,
            color=look.color,
            linestyle=look.line,
            linewidth=2,
            marker=look.marker,
            markersize=6 if len(epochs) <= 3 else 4.5,
            markevery=_marked(known),
            label=split,
            clip_on=False,
            zorder=3,
        )
    if not drawn:
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=NOTE_COLOR)
    if best_epoch is not None:
        axes.axvline(best_epoch, color="black", linestyle=(0, (1, 2)), linewidth=1.5, zorder=2)
    first, last = float(epochs.min()), float(epochs.max())
    margin = 0.5 if last - first < 2 else 0.02 * (last - first)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    axes.grid(True)


def _marked(known: np.ndarray) -> list[int]:
    """Return the places that get a marker: about eight, and each that no line reaches."""
    gaps = np.diff(np.concatenate([[-2], known, [known[-1] + 2]])) > 1
    alone = known[gaps[:-1] & gaps[1:]]
    return sorted({*known[:: max(1, known.size // 8)].tolist(), *alone.tolist()})


def _limit(axes: Axes, histories: Sequence[pd.DataFrame], quantity: str) -> None:
    """Shares always run from 0 to 1; loss from 0, or on a logarithmic axis."""
    if quantity != "loss":
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
        return
    found = np.concatenate([_values(h, p + quantity) for h in histories for p in _SPLITS.values()])
    found = found[np.isfinite(found)]
    if not found.size:
        return
    low, high = float(found.min()), float(found.max())
    if low > 0 and high / low > _LOG_SPREAD:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylim(low / 1.3, high * 1.3)
    else:
        axes.set_ylim(min(0.0, low), high * 1.06 if high > 0 else 1)


def _unit(quantity: str) -> str:
    return _UNITS[quantity]


def _handles(histories: Sequence[pd.DataFrame]) -> list[Line2D]:
    """Return legend entries of the splits that at least one history has."""
    names = {"train": "training", "validation": "validation"}
    return [
        Line2D(
            [],
            [],
            color=SPLIT_LOOKS[split].color,
            linestyle=SPLIT_LOOKS[split].line,
            marker=SPLIT_LOOKS[split].marker,
            linewidth=2,
            label=names[split],
        )
        for split, prefix in _SPLITS.items()
        if any(
            np.isfinite(_values(history, prefix + quantity)).any()
            for history in histories
            for quantity in ("accuracy", "loss")
        )
    ]


def _best_line(label: str) -> Line2D:
    return Line2D([], [], color="black", linestyle=(0, (1, 2)), linewidth=1.5, label=label)
