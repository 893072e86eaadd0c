"""Load a run's model and its pictures again, from its record."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_helpers.data import Dataset, find_source, load_data
from xray_helpers.errors import KitError
from xray_helpers.paths import runs_folder
from xray_helpers.runs.compare import run_name
from xray_helpers.runs.record import mark_text
from xray_helpers.runs.store import find_run, list_runs
from xray_helpers.settings import TsneSettings

if TYPE_CHECKING:
    import keras

MODEL = "model.keras"


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A complete run with its model and its pictures.

    Attributes:
        name: short name for tables and figures.
        record: its `run.json`.
        model: the trained model, not compiled.
        data: the pictures as they were split for the run.
    """

    name: str
    record: dict[str, Any]
    model: "keras.Model"
    data: Dataset

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.record["folder"])

    @property
    def mark(self) -> str:
        """What is written on the run's figures, "" where it is a result."""
        return mark_text(self.record.get("marks", []))

    def labels(self, split: str) -> list[str]:
        """Class names of a split's pictures, in the order of `data.split`."""
        return [self.data.classes[number] for number in self.data.split(split)[1]]


def chosen_runs(settings: TsneSettings) -> list[dict[str, Any]]:
    """The records that the setting `runs` names.

    Raises:
        KitError: a name fits no run or several; a run is not complete or kept no model.
    """
    folder = runs_folder(settings.runs_dir)
    if settings.runs.strip() == "latest":
        usable = [r for r in list_runs(folder) if not _why_not(r)]
        if not usable:
            raise KitError(
                f"No complete run in {folder} has kept its model; run 01_task1 or 02_task2 with "
                "save_model = True first."
            )
        return usable[-1:]
    names = [name.strip() for name in settings.runs.split(",") if name.strip()]
    records = [find_run(folder, name) for name in names]
    for record in records:
        if problem := _why_not(record):
            raise KitError(f"runs: {record['id']} {problem}; choose another one.")
    return records


def _why_not(record: dict[str, Any]) -> str:
    """Why a run's model cannot be looked at, "" when it can."""
    if record["status"] != "complete":
        return f"is not complete ({record['status']})"
    if not (Path(record["folder"]) / MODEL).is_file():
        return "kept no model"
    return ""


def load_run(record: dict[str, Any]) -> LoadedRun:
    """Load the model of a run and the pictures it was trained on.

    Raises:
        KitError: the pictures are not there any more or have changed; the model cannot be read.
    """
    from xray_helpers.quiet_import import keras

    settings, recorded = record["settings"], record["data"]
    data = load_data(
        record["task"],
        find_source(recorded["root"]),
        image_size=settings["image_size"],
        seed=settings["seed"],
        leaks=settings["leaks"],
        enhance=settings.get("enhance", ""),  # records of older kits have no such setting
    )
    if data.fingerprint != recorded["fingerprint"]:
        raise KitError(
            f"The pictures in {recorded['root']} have changed since run {record['id']}; "
            "run its notebook again."
        )
    path = Path(record["folder"]) / MODEL
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise KitError(
            f"{path} cannot be loaded ({str(error).splitlines()[0]}); run its notebook again."
        ) from error
    return LoadedRun(run_name(record), record, model, data)
