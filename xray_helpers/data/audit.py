"""Look at a data folder whole: what is wrong with it, or odd about it (`xray data check`)."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from xray_helpers.data.checks import CHECKS, Finding, Measured, Seen, measure, place
from xray_helpers.data.checks.seen import labels
from xray_helpers.data.layout import data_root, split_folders, task_folders
from xray_helpers.data.own_files import with_own_facts
from xray_helpers.data.pictures import PictureFile, UnreadablePicture, in_threads
from xray_helpers.data.table import COLUMNS, TASK_CLASSES, rows
from xray_helpers.data.three import KINDS, rows_by_kind, with_small_validation_in_train

__all__ = ["Audit", "Finding", "audit"]

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Audit:
    """What was found in a data folder.

    `pictures` counts picture files, `distinct` the different ones among those that can be read,
    `counts` is {folder: {split: {class: picture files}}}.
    """

    root: str
    pictures: int
    distinct: int
    counts: dict[str, dict[str, dict[str, int]]]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that would falsify a result."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_json(self) -> dict:
        """The audit as plain lists, dicts, numbers and text."""
        return asdict(self)

    def text(self, most_paths: int = 6) -> str:
        """The audit for people: counts, then the findings, errors first."""
        lines = [f"{self.root}: {self.pictures} pictures, {self.distinct} of them distinct"]
        for folder, splits in self.counts.items():
            for split, classes in splits.items():
                numbers = ", ".join(f"{label} {n}" for label, n in classes.items())
                lines.append(f"  {place(folder, split)}: {numbers}")
        for finding in self.findings:
            lines.append(f"\n{finding.severity.upper()} {finding.kind}: {finding.message}")
            lines += [f"    {path}" for path in finding.paths[:most_paths]]
            if len(finding.paths) > most_paths:
                lines.append(f"    … and {len(finding.paths) - most_paths} more")
        verdict = (
            "Nothing found that would falsify a result."
            if self.ok
            else ("The errors above would falsify a result.")
        )
        return "\n".join([*lines, "", verdict])

    __str__ = text


def audit(root: Path, progress: str | None = None) -> Audit:
    """Look at every file of a data folder, all of its tasks at once.

    Args:
        root: the folder that holds two/ and all/ (or train/ and test/).
        progress: the name of a progress bar on standard output, or None for none.

    Raises:
        KitError: `root` is no folder, or its patients.csv is bad.
    """
    seen = _look(data_root(root), progress)
    findings = [finding for check in CHECKS for finding in check(seen)]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(
        root=str(seen.root),
        pictures=len(seen.table),
        distinct=seen.readable["sha256"].nunique(),
        counts=_counts(seen),
        findings=findings,
    )


def _look(root: Path, progress: str | None) -> Seen:
    """Read every picture file once: identical copies are decoded once."""
    folders = task_folders(root)
    tables = [pd.DataFrame(columns=[*COLUMNS, "folder"])]
    kinds: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    for name, folder in folders.items():
        table = rows(folder, TASK_CLASSES["task2"])
        if name != "two" and (of_kind := _two_stage(folder)) is not None:
            table, more = with_small_validation_in_train(of_kind)
            kinds[name] = tuple(kind for kind in KINDS if (table["label"] == kind).any())
            notes += more
        tables.append(table.assign(folder=name))
    table = with_own_facts(pd.concat(tables, ignore_index=True), root)
    hashes = list(in_threads(_hash, table["path"], None))
    first = dict(zip(reversed(hashes), reversed(table["path"].tolist()), strict=True))
    facts = dict(zip(first, in_threads(_facts, list(first.values()), progress), strict=True))
    files = [facts[sha] for sha in hashes]
    reasons = [file.reason if isinstance(file, UnreadablePicture) else "" for file in files]
    columns: dict[str, list] = {
        "sha256": ["" if reason else sha for sha, reason in zip(hashes, reasons, strict=True)],
        "reason": reasons,
    }
    for column in PictureFile.__dataclass_fields__:
        columns[column] = [
            getattr(seen.file, column) if isinstance(seen, Measured) else None for seen in files
        ]
    paths = [Path(path).relative_to(root).as_posix() for path in table["path"]]
    measured = {sha: seen for sha, seen in facts.items() if isinstance(seen, Measured)}
    table = table.assign(path=paths, **columns)
    return Seen(root, folders, table, measured, kinds, tuple(notes))


def _two_stage(folder: Path) -> pd.DataFrame | None:
    """The pictures of a folder that is laid out for `06_two_stage` alone, as Kermany's own is."""
    sick = set(TASK_CLASSES["task2"]) - {"normal"}
    if sick & labels(folder):
        return None
    table = rows_by_kind(folder)
    return table if table["label"].nunique() > 1 else None


def _hash(path: str) -> str:
    """The SHA-256 of a file; the path itself, which no other file has, where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return path


def _facts(path: str) -> Measured | UnreadablePicture:
    try:
        return measure(Path(path))
    except UnreadablePicture as error:
        return error


def _counts(seen: Seen) -> dict[str, dict[str, dict[str, int]]]:
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for folder, path in seen.folders.items():
        of_folder = seen.table[seen.table["folder"] == folder]
        counts[folder] = {}
        for split in split_folders(path):
            of_split = Counter(of_folder.loc[of_folder["split"] == split, "label"])
            if folder in seen.kinds and not of_split:
                continue  # its few validation pictures count as train
            extra = [label for label in of_split if label not in seen.classes(folder)]
            order = [*seen.classes(folder), *extra]
            counts[folder][split] = {label: of_split[label] for label in order}
    return counts
