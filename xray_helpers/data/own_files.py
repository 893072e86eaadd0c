"""What users say of their pictures themselves: `patients.csv` and `sources.csv`.

Both lie beside two/ and all/ and overrule what file names say.
"""

from pathlib import Path

import pandas as pd

from xray_helpers.errors import KitError

OWN_FILES = {"patient": "patients.csv", "source": "sources.csv"}
"""Column of a table -> the file in which a user may give it, with the columns file and that one."""


def with_own_facts(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """The table with the patients and sources that a patients.csv and a sources.csv give.

    Raises:
        KitError: one of them is bad, or names a file which is nowhere below `root`.
    """
    for column, name in OWN_FILES.items():
        if said := read_own_file(Path(root) / name, column):
            table = _overruled(table, root, column, said)
    return table


def read_own_file(path: Path, column: str) -> dict[str, str]:
    """{file: what is said of it}, empty when there is no such file.

    Columns `file` (a name, or a path relative to the data folder) and `column`, nothing else.

    Raises:
        KitError: unreadable file, missing or unknown column, empty cell, a file named twice with
            different answers.
    """
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise KitError(
            f"{path} cannot be read as comma-separated text; save it as UTF-8 with the columns "
            f"file,{column}, or delete it."
        ) from error
    table.columns = [str(name).strip() for name in table.columns]
    if sorted(table.columns) != sorted(["file", column]):
        raise KitError(
            f"{path} has the columns {', '.join(table.columns)}; it needs file and {column} and "
            "nothing else."
        )
    said: dict[str, str] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        file = row["file"].strip().replace("\\", "/").removeprefix("./")
        value = row[column].strip()
        if not file or not value:
            raise KitError(f"{path}, line {line}, has an empty cell; fill it in or delete it.")
        if said.setdefault(file, value) != value:
            raise KitError(
                f"{path} gives {file} two {column}s, {said[file]} and {value}; keep one."
            )
    return said


def _overruled(table: pd.DataFrame, root: Path, column: str, said: dict[str, str]) -> pd.DataFrame:
    """The table with a column as `said`; a relative path counts before a mere name."""
    paths = [Path(path) for path in table["path"]]
    relative = [path.relative_to(root).as_posix() for path in paths]
    names = [path.name for path in paths]
    unused = said.keys() - set(relative) - set(names)
    if unused:
        everywhere = [path for path in root.rglob("*") if path.is_file()]
        unused -= {path.name for path in everywhere}
        unused -= {path.relative_to(root).as_posix() for path in everywhere}
    if unused:
        raise KitError(
            f"{root / OWN_FILES[column]} names {min(unused)}, which is no file in {root}; "
            "correct the line or delete it."
        )
    own = [
        said.get(path, said.get(name, before))
        for path, name, before in zip(relative, names, table[column], strict=True)
    ]
    return table.assign(**{column: pd.Series(own, index=table.index, dtype="str")})
