"""Evaluation: predictions, metrics with intervals, embeddings."""

from xray_helpers.lazy import lazy

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
__getattr__ = lazy(__name__, _HOME, ("metrics", "floor"))
