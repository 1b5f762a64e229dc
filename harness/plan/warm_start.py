"""Settings that a search tries early: finalists of earlier runs, and presets, as far as the space holds them.

In: the entries of `search.warm_start`, and the space. Out: settings of that space, and notes that name
whatever was left out. Nothing is bent: a value that the space does not hold is left at its default, or the
settings are left out as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from harness.catalogue.presets import load_presets
from harness.errors import UsageError
from harness.findings import RunRecord
from harness.fingerprint import canonical
from harness.plan.given import RECOMMENDATIONS, recommended_in
from harness.plan.parameters import default_settings, there, value_of, with_values
from harness.plan.plan import Choices, Dimension, Space, rivals_of
from harness.plan.problems import shown, suggestion, written
from harness.records import SENT_FIELDS, JsonValue, Settings
from harness.store.codec import decode, encode
from harness.store.store import Store

PRESET = "preset:"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Warm:
    """Settings to try early, in order, each once, no defaults. notes: what was left out, and why."""

    settings: tuple[Settings, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where entries are looked up. folder: of the spec. store: opened only when a run is asked for."""

    folder: Path
    experiment: str
    store: Callable[[], AbstractContextManager[Store]]


def find_warm(entries: Sequence[str], space: Space, sources: Sources) -> tuple[Warm, dict[int, str]]:
    """What these entries bring to this space, and by position the fault of each entry that means nothing."""
    found: list[Settings] = []
    notes: list[str] = []
    faults: dict[int, str] = {}
    for place, entry in enumerate(entries):
        try:
            if entry.startswith(PRESET):
                warm = _preset(entry, space, "warm_start")
            elif entry.endswith(".json"):
                warm = _fitting(entry, [_recommended(sources.folder / entry, sources.experiment)], space)
            else:
                warm = _of_run(entry, space, sources)
        except UsageError as error:
            faults[place] = str(error)
            continue
        found += warm.settings
        notes += warm.notes
    known = {canonical(settings) for settings in default_settings(space)}
    new = {canonical(settings): settings for settings in found if canonical(settings) not in known}
    return Warm(tuple(new.values()), tuple(notes)), faults


def find_presets(
    names: Sequence[str], space: Space
) -> tuple[dict[str, tuple[Settings, ...]], list[str], dict[int, str]]:
    """The settings of these presets in this space by name, what to say of them, and faults by position."""
    found: dict[str, tuple[Settings, ...]] = {}
    notes: list[str] = []
    faults: dict[int, str] = {}
    for place, name in enumerate(names):
        try:
            one = _preset(name, space, "preset")
        except UsageError as error:
            faults[place] = str(error)
            continue
        notes += one.notes
        found[name] = one.settings
        if not one.settings:
            faults[place] = f"is {name!r}, and the space holds none of its values; {'; '.join(one.notes)}"
    return found, notes, faults


def pinned_form(settings: Sequence[Settings]) -> list[JsonValue]:
    """The settings as JSON, for a run to keep: it goes on with them, whatever their source says by then."""
    return [json.loads(encode(one)) for one in settings]


def from_pinned(form: Sequence[JsonValue]) -> tuple[Settings, ...]:
    """The settings that `pinned_form` wrote."""
    return tuple(decode(Settings, json.dumps(one)) for one in form)


# -- runs and files


def _of_run(entry: str, space: Space, sources: Sources) -> Warm:
    with sources.store() as store:
        name = entry if entry != LATEST else _latest(store, sources.experiment)
        if name is None:
            note = f"warm_start {LATEST}: no run of {sources.experiment} has finalists yet; it brings nothing"
            return Warm(notes=(note,))
        try:
            record = store.run(name).record
        except UsageError as error:
            raise UsageError(
                f"is {entry!r}, which is neither a run, a .json file nor {PRESET}NAME: {error}"
            ) from error
    if record is None:
        raise UsageError(
            f"is run {name!r}, which has not ended; finish it with `harness tune --resume {name}`"
        )
    finalists = _finalists(record)
    if not finalists:
        return Warm(notes=(f"warm_start {name}: that run has no finalists; it brings nothing",))
    found = _fitting(name, finalists, space)
    which = (f"warm_start {LATEST}: the finalists of {name}",) if entry == LATEST else ()
    return replace(found, notes=(*which, *found.notes))


def _latest(store: Store, experiment: str) -> str | None:
    """The newest run of this experiment with something to start from: it may not be the one begun last."""
    for row in store.runs():
        if row.experiment == experiment and row.ended_at is not None:
            record = store.run(row.run).record
            if record is not None and record.finalists:
                return row.run
    return None


def _finalists(record: RunRecord) -> list[Settings]:
    """The settings of a run's finalists, the recommended ones first."""
    chosen = None if record.recommendation is None else record.recommendation.trial.number
    ranked = sorted(record.finalists, key=lambda trial: trial.number != chosen)
    return [trial.settings for trial in ranked]


