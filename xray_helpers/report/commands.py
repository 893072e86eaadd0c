"""`xray report` and `xray submit`."""

import sys
from pathlib import Path

import click

from xray_helpers.errors import KitError

_RUNS_DIR = click.option(
    "--runs-dir", default="auto", help="Another folder than $XRAY_RUNS or runs/."
)
_DIR = click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Another folder than report/."
)


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN...]")
@click.option("--check", is_flag=True, help="Say what is wrong with the report (or with FILE).")
@click.option("--choose", is_flag=True, help="Choose runs anew, not those in the report.")
@_DIR
@_RUNS_DIR
def report(
    names: tuple[str, ...], check: bool, choose: bool, folder: Path | None, runs_dir: str
) -> None:
    """Fill the facts of report/report.md and make report.html and report.pdf.

    RUN is a run's id or a part of it that no other has. Without RUN: the runs that the report is
    about already; at first, the best run of task 1 by its validation accuracy, up to four
    architectures of task 2, and the newest runs of 04_cpu_vs_gpu and 06_two_stage. Your words stay
    as they are.

    With --check, nothing is written; exit status 1 when something is to be mended.
    """
    from xray_helpers.paths import runs_folder
    from xray_helpers.report.fill import REPORT, report_folder, write_report

    runs, folder = runs_folder(runs_dir), report_folder(folder)
    if check:
        if len(names) > 1 or choose:
            raise click.UsageError("--check takes at most one FILE, and no --choose.")
        sys.exit(_check(Path(names[0]) if names else folder / REPORT, runs))
    done = write_report(folder, runs, names, choose)
    click.echo("Runs: " + ", ".join(record["id"] for record in done.chosen.all))
    for note in done.notes:
        click.echo(f"- {note}")
    click.echo(
        f"Write in {done.folder / REPORT}; to look at: report.html and report.pdf beside it."
    )
    if any("is not there" in note for note in done.notes):
        sys.exit(1)


def _check(path: Path, runs: Path) -> int:
    """Print what is wrong with a report; the exit status."""
    from xray_helpers.report.check import check_report

    findings = check_report(path, runs)
    for finding in findings:
        where = f"{path.name}:{finding.line}: " if finding.line else ""
        click.echo(f"{where}{finding.what}")
    click.echo(f"\n{len(findings)} to mend." if findings else "Nothing to mend.")
    click.echo(
        "Numbers are compared with the records where a sentence names the network: accuracy, loss, "
        "k of n right, recall, precision, parameters, epochs. All others are yours to check."
    )
    return 1 if findings else 0


@click.command()
@click.option("--course", help="Such as bio-dl-2026; else from submit.toml.")
@click.option("--assignment", help="Such as xray; else from submit.toml.")
@click.option("--student", help="Your student id; else from submit.toml.")
@click.option(
    "--notebook",
    "notebooks",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="An executed notebook; may be given several times. Without: found in notebooks/.",
)
@click.option("--anyway", is_flag=True, help="Hand in although `xray report --check` refuses.")
@_DIR
@_RUNS_DIR
def submit(
    course: str | None,
    assignment: str | None,
    student: str | None,
    notebooks: tuple[Path, ...],
    anyway: bool,
    folder: Path | None,
    runs_dir: str,
) -> None:
    """Make what is handed in: one PDF (code of task 1, of task 2, report) and one zip.

    The zip holds the executed notebooks, the runs' records and figures, the report, and their
    checksums. Both lie in the report's folder.
    """
    from xray_helpers.paths import runs_folder
    from xray_helpers.report.check import check_report
    from xray_helpers.report.fill import REPORT, report_folder
    from xray_helpers.report.submit import names_from, pack

    runs, folder = runs_folder(runs_dir), report_folder(folder)
    name = names_from(course, assignment, student)
    findings = check_report(folder / REPORT, runs)
    if findings and not anyway:
        _check(folder / REPORT, runs)
        raise KitError("Nothing is packed; mend these, or add --anyway.")
    packed = pack(name, folder, runs, notebooks)
    for path, size in packed.files:
        click.echo(f"{size:>12,}  {path}")
    for note in packed.notes:
        click.echo(f"- {note}")
    if findings:
        click.echo(f"Packed although {len(findings)} things are to mend (--anyway).")
    click.echo(f"Hand in {packed.pdf}\n   and  {packed.zip}")
