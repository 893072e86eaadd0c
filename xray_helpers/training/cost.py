"""What a search would cost through the backbone, and other heads on the same backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np
import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.models.build import build_head
from xray_helpers.models.recipe import Recipe
from xray_helpers.training.batches import targets_for
from xray_helpers.training.boundary import split_model
from xray_helpers.training.fit import train
from xray_helpers.training.timing import time_uncached

TIMED_PICTURES = 40


def cost_through_backbone(
    model: keras.Model, data: Dataset, recipes: Sequence[Recipe], folds: int, timed_epochs: int = 1
) -> float | None:
    """Seconds that a search would train if every epoch went through the whole model.

    Measured on `model` with up to `TIMED_PICTURES` training pictures, and extrapolated by the
    number of pictures that go through training in all settings, folds and epochs. Scoring the
    folds is left out.

    Args:
        model: that of one of the settings, compiled.
        data: the pictures.
        recipes: all settings, each with its epochs.
        folds: how many folds the search had.
        timed_epochs: how many epochs to measure; 0 for none.

    Returns:
        Seconds; None where nothing was measured.
    """
    if not timed_epochs:
        return None
    pictures, labels = data.split("train")
    some = np.unique(np.linspace(0, len(pictures) - 1, TIMED_PICTURES).astype(int))
    targets = targets_for(model, model.output_shape[-1], labels[some], len(data.classes))
    batch = recipes[0].batch_size
    times = time_uncached(model, pictures[some], targets, batch, timed_epochs, seed=0)
    searched = len(pictures) + len(data.rows("validation"))
    passes = sum(recipe.epochs for recipe in recipes) * (folds - 1)
    return times["uncached_epoch"] / len(some) * searched * passes


def regularised(recipe: Recipe, l2: float, dropout: float = 0.5) -> dict[str, Recipe]:
    """The head of a recipe three times: plain, with dropout, with L2 on its hidden layers."""
    plain = replace(recipe, dropout=0.0, l2=0.0)
    with_l2 = recipe.head.replace(" l2", "").replace(" > dropout", " l2 > dropout")
    return {
        "plain": plain,
        f"dropout {dropout:g}": replace(plain, dropout=dropout),
        f"L2 {l2:g}": replace(plain, l2=l2, head=with_l2),
    }


def compare_heads(
    model: keras.Model, heads: Mapping[str, Recipe], data: Dataset, seed: int, xla: bool = False
) -> dict[str, pd.DataFrame]:
    """Train several heads on the frozen part of `model`; name -> history, see `Training`.

    Raises:
        ValueError: nothing in the model is frozen.
    """
    frozen = split_model(model).frozen
    if frozen is None:
        raise ValueError("compare_heads: nothing in the model is frozen.")
    histories = {}
    for name, recipe in heads.items():
        head = build_head(recipe, frozen.output_shape[1:], data.classes, seed)
        whole = keras.Model(frozen.inputs, head(frozen.outputs))
        whole.compile(optimizer=head.optimizer, loss=head.loss)
        histories[name] = train(
            whole, data, epochs=recipe.epochs, batch_size=recipe.batch_size, seed=seed, xla=xla
        ).history
    return histories
