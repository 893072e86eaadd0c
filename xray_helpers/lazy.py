"""Names of a room that are imported from its modules when they are first used.

So `xray --help` and the checking of settings do not wait for TensorFlow.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(room: str, home: Mapping[str, str], plain: tuple[str, ...] = ()) -> Callable[[str], Any]:
    """The `__getattr__` of a room.

    Args:
        room: the package's `__name__`.
        home: public name -> the module in the room that holds it.
        plain: modules that need no TensorFlow; for all others it is imported first, quietly.
    """

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{room}' has no attribute '{name}'")
        if home[name] not in plain:
            import_module("xray_helpers.quiet_import")
        return getattr(import_module(f"{room}.{home[name]}"), name)

    return get
