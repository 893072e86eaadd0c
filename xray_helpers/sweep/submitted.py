"""What was submitted of a sweep, and where that is in the queue now.

Two files a submission in the sweep's folder: `submitted/0001.txt` lists the numbers of its tasks,
and SGE_TASK_ID i means line i of it; `submitted/0001.json` says which job it became.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.files import write_json
from xray_helpers.sweep import grid_engine
from xray_helpers.sweep.folder import SweepFolder
from xray_helpers.sweep.grid_engine import Resources

SCHEMA = 1
ALIVE = ("queued", "held", "running")  # will run, or runs, without being submitted again


@dataclass(frozen=True)
class Submission:
    """An array job of a sweep.

    Attributes:
        job: its number.
        tasks: which of the sweep's tasks it runs; SGE_TASK_ID 1 is the first of these.
        collecting: the number of the job that waits for it; None where that one was refused.
    """

    job: int
    tasks: tuple[int, ...]
    collecting: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a task of the sweep is in the queue, and how: see `grid_engine.queue`."""

    number: int
    job: int
    index: int
    word: str


def job_name(sweep: SweepFolder) -> str:
    """What its jobs are called: no name may begin with a digit."""
    return f"xray-{sweep.plan.name}"


def next_list(sweep: SweepFolder) -> Path:
    """The file for the tasks of the next submission."""
    taken = [int(path.stem) for path in (sweep.folder / "submitted").glob("[0-9]*.txt")]
    return sweep.folder / "submitted" / f"{max(taken, default=0) + 1:04d}.txt"


def remember(listed: Path, done: Submission, resources: Resources) -> None:
    """Write down what a list of tasks became."""
    content = {
        "schema": SCHEMA,
        **asdict(done),
        "resources": asdict(resources),
        "submitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(listed.with_suffix(".json"), content)


def submissions(sweep: SweepFolder) -> list[Submission]:
    """All of this sweep, oldest first.

    Raises:
        KitError: a file that cannot be read.
    """
    found = []
    for path in sorted((sweep.folder / "submitted").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            tasks = tuple(int(number) for number in content["tasks"])
            found.append(Submission(int(content["job"]), tasks, content["collecting"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise KitError(f"{path} cannot be read ({error}); delete it.") from error
    return found


def places_of(sweep: SweepFolder) -> list[Place]:
    """All tasks of the sweep that are in the queue.

    Raises:
        KitError: the sweep was submitted, and the queue cannot be asked here.
    """
    submitted = submissions(sweep)
    if not submitted:
        return []
    found = grid_engine.queue(job_name(sweep))
    return [
        Place(number, one.job, index, found[one.job, index])
        for one in submitted
        for index, number in enumerate(one.tasks, start=1)
        if (one.job, index) in found
    ]


def in_words(places: Sequence[Place]) -> dict[int, str]:
    """How tasks are in the queue, for people to read, by their number."""
    words, reasons = {}, {}
    for place in sorted(places, key=lambda place: place.word in ALIVE):
        words[place.number] = place.word
        if place.word == "lost":
            words[place.number] = "lost: its host does not answer"
        if place.word == "error":
            if place.job not in reasons:
                reasons[place.job] = grid_engine.error_reasons(place.job)
            why = reasons[place.job].get(place.index, f"see qstat -j {place.job}")
            words[place.number] = f"error: {why}"
    return words
