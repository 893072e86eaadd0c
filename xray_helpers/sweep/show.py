"""How far sweeps have come, in lines of text."""

from collections.abc import Mapping
from pathlib import Path

from xray_helpers.sweep.collect import task_line
from xray_helpers.sweep.folder import FILE, SweepFolder, open_sweep


def task_lines(sweep: SweepFolder, queued: Mapping[int, str] | None = None) -> list[str]:
    """A line a task: number, notebook, settings, and how far it has come.

    Args:
        sweep: its folder, which need not be there yet.
        queued: what a scheduler says of tasks that have not begun, by number.
    """
    states = sweep.states()
    done = sum(one.state == "complete" for one in states)
    lines = [f"{sweep.plan.name}: {done} of {len(states)} complete", ""]
    for one in states:
        said = (queued or {}).get(one.task.number)
        lines.append(task_line(sweep, one, said if one.state != "complete" else None))
    return lines


def all_sweeps(folder: Path) -> str:
    """A line for each sweep below `folder`, the newest last."""
    files = sorted(folder.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime)
    if not files:
        return f"No sweeps in {folder} yet; `xray sweep --help` has examples."
    lines = []
    for file in files:
        states = open_sweep(file.parent).states()
        counts = {name: sum(s.state == name for s in states) for name in _STATES}
        said = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        lines.append(f"{file.parent.name:40} {said}")
    return "\n".join(lines)


_STATES = ("complete", "running", "failed", "interrupted", "waiting")
