"""Which errors matter: the threshold at which a network's mistakes cost the least.

Two errors have a price: a covid case that is called something else (missed), and something else
that is called covid (a false alarm). All other mix-ups cost nothing here. A picture is called
covid where its score is at or above a threshold; otherwise it is called the likeliest of the other
classes. A low threshold misses few and raises many false alarms, a high one the other way round.

Were the scores true probabilities, no search would be needed: calling a picture covid costs
(1 - p) times a false alarm on average, not calling it p times a missed case, and so the best
threshold is `cost_alarm / (cost_alarm + cost_missed)` (Elkan 2001, IJCAI). It is given beside the
one that is chosen, for comparison.

The threshold is chosen on validation pictures. One that is chosen on the test pictures fits
these, by luck too, and says too low a cost for all others.
"""

from dataclasses import dataclass, replace

import numpy as np

from xray_helpers.errors import KitError
from xray_helpers.evaluation.averages import priced, share_among
from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.evaluation.predict import Evaluation

POSITIVE = "covid"


@dataclass(frozen=True)
class Threshold:
    """A threshold that was chosen on validation pictures.

    Attributes:
        value: pictures with a score at or above it are called `positive`.
        low, high: any threshold above `low`, up to `high`, costs the same on these pictures.
        cost_missed, cost_alarm: what it was chosen for.
        positive: the class that is missed or falsely called.
    """

    value: float
    low: float
    high: float
    cost_missed: float
    cost_alarm: float
    positive: str = POSITIVE

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.value:.3f} (any above {self.low:.3f} up to {self.high:.3f} costs the same on "
            f"the validation pictures; {self.bayes:.3f} if scores were true probabilities)"
        )

    @property
    def bayes(self) -> float:
        """The best threshold if the scores were true probabilities."""
        return self.cost_alarm / (self.cost_alarm + self.cost_missed)


@dataclass(frozen=True)
class Cost:
    """What the errors on a split cost, at one threshold.

    Attributes:
        split: whose pictures.
        threshold: the threshold; None: the classes as the model gives them.
        cost: cost a picture (not a share); its interval combines those of the shares of missed
            pictures and of false alarms, the bootstrap over patients stands beside.
        missed: pictures of the class that are called another.
        alarms: pictures of other classes that are called so.
        recall, precision: of the class.
    """

    split: str
    threshold: float | None
    cost: Estimate
    missed: int
    alarms: int
    recall: Estimate
    precision: Estimate


def choose_threshold(
    validation: Evaluation, cost_missed: float, cost_alarm: float, positive: str = POSITIVE
) -> Threshold:
    """The threshold that costs the least on validation pictures.

    All thresholds between two neighbouring scores call the same pictures covid and cost the same,
    so there is always an interval of best ones, often more than one: the middle of the widest is
    taken, of equally wide ones the lowest (it misses fewer). Thresholds lie between 0 and 1,
    without these two.

    Args:
        validation: what `evaluate(model, data, "validation")` gave; of a hinge too, the threshold
            is then one of the score, which is no probability.
        cost_missed: of a picture of `positive` called another class, 0 or more.
        cost_alarm: of a picture of another class called `positive`, 0 or more.
        positive: the class.

    Raises:
        KitError: the pictures are not the validation pictures; there is no such class, or none or
            only pictures of it; a cost is negative, or both are 0.
    """
    if validation.split != "validation":
        raise KitError(
            f"A threshold is chosen on validation pictures, and these are {validation.split} "
            'pictures; give what evaluate(model, data, "validation") gave.'
        )
    _check_costs(cost_missed, cost_alarm)
    scores, is_so = scores_of(validation, positive)
    if is_so.all() or not is_so.any():
        raise KitError(
            f"Of the validation pictures {int(is_so.sum())} of {len(is_so)} are of the class "
            f"{positive}; a threshold can be chosen only where some are and some are not."
        )
    edges, missed, alarms = errors_by_threshold(scores, is_so)
    costs = cost_missed * missed + cost_alarm * alarms
    best = np.isclose(costs, costs.min(), rtol=1e-12, atol=0)  # the same but for rounding
    # Neighbouring intervals of the same cost are one.
    first = np.flatnonzero(best & ~np.r_[False, best[:-1]])
    last = np.flatnonzero(best & ~np.r_[best[1:], False])
    low, high = edges[first], edges[last + 1]
    widest = int(np.argmax(high - low))
    ends = float(low[widest]), float(high[widest])
    return Threshold(sum(ends) / 2, *ends, cost_missed, cost_alarm, positive)


