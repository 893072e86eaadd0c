"""Runs: a run's folder and record, all records, and comparisons across them."""

from xray_helpers.runs.compare import comparison, histories, same_data, side_by_side
from xray_helpers.runs.record import all_marks
from xray_helpers.runs.store import find_run, list_runs, state

__all__ = [
    "all_marks",
    "comparison",
    "find_run",
    "histories",
    "list_runs",
    "same_data",
    "side_by_side",
    "state",
]
