"""Records of how quality moves with a setting, over the trials of a search. No decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records import Estimate, JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLevel:
    """Trials with one value of a setting, or with a number from `value` to `upto`. value: `None`: not sent.

    quality: as if every value had met every model alike; `None`: too few trials to tell.
    """

    value: JsonValue
    trials: int
    quality: Estimate | None
    upto: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingEffect:
    """How quality moves with one setting over the trials of a search. levels: in order of their values.

    importance: share of what moves quality, from 0 to 1, by the name of the method; empty with too few trials
    or for a setting that some trial lacks.
    """

    name: str
    levels: tuple[SettingLevel, ...]
    importance: Mapping[str, float] = field(default_factory=dict[str, float])
