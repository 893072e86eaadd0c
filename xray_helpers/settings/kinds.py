"""Kinds of values that settings have, and the settings that every notebook has."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)


def _not_a_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number or a word is wanted here, not True or False")
    return value


def _number_as_text(value: Any) -> Any:
    """`-p data_dir 2024` arrives as a number, and a folder may be called so."""
    return str(value) if type(value) in (int, float) else value


def one_of(names: Iterable[str]) -> Any:
    """A word out of a list."""
    return Annotated[Literal[tuple(names)], BeforeValidator(_not_a_truth_value)]


def parts(text: str) -> list[str]:
    """What stands between the commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def several_of(names: Iterable[str]) -> Any:
    """Words out of a list, comma-separated; "" for none. Spaces around them do not count."""
    allowed = list(names)

    def known(text: str) -> str:
        if not set(parts(text)) <= set(allowed):
            raise ValueError("a word that is not in the list")
        return ",".join(parts(text))

    return Annotated[
        str,
        BeforeValidator(_not_a_truth_value),
        AfterValidator(known),
        WithJsonSchema({"type": "string", "several": allowed}),
    ]


def whole(**limits: int) -> Any:
    """A whole number between limits (`ge`, `gt`, `le`, `lt` as in pydantic)."""
    return Annotated[int, Field(strict=True, **limits), BeforeValidator(_not_a_truth_value)]


def number(**limits: float) -> Any:
    """A number between limits."""
    finite = Field(strict=True, allow_inf_nan=False, **limits)
    return Annotated[float, finite, BeforeValidator(_not_a_truth_value)]


Text = Annotated[str, BeforeValidator(_not_a_truth_value), BeforeValidator(_number_as_text)]
YesNo = bool


class Settings(BaseModel):
    """Settings of every notebook."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs_dir: Text = Field(
        "auto", description="Folder for the records of runs; 'auto' is $XRAY_RUNS, else runs/."
    )
    seed: whole(ge=0, le=2**31 - 1) = Field(42, description="Seed of everything random.")
    smoke: YesNo = Field(
        False, description="Make the notebook small: few generated pictures, two epochs."
    )
