"""Facts about what the networks score: curves, the comparison, the test pictures, the limits."""

from collections.abc import Sequence

from xray_helpers.report.blocks.marks import (
    drawn,
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
from xray_helpers.runs.compare import same_data, with_floor

ONE = "*Only one network of task 2 is in this report; the assignment asks for two or more.*"
_NONE = "*No run of this task is in this report.*"


def curves_task1(chosen: Chosen) -> str:
    """Accuracy and loss of task 1."""
    return _curves(chosen.task1)


def curves_task2(chosen: Chosen) -> str:
    """Accuracy and loss of task 2."""
    return _curves(chosen.task2)


def _curves(records: Sequence[Record]) -> str:
    if not records:
        return _NONE
    rows = []
    for record in records:
        training = record["training"]
        for split in ("train", "validation"):
            score = training[split]
            rows.append(
                (
                    name_of(record),
                    "training" if split == "train" else split,
                    number(score["accuracy"]),
                    number(score["loss"]),
                    score["n"],
                    f"{training['best_epoch']} of {training['epochs']}",
                )
            )
    header = ("network", "pictures", "accuracy", "loss", "n", "epoch kept")
    figures = [
        figure(
            record,
            "learning_curves",
            f"{full_name(record)}: accuracy and loss by epoch, training and validation",
        )
        for record in records
    ]
    note = "Both scores are of the weights that were kept, with dropout off."
    return parts(table(header, rows, numbers=4), note, *figures)


def comparison(chosen: Chosen) -> str:
    """The networks of task 2 side by side, beside the floors, and pair by pair."""
    from xray_helpers.runs.pairs import correction_note, pairs_of

    records = chosen.task2
    if not records:
        return _NONE
    if len({record["data"]["fingerprint"] for record in records}) > 1:
        return "*These runs are of different pictures and cannot be compared.*"
    pairs = pairs_of(records)
    sentences = "\n".join(f"- {pair.sentence}" for pair in pairs)
    return parts(
        ONE if len(records) < 2 else "",
        _costs(records),
        "#### Test accuracy, beside classifiers that have seen no detail of a lung",
        _accuracies(records),
        drawn("comparison_accuracy", "Test accuracy of the networks and floors, 95 % intervals"),
        "#### Picture by picture: which can these test pictures tell apart?" if pairs else "",
        sentences,
        correction_note(pairs, intervals=False),
        drawn("comparison_curves", "Accuracy and loss of the networks on the same axes")
        if len(records) > 1
        else "",
        *(
            figure(r, "confusion", f"{full_name(r)}: confusion matrix of the test pictures")
            for r in records
        ),
    )


def _costs(records: Sequence[Record]) -> str:
    rows = []
    for record in records:
        training, parameters = record["training"], record["model"]["parameters"]
        seconds = training["seconds"]
        fit, validation = training["train"]["accuracy"], training["validation"]["accuracy"]
        rows.append(
            (
                name_of(record),
                f"{parameters['total']:,}",
                f"{parameters['trainable']:,}",
                number(seconds["uncached_epoch"], 2),
                number(seconds["uncached_step"], 3),
                number(seconds["total"], 1),
                number(fit),
                number(validation),
                number(fit - validation),
            )
        )
    header = (
        *("network", "parameters", "trained", "s an epoch", "s a step", "s in all"),
        *("training accuracy", "validation accuracy", "gap"),
    )
    note = (
        "Seconds an epoch and a step are of training through the whole network, nothing cached "
        "(– where none was timed); seconds in all are of the training as it was run."
    )
    return parts(table(header, rows, numbers=8), note)


def _accuracies(records: Sequence[Record]) -> str:
    rows = [
        (
            full_name(record),
            estimate(record["test"]["accuracy"]),
            number(record["test"]["loss"]),
            not_a_result(record) or "none",
        )
        for record in records
    ]
    rows += [(name, estimate(score), None, None) for name, score in floor_scores(records)]
    return table(("network", "test accuracy", "test loss", "marks"), rows)


def floor_scores(records: Sequence[Record]) -> list[tuple[str, dict]]:
    """Name and score of each floor on these runs' pictures; none where no record has them."""
    from xray_helpers.evaluation.floor import FLOORS

    record = with_floor(records)
    return [(FLOORS.get(k, k), v) for k, v in record["floor"].items()] if record else []


def challenge(chosen: Chosen) -> str:
    """The test pictures: the network with the best validation accuracy of each task."""
    texts = [_test(task[0], name) for task, name in _tasks(chosen)]
    if not texts:
        return _NONE
    note = (
        "*Of each task the run with the best validation accuracy (unmarked runs first); its test "
        "accuracy had no part in the choice.*"
    )
    return parts(note, *texts)


def _tasks(chosen: Chosen) -> list[tuple[list[Record], str]]:
    both = ((chosen.task1, "Task 1"), (chosen.task2, "Task 2"))
    return [(records, name) for records, name in both if records]


def _test(record: Record, task: str) -> str:
    test = record["test"]
    classes = list(record["data"]["counts"]["test"])
    rows = [("accuracy", estimate(test["accuracy"]))]
    rows += [
        (f"{metric} of {name}", estimate(test[f"{metric}_{name}"]))
        for name in classes
        for metric in ("recall", "precision")
        if f"{metric}_{name}" in test
    ]
    rows.append(("loss", number(test["loss"])))
    mark = not_a_result(record)
    title = f"{task}: {full_name(record)}"
    return parts(
        f"#### {title}",
        f"**Not a result: {mark}.**" if mark else "",
        table(("test pictures", "value"), rows),
        figure(record, "test_pictures", f"{title}: every test picture, its class and the answer"),
        figure(record, "confusion", f"{title}: confusion matrix of the test pictures")
        if task == "Task 1"
        else "",
    )


def limits(chosen: Chosen) -> str:
    """What n, interval, floor and patients leave open, for every network."""
    rows = []
    for records, task in _tasks(chosen):
        for record in records:
            accuracy = record["test"]["accuracy"]
            same = same_data(records, record["data"]["fingerprint"])
            best = max((s["value"] for _, s in floor_scores(same)), default=None)
            above = accuracy["low"] > best if best is not None else None
            by = accuracy.get("by_patient") or {}
            rows.append(
                (
                    f"{task}: {name_of(record)}",
                    f"{number(accuracy['low'])} to {number(accuracy['high'])}",
                    _over_patients(by),
                    number(best),
                    {True: "above it", False: "not shown to be above it", None: "no floor"}[above],
                )
            )
    header = (
        *("network", "95 % interval of the test accuracy", "the same, over patients"),
        *("best floor", "and the interval lies"),
    )
    return table(header, rows) if rows else _NONE


def _over_patients(by: dict) -> str | None:
    if not by:
        return None
    if by["low"] is None:
        return f"none: {by['no_interval']}"
    return f"{number(by['low'])} to {number(by['high'])} ({by['patients']} patients)"
