"""Folder of pictures -> table: one row a picture."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from xray_helpers.data.layout import (
    SPLITS,
    class_folders,
    data_root,
    files_below,
    found,
    split_folders,
    subfolders,
    task_folders,
)
from xray_helpers.data.own_files import with_own_facts
from xray_helpers.data.patients import patient_of, source_of
from xray_helpers.errors import KitError

TASK_CLASSES: dict[str, tuple[str, ...]] = {
    "task1": ("normal", "covid"),
    "task2": ("covid", "normal", "pneumonia_bac", "pneumonia_vir"),
}
COLUMNS = ("path", "label", "split", "patient", "source")

_FOLDERS = {"task1": ("two", "all", "."), "task2": ("all", "."), "two_stage": ("all", ".")}


def read_table(root: Path, task: str) -> pd.DataFrame:
    """The pictures of a task, a row each, in an order that is the same on every file system.

    Task 1 is read from `two/`, or else from the two classes in `all/`; task 2 from `all/`; either
    from `root` itself where that holds train/ and test/. A `val/` or `validation/` that holds
    pictures becomes the validation split; without one the table has none (see
    `splits.add_validation`). Class folders of other tasks are passed over, and pictures in
    subfolders of a class folder belong to the class. A `patients.csv` in `root` (columns file,
    patient) overrules what file names say, and so does a `sources.csv` (columns file, source).

    Returns:
        Columns path (absolute, text), label, split ("train", "validation", "test"), patient,
        source ("covid-chestxray-dataset", "kermany", "generated", "other", or what sources.csv
        says); sorted by split, class and path in the class folder.

    Raises:
        KitError: an unknown task, a missing folder, a missing or empty class, a bad patients.csv or
            sources.csv.
    """
    if task not in TASK_CLASSES:
        raise KitError(f"There is no task {task!r}; it is one of {', '.join(TASK_CLASSES)}.")
    root = data_root(root)
    folder = task_folder(root, task)
    table = rows(folder, TASK_CLASSES[task])
    _check_classes(table, folder, TASK_CLASSES[task])
    return with_own_facts(table, root)


def rows(folder: Path, classes: Sequence[str]) -> pd.DataFrame:
    """The table of a folder that holds train/ and test/, for these classes, unchecked.

    Columns as in `read_table`, without what a patients.csv or a sources.csv says.
    """
    records = []
    for split, split_paths in split_folders(folder).items():
        for label in classes:
            for split_path in split_paths:
                for class_path in class_folders(split_path).get(label, []):
                    for path in files_below(class_path)[0]:
                        patient, source = patient_of(path, split), source_of(path)
                        records.append((str(path), label, split, patient, source))
    return pd.DataFrame(records, columns=list(COLUMNS), dtype="str")


def task_folder(root: Path, task: str) -> Path:
    """The folder that holds the task's train/ and test/.

    Raises:
        KitError: there is none in `root`.
    """
    folders = task_folders(root)
    for name in _FOLDERS[task]:
        if name in folders:
            return folders[name]
    wanted = " or ".join(f"{name}/" for name in _FOLDERS[task][:-1])
    nested = next((p for p in subfolders(root) if task_folders(p)), None)
    todo = f"give {nested} instead" if nested else "give the folder that holds them"
    raise KitError(
        f"{root} holds no {wanted} and no train/ and test/ of its own ({found(root)}); {todo}."
    )


def _check_classes(table: pd.DataFrame, folder: Path, classes: Sequence[str]) -> None:
    """Stop where a split or a class is missing or empty."""
    splits = split_folders(folder)
    for split in SPLITS:
        if split == "validation" and not (table["split"] == split).any():
            continue
        if split not in splits:
            raise KitError(f"{folder} has no {split}/ folder ({found(folder)}); add it.")
        for label in classes:
            if ((table["split"] == split) & (table["label"] == label)).any():
                continue
            where = splits[split][0]
            there = [p for path in splits[split] for p in class_folders(path).get(label, [])]
            if there:
                raise KitError(
                    f"The class folder {there[0]} holds no pictures; put the {label} pictures "
                    "there (JPEG, PNG, TIFF …)."
                )
            raise KitError(
                f"{where} has no folder for the class {label} ({found(where)}); "
                f"add {where / label} with its pictures."
            )
