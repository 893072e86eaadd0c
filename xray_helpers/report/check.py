"""What is wrong with a report before it is handed in, as a list that a student can act on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.report.blocks import BLOCKS, written
from xray_helpers.report.chosen import Chosen, named
from xray_helpers.report.claims import contradicted
from xray_helpers.report.fill import OPTIONAL, read_report, runs_in, template
from xray_helpers.report.pdf import picture_file
from xray_helpers.report.pictures_of import LINK
from xray_helpers.report.places import find_places, words_only
from xray_helpers.report.records import record_findings

LEAST_WORDS = 20
"""A section with fewer words of one's own is no answer."""

_PROMPT = re.compile(r"\s*>\s*\*\*Write here\*\*")
_HEADING = re.compile(r"##\s+(.*)")
_SAYS_SO = re.compile(r"\b(not|no|never|nothing|none)\b[^.!?]{0,40}\bresults?\b", re.IGNORECASE)
_OPTIONAL_SECTIONS = {"5.": "timing", "7.": "two_stage"}
_NO_WORDS = ("Machines and software",)


@dataclass(frozen=True, order=True)
class Finding:
    """Something to mend.

    Attributes:
        line: where in the report, from 1; 0 for what has no place in it.
        what: what it is and what to do.
    """

    line: int
    what: str


def check_report(path: Path, runs: Path) -> list[Finding]:
    """Everything that is wrong with a report, first line first; empty for one that is ready.

    Args:
        path: the report, a Markdown file.
        runs: the folder of all runs.

    Raises:
        KitError: the report is not there, or its marker lines are broken.
    """
    text = read_report(path)
    own = words_only(text)
    findings = [*_sections(text, own), *_figures(text, path.parent)]
    ids = runs_in(text, path.name)
    if not ids:
        findings.append(Finding(0, "No facts are filled in yet; run `xray report`."))
        return sorted(findings)
    try:
        chosen = named(runs, ids)
    except KitError as error:
        findings.append(Finding(0, f"{error} Or run `xray report --choose`."))
        return sorted(findings)
    findings += _facts(text, chosen)
    findings += [Finding(0, what) for what in record_findings(chosen)]
    findings += _marked(own, chosen)
    findings += [
        Finding(claim.line, f"'{claim.words}' contradicts the record ({claim.known}); correct it.")
        for claim in contradicted(own, chosen)
    ]
    return sorted(set(findings))


@dataclass
class _Section:
    title: str
    line: int
    lines: list[tuple[int, str]]


def _split(lines: list[tuple[int, str]]) -> list[_Section]:
    """The sections of a report: what stands before the first `##` is one too."""
    sections = [_Section("the head of the report", 1, [])]
    fenced = False
    for number, line in lines:
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading:
            sections.append(_Section(heading[1].strip(), number, []))
        else:
            sections[-1].lines.append((number, line))
    return sections


def _sections(text: str, own: list[tuple[int, str]]) -> Iterator[Finding]:
    """Prompts that are left in, sections without words, sections that are gone."""
    wanted = [section.title for section in _split(words_only(template()))[1:]]
    given = {line.strip() for line in template().splitlines()}
    sections = _split(own)
    for section in sections:
        prompts = [number for number, line in section.lines if _PROMPT.match(line)]
        optional = any(section.title.startswith(number) for number in _OPTIONAL_SECTIONS)
        instead = ", or delete the section" if optional else ""
        for number in prompts:
            yield Finding(
                number,
                f"{_called(section.title)}: the box 'Write here' is left in; answer it and delete "
                f"the box{instead}.",
            )
        words = _count(section.lines, given)
        least = 2 if section is sections[0] else LEAST_WORDS
        asked = section is sections[0] or section.title in wanted
        if asked and words < least and not prompts and section.title not in _NO_WORDS:
            yield Finding(
                section.line,
                f"{_called(section.title)}: {words} words of your own; write your answer{instead}.",
            )
    there = {_start(section.title) for section in sections}
    for title in wanted:
        if _start(title) not in there and _start(title) not in _OPTIONAL_SECTIONS:
            yield Finding(0, f"The section '{title}' is gone; put its heading back and answer it.")


def _called(title: str) -> str:
    return f"Section '{title}'" if not title.startswith("the ") else title.capitalize()


def _start(title: str) -> str:
    """What a section is known by, whatever its title became: its number."""
    return title.split()[0] if title else ""


def _count(lines: list[tuple[int, str]], given: set[str]) -> int:
    """Words of one's own: no headings, comments, pictures, boxes, nor lines of the template."""
    text = " ".join(
        line
        for _, line in lines
        if line.strip() not in given and not line.lstrip().startswith(("#", "> **Write here"))
    )
    text = re.sub(r"<!--.*?-->", " ", LINK.sub(" ", text), flags=re.DOTALL)
    return len(re.findall(r"[^\W_]+(?:[.,'’-]\w+)*", text))


def _figures(text: str, folder: Path) -> Iterator[Finding]:
    """Figures that are not there, and figures without a caption."""
    for number, line in enumerate(text.splitlines(), 1):
        for caption, address in LINK.findall(line):
            if picture_file(address, folder) is None:
                yield Finding(
                    number, f"The figure {address} is missing; run `xray report`, or remove it."
                )
            elif not caption.strip():
                yield Finding(
                    number, f"The figure {address} has no caption; write one: ![caption]({address})"
                )


def _facts(text: str, chosen: Chosen) -> Iterator[Finding]:
    """Facts that are edited, out of date, or gone."""
    places = find_places(text)
    try:
        now = written(chosen)
    except KitError as error:
        yield Finding(0, str(error))
        return
    for name in BLOCKS:
        place = places.get(name)
        if place is None:
            if name not in OPTIONAL or getattr(chosen, OPTIONAL[name]):
                yield Finding(
                    0,
                    f"The facts '{name}' have no place any more; put the lines '<!-- facts: {name} "
                    "-->' and '<!-- end of facts -->' back and run `xray report`.",
                )
        elif place.edited:
            yield Finding(
                place.first + 1,
                f"The facts '{name}' were edited by hand; write outside of the markers and run "
                "`xray report`.",
            )
        elif place.text.strip() != now[name].strip():
            yield Finding(
                place.first + 1,
                f"The facts '{name}' are not what the records say now; run `xray report`.",
            )


def _marked(own: list[tuple[int, str]], chosen: Chosen) -> Iterator[Finding]:
    """Runs that are no results, in a report that does not say so in words."""
    words = " ".join(line for _, line in own if not _PROMPT.match(line))
    if chosen.marked and not _SAYS_SO.search(words):
        ids = ", ".join(record["id"] for record in chosen.marked)
        marks = " · ".join(dict.fromkeys(m for r in chosen.marked for m in r["marks"]))
        yield Finding(
            0,
            f"Marked runs ({marks}) are in the report: {ids}. Say in your own words at its head "
            "that these numbers are not results, or name other runs.",
        )
