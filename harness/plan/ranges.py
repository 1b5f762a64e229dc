"""How a searched setting may be written: a range, choices, or one fixed value; as strict models.

In: plain values of a spec. Out: models that cannot hold a range upside down or a choice twice. The ground
of `spec`; must not know which settings there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from harness.plan.problems import written

# Marks the branch of a union inside pydantic's error places; no key of a spec begins like this.
KIND = "kind:"
Value = TypeVar("Value")


class Strict(BaseModel):
    """Unknown keys are errors, text is not a number, and nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
    )


class _Between(Strict):
    @model_validator(mode="after")
    def _ordered(self) -> _Between:
        values = cast("dict[str, Any]", self.__dict__)
        low, high, step = values["low"], values["high"], values["step"]
        if low > high:
            raise ValueError(f"low is {written(low)} and high is {written(high)}; low must not be above high")
        if values["log"] and low <= 0:
            raise ValueError(f"low is {written(low)}; with log: true it must be above 0")
        if values["log"] and step is not None:
            raise ValueError("log and step exclude each other; remove one of them")
        return self


class NumberRange(_Between):
    """A setting searched between two numbers, both ends included."""

    low: float = Field(description="Smallest value tried.")
    high: float = Field(description="Largest value tried.")
    log: bool = Field(default=False, description="Search on a logarithmic scale.")
    step: float | None = Field(default=None, gt=0, description="Distance between values, counted from low.")


class WholeRange(_Between):
    """A setting searched between two whole numbers, both ends included."""

    low: int = Field(description="Smallest value tried.")
    high: int = Field(description="Largest value tried.")
    log: bool = Field(default=False, description="Search on a logarithmic scale.")
    step: int | None = Field(default=None, gt=0, description="Distance between values, counted from low.")


class Options(Strict, Generic[Value]):
    """A setting searched among the values listed."""

    choices: list[Value] = Field(min_length=1, description="The values tried.")

    @model_validator(mode="after")
    def _different(self) -> Options[Value]:
        if any(value in self.choices[:place] for place, value in enumerate(self.choices)):
            raise ValueError("choices holds a value twice; list each once")
        return self


class NumberOptions(Options[float]):
    """A setting searched among numbers."""


class WholeOptions(Options[int]):
    """A setting searched among whole numbers."""


class TextOptions(Options[str]):
    """A setting searched among words."""


class StopOptions(Options[list[str]]):
    """Stop sequences searched among lists of them."""


class AnyOptions(Options[JsonValue]):
    """A custom parameter searched among any values."""


def _kind(value: object) -> str:
    if isinstance(value, Options) or (isinstance(value, Mapping) and "choices" in value):
        return KIND + "choices"
    return KIND + ("range" if isinstance(value, Mapping | _Between) else "fixed")


_BY_KIND = Discriminator(_kind)
NumberSetting = Annotated[
    Annotated[NumberRange, Tag(KIND + "range")]
    | Annotated[NumberOptions, Tag(KIND + "choices")]
    | Annotated[float, Tag(KIND + "fixed")],
    _BY_KIND,
]
Whole = Annotated[int, Field(ge=1)]
WholeSetting = Annotated[
    Annotated[WholeRange, Tag(KIND + "range")]
    | Annotated[WholeOptions, Tag(KIND + "choices")]
    | Annotated[Whole, Tag(KIND + "fixed")],
    _BY_KIND,
]


def _listed(value: object) -> str:
    return KIND + ("choices" if isinstance(value, Options | Mapping) else "fixed")


TextSetting = Annotated[
    Annotated[TextOptions, Tag(KIND + "choices")] | Annotated[str, Tag(KIND + "fixed")],
    Discriminator(_listed),
]
StopSetting = Annotated[
    Annotated[StopOptions, Tag(KIND + "choices")] | Annotated[list[str], Tag(KIND + "fixed")],
    Discriminator(_listed),
]


def _custom(value: object) -> str:
    if isinstance(value, Options) or (isinstance(value, Mapping) and "choices" in value):
        return KIND + "choices"
    if isinstance(value, _Between):
        return KIND + ("whole range" if isinstance(value, WholeRange) else "range")
    if isinstance(value, Mapping) and {"low", "high"} <= cast("Mapping[str, Any]", value).keys():
        ends = [cast("Mapping[str, Any]", value)[end] for end in ("low", "high")]
        whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
        return KIND + ("whole range" if whole else "range")
    return KIND + "fixed"


CustomSetting = Annotated[
    Annotated[WholeRange, Tag(KIND + "whole range")]
    | Annotated[NumberRange, Tag(KIND + "range")]
    | Annotated[AnyOptions, Tag(KIND + "choices")]
    | Annotated[JsonValue, Tag(KIND + "fixed")],
    Discriminator(_custom),
]
Setting: TypeAlias = (
    NumberRange
    | WholeRange
    | NumberOptions
    | WholeOptions
    | TextOptions
    | StopOptions
    | AnyOptions
    | JsonValue
    | float
    | str
    | list[str]
)
