"""The data of a run: table, pictures and where they come from."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from xray_helpers.data.class_zip import is_class_data
from xray_helpers.data.generate import is_generated, write_demo
from xray_helpers.data.on_disk import belong_on_disk, read_to_disk
from xray_helpers.data.pictures import Unreadable, in_threads, read_pictures
from xray_helpers.data.splits import add_validation, drop_leaks
from xray_helpers.data.table import TASK_CLASSES, read_table
from xray_helpers.data.three import TASK as TWO_STAGE
from xray_helpers.data.three import read_three
from xray_helpers.errors import KitError
from xray_helpers.file_rows import FileRows
from xray_helpers.paths import cache_folder, resolve

SPLITS = ("train", "validation", "test")
SMOKE_PICTURES = {"per_class": 10, "test_per_class": 4, "size": 128}


@dataclass(frozen=True)
class Source:
    """Where the pictures of a run come from.

    Attributes:
        root: the folder that holds `two/` and `all/`.
        kind: "class" (the class's own pictures), "generated", or "other".
        note: one sentence for the student when the pictures are generated, else "".
    """

    root: Path
    kind: Literal["class", "generated", "other"]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures and what is known of them, row by row.

    Attributes:
        task: "task1", "task2" or "two_stage".
        source: where the pictures come from.
        classes: names of the classes; a label's number is its place here.
        table: columns path, label, split ("train", "validation", "test"), patient, source.
        pictures: uint8 RGB, (n, size, size, 3); row i is picture i of the table. Many of them lie
            in a file and are read row by row, see `on_disk.py`.
        set_aside: files that are no readable pictures; they are not in the table.
        fingerprint: changes when any picture, label or test split changes; not with the seed.
        notes: what the student has to know of them, a sentence each.
    """

    task: str
    source: Source
    classes: tuple[str, ...]
    table: pd.DataFrame
    pictures: np.ndarray | FileRows
    set_aside: list[Unreadable]
    fingerprint: str
    notes: tuple[str, ...] = ()

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of a split, in the table's order, (n,) int64."""
        return np.flatnonzero(self.table["split"] == split)

    def split(self, split: str) -> tuple[np.ndarray | FileRows, np.ndarray]:
        """Pictures, uint8 (n, size, size, 3), and label numbers, int64 (n,), of a split."""
        rows = self.rows(split)
        numbers = {label: i for i, label in enumerate(self.classes)}
        labels = self.table["label"].iloc[rows].map(numbers).to_numpy(np.int64)
        return self.pictures[rows], labels

    @property
    def counts(self) -> pd.DataFrame:
        """Number of pictures: a row a class, a column a split."""
        return (
            pd.crosstab(self.table["label"], self.table["split"])
            .reindex(index=list(self.classes), columns=list(SPLITS), fill_value=0)
            .rename_axis(index="class", columns=None)
        )

    def __repr__(self) -> str:
        """Say in a line what there is."""
        totals = ", ".join(f"{n} {split}" for split, n in self.counts.sum().items())
        aside = f", {len(self.set_aside)} unreadable set aside" if self.set_aside else ""
        return (
            f"<{self.task} on {self.source.kind} pictures in {self.source.root}: {totals}{aside}>"
        )


def find_source(
    data_dir: str = "auto", *, smoke: bool = False, seed: int = 0, task: str | None = None
) -> Source:
    """Decide which folder of pictures a run uses.

    Args:
        data_dir: "auto" is `$XRAY_DATA`, else `data/` when it holds `two/` and `all/`, else
            else `data/class/` (where `xray data get class` puts it), else pictures that are
            generated now; anything else is a folder. In the task "two_stage", `$XRAY_KERMANY`
            comes first, then what is above with `data/kermany/` before the others, and `data/`
            counts where it holds `all/`.
        smoke: always a small generated set.
        seed: seed of pictures that have to be generated.
        task: whose pictures.

    Raises:
        KitError: the folder, or the one that a variable names, does not exist.
    """
    if smoke:
        return generated_source(smoke=True, seed=seed)
    if data_dir != "auto":
        return _existing(resolve(data_dir), f"data_dir='{data_dir}'")
    for variable in ("XRAY_KERMANY", "XRAY_DATA") if task == TWO_STAGE else ("XRAY_DATA",):
        if named := os.environ.get(variable):
            return _existing(resolve(named), f"${variable}='{named}'")
    if folder := usual_folder(task):
        return _existing(folder, str(folder))
    return generated_source(seed=seed)


def usual_folder(task: str | None = None) -> Path | None:
    """The folder below the project's `data/` that a task's pictures are in, or None."""
    wanted = [("data", ("two", "all")), ("data/class", ("two", "all"))]
    if task == TWO_STAGE:
        kermany = ("data/kermany", ("train", "test"))
        wanted = [kermany, ("data", ("all",)), ("data/class", ("all",))]
    for folder, inside in wanted:
        if all((resolve(folder) / name).is_dir() for name in inside):
            return resolve(folder)
    return None


def _existing(root: Path, said: str) -> Source:
    if not root.is_dir():
        raise KitError(
            f"{said}: there is no folder {root}; give the folder that holds two/ and all/ (or "
            "train/ and test/), or 'auto' for the usual places."
        )
    if is_generated(root):
        return Source(root, "generated", _GENERATED_NOTE)
    return Source(root, "class" if is_class_data(root) else "other")


def generated_source(*, smoke: bool = False, seed: int = 0) -> Source:
    """Generated pictures, in the class's number or, for a smoke run, few; drawn where missing."""
    return _generated("smoke", seed, **SMOKE_PICTURES) if smoke else _generated("class", seed)


def _generated(name: str, seed: int, **options: int) -> Source:
    from xray_helpers.data.generate.write import VERSION

    folder = cache_folder() / "generated" / f"{name}-v{VERSION}-seed{seed}"
    return Source(write_demo(folder, seed=seed, **options), "generated", _GENERATED_NOTE)


_GENERATED_NOTE = (
    "Generated pictures: drawn by a program, for trying the notebooks out. "
    "The run is marked and is not a result to report."
)


def load_data(
    task: str,
    source: Source,
    *,
    image_size: int = 224,
    seed: int = 42,
    leaks: Literal["keep", "drop_train"] = "keep",
    enhance: str = "",
    progress: str | None = "Reading pictures",
) -> Dataset:
    """Read the pictures of a task and split off the validation pictures.

    Validation is 20 % of `train/` by patient, stratified and seeded, unless the folder has a
    validation split of its own. Unreadable pictures are set aside before the split. More pictures
    than the memory should hold are decoded into a file of the cache, once.

    Args:
        task: "task1", "task2" or "two_stage".
        source: what `find_source` found.
        image_size: side in pixels of the pictures read.
        seed: seed of the validation split.
        leaks: "drop_train" leaves out training pictures of patients who are in test too.
        enhance: what is done to every picture once, comma-separated, see `enhance.STEPS`; rows,
            splits and fingerprint are the same whatever it is.
        progress: text of the progress bar; None for none.

    Raises:
        KitError: a folder or class is missing or empty; `enhance` names no step; there is no room
            on the disk for pictures that do not belong in the memory.
    """
    if task == TWO_STAGE:
        table, classes, notes = read_three(source.root)
    else:
        table, classes, notes = read_table(source.root, task), TASK_CLASSES[task], []
    paths = list(table["path"])
    table["sha256"] = list(in_threads(_digest, paths, None))
    if belong_on_disk(len(paths), image_size):
        digests = list(table["sha256"])
        pictures, set_aside = read_to_disk(paths, digests, image_size, progress, enhance)
    else:
        pictures, set_aside = read_pictures(paths, image_size, progress, enhance)
    table = table.drop(index=table.index[[u.index for u in set_aside]]).reset_index(drop=True)
    if (table["source"] == "generated").any() and source.kind != "generated":
        source = Source(source.root, "generated", _GENERATED_NOTE)
    _check_not_empty(table, classes, source.root)
    fingerprint = _fingerprint(table, table.pop("sha256"))
    if leaks == "drop_train":
        table = drop_leaks(table.assign(row=range(len(table))))
        pictures = pictures[table.pop("row").to_numpy()]
    table = add_validation(table, seed)
    return Dataset(task, source, classes, table, pictures, set_aside, fingerprint, tuple(notes))


def _check_not_empty(table: pd.DataFrame, classes: tuple[str, ...], root: Path) -> None:
    for split in ("train", "test"):
        for label in classes:
            if not ((table["split"] == split) & (table["label"] == label)).any():
                raise KitError(
                    f"No {label} picture in the {split} folder of {root} can be read; "
                    "put whole pictures there."
                )


def _digest(path: str) -> str:
    """The SHA-256 of a file; "" of one that cannot be read and will be set aside."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _fingerprint(table: pd.DataFrame, digests: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that stand for the pictures, their labels and their splits."""
    lines = sorted(
        f"{split} {label} {sha}"
        for split, label, sha in zip(table["split"], table["label"], digests, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
