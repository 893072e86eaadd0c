"""Facts about the runs, their pictures and the machines."""

from collections import Counter

from xray_helpers.report.blocks.marks import cell, figure, name_of, not_a_result, parts, table
from xray_helpers.report.chosen import Chosen, Record

_TASKS = {"task1": "Task 1", "task2": "Task 2", "two_stage": "Two stages"}
_KINDS = {
    "class": "the class's own",
    "generated": "generated: drawn by a program",
    "other": "the user's own",
}


def runs(chosen: Chosen) -> str:
    """Which runs the report is about, and which of them are no result."""
    rows = [
        (
            _part(chosen, record),
            name_of(record),
            f"`{record['id']}`",
            record["started_at"][:10],
            not_a_result(record) or "none",
        )
        for record in chosen.all
    ]
    header = ("part", "network", "run", "date", "marks")
    return parts(warning(chosen), table(header, rows))


def _part(chosen: Chosen, record: Record) -> str:
    if record in chosen.timing:
        return "CPU against GPU"
    return _TASKS[record["task"]]


def warning(chosen: Chosen) -> str:
    """What is to be said of marked runs, before anything else; "" where none is marked."""
    if not chosen.marked:
        return ""
    marks = list(dict.fromkeys(m for record in chosen.marked for m in record["marks"]))
    which = (
        "all runs below" if len(chosen.marked) == len(chosen.all) else "the runs marked so below"
    )
    return f"**Not a result: {' · '.join(marks)}.** This holds for {which}."


def pictures(chosen: Chosen) -> str:
    """How many pictures of each class and split, by task; what was set aside."""
    texts = []
    for task in (chosen.task1, chosen.task2):
        # Runs on other pictures get their own table: they cannot be compared.
        seen: dict[str, Record] = {}
        for record in task:
            seen.setdefault(record["data"]["fingerprint"], record)
        for record in seen.values():
            texts += _pictures(record)
    return parts(*texts)


def _pictures(record: Record) -> list[str]:
    data, settings = record["data"], record["settings"]
    classes = list(next(iter(data["counts"].values())))
    rows = [
        (split, *(counts.get(name, 0) for name in classes), sum(counts.values()))
        for split, counts in data["counts"].items()
    ]
    aside = Counter(entry["reason"] for entry in data["set_aside"])
    said = "; ".join(f"{n} {reason}" for reason, n in aside.items()) or "none"
    facts = [
        f"- Pictures: {_KINDS[data['kind']]}; fingerprint `{data['fingerprint']}`",
        f"- Set aside, not used: {said}",
        f"- Patients in train and test (`leaks`): {settings.get('leaks', 'keep')}; "
        f"size {settings['image_size']} × {settings['image_size']}; "
        f"enhanced by: {settings.get('enhance') or 'nothing'}",
        *(f"- {note}" for note in data.get("notes", [])),
    ]
    title = _TASKS[record["task"]]
    return [
        f"#### {title}: pictures",
        table(("split", *classes, "together"), rows, numbers=len(classes) + 1),
        "\n".join(facts),
        figure(record, "class_balance", f"{title}: pictures of each class and split"),
    ]


def environment(chosen: Chosen) -> str:
    """Machine, software and commit of every run: runs alike share a column."""
    seen: dict[tuple, list[str]] = {}
    for record in chosen.all:
        machine = record["environment"]
        versions = machine["versions"]
        software = ", ".join(f"{name} {versions[name]}" for name in versions if versions[name])
        about = (
            machine.get("cpu"),
            ", ".join(machine.get("gpus") or []) or "none",
            machine.get("threads"),
            machine.get("system"),
            software,
            machine.get("git_commit"),
        )
        seen.setdefault(about, []).append(name_of(record))
    names = ("processor", "GPU", "threads", "system", "software", "the kit's commit")
    lines = []
    for about, whose in seen.items():
        lines.append(
            f"- **{', '.join(whose)}**: "
            + "; ".join(f"{name} {cell(value)}" for name, value in zip(names, about, strict=True))
        )
    seeds = sorted({str(record["settings"].get("seed")) for record in chosen.all})
    return parts("\n".join(lines), f"Seeds: {', '.join(seeds)}.")
