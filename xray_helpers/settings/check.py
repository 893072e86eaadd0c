"""Settings as a notebook has them -> checked settings, or one sentence for each that is wrong."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from xray_helpers.errors import KitError
from xray_helpers.settings import NOTEBOOKS, SMOKE, Settings
from xray_helpers.settings.kinds import parts


def check_settings(
    notebook: str, values: Mapping[str, Any], unknown: Iterable[str] = ()
) -> Settings:
    """The settings of a notebook, checked, with `smoke` worked in.

    Args:
        notebook: a key of `NOTEBOOKS`.
        values: setting -> value, as the notebook has them.
        unknown: names that were passed to the notebook and are none of its settings.

    Raises:
        KitError: one sentence for each name or value that is wrong, and what would be right.
    """
    kind = NOTEBOOKS[notebook]
    wrong = [_unknown_name(name, kind) for name in unknown]
    try:
        settings = kind(**values)
    except ValidationError as error:
        seen = set()
        for item in error.errors():
            name = str(item["loc"][0])
            if name not in seen:  # a union reports each of its branches
                seen.add(name)
                wrong.append(_wrong_value(name, item, kind))
        settings = None
    if wrong:
        raise KitError(" ".join(wrong))
    if settings.smoke:
        small = {name: value for name, value in SMOKE.items() if name in kind.model_fields}
        settings = settings.model_copy(update=small)
    return settings


def _unknown_name(name: str, kind: type[Settings]) -> str:
    names = list(kind.model_fields)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"the settings are: {', '.join(names)}."
    return f"'{name}' is no setting of this notebook; {hint}"


def _wrong_value(name: str, item: Mapping[str, Any], kind: type[Settings]) -> str:
    if name not in kind.model_fields:
        return _unknown_name(name, kind)
    value = item["input"]
    allowed = allowed_values(kind, name)
    if allowed == "text":
        allowed += f" ({kind.model_fields[name].description.rstrip('.')})"
    sentence = f"{name}={value!r} is not possible: {name} is {allowed}."
    choices = _choices(kind, name)
    if isinstance(value, str) and choices:
        wrong = next((part for part in parts(value) if part not in choices), value)
        close = difflib.get_close_matches(wrong, choices, n=1, cutoff=0.5)
        sentence += f" Did you mean '{close[0]}'?" if close else ""
    return sentence


def _choices(kind: type[Settings], name: str) -> list[str]:
    """The words that a setting is one of, or several of; none where it is no such setting."""
    schema = kind.model_json_schema()["properties"][name]
    branches = [schema, *schema.get("anyOf", [])]
    return next((b[key] for b in branches for key in ("enum", "several") if key in b), [])


def allowed_values(kind: type[Settings], name: str) -> str:
    """What a setting may be, in words: "a whole number, 1 or more, or None"."""
    schema = kind.model_json_schema()["properties"][name]
    branches = schema.get("anyOf", [schema])
    words = []
    for branch in branches:
        if branch.get("type") == "null":
            words.append("None")
        elif "enum" in branch:
            words.append("one of " + ", ".join(branch["enum"]))
        elif "several" in branch:
            words.append(
                f"one or more of {', '.join(branch['several'])}, with commas between them, or ''"
            )
        else:
            kinds = {
                "integer": "a whole number",
                "number": "a number",
                "boolean": "True or False",
                "string": "text",
            }
            limits = [
                text.format(branch[key])
                for key, text in (
                    ("minimum", "{} or more"),
                    ("exclusiveMinimum", "above {}"),
                    ("maximum", "{} or less"),
                    ("exclusiveMaximum", "below {}"),
                )
                if key in branch
            ]
            words.append(", ".join([kinds[branch["type"]], *limits]))
    return ", or ".join(words)
