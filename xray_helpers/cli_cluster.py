"""Options of the commands that run here or on a cluster."""

from collections.abc import Callable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable)


def cluster_options(hours: float) -> Callable[[Command], Command]:
    """A decorator: `--on`, and what a job asks a cluster for, see `sweep.grid_engine.Resources`.

    Args:
        hours: after so many a job is killed, unless `--hours` says otherwise.
    """
    options = (
        click.option("--on", "where", type=click.Choice(["local", "sge"]), default="local"),
        click.option(
            "--gpu-c", type=float, default=7.0, show_default=True, help="Least capability (sge)."
        ),
        click.option(
            "--cores", type=click.IntRange(1), default=4, show_default=True, help="A job (sge)."
        ),
        click.option(
            "--hours", type=float, default=hours, show_default=True, help="A job, at most (sge)."
        ),
        click.option("--project", help="Whose account the jobs run on (sge). [$SCC_PROJECT]"),
        click.option("--modules", help="Modules that the jobs load, in quotes (sge)."),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
