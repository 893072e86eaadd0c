"""Markdown of facts: tables, figures, names and numbers, the same in all blocks."""

from collections.abc import Iterable, Sequence
from typing import Any

from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.report.chosen import Record
from xray_helpers.runs.compare import run_name

DRAWN = "all"
"""The folder below `figures/` of what is drawn for the report itself."""


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], numbers: int = 0) -> str:
    """A Markdown table, its last `numbers` columns set to the right."""
    rule = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    lines = [_row(header), _row(rule), *(_row([cell(x) for x in row]) for row in rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(value: Any) -> str:
    """What stands in a table: "–" where nothing is known, no line ends, no bars."""
    if value is None or value == "":
        return "–"
    return str(value).replace("|", "\\|").replace("\n", " ")


def figure(record: Record, name: str, caption: str) -> str:
    """A run's figure, whether it is there or not: a missing one is to be noticed."""
    return f"![{_caption(caption)}](figures/{record['id']}/{name}.png)"


def drawn(name: str, caption: str) -> str:
    """A figure that the report draws itself, see `report.pictures_of`."""
    return f"![{_caption(caption)}](figures/{DRAWN}/{name}.png)"


def _caption(text: str) -> str:
    return text.replace("[", "(").replace("]", ")")


def name_of(record: Record) -> str:
    """A run's name in the report: network and the last four of its id, such as `vgg16 #adf0`."""
    model = record.get("model", {})
    return f"{model.get('backbone') or model.get('recipe') or record['task']} #{record['id'][-4:]}"


def full_name(record: Record) -> str:
    """The name with recipe and changes, as figures have it."""
    return run_name(record)


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals."""
    return "–" if value is None else f"{value:.{digits}f}"


def estimate(figures: dict[str, Any] | None) -> str:
    """A figure with n and interval, as everywhere in the kit."""
    return "–" if not figures else str(Estimate.from_dict(figures))


def not_a_result(record: Record) -> str:
    """The run's marks, "" without any."""
    return " · ".join(record.get("marks", []))


def parts(*texts: str) -> str:
    """Texts with an empty line between them, the empty ones left out."""
    return "\n\n".join(text for text in texts if text)
