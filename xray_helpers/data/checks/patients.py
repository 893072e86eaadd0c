"""Checks of who the pictures show."""

from collections.abc import Iterator

import pandas as pd

from xray_helpers.data.checks.seen import Finding, Seen, listed, number, place
from xray_helpers.data.splits import patients_in_two_splits


def patients_in_two(seen: Seen) -> Iterator[Finding]:
    """Patients on both sides of a split, with the number of test pictures that this concerns."""
    by_folder = [table for _, table in seen.table.groupby("folder", sort=False)]
    overlaps = pd.concat(map(patients_in_two_splits, [seen.table[:0], *by_folder]))
    for patient, rows_of_folders in overlaps.groupby("patient"):
        splits = set().union(*rows_of_folders["splits"])
        what = "early stopping sees whether the patient is recognised"
        if "test" in splits:
            what = (
                f"{_concerned(seen, str(patient))} measure whether the patient is recognised and "
                "not the disease"
            )
        message = (
            f"Patient {patient} has pictures in {listed(splits)}, so {what}; leave out one side "
            "(the setting leaks='drop_train' leaves out train's)."
        )
        paths = [path for paths in rows_of_folders["paths"] for path in paths]
        yield Finding("patient_in_two_splits", "error", message, paths)


def _concerned(seen: Seen, patient: str) -> str:
    """How many of a folder's test pictures show a patient who is also in another split."""
    parts = []
    for folder, table in seen.table.groupby("folder", sort=False):
        test = table[table["split"] == "test"]
        of_patient = table[table["patient"] == patient]
        if of_patient["split"].nunique() > 1 and (of_patient["split"] == "test").any():
            n = (test["patient"] == patient).sum()
            where = "" if folder == "." else f" of {folder}/"
            parts.append(f"{n} of the {number(len(test), 'test picture')}{where}")
    return " and ".join(parts)


def patients_of_classes(seen: Seen) -> Iterator[Finding]:
    """How many patients the pictures of each class show."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        for split, of_split in table.groupby("split", sort=False):
            n = of_split.groupby("label", sort=False)["patient"].agg(["size", "nunique"])
            classes = "; ".join(
                f"{label} {row['size']} of {number(row['nunique'], 'patient')}"
                for label, row in n.iterrows()
            )
            message = f"{place(folder, split)}: pictures and patients by file name: {classes}."
            yield Finding("patients_by_class", "note", message, [])


def kermany_numbers(seen: Seen) -> Iterator[Finding]:
    """Numbers that only look like one patient in train and test."""
    parts = seen.table["patient"].str.extract(r"^kermany-(train|test)-(.+)$")
    twice = parts.groupby(1)[0].transform("nunique") == 2
    if twice.any():
        message = (
            f"{number(parts.loc[twice, 1].nunique(), 'number')} of Kermany's file names occur in "
            "train and in test; their numbering restarts, so these are taken for two patients."
        )
        yield Finding("number_in_two_splits", "note", message, list(seen.table.loc[twice, "path"]))
