"""CPU against GPU: the same training timed by two runs, and a third run that merges them.

Each is a sweep of one task, so that each can ask a cluster for other machines, and so that what
is complete is not done again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.runs.timings import timings_to_merge
from xray_helpers.settings import TimingSettings
from xray_helpers.sweep.folder import SweepFolder, save_sweep, sweeps_folder
from xray_helpers.sweep.plan import plan_sweep
from xray_helpers.sweep.tasks import Plan, Task

NOTEBOOK = "04_cpu_vs_gpu"
DEVICES = ("gpu", "cpu")


@dataclass(frozen=True)
class Comparison:
    """The sweeps of one comparison.

    Attributes:
        timed: "gpu", "cpu" -> the sweep whose one task times this device.
        merged: the sweep whose one task merges them; None where there is one device alone.
    """

    timed: dict[str, SweepFolder]
    merged: SweepFolder | None

    @property
    def sweeps(self) -> dict[str, SweepFolder]:
        """All of them, in the order in which they run."""
        return self.timed | ({"merged": self.merged} if self.merged else {})

    @property
    def last(self) -> SweepFolder:
        """The one whose run is for the report."""
        return list(self.sweeps.values())[-1]

    def save(self) -> None:
        """Make their folders, or open those that were made before.

        Raises:
            KitError: a folder cannot be written.
        """
        for sweep in self.sweeps.values():
            save_sweep(sweep.plan, sweep.runs)


def plan_comparison(
    settings: Mapping[str, Any], runs: Path, devices: Sequence[str] = DEVICES
) -> Comparison:
    """What a comparison runs, checked; nothing is written.

    Args:
        settings: of the notebook; what `merge` names is merged too.
        runs: the folder of all runs.
        devices: which of "gpu" and "cpu" to time.

    Raises:
        KitError: a setting that is wrong.
    """
    if "measure" in settings:
        raise KitError("measure is what this command varies; leave it out.")
    shared = dict(settings)
    others = str(shared.pop("merge", ""))
    timings_to_merge(TimingSettings(merge=others), runs)
    plan = plan_sweep(NOTEBOOK, grid={"measure": DEVICES}, fixed=shared)
    name = plan.name.replace(NOTEBOOK, "cpu-gpu")
    timed = {
        device: _sweep(f"{name}-{device}", replace(task, number=1), runs)
        for device, task in zip(DEVICES, plan.tasks, strict=True)
        if device in devices
    }
    if len(timed) == 1 and not others:
        return Comparison(timed, None)
    merge = ",".join([*(str(sweep.folder) for sweep in timed.values()), *([others] * bool(others))])
    key = hashlib.sha256(merge.encode()).hexdigest()[:12]
    task = Task(1, NOTEBOOK, {**shared, "measure": "none", "merge": merge}, "merged", key)
    return Comparison(timed, _sweep(f"{name}-merged-{key[:4]}", task, runs))


def _sweep(name: str, task: Task, runs: Path) -> SweepFolder:
    return SweepFolder(sweeps_folder(runs.resolve()) / name, Plan(name, (task,)))


def state_lines(
    comparison: Comparison, queued: Mapping[str, Mapping[int, str]] | None = None
) -> list[str]:
    """A line for each run: what it does, how far it has come, its id.

    Args:
        comparison: its sweeps, whose folders need not be there yet.
        queued: what a scheduler says of those that have not begun, by device.
    """
    lines = []
    for name, sweep in comparison.sweeps.items():
        (one,) = sweep.states()
        said = (queued or {}).get(name, {}).get(1)
        state = said if said and one.state != "complete" else one.state
        run = f"  {one.record['id']}" if one.record else ""
        lines.append(f"{name:7} {state}{run}")
    return lines


def is_complete(sweep: SweepFolder) -> bool:
    """Whether the sweep's one task is."""
    return all(one.state == "complete" for one in sweep.states())


def result(comparison: Comparison) -> str:
    """The table of the last run, which is complete, and what makes it less than fair."""
    from xray_helpers.training.timing_table import (
        TIMING,
        machine_lines,
        merge_timings,
        read_timing,
    )

    (last,) = comparison.last.states()
    folder = Path(last.record["folder"])
    timing = read_timing(folder / TIMING)
    table, notes = merge_timings([timing])
    names = {"seconds_epoch": "s an epoch", "seconds_step": "s a step", "seconds_total": "s in all"}
    text = table.rename(columns=names).to_string(
        index=False, na_rep="–", float_format=lambda x: f"{x:.4g}"
    )
    marks = last.record.get("marks")
    said = f"Not a result: {' · '.join(marks)}." if marks else ""
    about = [*machine_lines(timing), *notes, *filter(None, [said])]
    return "\n".join(["", text, "", *about, "", f"For the report: {folder}"])
