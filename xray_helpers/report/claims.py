"""Numbers in the student's words that contradict the record they name.

The rule: in a sentence that names a network of the report (a run's id, a part of it such as
`#adf0`, a backbone such as ResNet50, or "task 1" where the report has one run of it), a number that
stands right behind one of the words accuracy, loss, recall, precision, parameters or epochs, or in
"28 of 36 right", must be that record's, in the digits that are written. With several networks
named, it may be any one's; "accuracy" alone may be that of training, validation or test pictures.
Sentences about something else (a floor, chance, another report, "would", "in epoch 10") are left
alone, as are all numbers in other places, and those of "it" before the name of another network: a
number that is passed over is better than a false alarm.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xray_helpers.report.chosen import Chosen, Record
from xray_helpers.report.known import best_epochs, class_scores, epochs, parameters, right, scores

_ELSEWHERE = re.compile(
    r"\b(would|could|should|might|if|unless|chance|guess\w*|floors?|thumbnails?|paper|published|"
    r"literature|other reports?|report [A-E]|reported|expect\w*|difference|differ|gap|interval of|"
    r"(in|at|after|until|by|from) epochs? \d+|after \d+ epochs?|instead of|fold|grid|probe)\b",
    re.IGNORECASE,
)
_SPLIT = r"(?P<split>test|validation|training|train)"
_LINK = (
    r"(?:\s+(?:of|for)\s+(?:the\s+)?[`#\w-]*[A-Za-z][`#\w-]*)?"  # "accuracy of VGG16"
    r"(?:\s+on\s+(?:the\s+)?(?P<split2>test|validation|training|train)"
    r"(?:\s+(?:pictures|images|set|data))?)?"
    r"\s*(?:\b(?:of|is|was|are|were|reaches|reached|equals|at)\b|[:=(]|\bto be\b)?"
    r"\s*(?:\b(?:only|just|about|around|roughly|nearly|almost|exactly)\b)?\s*"
)
_SHARE = r"(?P<number>\d+(?:[.,]\d+)?)\s*(?P<percent>%|percent\b|per cent\b)?"
_NO_COMPARISON = (
    r"(?!\d)(?!\s*(?:percentage )?(?:points?|higher|lower|better|worse|more|less|above|below|"
    r"times|x\b|×|to\b|or\b|of\b|out of\b|/|million\b))"
)
_SCORE = re.compile(
    rf"(?:\b{_SPLIT}\s+)?\b(?P<what>accuracy|loss)\b{_LINK}{_SHARE}{_NO_COMPARISON}", re.IGNORECASE
)
_CLASS = re.compile(
    rf"\b(?P<what>recall|precision)\s+(?:of|for)\s+(?P<label>[\w-]+(?: pneumonia)?)"
    rf"\s+(?:of|is|was|reaches|reached|at|[:=])\s*{_SHARE}{_NO_COMPARISON}",
    re.IGNORECASE,
)
_OF = r"(?P<number>\d+)\s*(?:of|out of|/)\s*(?:the\s+|its\s+|these\s+)?(?P<n>\d+)"
_CLASS_COUNT = re.compile(
    rf"\b(?P<what>recall|precision)\s+(?:of|for)\s+(?P<label>[\w-]+(?: pneumonia)?)"
    rf"\s+(?:of|is|was|reaches|reached|at|[:=])\s*{_OF}\b",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    rf"\b{_OF}\s*(?:test\s+)?(?:pictures\s+|images\s+)?(?:are\s+|were\s+|is\s+)?"
    rf"(?:right|correct\w*)\b(?:\s*[(,:=]\s*(?P<share>\d[.,]\d+))?",
    re.IGNORECASE,
)
_SHARED = re.compile(r"\b(alone|both|same|agree\w*|together|wrong|either)\b", re.IGNORECASE)
_IT = re.compile(r"\b(its?|this|the (other|first|second|former|latter))\b", re.IGNORECASE)
_PARAMETERS = re.compile(
    r"(?P<number>\d[\d,.']*\d)\s*(?P<unit>million|M)?\s+(?:\w+\s+)?parameters\b", re.IGNORECASE
)
_EPOCHS = re.compile(
    r"\b(?:for|ran|runs|took)\s+(?P<number>\d+)\s+epochs\b|\bepochs\s*[:=]\s*(?P<number2>\d+)"
)
_BEST = re.compile(rf"\bbest epoch{_LINK}(?P<number>\d+)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'`*(#\d])")
_BACKBONE_NAMES = {"inception_resnet_v2": "inception ?resnet(?: ?v2)?", "cnn": "cnn"}


@dataclass(frozen=True)
class Claim:
    """A number that contradicts the records.

    Attributes:
        line: where, from 1.
        words: the words with the number.
        known: what the records say, in words.
    """

    line: int
    words: str
    known: str


def contradicted(lines: Sequence[tuple[int, str]], chosen: Chosen) -> list[Claim]:
    """The claims in these lines that the records of the report contradict.

    Args:
        lines: numbered lines of the student's words, see `places.words_only`.
        chosen: the runs of the report.
    """
    claims = []
    for sentence, line_at in _sentences(lines):
        records = _named(sentence, chosen)
        if not records or _ELSEWHERE.search(sentence):
            continue
        for found, number, digits, known in _numbers(sentence, records):
            if _IT.search(sentence[: found.start()]) and not _named(
                sentence[: found.end()], chosen
            ):
                continue  # of a network that an earlier sentence names
            if known and not any(_agrees(number, digits, value) for value in known.values()):
                said = "; ".join(f"{name} {_text(value)}" for name, value in known.items())
                claims.append(Claim(line_at(found.start()), found[0].strip(), said))
    return claims


def _sentences(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[str, Any]]:
    """Each sentence, and a function from a place in it to its line's number."""
    paragraph: list[tuple[int, str]] = []
    for number, line in [*lines, (0, "")]:
        # A list item, a table's row and a heading are sentences of their own.
        new = not line.strip() or re.match(r"\s*(?:[-*+]|\d+\.|\||#{1,6}\s)\s*", line)
        jump = paragraph and number != paragraph[-1][0] + 1
        if (new or jump) and paragraph:
            yield from _split(paragraph)
            paragraph = []
        if line.strip():
            paragraph.append((number, line))


