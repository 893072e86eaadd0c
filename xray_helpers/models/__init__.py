"""Models: backbones, named recipes, their weights, and cutting any Keras model in two.

`xray_helpers.models.recipes` is plain Python; the rest imports Keras when it is first used.
"""

from xray_helpers.lazy import lazy

_HOME = {
    "build_model": "build",
    "layer_table": "build",
    "count_parameters": "build",
    "Weights": "weights",
    "find_weights": "weights",
    "Recipe": "recipe",
    "RECIPES": "recipes",
    "choose_recipe": "recipes",
    "own_recipe": "recipes",
    "trace": "graph",
}
__all__ = sorted(_HOME)
__getattr__ = lazy(__name__, _HOME, ("recipe", "recipes", "weights"))
