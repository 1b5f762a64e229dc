"""From values to strict models, with every fault as a problem that has a line.

In: a `YamlSource` and the model it should be. Out: the model, and problems for whatever is wrong. A
faulty part is cut out and the rest read again, so that later checks can still look at what is sound.
Must not look anything up outside the file.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from harness.errors import UsageError
from harness.plan.aim_spec import AimSpec, policy_of
from harness.plan.embedding_spec import EmbeddingTaskSpec
from harness.plan.policy import Policy
from harness.plan.problems import (
    KEY_REFUSED,
    Place,
    Problems,
    did_you_mean,
    looks_secret,
    secrets_in,
    shown,
    written,
)
from harness.plan.prompt_spec import NAME
from harness.plan.provider_spec import ADDRESS, VARIABLE, ProviderSpec
from harness.plan.ranges import KIND
from harness.plan.spec import (
    NO_TASK,
    SHA256,
    BudgetSpec,
    SearchSpec,
    Spec,
    TaskSpec,
)
from harness.plan.yaml_source import YamlSource, from_mapping, read_yaml
from harness.records import JsonValue

TASK_KEYS = ("task", "tasks")
AnyModel = TypeVar("AnyModel", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "finite_number": "a finite number",
}
# What pydantic calls the branches of a JSON value.
JSON_KINDS = ("dict", "list", "str", "bool", "int", "float", "nullable")
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

# What a text of each pattern is, in words that follow "expected".
_PATTERNS = {
    NAME: "letters, digits, dots, dashes and underscores, a letter or a digit first",
    ADDRESS: "an address that begins with http:// or https://, without a query (?) or fragment (#)",
    VARIABLE: "the name of an environment variable, such as OPENAI_API_KEY",
    SHA256: "64 hex digits in small letters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReading:
    """A spec as far as it could be read. Each part is `None` where it is missing or unsound.

    spec: the whole, only when nothing is wrong with its form. tasks: by name; the only one is called "".
    vectors: the task, where it has a kind; `tasks` is `None` then.
    """

    source: YamlSource
    problems: Problems
    spec: Spec | None = None
    tasks: Mapping[str, TaskSpec] | None = None
    vectors: EmbeddingTaskSpec | None = None
    search: SearchSpec | None = None
    catalogue: Sequence[str] | None = None
    providers: Mapping[str, ProviderSpec] | None = None
    aim: AimSpec | None = None
    budget: BudgetSpec | None = None


def read_spec(spec: Path | str | Mapping[str, object] | Spec) -> SpecReading:
    """The spec from a file, a mapping or a model, with all faults of its form noted in `problems`."""
    source = _source(spec)
    problems = Problems(source)
    reading = SpecReading(source=source, problems=problems)
    if source.value is None:
        return reading
    _require_task(source, problems)
    whole, rest = read_model(Spec, source, problems)
    if whole is not None:
        return replace(_parts(reading, whole), spec=whole if problems.none else None)
    sections: dict[str, Any] = {}
    for name in ("task", "tasks", "search", "catalogue", "providers", "aim", "budget"):
        try:
            adapter = TypeAdapter[Any](cast("Any", Spec.model_fields[name].annotation))
            sections[name] = adapter.validate_python(rest[name]) if name in rest else None
        except ValidationError:
            # Already told: the whole could not be read because of this part.
            sections[name] = None
    return replace(reading, **_by_kind(sections.pop("task"), sections.pop("tasks")), **sections)


def _by_kind(
    task: TaskSpec | EmbeddingTaskSpec | None, several: Mapping[str, TaskSpec] | None
) -> dict[str, Any]:
    """Task or tasks under their name in a reading."""
    if isinstance(task, EmbeddingTaskSpec):
        return {"vectors": task}
    return {"tasks": several if task is None else {"": task}}


def read_model(
    model: type[AnyModel], source: YamlSource, problems: Problems
) -> tuple[AnyModel | None, dict[str, JsonValue]]:
    """The model if its form allows, perhaps without its faulty parts, and the values that are sound."""
    if not isinstance(source.value, dict):
        problems.add((), f"holds {shown(source.value)}, expected keys and values")
        return None, {}
    rest = copy.deepcopy(source.value)
    cutter = _Cutter(model, rest, problems)
    secrets = [_Found(place, "secret", {}) for place in secrets_in(source.value)]
    cutter.tell(secrets)
    cutter.cut(secrets)
    # Each pass uncovers what the faults of the one before had hidden; every pass cuts something.
    first = True
    while True:
        try:
            return model.model_validate(rest), rest
        except ValidationError as error:
            found = [_Found(_place(one["loc"], rest), one["type"], dict(one)) for one in error.errors()]
        # A key that is missing only now was cut out, or never called for.
        cutter.tell([one for one in found if first or one.kind != "missing"])
        if not cutter.cut(found):
            return None, rest
        first = False


def read_policy(form: object) -> Policy:
    """The policy in the form that a spec has under `aim.policy`. Raises UsageError for any other form."""
    source = from_mapping({"policy": form}, "")
    problems = Problems(source)
    aim, _ = read_model(AimSpec, source, problems)
    if aim is not None and problems.none:
        return policy_of(aim.policy)
    raise UsageError("; ".join(f"{problem.key}: {problem.message}" for problem in problems.found))


def _source(spec: Path | str | Mapping[str, object] | Spec) -> YamlSource:
    if isinstance(spec, Spec):
        spec = cast("Mapping[str, object]", spec.model_dump(mode="json", by_alias=True, exclude_unset=True))
    if isinstance(spec, Mapping):
        source = from_mapping(spec, "")
        return replace(source, text=_text(source.value))
    return read_yaml(Path(spec))


def _text(value: JsonValue) -> str:
    try:
        # Not sorted: the first prompt variant, or the first task, is the first one again when a run goes on.
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        # The models refuse such a value in a moment, with its key.
        return ""


def _parts(reading: SpecReading, spec: Spec) -> SpecReading:
    return replace(
        reading,
        **_by_kind(spec.task, spec.tasks),
        search=spec.search,
        catalogue=spec.catalogue,
        providers=spec.providers,
        aim=spec.aim,
        budget=spec.budget,
    )


def _require_task(source: YamlSource, problems: Problems) -> None:
    """Note that a spec asks nothing, beside all else that it lacks, unless a misspelt key means a task."""
    keys = set(source.value) if isinstance(source.value, dict) else {"task"}
    unknown = keys - set(Spec.model_fields)
    if keys.isdisjoint(TASK_KEYS) and not any(did_you_mean(key, TASK_KEYS) for key in unknown):
        described = Spec.model_fields["task"].description
        problems.add(("task",), f"is missing. {described} Or tasks, for several.")


@dataclass(frozen=True, slots=True)
class _Found:
    """One fault. kind: pydantic's word for it, or "secret". error: all that pydantic says."""

    place: Place
    kind: str
    error: Mapping[str, Any]