def _recommended(path: Path, experiment: str) -> Settings:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"is {str(path)!r}, which cannot be read as JSON: {error}") from error
    if isinstance(content, Mapping) and cast("Any", content).get("format") == RECOMMENDATIONS:
        content = cast("Any", content)["picks"][recommended_in(cast("Any", content), experiment, str(path))]
    settings: Any = cast("Any", content).get("settings") if isinstance(content, Mapping) else None
    if not isinstance(settings, Mapping):
        raise UsageError(
            f"is {str(path)!r}, which holds no `settings`; give the recommendation.json of a report"
        )
    return decode(Settings, json.dumps(settings), file=str(path))


def _fitting(source: str, settings: Sequence[Settings], space: Space) -> Warm:
    found: list[Settings] = []
    notes: list[str] = []
    for given in settings:
        one = _of_space(given, space)
        reason = _misfit(one, space)
        if reason:
            notes.append(f"warm_start {source}: settings of {one.model} are left out: {reason}")
            continue
        default = space.defaults[one.model]
        live = [d for d in space.dimensions[one.model] if there(d, one)]
        new = [d.name for d in live if value_of(one, d.name) is None]
        if any(value_of(default, name) is None or rivals_of(name) for name in new):
            notes.append(f"warm_start {source}: settings of {one.model} are left out: no {', '.join(new)}")
            continue
        if new:
            notes.append(
                f"warm_start {source}: settings of {one.model} did not send {', '.join(new)}; its default is "
                "tried"
            )
        held: dict[str, Any] = {d.name: None for d in space.dimensions[one.model] if d not in live}
        held |= {d.name: _as_held(d, value_of(one, d.name)) for d in live if d.name not in new}
        found.append(with_values(replace(default, prompt=one.prompt), held))
    return Warm(tuple(found), tuple(notes))


def _of_space(settings: Settings, space: Space) -> Settings:
    """The settings without what is done here and not searched, such as a threshold that a run chose."""
    known = space.defaults[settings.model].local if settings.model in space.defaults else settings.local
    held = {name: value for name, value in settings.local.items() if name in known}
    return replace(settings, local=held)


def _misfit(settings: Settings, space: Space) -> str:
    """Why these settings are none of the space; empty: they are."""
    if settings.model not in space.models:
        return "the model is not searched"
    if settings.prompt not in space.prompts:
        return f"prompt {settings.prompt!r} is none of the variants"
    default = space.defaults[settings.model]
    dimensions = {dimension.name: dimension for dimension in space.dimensions[settings.model]}
    if strange := [name for name in settings.extra if name not in dimensions]:
        return f"they send {', '.join(strange)}"
    for rivals in filter(None, map(rivals_of, dimensions)):
        if len(both := [name for name in rivals if value_of(settings, name) is not None]) > 1:
            return f"they send {' and '.join(both)}"
    for name in (*SENT_FIELDS, *settings.extra, *settings.local):
        value = value_of(settings, name)
        if value is None or value == value_of(default, name):
            continue
        if name not in dimensions:
            return f"{name} is {shown(value)}, and it is not searched"
        if not dimensions[name].holds(value):
            return f"{name} is {shown(value)}, and {_words(dimensions[name])} is searched"
    return ""


# -- presets


def _preset(entry: str, space: Space, called: str) -> Warm:
    """This preset for each model. called: what stands before the entry in notes."""
    presets = load_presets()
    name = entry.removeprefix(PRESET)
    if name not in presets:
        raise UsageError(f"is {entry!r}, and there is no such preset; {suggestion(name, presets)}")
    found: list[Settings] = []
    missing: dict[str, list[str]] = {}
    for model in space.models:
        dimensions = {dimension.name: dimension for dimension in space.dimensions[model]}
        held: dict[str, Any] = {}
        for setting, value in presets[name].items():
            dimension = dimensions.get(setting)
            if dimension is not None and dimension.holds(value) and there(dimension, space.defaults[model]):
                held[setting] = _as_held(dimension, value)
                continue
            why = "not searched" if dimension is None else f"{_words(dimension)} is searched"
            missing.setdefault(f"{setting} {shown(value)} ({why})", []).append(model)
        if held:
            found.append(replace(space.defaults[model], **held))
    notes = [
        f"{called} {entry}: {what} is left out for {', '.join(models)}" for what, models in missing.items()
    ]
    return Warm(tuple(found), tuple(notes))


def _as_held(dimension: Dimension, value: Any) -> Any:
    """The value as the space writes it: 0 is the choice 0.0, and 1 in a range of any numbers is 1.0."""
    if isinstance(dimension, Choices):
        plain = list(value) if isinstance(value, tuple) else value
        held = next(one for one in dimension.values if one == plain)
        return tuple(held) if isinstance(held, list) else held
    return int(value) if dimension.integer else float(value)


def _words(dimension: Dimension) -> str:
    if isinstance(dimension, Choices):
        return " or ".join(shown(value) for value in dimension.values)
    return f"{written(dimension.low)} to {written(dimension.high)}"
