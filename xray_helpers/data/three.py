"""Folder of pictures -> table for two classifiers in a row: healthy, other pneumonia, target.

The first classifier tells healthy lungs from infected ones, the second the target (covid, or viral
pneumonia where there is no covid) from any other pneumonia. These layouts are read, from `root`
or from its `all/`, each behind train/ and test/ (and perhaps val/):

- Kermany's: `NORMAL/` and `PNEUMONIA/`, where a file's name says bacteria or virus;
- `normal/` and `infected/`, with the folders `covid/` and `non-covid/` in it;
- a folder a class, such as `normal/`, `bacteria/`, `virus/`, or the class data's four.

What a picture is, the innermost folder says whose name is known; in PNEUMONIA/ and infected/
themselves, the file's name.
"""

import re
from pathlib import Path

import pandas as pd

from xray_helpers.data.layout import SPLITS, data_root, files_below, found, split_folders
from xray_helpers.data.own_files import with_own_facts
from xray_helpers.data.patients import patient_of, source_of
from xray_helpers.data.table import COLUMNS, task_folder
from xray_helpers.errors import KitError

TASK = "two_stage"
HEALTHY = "normal"
OTHER = "pneumonia_other"
FEWEST_VALIDATION = 30
"""Pictures of each class that a val/ must hold to choose the best epoch by; Kermany's has 8."""

# Pictures of normal, bacterial and viral: of Kermany et al. 2018 (without its val/ of 8 normal and
# 8 bacterial), and of report E, which calls them normal, infected non-covid and infected covid.
KERMANY_COUNTS = {"train": (1341, 2530, 1345), "test": (234, 242, 148)}
REPORT_E_COUNTS = {"train": (1341, 2530, 1345), "validation": (8, 8, 9), "test": (234, 242, 139)}

_INFECTED = "infected"  # some pneumonia, of which the folder does not say which
_BY_FOLDER = {
    "normal": HEALTHY,
    "healthy": HEALTHY,
    "covid": "covid",
    "covid-19": "covid",
    "covid19": "covid",
    "non-covid": OTHER,
    "noncovid": OTHER,
    "pneumonia-other": OTHER,
    "pneumonia-bac": "pneumonia_bac",
    "bacteria": "pneumonia_bac",
    "bacterial": "pneumonia_bac",
    "pneumonia-vir": "pneumonia_vir",
    "virus": "pneumonia_vir",
    "viral": "pneumonia_vir",
    "pneumonia": _INFECTED,
    "infected": _INFECTED,
}
KINDS = (HEALTHY, "pneumonia_bac", "pneumonia_vir", "covid", OTHER, _INFECTED)
"""What `rows_by_kind` calls a picture, in the order in which classes are listed."""
_BY_NAME = {"bacteria": "pneumonia_bac", "virus": "pneumonia_vir"}
# person1_virus_6 and, in the set's later edition, VIRUS-9815549-0001.
_KERMANY = re.compile(r"(?:person\d+_)?(bacteria|virus)(?:[_-]\d+)+", re.IGNORECASE)
_WANTED = (
    "put the pictures into normal/ and PNEUMONIA/ (with Kermany's file names), into normal/ and "
    "infected/ with covid/ and non-covid/, or into normal/, bacteria/ and virus/"
)


def read_three(root: Path) -> tuple[pd.DataFrame, tuple[str, str, str], list[str]]:
    """The pictures of the two-stage task, a row each, in an order that never changes.

    A `val/` with fewer than `FEWEST_VALIDATION` pictures of a class is too small to choose the
    best epoch by: its pictures go back to train. A `patients.csv` and a
    `sources.csv` in `root` overrule file names.

    Returns:
        The table, as `read_table` gives it; the classes (healthy, other, target); what the
        student has to know of them, a sentence each.

    Raises:
        KitError: a missing folder, a missing class, or infected pictures of an unknown kind.
    """
    root = data_root(root)
    folder = task_folder(root, TASK)
    table = rows_by_kind(folder)
    table, notes = _named_by_their_files(table)
    table, classes = _three_classes(table, folder)
    _check_classes(table, classes, folder)
    table, more = with_small_validation_in_train(table)
    order = [*SPLITS, *classes]
    table = table.sort_values(
        ["split", "label"], key=lambda column: column.map(order.index), kind="stable"
    ).reset_index(drop=True)
    return with_own_facts(table, root), classes, notes + more


