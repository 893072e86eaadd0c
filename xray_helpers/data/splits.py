"""Splits by patient: a validation split out of train, and what leaks between splits."""

import numpy as np
import pandas as pd

from xray_helpers.errors import KitError


def add_validation(table: pd.DataFrame, seed: int, share: float = 0.2) -> pd.DataFrame:
    """A copy of the table in which `share` of train's pictures are the split "validation".

    By patient (none is on both sides), stratified by class, and the same for the same seed
    whatever the order of the rows: the patients, sorted and then shuffled by the seed, are taken
    while they fit what is left of round(share * n) pictures in every class they have pictures in.
    Each class keeps at least one picture on both sides. Only train rows change; a table that has
    validation rows already is returned as it is.

    Raises:
        KitError: a share outside 0 … 1, or a class whose train pictures are all of one patient
            (or of patients that cannot be parted), since no split by patient exists then.
    """
    if not 0 < share < 1:
        raise KitError(f"The validation share is {share}; it must lie between 0 and 1.")
    table = table.copy()
    if (table["split"] == "validation").any():
        return table
    train = table[table["split"] == "train"]
    counts = pd.crosstab(train["patient"], train["label"]).sort_index()  # patients x classes
    totals = counts.sum()
    _check_patients(counts)
    order = np.random.default_rng(seed).permutation(len(counts))
    shuffled = counts.iloc[order]
    quota = np.clip(np.round(share * totals), 1, totals - 1).astype(int)
    taken, patients = totals * 0, []
    room = quota.to_numpy(copy=True)  # pandas would take a minute for 100,000 patients
    for patient, pictures in zip(shuffled.index, shuffled.to_numpy(), strict=True):
        if (pictures <= room).all():
            room -= pictures
            patients.append(patient)
    taken += quota - room
    for label in counts.columns[taken == 0]:  # every patient of the class is over the quota
        patient = _smallest_that_fits(shuffled.drop(patients), label, totals - 1 - taken)
        taken += counts.loc[patient]
        patients.append(patient)
    chosen = (table["split"] == "train") & table["patient"].isin(patients)
    table.loc[chosen, "split"] = "validation"
    return table


def _check_patients(counts: pd.DataFrame) -> None:
    """Stop where a class has one patient only."""
    for label, pictures in counts.items():
        owners = counts.index[pictures > 0]
        if len(owners) == 1:
            raise KitError(
                f"All {pictures.sum()} train pictures of the class {label} are of one patient "
                f"({owners[0]}), so no validation split by patient is possible; add pictures of "
                "another patient, or correct patients.csv."
            )


def _smallest_that_fits(shuffled: pd.DataFrame, label: str, room: pd.Series) -> str:
    """The first of the patients with the fewest pictures of a class that leaves train some."""
    fits = shuffled[(shuffled[label] > 0) & (shuffled <= room).all(axis=1)]
    if fits.empty:
        raise KitError(
            f"No patient of the class {label} can go to validation without emptying a class in "
            "train; add pictures of more patients, or correct patients.csv."
        )
    return str(fits[label].idxmin())


def patients_in_two_splits(table: pd.DataFrame) -> pd.DataFrame:
    """The patients with pictures in more than one split: none where the splits are clean.

    Returns:
        Columns patient (text), splits (tuple of text), paths (list of text); sorted by patient.
    """
    found = [
        (patient, tuple(sorted(set(group["split"]))), list(group["path"]))
        for patient, group in table.groupby("patient", sort=True)
        if group["split"].nunique() > 1
    ]
    return pd.DataFrame(found, columns=["patient", "splits", "paths"])


def drop_leaks(table: pd.DataFrame) -> pd.DataFrame:
    """The table without train and validation pictures of patients who are also in test.

    The index is renumbered. Test rows are never touched.

    Raises:
        KitError: nothing would be left of a class in train.
    """
    in_test = table["split"] == "test"
    leaks = ~in_test & table["patient"].isin(table.loc[in_test, "patient"])
    kept = table[~leaks].reset_index(drop=True)
    for split in ("train", "validation"):
        gone = set(table.loc[table["split"] == split, "label"]) - set(
            kept.loc[kept["split"] == split, "label"]
        )
        if gone:
            raise KitError(
                f"All {split} pictures of the class {min(gone)} are of patients who are also in "
                "test; add others, or keep them with leaks=keep."
            )
    return kept
