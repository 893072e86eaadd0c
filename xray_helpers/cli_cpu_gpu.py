"""`xray cpu-gpu`: the same training timed on the CPU and on the GPU, here or on a cluster."""

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from xray_helpers.cli_cluster import cluster_options
from xray_helpers.errors import KitError

if TYPE_CHECKING:
    from xray_helpers.sweep.cpu_gpu import Comparison

MERGING_HOURS = 1.0


@click.command("cpu-gpu")
@click.option("-p", "settings", multiple=True, type=(str, str), help="A setting of the notebook.")
@cluster_options(hours=2.0)
@click.option("--runs-dir", default="auto", help="Another folder than $XRAY_RUNS or runs/.")
@click.option("--dry-run", is_flag=True, help="Check and show all; run and submit nothing.")
@click.option("--status", is_flag=True, help="Say how far it has come.")
def cpu_gpu(
    settings: tuple[tuple[str, str], ...],
    where: str,
    runs_dir: str,
    dry_run: bool,
    status: bool,
    **resources: Any,
) -> None:
    """Run 04_cpu_vs_gpu for the GPU, again for the CPU, and merge both for the report.

    With --on sge: a job with a GPU, a job without, and a third one that waits for both. Here: one
    after the other; without a GPU the CPU alone. The same command again does what is not complete.

    \b
    xray cpu-gpu --on sge --project NAME
    xray cpu-gpu -p task task2 -p backbone inception_v3
    xray cpu-gpu -p merge laptop/timing.json
    """
    from xray_helpers.paths import runs_folder
    from xray_helpers.sweep.cpu_gpu import (
        DEVICES,
        is_complete,
        plan_comparison,
        result,
        state_lines,
    )
    from xray_helpers.sweep.local import visible_gpus
    from xray_helpers.sweep.values import parse_value

    devices = DEVICES if where == "sge" or visible_gpus() else ("cpu",)
    values = {name: parse_value(text) for name, text in settings}
    comparison = plan_comparison(values, runs_folder(runs_dir).absolute(), devices)
    if devices == ("cpu",):
        click.echo(
            "No GPU here: the CPU alone is timed. On a cluster's login node, --on sge times both; "
            "-p merge FILE adds the timing.json of a machine that has one."
        )
    if where == "sge":
        _on_sge(comparison, resources, dry_run, status)
    elif status or dry_run:
        click.echo("\n".join(state_lines(comparison)))
    else:
        _here(comparison)
    if is_complete(comparison.last):
        click.echo(result(comparison))


def _here(comparison: "Comparison") -> None:
    """Run what is not complete, one after the other."""
    from tqdm import tqdm

    from xray_helpers.sweep.cpu_gpu import is_complete
    from xray_helpers.sweep.local import run_sweep

    comparison.save()
    failed: dict[str, str] = {}
    for name, sweep in comparison.sweeps.items():
        if name == "merged" and failed:
            break
        click.echo(f"{name}: {sweep.folder}")
        try:
            run_sweep(sweep, jobs=1, say=tqdm.write)
        except KeyboardInterrupt:
            click.echo("\nStopped; the same command goes on.", err=True)
            sys.exit(130)
        if not is_complete(sweep):
            failed[name] = str(sweep.log(sweep.plan.tasks[0]))
    if failed:
        raise KitError(
            f"Not complete: {' and '.join(failed)}; {' and '.join(failed.values())} say"
            f"{'s' * (len(failed) == 1)} why, and the same command tries again."
        )


def _on_sge(
    comparison: "Comparison", resources: dict[str, Any], dry_run: bool, status: bool
) -> None:
    """Submit what is not complete: a job for each device, and one that waits for them."""
    from xray_helpers.sweep import sge
    from xray_helpers.sweep.cpu_gpu import state_lines

    small = {**resources, "cores": 1, "hours": min(resources["hours"], MERGING_HOURS)}
    asked = {
        "gpu": sge.Resources(gpus=1, **resources),
        "cpu": sge.Resources(gpus=0, **resources),
        "merged": sge.Resources(gpus=0, **small),
    }
    if dry_run:
        click.echo("\n".join([*state_lines(comparison), ""]))
        for name in comparison.sweeps:
            waits = " -hold_jid GPU,CPU" if name == "merged" else ""
            click.echo(f"{name:7} qsub{waits} {shlex.join(asked[name].options())}")
        click.echo("\nEach runs scc/sweep_array.qsub; nothing was submitted.")
        return
    if not status:
        comparison.save()
        jobs: list[int] = []
        for name, sweep in comparison.sweeps.items():
            hold = jobs if name == "merged" else []
            sge.submit(sweep, asked[name], say=_not_at_all, hold=hold, collect=False)
            jobs += sge.jobs_of(sweep)
    queued = {name: sge.queue_states(sweep) for name, sweep in comparison.sweeps.items()}
    click.echo("\n".join(state_lines(comparison, queued)))
    if not status and any(queued.values()):
        click.echo(
            "\nThe same command with --status says how far it is, and in the end shows the table; "
            "given again, it submits what is left."
        )


def _not_at_all(line: str) -> None:
    """Say nothing: the table below says it."""