class _Cutter:
    """Tells faults and cuts them out of the values, once each."""

    def __init__(self, model: type[BaseModel], rest: dict[str, JsonValue], problems: Problems) -> None:
        self._model = model
        self._rest = rest
        self._problems = problems
        self._told: set[Place] = set()
        # Places that held a value which the rest of its mapping may need.
        self._emptied: set[Place] = set()

    def tell(self, found: list[_Found]) -> None:
        """Note each fault that is not the consequence of another."""
        meant = {self._meant(one.place) for one in found if one.kind == "extra_forbidden"}
        for one in found:
            if one.place in self._told or (one.kind == "missing" and one.place in meant):
                continue
            self._told.add(one.place)
            consequence = any(place[: len(one.place)] == one.place for place in self._emptied)
            if one.kind in ("value_error", "too_short") and consequence:
                continue
            message = _message(self._model, one)
            # Told before all else: pydantic would only say so once nothing else is wrong.
            if message != NO_TASK:
                self._problems.add(one.place, message)

    def cut(self, found: list[_Found]) -> bool:
        """Remove what is faulty; whether there was anything to remove."""
        any_cut = False
        for one in found:
            removed = () if one.kind == "missing" else _cut(self._rest, one.place)
            any_cut = any_cut or bool(removed)
            self._told.add(removed)
            if removed:
                self._emptied.add(removed)
        return any_cut

    def _meant(self, place: Place) -> Place:
        """The key of which a misspelt one is the only fault: it is not called missing as well."""
        return (*place[:-1], did_you_mean(str(place[-1]), _fields(self._model, place[:-1])))


