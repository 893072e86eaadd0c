"""Runs: a run's folder and record, all records, and comparisons across them."""

from xray_helpers.lazy import lazy
from xray_helpers.runs.compare import comparison, histories, same_data, side_by_side
from xray_helpers.runs.record import all_marks
from xray_helpers.runs.store import find_run, list_runs, state

# Statistics: imported when they are first used, so that `xray runs` does not wait for them.
_HOME = {"correction_note": "pairs", "pair_table": "pairs", "pairs_of": "pairs"}
__getattr__ = lazy(__name__, _HOME, ("pairs",))
__all__ = [
    "all_marks",
    "comparison",
    "correction_note",
    "find_run",
    "histories",
    "list_runs",
    "pair_table",
    "pairs_of",
    "same_data",
    "side_by_side",
    "state",
]
