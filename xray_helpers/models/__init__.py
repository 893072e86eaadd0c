"""Models: backbones, named recipes, their weights, and cutting any Keras model in two.

`xray_helpers.models.recipes` is plain Python; the rest imports Keras when it is first used.
"""

from xray_helpers.lazy import lazy

_HOME = {
    "parameter_table": "counts",
    "build_model": "build",
    "layer_table": "describe",
    "count_parameters": "describe",
    "Weights": "weights",
    "find_weights": "weights",
    "Recipe": "recipe",
    "RECIPES": "recipes",
    "choose_recipe": "recipes",
    "own_recipe": "recipes",
    "trace": "graph",
    "GRIDS": "grids",
    "softmax_recipe": "cascade",
    "VARIANTS": "variants",
}
__all__ = sorted(_HOME)
__getattr__ = lazy(
    __name__, _HOME, ("recipe", "recipes", "weights", "grids", "cascade", "variants")
)
