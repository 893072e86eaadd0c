"""How much quicker is the kit? The same works in the classical way, cold and warm, in one run.

    python benchmarks/speed.py [--works NAME …] [--go-on] [--budget SECONDS] [--quick]
                               [--results FILE]

Pictures are those of $XRAY_DATA or data/, else generated ones in the class's number. A work is a
recipe, trained for 40 epochs, or the grid of 18 settings on 3 folds. The classical way is measured
for a few epochs and extrapolated; the kit is measured in full. What counts:

- classical: `fit` through the network, reading the files in every epoch, with validation
- cold: reading, resizing and hashing the files; hashing pictures and weights, the frozen part's
  outputs and writing them to the cache; 40 epochs of the head with validation
- warm: hashing pictures and weights, opening the cache, 40 epochs of the head with validation;
  the pictures are in memory

Imports and the building of models count in none, but for the grids, whose processes do both.
What was measured is written after each work; with --go-on it is not measured again.
"""

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ways
from chart import markdown_table, publish
from forward import forward_share

from xray_helpers.data import Source, find_source
from xray_helpers.files import write_json
from xray_helpers.paths import project_root
from xray_helpers.quiet_import import keras
from xray_helpers.runs.record import environment
from xray_helpers.training.device import device_facts

RESULTS = Path(__file__).with_name("results.json")
TRIAL = project_root() / "build" / "speed.json"
WORKS = (
    "t1-vgg16",
    "t2-vgg16-gap512x2",
    "t2-resnet50-bn-gap512",
    "t2-inceptionv3-bn",
    "t1-vgg16-last5",
    "grid-t2-vgg16",
    "grid-t2-vgg16-xla",
)
NOTES = [
    "classical: the median of measured_epochs behind the first, times epochs",
    "grids: epochs are those of all fits together; the classical time is measured on one setting "
    "and extrapolated to all fits; warm is the search with its features kept, cold that and "
    "reading the pictures and computing the features",
    "weights are random: times do not depend on their values",
]


def main() -> None:
    options = parser().parse_args()
    scale = ways.QUICK if options.quick else ways.Scale(budget=options.budget)
    path = options.results or TRIAL
    source = find_source("auto", smoke=options.quick)
    results = earlier(path, source) if options.go_on else None
    if results is None:
        results = {
            "machine": machine(),
            "data": {"kind": source.kind},
            "notes": NOTES,
            "forward_share": None,
            "agreement": [],
            "rows": [],
        }
    for work in options.works or WORKS:
        if work in {row["work"] for row in results["rows"]}:
            say(f"{work}: measured before")
            continue
        if work.startswith("grid-"):
            results["rows"] += grid_rows(work, source, scale, results["rows"])
        else:
            rows, agreement = training_rows(work, source, scale)
            results["rows"] += rows
            results["agreement"].append(agreement)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, results)
        keras.backend.clear_session()
        gc.collect()
    if results["forward_share"] is None:
        say("Forward pass and matrix multiplication")
        quick = {"size": scale.size, "rounds": 1, "sizes": (256,)} if options.quick else {}
        results["forward_share"] = forward_share(**quick)
        write_json(path, results)
    print(f"\n{markdown_table(results)}\n\nWritten: {path}")
    if {row["work"] for row in results["rows"]} == set(WORKS) and not options.quick:
        write_json(RESULTS, results)
        publish(results)


def earlier(path: Path, source: Source) -> dict | None:
    """What was measured before on this machine and these pictures, with these versions."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    then, now = results["machine"], machine()
    same = all(then[name] == now[name] for name in ("cpu", "device", "threads", "versions"))
    return results if same and results["data"]["kind"] == source.kind else None


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--works", nargs="+", choices=WORKS, help="only these")
    options.add_argument("--go-on", action="store_true", help="keep what was measured before")
    options.add_argument(
        "--budget", type=float, default=60.0, help="seconds of classical epochs a work"
    )
    options.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    options.add_argument(
        "--results", type=Path, help="where to write; build/speed.json, and when whole results.json"
    )
    return options


def training_rows(work: str, source: Source, scale: ways.Scale) -> tuple[list[dict], dict]:
    """The three ways of training a recipe, and how far the kit's losses are from exact ones."""
    recipe = ways.recipe_of(work)
    with empty_cache():
        say(f"{work}, classical")
        data, _ = ways.read(recipe, source, scale)
        classical, measured = ways.classical(recipe, data, scale)
        say(f"{work}, cold")
        data, reading = ways.read(recipe, source, scale)
        cold_history, cold = ways.with_kit(recipe, data, scale.epochs)
        say(f"{work}, warm")
        warm_history, warm = ways.with_kit(recipe, data, scale.epochs)
        say(f"{work}, without the cache, for its losses")
        exact, _ = ways.with_kit(recipe, data, scale.exact_epochs, cache=False)
    agreement = {
        "work": work,
        "epochs": len(exact),
        "largest_relative_difference": max(
            ways.largest_difference(history, exact) for history in (cold_history, warm_history)
        ),
    }
    return rows_of(work, scale.epochs, measured, classical, reading + cold, warm), agreement


def grid_rows(work: str, source: Source, scale: ways.Scale, measured: list[dict]) -> list[dict]:
    """The three ways of searching the grid; the classical one as in `measured`, if it is there."""
    known = {row["work"]: row for row in measured if row["way"] == "classical"}
    with empty_cache():
        data, reading = ways.read(ways.recipe_of(work), source, scale)
        row = next((row for name, row in known.items() if name.startswith("grid-")), None)
        if row:
            classical, epochs_measured = row["seconds"], row["measured_epochs"]
        else:
            say(f"{work}, classical")
            classical, epochs_measured = ways.classical_grid(data, scale)
        say(f"{work}, cold and warm")
        features = ways.grid_features(data, scale)
        warm = ways.grid_with_kit(data, scale, xla=work.endswith("-xla"))
    epochs = len(ways.grid_recipes(scale)) * scale.folds * scale.epochs
    return rows_of(work, epochs, epochs_measured, classical, reading + features + warm, warm)


def rows_of(
    work: str, epochs: int, measured: int, classical: float, cold: float, warm: float
) -> list[dict]:
    """A row a way; `measured` epochs of the classical one, all of the kit's."""
    times = {"classical": (measured, classical), "cold": (epochs, cold), "warm": (epochs, warm)}
    rows = [
        {
            "work": work,
            "way": way,
            "epochs": epochs,
            "measured_epochs": count,
            "seconds": seconds,
            "ratio": classical / seconds,
        }
        for way, (count, seconds) in times.items()
    ]
    say(json.dumps({row["way"]: round(row["seconds"], 1) for row in rows}))
    return rows


@contextlib.contextmanager
def empty_cache() -> Iterator[None]:
    """The kit's cache lies in a new folder meanwhile."""
    before = os.environ.get("XRAY_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XRAY_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["XRAY_CACHE"]
            if before is not None:
                os.environ["XRAY_CACHE"] = before


def machine() -> dict:
    """What the times depend on, the work that the machine had already included."""
    facts = environment()
    load = getattr(os, "getloadavg", lambda: (None,))()[0]
    return {
        **{name: facts[name] for name in ("cpu", "system", "versions", "onednn", "git_commit")},
        **device_facts(),
        "load_at_start": load,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def say(text: str) -> None:
    print(f"[{datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
