"""`timing.json`: read, put together with others, and made into a table."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from xray_helpers.errors import KitError
from xray_helpers.settings import TimingSettings
from xray_helpers.training.cpu_gpu import MODEL_SETTINGS, TIMING_SCHEMA
from xray_helpers.training.timed_work import name_in_order

TIMING = "timing.json"
ROW = {
    "work",
    "weights",
    "device",
    "host",
    "threads",
    "data_fingerprint",
    "seconds_epoch",
    "seconds_step",
    "seconds_total",
}
# In what measurements have to be alike for their totals to be compared.
_ALIKE = ("task", "image_size", "epochs", "settings", "toy_repeats")


def read_timing(path: Path) -> dict[str, Any]:
    """A `timing.json` from this or another machine, of this version of the kit or the one before.

    Raises:
        KitError: the file is missing or is no timing file.
    """
    try:
        timing = json.loads(Path(path).read_text(encoding="utf-8"))
        timing = _renewed(timing) if timing["schema"] == 1 else timing
        rows = timing_rows(timing)
        if timing["schema"] != TIMING_SCHEMA or not rows or any(r.keys() < ROW for r in rows):
            raise ValueError("another version")
        if any(not isinstance(m["order"], dict) for m in timing["measurements"]):
            raise ValueError("no order")
    except FileNotFoundError as error:
        raise KitError(f"merge: there is no file {path}; give the timing.json of a run.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KitError(f"merge: {path} is not a timing.json of 04_cpu_vs_gpu.") from error
    return timing


def _renewed(timing: dict[str, Any]) -> dict[str, Any]:
    """Schema 1, one measurement with one training, as schema 2."""
    order = timing["order"]
    name = name_in_order(order)
    rows = [{**r, "work": name if r["work"] == "training" else r["work"]} for r in timing["rows"]]
    measurement = {"order": order, "rows": rows, "nvidia_smi": None, "note": ""}
    return {"schema": TIMING_SCHEMA, "measurements": [measurement]}


def timing_rows(timing: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of all measurements."""
    return [row for measurement in timing["measurements"] for row in measurement["rows"]]


def join_timings(timings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One timing with the measurements of all; what is in two of them comes once."""
    measurements: list[dict[str, Any]] = []
    for measurement in (m for timing in timings for m in timing["measurements"]):
        if all(measurement["rows"] != other["rows"] for other in measurements):
            measurements.append(measurement)
    return {"schema": TIMING_SCHEMA, "measurements": measurements}


def merge_timings(timings: Sequence[dict[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    """One table out of one or several timings, and what makes the comparison less than fair.

    Returns:
        Columns work, device (with threads and host), seconds_epoch, seconds_step, seconds_total,
        times faster (than the slowest device at the same work), the rows of a work together; and
        sentences to print below it.

    Raises:
        KitError: nothing was measured.
    """
    measurements = join_timings(timings)["measurements"]
    table = pd.DataFrame([row for m in measurements for row in m["rows"]])
    if table.empty:
        raise KitError("Nothing was measured; set measure to 'both', or name timings in merge.")
    table["device"] = [_device(row) for row in table.to_dict("records")]
    again = table.groupby(["work", "device"]).cumcount()
    table["device"] += [f", time {n + 1}" if n else "" for n in again]
    slowest = table.groupby("work")["seconds_total"].transform("max")
    table["times faster"] = slowest / table["seconds_total"]
    places = {work: place for place, work in enumerate(dict.fromkeys(table["work"]))}
    table = table.sort_values("work", key=lambda works: works.map(places), kind="stable")
    columns = ["work", "device", "seconds_epoch", "seconds_step", "seconds_total", "times faster"]
    return table[columns].reset_index(drop=True), _notes(table, measurements)


def _device(row: dict[str, Any]) -> str:
    name = row["device"] if row["device"] != "cpu" else f"CPU, {_threads(row)}"
    return f"{name} on {row['host']}"


def _threads(row: dict[str, Any]) -> str:
    return f"{row['threads']} thread{'s' * (row['threads'] != 1)}"


def _notes(table: pd.DataFrame, measurements: list[dict[str, Any]]) -> list[str]:
    notes = []
    if table["host"].nunique() > 1:
        notes.append(
            f"The machines differ ({', '.join(sorted(table['host'].unique()))}): part of the "
            "difference is the machine, not the kind of processor. Say so in the report."
        )
    if table["data_fingerprint"].nunique() > 1:
        notes.append("The measurements differ in their pictures: totals cannot be compared.")
    orders = [measurement["order"] for measurement in measurements]
    for key in _ALIKE:
        if len({json.dumps(_asked(order, key), sort_keys=True) for order in orders}) > 1:
            notes.append(f"The measurements differ in {key}: totals cannot be compared.")
    if table["device"].nunique() == 1:
        notes.append(
            "Only one device was measured. On a cluster `xray cpu-gpu` times both; or run this "
            "notebook on a machine with a GPU and name its timing.json in the setting merge."
        )
    return notes


def _asked(order: dict[str, Any], key: str) -> Any:
    """A part of an order; a setting that an older kit did not have was at its default."""
    if key != "settings":
        return order.get(key)
    defaults = {name: TimingSettings.model_fields[name].default for name in MODEL_SETTINGS}
    return defaults | order.get("settings", {})


def machine_lines(timing: dict[str, Any]) -> list[str]:
    """A line for each measurement: host, processor, threads; GPU, its memory, driver and use."""
    return [_machine(measurement) for measurement in timing["measurements"]]


def _machine(measurement: dict[str, Any]) -> str:
    first = measurement["rows"][0]
    gpus = dict.fromkeys(r["device"] for r in measurement["rows"] if r["device"] != "cpu")
    facts = [measurement.get("processor"), _threads(first), *gpus]
    if smi := measurement["nvidia_smi"]:
        if smi["memory_mib"]:
            facts.append(f"{smi['memory_mib']:,.0f} MiB")
        facts.append(f"driver {smi['driver']}")
    parts = [f"{first['host']}: {', '.join(filter(None, facts))}"]
    for row in measurement["rows"]:
        if row.get("gpu_busy_percent") is not None and row.get("gpu_memory_mib") is not None:
            parts.append(
                f"{row['work']}: GPU busy {row['gpu_busy_percent']:.0f} % of the time, "
                f"{row['gpu_memory_mib']:,.0f} MiB in use"
            )
    return "; ".join(parts) + "." + (f" {measurement['note']}" if measurement["note"] else "")


def nvidia_smi_text(timing: dict[str, Any]) -> str:
    """What nvidia-smi printed on each machine while it trained; "" where it was on none."""
    pages = [
        f"{m['rows'][0]['host']}, run {m.get('run')}:\n\n{m['nvidia_smi']['page']}"
        for m in timing["measurements"]
        if m["nvidia_smi"] and m["nvidia_smi"]["page"]
    ]
    return "\n".join(pages)
