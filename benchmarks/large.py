"""How do time and memory grow with the number of pictures?

    python benchmarks/large.py [--sizes N …] [--quick] [--results FILE] [--folder FOLDER]

For each size a folder of pictures of 64x64 is written (1,000 drawn ones, varied), and a fresh
process reads it, trains the kit's own `cnn` on it for an epoch and predicts the test pictures;
`vgg16` with pooled features does so for 1,000 and 10,000. Written are `large.json` after each size,
and `large.png`, which is drawn from it:

    python benchmarks/large.py --draw

The pictures and the cache lie in a temporary folder, below --folder where that is given, and are
removed afterwards: 100,000 pictures take 0.4 GB, and decoded 1.2 GB.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from large_folder import DRAWN, SIDE, draw_patients, write_folder
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from xray_helpers import plotting
from xray_helpers.data.pictures import worker_count
from xray_helpers.files import write_json
from xray_helpers.plotting.style import LEGEND_LINE, figure, legend_row
from xray_helpers.runs.record import environment

HERE = Path(__file__).parent
RESULTS, CHART = HERE / "large.json", HERE / "large.png"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
POOLED = (1_000, 10_000)  # sizes that vgg16 is measured with too: its forward pass takes minutes
NOTES = [
    f"pictures of {SIDE}x{SIDE}, varied from {DRAWN} drawn ones; a fifth of the patients test, a "
    "fifth of the others validate",
    "each size in a fresh process with an empty cache; reading is decoding and hashing the files, "
    "reading_again the same with what the cache kept; training is one epoch with TensorFlow's "
    "warm-up, validation and the scores behind it (for vgg16 with its frozen part), epoch the "
    "median step times the steps; predicting the test pictures; figures their metrics with "
    "intervals",
    "peak_mb is the most memory of the whole process (Linux: VmHWM), started_mb that after the "
    "imports; decoded_mb is what the pictures take as uint8; 1 MB is 1,000,000 bytes",
    "the load at the start tells what else the machine was doing: it moves times, not memory",
]
PARTS = {
    "reading": ("#0072B2", "o", "-"),
    "epoch": ("#D55E00", "s", (0, (4, 2))),
    "predicting": ("#009E73", "^", ":"),
}
NAMES = {
    "reading": "reading",
    "epoch": "an epoch's steps (median × number)",
    "predicting": "predicting a fifth",
}
WORKS = ("cnn", "vgg16-gap")


def main() -> None:
    options = parser().parse_args()
    path = options.results
    if not options.draw:
        sizes = (40, 80) if options.quick else options.sizes
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure_all(Path(folder), sizes, path, quick=options.quick)
    results = json.loads(path.read_text(encoding="utf-8"))
    print(f"Written: {path}, {plotting.save(chart(results), path.with_suffix('.png'))}")


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="pictures")
    options.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    options.add_argument("--draw", action="store_true", help="only draw the chart again")
    options.add_argument("--results", type=Path, default=RESULTS)
    options.add_argument("--folder", type=Path, help="where the temporary folder is made")
    return options


def measure_all(folder: Path, sizes: tuple[int, ...], path: Path, *, quick: bool = False) -> None:
    """Measure every size and write the results after each."""
    results = {"machine": machine(), "notes": NOTES, "rows": []}
    say("Drawing")
    drawn = draw_patients(40 if quick else DRAWN)
    for size in sizes:
        say(f"{size:,} pictures: writing them")
        root = folder / str(size)
        write_folder(root, drawn, size)
        for work in WORKS:
            if work == "cnn" or size in POOLED or quick:
                say(f"{size:,} pictures: {work}")
                results["rows"].append(measured(work, root, folder, size=32 if quick else SIDE))
                write_json(path, results)
        shutil.rmtree(root)


def measured(work: str, root: Path, folder: Path, size: int) -> dict:
    """One row, from a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        result = Path(cache) / "result.json"
        words = [HERE / "large_one.py", work, root, result, json.dumps({"size": size})]
        process = {"XRAY_CACHE": cache, "KERAS_HOME": cache}
        subprocess.run(
            [sys.executable, *map(str, words)], env={**os.environ, **process}, check=True
        )
        row = json.loads(result.read_text(encoding="utf-8"))
    say(json.dumps({name: round(s, 1) for name, s in row["seconds"].items()}))
    say(f"peak {row['peak_mb']:,.0f} MB, {row['started_mb']:,.0f} after the imports")
    return row


def machine() -> dict:
    """What the times depend on."""
    facts = environment()
    load = getattr(os, "getloadavg", lambda: (None,))()[0]
    return {
        **{name: facts[name] for name in ("cpu", "system", "versions", "onednn", "git_commit")},
        "threads": worker_count(),
        "load_at_start": load,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def chart(results: dict) -> Figure:
    """Time and memory against the number of pictures, on logarithmic axes."""
    table = pd.DataFrame(results["rows"])
    cnn = table[table["work"] == "cnn"].sort_values("pictures")
    with figure(4.2, title(cnn)) as made:
        grid = made.add_gridspec(2, 2, height_ratios=[4.0, 3 * LEGEND_LINE])
        times, memory = made.add_subplot(grid[0, 0]), made.add_subplot(grid[0, 1])
        handles = []
        for part, (color, marker, line) in PARTS.items():
            seconds = [row[part] for row in cnn["seconds"]]
            handles += times.plot(
                cnn["pictures"], seconds, color=color, marker=marker, linestyle=line,
                label=NAMES[part],
            )  # fmt: skip
        last = cnn.iloc[-1]
        slope = [last["seconds"]["epoch"] * n / last["pictures"] for n in cnn["pictures"]]
        handles += times.plot(cnn["pictures"], slope, "-", color="0.75", zorder=1)
        handles[-1].set_label("twice the pictures, twice the time")
        times.set_ylabel("seconds")
        handles += memory.plot(
            cnn["pictures"], cnn["peak_mb"] / 1e3, color="black", marker="D", label="peak, cnn"
        )
        pooled = table[table["work"] == "vgg16-gap"].sort_values("pictures")
        if len(pooled):
            handles += memory.plot(
                pooled["pictures"], pooled["peak_mb"] / 1e3, color="0.45", marker="v",
                linestyle="--", label="peak, vgg16 with pooled features",
            )  # fmt: skip
        handles += memory.plot(
            cnn["pictures"], cnn["decoded_mb"] / 1e3, color="#56B4E9", linestyle="-.", marker="x",
            label="the decoded pictures alone",
        )  # fmt: skip
        memory.set_ylabel("gigabytes")
        for axes in (times, memory):
            axes.set(xscale="log", yscale="log", xlabel="pictures")
            axes.set_xticks(cnn["pictures"].tolist(), minor=False)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
            axes.xaxis.set_minor_formatter(FuncFormatter(lambda n, _: ""))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            axes.tick_params(axis="x", labelsize=9)
            axes.grid(True)
        legend_row(made, grid[1, :], handles)
        return made


def title(cnn: pd.DataFrame) -> str:
    """What the chart shows, from its figures."""
    first, last = cnn.iloc[0], cnn.iloc[-1]
    longer = last["seconds"]["epoch"] / first["seconds"]["epoch"]
    grown = (cnn["peak_mb"].max() - first["peak_mb"]) / 1e3
    return (
        f"{last['pictures'] / first['pictures']:.0f} times the pictures: an epoch's steps take "
        f"{longer:.0f} times as long, at most {grown:.1f} GB more memory"
    )


def say(text: str) -> None:
    print(f"[{datetime.now():%H:%M:%S}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
