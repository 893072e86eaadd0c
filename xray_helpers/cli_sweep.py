"""`xray sweep`: a notebook with many settings, here or on a cluster."""

import sys
from pathlib import Path
from typing import Any

import click

from xray_helpers.cli_cluster import cluster_options
from xray_helpers.errors import KitError


@click.command()
@click.argument("notebook", required=False)
@click.option("--grid", multiple=True, metavar="NAME=A,B", help="A setting and its values.")
@click.option("--file", "table", type=click.Path(path_type=Path), help="A TSV, a row a task.")
@click.option("--recipes", metavar="PATTERN", help="Recipes by name, such as 't2-*'.")
@click.option("-p", "fixed", multiple=True, type=(str, str), help="A setting of all tasks.")
@cluster_options(hours=12.0)
@click.option("--jobs", type=click.IntRange(1), help="Tasks at a time (local). [one a GPU, or 1]")
@click.option("--gpus", type=click.IntRange(0), default=1, show_default=True, help="A task (sge).")
@click.option("--name", help="The sweep's name; given alone, goes on with that sweep.")
@click.option("--runs-dir", default="auto", help="Another folder than $XRAY_RUNS or runs/.")
@click.option("--dry-run", is_flag=True, help="Check and show all; run and submit nothing.")
@click.option("--status", is_flag=True, help="Say how far it has come; without more, of all.")
def sweep(
    notebook: str | None,
    grid: tuple[str, ...],
    table: Path | None,
    recipes: str | None,
    fixed: tuple[tuple[str, str], ...],
    where: str,
    jobs: int | None,
    name: str | None,
    runs_dir: str,
    dry_run: bool,
    status: bool,
    **resources: Any,
) -> None:
    """Run NOTEBOOK with every combination of settings, each in a process of its own.

    All combinations are checked before the first one starts. What is complete is not run again:
    the same command goes on after an interrupt, a kill or a failure. Exit status 0 only when all
    are complete (with --on sge: when all are complete or submitted).

    \b
    xray sweep 02_task2 --grid backbone=vgg16,resnet50 --grid dropout=0.2,0.5
    xray sweep --recipes 't2-*' -p epochs 20 --jobs 2
    xray sweep 02_task2 --file sweep.tsv --on sge --project NAME --hours 2
    """
    from xray_helpers.paths import runs_folder
    from xray_helpers.sweep.folder import sweeps_folder
    from xray_helpers.sweep.show import all_sweeps

    runs = runs_folder(runs_dir).absolute()
    planned = bool(notebook or grid or table or recipes)
    if status and not planned and not name:
        click.echo(all_sweeps(sweeps_folder(runs)))
        return
    if where == "sge" and jobs:
        raise KitError("--jobs is for --on local; the scheduler decides how many run at a time.")
    folder = _sweep(notebook, grid, table, recipes, fixed, name, runs, planned, dry=dry_run)
    if where == "sge":
        _on_sge(folder, resources, dry_run, status)
    else:
        _here(folder, jobs, dry_run, status)


def _sweep(
    notebook: str | None,
    grid: tuple[str, ...],
    table: Path | None,
    recipes: str | None,
    fixed: tuple[tuple[str, str], ...],
    name: str | None,
    runs: Path,
    planned: bool,
    *,
    dry: bool,
) -> Any:
    """The sweep that the command means, begun before or now; a dry run writes nothing."""
    from xray_helpers.sweep import SweepFolder, open_sweep, plan_sweep, save_sweep
    from xray_helpers.sweep.folder import sweeps_folder
    from xray_helpers.sweep.plan import parse_grid
    from xray_helpers.sweep.values import parse_value

    if not planned:
        if not name:
            raise KitError("Name a notebook and what to vary; `xray sweep --help` has examples.")
        return open_sweep(sweeps_folder(runs) / name)
    plan = plan_sweep(
        notebook,
        grid=parse_grid(grid),
        table=table,
        recipes=recipes,
        fixed={key: parse_value(value) for key, value in fixed},
        name=name,
    )
    return SweepFolder(sweeps_folder(runs) / plan.name, plan) if dry else save_sweep(plan, runs)


def _here(folder: Any, jobs: int | None, dry_run: bool, status: bool) -> None:
    from xray_helpers.sweep.collect import collect, summary
    from xray_helpers.sweep.local import dealt, run_sweep
    from xray_helpers.sweep.show import task_lines

    if status or dry_run:
        click.echo("\n".join(task_lines(folder)))
        if dry_run:
            shares = dealt(folder, jobs)
            gpus = f", GPUs {' and '.join(s.gpus for s in shares)}" if shares[0].gpus else ""
            each = f"{len(shares)} at a time with {shares[0].threads} threads each{gpus}"
            click.echo(f"\nIn {folder.folder}, {each}; nothing was run.")
        return
    click.echo(f"{folder.plan.name}: {len(folder.plan.tasks)} tasks, in {folder.folder}")
    try:
        run_sweep(folder, jobs=jobs, say=_say)
    except KeyboardInterrupt:
        states = folder.states()
        done = sum(one.state == "complete" for one in states)
        click.echo(
            f"\nStopped: {done} of {len(states)} tasks are complete; the same command goes on.",
            err=True,
        )
        sys.exit(130)
    complete = collect(folder)
    click.echo()
    click.echo(summary(folder))
    sys.exit(0 if complete else 1)


def _on_sge(folder: Any, resources: dict[str, Any], dry_run: bool, status: bool) -> None:
    from xray_helpers.sweep import sge
    from xray_helpers.sweep.show import task_lines

    if status:
        click.echo("\n".join(task_lines(folder, sge.queue_states(folder))))
        return
    asked = sge.Resources(**resources)
    if dry_run:
        click.echo(sge.dry_run(folder, asked))
        return
    if sge.submit(folder, asked, say=click.echo) is None:
        click.echo("\n".join(task_lines(folder, sge.queue_states(folder))))


def _say(line: str) -> None:
    """A line that a progress bar in the same terminal does not cover."""
    from tqdm import tqdm

    tqdm.write(line)
