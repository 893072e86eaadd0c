"""All records in the runs folder."""

import json
import socket
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.processes import is_alive
from xray_helpers.runs.record import RECORD


def list_runs(runs: Path) -> list[dict[str, Any]]:
    """All records below `runs`, oldest first; each with `folder`, the path of its run.

    A record that cannot be read (edited by hand, cut by a dying disk) is listed with the status
    "unreadable" in place of being passed over.
    """
    records = []
    for path in sorted(runs.glob(f"*/{RECORD}")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, dict) or not {"id", "status"} <= record.keys():
                raise ValueError("no record of a run")
        except (OSError, ValueError) as error:
            record = {"id": path.parent.name, "status": "unreadable", "error": str(error)}
        records.append({**record, "folder": str(path.parent)})
    return sorted(records, key=lambda record: str(record["id"]))


def state(record: dict[str, Any]) -> str:
    """The record's status in a word, where "started" is "running" or "interrupted".

    A run is running while the process that began it lives, which only its own machine can tell;
    seen from another one it stays "started".
    """
    if record["status"] != "started":
        return record["status"]
    environment = record.get("environment", {})
    if environment.get("host") != socket.gethostname():
        return f"started on {environment.get('host')}"
    return "running" if is_alive(environment.get("pid")) else "interrupted"


def find_run(runs: Path, name: str, records: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The record whose id is `name` or contains it.

    Args:
        runs: the folder of all runs.
        name: an id or a part of one.
        records: those of its runs that are meant; None for all.

    Raises:
        KitError: there is none, or more than one.
    """
    records = list_runs(runs) if records is None else records
    matches = [r for r in records if r["id"] == name] or [r for r in records if name in r["id"]]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        latest = ", ".join(r["id"] for r in records[-3:]) or "none yet"
        raise KitError(f"No run in {runs} has '{name}' in its id; the latest are: {latest}.")
    ids = ", ".join(r["id"] for r in matches[:5])
    raise KitError(f"'{name}' is part of {len(matches)} run ids ({ids}); give more of it.")
