"""A sweep on a cluster with Grid Engine: an array job for its tasks, and a job that collects.

What a task has come to is in its run's record, as everywhere: one that was killed, ran out of time
or lost its host is neither complete nor in the queue any more, and is submitted again by the same
command.
"""

import contextlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.files import write_text
from xray_helpers.paths import project_root
from xray_helpers.sweep import grid_engine
from xray_helpers.sweep.folder import SweepFolder
from xray_helpers.sweep.grid_engine import Resources
from xray_helpers.sweep.plan import Task
from xray_helpers.sweep.show import task_lines
from xray_helpers.sweep.submitted import (
    ALIVE,
    Place,
    Submission,
    in_words,
    job_name,
    next_list,
    places_of,
    remember,
)

__all__ = ["Resources", "Submission", "dry_run", "jobs_of", "queue_states", "submit"]

COLLECTING_HOURS = 1.0


def submit(
    sweep: SweepFolder,
    resources: Resources,
    say: Callable[[str], None] = print,
    *,
    hold: Sequence[int] = (),
    collect: bool = True,
) -> Submission | None:
    """Submit what is neither complete nor in the queue nor running elsewhere.

    Args:
        sweep: its folder.
        resources: what each task asks for.
        say: called with lines about what was done.
        hold: jobs that have to end, in whatever way, before the tasks begin.
        collect: submit the job that puts the results together, too.

    Returns:
        What was submitted; None where there was nothing to submit.

    Raises:
        KitError: no `qsub` here, it refuses, or it does not answer with a job's number; a run
            needs more GPUs than are asked for.
    """
    _check(sweep, resources)
    with sweep.alone():
        places = places_of(sweep)
        todo = _todo(sweep, places)
        if not todo:
            say(_nothing_left(sweep))
            return None
        listed = next_list(sweep)
        command = _array(sweep, resources, len(todo), listed, hold)
        _make_folders(sweep, listed.parent, _says(sweep))
        write_text(listed, "".join(f"{task.number}\n" for task in todo))
        _withdraw(places, todo)
        done = Submission(grid_engine.qsub(*command), tuple(task.number for task in todo))
        remember(listed, done, resources)
        which = f"task {done.tasks[0]}" if len(todo) == 1 else f"{len(todo)} tasks"
        say(f"{sweep.plan.name}: job {done.job} runs {which}, {resources.hours:g} h each at most.")
        if collect:
            jobs = sorted({*_alive(places), done.job})
            done = replace(done, collecting=_submit_collecting(sweep, resources, jobs, say))
            remember(listed, done, resources)
    say("The same command with --status says how far it is; given again, it submits what is left.")
    return done


def _check(sweep: SweepFolder, resources: Resources) -> None:
    grid_engine.check_path(sweep.folder)
    most = max(task.settings.get("devices") or 1 for task in sweep.plan.tasks)
    if most > max(1, resources.gpus):
        raise KitError(
            f"A run needs devices={most} GPUs and --gpus {resources.gpus} asks for fewer; give "
            f"--gpus {most}."
        )


def _make_folders(sweep: SweepFolder, *folders: Path) -> None:
    try:
        for folder in folders:
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise KitError(f"{sweep.folder} cannot be written ({error.strerror}).") from error


def _submit_collecting(
    sweep: SweepFolder, resources: Resources, jobs: Sequence[int], say: Callable[[str], None]
) -> int | None:
    """The number of the job that collects; without it the tasks run all the same."""
    try:
        number = grid_engine.qsub(*_collecting(sweep, resources, jobs))
    except KitError as error:
        say(f"The job that puts the results together was not submitted: {error}")
        return None
    say(f"Job {number} then writes {sweep.folder / 'summary.txt'}.")
    return number


