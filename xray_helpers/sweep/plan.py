"""What a sweep runs: all combinations, each checked before the first one starts."""

import difflib
import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from xray_helpers.data.dataset import find_source, usual_folder
from xray_helpers.errors import KitError
from xray_helpers.models.recipes import RECIPES
from xray_helpers.run import TASKS
from xray_helpers.session import check_run
from xray_helpers.settings import NOTEBOOKS, Settings
from xray_helpers.sweep.tasks import Plan, Task
from xray_helpers.sweep.values import parse_values, read_table

# The notebook that trains a task's recipes.
NOTEBOOK_OF = {"task1": "01_task1", "task2": "02_task2"}
# A sweep makes many runs, and few of their models are looked at again.
USUAL = {"save_model": False}


def plan_sweep(
    notebook: str | None = None,
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    table: Path | None = None,
    recipes: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Plan:
    """All tasks of a sweep, checked.

    Args:
        notebook: the notebook; None where `recipes` says it: each recipe's own.
        grid: setting -> values; every combination is a task.
        table: a file with tabs between its columns; a row a task, see `values.read_table`.
        recipes: a pattern of recipe names, such as "t2-*"; combined with `grid`.
        fixed: settings of all tasks.
        name: the sweep's name; None for one made of what it runs.

    Raises:
        KitError: nothing to run, or a notebook, setting, value, recipe or folder that is wrong;
            the sentence names the task.
    """
    grid, fixed = dict(grid or {}), dict(fixed or {})
    if table and (grid or recipes):
        raise KitError("--file lists whole tasks; give it without --grid and --recipes.")
    if table:
        rows = read_table(table)
    else:
        rows = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        rows = [{**chosen, **row} for chosen in _recipe_rows(recipes, notebook) for row in rows]
    if twice := sorted({key for row in rows for key in row} & set(fixed)):
        raise KitError(f"{twice[0]} is given with -p and varied too; give it once.")
    wanted = [(_notebook(notebook, {**row, **fixed}), {**fixed, **row}) for row in rows]
    if any("runs_dir" in settings for _, settings in wanted):
        raise KitError("runs_dir is the same for all tasks; give it with --runs-dir.")
    keys, tasks = set(), []
    varied = _varied([settings for _, settings in wanted])
    for number, (which, settings) in enumerate(wanted, start=1):
        label = _label(which, settings, varied)
        settings = _usual(which) | settings
        try:
            pictures = _check(which, settings)
        except KitError as error:
            raise KitError(f"Task {number} ({label}): {error}") from None
        key = _digest([which, settings, pictures])[:12]
        if key in keys:
            raise KitError(f"Task {number} ({label}) is there twice; give each combination once.")
        keys.add(key)
        tasks.append(Task(number, which, settings, label, key))
    return Plan(_sweep_name(name, tasks), tuple(tasks))


def _recipe_rows(pattern: str | None, notebook: str | None) -> list[dict[str, Any]]:
    """A row for each recipe that the pattern means; one empty row without a pattern."""
    if pattern is None:
        return [{}]
    task = TASKS.get(_known(notebook)) if notebook else None
    names = [
        name
        for name, recipe in RECIPES.items()
        if fnmatch.fnmatchcase(name, pattern) and task in (None, recipe.task)
    ]
    if not names:
        whose = f" of {task}" if task else ""
        raise KitError(f"No recipe{whose} is called '{pattern}'; `xray recipes` lists them.")
    return [{"recipe": name} for name in names]


def _notebook(given: str | None, settings: Mapping[str, Any]) -> str:
    """The notebook of a task: the one given, else that of its recipe."""
    if given:
        return _known(given)
    recipe = RECIPES.get(settings.get("recipe"))
    if recipe is None:
        raise KitError("Name the notebook to run, such as 02_task2 (or recipes with --recipes).")
    return NOTEBOOK_OF[recipe.task]


def _known(notebook: str) -> str:
    name = Path(notebook).name.removesuffix(".ipynb")
    if name not in NOTEBOOKS:
        near = difflib.get_close_matches(name, NOTEBOOKS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(TASKS)}."
        raise KitError(f"There is no notebook '{name}'; {hint}")
    if name not in TASKS:
        raise KitError(f"{name} keeps no record; a sweep runs one of {', '.join(TASKS)}.")
    return name


def _usual(notebook: str) -> dict[str, Any]:
    return {k: v for k, v in USUAL.items() if k in NOTEBOOKS[notebook].model_fields}


def _check(notebook: str, settings: dict[str, Any]) -> str:
    """Check a task as its notebook's first cell will; say where its pictures come from."""
    unknown = set(settings) - set(NOTEBOOKS[notebook].model_fields)
    known = {name: value for name, value in settings.items() if name not in unknown}
    checked, task, _ = check_run(notebook, known, unknown)
    return _pictures(checked, task)


def _pictures(settings: Settings, task: str | None) -> str:
    """The folder of a task's pictures, "generated" where some will be drawn.

    Part of a task's key: once the class's pictures have come, a sweep over drawn ones is another.
    """
    if settings.smoke:
        return "generated"
    named = settings.data_dir != "auto" or usual_folder(task)
    if named or any(os.environ.get(name) for name in ("XRAY_DATA", "XRAY_KERMANY")):
        return str(find_source(settings.data_dir, task=task).root)
    return "generated"


def _varied(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings in which the rows differ, in their order."""
    names = dict.fromkeys(name for row in rows for name in row)
    missing = object()
    return [
        name
        for name in names
        if any(r.get(name, missing) != rows[0].get(name, missing) for r in rows)
    ]


def _label(notebook: str, settings: Mapping[str, Any], varied: Sequence[str]) -> str:
    words = [f"{name}={settings[name]}" for name in varied if name in settings]
    return " ".join(words) or notebook


def _sweep_name(name: str | None, tasks: Sequence[Task]) -> str:
    if not tasks:
        raise KitError("Nothing to run: the file has no row.")
    if name is None:
        notebooks = "-".join(dict.fromkeys(task.notebook for task in tasks))
        return f"{notebooks}-{_digest([task.key for task in tasks])[:8]}"
    if not re.fullmatch(r"[\w.-]{1,80}", name, flags=re.ASCII) or name.startswith("."):
        raise KitError(f"--name '{name}' is no name for a folder; use letters, digits, - and _.")
    return name


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def parse_grid(items: Sequence[str]) -> dict[str, list[Any]]:
    """`["backbone=vgg16,resnet50", "dropout=0.2,0.5"]` -> setting -> values.

    Raises:
        KitError: no "=", no value, or a setting given twice.
    """
    grid: dict[str, list[Any]] = {}
    for item in items:
        name, equals, values = item.partition("=")
        name = name.strip()
        if not equals or not name or not values.strip():
            raise KitError(f"--grid '{item}' is not possible; write name=a,b.")
        if name in grid:
            raise KitError(f"--grid {name} is given twice; write all its values in one.")
        grid[name] = parse_values(values)
    return grid
