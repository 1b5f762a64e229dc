"""What becomes of each setting in a target, and what the export rests on.

In: the fates that a writer states. Out: a JSON document that stands beside the export, and lines for people.
Must not know any target.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.outputs import numbers
from harness.records import JsonValue, ModelClass, Settings

Effect = Literal["effective", "not sent by provider", "not expressible"]
LOCAL = "no part of a request: the application does it; json, yaml, toml and dotenv hold it"
BELOW = 4 * " "  # before a reason that stands below its setting
TEXTS = ("prompt", "document")  # settings that name what is said to the model
# With these a setting does what leaving it out does, so that it may be lost without harm.
NEUTRAL: Mapping[str, JsonValue] = {"frequency_penalty": 0, "presence_penalty": 0, "top_p": 1, "stop": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of one setting.

    requested: as it was measured, `None`: not sent. exported: as it stands in the export, `None`: nowhere.
    key: where it stands there. model_class: `None` where the target knows no classes. changes: what runs in
    the target may answer otherwise than what was measured.
    """

    setting: str
    requested: JsonValue
    exported: JsonValue = None
    effect: Effect = "effective"
    reason: str = ""
    key: str = ""
    model_class: ModelClass | None = None
    changes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The files of one export by name, what becomes of the settings, and what else its user has to know.

    models: full names of models that the files name though no run chose them.
    """

    files: Mapping[str, str]
    fates: tuple[Fate, ...]
    remarks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def lost(
    setting: str,
    requested: JsonValue,
    reason: str,
    *,
    effect: Effect = "not expressible",
    model_class: ModelClass | None = None,
) -> Fate:
    """The fate of a setting that does not arrive; harmless when leaving it out does the same."""
    harmless = setting in NEUTRAL and requested == NEUTRAL[setting]
    return Fate(
        setting=setting,
        requested=requested,
        effect=effect,
        reason=reason,
        model_class=model_class,
        changes=not harmless,
    )


def address_fate(
    address: str,
    key: str,
    *,
    exported: str | None = None,
    reason: str = "",
    model_class: ModelClass | None = None,
) -> Fate:
    """The fate of an address that stands in the export. exported: as the target has it; `None`: as it is."""
    return Fate(
        setting="address",
        requested=address,
        exported=exported or address,
        reason=reason,
        key=key,
        model_class=model_class,
    )


def plain_fates(
    settings: Settings,
    keys: Mapping[str, str],
    reason: str = "",
    *,
    model_class: ModelClass | None = None,
    absent: Collection[str] = (),
    model: str | None = None,
) -> tuple[Fate, ...]:
    """Fates where a setting arrives exactly when it has a key. keys: by name of the setting.

    absent: names among `keys` that are left out after all. model: its name in the files, `None`: the full
    one. reason: why the others do not arrive. What is done with vectors on our side is part of no request, so
    that most targets have no place for it.
    """
    named: dict[str, JsonValue] = {"model": settings.model, **settings.held()}
    return tuple(
        Fate(
            setting=name,
            requested=value,
            exported=model if name == "model" and model is not None else value,
            key=keys[name],
            model_class=model_class,
        )
        if name in keys and name not in absent
        else lost(name, value, LOCAL if name in settings.local else reason, model_class=model_class)
        for name, value in named.items()
    )


def changed(fates: Sequence[Fate]) -> tuple[Fate, ...]:
    """The fates with which the target does something else than what was measured."""
    return tuple(fate for fate in fates if fate.changes)


def by_design(fates: Sequence[Fate]) -> tuple[Fate, ...]:
    """Those among them that every export of the target has: what it says to a model is its own."""
    return tuple(fate for fate in fates if fate.setting in TEXTS and not fate.key)


def fate_documents(fates: Sequence[Fate]) -> list[JsonValue]:
    """The fates as JSON-like objects, in their order."""
    return [
        {
            **({} if fate.model_class is None else {"class": fate.model_class}),
            "setting": fate.setting,
            "requested": fate.requested,
            "exported": fate.exported,
            **({"key": fate.key} if fate.key else {}),
            "effective": fate.effect,
            "changes_what_was_measured": fate.changes,
            **({"reason": fate.reason} if fate.reason else {}),
        }
        for fate in fates
    ]


def table(fates: Sequence[Fate], width: int | None = None) -> Iterator[str]:
    """The fates as lines of equal columns, a heading first, for a terminal.

    width: columns of the terminal; where lines would be longer, reasons stand below. `None`: they never do.
    """
    rows = [("class", "setting", "requested", "exported", "effective", "reason")]
    rows += [
        (
            fate.model_class or "",
            fate.setting,
            _shown(fate.requested),
            _shown(fate.exported),
            "yes" if fate.effect == "effective" else fate.effect,
            fate.reason,
        )
        for fate in fates
    ]
    classless = all(not row[0] for row in rows[1:])
    cells = [row[1:] if classless else row for row in rows]
    whole = list(_aligned(cells))
    if width is None or max(map(len, whole)) <= width:
        yield from whole
        return
    head, *lines = _aligned([row[:-1] for row in cells])
    yield head
    for line, (*_, reason) in zip(lines, cells[1:], strict=True):
        yield line
        yield from textwrap.wrap(
            reason, width, initial_indent=BELOW, subsequent_indent=BELOW, break_on_hyphens=False
        )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(value: JsonValue) -> str:
    return "-" if value is None else numbers.setting(value)
