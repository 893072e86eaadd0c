"""Models: backbones, named recipes, their weights, and cutting any Keras model in two.

`xray_helpers.models.recipes` is plain Python; the rest imports Keras when it is first used.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "build_model": "build",
    "layer_table": "build",
    "count_parameters": "build",
    "Weights": "weights",
    "find_weights": "weights",
    "Recipe": "recipes",
    "RECIPES": "recipes",
    "choose_recipe": "recipes",
    "own_recipe": "recipes",
    "trace": "graph",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    if _HOME[name] not in ("recipes", "weights"):
        from xray_helpers import quiet_import  # noqa: F401
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
