"""What a run of `04_cpu_vs_gpu` writes down: its own measurement, and what it merges."""

from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.paths import resolve
from xray_helpers.runs.store import find_run, list_runs
from xray_helpers.settings import TimingSettings
from xray_helpers.settings.kinds import parts
from xray_helpers.training.timing_table import TIMING, join_timings, read_timing


def timings_to_merge(settings: TimingSettings, runs: Path) -> list[dict[str, Any]]:
    """What the setting `merge` names, read.

    Args:
        settings: those of a run.
        runs: the folder of all runs.

    Raises:
        KitError: something named is no timing; nothing is measured and nothing named.
    """
    named = parts(settings.merge)
    if settings.measure == "none" and not named:
        raise KitError(
            "measure='none' only merges: name runs or timing.json files in merge, or set measure "
            "to 'both'."
        )
    return [read_timing(_file(name, runs)) for name in named]


def _file(name: str, runs: Path) -> Path:
    """The `timing.json` that a path, a folder, or a run's id or a part of it means."""
    path = resolve(name)
    if path.is_dir() and not (path / TIMING).is_file():
        return _of_sweep(path, runs)
    if path.is_dir():
        return path / TIMING
    if path.is_file() or "/" in name or path.suffix == ".json":
        return path
    return Path(find_run(runs, name, _complete(runs))["folder"]) / TIMING


def _of_sweep(folder: Path, runs: Path) -> Path:
    """The newest timing that was made by the sweep with this folder."""
    made = [r for r in _complete(runs) if (r.get("sweep") or {}).get("name") == folder.name]
    if not made:
        raise KitError(f"merge: {folder} has no {TIMING}, and no complete run of its is in {runs}.")
    return Path(made[-1]["folder"]) / TIMING


def _complete(runs: Path) -> list[dict[str, Any]]:
    """The complete runs that have a timing, oldest first."""
    return [
        record
        for record in list_runs(runs)
        if record["status"] == "complete" and (Path(record["folder"]) / TIMING).is_file()
    ]


def whole_timing(
    measured: dict[str, Any], record: dict[str, Any], settings: TimingSettings, runs: Path
) -> dict[str, Any]:
    """What a run has measured, signed with its id and processor, and what it merges.

    Raises:
        KitError: see `timings_to_merge`.
    """
    about = {"run": record["id"], "processor": record["environment"]["cpu"]}
    mine = {**measured, "measurements": [{**m, **about} for m in measured["measurements"]]}
    return join_timings([mine, *timings_to_merge(settings, runs)])


def timing_sections(timing: dict[str, Any]) -> dict[str, Any]:
    """What `run.json` says of a timing: its sections `data` and `timing`."""
    first = timing["measurements"][0]
    devices = [
        {name: row[name] for name in ("device", "host", "threads")}
        | {"processor": m.get("processor"), "run": m.get("run")}
        for m in timing["measurements"]
        for row in m["rows"]
    ]
    return {
        "data": {
            "kind": first["order"].get("data_kind"),
            "root": first["order"].get("data_root"),
            "fingerprint": first["rows"][0]["data_fingerprint"],
        },
        "timing": {"devices": [d for i, d in enumerate(devices) if d not in devices[:i]]},
    }
