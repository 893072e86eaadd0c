"""`report/report.md` and the pages made from it."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.files import write_bytes, write_text
from xray_helpers.paths import project_root, resolve
from xray_helpers.report.blocks import BLOCKS, written
from xray_helpers.report.chosen import Chosen, chosen_by_itself, named
from xray_helpers.report.html_page import write_html
from xray_helpers.report.pdf import Part, write_pdf
from xray_helpers.report.pictures_of import place_figures
from xray_helpers.report.places import fill_places, find_places
from xray_helpers.runs.record import all_marks

REPORT = "report.md"
BEFORE = "report.before.md"
OPTIONAL = {"timing": "timing", "two_stage": "two_stage"}
"""Places that may be missing where the report has no such run: place -> part of `Chosen`."""

_RUN_ID = re.compile(r"`(\d{8}T\d{6}Z-[^`]+)`")


@dataclass(frozen=True)
class Written:
    """What `xray report` did.

    Attributes:
        folder: the report's folder.
        chosen: the runs it is about.
        notes: what the student should know, in sentences.
    """

    folder: Path
    chosen: Chosen
    notes: list[str]


def report_folder(setting: Path | None = None) -> Path:
    """The report's folder: the setting, else `$XRAY_REPORT`, else `report/` in the project."""
    return resolve(setting or os.environ.get("XRAY_REPORT") or "report")


def template() -> str:
    """The text of `report_template.md`.

    Raises:
        KitError: it is not in the project's folder.
    """
    path = project_root() / "report_template.md"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise KitError(f"{path} cannot be read ({error.strerror}); restore it.") from error


def read_report(path: Path) -> str:
    """The report's text, line ends as they are.

    Raises:
        KitError: it is not there or is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise KitError(f"{path} is not there yet; run `xray report` first.") from None
    except UnicodeDecodeError:
        raise KitError(f"{path} is not saved as UTF-8; save it so in your editor.") from None


def runs_in(text: str, file: str = REPORT) -> list[str]:
    """The ids of the runs that a report is about, from its place `runs`."""
    place = find_places(text, file).get("runs")
    return list(dict.fromkeys(_RUN_ID.findall(place.text))) if place else []


def write_report(
    folder: Path, runs: Path, names: tuple[str, ...] = (), anew: bool = False
) -> Written:
    """Fill the facts of a report and make its pages; the student's words stay as they are.

    Args:
        folder: the report's folder; the template is copied there once.
        runs: the folder of all runs.
        names: ids of runs or parts of them. Without any, the runs that the report is about
            already, or those that `chosen_by_itself` takes.
        anew: choose again although the report is about runs already.

    Raises:
        KitError: no such run; the report's marker lines are broken; a file cannot be written.
    """
    path = folder / REPORT
    text = read_report(path) if path.is_file() else template()
    places = find_places(text)
    if unknown := [place for place in places if place not in BLOCKS]:
        raise KitError(
            f"{path}, line {places[unknown[0]].first + 1}: there are no facts '{unknown[0]}'; "
            f"there are {', '.join(BLOCKS)}."
        )
    earlier = [] if anew else runs_in(text)
    ids = names or earlier
    chosen = named(runs, ids) if ids else chosen_by_itself(runs)
    notes = list(chosen.notes)
    facts = {name: block for name, block in written(chosen).items() if name in places}
    folder.mkdir(parents=True, exist_ok=True)
    notes += _lost(places, chosen)
    if edited := [place for place in places.values() if place.edited]:
        shutil.copyfile(path, folder / BEFORE)
        which = ", ".join(f"'{place.name}' (line {place.first + 1})" for place in edited)
        notes.append(
            f"The facts {which} were edited by hand and are written anew; the text as it was is "
            f"kept in {BEFORE}. Your words belong outside of the markers."
        )
    for figure in place_figures(facts.values(), chosen, folder):
        notes.append(f"The figure {figure} is not there; run that run's notebook again.")
    write_text(path, fill_places(text, facts))
    write_pages(folder, chosen)
    return Written(folder, chosen, notes)


def _lost(places: dict, chosen: Chosen) -> list[str]:
    """What is to be said of places that are not in the report any more."""
    notes = []
    for name in BLOCKS:
        needless = name in OPTIONAL and not getattr(chosen, OPTIONAL[name])
        if name not in places and not needless:
            notes.append(
                f"{REPORT} has no place for the facts '{name}' any more: they are left out. To "
                f"have them, write the lines '<!-- facts: {name} -->' and '<!-- end of facts -->' "
                "where they should stand."
            )
    return notes


def write_pages(folder: Path, chosen: Chosen) -> None:
    """Make `report.html` and `report.pdf` from `report.md`."""
    text, warning = read_report(folder / REPORT), all_marks(chosen.all).capitalize()
    write_text(folder / "report.html", write_html(text, folder, "Chest X-rays: report", warning))
    write_bytes(folder / "report.pdf", write_pdf([Part(text, folder)], "Chest X-rays", warning))
