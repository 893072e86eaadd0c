"""One run of a notebook: its parts are recorded, its figures shown, its record completed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from xray_helpers.data import Dataset, Source
from xray_helpers.errors import KitError
from xray_helpers.files import write_text
from xray_helpers.model_card import FILE, model_card
from xray_helpers.models.recipe import Recipe
from xray_helpers.page import show_figure, warning_box
from xray_helpers.paths import runs_folder
from xray_helpers.runs.compare import same_data
from xray_helpers.runs.record import GENERATED, RunFolder, all_marks, mark_text, write_json
from xray_helpers.runs.store import list_runs
from xray_helpers.settings import Settings
from xray_helpers.training.timing_table import TIMING, nvidia_smi_text, timing_rows

RANDOM = "random weights"
NVIDIA_SMI = "nvidia-smi.txt"
# Tasks of the notebooks that keep a record; None where a setting says which.
TASKS = {
    "01_task1": "task1",
    "02_task2": "task2",
    "04_cpu_vs_gpu": None,
    "05_grid_search": None,
    "06_two_stage": "two_stage",
}


def data_section(data: Dataset) -> dict[str, Any]:
    """The `data` section of `run.json`."""
    section = {
        "kind": data.source.kind,
        "root": str(data.source.root),
        "fingerprint": data.fingerprint,
        "counts": {s: c for s, c in data.counts.to_dict().items() if sum(c.values())},
        "set_aside": [{"path": u.path, "reason": u.reason} for u in data.set_aside],
    }
    return section | ({"notes": list(data.notes)} if data.notes else {})


class Run:
    """One run of a notebook.

    Attributes:
        settings: the checked settings.
        task: "task1", "task2" or "two_stage"; None in a notebook that belongs to neither.
        recipe: the recipe with the settings worked in; None where no model is built.
        source: where the pictures come from.
        record: the run's folder and record; None in notebooks that keep none.
    """

    def __init__(self, notebook: str, settings: Settings, record: RunFolder | None) -> None:
        """Use `begin`, which checks the settings first."""
        self.notebook = notebook
        self.settings = settings
        self.record = record
        self.task = TASKS.get(notebook) or getattr(settings, "task", None)
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
        self.record.reopen(without=("floor", "model", "training", "test", "costs"))
        if data.source.kind == "generated" and GENERATED not in self.marks:
            self.add_mark(GENERATED, data.source.note)
        self.record.update(data=data_section(data))
        for note in data.notes:
            warning_box(note)
        if data.set_aside:
            names = "; ".join(f"{Path(u.path).name} ({u.reason})" for u in data.set_aside)
            warning_box(f"{len(data.set_aside)} files are set aside, not used: {names}.")

    def record_floor(self, floors: Any) -> None:
        """Write down what a model scores on these pictures that has seen no detail of a lung.

        `floors` is what `evaluation.floors` gave: the section `floor` and `floor.csv`.
        """
        self.record.reopen()
        self.record.add_table("floor.csv", floors.predictions)
        self.record.update(floor=floors.as_dict())

    def record_model(self, model: Any, recipe: Recipe, weights: Any) -> None:
        """Write down the model: recipe, weights, layers, parameters and megabytes."""
        from xray_helpers.models.describe import describe
        from xray_helpers.models.graph import is_graph, trace

        self.marks = [mark for mark in self.marks if mark != RANDOM]
        self.record.reopen(without=("training", "test", "costs"), marks=self.marks)
        if recipe.backbone:
            self.mark_weights(weights)
        size = self.settings.image_size
        section = describe(model, recipe, weights.kind, (size, size, 3))
        self.record.update(model=section)
        for note in section["notes"]:
            warning_box(note)
        layer = getattr(self.settings, "tsne_layer", None)
        if layer and is_graph(model):
            # Better said now than after the training.
            trace(model).find(layer)

    def mark_weights(self, weights: Any) -> None:
        """Mark the run where its backbone starts from random weights."""
        if weights.kind == "random":
            self.add_mark(RANDOM, weights.note)

    def record_training(self, training: Any) -> None:
        """Write down history and times, and keep the model where the settings ask for it."""
        self.record.reopen(without=("test", "costs"))
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
        if result.meaning == "margin":
            warning_box(f"The columns p_ of predictions.csv hold the {result.p_columns}.")

    def record_costs(self, section: dict[str, Any]) -> None:
        """Write down what errors cost: the section `costs`, see `evaluation.cost_section`."""
        self.record.reopen()
        self.record.update(costs=section)

    def comparable_runs(self) -> list[dict[str, Any]]:
        """The records of all complete runs on this run's pictures, and of this run; oldest first.

        For `xray_helpers.runs.comparison`; the run must have been tested.
        """
        mine = self.record.record
        return same_data(self.records(), mine["data"]["fingerprint"], mine)

    def records(self) -> list[dict[str, Any]]:
        """The records of all runs in the folder for them, oldest first."""
        return list_runs(runs_folder(self.settings.runs_dir))

    def record_timing(self, measured: dict[str, Any]) -> dict[str, Any]:
        """Write down `timing.json`: what was measured, and what the setting `merge` names.

        The record says on which devices, of what pictures and of which weights.

        Returns:
            The whole timing.
        """
        from xray_helpers.models.weights import Weights
        from xray_helpers.runs import timings

        record, runs = self.record.record, runs_folder(self.settings.runs_dir)
        timing = timings.whole_timing(measured, record, self.settings, runs)
        mine, rows = timing_rows(measured), timing_rows(timing)
        self.record.reopen()
        write_json(self.folder / TIMING, timing)
        (self.folder / NVIDIA_SMI).unlink(missing_ok=True)
        if text := nvidia_smi_text(timing):
            write_text(self.folder / NVIDIA_SMI, text)
        gpus = dict.fromkeys(row["device"] for row in mine if row["device"] != "cpu")
        threads = mine[0]["threads"] if mine else None
        record["environment"].update(gpus=list(gpus), threads=threads)
        model = {
            "recipe": self.recipe.name,
            "changed": {name: getattr(self.recipe, name) for name in self.recipe.changed},
            "backbone": self.recipe.backbone,
            "weights": rows[0]["weights"],
        }
        self.record.update(**timings.timing_sections(timing), model=model)
        # What was measured counts, not what pictures there are where it is merged.
        orders = [m["order"] for m in timing["measurements"]]
        self.marks = [mark for mark in self.marks if mark not in (GENERATED, RANDOM)]
        if any(order.get("data_kind") == "generated" for order in orders):
            self.add_mark(GENERATED)
        if any(Weights(row["weights"]).kind == "random" for row in rows):
            self.add_mark(RANDOM)
        return timing

    def record_search(self, found: Any, grid: Any, points: list[dict], ranking: Any) -> None:
        """Write down a search for settings: the section `search` and `grid.csv`, a row a setting.

        `found` is what `training.search` gave, `grid` what was searched, `points` its settings
        and `ranking` what `evaluation.rank_settings` made of them.
        """
        best = ranking.iloc[0].to_dict()
        score = {name: best[name] for name in ("accuracy", "spread", "low", "high", "n")}
        section = {
            "grid": grid.name,
            "axes": dict(grid.axes),
            "settings": len(points),
            "folds": self.settings.folds,
            "fits": found.fits,
            "seconds": found.seconds,
            "best": {name: best[name] for name in points[0]},
            "best_on_folds": {"value": score.pop("accuracy"), **score},
        }
        self.record.reopen(without=("model", "training", "test"))
        self.record.add_table("grid.csv", ranking)
        self.record.update(search=section)

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
        if self.record.record.get("test"):
            write_text(self.folder / FILE, model_card(self.record.record))
        self.record.complete()
        print(f"Complete: {self.folder}")
