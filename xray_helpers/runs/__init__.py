"""Runs: a run's folder and record, all records, and comparisons across them."""

from xray_helpers.lazy import lazy

# Tables and statistics are imported when they are first used: `xray runs` does not wait for them.
_HOME = {
    "all_marks": "record",
    "comparison": "compare",
    "correction_note": "pairs",
    "find_run": "store",
    "histories": "compare",
    "list_runs": "store",
    "pair_table": "pairs",
    "pairs_of": "pairs",
    "same_data": "compare",
    "side_by_side": "compare",
    "state": "store",
}
__getattr__ = lazy(__name__, _HOME, tuple(set(_HOME.values())))
__all__ = list(_HOME)