def _split(paragraph: list[tuple[int, str]]) -> Iterator[tuple[str, Any]]:
    text = " ".join(line for _, line in paragraph)
    starts, at = [], 0
    for number, line in paragraph:
        starts.append((at, number))
        at += len(line) + 1
    begin = 0
    for sentence in _SENTENCE.split(text):
        place = text.index(sentence, begin)
        begin = place + len(sentence)
        yield sentence, lambda i, p=place: [n for start, n in starts if start <= p + i][-1]


def _named(sentence: str, chosen: Chosen) -> list[Record]:
    """The records that a sentence names."""
    low = sentence.lower()
    by_id = [r for r in chosen.networks if r["id"].lower() in low or f"#{r['id'][-4:]}" in low]
    by_id = by_id or [r for r in chosen.networks if r["id"][-6:] in re.findall(r"\w+", low)]
    if by_id:
        return by_id
    loose = re.sub(r"[-_ ]+", " ", low)
    backbones = [r for r in chosen.networks if re.search(_pattern(r), loose)]
    tasks = [
        r
        for number, task in (("1", chosen.task1), ("2", chosen.task2))
        if re.search(rf"\btask {number}\b", loose)
        for r in task
    ]
    if backbones and tasks:
        return [r for r in backbones if r in tasks] or backbones
    return backbones or tasks


def _pattern(record: Record) -> str:
    """How a sentence may write a run's backbone: `resnet50`, ResNet-50, resnet 50."""
    name = record["model"]["backbone"]
    if not name:
        return r"(?!)"
    if name in _BACKBONE_NAMES:
        return rf"\b{_BACKBONE_NAMES[name]}\b"
    parts = re.findall(r"[a-z]+|\d+", name)
    return rf"\b{' ?'.join(parts)}\b"


def _numbers(sentence: str, records: Sequence[Record]) -> Iterator[tuple]:
    """Each number with a metric: the words, the number, its last digit's worth, what is known."""
    for found in _SCORE.finditer(sentence):
        split = found["split"] or found["split2"]
        yield found, *_share(found), scores(records, found["what"].lower(), split)
    for found in _CLASS.finditer(sentence):
        yield found, *_share(found), class_scores(records, found["what"].lower(), found["label"])
    for found in _CLASS_COUNT.finditer(sentence):
        share = int(found["number"]) / max(1, int(found["n"]))
        yield found, share, 1e-6, class_scores(records, found["what"].lower(), found["label"])
    for found in _RIGHT.finditer("" if _SHARED.search(sentence) else sentence):
        known = right(records, int(found["n"]))
        yield found, float(found["number"]), 1.0, known
        if known and found["share"]:
            share = float(found["share"].replace(",", "."))
            worth = 10.0 ** -len(found["share"].partition(found["share"][1])[2])
            yield found, share, worth, {k: v / int(found["n"]) for k, v in known.items()}
    for found in _PARAMETERS.finditer(sentence):
        number, digits = _count(found["number"], found["unit"])
        if number >= 1000:
            yield found, number, digits, parameters(records)
    for found in _EPOCHS.finditer(sentence):
        yield found, float(found["number"] or found["number2"]), 1.0, epochs(records)
    for found in _BEST.finditer(sentence):
        yield found, float(found["number"]), 1.0, best_epochs(records)


def _share(found: re.Match) -> tuple[float, float]:
    text = found["number"].replace(",", ".")
    number, worth = float(text), 10.0 ** -len(text.partition(".")[2])
    return (number / 100, worth / 100) if found["percent"] else (number, worth)


def _count(text: str, unit: str | None) -> tuple[float, float]:
    if unit:
        text = text.replace(",", ".")
        return float(text) * 1e6, 1e6 * 10.0 ** -len(text.partition(".")[2])
    return float(re.sub(r"\D", "", text)), 1.0


def _agrees(number: float, worth: float, value: float) -> bool:
    """Whether `number` is `value` rounded or cut off; `worth` is what its last digit counts."""
    above = (value - number) / worth
    return -0.5 - 1e-6 <= above < 1 - 1e-6


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
