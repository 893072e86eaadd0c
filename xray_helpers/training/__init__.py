"""Training: the frozen part once, the rest epoch by epoch, and how long it takes."""

from importlib import import_module
from typing import Any

_HOME = {
    "train": "fit",
    "Training": "fit",
    "split_model": "boundary",
    "frozen_outputs": "features",
    "time_uncached": "timing",
    "measure_devices": "cpu_gpu",
    "timing_order": "cpu_gpu",
    "merge_timings": "cpu_gpu",
    "read_timing": "cpu_gpu",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from xray_helpers import quiet_import  # noqa: F401

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
