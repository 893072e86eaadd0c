"""Checks for the same picture twice: identical files, and copies that were saved again or cut.

The copies that two/ has of all/ are the layout: pictures are compared within one folder.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from xray_helpers.data.checks.seen import Finding, Seen, listed
from xray_helpers.data.near_copies import close_pairs, same_picture
from xray_helpers.data.pictures import UnreadablePicture, in_threads


def identical_files(seen: Seen) -> Iterator[Finding]:
    """Files with the same bytes within one folder."""
    groups = [group for _, group in seen.readable.groupby("sha256", sort=False)]
    yield from _findings(groups, "duplicate", "")


def near_copies(seen: Seen) -> Iterator[Finding]:
    """Pictures that were saved again, resized or cut a little, within one folder."""
    first = seen.readable.drop_duplicates("sha256").reset_index(drop=True)
    if len(first) < 2:
        return
    hashes = np.stack([seen.measured[sha].hash for sha in first["sha256"]])
    # Pictures of two folders are not compared: a copy in two/ of one in all/ is no second one.
    shared = _folders_of(seen)
    pairs = [
        (i, j)
        for i, j in close_pairs(hashes)
        if shared[first.at[i, "sha256"]] & shared[first.at[j, "sha256"]]
    ]

    def same(pair: tuple[int, int]) -> bool:
        try:
            one, other = (first.loc[i] for i in pair)
            return same_picture(
                seen.root / one["path"],
                seen.root / other["path"],
                one_patient=one["patient"] == other["patient"],
            )
        except UnreadablePicture:
            return False

    looked = zip(pairs, in_threads(same, pairs, None), strict=True)
    copies = [pair for pair, is_same in looked if is_same]
    if not copies:
        return
    ones, others = np.array(copies).T
    n = len(first)
    graph = coo_array((np.ones(len(ones)), (ones, others)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    numbers = dict(zip(first["sha256"], component, strict=True))
    sizes = np.bincount(component)
    table = seen.readable.assign(component=seen.readable["sha256"].map(numbers))
    table = table[sizes[table["component"]] > 1]
    # Identical files have their own finding: one of each is enough here.
    table = table.drop_duplicates(["folder", "split", "label", "sha256"])
    groups = [
        group.groupby("folder", sort=False).filter(lambda g: g["sha256"].nunique() > 1)
        for _, group in table.groupby("component", sort=False)
    ]
    yield from _findings(groups, "near_duplicate", ", saved again, resized or cut a little,")


def _folders_of(seen: Seen) -> dict[str, set[str]]:
    """sha256 -> the folders that hold a picture."""
    return seen.readable.groupby("sha256")["folder"].agg(set).to_dict()


def _findings(groups: list[pd.DataFrame], kind: str, how: str) -> Iterator[Finding]:
    """A finding for each picture in two splits or classes, one for all that are twice in a split.

    Args:
        groups: for each picture the rows that show it.
        kind: of the findings.
        how: what was done to the picture, as a clause, or nothing.
    """
    twice: dict[str, list[pd.DataFrame]] = {}
    for rows in groups:
        by_folder = [group for _, group in rows.groupby("folder", sort=False) if len(group) > 1]
        if not by_folder:
            continue
        group = pd.concat(by_folder)
        splits = max(by_folder, key=lambda g: g["split"].nunique())["split"].unique()
        labels = max(by_folder, key=lambda g: g["label"].nunique())["label"].unique()
        paths = list(group["path"])
        if len(splits) > 1:
            message = f"The same picture{how} is in {listed(splits)}; keep it in one of them."
            yield Finding(f"{kind}_in_two_splits", "error", message, paths)
        if len(labels) > 1:
            message = (
                f"The same picture{how} is in the classes {listed(labels)}; keep the right one."
            )
            yield Finding(f"{kind}_in_two_classes", "error", message, paths)
        if len(splits) == 1 and len(labels) == 1:
            twice.setdefault(splits[0], []).append(group)
    for split, found in twice.items():
        message = f"The same picture{how} is more than once in {split}; it counts double."
        if len(found) > 1:
            message = (
                f"{len(found)} pictures{how} are more than once in {split}; they count double."
            )
        paths = [path for group in found for path in group["path"]]
        yield Finding(kind, "warning", message, paths)
