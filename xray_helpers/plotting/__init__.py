"""Every figure of the kit: plain arrays and tables in, a matplotlib ``Figure`` out.

No figure stays open in pyplot, so a notebook shows each one once, where it is displayed. Colours
are the Okabe-Ito ones; each class and each split also has its own marker, line or hatching, so
that the figures read in grey print too.
"""

from xray_helpers.plotting.calibration import calibration_curve
from xray_helpers.plotting.clouds import EmbeddingPanel, embedding, embedding_grid
from xray_helpers.plotting.costs import cost_curve
from xray_helpers.plotting.counts import class_balance, confusion
from xray_helpers.plotting.curves import compare_curves, learning_curves
from xray_helpers.plotting.heat import heat_grid
from xray_helpers.plotting.metrics import metric_dots
from xray_helpers.plotting.output import save, stamp
from xray_helpers.plotting.pictures import enhancement_grid, predictions_grid, sample_pictures
from xray_helpers.plotting.ranked import backbone_ranking, paired_differences
from xray_helpers.plotting.scores import class_scores, compare_accuracy
from xray_helpers.plotting.search import heat_map
from xray_helpers.plotting.shuffled import shuffled_scores
from xray_helpers.plotting.style import class_name
from xray_helpers.plotting.timing import timing_bars
from xray_helpers.plotting.variants import variants_beside_report

__all__ = [
    "EmbeddingPanel",
    "backbone_ranking",
    "calibration_curve",
    "class_balance",
    "class_name",
    "class_scores",
    "compare_accuracy",
    "compare_curves",
    "confusion",
    "cost_curve",
    "embedding",
    "embedding_grid",
    "enhancement_grid",
    "heat_grid",
    "heat_map",
    "learning_curves",
    "metric_dots",
    "paired_differences",
    "predictions_grid",
    "sample_pictures",
    "save",
    "shuffled_scores",
    "stamp",
    "timing_bars",
    "variants_beside_report",
]
