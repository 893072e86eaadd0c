"""Time taken by the same work on different devices."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from xray_helpers.errors import KitError
from xray_helpers.plotting.style import (
    BAR_LOOKS,
    NOTE_COLOR,
    figure,
    legend_height,
    legend_row,
    require_columns,
    wrap,
)

_LOG_SPREAD = 30.0


def timing_bars(
    table: pd.DataFrame, unit: str = "seconds an epoch", title: str | None = None
) -> Figure:
    """Show how long each work took on each device, as horizontal bars with the number at the end.

    The axis is logarithmic when the times span more than a factor of 30.

    Args:
        table: columns ``work``, ``device`` (text such as ``"CPU · 2 threads · hostA"``) and
            ``seconds`` (float; NaN: not measured). One row a pair of work and device.
        unit: what the numbers are, for the axis label.
        title: what the figure shows; by default built from the unit.

    Raises:
        KitError: a column is missing, the table is empty, a pair comes twice or a time is not
            positive.
    """
    require_columns(table, ["work", "device", "seconds"], "timing_bars")
    if table.empty:
        raise KitError("timing_bars: the table has no row; measure at least one time.")
    doubled = table[table.duplicated(["work", "device"])]
    if len(doubled):
        work, device = doubled.iloc[0][["work", "device"]]
        raise KitError(f"timing_bars: {work!r} on {device!r} comes twice; keep one of the rows.")
    works = list(dict.fromkeys(table["work"]))
    devices = list(dict.fromkeys(table["device"]))
    seconds = table.set_index(["work", "device"])["seconds"].astype(float)
    known = seconds[np.isfinite(seconds)]
    if (known <= 0).any():
        raise KitError("timing_bars: a time is zero or negative; measure it again.")
    log = len(known) > 0 and known.max() / known.min() > _LOG_SPREAD
    title = title or f"Time on {len(devices)} device{'s'[: len(devices) > 1]} ({unit})"

    looks = {device: BAR_LOOKS[place % len(BAR_LOOKS)] for place, device in enumerate(devices)}
    handles = [
        Patch(
            facecolor=looks[device].color,
            edgecolor="black",
            hatch=looks[device].hatch,
            label=wrap(device, 70),
        )
        for device in devices
    ]
    legend = legend_height(devices)
    bars = sum(len(group) for _, group in table.groupby("work", sort=False))
    body = max(1.8, 0.29 * bars + 0.28 * len(works) + 0.7)
    with figure(body + legend, title) as made:
        grid = made.add_gridspec(2, 1, height_ratios=[body, legend])
        axes = made.add_subplot(grid[0])
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlim(10 ** np.floor(np.log10(known.min() * 0.7)), known.max() * 4)
        else:
            axes.set_xlim(0, float(known.max()) * 1.15 if len(known) else 1)
        place, ticks = 0.0, []
        for work in works:
            first = place
            for device in devices:
                if (work, device) not in seconds.index:
                    continue
                value = float(seconds[(work, device)])
                if np.isfinite(value):
                    look = looks[device]
                    drawn = axes.barh(
                        place,
                        value,
                        height=0.86,
                        color=look.color,
                        edgecolor="black",
                        linewidth=0.8,
                        hatch=look.hatch,
                        label=device,
                    )
                    axes.bar_label(drawn, labels=[_seconds(value)], padding=4, fontsize=10)
                else:
                    axes.text(
                        0.01,
                        place,
                        "not measured",
                        transform=axes.get_yaxis_transform(),
                        va="center",
                        color=NOTE_COLOR,
                        fontsize=10,
                    )
                place += 1
            ticks.append((first + place - 1) / 2)
            place += 0.8
        axes.set_yticks(ticks, [wrap(work, 26) for work in works])
        axes.set_ylim(place - 0.8 - 0.4, -0.6)
        axes.set_xlabel(unit + (" (logarithmic axis)" if log else ""))
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)
        legend_row(made, grid[1], handles)
        return made


def _seconds(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"
