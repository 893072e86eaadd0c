"""Draw benchmarks/speed.png from results.json, and bring the README's section "Speed" up to date.

python benchmarks/chart.py
"""

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from xray_helpers import plotting
from xray_helpers.files import write_text
from xray_helpers.plotting.timing import timing_bars

HERE = Path(__file__).parent
RESULTS, CHART, README = HERE / "results.json", HERE / "speed.png", HERE.parent / "README.md"
START, END = "<!-- benchmarks/chart.py writes from here -->", "<!-- to here -->"
WAYS = {
    "classical": "classical: Keras's fit through the network, from files",
    "cold": "kit, first time",
    "warm": "kit, again",
}
PICTURES = {"class": "the class's pictures", "generated": "generated pictures"}


def main() -> None:
    publish(json.loads(RESULTS.read_text(encoding="utf-8")))


def publish(results: dict) -> None:
    """Write the chart and the README's section."""
    plotting.save(chart(results), CHART)
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(START)
    write_text(README, before + section(results) + rest.split(END)[1])
    print(f"Written: {CHART}, and the table in {README}")


def chart(results: dict) -> Figure:
    """Seconds of each work in each way, on a logarithmic axis."""
    table = pd.DataFrame(results["rows"])
    table["device"] = table["way"].map(WAYS)
    return timing_bars(
        table[["work", "device", "seconds"]],
        unit="seconds",
        title=f"Training in three ways on {_machine(results)}; {_pictures(results)}",
    )


def section(results: dict) -> str:
    """What stands in the README between its two marks, the marks included."""
    return "\n".join([START, markdown_table(results), "", facts(results), END])


def markdown_table(results: dict) -> str:
    """A row a work: its time in each way, and how many times quicker the kit is."""
    lines = [
        "| work | classical | kit, first time | kit, again | times quicker, first time | again |",
        "|---|---|---|---|---|---|",
    ]
    rows = {(row["work"], row["way"]): row for row in results["rows"]}
    for work in dict.fromkeys(row["work"] for row in results["rows"]):
        ways = [rows[work, way] for way in WAYS]
        cells = [_time(row["seconds"]) for row in ways] + [_ratio(row["ratio"]) for row in ways[1:]]
        lines.append(f"| `{work}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def facts(results: dict) -> str:
    """What the table leaves out, in sentences."""
    counts = [row["measured_epochs"] for row in results["rows"] if row["way"] == "classical"]
    share = results["forward_share"]
    text = (
        f"On {_machine(results)}, with {_pictures(results)}, {results['machine']['date']}. The "
        "classical times are extrapolated from medians of "
        f"{' to '.join(map(str, sorted({min(counts), max(counts)})))} epochs. VGG16's forward "
        f"pass does {share['forward_gflops']:.0f} · 10⁹ operations a second, "
        f"{100 * share['share']:.0f} % of what the same machine does when it multiplies float32 "
        f"matrices ({share['matmul_gflops']:.0f} · 10⁹)."
    )
    if results["agreement"]:
        epochs = max(row["epochs"] for row in results["agreement"])
        most = max(row["largest_relative_difference"] for row in results["agreement"])
        text += (
            f" In the first {epochs} epochs, training and validation losses differ from those of "
            f"training end to end by at most {most:.1g} of their value."
        )
    return text


def _pictures(results: dict) -> str:
    return f"{PICTURES.get(results['data']['kind'], 'other pictures')} and random weights"


def _machine(results: dict) -> str:
    machine = results["machine"]
    device = machine["cpu"] if machine["device"] == "cpu" else machine["device"]
    return f"{device.replace('(R)', '')}, {machine['threads']} threads"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    if seconds < 6000:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h"


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


if __name__ == "__main__":
    main()
