"""What a sweep consists of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """One run of a sweep.

    Attributes:
        number: its place in the sweep, from 1.
        notebook: the notebook's name without `.ipynb`.
        settings: what the notebook is told; the rest is at its default.
        label: what tells it from the others of its sweep: "backbone=resnet50 dropout=0.3".
        key: 12 hexadecimal digits for notebook, settings and the folder of pictures.
    """

    number: int
    notebook: str
    settings: dict[str, Any]
    label: str
    key: str


@dataclass(frozen=True)
class Plan:
    """A sweep's name, which is also that of its folder, and its tasks."""

    name: str
    tasks: tuple[Task, ...]
