"""Evaluation: predictions, metrics with intervals, embeddings."""

from importlib import import_module
from typing import Any

_HOME = {
    "evaluate": "predict",
    "Evaluation": "predict",
    "embed": "embedding",
    "tsne": "embedding",
    "pca": "embedding",
    "fitting_perplexity": "embedding",
    "separation": "embedding",
    "wilson": "metrics",
    "class_scores": "metrics",
    "accuracy": "metrics",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    if _HOME[name] not in ("metrics", "floor"):
        from xray_helpers import quiet_import  # noqa: F401
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
