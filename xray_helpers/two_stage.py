"""What `06_two_stage` writes into its run beside the usual: a record a network, and the cascade.

| file | what |
|---|---|
| `stage1.json`, `stage2.json`, `softmax.json` | data, model, training, test of each network |
| `history.csv` | a row an epoch and network, which the column `network` names |
| `stage1.keras`, `stage2.keras`, `softmax.keras` | the networks, where `save_model` asks for them |
| `variants.csv` | a row a variant: the report's figures and ours |
| `predictions.csv`, `predictions_softmax.csv` | of the cascade, and of the softmax network |

In `run.json`, `test` is the cascade's; `model` and `training` are both stages taken together.
"""

import json
from dataclasses import asdict
from typing import Any

import pandas as pd

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.files import write_json
from xray_helpers.models.recipe import Recipe
from xray_helpers.report import facts
from xray_helpers.run import Run, data_section

STAGES = ("stage1", "stage2")
NETWORKS = (*STAGES, "softmax")
_HISTORY = "history.csv"
_SHOWN = ("accuracy", "precision_", "recall_")


def record_network(
    run: Run, name: str, data: Dataset, recipe: Recipe, training: Any, result: Any
) -> None:
    """Write down one network that was trained and tested.

    Args:
        run: the notebook's run.
        name: "stage1", "stage2" or "softmax".
        data: the pictures as this network sees them.
        recipe: what it was built from.
        training: what `train` gave.
        result: what `evaluate` gave for the test pictures.
    """
    from xray_helpers.models.describe import describe

    run.record.reopen(without=("model", "training", "test", "cascade"))
    run.record.record["environment"].update(training.environment)
    sections = {
        "data": data_section(data),
        "model": describe(training.model, recipe, "none", data.pictures.shape[1:]),
        "training": training.summary(),
        "test": result.figures(),
    }
    write_json(run.folder / f"{name}.json", sections)
    _add_history(run, name, training.history)
    if name == "softmax":
        run.record.add_table("predictions_softmax.csv", result.predictions)
    if run.settings.save_model:
        training.save_model(run.folder / f"{name}.keras")


def _add_history(run: Run, name: str, history: pd.DataFrame) -> None:
    """Put the epochs of a network into `history.csv`, in place of those of an earlier try."""
    history = history.copy()
    history.insert(0, "network", name)
    path = run.folder / _HISTORY
    earlier = pd.read_csv(path) if path.is_file() else history.iloc[:0]
    whole = pd.concat(
        [part for part in (earlier[earlier["network"] != name], history) if len(part)]
    )
    run.record.add_table(_HISTORY, whole)


def record_cascade(run: Run, results: dict[str, Any], beside: Any) -> None:
    """Write down the cascade, once both stages are recorded.

    Args:
        run: the notebook's run.
        results: what `evaluation.cascade` gave for "train", "validation" and "test".
        beside: what `evaluation.paired` gave for the cascade and the softmax network.

    Raises:
        KitError: a stage is not recorded yet.
    """
    from xray_helpers.evaluation.cascade import largest_elsewhere

    first, second = (_network(run, name) for name in STAGES)
    test = results["test"]
    run.record.add_table("predictions.csv", test.predictions)
    run.record.update(
        model=_both_models(first["model"], second["model"]),
        training=_both_trainings(first["training"], second["training"], results),
        test=test.figures(),
        cascade={
            "largest_probability_elsewhere": largest_elsewhere(test),
            "beside_softmax": asdict(beside),
        },
    )


def record_variants(run: Run, table: pd.DataFrame) -> None:
    """Write down the variants, a row each."""
    run.record.reopen()
    run.record.add_table("variants.csv", table)


def _network(run: Run, name: str) -> dict[str, Any]:
    try:
        return json.loads((run.folder / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KitError(
            f"The run has no {name}.json yet; run the cells that train it first."
        ) from None


def _both_models(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The stages' models as one: the same settings, the layers and parameters of both."""
    layers = [
        {**layer, "layer": f"{name}/{layer['layer']}"}
        for name, model in zip(STAGES, (first, second), strict=True)
        for layer in model["layers"]
    ]
    counts = {name: n + second["parameters"][name] for name, n in first["parameters"].items()}
    megabytes = round(first["megabytes"] + second["megabytes"], 1)
    return {**first, "layers": layers, "parameters": counts, "megabytes": megabytes}


def _both_trainings(
    first: dict[str, Any], second: dict[str, Any], results: dict[str, Any]
) -> dict[str, Any]:
    """The stages' trainings as one: epochs and seconds added up, scores those of the cascade.

    What has no sum, such as the best epoch, is None here and stands in the stages' own records.
    """
    seconds = dict.fromkeys(first["seconds"])
    for name in ("features", "total"):
        seconds[name] = first["seconds"][name] + second["seconds"][name]
    scores = {
        split: {
            "loss": results[split].loss,
            "accuracy": results[split].accuracy.value,
            "n": results[split].accuracy.n,
        }
        for split in ("train", "validation")
    }
    epochs = first["epochs"] + second["epochs"]
    return {**first, "epochs": epochs, "best_epoch": None, "seconds": seconds, **scores}


def show_networks(run: Run) -> None:
    """Show the facts of the three networks and of the cascade, as a page does."""
    from xray_helpers.page import show_text

    record = run.record.record
    for name in NETWORKS:
        mine = {**record, **_network(run, name), "id": f"{record['id']}/{name}"}
        show_text(facts(mine))
    show_text(cascade_facts(record))


def cascade_facts(record: dict[str, Any]) -> str:
    """The cascade's figures as Markdown, from `run.json`."""
    test, pairs = record["test"], record["cascade"]["beside_softmax"]
    lines = ["**The cascade**", ""]
    for name, metric in test.items():
        if not name.startswith(_SHOWN) or name.endswith("_macro"):
            continue
        if metric["n"]:  # a share of no picture is no figure
            lines.append(
                f"- **{name.replace('_', ' ', 1).capitalize()}:** {metric['value']:.3f} (95 % "
                f"interval {metric['low']:.3f} to {metric['high']:.3f}, n = {metric['n']})"
            )
    over = " over patients" if pairs.get("over_patients") else ""
    lines.append(
        f"- **Beside the softmax network:** both right {pairs['both']}, only the cascade "
        f"{pairs['first_only']}, only the softmax {pairs['second_only']}, neither "
        f"{pairs['neither']}; exact McNemar p{over} = {pairs['p']:.3g}"
    )
    return "\n".join(lines)


def variant_columns(table: pd.DataFrame) -> pd.DataFrame:
    """What of `run_variants`' table is worth looking at, under short names.

    The report's figures come last; `n` is the number of test pictures.
    """
    names = {"variant": "variant", "stage": "stage", "what": "what"}
    names["validation_accuracy"] = "validation accuracy"
    names |= {f"test_{m}": f"test {m}" for m in ("accuracy", "recall", "precision")}
    names["test_accuracy_n"] = "n"
    names |= {f"reported_{m}": f"report {m}" for m in ("accuracy", "recall", "precision")}
    names |= {"best_epoch": "best epoch", "seconds": "seconds"}
    shown = table[list(names)].rename(columns=names)
    # Missing where the training diverged, which makes the column one of floats.
    epochs = ["–" if pd.isna(epoch) else f"{epoch:.0f}" for epoch in shown["best epoch"]]
    return shown.assign(**{"best epoch": epochs})
