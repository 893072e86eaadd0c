"""All named recipes, and which one a notebook's settings mean.

Plain Python: listing recipes needs no TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.reported import reported_recipes

# With 11 or 22 steps an epoch, statistics of momentum 0.99 would lag behind by five epochs and
# more, and so would the validation loss that picks the best epoch.
_DEFAULT_HEAD = "gap > batchnorm 0.9 > dense256 relu (feature_dense) > dropout > {output}"

RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        Recipe(
            "t1-default",
            "task1",
            "vgg16",
            _DEFAULT_HEAD.format(output="dense1 sigmoid"),
            loss="binary_crossentropy",
        ),
        Recipe("t2-default", "task2", "vgg16", _DEFAULT_HEAD.format(output="dense4 softmax")),
        *reported_recipes(),
    )
}


def choose_recipe(task: str, settings: Mapping[str, Any]) -> Recipe:
    """The recipe that the settings name (default: the task's own) with their changes.

    Raises:
        KitError: the recipe is of the other task, does not exist, or the picture size is too
            small for the backbone.
    """
    name = settings.get("recipe") or f"t{task[-1]}-default"
    if name not in RECIPES:
        raise KitError(f"recipe='{name}' is unknown; the recipes are: {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    if recipe.task != task:
        mine = ", ".join(r.name for r in RECIPES.values() if r.task == task)
        raise KitError(
            f"recipe='{name}' belongs to {recipe.task}, this is {task}; choose one of: {mine}."
        )
    recipe = recipe.override(settings)
    if task == "task1" and recipe.loss == "categorical_crossentropy":
        raise KitError(
            "loss='categorical_crossentropy' needs one output a class, but the model of task 1 has "
            "one output, the probability of covid; use loss='binary_crossentropy'."
        )
    size, smallest = settings.get("image_size"), BACKBONES[recipe.backbone].smallest_size
    if size is not None and size < smallest:
        raise KitError(
            f"image_size={size} is too small for backbone='{recipe.backbone}'; "
            f"it takes {smallest} pixels and more."
        )
    return recipe


def own_recipe(recipe: Recipe, name: str) -> Recipe:
    """The recipe that stands in the record for a Keras model of one's own.

    The training settings (epochs, batch size, patience) stay those of `recipe`; optimizer and
    loss are the ones that the model was compiled with.
    """
    training = {"epochs", "batch_size", "steps_per_epoch", "validation_steps", "patience"}
    changed = tuple(name for name in recipe.changed if name in training)
    return replace(recipe, name=name, backbone=None, head="own", changed=changed)
