"""The checks of `xray data check`: each a function from what was seen of the files to findings.

A finding is an "error" when it would falsify a result, a "warning" when it may mislead, and a
"note" when it is good to know. `CHECKS` lists the checks, in the order of their findings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from xray_helpers.data.layout import SPLITS, class_folders, files_below, found, split_folders
from xray_helpers.data.splits import patients_in_two_splits
from xray_helpers.data.table import TASK_CLASSES

STANDS_OUT = 0.1  # share of a class's files that are of another kind than the classes' median


@dataclass(frozen=True)
class Finding:
    """One thing found: kind, severity ("error", "warning", "note"), a sentence, the paths meant.

    Paths are relative to the data folder, with forward slashes.
    """

    kind: str
    severity: str
    message: str
    paths: list[str]


@dataclass(frozen=True)
class Seen:
    """What the checks look at.

    `table` has a row a picture file: the columns of `read_table` with `path` relative to the data
    folder, and folder ("two", "all", "."), sha256 ("" where unreadable), reason ("" where
    readable), format, mode, width, height (missing where unreadable).
    """

    root: Path
    folders: dict[str, Path]
    table: pd.DataFrame

    @cached_property
    def readable(self) -> pd.DataFrame:
        """The rows of the pictures that can be read."""
        return self.table[self.table["reason"] == ""]

    def relative(self, path: Path) -> str:
        """A path as findings show it."""
        return path.relative_to(self.root).as_posix()

    def classes(self, folder: str) -> tuple[str, ...]:
        """The classes a folder must hold: those of the task that it is for."""
        if folder == ".":
            only_task2 = set(TASK_CLASSES["task2"]) - set(TASK_CLASSES["task1"])
            return TASK_CLASSES["task2" if only_task2 & _labels(self.folders[folder]) else "task1"]
        return TASK_CLASSES["task2" if folder == "all" else "task1"]


def _missing(seen: Seen) -> Iterator[Finding]:
    """Folders and classes that are not there, or hold nothing that can be read."""
    if not seen.folders:
        message = f"Neither two/ and all/ nor train/ and test/ are there ({found(seen.root)})."
        yield Finding("missing_folder", "error", message, [])
    for folder, path in seen.folders.items():
        splits = split_folders(path)
        readable = seen.readable[seen.readable["folder"] == folder]
        for split in SPLITS:
            in_split = readable[readable["split"] == split]
            where = seen.relative(splits[split][0] if split in splits else path / split)
            if split not in splits and split != "validation":
                message = f"{where}/ is missing ({found(path)})."
                yield Finding("missing_folder", "error", message, [where])
            if split not in splits or (split == "validation" and in_split.empty):
                continue
            for label in seen.classes(folder):
                if (in_split["label"] == label).any():
                    continue
                there = any(label in class_folders(p) for p in splits[split])
                kind = "empty_class" if there else "missing_class"
                what = "holds no picture that can be read" if there else "is missing"
                message = f"{where}/{label}/ {what}."
                yield Finding(kind, "error", message, [f"{where}/{label}"])


def _unreadable(seen: Seen) -> Iterator[Finding]:
    """Picture files that are no pictures, by reason."""
    broken = seen.table[seen.table["reason"] != ""]
    for reason, group in broken.groupby("reason"):
        message = f"{_number(len(group), 'file')} cannot be used: {reason}."
        yield Finding("unreadable", "warning", message, list(group["path"]))


def _duplicates(seen: Seen) -> Iterator[Finding]:
    """Identical files within one folder; the copies that two/ has of all/ are the layout."""
    for _, copies in seen.readable.groupby("sha256", sort=False):
        by_folder = [group for _, group in copies.groupby("folder", sort=False) if len(group) > 1]
        if not by_folder:
            continue
        group = pd.concat(by_folder)
        splits = max(by_folder, key=lambda g: g["split"].nunique())["split"].unique()
        labels = max(by_folder, key=lambda g: g["label"].nunique())["label"].unique()
        paths = list(group["path"])
        if len(splits) > 1:
            message = f"The same picture is in {_and(splits)}; keep it in one of them."
            yield Finding("duplicate_in_two_splits", "error", message, paths)
        if len(labels) > 1:
            message = f"The same picture is in the classes {_and(labels)}; keep the right one."
            yield Finding("duplicate_in_two_classes", "error", message, paths)
        if len(splits) == 1 and len(labels) == 1:
            message = f"The same picture is more than once in {splits[0]}; it counts double."
            yield Finding("duplicate", "warning", message, paths)


def _patients(seen: Seen) -> Iterator[Finding]:
    """Patients on both sides of a split, and numbers that only look like it."""
    by_folder = [table for _, table in seen.table.groupby("folder", sort=False)]
    overlaps = pd.concat(map(patients_in_two_splits, [seen.table[:0], *by_folder]))
    for patient, rows_of_folders in overlaps.groupby("patient"):
        splits = set().union(*rows_of_folders["splits"])
        what = "test results partly measure" if "test" in splits else "early stopping sees"
        message = (
            f"Patient {patient} has pictures in {_and(splits)}, so {what} whether the patient is "
            "recognised; leave out one side (the setting leaks='drop_train' leaves out train's)."
        )
        paths = [path for paths in rows_of_folders["paths"] for path in paths]
        yield Finding("patient_in_two_splits", "error", message, paths)

    parts = seen.table["patient"].str.extract(r"^kermany-(train|test)-(.+)$")
    twice = parts.groupby(1)[0].transform("nunique") == 2
    if twice.any():
        message = (
            f"{_number(parts.loc[twice, 1].nunique(), 'number')} of Kermany's file names occur in "
            "train and in test; their numbering restarts, so these are taken for two patients."
        )
        yield Finding("number_in_two_splits", "note", message, list(seen.table.loc[twice, "path"]))


def _file_modes(seen: Seen) -> Iterator[Finding]:
    """Classes whose files are of another kind than the others': a shortcut for a model."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        kinds = table["format"] + " " + table["mode"]
        counts = pd.crosstab(table["label"], kinds)
        shares = counts.div(counts.sum(axis=1), axis=0)
        distance = (shares - shares.median()).abs().sum(axis=1) / 2
        odd = [label for label in counts.index if distance[label] > STANDS_OUT]
        if not odd or len(counts) < 2:
            continue
        listed = "; ".join(
            f"{label} "
            + ", ".join(f"{n} {kind}" for kind, n in row.sort_values(ascending=False).items() if n)
            for label, row in counts.iterrows()
        )
        message = (
            f"{place(folder)}: the kind of file gives {_and(odd)} away, without a look at the "
            f"lungs: {listed}."
        )
        yield Finding("file_mode_by_class", "warning", message, [])


