"""What `04_cpu_vs_gpu` times, and what each of it is called."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.recipes import choose_recipe

TOY = "toy convolution"


def timed_trainings(recipe: Recipe, fine_tune: int) -> dict[str, Recipe]:
    """Name of a training -> what is trained: the recipe as it is, and fine-tuned.

    Args:
        recipe: the run's recipe.
        fine_tune: layers at the backbone's end that are trained too in the second one; 0 for no
            second one. A network without pretrained weights is trained whole: it has none either.
    """
    trainings = {training_name(recipe): recipe}
    if fine_tune and _has_backbone(recipe):
        tuned = replace(recipe, unfreeze=fine_tune)
        trainings.setdefault(training_name(tuned), tuned)
    return trainings


def training_name(recipe: Recipe) -> str:
    """A training by what of the network it changes: "training, backbone frozen"."""
    if not _has_backbone(recipe):
        return "training, all layers"
    if recipe.unfreeze == 0:
        return "training, backbone frozen"
    which = "all layers" if recipe.unfreeze < 0 else f"last {recipe.unfreeze} layers"
    return f"fine-tuning, {which}"


def name_in_order(order: Mapping[str, Any]) -> str:
    """The name of the one training that an order of schema 1 measured."""
    try:
        return training_name(choose_recipe(order["task"], order["settings"]))
    except (KitError, KeyError, TypeError):  # a recipe that is gone
        return "training"


def _has_backbone(recipe: Recipe) -> bool:
    return BACKBONES[recipe.backbone].keras_name is not None