def cost_at(
    evaluation: Evaluation,
    threshold: float | None,
    cost_missed: float,
    cost_alarm: float,
    positive: str = POSITIVE,
) -> Cost:
    """What the errors on a split's pictures cost at a threshold; nothing is chosen here.

    Args:
        evaluation: of any split.
        threshold: pictures with a score at or above it are called `positive`; None: the classes
            as the model gives them (of two classes those above 0.5, of more the likeliest).
        cost_missed, cost_alarm, positive: as for `choose_threshold`.

    Raises:
        KitError: there is no such class; a cost is negative, or both are 0.
    """
    _check_costs(cost_missed, cost_alarm)
    is_so, called = calls(evaluation, threshold, positive)
    missed, alarms = is_so & ~called, ~is_so & called
    patients = evaluation.patients
    return Cost(
        split=evaluation.split,
        threshold=threshold,
        cost=priced([(cost_missed, missed), (cost_alarm, alarms)], patients),
        missed=int(missed.sum()),
        alarms=int(alarms.sum()),
        recall=share_among(called, is_so, patients),
        precision=share_among(is_so, called, patients),
    )


def at_threshold(evaluation: Evaluation, threshold: float, positive: str = POSITIVE) -> Evaluation:
    """The same pictures and scores, each called `positive` where its score reaches the threshold.

    All others are called the likeliest of the other classes. The loss does not change.
    """
    scores, _ = scores_of(evaluation, positive)
    others = [name for name in evaluation.classes if name != positive]
    shares = evaluation.predictions[[f"p_{name}" for name in others]].to_numpy()
    likeliest = np.array(others)[shares.argmax(axis=1)]
    called = np.where(scores >= threshold, positive, likeliest)
    return replace(evaluation, predictions=evaluation.predictions.assign(predicted=called))


def saving(evaluation: Evaluation, chosen: Threshold) -> Estimate:
    """What the chosen threshold saves a picture, against the classes as the model gives them.

    Below 0 it costs more. Both costs are of the same pictures, so this tells more than their two
    intervals do: only pictures count that the two rules call differently. Where there is none,
    there is no interval either, which does not make it sure that nothing is saved.
    """
    is_so, usual = calls(evaluation, None, chosen.positive)
    _, new = calls(evaluation, chosen.value, chosen.positive)
    parts = []
    for sign, moved in ((1, new & ~usual), (-1, usual & ~new)):
        # A lower threshold only adds calls, a higher one only takes some back. What cannot happen
        # has no place in the interval, where it would count as "none of 18, so up to 0.18".
        if moved.any():
            parts.append((sign * chosen.cost_missed, is_so & moved))
            parts.append((-sign * chosen.cost_alarm, ~is_so & moved))
    if not parts:
        why = "both rules call every picture the same"
        unknown = float("nan")
        return Estimate(0.0, unknown, unknown, len(is_so), "combined", no_interval=why)
    return priced(parts, evaluation.patients)


def errors_by_threshold(
    scores: np.ndarray, is_so: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many errors of each kind there are at every threshold.

    Args:
        scores: of the class, (n,), 0 to 1.
        is_so: which pictures are of the class, bool (n,).

    Returns:
        Edges (m + 1,), the distinct scores with 0 and 1; missed (m,) and false alarms (m,), the
        counts at any threshold above one edge up to the next.
    """
    edges = np.unique([0.0, *scores, 1.0])
    hits, others = np.sort(scores[is_so]), np.sort(scores[~is_so])
    missed = np.searchsorted(hits, edges[1:], side="left")
    alarms = len(others) - np.searchsorted(others, edges[1:], side="left")
    return edges, missed, alarms


def scores_of(evaluation: Evaluation, positive: str) -> tuple[np.ndarray, np.ndarray]:
    """The score of a class, float64 (n,), and which pictures are of it, bool (n,).

    Raises:
        KitError: there is no such class.
    """
    if positive not in evaluation.classes:
        raise KitError(
            f"There is no class {positive!r} among {', '.join(evaluation.classes)}; name one."
        )
    table = evaluation.predictions
    return table[f"p_{positive}"].to_numpy(np.float64), (table["true"] == positive).to_numpy(bool)


def calls(
    evaluation: Evaluation, threshold: float | None, positive: str
) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures are of the class, and which are called so, bool (n,) each; see `cost_at`."""
    _, is_so = scores_of(evaluation, positive)
    after = evaluation if threshold is None else at_threshold(evaluation, threshold, positive)
    return is_so, (after.predictions["predicted"] == positive).to_numpy(bool)


def _check_costs(cost_missed: float, cost_alarm: float) -> None:
    if min(cost_missed, cost_alarm) < 0 or cost_missed + cost_alarm <= 0:
        raise KitError(
            f"The costs of a missed case and of a false alarm are {cost_missed:g} and "
            f"{cost_alarm:g}; give numbers of 0 or more, at least one above 0."
        )
