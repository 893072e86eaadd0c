"""Questions to a network's features: what else than the lungs could have told the class?

Each is asked with a probe (see `probe`) on what the frozen backbone says of the pictures. What a
probe can read off a picture without lungs, a network can too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from xray_helpers.evaluation.averages import share_of
from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.evaluation.probe import (
    held_out,
    new_probe,
    one_row_a_patient,
    shuffled_scores,
)

# Shares of height and width. The lungs lie inside, also where a patient stands a little off.
TOP, BOTTOM, LEFT, RIGHT = 0.08, 0.86, 0.06, 0.94
BORDER = 1 / 14  # share of the side that counts as border: 16 of 224 pixels

ALARM = 0.001


def blank_lungs(pictures: np.ndarray) -> np.ndarray:
    """A copy of pictures, uint8 (n, size, size, 3), black where the lungs are.

    One rectangle for all, so that its form tells nothing. Corners, shoulders, belly and what is
    written at the sides stay (after Maguolo and Nanni 2021, Information Fusion 76:1).
    """
    size = pictures.shape[1]
    blank = np.array(pictures)
    rows = slice(round(TOP * size), round(BOTTOM * size))
    columns = slice(round(LEFT * size), round(RIGHT * size))
    blank[:, rows, columns] = 0
    return blank


def border_alone(pictures: np.ndarray) -> np.ndarray:
    """A copy of pictures, uint8 (n, size, size, 3), black but for a frame at the four sides."""
    size = pictures.shape[1]
    strip = max(1, round(BORDER * size))
    border = np.array(pictures)
    border[:, strip : size - strip, strip : size - strip] = 0
    return border


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of a question.

    Attributes:
        question: in words.
        score: share of patients whose class was told right; None where it cannot be asked.
        chance: what always saying the most frequent class would get.
        p: how often shuffled labels score as high, corrected for the number of questions; None
            where that is not asked.
        reading: what follows, in a sentence.
        shuffled: the scores of shuffled labels, (times,).
    """

    question: str
    score: Estimate | None
    chance: float
    p: float | None
    reading: str
    shuffled: np.ndarray | None = None


def chance(labels: np.ndarray) -> float:
    """What always saying the most frequent label scores."""
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def ask(
    question: str,
    features: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    yes: str,
    no: str,
    *,
    checks: int = 1,
    times: int = 9999,
    seed: int = 42,
) -> Answer:
    """Whether features tell labels: cross-validated patient by patient, against shuffled labels.

    Each patient counts once, see `one_row_a_patient`. Shuffling assumes nothing about how far
    cross-validated scores spread, whose folds share their training rows.

    Args:
        question: in words.
        features: (n, d), a row a picture.
        labels, patients: (n,).
        yes: the reading when p < .001.
        no: the reading otherwise, where there are enough shufflings to tell.
        checks: number of questions asked of the same pictures, for which p is corrected
            (Bonferroni: multiplied by it).
        times: shufflings; `checks` / (`times` + 1) is the smallest p there can be.
        seed: of folds and shufflings.

    Raises:
        KitError: fewer than 2 patients.
    """
    rows, names = one_row_a_patient(features, labels, patients)
    found = share_of(held_out(rows, names, seed=seed) == names)
    shuffled = shuffled_scores(rows, names, times, seed=seed)
    p = min(1.0, checks * _share_as_good(found, shuffled))
    reading = yes if p < ALARM else no
    if checks / (1 + times) >= ALARM:
        reading = (
            f"Not asked well enough: {times:,} shufflings are too few for p < {ALARM:g}, "
            f"{round(checks / ALARM):,} would do."
        )
    return Answer(question, found, chance(names), p, reading, shuffled)


def _share_as_good(found: Estimate, shuffled: np.ndarray) -> float:
    """How often shuffled labels score as high; the true order is one that shuffling can give."""
    return float((1 + np.sum(shuffled >= found.value)) / (1 + len(shuffled)))


def labels_mean_something(answer: Answer) -> Answer:
    """Whether true labels are told better than shuffled ones; an alarm when they are not.

    Here the alarm is that there is nothing, so a weak yes is said to be one.

    Args:
        answer: what `ask` found for the labels.
    """
    p = _share_as_good(answer.score, answer.shuffled)
    if p < ALARM:
        reading = "The labels say something about the pictures."
    elif p < 0.05:
        reading = "The labels seem to say something about the pictures; it could still be luck."
    else:
        reading = (
            "ALARM: these labels are told no better than shuffled ones. Either they belong to "
            "other pictures, or these features do not show the classes, or there are too few "
            "pictures."
        )
    question = "Are the labels told better than shuffled ones?"
    return replace(answer, question=question, p=p, reading=reading)


def source_answer(
    features: np.ndarray,
    sources: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    **options: int,
) -> Answer:
    """Whether the same features tell which collection a picture is from; `options` as in `ask`."""
    question = "Which collection is the picture from?"
    names = np.unique(sources)
    if len(names) < 2:
        reading = f"All pictures are from one collection ({names[0]}): it cannot give a class away."
        return Answer(question, None, 1.0, None, reading)
    mixed = pd.crosstab(labels, sources).gt(0).sum(axis=1).max() > 1
    told = "The features tell where a picture comes from"
    yes = (
        f"{told}, so a network may have learnt that in place of the disease."
        if mixed
        else f"{told}, and every class is from one collection: no score for classes of different "
        "collections can tell a network that sees disease from one that sees where a picture comes "
        "from."
    )
    no = "Not shown that the features tell where a picture comes from."
    return ask(question, features, sources, patients, yes, no, **options)


def both_ways(
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    patients: Mapping[str, np.ndarray],
    seed: int = 42,
) -> pd.DataFrame:
    """Trained here or there, tested here or there: what a score is worth at another hospital.

    Args:
        features: name of a collection -> (n, d).
        labels: the same names -> (n,).
        patients: the same names -> (n,).
        seed: of the folds.

    Returns:
        Columns trained on, tested on, value, low, high (95 % interval), n (patients). Within a
        collection the score is cross-validated.
    """
    table = []
    rows = {k: one_row_a_patient(features[k], labels[k], patients[k]) for k in features}
    for here, (seen, names) in rows.items():
        for there, (asked, wanted) in rows.items():
            if here == there:
                told = held_out(seen, names, seed=seed)
            else:
                told = new_probe(seen.shape[1]).fit(seen, names).predict(asked)
            found = share_of(told == wanted)
            ends = {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
            table.append({"trained on": here, "tested on": there, **ends})
    return pd.DataFrame(table)


def answers_table(answers: Iterable[Answer]) -> pd.DataFrame:
    """Answers as a table to look at, all text: question, score, interval, n, chance, p, reading.

    n counts patients.
    """
    rows = []
    for answer in answers:
        told = answer.score
        row = {"question": answer.question, "score": "–", "95 % interval": "–", "n": "–"}
        if told is not None:
            row |= {"score": f"{told.value:.3f}", "n": str(told.n)}
            row["95 % interval"] = f"{told.low:.3f} to {told.high:.3f}"
        row["chance"] = f"{answer.chance:.3f}"
        row["p"] = "–" if answer.p is None else f"{answer.p:.2g}"
        rows.append({**row, "reading": answer.reading})
    return pd.DataFrame(rows)
