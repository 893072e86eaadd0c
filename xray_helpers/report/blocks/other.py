"""Facts about t-SNE, times, and two classifiers in a row."""

import json
from pathlib import Path
from typing import Any

from xray_helpers.errors import KitError
from xray_helpers.report.blocks.marks import (
    estimate,
    figure,
    full_name,
    name_of,
    not_a_result,
    number,
    parts,
    table,
)
from xray_helpers.report.chosen import Chosen, Record

NO_TIMING = "*No run of `04_cpu_vs_gpu` is in this report.*"
NO_TWO_STAGE = "*No run of `06_two_stage` is in this report.*"

_MORE_TSNE = ("tsne_networks.png", "tsne_train_*.png", "tsne_test_*.png", "tsne_both_*.png")


def tsne(chosen: Chosen) -> str:
    """The t-SNE figures of the networks, and those that `03_tsne` left."""
    if not chosen.networks:
        return "*No run of task 1 or 2 is in this report.*"
    rows, figures = [], []
    for record in chosen.networks:
        settings = record["settings"]
        layer, perplexity = settings.get("tsne_layer"), settings.get("tsne_perplexity")
        task = record["task"].replace("task", "task ")
        rows.append((f"{task}: {name_of(record)}", f"`{layer}`", perplexity))
        figures.append(
            figure(record, "tsne", f"{full_name(record)} ({task}): t-SNE of {layer}'s outputs")
        )
        for path in _more(record):
            figures.append(figure(record, path.stem, f"{full_name(record)}: {_words(path.stem)}"))
    return parts(table(("network", "layer", "perplexity asked for"), rows), *figures)


def _more(record: Record) -> list[Path]:
    """What `03_tsne` drew of this run, if it was run."""
    folder = Path(record["folder"]) / "figures"
    return [path for pattern in _MORE_TSNE for path in sorted(folder.glob(pattern))]


def _words(stem: str) -> str:
    """`tsne_both_feature_dense` -> "PCA and t-SNE, feature_dense, train and test pictures"."""
    if stem == "tsne_networks":
        return "t-SNE of several networks or layers side by side"
    _, split, layer = stem.split("_", 2)
    which = "training and test" if split == "both" else {"train": "training"}.get(split, split)
    return f"PCA and t-SNE at several perplexities, {layer}, {which} pictures"


def timing(chosen: Chosen) -> str:
    """Seconds on each device, and how fair the comparison is."""
    return parts(*map(_timing, chosen.timing)) if chosen.timing else NO_TIMING


def _timing(record: Record) -> str:
    from xray_helpers.training.timing_table import machine_lines, merge_timings

    timings, lost = _timings(record)
    found, notes = merge_timings(timings)
    rows = [
        (
            *(row["work"], row["device"]),
            *(number(row[f"seconds_{part}"], n) for part, n in _SECONDS.items()),
            number(row["times faster"], 1),
        )
        for row in found.astype(object).where(found.notna(), None).to_dict("records")
    ]
    model, mark = record["model"], not_a_result(record)
    about = (
        f"`{record['id']}`: {model['backbone'] or 'own network'} of {record['task']}, weights "
        f"{model['weights']}; every step goes through all layers."
    )
    header = ("work", "device", "s an epoch", "s a step", "s in all", "times faster")
    machines = [line for timing in timings for line in machine_lines(timing)]
    return parts(
        about,
        f"**Not a result: {mark}.**" if mark else "",
        "\n".join(f"- {line}" for line in machines),
        table(header, rows, numbers=4),
        "\n".join(f"- {note}" for note in [*lost, *notes]),
        figure(record, "timing_training", "Seconds an epoch of the training on each device"),
        figure(record, "timing_toy", "Seconds of the toy convolution on each device"),
    )


_SECONDS = {"epoch": 3, "step": 4, "total": 3}  # with so many decimals


def _timings(record: Record) -> tuple[list[dict[str, Any]], list[str]]:
    """What a run measured and merged, and sentences about what of it cannot be read any more."""
    from xray_helpers.runs.timings import timings_to_merge
    from xray_helpers.settings import TimingSettings
    from xray_helpers.training.timing_table import TIMING, read_timing

    folder = Path(record["folder"])
    try:
        mine = read_timing(folder / TIMING)
    except KitError as error:
        raise KitError(f"{folder / TIMING} cannot be read; run its notebook again.") from error
    if "run" in mine["measurements"][0]:
        return [mine], []
    # Of an older kit: what it merged is named in its settings alone.
    merge = TimingSettings(merge=record["settings"].get("merge", ""))
    try:
        return [mine, *timings_to_merge(merge, folder.parent)], []
    except KitError as error:
        return [mine], [f"What the run merged cannot be read: {error}"]


def two_stage(chosen: Chosen) -> str:
    """The two classifiers, both in a row, and one network for all classes."""
    return parts(*map(_two_stage, chosen.two_stage)) if chosen.two_stage else NO_TWO_STAGE


_NETWORKS = {
    "stage1": "stage 1: normal or infected",
    "stage2": "stage 2: by what",
    "softmax": "one network, three classes",
}


def _two_stage(record: Record) -> str:
    rows, targets = [], []
    for name, words in _NETWORKS.items():
        network = _read(record, f"{name}.json")
        training, test = network["training"], network["test"]
        classes = list(network["data"]["counts"]["test"])
        rows.append(
            (
                words,
                f"{network['model']['parameters']['total']:,}",
                f"{training['best_epoch']} of {training['epochs']}",
                number(training["validation"]["accuracy"]),
                estimate(test["accuracy"]),
            )
        )
        if name != "softmax":  # of two classes, the second is the one looked for
            targets += [
                (words, f"{metric} of {classes[1]}", estimate(test.get(f"{metric}_{classes[1]}")))
                for metric in ("recall", "precision")
            ]
    rows.append(
        (
            "both stages in a row",
            None,
            None,
            _cascade_validation(record),
            estimate(record["test"]["accuracy"]),
        )
    )
    pairs, mark = record["cascade"]["beside_softmax"], not_a_result(record)
    over = " over patients" if pairs.get("over_patients") else ""
    beside = (
        f"Picture by picture, the cascade beside the one network: both right {pairs['both']}, only "
        f"the cascade {pairs['first_only']}, only the one network {pairs['second_only']}, neither "
        f"{pairs['neither']}; exact McNemar p{over} = {pairs['p']:.3g}."
    )
    header = ("network", "parameters", "epoch kept", "validation accuracy", "test accuracy")
    return parts(
        f"`{record['id']}`",
        f"**Not a result: {mark}.**" if mark else "",
        table(header, rows),
        table(("stage", "figure", "test pictures"), targets),
        beside,
        figure(record, "stage1_curves", "Stage 1: normal or infected, by epoch"),
        figure(record, "stage2_curves", "Stage 2: which infection, by epoch"),
        figure(record, "cascade_confusion", "Both in a row: confusion matrix of the test pictures"),
        figure(record, "softmax_confusion", "One network: confusion matrix of the test pictures"),
    )


def _cascade_validation(record: Record) -> str:
    return number(record["training"]["validation"]["accuracy"])


def _read(record: Record, name: str) -> dict[str, Any]:
    path = Path(record["folder"]) / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KitError(f"{path} cannot be read ({error}); run its notebook again.") from error
