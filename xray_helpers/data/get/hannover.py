"""The COVID-19 Image Repository of Hannover Medical School as a table.

Its `data.csv` has a row a picture, with patient_id, image_id (the picture's name without its
suffix), admission_offset and projection among other columns. The file is found by its columns and
not by its name or place, and the pictures by their names, because the repository on GitHub and
the one on figshare are packed differently.
"""

from pathlib import Path

import pandas as pd

from xray_helpers.data.layout import files_below
from xray_helpers.errors import KitError

SOURCE = "hannover"
_PICTURE_COLUMNS = ("image_id", "filename", "file_name", "file", "image")
COVID_BEFORE_DAY = 7
"""The offset of admission, in days after the picture, from which on a picture is no covid for sure.

"If I had to decide", its authors write, "negative: admission > +14, positive: admission < +7": a
patient admitted two weeks after the picture had it taken for another reason.
https://github.com/ml-workgroup/covid-19-image-repository/issues/4
"""


def read_hannover(folder: Path) -> pd.DataFrame:
    """A row a picture: path (text), patient ("hannover-…") and covid (whether it surely shows it).

    Without a column of offsets every picture counts as covid; side views, where the projection
    says so, do not. Sorted by path.

    Raises:
        KitError: there is no table of patients, or none of its pictures is here.
    """
    pictures, others = files_below(folder)
    table, column, csv_path = _table(folder, others)
    by_name = {name: path for path in pictures for name in (path.name, path.stem)}
    rows = []
    for row in table.to_dict("records"):
        path = by_name.get(Path(str(row[column]).strip()).name)
        if path is not None and str(row["patient_id"]).strip():
            patient = f"{SOURCE}-{str(row['patient_id']).strip()}"
            rows.append((str(path), patient, _is_covid(row)))
    if not rows:
        raise KitError(
            f"None of the pictures that {csv_path} lists is in {folder}; give the folder that "
            "holds them too."
        )
    found = pd.DataFrame(rows, columns=["path", "patient", "covid"])
    return found.drop_duplicates("path").sort_values("path", ignore_index=True)


def _table(folder: Path, files: list[Path]) -> tuple[pd.DataFrame, str, Path]:
    """The table of patients, its column of pictures, and its path."""
    for path in files:
        if path.suffix.lower() != ".csv":
            continue
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except (OSError, ValueError):
            continue
        table.columns = [str(name).strip().lower() for name in table.columns]
        column = next((name for name in _PICTURE_COLUMNS if name in table.columns), None)
        if column and "patient_id" in table.columns:
            return table, column, path
    raise KitError(
        f"{folder} has no table of patients: a .csv file with the columns patient_id and image_id "
        "(data.csv in the COVID-19 Image Repository); put it there."
    )


def _is_covid(row: dict) -> bool:
    """Whether a picture was taken when the patient surely had covid, and from front or back."""
    if str(row.get("projection", "")).strip().lower() in ("lat", "lateral", "ll", "l"):
        return False
    offset = pd.to_numeric(str(row.get("admission_offset", "")).strip(), errors="coerce")
    return bool(pd.isna(offset) or offset < COVID_BEFORE_DAY)