def dry_run(sweep: SweepFolder, resources: Resources, *, collect: bool = True) -> str:
    """What `submit` would do: the sweep's table, the commands, the script. Nothing is written."""
    _check(sweep, resources)
    try:
        places = places_of(sweep)
    except KitError as error:  # a laptop can show what a cluster would run
        places, note = [], f"\n\nThe queue was not asked: {error}"
    else:
        note = ""
    todo = _todo(sweep, places)
    lines = ["\n".join(task_lines(sweep, in_words(places))) + note, ""]
    if not todo:
        return "\n".join([*lines, _nothing_left(sweep)])
    listed = next_list(sweep)
    array = _array(sweep, resources, len(todo), listed)
    numbers = " ".join(str(task.number) for task in todo)
    lines += [
        f"An array job for the tasks {numbers} (a line each in {listed}):",
        "",
        shlex.join(grid_engine.qsub_command(*array)),
        "",
    ]
    if collect:
        lines += [
            "A job that puts the results together when it has ended, JOB being its number:",
            "",
            shlex.join(grid_engine.qsub_command(*_collecting(sweep, resources, ["JOB"]))),
            "",
        ]
    script = _script()
    lines += [f"They run {script}:", "", script.read_text(encoding="utf-8")]
    return "\n".join([*lines, "Nothing was submitted."])


def queue_states(sweep: SweepFolder) -> dict[int, str]:
    """How tasks are in the queue, by their number; those that are not there are missing.

    "queued", "held", "running", "error: why", or "lost: its host does not answer".

    Raises:
        KitError: the sweep was submitted, and the queue cannot be asked here.
    """
    return in_words(places_of(sweep))


def jobs_of(sweep: SweepFolder) -> list[int]:
    """The array jobs of the sweep that are in the queue or running, for another one's `hold`.

    Raises:
        KitError: the sweep was submitted, and the queue cannot be asked here.
    """
    return _alive(places_of(sweep))


def _alive(places: Sequence[Place]) -> list[int]:
    return sorted({place.job for place in places if place.word in ALIVE})


def _todo(sweep: SweepFolder, places: Sequence[Place]) -> list[Task]:
    """What is to be submitted. `places` was asked for first: what ends meanwhile is complete."""
    alive = {place.number for place in places if place.word in ALIVE}
    return [task for task in sweep.unfinished() if task.number not in alive]


def _withdraw(places: Sequence[Place], todo: Sequence[Task]) -> None:
    """Take out of the queue what stands there for good and is about to be submitted again."""
    numbers = {task.number for task in todo}
    for place in places:
        if place.number in numbers:
            with contextlib.suppress(KitError):  # gone by itself
                grid_engine.qdel(place.job, place.index)


def _array(
    sweep: SweepFolder, resources: Resources, count: int, listed: Path, hold: Sequence[int] = ()
) -> tuple[list[str], Path, list[str]]:
    """What `grid_engine.qsub` is told for the array job."""
    options = [*_usual(sweep), *_hold(hold), "-t", f"1-{count}", *resources.options()]
    return options, _script(), [str(sweep.folder), str(listed)]


def _collecting(
    sweep: SweepFolder, resources: Resources, jobs: Sequence[int | str]
) -> tuple[list[str], Path, list[str]]:
    """What `grid_engine.qsub` is told for the job that waits for `jobs`."""
    small = replace(resources, gpus=0, cores=1, hours=COLLECTING_HOURS)
    return [*_usual(sweep), *_hold(jobs), *small.options()], _script(), [str(sweep.folder)]


def _hold(jobs: Sequence[int | str]) -> list[str]:
    return ["-hold_jid", ",".join(map(str, jobs))] if jobs else []


def _usual(sweep: SweepFolder) -> list[str]:
    """Name, and folders: to run in, and for a file of what each task says."""
    return [
        "-N", job_name(sweep), "-wd", str(project_root()), "-j", "y", "-o", str(_says(sweep)),
    ]  # fmt: skip


def _says(sweep: SweepFolder) -> Path:
    """Where Grid Engine puts what a job says before the task's own log is open."""
    return sweep.folder / "jobs"


def _script() -> Path:
    script = project_root() / "scc" / "sweep_array.qsub"
    if not script.is_file():
        raise KitError(f"There is no {script}; give the command in the project's folder.")
    return script


def _nothing_left(sweep: SweepFolder) -> str:
    if all(one.state == "complete" for one in sweep.states()):
        return "Nothing to submit: all tasks are complete."
    return "Nothing to submit: what is not complete is in the queue or running."
