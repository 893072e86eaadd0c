"""What was unpacked -> the layout that the kit reads, and whether it is what it should be.

An `Arranged` folder holds the pictures and says in sentences what they are. A collection that lacks
pictures is refused; files that are not the original ones are named, because results may differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xray_helpers.data.class_zip import class_pictures, is_original
from xray_helpers.data.get.hannover import SOURCE, read_hannover
from xray_helpers.data.get.place import sha256
from xray_helpers.data.get.unpack import NotIt
from xray_helpers.data.layout import (
    data_root,
    files_below,
    is_left_about,
    subfolders,
    task_folders,
)
from xray_helpers.data.patients import source_of
from xray_helpers.data.three import rows_by_kind
from xray_helpers.errors import KitError

KERMANY_PICTURES = 5856
KERMANY_KINDS = ("normal", "pneumonia_bac", "pneumonia_vir")


@dataclass(frozen=True)
class Arranged:
    """What a folder holds.

    Attributes:
        said: sentences for the student.
        sources: {path relative to the folder: collection} of each picture.
        listed: headings and the files that belong under each, for ORIGIN.txt.
    """

    said: list[str]
    sources: dict[str, str]
    listed: dict[str, list[str]] = field(default_factory=dict)


def look(name: str, folder: Path) -> Arranged:
    """Whether a folder in its final layout holds the whole collection `name`.

    Raises:
        KitError: it does not.
    """
    return _LOOK[name](folder)


def arrange(name: str, raw: Path, new: Path) -> Arranged:
    """Move the files of a collection from where they were unpacked to their layout in `new`.

    Raises:
        NotIt: `raw` does not hold the collection, or only a part of it.
    """
    root = next((f for f in _folders(raw) if _IS_ROOT[name](f)), None)
    if root is None:
        raise NotIt(f"That is not it: {_WANTED[name]}; give the right zip or folder.")
    pictures, others = files_below(root)
    for path in pictures + (others if name == "hannover" else []):
        target = new / _PLACE[name](path.relative_to(root))
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    return look(name, new)


def _folders(folder: Path) -> Iterator[Path]:
    """A folder and all below it, those nearer to it first: a zip often has a folder around it."""
    level = [folder]
    while level:
        yield from level
        level = [inner for outer in level for inner in subfolders(outer)]


# --- the class's pictures -----------------------------------------------------------------------


def _look_at_class(folder: Path) -> Arranged:
    rows = class_pictures()
    here = {
        path.relative_to(folder).as_posix(): path
        for task in task_folders(folder).values()
        for path in files_below(task)[0]
    }
    missing = [name for name in rows if name not in here]
    if missing:
        raise NotIt(
            f"{len(missing)} of the {len(rows)} pictures of the class's zip are missing: "
            f"{_some(missing)}; get the whole zip."
        )
    changed = [n for n in rows if not is_original(here[n], sha256(here[n]), rows[n])]
    added = sorted(here.keys() - rows.keys())
    said = [f"{len(here)} pictures, {len(rows) - len(changed)} of them the original files."]
    listed = {}
    if changed:
        said.append(
            f"{len(changed)} are not the original files (saved again or changed), so results may "
            f"differ a little from those of others; ORIGIN.txt lists them: {_some(changed)}."
        )
        listed["Not the original files:"] = changed
    if added:
        said.append(f"{len(added)} are not in the class's zip: {_some(added)}.")
        listed["Not in the class's zip:"] = added
    return Arranged(said, {name: source_of(path) for name, path in here.items()}, listed)


def _some(names: list[str]) -> str:
    """The first names of many."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# --- Kermany's ----------------------------------------------------------------------------------


def _look_at_kermany(folder: Path) -> Arranged:
    table = rows_by_kind(folder)
    for split in ("train", "test"):
        there = set(table.loc[table["split"] == split, "label"])
        if lacking := [kind for kind in KERMANY_KINDS if kind not in there]:
            raise NotIt(
                f"Kermany's pictures in {split}/ lack {', '.join(lacking)}; get the whole set."
            )
    counts = table.groupby("label").size()
    said = [
        f"{len(table):,} pictures: "
        + ", ".join(f"{counts[kind]:,} {kind}" for kind in KERMANY_KINDS)
        + "."
    ]
    if len(table) != KERMANY_PICTURES:
        said.append(f"As it was published the set has {KERMANY_PICTURES:,}.")
    paths = [Path(path) for path in table["path"]]
    return Arranged(said, {p.relative_to(folder).as_posix(): source_of(p) for p in paths})


def _is_kermany(folder: Path) -> bool:
    inside = {path.name.lower() for path in subfolders(folder)}
    return {"train", "test"} <= inside and "normal" in set(rows_by_kind(folder)["label"])


# --- Hannover's ---------------------------------------------------------------------------------


def _look_at_hannover(folder: Path) -> Arranged:
    table = read_hannover(folder)
    unsure = (~table["covid"]).sum()
    said = [f"{len(table)} pictures of {table['patient'].nunique()} patients."]
    if unsure:
        said.append(
            f"{unsure} were taken long before the patient was admitted, or from the side; "
            "`xray data build` leaves them out."
        )
    paths = [Path(path).relative_to(folder).as_posix() for path in table["path"]]
    return Arranged(said, dict.fromkeys(paths, SOURCE))


def _is_hannover(folder: Path) -> bool:
    inside = [path for path in folder.iterdir() if not is_left_about(path.name)]
    if len(inside) == 1 and inside[0].is_dir():
        return False  # a folder around it
    try:
        return len(read_hannover(folder)) > 0
    except KitError:
        return False


# --- all of them --------------------------------------------------------------------------------


def _lower_folders(path: Path) -> Path:
    """The class's folders in lower case, as the kit's list of its files has them."""
    return Path(*(part.lower() for part in path.parts[:-1]), path.name)


def _as_it_is(path: Path) -> Path:
    return path


_LOOK: dict[str, Callable[[Path], Arranged]] = {
    "class": lambda folder: _look_at_class(data_root(folder)),
    "kermany": lambda folder: _look_at_kermany(data_root(folder)),
    "hannover": lambda folder: _look_at_hannover(data_root(folder)),
}
_IS_ROOT: dict[str, Callable[[Path], bool]] = {
    "class": lambda folder: {"two", "all"} <= task_folders(folder).keys(),
    "kermany": _is_kermany,
    "hannover": _is_hannover,
}
_PLACE: dict[str, Callable[[Path], Path]] = {
    "class": _lower_folders,
    "kermany": _as_it_is,
    "hannover": _as_it_is,
}
_WANTED = {
    "class": "no folder in it holds two/ and all/",
    "kermany": "no folder in it holds train/ and test/ with NORMAL/ and PNEUMONIA/",
    "hannover": "it has no table of patients (data.csv) with the pictures that it lists",
}
