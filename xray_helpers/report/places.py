"""The places in `report.md` that the kit writes, and nothing else of it.

A place is two lines of their own and what stands between them:

    <!-- facts: curves -->
    ...
    <!-- end of facts -->

When it is written, its first line gets a fingerprint of what was written, so that a later run sees
whether somebody edited it.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from xray_helpers.errors import KitError

END = "<!-- end of facts -->"
_BEGIN = re.compile(r"<!-- facts: (\w+)(?:, written by xray report \((\w{8})\))? -->")
_ANY = re.compile(r"<!--\s*(facts\s*:|end of facts)", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """One place.

    Attributes:
        name: which facts.
        first, last: the numbers of its marker lines, from 0.
        text: what stands between them, without the last line's end.
        edited: whether it was changed since the kit wrote it.
        written: whether the kit wrote it at all.
    """

    name: str
    first: int
    last: int
    text: str
    edited: bool
    written: bool


def find_places(text: str, file: str = "report.md") -> dict[str, Place]:
    """The places in a text, in their order.

    Raises:
        KitError: a marker line has no partner, is not as the kit writes it, or occurs twice.
    """
    places: dict[str, Place] = {}
    lines = text.splitlines()
    begun: tuple[int, str, str | None] | None = None
    for number, line in enumerate(lines):
        if not _ANY.search(line):
            continue
        where, found = f"{file}, line {number + 1}", _BEGIN.fullmatch(line.strip())
        if line.strip() == END:
            if begun is None:
                raise KitError(f"{where}: '{END}' ends nothing; delete this line.")
            first, name, fingerprint = begun
            inside = "\n".join(lines[first + 1 : number])
            edited = fingerprint is not None and fingerprint != _fingerprint(inside)
            places[name] = Place(name, first, number, inside, edited, fingerprint is not None)
            begun = None
        elif found is None:
            raise KitError(f"{where}: this line is no marker as the kit writes it; restore it.")
        elif begun is not None:
            raise KitError(_not_ended(file, begun))
        elif found[1] in places:
            raise KitError(f"{where}: the facts '{found[1]}' have a second place; delete one.")
        else:
            begun = (number, found[1], found[2])
    if begun is not None:
        raise KitError(_not_ended(file, begun))
    return places


def _not_ended(file: str, begun: tuple[int, str, str | None]) -> str:
    return (
        f"{file}, line {begun[0] + 1}: the facts '{begun[1]}' have no end; put the line '{END}' "
        "behind them."
    )


def fill_places(text: str, content: Mapping[str, str], file: str = "report.md") -> str:
    """The text with these places written anew; every other byte of it stays.

    Args:
        text: the report, with whatever line ends it has.
        content: name of a place -> Markdown. Places without content stay as they are.
        file: the report's name, for messages.

    Raises:
        KitError: as `find_places`.
    """
    places = find_places(text, file)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in text else "\n"
    # From the last place to the first, so that the line numbers before it stay true.
    for place in reversed(places.values()):
        if place.name in content:
            inside = content[place.name].rstrip("\n")
            marker = (
                f"<!-- facts: {place.name}, written by xray report ({_fingerprint(inside)}) -->"
            )
            block = end.join([marker, *inside.split("\n")]) + end
            lines[place.first : place.last] = [block]
    return "".join(lines)


def words_only(text: str) -> list[tuple[int, str]]:
    """The lines outside all places, each with its number from 1: what the student wrote."""
    places = find_places(text).values()
    inside = {n for place in places for n in range(place.first, place.last + 1)}
    return [(n + 1, line) for n, line in enumerate(text.splitlines()) if n not in inside]


def _fingerprint(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
