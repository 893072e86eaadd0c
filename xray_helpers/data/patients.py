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

COVID_SOURCE = "covid-chestxray-dataset"
KERMANY_SOURCE = "kermany"

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
    """The collection a picture comes from, by its file name.

    "covid-chestxray-dataset" for the covid pictures of the class zip, "kermany" for that set's
    names, old and later, "generated" for generated pictures, and "other" for any other name.
    """
    path = Path(path)
    if path.name in _covid_patients():
        return COVID_SOURCE
    if _KERMANY.fullmatch(path.stem) or _KERMANY_LATER.fullmatch(path.stem):
        return KERMANY_SOURCE
    return "generated" if _GENERATED.fullmatch(path.stem) else "other"