def _balance(seen: Seen) -> Iterator[Finding]:
    """How many pictures the largest class has for one of the smallest."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        for split, of_split in table.groupby("split", sort=False):
            n = of_split["label"].value_counts()
            message = f"{place(folder, split)}: all classes have {n.iloc[0]} pictures."
            if n.iloc[0] > n.iloc[-1]:
                message = (
                    f"{place(folder, split)}: {n.index[0]} is the largest class with {n.iloc[0]} "
                    f"pictures, {n.index[-1]} the smallest with {n.iloc[-1]} "
                    f"(ratio {n.iloc[0] / n.iloc[-1]:.2f})."
                )
            yield Finding("class_balance", "note", message, [])


def _sizes(seen: Seen) -> Iterator[Finding]:
    """Median and range of the pictures' sizes by class."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        listed = "; ".join(
            f"{label} {g['width'].median():.0f}×{g['height'].median():.0f} "
            f"({g['width'].min():.0f}–{g['width'].max():.0f} × "
            f"{g['height'].min():.0f}–{g['height'].max():.0f})"
            for label, g in table.groupby("label")
        )
        message = f"{place(folder)}: median width × height in pixels (smallest–largest): {listed}."
        yield Finding("picture_size_by_class", "note", message, [])


def _ignored(seen: Seen) -> Iterator[Finding]:
    """What lies in the folders and is not taken: other files, folders of no class."""
    files: list[str] = []
    others: list[str] = []
    for folder, path in seen.folders.items():
        taken = set(seen.table.loc[seen.table["folder"] == folder, "path"])
        for split_paths in split_folders(path).values():
            for split_path in split_paths:
                pictures, ignored = files_below(split_path)
                files += [seen.relative(p) for p in ignored]
                others += [p for p in map(seen.relative, pictures) if p not in taken]
    if files:
        names = Counter(Path(path).name for path in files)
        message = (
            f"{_number(len(files), 'file')} not used, being hidden or no picture by name: "
            f"{', '.join(sorted(names)[:6])}{', …' if len(names) > 6 else ''}."
        )
        yield Finding("ignored_file", "note", message, files)
    if others:
        message = f"{_number(len(others), 'picture')} not used, lying in no class folder of a task."
        yield Finding("ignored_picture", "note", message, others)


CHECKS = (
    _missing,
    _patients,
    _duplicates,
    _unreadable,
    _file_modes,
    _balance,
    _sizes,
    _ignored,
)


def place(folder: str, *inside: str) -> str:
    """A folder as messages name it: "all/train", or "train" where the data folder holds it."""
    return "/".join(part for part in (folder, *inside) if part != ".") or "The data folder"


def _and(words: Iterable[str]) -> str:
    """Words as a list in a sentence: "train, validation and test"."""
    words = sorted(words, key=lambda word: (SPLITS.index(word) if word in SPLITS else 0, word))
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _number(n: int, noun: str) -> str:
    """A number with its noun: "1 file", "2 files"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _labels(folder: Path) -> set[str]:
    """The names of all class folders in a folder's splits, in lower case."""
    splits = split_folders(folder).values()
    return {label for paths in splits for path in paths for label in class_folders(path)}
