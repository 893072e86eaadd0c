"""Runs compared two by two, picture by picture, from what lies in their folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.evaluation.floor import FLOORS
from xray_helpers.evaluation.pairing import Difference, paired_difference
from xray_helpers.evaluation.significance import SIGNIFICANT, fewest_one_way, holm
from xray_helpers.runs.compare import run_name, with_floor

ALL_PAIRS = 3
"""Up to so many runs each is compared with each; of more, the best one with each other."""


@dataclass(frozen=True)
class Pair:
    """Two runs, or a run and a floor, on the same test pictures.

    Attributes:
        first, second: their names.
        difference: accuracy of the first less that of the second, and what it rests on.
        corrected_p: the exact p of the difference, corrected for `comparisons` of them (Holm).
        comparisons: how many pairs were compared at once.
    """

    first: str
    second: str
    difference: Difference
    corrected_p: float
    comparisons: int

    @property
    def better(self) -> str | None:
        """The one that is better, as far as these pictures can tell; None: they cannot."""
        found = self.difference
        if self.corrected_p >= SIGNIFICANT:
            return None
        return self.first if found.value > 0 else self.second

    @property
    def verdict(self) -> str:
        """In a few words, for a table or a figure."""
        if self.better is None:
            return "cannot be told apart"
        return "first is better" if self.better == self.first else "second is better"

    @property
    def sentence(self) -> str:
        """What the test pictures say about the two, in one sentence."""
        counts = self.difference.counts
        if not counts.apart:
            return (
                f"{self.first} and {self.second} get the same {counts.both} of {counts.n} pictures "
                "right: this test set cannot tell them apart."
            )
        plural = "" if counts.first_only == 1 else "s"
        said = (
            f"{self.first} alone gets {counts.first_only} picture{plural} right, {self.second} "
            f"alone {counts.second_only}: this test set "
        )
        p = f"{counts.p_name} = {_p_text(counts.p)}"
        if self.comparisons > 1:
            p += f"; {_p_text(self.corrected_p)} corrected for {self.comparisons} comparisons"
        if self.better:
            return f"{said}tells them apart: {self.better} is better ({p})."
        return f"{said}cannot tell them apart ({p}). {self._least()}."

    def _least(self) -> str:
        """What would have been enough to tell the two apart."""
        found, gains = self.difference, self.difference.gains
        enough = fewest_one_way(gains, self.comparisons)
        more = len(gains)
        while enough is None and fewest_one_way([1] * more, self.comparisons) is None:
            more += 1
        whole = enough == len(gains)
        if not found.counts.over_patients:
            if enough is None:
                return f"It would take {more} such pictures, all one way"
            share = "all" if whole else f"at least {enough}"
            return f"Of these {len(gains)}, {share} would have to go one way"
        plural = "" if found.patients == 1 else "s"
        said = (
            f"One of the two gets more pictures right for {len(gains)} of {found.patients} "
            f"patient{plural}; "
        )
        if enough is None:
            return f"{said}it would take {more} such patients, all one way"
        share = "all" if whole else str(enough)
        return f"{said}{share} of these {len(gains)} one way would be enough"


def pairs_of(records: Sequence[dict[str, Any]]) -> list[Pair]:
    """Compare runs on the same pictures two by two, and the best one with the floors.

    Up to three runs: each with each. More: the one with the best validation accuracy (of equals,
    the lower validation loss; never the test accuracy, which is what is compared) with each other.
    That run, or the only one, is compared with each floor too, where a record has them.

    Args:
        records: what `comparison` takes; runs without a `predictions.csv` are left out.

    Raises:
        KitError: two runs were not tested on the same pictures.
    """
    able = [r for r in records if has_predictions(r)]
    if not able:
        return []
    best = max(
        able,
        key=lambda r: (
            r["training"]["validation"]["accuracy"],
            -r["training"]["validation"]["loss"],
        ),
    )
    if len(able) <= ALL_PAIRS:
        chosen = list(combinations(able, 2))
    else:
        chosen = [(best, r) for r in able if r is not best]
    sides = [((run_name(a), _predictions(a)), (run_name(b), _predictions(b))) for a, b in chosen]
    sides += [((run_name(best), _predictions(best)), floor) for floor in _floors(records)]
    differences = []
    for (first, one), (second, two) in sides:
        try:
            differences.append(paired_difference(one, two))
        except KitError as error:
            raise KitError(f"{first} and {second} cannot be compared: {error}") from None
    corrected = holm([d.counts.p for d in differences])
    return [
        Pair(first, second, difference, float(p), len(sides))
        for ((first, _), (second, _)), difference, p in zip(
            sides, differences, corrected, strict=True
        )
    ]


def has_predictions(record: dict[str, Any]) -> bool:
    """Whether the run's folder holds what it said of each test picture."""
    return (Path(record["folder"]) / "predictions.csv").is_file()


def pair_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """A row a pair: names, the difference of accuracy and its interval, pictures apart, verdict.

    `low` and `high` are Newcombe's interval; `low by patient` and `high by patient` stand beside
    it where some patient has several test pictures. `p` is that of the exact test over patients
    (McNemar's where each has one picture), `p corrected` the same for all comparisons together
    (Holm).
    """
    rows = []
    for pair in pairs:
        found, counts = pair.difference, pair.difference.counts
        rows.append(
            {
                "first": pair.first,
                "second": pair.second,
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "low by patient": found.patient_low,
                "high by patient": found.patient_high,
                "only first right": counts.first_only,
                "only second right": counts.second_only,
                "n": counts.n,
                "p": counts.p,
                "p corrected": pair.corrected_p,
                "verdict": pair.verdict,
            }
        )
    table = pd.DataFrame(rows)
    by_patient = ["low by patient", "high by patient"]
    if len(table) and table[by_patient].isna().all(axis=None):
        table = table.drop(columns=by_patient)
    return table


def correction_note(pairs: Sequence[Pair], *, intervals: bool = True) -> str:
    """What the correction is, in a sentence; "" where nothing had to be corrected.

    Args:
        pairs: what `pairs_of` gave.
        intervals: whether the intervals of the differences stand beside it.
    """
    if not pairs or pairs[0].comparisons == 1:
        return ""
    note = (
        f"{pairs[0].comparisons} comparisons at once find a difference by chance more often than "
        "one does: the verdicts go by p-values corrected for that (Holm 1979)."
    )
    if intervals:
        note += (
            " The intervals are those of each pair by itself and not corrected: one may leave 0 "
            "out while the two cannot be told apart; go by the verdict."
        )
    return note


def _p_text(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def _predictions(record: dict[str, Any]) -> pd.DataFrame:
    return _read(Path(record["folder"]) / "predictions.csv")


def _floors(records: Sequence[dict[str, Any]]) -> list[tuple[str, pd.DataFrame]]:
    """Name and predictions of each floor that the newest record with floors has kept."""
    record = with_floor(records)
    path = record and Path(record["folder"]) / "floor.csv"
    if not path or not path.is_file():
        return []
    table = _read(path)
    return [(FLOORS[name], table.assign(predicted=table[name])) for name in FLOORS]


def _read(path: Path) -> pd.DataFrame:
    # Classes and patients are names, also where they look like numbers or like "nan".
    names = ("path", "true", "predicted", "patient", *FLOORS)
    return pd.read_csv(path, dtype=dict.fromkeys(names, str), keep_default_na=False)
