"""What papermill has passed to a notebook."""

import ast
from collections.abc import Mapping
from typing import Any


def injected_names(namespace: Mapping[str, Any]) -> set[str]:
    """Names that papermill has passed to the notebook that is running now.

    Papermill puts them into a cell that starts with `# Parameters`, behind the notebook's own
    parameters cell. Only the latest such cell counts, and only if the parameters cell was not
    run again after it (as when a student edits the settings and runs the cells by hand).
    """
    sources = [str(source) for source in namespace.get("In", [])]
    passed = [i for i, s in enumerate(sources) if s.startswith("# Parameters\n")]
    own = [i for i, s in enumerate(sources) if _assigned(s) >= {"runs_dir", "smoke"}]
    if not passed or (own and own[-1] > passed[-1]):
        return set()
    return _assigned(sources[passed[-1]])


def _assigned(source: str) -> set[str]:
    """Names assigned at the top level of a cell."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a cell with magics
        return set()
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
