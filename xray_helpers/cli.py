"""The command `xray`. Imports what a command needs only when it runs."""

import json as json_module
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

from xray_helpers import __version__
from xray_helpers.cli_cpu_gpu import cpu_gpu
from xray_helpers.cli_get import data_build, data_get, weights
from xray_helpers.cli_sweep import sweep
from xray_helpers.errors import KitError
from xray_helpers.report.commands import report, submit


class _Group(click.Group):
    """Shows a problem that the user can solve as one sentence and exits with 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KitError as error:
            click.echo(f"xray: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xray")
def main() -> None:
    """Chest X-ray assignment: check the set-up, get data, look at runs."""


@main.command()
def doctor() -> None:
    """Say whether this machine is ready for the notebooks; exit status 1 if not."""
    from xray_helpers.doctor import examine

    signs = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
    checks = examine()
    width = max(len(c.what) for c in checks)
    for check in checks:
        click.echo(f"{signs[check.level]}  {check.what:{width}}  {check.found}")
    problems = sum(c.level == "problem" for c in checks)
    click.echo("\nReady." if not problems else f"\n{problems} to solve first.")
    sys.exit(1 if problems else 0)


@main.group()
def data() -> None:
    """Get pictures, look at a folder of them, or draw one."""


data.add_command(data_get)
data.add_command(data_build)
main.add_command(weights)
main.add_command(report)
main.add_command(submit)
main.add_command(sweep)
main.add_command(cpu_gpu)


@data.command("check")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data_check(folder: Path | None, as_json: bool) -> None:
    """Look for what would falsify a result in FOLDER (default: $XRAY_DATA, else data/).

    Exit status 1 when such a thing is found.
    """
    import os

    from xray_helpers.data.audit import audit
    from xray_helpers.paths import resolve

    progress = "Looking at pictures" if sys.stderr.isatty() else None
    found = audit(folder or resolve(os.environ.get("XRAY_DATA") or "data"), progress)
    click.echo(json_module.dumps(found.to_json(), indent=2) if as_json else found.text())
    sys.exit(0 if found.ok else 1)


@data.command("demo")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--per-class", type=click.IntRange(2), help="Training pictures of each class.")
@click.option("--test-per-class", type=click.IntRange(1), help="Test pictures of each class.")
def data_demo(folder: Path, seed: int, per_class: int | None, test_per_class: int | None) -> None:
    """Draw chest X-rays into FOLDER, in the layout and number of the class's own."""
    from xray_helpers.data.generate import write_demo

    write_demo(folder, seed=seed, per_class=per_class, test_per_class=test_per_class)
    click.echo(f"{folder} is ready: set XRAY_DATA={folder.resolve()} or data_dir to use it.")


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def recipes(name: str | None, as_json: bool) -> None:
    """List the named recipes, for `-p recipe NAME`; with NAME, everything about one."""
    from xray_helpers.models.catalogue import recipe_lines, recipe_page
    from xray_helpers.models.recipes import RECIPES, find_recipe

    chosen = [find_recipe(name)] if name else list(RECIPES.values())
    if as_json:
        from xray_helpers import quiet_import  # noqa: F401
        from xray_helpers.models.describe import recipe_counts

        click.echo(json_module.dumps([recipe_counts(r) for r in chosen], indent=2))
    else:
        click.echo(recipe_page(chosen[0]) if name else "\n".join(recipe_lines()))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
@click.option("--runs-dir", default="auto", help="Another folder than $XRAY_RUNS or runs/.")
def runs(as_json: bool, runs_dir: str) -> None:
    """List all runs, oldest first, and how each ended."""
    from xray_helpers.paths import runs_folder
    from xray_helpers.runs.store import list_runs, state

    folder = runs_folder(runs_dir)
    records = list_runs(folder)
    if as_json:
        click.echo(json_module.dumps([{**r, "state": state(r)} for r in records], indent=2))
        return
    if not records:
        click.echo(f"No runs in {folder} yet; run a notebook first.")
    for record in records:
        click.echo(f"{record['id']:60} {state(record):12} {_result(record)}")


def _result(record: dict) -> str:
    """The end of a run's line: its test accuracy, or its error."""
    if record["status"] in ("failed", "unreadable"):
        first = (record.get("error") or "").partition("\n")[0]
        return textwrap.shorten(first, 160, placeholder=" …")
    marks = f"  [{' · '.join(record['marks'])}]" if record.get("marks") else ""
    if record["status"] != "complete" or "test" not in record:
        return record.get("notebook", "") + marks
    test = record["test"]["accuracy"]
    interval = f"({test['low']:.3f} to {test['high']:.3f}, n = {test['n']})"
    return f"test accuracy {test['value']:.3f} {interval}{marks}"


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--runs-dir", default="auto", help="Another folder than $XRAY_RUNS or runs/.")
def compare(names: tuple[str, ...], runs_dir: str) -> None:
    """Put runs side by side, then say which the test pictures can tell apart.

    RUN is a run's id or a part of it that no other has. Up to three runs are compared each with
    each; of more, the one with the best validation accuracy with each other. That one is compared
    with the floors too.
    """
    from xray_helpers.paths import runs_folder
    from xray_helpers.runs import comparison, find_run, side_by_side, state
    from xray_helpers.runs.pairs import correction_note, has_predictions, pairs_of

    records = [find_run(runs_folder(runs_dir), name) for name in names]
    for record in records:
        if record["status"] != "complete" or "test" not in record:
            raise KitError(
                f"{record['id']} ({record.get('notebook')}, {state(record)}) has no test result to "
                "compare; choose complete runs of 01_task1 or 02_task2."
            )
    if len({(r["task"], r["data"]["fingerprint"]) for r in records}) > 1:
        raise KitError("These runs are of different tasks or pictures and cannot be compared.")
    click.echo(side_by_side(comparison(records)).to_string())
    pairs = pairs_of(records)
    if pairs:
        click.echo("\nPicture by picture:")
    for pair in pairs:
        click.echo(f"- {pair.sentence}")
    if note := correction_note(pairs, intervals=False):
        click.echo(f"\n{note}")
    for record in records:
        if not has_predictions(record):
            click.echo(f"\n{record['id']} has no predictions.csv: its pictures are not compared.")


@main.command()
@click.option("--clear", "empty", is_flag=True, help="Empty it; weights files stay.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cache(empty: bool, as_json: bool) -> None:
    """Show what was computed once and kept: features, search results, drawn pictures.

    All of it is made again when it is needed.
    """
    from xray_helpers.training import cache_contents

    if empty:
        freed, left = cache_contents.clear(), cache_contents.others()
        if as_json:
            click.echo(json_module.dumps({"freed_bytes": freed, "left": left}, indent=2))
            return
        click.echo(f"Freed {cache_contents.megabytes(freed)}.")
    items = cache_contents.contents()
    if as_json:
        click.echo(json_module.dumps(cache_contents.as_json(items), indent=2))
    else:
        click.echo(cache_contents.as_text(items))
