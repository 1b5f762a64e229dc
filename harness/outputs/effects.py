"""What each setting did to quality, as text in its final wording.

In: a run record. Out: plain records for the templates. Must not write markup, or compute a figure.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings import RunRecord
from harness.insights import SettingLevel
from harness.outputs import numbers
from harness.outputs.report_parts import Cell
from harness.outputs.spans import Span, spans

TOO_FEW = "not enough data"
CAPTION = (
    "Mean quality over the trials of the search, each value as if it had met every model alike; the intervals"
    " of one setting hold all together. A search does not try values evenly: this tells where to look, not"
    " what to ship."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelLine:
    """One value of a setting, or a range of them."""

    value: str
    trials: Cell
    quality: Cell
    span: Span | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLines:
    """One setting. importance: a cell a method, in the order of `EffectData.methods`."""

    name: str
    levels: tuple[LevelLine, ...]
    importance: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectData:
    """All settings. methods: of importance, by name; empty: `without` says why there is none."""

    settings: tuple[EffectLines, ...]
    caption: str
    methods: tuple[str, ...]
    without: str


def effect_data(record: RunRecord) -> EffectData | None:
    """The effects in words; `None` for a run that searched nothing, or tried one value of everything."""
    if not record.effects:
        return None
    methods = tuple(dict.fromkeys(method for one in record.effects for method in one.importance))
    estimates = [level.quality for one in record.effects for level in one.levels]
    places = iter(spans(estimates))
    return EffectData(
        settings=tuple(
            EffectLines(
                name=one.name.replace("_", " "),
                levels=tuple(_line(each, next(places)) for each in one.levels),
                importance=tuple(_share(one.importance.get(method)) for method in methods),
            )
            for one in record.effects
        ),
        caption=CAPTION,
        methods=methods,
        without=""
        if methods
        else f"Importances by Optuna: {TOO_FEW}, {numbers.counted(_told(record), 'trial')}.",
    )


def _told(record: RunRecord) -> int:
    return sum(trial.told is not None for trial in record.trials)


def _line(level: SettingLevel, span: Span | None) -> LevelLine:
    known = level.quality
    return LevelLine(
        value=level_words(level),
        trials=Cell(text=numbers.count(level.trials), order=level.trials),
        quality=Cell(text=TOO_FEW, order=None)
        if known is None
        else Cell(text=numbers.quality_short(known), order=known.value),
        span=span,
    )


def level_words(level: SettingLevel) -> str:
    """The value, or the range of values, as people read it."""
    if level.value is None:
        return "not sent"
    start = numbers.setting(level.value)
    return (
        start
        if level.upto is None or level.upto == level.value
        else f"{start} to {numbers.setting(level.upto)}"
    )


def _share(part: float | None) -> Cell:
    return Cell(text="not in every trial" if part is None else numbers.share(part), order=part)
