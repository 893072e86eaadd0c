"""Checks of what lies in the folders: what is missing, broken, uneven, or not taken."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from xray_helpers.data.checks.seen import Finding, Seen, number, place
from xray_helpers.data.layout import SPLITS, class_folders, files_below, found, split_folders


def missing(seen: Seen) -> Iterator[Finding]:
    """Folders and classes that are not there, or hold nothing that can be read."""
    if not seen.folders:
        message = f"Neither two/ and all/ nor train/ and test/ are there ({found(seen.root)})."
        yield Finding("missing_folder", "error", message, [])
    for folder, path in seen.folders.items():
        splits = split_folders(path)
        readable = seen.readable[seen.readable["folder"] == folder]
        for split in SPLITS:
            in_split = readable[readable["split"] == split]
            where = seen.relative(splits[split][0] if split in splits else path / split)
            if split not in splits and split != "validation":
                message = f"{where}/ is missing ({found(path)})."
                yield Finding("missing_folder", "error", message, [where])
            if split not in splits or (split == "validation" and in_split.empty):
                continue
            for label in seen.classes(folder):
                if (in_split["label"] == label).any():
                    continue
                if folder in seen.kinds:
                    message = f"{where}/ holds no picture of {label} that can be read."
                    yield Finding("missing_class", "error", message, [where])
                    continue
                there = any(label in class_folders(p) for p in splits[split])
                kind = "empty_class" if there else "missing_class"
                what = "holds no picture that can be read" if there else "is missing"
                message = f"{where}/{label}/ {what}."
                yield Finding(kind, "error", message, [f"{where}/{label}"])


def unreadable(seen: Seen) -> Iterator[Finding]:
    """Picture files that are no pictures, by reason."""
    broken = seen.table[seen.table["reason"] != ""]
    for reason, group in broken.groupby("reason"):
        message = f"{number(len(group), 'file')} cannot be used: {reason}."
        yield Finding("unreadable", "warning", message, list(group["path"]))


def read_as(seen: Seen) -> Iterator[Finding]:
    """How folders that hold other classes than the tasks' were read."""
    for folder, kinds in seen.kinds.items():
        message = (
            f"{place(folder)} is laid out for 06_two_stage and not for task 1 or 2; its pictures, "
            f"by folder and file name, are {', '.join(kinds)}."
        )
        yield Finding("two_stage_layout", "note", message, [])
    for note in seen.notes:
        yield Finding("small_validation", "note", note, [])


def balance(seen: Seen) -> Iterator[Finding]:
    """How many pictures the largest class has for one of the smallest."""
    for folder, table in seen.readable.groupby("folder", sort=False):
        for split, of_split in table.groupby("split", sort=False):
            n = of_split["label"].value_counts()
            message = f"{place(folder, split)}: all classes have {n.iloc[0]} pictures."
            if n.iloc[0] > n.iloc[-1]:
                message = (
                    f"{place(folder, split)}: {n.index[0]} is the largest class with {n.iloc[0]} "
                    f"pictures, {n.index[-1]} the smallest with {n.iloc[-1]} "
                    f"(ratio {n.iloc[0] / n.iloc[-1]:.2f})."
                )
            yield Finding("class_balance", "note", message, [])


def ignored(seen: Seen) -> Iterator[Finding]:
    """What lies in the folders and is not taken: other files, folders of no class."""
    files: list[str] = []
    others: list[str] = []
    for folder, path in seen.folders.items():
        taken = set(seen.table.loc[seen.table["folder"] == folder, "path"])
        for split_paths in split_folders(path).values():
            for split_path in split_paths:
                pictures, not_pictures = files_below(split_path)
                files += [seen.relative(p) for p in not_pictures]
                others += [p for p in map(seen.relative, pictures) if p not in taken]
    if files:
        names = Counter(Path(path).name for path in files)
        message = (
            f"{number(len(files), 'file')} not used, being hidden or no picture by name: "
            f"{', '.join(sorted(names)[:6])}{', …' if len(names) > 6 else ''}."
        )
        yield Finding("ignored_file", "note", message, files)
    if others:
        message = f"{number(len(others), 'picture')} not used, lying in no class folder of a task."
        yield Finding("ignored_picture", "note", message, others)
