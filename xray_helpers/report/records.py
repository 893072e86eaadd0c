"""What is wrong with the runs of a report."""

from collections.abc import Iterator
from pathlib import Path

from xray_helpers.report.chosen import Chosen
from xray_helpers.runs.intact import contradictions
from xray_helpers.runs.store import state


def record_findings(chosen: Chosen) -> Iterator[str]:
    """Sentences about runs that are not complete, edited, or of other pictures than the rest."""
    for record in chosen.all:
        if record["status"] != "complete":
            yield (
                f"{record['id']} is not complete ({state(record)}); run its notebook to the end, "
                "or name another run."
            )
        else:
            for what in contradictions(record):
                yield (
                    f"{record['id']} {what}: its record was edited or damaged; run its notebook "
                    "again and name the new run."
                )
    yield from _enough(chosen)
    yield from _same_pictures(chosen)
    yield from _figures(chosen)


def _enough(chosen: Chosen) -> Iterator[str]:
    if not chosen.task1:
        yield "No run of task 1 is in the report; run 01_task1 and name its run."
    architectures = {
        (r["model"]["backbone"], tuple((x["type"], x["output"]) for x in r["model"]["layers"]))
        for r in chosen.task2
    }
    if len(architectures) < 2:
        yield (
            f"Task 2 has {len(architectures) or 'no'} architecture{'s' * (not architectures)} in "
            "the report and wants two or more; run 02_task2 with another backbone and name both."
        )


def _same_pictures(chosen: Chosen) -> Iterator[str]:
    """Runs of a task on other pictures than its first one; tasks on pictures of another kind."""
    for records in (chosen.task1, chosen.task2):
        for record in records[1:]:
            if record["data"]["fingerprint"] != records[0]["data"]["fingerprint"]:
                yield (
                    f"{record['id']} was trained on other pictures than {records[0]['id']}; they "
                    "cannot be compared: leave one out."
                )
    # 06_two_stage has pictures of its own.
    records = [*chosen.networks, *chosen.timing]
    for record in records[1:]:
        mine, first = record["data"]["kind"], records[0]["data"]["kind"]
        if mine != first:
            yield (
                f"{record['id']} is of {mine} pictures and {records[0]['id']} of {first} ones; "
                "name runs on the same data."
            )


def _figures(chosen: Chosen) -> Iterator[str]:
    for record in chosen.networks:
        for name in ("learning_curves", "tsne", "confusion"):
            if not (Path(record["folder"]) / "figures" / f"{name}.png").is_file():
                yield (
                    f"{record['id']} has lost its figure {name}.png; run its notebook again and "
                    "name the new run."
                )
