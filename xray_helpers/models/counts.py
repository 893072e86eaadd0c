"""What the head and freezing do to the number of weights."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from xray_helpers.models.build import build_model, unfreeze
from xray_helpers.models.describe import count_parameters
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights

HEADS = {"flatten": "flatten", "average (gap)": "gap"}
LAST = {"none": 0, "its last 5 layers": 5, "all": -1}


def parameter_table(
    recipe: Recipe, classes: Sequence[str], image_size: int, units: int = 256
) -> pd.DataFrame:
    """Parameters of a recipe's backbone under two heads, with more and less of it trained.

    The heads have one hidden dense layer of `units` behind a flattened or an averaged last map.

    Returns:
        A row a head and part of the backbone that is trained: head, backbone trained, inputs of
        the head, total, trainable (all int but the first two).
    """
    output = "dense1 sigmoid" if len(classes) == 2 else f"dense{len(classes)} softmax"
    rows = []
    for name, word in HEADS.items():
        head = f"{word} > dense{units} relu > {output}"
        model = build_model(
            replace(recipe, head=head, unfreeze=0), classes, Weights("none"), image_size=image_size
        )
        for part, last in LAST.items():
            unfreeze(model.get_layer(recipe.backbone), last)
            counts = count_parameters(model)
            rows.append(
                {
                    "head": name,
                    "backbone trained": part,
                    "inputs of the head": model.get_layer("feature_dense").input.shape[-1],
                    "total": counts["total"],
                    "trainable": counts["trainable"],
                }
            )
    return pd.DataFrame(rows)
