"""All named recipes, and which one a notebook's settings mean.

Plain Python: listing recipes needs no TensorFlow.
"""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.pairs import last_activation, last_units, refuse_impossible
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
        KitError: the recipe is of the other task, does not exist, its last layer does not go
            with its loss, or the picture size is too small for the backbone.
    """
    recipe = find_recipe(settings.get("recipe") or f"t{task[-1]}-default")
    name = recipe.name
    if recipe.task != task:
        mine = ", ".join(r.name for r in RECIPES.values() if r.task == task)
        raise KitError(
            f"recipe='{name}' belongs to {recipe.task}, this is {task}; choose one of: {mine}."
        )
    recipe = recipe.override(settings)
    activation = last_activation(recipe.head, recipe.output, recipe.loss)
    refuse_impossible(last_units(recipe.head), activation, recipe.loss)
    size, smallest = settings.get("image_size"), BACKBONES[recipe.backbone].smallest_size
    if size is not None and size < smallest:
        raise KitError(
            f"image_size={size} is too small for backbone='{recipe.backbone}'; "
            f"it takes {smallest} pixels and more."
        )
    return recipe


def find_recipe(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        KitError: there is none; the names that are most alike, or all.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(RECIPES)}."
    raise KitError(f"recipe='{name}' is unknown; {hint}")


def is_default(recipe: Recipe) -> bool:
    """Whether a recipe is what its task's notebook runs when none is named."""
    return recipe.name.endswith("-default")


def own_recipe(recipe: Recipe, name: str) -> Recipe:
    """The recipe that stands in the record for a Keras model of one's own.

    The training settings (epochs, batch size, patience) stay those of `recipe`; optimizer and
    loss are the ones that the model was compiled with.
    """
    training = {
        *("epochs", "batch_size", "steps_per_epoch", "validation_steps", "patience", "schedule")
    }
    changed = tuple(name for name in recipe.changed if name in training)
    return replace(recipe, name=name, backbone=None, head="own", changed=changed)
