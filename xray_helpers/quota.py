"""How much of a cluster's disks is ours: what its commands `quota` and `pquota` say.

Free space on a cluster's disk is no answer: all its users share it, each with a limit.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.programs import said

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d[\d,]*\.?\d*)([KMGT]?)\*?")  # the star: over the limit


@dataclass(frozen=True)
class Quota:
    """What lies somewhere, and what may.

    Attributes:
        used: bytes.
        limit: bytes.
    """

    used: float
    limit: float

    @property
    def left(self) -> float:
        """Bytes that may still be written, 0 where it is over its limit."""
        return max(self.limit - self.used, 0.0)


def home_quota() -> Quota | None:
    """The user's quota, of several the fullest; None where `quota -s` says none."""
    found = read_quota(said("quota", "-s"))
    return max(found, key=lambda quota: quota.used / quota.limit, default=None)


def space_quota(folder: Path) -> Quota | None:
    """The quota of the project's space that `folder` lies in; None where `pquota` knows none."""
    return read_pquota(said("pquota"), folder)


def read_quota(text: str) -> list[Quota]:
    """Read what `quota -s` prints: Linux's table, or the SCC's, whose sizes are in GB.

    Both have the columns used, quota and limit in this order, first for sizes and then for
    numbers of files; a 0 in place of a limit means that there is none.
    """
    column, unit = 0, 1.0
    found = []
    name: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if "quota" in words and "limit" in words:
            column = words.index("quota")
            unit = 1e9 if words[column - 1] == "GB" else 1024.0
        elif len(words) == 1:  # Linux puts a long name on a line of its own
            name = words
        elif column:
            row = [_bytes(word, unit) for word in (name + words)[column - 1 : column + 2]]
            name = []
            if len(row) == 3 and None not in row and (row[1] or row[2]):
                found.append(Quota(row[0], row[1] or row[2]))
    return found


def read_pquota(text: str, folder: Path) -> Quota | None:
    """Read what the SCC's `pquota` prints: a row a space, with GB, files, GB used, files used.

    Returns:
        That of the innermost space that holds `folder`, or None.
    """
    found: dict[str, Quota] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or not words[0].startswith("/") or not folder.is_relative_to(words[0]):
            continue
        limit, used = _bytes(words[1], 1e9), _bytes(words[3], 1e9)
        if limit and used is not None:
            found[words[0]] = Quota(used, limit)
    return found[max(found, key=len)] if found else None


def _bytes(word: str, unit: float) -> float | None:
    """A size in bytes; a number without a letter behind it is in `unit`s. None: no size."""
    match = _SIZE.fullmatch(word)
    if not match:
        return None
    return float(match[1].replace(",", "")) * _UNITS.get(match[2], unit)
