"""A notebook's side of a run: settings checked, run opened, parts recorded, run closed.

run = begin("02_task2", globals())     # first cell behind the parameters
...
run.complete()                         # last cell
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from xray_helpers.data import find_source
from xray_helpers.errors import KitError
from xray_helpers.injected import injected_names
from xray_helpers.models.cascade import stage_recipe
from xray_helpers.models.catalogue import recipe_notes
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.recipes import choose_recipe
from xray_helpers.paths import runs_folder
from xray_helpers.run import GENERATED, TASKS, Run
from xray_helpers.runs.record import RunFolder
from xray_helpers.runs.timings import timings_to_merge
from xray_helpers.settings import (
    NOTEBOOKS,
    GridSettings,
    ModelSettings,
    PictureSettings,
    Settings,
    TimingSettings,
    TwoStageSettings,
)
from xray_helpers.settings.check import check_settings

_open: Run | None = None  # the run of this kernel, for the hook below


def begin(notebook: str, namespace: Mapping[str, Any]) -> Run:
    """Check a notebook's settings, decide on its data and open its run.

    Args:
        notebook: the notebook's name without `.ipynb`, a key of `settings.NOTEBOOKS`.
        namespace: the notebook's `globals()`.

    Raises:
        KitError: a setting is misspelt, of the wrong type or impossible; the data folder does
            not exist; the recipe does not exist or is of the other task. A record with the
            status "failed" is left in notebooks that keep one.
    """
    global _open
    _close_earlier()
    fields = NOTEBOOKS[notebook].model_fields
    values = {name: namespace[name] for name in fields if name in namespace}
    keeps_record = notebook in TASKS
    try:
        unknown = injected_names(namespace) - set(fields)
        settings, task, recipe = check_run(notebook, values, unknown)
    except KitError as error:
        if keeps_record:
            _refused(notebook, TASKS.get(notebook) or values.get("task"), values, error)
        raise
    record = None
    if keeps_record:
        named = getattr(settings, "grid", None) or getattr(settings, "recipe", None)
        name = named or recipe.backbone
        folder = runs_folder(settings.runs_dir)
        record = RunFolder(folder, notebook, task, name, settings.model_dump())
    run = _open = Run(notebook, settings, record)
    run.recipe = recipe
    _watch_errors()
    if isinstance(settings, PictureSettings):
        _choose_pictures(run)
    if record:
        print(f"Run:      {record.folder}")
    if recipe:
        print(f"Recipe:   {recipe.title}")
    if recipe and getattr(settings, "recipe", None):
        print(*recipe_notes(recipe), sep="\n")
    return run


def check_run(
    notebook: str, values: Mapping[str, Any], unknown: Iterable[str] = ()
) -> tuple[Settings, str | None, Recipe | None]:
    """Check all that can be checked before a notebook reads its pictures.

    Args:
        notebook: as for `begin`.
        values: setting -> value.
        unknown: names that were passed to the notebook and are none of its settings.

    Returns:
        The checked settings, the task and the recipe; None where the notebook has none.

    Raises:
        KitError: as `begin`, but for the data folder.
    """
    settings = check_settings(notebook, values, unknown)
    task, recipe = TASKS.get(notebook) or getattr(settings, "task", None), None
    if isinstance(settings, ModelSettings | GridSettings):
        recipe = choose_recipe(task, settings.recipe_settings)
    if isinstance(settings, TwoStageSettings):
        recipe = stage_recipe(settings.recipe_settings)
    _check_files(settings)
    return settings, task, recipe


def _check_files(settings: Settings) -> None:
    """Stop where a file that the settings name is not there or not what it should be."""
    from xray_helpers.models.weights import check_setting

    if isinstance(settings, ModelSettings | GridSettings):
        check_setting(settings.weights)
    if isinstance(settings, GridSettings):
        _ = settings.chosen_grid  # refuses what the grid does not vary
    if isinstance(settings, TimingSettings):
        timings_to_merge(settings, runs_folder(settings.runs_dir))


def _choose_pictures(run: Run) -> None:
    """Decide where the run's pictures come from, and say so."""
    try:
        run.source = find_source(run.settings.data_dir, smoke=run.settings.smoke, task=run.task)
    except KitError as error:
        if run.record:
            run.record.fail(f"KitError: {error}")
        raise
    if run.source.kind == "generated":
        run.add_mark(GENERATED, run.source.note)
    print(f"Pictures: {run.source.root} ({run.source.kind})")


def _refused(notebook: str, task: str | None, values: Mapping, error: KitError) -> None:
    """Leave a failed record of settings that were refused, where records can be written."""
    runs = values.get("runs_dir")
    plain = {k: v for k, v in values.items() if isinstance(v, str | int | float | None)}
    with contextlib.suppress(KitError):  # the student's own mistake is the one to hear of
        RunFolder(
            runs_folder(runs if isinstance(runs, str) else "auto"),
            notebook,
            task if task in ("task1", "task2", "two_stage") else "task1",
            "refused",
            plain,
        ).fail(f"KitError: {error}")


def _close_earlier() -> None:
    """A run that is begun again in the same kernel will not be completed."""
    global _open
    if _open and _open.record and _open.record.record["status"] == "started":
        _open.record.fail("The notebook was started again before its last cell.")
    _open = None


def _watch_errors() -> None:
    """From now on, a cell that raises marks the open run as failed."""
    shell = _shell()
    if shell:
        if _on_cell_end in shell.events.callbacks["post_run_cell"]:
            shell.events.unregister("post_run_cell", _on_cell_end)
        shell.events.register("post_run_cell", _on_cell_end)


def _on_cell_end(result: Any) -> None:
    error = result.error_before_exec or result.error_in_exec
    if error and _open and _open.record and _open.record.record["status"] != "complete":
        _open.record.fail(f"{type(error).__name__}: {error}")


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
