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
    "merge_timings": "timing_table",
    "machine_lines": "timing_table",
    "nvidia_smi_text": "timing_table",
    "read_timing": "timing_table",
}
__all__ = sorted(_HOME)
# What needs no TensorFlow.
__getattr__ = lazy(__name__, _HOME, ("cpu_gpu", "timing_table"))