def rows_by_kind(folder: Path) -> pd.DataFrame:
    """Every picture below the split folders whose kind is known, `label` being its kind."""
    records = []
    for split, split_paths in split_folders(folder).items():
        for split_path in split_paths:
            for path in files_below(split_path)[0]:
                if kind := _kind(path, split_path):
                    patient, source = patient_of(path, split), source_of(path)
                    records.append((str(path), kind, split, patient, source))
    return pd.DataFrame(records, columns=list(COLUMNS), dtype="str")


def _kind(path: Path, split_path: Path) -> str | None:
    """What a picture is; None where no folder's name says so."""
    folders = path.relative_to(split_path).parts[:-1]
    for name in reversed(folders):
        kind = _BY_FOLDER.get(re.sub(r"[ _]+", "-", name.lower()))
        if kind == _INFECTED:
            return _kind_by_name(path) or _INFECTED
        if kind:
            return kind
    return None


def _kind_by_name(path: Path | str) -> str | None:
    match = _KERMANY.fullmatch(Path(path).stem)
    return _BY_NAME[match[1].lower()] if match else None


def _named_by_their_files(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Classes by what their pictures are, where all file names agree on another name.

    A folder called covid whose pictures all bear the names of Kermany's viral pneumonia holds
    viral pneumonia.
    """
    table, notes = table.copy(), []
    for label in ("covid", OTHER):
        members = table["label"] == label
        kinds = {_kind_by_name(path) for path in table.loc[members, "path"]}
        if len(kinds) == 1 and (kind := kinds.pop()):
            table.loc[members, "label"] = kind
            word = {"pneumonia_bac": "bacteria", "pneumonia_vir": "virus"}[kind]
            notes.append(
                f"All {members.sum()} pictures in the folders for {label} have the file names of "
                f"Kermany's set ({word}, as in person1_{word}_6): the class is called {kind} here."
            )
    return table, notes


def _three_classes(table: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, tuple[str, str, str]]:
    """Healthy, all other pneumonia under one name, and the target."""
    kinds = set(table["label"]) - {HEALTHY}
    target = next((kind for kind in ("covid", "pneumonia_vir") if kind in kinds), None)
    others = kinds - {target}
    if _INFECTED in others and target != "covid":
        unknown = table.loc[table["label"] == _INFECTED, "path"].iloc[0]
        raise KitError(
            f"{unknown} is some pneumonia, but its name does not say bacteria or virus (as "
            f"person1_virus_6.jpeg does); sort the pictures into bacteria/ and virus/."
        )
    if target is None or not others:
        there = ", ".join(sorted(set(table["label"]))) or "no class"
        raise KitError(
            f"{folder} holds {there} and not three classes ({found(folder)}); {_WANTED}."
        )
    other = others.pop() if len(others) == 1 else OTHER
    other = OTHER if other == _INFECTED else other
    names = {HEALTHY: HEALTHY, target: target}
    labels = table["label"].map(lambda kind: names.get(kind, other))
    return table.assign(label=labels), (HEALTHY, other, target)


def _check_classes(table: pd.DataFrame, classes: tuple[str, ...], folder: Path) -> None:
    """Stop where train or test is missing or lacks a class."""
    splits = split_folders(folder)
    for split in ("train", "test"):
        if split not in splits:
            raise KitError(f"{folder} has no {split}/ folder ({found(folder)}); add it.")
        for label in classes:
            if not ((table["split"] == split) & (table["label"] == label)).any():
                where = splits[split][0]
                raise KitError(f"{where} has no picture of {label} ({found(where)}); {_WANTED}.")


def with_small_validation_in_train(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with the pictures of a small val/ in train, and a sentence that says so."""
    small = table["split"] == "validation"
    counts = table[small].groupby("label").size().reindex(table["label"].unique(), fill_value=0)
    if not small.any() or counts.min() >= FEWEST_VALIDATION:
        return table, []
    note = (
        f"The folder for validation holds {small.sum()} pictures, too few to choose the best "
        "epoch by: they are trained on, and a fifth of the training pictures is set apart instead."
    )
    return table.assign(split=table["split"].mask(small, "train")), [note]


def counts_beside() -> pd.DataFrame:
    """Report E's numbers of pictures beside Kermany's: a row a class, a column a set and split."""
    table = {"report": ["normal", "infected non-covid", "infected covid"], **REPORT_E_COUNTS}
    table |= {"Kermany": ["normal", "bacterial", "viral"]}
    table |= {f"its {split}": counts for split, counts in KERMANY_COUNTS.items()}
    return pd.DataFrame(table)
