"""A notebook's side of a run: settings checked, run opened, parts recorded, run closed.

run = begin("02_task2", globals())     # first cell behind the parameters
...
run.complete()                         # last cell
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from xray_helpers.data import Dataset, Source, find_source
from xray_helpers.errors import KitError
from xray_helpers.injected import injected_names
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.recipes import choose_recipe
from xray_helpers.page import show_figure, warning_box
from xray_helpers.paths import runs_folder
from xray_helpers.runs.compare import same_data
from xray_helpers.runs.record import RunFolder, all_marks, mark_text, write_json
from xray_helpers.runs.store import list_runs
from xray_helpers.settings import (
    NOTEBOOKS,
    ModelSettings,
    PictureSettings,
    Settings,
)
from xray_helpers.settings_check import check_settings

_GENERATED, _RANDOM = "generated pictures", "random weights"
TIMING = "timing.json"
# Tasks of the notebooks that keep a record; None where a setting says which.
_TASKS = {"01_task1": "task1", "02_task2": "task2", "04_cpu_vs_gpu": None}


class Run:
    """One run of a notebook.

    Attributes:
        settings: the checked settings.
        task: "task1" or "task2"; None in a notebook that belongs to neither.
        recipe: the recipe with the settings worked in; None where no model is built.
        source: where the pictures come from.
        record: the run's folder and record; None in notebooks that keep none.
    """

    def __init__(self, notebook: str, settings: Settings, record: RunFolder | None) -> None:
        """Use `begin`, which checks the settings first."""
        self.notebook = notebook
        self.settings = settings
        self.record = record
        self.task = _TASKS.get(notebook) or getattr(settings, "task", None)
        self.recipe: Recipe | None = None
        self.source: Source | None = None
        self.marks: list[str] = ["smoke run"] if settings.smoke else []

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.record.folder

    @property
    def mark(self) -> str:
        """What makes this run no result to report, "" when nothing does."""
        return mark_text(self.marks)

    def add_mark(self, mark: str, note: str = "") -> None:
        """Mark the run and show why in a box."""
        if mark not in self.marks:
            self.marks.append(mark)
        if self.record:
            self.record.update(marks=self.marks)
        if note:
            warning_box(note)

    def record_data(self, data: Dataset) -> None:
        """Write down what the run was trained and tested on."""
        self.record.reopen(without=("model", "training", "test"))
        if data.source.kind == "generated" and _GENERATED not in self.marks:
            self.add_mark(_GENERATED, data.source.note)
        counts = {s: c for s, c in data.counts.to_dict().items() if sum(c.values())}
        self.record.update(
            data={
                "kind": data.source.kind,
                "root": str(data.source.root),
                "fingerprint": data.fingerprint,
                "counts": counts,
                "set_aside": [{"path": u.path, "reason": u.reason} for u in data.set_aside],
            }
        )
        if data.set_aside:
            names = "; ".join(f"{Path(u.path).name} ({u.reason})" for u in data.set_aside)
            warning_box(f"{len(data.set_aside)} files are set aside, not used: {names}.")

    def record_model(self, model: Any, recipe: Recipe, weights: Any) -> None:
        """Write down the model: recipe, weights, layers, parameters and megabytes."""
        from xray_helpers.models.build import describe
        from xray_helpers.models.graph import is_graph, trace

        self.marks = [mark for mark in self.marks if mark != _RANDOM]
        self.record.reopen(without=("training", "test"), marks=self.marks)
        if weights.kind == "random" and recipe.backbone:
            self.add_mark(_RANDOM, weights.note)
        size = self.settings.image_size
        self.record.update(model=describe(model, recipe, weights.kind, (size, size, 3)))
        if is_graph(model):
            trace(model).find(self.settings.tsne_layer)  # better said now than after the training

    def record_training(self, training: Any) -> None:
        """Write down history and times, and keep the model where the settings ask for it."""
        self.record.reopen(without=("test",))
        self.record.add_table("history.csv", training.history)
        self.record.record["environment"].update(training.environment)
        self.record.update(training=training.summary())
        if self.settings.save_model:
            training.save_model(self.folder / "model.keras")

    def record_test(self, result: Any) -> None:
        """Write down the test figures and every picture's prediction."""
        self.record.reopen()
        self.record.add_table("predictions.csv", result.predictions)
        self.record.update(test=result.figures())

    def comparable_runs(self) -> list[dict[str, Any]]:
        """The records of all complete runs on this run's pictures, and of this run; oldest first.

        For `xray_helpers.runs.comparison`; the run must have been tested.
        """
        mine = self.record.record
        everything = list_runs(self.folder.parent)
        return same_data(everything, mine["data"]["fingerprint"], mine)

    def record_timing(self, timing: dict[str, Any]) -> None:
        """Write down `timing.json`, and the devices, pictures and weights it is about."""
        from xray_helpers.models.weights import Weights

        first = timing["rows"][0]
        self.record.reopen()
        write_json(self.folder / TIMING, timing)
        gpus = [row["device"] for row in timing["rows"] if row["device"] != "cpu"]
        self.record.record["environment"].update(gpus=gpus[:1], threads=first["threads"])
        self.record.update(
            data={
                "kind": self.source.kind,
                "root": str(self.source.root),
                "fingerprint": first["data_fingerprint"],
            },
            model={
                "recipe": self.recipe.name,
                "changed": {name: getattr(self.recipe, name) for name in self.recipe.changed},
                "backbone": self.recipe.backbone,
                "weights": first["weights"],
            },
        )
        if Weights(first["weights"]).kind == "random":
            self.add_mark(_RANDOM)

    def show(self, figure: Figure, name: str, alt: str = "", records: Sequence[dict] = ()) -> None:
        """Mark a figure, save it as `figures/<name>.png` where there is a run, and show it.

        `records` are those of other runs that the figure shows: it bears their marks too.
        """
        marks = all_marks([{"marks": self.marks}, *records])
        show_figure(figure, marks, self.record and self.folder, name, alt)

    def complete(self) -> None:
        """Close the run: the last cell of a notebook."""
        if self.record is None:
            return
        missing = [s for s in ("data", "model", "training", "test") if s not in self.record.record]
        if self.notebook == "04_cpu_vs_gpu":
            missing = [] if (self.folder / TIMING).is_file() else [TIMING]
        if missing:
            raise KitError(
                f"The run has no {', '.join(missing)} yet; run the cells above this one first."
            )
        self.record.complete()
        print(f"Complete: {self.folder}")


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
    keeps_record = notebook in _TASKS
    task = _TASKS.get(notebook) or values.get("task")
    try:
        settings = check_settings(notebook, values, injected_names(namespace) - set(fields))
        recipe = None
        if isinstance(settings, ModelSettings):
            task = _TASKS.get(notebook) or settings.task
            recipe = choose_recipe(task, settings.model_dump())
        _check_files(settings)
    except KitError as error:
        if keeps_record:
            _refused(notebook, task, values, error)
        raise
    record = None
    if keeps_record:
        name = settings.recipe or recipe.backbone
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
    return run


