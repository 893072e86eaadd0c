"""The figures of a report: copied from the runs, or drawn from their records."""

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from xray_helpers.report.blocks.marks import DRAWN
from xray_helpers.report.chosen import Chosen, Record

LINK = re.compile(r"!\[([^\]]*)\]\(\s*<?([^)>]*?)>?\s*\)")
"""A picture in Markdown: its caption, its address."""


def place_figures(texts: Iterable[str], chosen: Chosen, folder: Path) -> list[str]:
    """Put every figure that these facts show below `folder`.

    Args:
        texts: facts, with links such as `figures/<run>/tsne.png`.
        chosen: the runs that they are of.
        folder: the report's folder.

    Returns:
        The figures that the runs do not have, as `<run>/figures/<name>`.
    """
    missing = []
    runs = {record["id"]: record for record in chosen.all}
    links = [link for text in texts for _, link in LINK.findall(text)]
    for link in dict.fromkeys(links):
        _, run, name = link.split("/")
        if run == DRAWN:
            continue
        source, target = Path(runs[run]["folder"]) / "figures" / name, folder / link
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        else:
            target.unlink(missing_ok=True)
            missing.append(f"{run}/figures/{name}")
    if any(link.split("/")[1] == DRAWN for link in links):
        _draw(chosen.task2, folder / "figures" / DRAWN)
    return missing


def _draw(records: Sequence[Record], folder: Path) -> None:
    """The comparison of these runs and of no others, which no notebook can have drawn."""
    import matplotlib as mpl

    from xray_helpers import plotting
    from xray_helpers.runs.compare import comparison, histories
    from xray_helpers.runs.record import all_marks

    with mpl.rc_context({"backend": "agg"}):
        marks = all_marks(records)
        dots = comparison(records).rename(columns={"run": "name", "test accuracy": "value"})
        chance = 1 / len(records[0]["data"]["counts"]["train"])
        accuracy = plotting.compare_accuracy(dots, chance=chance)
        plotting.save(plotting.stamp(accuracy, marks), folder / "comparison_accuracy.png")
        if len(records) > 1 and (found := histories(records)):
            curves = plotting.compare_curves(found)
            plotting.save(plotting.stamp(curves, marks), folder / "comparison_curves.png")
