"""Recipes: everything that says how a model is built and trained, under one name.

A head is written as its layers in order, for instance
`"gap > batchnorm > dense256 relu > dropout > dense4 softmax"`. The words are explained in
`xray_helpers.models.head`. This module is plain Python: listing recipes needs no TensorFlow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES


@dataclass(frozen=True)
class Recipe:
    """One model and its training.

    Attributes:
        name: what `-p recipe` takes; also part of the run's folder name.
        task: "task1" or "task2".
        backbone: a name in `BACKBONES`, or None for a model of the student's own.
        head: the layers behind the backbone, in words.
        unfreeze: the last N layers of the backbone are trained; -1 for all, 0 for none. The
            kit's own `cnn` has no pretrained weights and is always trained whole.
        dropout: share of units dropped by each `dropout` of the head.
        l2: factor of the squared weights added to the loss by each `l2` of the head.
        initializer: how the head's (and the `cnn`'s) weights start, a Keras name.
        optimizer, learning_rate, loss: Keras names; the learning rate a step.
        epochs: at most so many passes over the training pictures.
        batch_size: pictures a step.
        steps_per_epoch, validation_steps: steps an epoch; None for all pictures.
        patience: epochs without a better validation loss before training stops; None to never
            stop early. Either way the weights of the best epoch are kept.
        report: letter of the report the recipe was taken from; None for the kit's own.
        reported: what that report says of its accuracy.
        changed: names of the fields that a setting has replaced.
    """

    name: str
    task: str
    backbone: str | None
    head: str
    unfreeze: int = 0
    dropout: float = 0.25
    l2: float = 0.0
    initializer: str = "glorot_uniform"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    loss: str = "categorical_crossentropy"
    epochs: int = 40
    batch_size: int = 10
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    patience: int | None = 10
    report: str | None = None
    reported: str | None = None
    changed: tuple[str, ...] = ()

    def override(self, settings: Mapping[str, Any]) -> "Recipe":
        """This recipe with every setting that is not None in place of its own value."""
        names = {f.name for f in fields(self)} - {
            "name",
            "task",
            "head",
            "report",
            "reported",
            "changed",
        }
        new = {
            name: value
            for name, value in settings.items()
            if name in names and value is not None and value != getattr(self, name)
        }
        return replace(self, **new, changed=tuple(sorted(new)))

    @property
    def title(self) -> str:
        """The recipe's name and what was changed in it, in one line."""
        changes = ", ".join(f"{name}={getattr(self, name)}" for name in self.changed)
        return f"{self.name} ({changes})" if changes else self.name


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
    return replace(recipe, name=name, backbone=None, head="own", changed=())
