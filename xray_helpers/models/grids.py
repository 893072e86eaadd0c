"""The three grids of settings that report D searched, by name.

A grid is a recipe and, for some of its settings, the values to try: every combination is one
setting of the search. Plain Python.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.recipes import RECIPES


@dataclass(frozen=True)
class Grid:
    """One search.

    Attributes:
        name: what the setting `grid` takes.
        recipe: the recipe whose settings are varied.
        head: its head in words, with `{activation}` (and `{units}`) where they are varied.
        axes: setting -> the values to try; `epochs` is one of them, perhaps with one value.
        reported_best: the combination that the report found best.
    """

    name: str
    recipe: str
    head: str
    axes: Mapping[str, tuple]
    reported_best: Mapping[str, Any]

    @property
    def task(self) -> str:
        """ "task1" or "task2"."""
        return RECIPES[self.recipe].task

    def narrowed(self, axes: Mapping[str, tuple]) -> "Grid":
        """The same grid with other values on some axes; an empty tuple leaves an axis as it is.

        Raises:
            KitError: the grid has no such axis.
        """
        new = {name: values for name, values in axes.items() if values}
        for name in new:
            if name not in self.axes:
                raise KitError(
                    f"grid='{self.name}' does not vary {name}; it varies {', '.join(self.axes)}."
                )
        return replace(self, axes={**self.axes, **new})

    def points(self, at_most: int = 0, seed: int = 0) -> list[dict[str, Any]]:
        """All combinations, or `at_most` of them, drawn without repetition."""
        from sklearn.model_selection import ParameterGrid, ParameterSampler

        points = list(ParameterGrid(dict(self.axes)))
        if 0 < at_most < len(points):
            points = list(ParameterSampler(dict(self.axes), at_most, random_state=seed))
        return points

    def recipe_of(self, point: Mapping[str, Any], base: Recipe | None = None) -> Recipe:
        """The recipe with one combination worked in.

        `base` stands in for the grid's own recipe where settings have changed it.
        """
        base = base or RECIPES[self.recipe]
        words = {k: v for k, v in point.items() if k in ("activation", "units")}
        fields = {k: v for k, v in point.items() if k not in words}
        changed = dict.fromkeys((*base.changed, *fields))
        return replace(base, head=self.head.format(**words), **fields, changed=tuple(changed))


_CNN_HEAD = (
    "flatten > dense128 {activation} > dropout > dense{units} {activation} > dropout > "
    "dense4 softmax"
)
_ACTIVATIONS, _DROPOUTS = ("sigmoid", "relu"), (0.15, 0.2, 0.25)

GRIDS: dict[str, Grid] = {
    grid.name: grid
    for grid in (
        Grid(
            "t1-vgg16",
            "t1-vgg16",
            "flatten > dense256 {activation} > dropout > dense1 sigmoid",
            {
                "learning_rate": (0.001, 0.005, 0.01, 0.05, 0.1),
                "activation": _ACTIVATIONS,
                "dropout": _DROPOUTS,
                "epochs": (40, 80, 120),
            },
            {"learning_rate": 0.001, "activation": "relu", "dropout": 0.2, "epochs": 120},
        ),
        Grid(
            "t2-vgg16",
            "t2-vgg16",
            "flatten > dense256 {activation} > dropout > dense4 softmax",
            {
                "learning_rate": (1e-5, 1e-4, 1e-3),
                "activation": _ACTIVATIONS,
                "dropout": _DROPOUTS,
                "epochs": (40,),
            },
            {"learning_rate": 1e-4, "activation": "sigmoid", "dropout": 0.15},
        ),
        Grid(
            "t2-cnn",
            "t2-cnn",
            _CNN_HEAD,
            {
                "learning_rate": (1e-4, 1e-3, 1e-2),
                "activation": _ACTIVATIONS,
                "dropout": _DROPOUTS,
                "units": (32, 64),
                "epochs": (40,),
            },
            {"learning_rate": 1e-3, "activation": "relu", "dropout": 0.15, "units": 32},
        ),
    )
}
