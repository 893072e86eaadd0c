"""What errors cost, in tables: at the chosen threshold, at the usual one, and at every one."""

from typing import Any

import pandas as pd

from xray_helpers.evaluation.costs import (
    Cost,
    Threshold,
    calls,
    cost_at,
    errors_by_threshold,
    saving,
    scores_of,
)
from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.evaluation.predict import Evaluation


def cost_table(validation: Evaluation, test: Evaluation, chosen: Threshold) -> pd.DataFrame:
    """Both splits, as the model calls the pictures and at the chosen threshold; all as text.

    In brackets 95 % intervals; where some patients have several pictures, the wider of the two,
    that which takes pictures for independent and that of the bootstrap over patients.

    The cost on the validation pictures at the threshold that was chosen on them is too low by
    some luck; what counts is the one on the test pictures.
    """
    rows = []
    for cost in _costs(validation, test, chosen):
        rows.append(
            {
                "pictures": cost.split,
                "called": _rule(cost, len(test.classes)),
                "cost a picture": _short(cost.cost),
                "missed": f"{cost.missed} of {cost.recall.n}",
                "false alarms": f"{cost.alarms} of {cost.cost.n - cost.recall.n}",
                "recall": _short(cost.recall),
                "precision": _short(cost.precision),
            }
        )
    return pd.DataFrame(rows)


def cost_curve(validation: Evaluation, test: Evaluation, chosen: Threshold) -> pd.DataFrame:
    """What each threshold costs, for `plotting.cost_curve`.

    Returns:
        Columns split, above, up_to (any threshold above the one, up to the other), cost (a
        picture), missed, alarms (counts of pictures). A row a threshold that makes a difference.
    """
    parts = []
    for evaluation in (validation, test):
        edges, missed, alarms = errors_by_threshold(*scores_of(evaluation, chosen.positive))
        cost = chosen.cost_missed * missed + chosen.cost_alarm * alarms
        part = {"split": evaluation.split, "above": edges[:-1], "up_to": edges[1:]}
        part |= {"cost": cost / len(evaluation.predictions), "missed": missed, "alarms": alarms}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def cost_section(validation: Evaluation, test: Evaluation, chosen: Threshold) -> dict[str, Any]:
    """The `costs` section of `run.json`."""
    usual_validation, new_validation, usual, new = _costs(validation, test, chosen)
    return {
        "class": chosen.positive,
        "cost_missed": chosen.cost_missed,
        "cost_false_alarm": chosen.cost_alarm,
        "threshold": chosen.value,
        "near_best": [chosen.low, chosen.high],
        "if_calibrated": chosen.bayes,
        "validation": {"usual": _plain(usual_validation), "chosen": _plain(new_validation)},
        "test": {"usual": _plain(usual), "chosen": _plain(new)},
        "saving_on_test": saving(test, chosen).as_dict(),
    }


def usual_costs(
    validation: Evaluation, test: Evaluation, chosen: Threshold
) -> dict[str, float] | None:
    """Split -> cost a picture as the model calls them; None for two classes.

    With two classes the model calls a picture by the threshold 0.5, which a curve shows already.
    """
    if len(test.classes) == 2:
        return None
    found = {}
    for evaluation in (validation, test):
        is_so, called = calls(evaluation, None, chosen.positive)
        prices = chosen.cost_missed * (is_so & ~called) + chosen.cost_alarm * (~is_so & called)
        found[evaluation.split] = float(prices.mean())
    return found


def _costs(validation: Evaluation, test: Evaluation, chosen: Threshold) -> list[Cost]:
    prices = (chosen.cost_missed, chosen.cost_alarm, chosen.positive)
    return [
        cost_at(evaluation, threshold, *prices)
        for evaluation in (validation, test)
        for threshold in (None, chosen.value)
    ]


def _rule(cost: Cost, classes: int) -> str:
    if cost.threshold is None:
        return "above 0.5" if classes == 2 else "the likeliest class"
    return f"at {cost.threshold:.3f} and above"


def _short(one: Estimate) -> str:
    """The figure and the wider of its intervals."""
    if one.n == 0:
        return "not defined"
    wider = max((one, one.ends), key=lambda of: of.high - of.low)
    return f"{one.value:.3f} ({wider.low:.3f} to {wider.high:.3f})"


def _plain(cost: Cost) -> dict[str, Any]:
    return {
        "cost": cost.cost.as_dict(),
        "missed": cost.missed,
        "false_alarms": cost.alarms,
        "recall": cost.recall.as_dict(),
        "precision": cost.precision.as_dict(),
    }
