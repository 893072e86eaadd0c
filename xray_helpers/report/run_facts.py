"""Facts of a run for the report, from its record alone."""

from typing import Any

from xray_helpers.evaluation.estimate import Estimate


def facts(record: dict[str, Any]) -> str:
    """What the report needs of a run, as Markdown; figures with n and interval.

    Args:
        record: `run.json` of a run that has been trained and tested.
    """
    model, training, test = record["model"], record["training"], record["test"]
    seconds, data = training["seconds"], record["data"]
    enhance = record["settings"].get("enhance", "")
    counts = {split: sum(classes.values()) for split, classes in data["counts"].items()}
    lines = [
        f"**Run** `{record['id']}`",
        "",
        f"- **Pictures:** {data['kind']}; "
        + ", ".join(f"{n} {split}" for split, n in counts.items())
        + f"; {len(data['set_aside'])} set aside"
        + (f"; enhanced by {enhance.replace(',', ', ')}" if enhance else ""),
        f"- **Network:** {model['backbone'] or 'own'}, weights {model['weights']}; "
        f"{model['parameters']['total']:,} parameters, {model['parameters']['trainable']:,} of "
        f"them trained; {model['megabytes']:,} MB",
        "- **Layers:** " + " > ".join(f"{x['layer']} ({x['output']})" for x in model["layers"]),
        f"- **Regularisation:** {', '.join(model['regularisation']) or 'none'}; "
        + (
            f"stop after {training['patience']} epochs without a better validation loss"
            if training["patience"]
            else "no early stopping"
        )
        + ", weights of the best epoch",
        f"- **Recipe:** {model['recipe']}"
        + "".join(f", {k} = {v}" for k, v in model["changed"].items()),
        f"- **Training:** {model['optimizer']} at {model['learning_rate']:g} "
        f"({training.get('schedule', 'constant')}), {model['loss']}; "
        f"{training['epochs']} epochs of {training['steps_per_epoch']} steps, batch "
        f"{training['batch_size']}; best epoch {training['best_epoch']}; "
        f"{training['augment_views']} augmented views a picture",
        f"- **Training pictures:** accuracy {training['train']['accuracy']:.3f}, "
        f"loss {training['train']['loss']:.3f} (n = {training['train']['n']})",
        f"- **Validation:** accuracy {training['validation']['accuracy']:.3f}, "
        f"loss {training['validation']['loss']:.3f} (n = {training['validation']['n']})",
        f"- **Test:** accuracy {_estimate(test['accuracy'])}"
        + (f", loss {test['loss']:.3f}" if test["loss"] is not None else ""),
        "- **Test, by class:**",
        *(
            f"    - {name.replace('_', ' ', 1)}: {_estimate(metric)}"
            for name, metric in test.items()
            if name.startswith(("precision_", "recall_")) and not name.endswith("_macro")
        ),
        f"- **Time:** {seconds['total']:.1f} s in all on {training['device']}{_faster(training)}"
        + (
            f"; through the whole model {seconds['uncached_epoch']:.2f} s an epoch, "
            f"{seconds['uncached_step']:.3f} s a step"
            if seconds["uncached_epoch"]
            else ""
        ),
    ]
    if test.get("p_columns", "probability") != "probability":
        lines.append(f"- **Columns p_ of `predictions.csv`:** {test['p_columns']}")
    lines += [f"- **Note:** {note}" for note in model.get("notes", [])]
    if record.get("marks"):
        lines += ["", f"**Not a result:** {' · '.join(record['marks'])}."]
    return "\n".join(lines)


def _faster(training: dict[str, Any]) -> str:
    """What makes the training quicker and its numbers others, see `xla` and `precision`."""
    precision = training.get("precision", "float32")  # records of older kits have neither
    xla = ", compiled by XLA" if training.get("xla") else ""
    return xla + (f", backbone in {precision}" if precision != "float32" else "")


def show_facts(run: "Run") -> None:  # noqa: F821 - for the reader; session imports come later
    """Show the facts of a notebook's run as a page does."""
    from xray_helpers.page import show_text

    show_text(facts(run.record.record))


def _estimate(metric: dict[str, Any]) -> str:
    """A figure with n and both of its intervals, as the notebooks print it."""
    return str(Estimate.from_dict(metric))
