"""Checks of where the files come from and of what kind they are, class by class."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xray_helpers.data.checks.seen import Finding, Seen, listed, place

STANDS_OUT = 0.1  # share of a class's files that are of another kind than the classes' median


def sources(seen: Seen) -> Iterator[Finding]:
    """Classes that share no source with any other: what tells the sources apart tells them."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        of_class = table.groupby("label", sort=False)["source"].agg(set)
        alone = [
            label
            for label, own in of_class.items()
            if len(of_class) > 1 and own.isdisjoint(set().union(*of_class.drop(index=label)))
        ]
        if not alone:
            continue
        what = f"{listed(alone)} come from different collections"
        if len(alone) < len(of_class):
            what = f"{listed(alone)}: from other collections than the rest"
        where = "; ".join(f"{label}: {', '.join(sorted(own))}" for label, own in of_class.items())
        message = (
            f"{place(folder)}: {what} ({where}), so whatever tells the collections apart, such "
            "as the patients' age or the machine, tells the classes apart."
        )
        yield Finding("source_by_class", "warning", message, [])


def file_modes(seen: Seen) -> Iterator[Finding]:
    """Classes whose files are of another kind than the others': a shortcut for a model."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        kinds = table["format"] + " " + table["mode"]
        counts = pd.crosstab(table["label"], kinds)
        shares = counts.div(counts.sum(axis=1), axis=0)
        distance = (shares - shares.median()).abs().sum(axis=1) / 2
        odd = [label for label in counts.index if distance[label] > STANDS_OUT]
        if not odd or len(counts) < 2:
            continue
        every = "; ".join(
            f"{label} "
            + ", ".join(f"{n} {kind}" for kind, n in row.sort_values(ascending=False).items() if n)
            for label, row in counts.iterrows()
        )
        message = (
            f"{place(folder)}: the kind of file gives {listed(odd)} away, without a look at the "
            f"lungs: {every}."
        )
        yield Finding("file_mode_by_class", "warning", message, [])


def sizes(seen: Seen) -> Iterator[Finding]:
    """Median and range of the pictures' sizes by class."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        every = "; ".join(
            f"{label} {g['width'].median():.0f}×{g['height'].median():.0f} "
            f"({g['width'].min():.0f}–{g['width'].max():.0f} × "
            f"{g['height'].min():.0f}–{g['height'].max():.0f})"
            for label, g in table.groupby("label")
        )
        message = f"{place(folder)}: median width × height in pixels (smallest–largest): {every}."
        yield Finding("picture_size_by_class", "note", message, [])


def borders(seen: Seen) -> Iterator[Finding]:
    """How much of the pictures is empty border, and how bright their rim is, by class."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        every = []
        for label, group in table.groupby("label"):
            measured = [seen.measured[sha] for sha in group["sha256"]]
            flat = np.array([m.flat for m in measured])
            rim = np.median([m.rim for m in measured])
            every.append(
                f"{label} in {(flat > 0).mean():.0%} of the pictures (on average "
                f"{flat.mean():.1%} of the picture), brightness {rim:.0f}"
            )
        message = (
            f"{place(folder)}: borders of one brightness, and median brightness of the outermost "
            f"strip (0 black, 255 white): {'; '.join(every)}."
        )
        yield Finding("border_by_class", "note", message, [])