def _check_files(settings: Settings) -> None:
    """Stop where a file that the settings name is not there or not what it should be."""
    from xray_helpers.models.weights import check_setting
    from xray_helpers.training.cpu_gpu import read_timing

    if isinstance(settings, ModelSettings):
        check_setting(settings.weights)
    for path in getattr(settings, "merge_paths", []):
        read_timing(path)


def _choose_pictures(run: Run) -> None:
    """Decide where the run's pictures come from, and say so."""
    try:
        run.source = find_source(run.settings.data_dir, smoke=run.settings.smoke)
    except KitError as error:
        if run.record:
            run.record.fail(f"KitError: {error}")
        raise
    if run.source.kind == "generated":
        run.add_mark(_GENERATED, run.source.note)
    print(f"Pictures: {run.source.root} ({run.source.kind})")


def _refused(notebook: str, task: str | None, values: Mapping, error: KitError) -> None:
    """Leave a failed record of settings that were refused, where records can be written."""
    runs = values.get("runs_dir")
    plain = {k: v for k, v in values.items() if isinstance(v, str | int | float | None)}
    with contextlib.suppress(KitError):  # the student's own mistake is the one to hear of
        RunFolder(
            runs_folder(runs if isinstance(runs, str) else "auto"),
            notebook,
            task if task in ("task1", "task2") else "task1",
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