def _place(loc: tuple[str | int, ...], values: JsonValue) -> Place:
    """Where it is in the file: without pydantic's names for the branches of unions, and for kinds of JSON."""
    place: list[str | int] = []
    holder: Any = values
    for part in loc:
        if isinstance(part, str) and (part.startswith(KIND) or part == "[key]"):
            continue
        held = isinstance(holder, dict) and part in holder
        if part in JSON_KINDS and not held:
            continue
        place.append(part)
        inside = held or (
            isinstance(holder, list) and isinstance(part, int) and part < len(cast("list[Any]", holder))
        )
        holder = cast("Any", holder)[part] if inside else None
    return tuple(place)


def _cut(values: JsonValue, place: Place) -> Place:
    """Remove what stands at this place; gives the place removed, which is empty if there was nothing.

    A faulty item takes its whole list along: its neighbours would change places, and so their lines.
    """
    holder: Any = values
    for depth, part in enumerate(place):
        if isinstance(holder, list):
            return _cut(values, place[:depth])
        if not isinstance(holder, dict) or part not in holder:
            return ()
        if depth == len(place) - 1:
            del holder[part]
            return place
        holder = cast("dict[str | int, Any]", holder)[part]
    return ()


def _message(model: type[BaseModel], found: _Found) -> str:
    place, kind, error = found.place, found.kind, found.error
    if kind == "secret":
        return KEY_REFUSED
    if kind == "missing":
        described = _fields(model, place[:-1]).get(str(place[-1])) if place else None
        return f"is missing. {described.description if described and described.description else ''}".rstrip()
    if kind == "extra_forbidden":
        return _unknown_key(model, place)
    context = cast("Mapping[str, Any]", error.get("ctx", {}))
    if kind == "value_error":
        return str(context["error"])
    # What stands where the name of a key should be may be the key itself, of a form nobody foresaw.
    input_ = "nothing" if error["input"] is None else shown(error["input"])
    what = "" if "api_key_env" in place else f"found {input_}, "
    return f"{what}expected {_expected(error, context)}"


def _expected(error: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    kind = cast("str", error["type"])
    if kind in _WANTED:
        return _WANTED[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {written(context[name])}"
    if kind == "literal_error":
        wanted = cast("str", context["expected"])
        return wanted + _close(error["input"], wanted)
    if kind == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    if kind == "too_long":
        most = context["max_length"]
        return "one entry alone; write each on its own" if most == 1 else f"at most {most} entries"
    if kind in ("too_short", "string_too_short"):
        return "at least one entry" if kind == "too_short" else "text that is not empty"
    return cast("str", error["msg"]).lower()


def _close(found: object, wanted: str) -> str:
    if not isinstance(found, str) or looks_secret(found):
        return ""
    close = did_you_mean(found, wanted.replace(" or ", ", ").replace("'", "").split(", "))
    return f"; did you mean {close!r}?" if close else ""


def _unknown_key(model: type[BaseModel], place: Place) -> str:
    name = str(place[-1])
    known = _fields(model, place[:-1])
    if name in known:
        return "is not a key of a task with this kind, or without one; remove it"
    close = did_you_mean(name, known)
    if close:
        return f"is not a known key; did you mean {close!r}?"
    for home, field in model.model_fields.items():
        inside = {key for inner in _models_in(field.annotation) for key in _names(inner)}
        if name in inside and (home,) != place[:-1]:
            return f"is not a known key here; it belongs under {home!r}"
    if name in _names(model) and len(place) > 1:
        return "is not a known key here; it belongs to the top level of the file"
    return f"is not a known key; known here: {', '.join(known)}"


def _fields(model: type[BaseModel], place: Place) -> dict[str, FieldInfo]:
    """Keys that may stand in the mapping at this place."""
    models: list[type[BaseModel]] = [model]
    for part in place:
        fields = [found for one in models if (found := _names(one).get(str(part))) is not None]
        # A key chosen by the user, as in providers.<name>, or a place in a list: the models stay.
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    # Of a part with several forms, the plainest stands first: its words win where keys are shared.
    return {name: field for one in reversed(models) for name, field in _names(one).items()}


def _names(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
