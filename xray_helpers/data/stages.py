"""The two stages' own view of the three-class data, on the same pictures."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xray_helpers.data.dataset import Dataset

INFECTED = "infected"
_LEFT_OUT = ""  # the split of pictures that a stage has no use for


def first_stage(data: Dataset) -> Dataset:
    """All pictures, as healthy or infected; infected is the positive class.

    Args:
        data: of the task "two_stage", with the classes (healthy, other, target).
    """
    healthy = data.classes[0]
    labels = data.table["label"].where(data.table["label"] == healthy, INFECTED)
    return replace(data, classes=(healthy, INFECTED), table=data.table.assign(label=labels))


def second_stage(data: Dataset) -> Dataset:
    """The infected pictures, as other or target; target is the positive class.

    Healthy pictures stay in the array, which the stages share, but in no split: a copy of
    Kermany's infected pictures would take 290 MB.

    Args:
        data: of the task "two_stage", with the classes (healthy, other, target).
    """
    infected = data.table["label"] != data.classes[0]
    splits = data.table["split"].where(infected, _LEFT_OUT)
    return replace(data, classes=data.classes[1:], table=data.table.assign(split=splits))


def some_pictures(data: Dataset, numbers: Mapping[str, int], seed: int) -> Dataset:
    """A few pictures of some splits, drawn by chance, in the classes' shares; no copy.

    The others stay in the array, in no split. Splits are by patient already, so that fewer
    pictures put no patient on both sides.

    Args:
        data: the pictures.
        numbers: split -> pictures to keep; splits that are not named stay whole.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    splits = data.table["split"].to_numpy(object, copy=True)
    for split, wanted in numbers.items():
        rows = data.rows(split)
        labels = data.table["label"].to_numpy()[rows]
        share = min(1.0, wanted / max(1, len(rows)))
        for label in data.classes:
            of_class = rng.permutation(rows[labels == label])
            splits[of_class[max(1, round(share * len(of_class))) :]] = _LEFT_OUT
    return replace(data, table=data.table.assign(split=splits))
