"""Evaluation: predictions, metrics with intervals, embeddings."""

from xray_helpers.lazy import lazy

_HOME = {
    "preprocessing_effect": "preprocessing",
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
    "evaluate_cascade": "cascade",
    "largest_elsewhere": "cascade",
    "paired": "cascade",
    "stage_scores": "cascade",
    "run_variants": "variants",
    "rank_settings": "ranking",
    "as_good": "ranking",
    "ranking_text": "ranking",
}
__all__ = sorted(_HOME)
__getattr__ = lazy(__name__, _HOME, ("metrics", "floor"))
