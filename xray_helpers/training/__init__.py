"""Training: the frozen part once, the rest epoch by epoch, and how long it takes."""

from xray_helpers.lazy import lazy

_HOME = {
    "train": "fit",
    "Training": "result",
    "split_model": "boundary",
    "frozen_outputs": "features",
    "time_uncached": "timing",
    "grid_search": "search",
    "cost_through_backbone": "cost",
    "compare_heads": "cost",
    "regularised": "cost",
    "measure_devices": "cpu_gpu",
    "timing_order": "cpu_gpu",
    "merge_timings": "cpu_gpu",
    "read_timing": "cpu_gpu",
}
__all__ = sorted(_HOME)
__getattr__ = lazy(__name__, _HOME)
