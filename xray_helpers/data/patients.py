"""File name -> patient, and where a picture comes from.

`class_files.csv` beside this module holds the facts about the zip that the class is given: one
row for each file below `all/` (its `two/` is a byte-identical copy of the classes covid and normal)
with its size, SHA-256, git blob SHA-1 and, for covid, the patient of the covid-chestxray-dataset.
The other classes' names tell the patient themselves.
"""

import csv
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from xray_helpers.errors import KitError

PATIENTS_FILE = "patients.csv"

_KERMANY = re.compile(
    r"(?P<person>person\d+)_(?:bacteria|virus)(?:_\d+)+|(?:NORMAL2-)?(?P<normal>IM-\d+)(?:-\d+)+",
    re.IGNORECASE,
)
# The same set as its authors published it later, with the patients' own numbers.
_KERMANY_LATER = re.compile(r"(?:NORMAL|BACTERIA|VIRUS)-(?P<number>\d+)-\d+", re.IGNORECASE)
_GENERATED = re.compile(r"(?P<patient>gen-\d+)(?:-\d+)?", re.IGNORECASE)


@cache
def class_files() -> tuple[dict[str, str], ...]:
    """The rows of `class_files.csv`: path, bytes, sha256, git_blob_sha1, patient (all text).

    `sha256` and `bytes` are empty where only the git blob SHA-1 is known, `patient` where the
    file's name tells it.
    """
    text = (files(__package__) / "class_files.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def _covid_patients() -> dict[str, str]:
    return {Path(row["path"]).name: row["patient"] for row in class_files() if row["patient"]}


def patient_of(path: Path, split: str) -> str:
    """The patient a picture belongs to, by its file name.

    - a covid picture of the class zip: the patient in `class_files.csv`, e.g. "ieee-13";
    - Kermany's names: number and split, e.g. "kermany-train-person1753" or "kermany-test-IM-0031",
      because the numbering of train and test restart; validation pictures count as train, which
      they were taken from;
    - the later names of that set: "kermany-7422" for `BACTERIA-7422-0001.jpeg`;
    - generated pictures: "gen-0042" for `gen-0042-1.jpeg`;
    - any other name is a patient of its own: split, folder and stem, "train/covid/scan_7", so
      that `1.jpeg` of one class is not taken for the patient of `1.jpeg` in another.
    """
    path = Path(path)
    if path.name in _covid_patients():
        return _covid_patients()[path.name]
    if match := _KERMANY.fullmatch(path.stem):
        numbering = "test" if split == "test" else "train"
        return f"kermany-{numbering}-{match['person'] or match['normal']}"
    if match := _KERMANY_LATER.fullmatch(path.stem):
        return f"kermany-{match['number']}"
    if match := _GENERATED.fullmatch(path.stem):
        return match["patient"]
    return f"{split}/{path.parent.name}/{path.stem}"


def source_of(path: Path) -> str:
    """Where a picture comes from: "class" (class zip or Kermany), "generated" or "other"."""
    path = Path(path)
    kermany = _KERMANY.fullmatch(path.stem) or _KERMANY_LATER.fullmatch(path.stem)
    if path.name in _covid_patients() or kermany:
        return "class"
    return "generated" if _GENERATED.fullmatch(path.stem) else "other"


def read_patients_file(root: Path) -> dict[str, str]:
    """The user's own `patients.csv` of a data folder: {file: patient}, empty when there is none.

    Columns `file` (a name, or a path relative to `root`) and `patient`, nothing else.

    Raises:
        KitError: unreadable file, missing or unknown column, empty cell, a file with two patients.
    """
    path = Path(root) / PATIENTS_FILE
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise KitError(
            f"{path} cannot be read as comma-separated text; save it as UTF-8 with the columns "
            "file,patient, or delete it."
        ) from error
    table.columns = [str(column).strip() for column in table.columns]
    if sorted(table.columns) != ["file", "patient"]:
        raise KitError(
            f"{path} has the columns {', '.join(table.columns)}; it needs file and patient and "
            "nothing else."
        )
    patients: dict[str, str] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        file = row["file"].strip().replace("\\", "/").removeprefix("./")
        patient = row["patient"].strip()
        if not file or not patient:
            raise KitError(f"{path}, line {line}, has an empty cell; fill it in or delete it.")
        if patients.setdefault(file, patient) != patient:
            raise KitError(
                f"{path} gives {file} two patients, {patients[file]} and {patient}; keep one."
            )
    return patients
