"""From the arguments in a spec to an instance of a dataclass, each checked against its type.

In: a class and JSON-like arguments. Out: an instance, or a `UsageError` that names the accepted
arguments and their types. It knows no scorer by name.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from harness.errors import UsageError
from harness.records import JsonValue
from harness.scores.naming import unknown_name

T = TypeVar("T")

WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    type(None): "null",
}


# What a list of a spec becomes, by how the type of a field is written.
LISTS: Mapping[object, Callable[[tuple[object, ...]], object]] = {
    tuple: tuple,
    Sequence: tuple,
    list: list,
    set: set,
    frozenset: frozenset,
}
Makers: TypeAlias = Mapping[object, Callable[[JsonValue], object]]
NO_MAKERS: Makers = {}
REQUIRED = "required"


def build(kind: str, cls: type[T], arguments: Mapping[str, JsonValue], makers: Makers = NO_MAKERS) -> T:
    """An instance of the dataclass made from these arguments; lists become tuples.

    kind: how messages call it, as in "scorer 'regex'". makers: by type, what makes a value of it from what a
    spec says, for types that JSON does not have. Raises UsageError for an unknown, missing or
    ill-typed argument, and passes on the one that the class raises for a value it cannot use.
    """
    accepted = {field.name: field for field in _arguments(cls)}
    hints = _hints(cls)
    hint = f" ({kind} accepts: {describe(cls)})"
    for name in arguments:
        if name not in accepted:
            raise unknown_name(f"argument of {kind}", name, accepted, hint)
    given: dict[str, object] = {}
    for name, value in arguments.items():
        fits, fitted = _fitted(value, hints[name], makers)
        if not fits:
            raise UsageError(f"{kind}: {name} is {value!r}, expected {_words(hints[name])}{hint}")
        given[name] = fitted
    missing = [name for name, field in accepted.items() if _required(field) and name not in given]
    if missing:
        raise UsageError(f"{kind} needs {', '.join(missing)}{hint}")
    return cls(**given)


def first_argument(cls: type) -> str:
    """The name of the argument that a bare value in a spec means: the first required one, else the first."""
    accepted = _arguments(cls)
    return next((field for field in accepted if _required(field)), accepted[0]).name


def describe(cls: type) -> str:
    """The accepted arguments with types and defaults, in the order of the class."""
    return "; ".join(
        f"{name}: {words}{', required' if default == REQUIRED else f', default {default}' if default else ''}"
        for name, words, default in described(cls)
    )


def described(cls: type) -> list[tuple[str, str, str]]:
    """Name, type in words and default of each accepted argument; the default is empty where there is none."""
    hints = _hints(cls)
    return [(field.name, _words(hints[field.name]), _default(field)) for field in _arguments(cls)]


def _arguments(cls: type) -> list[Field[Any]]:
    return [field for field in fields(cls) if field.init]


def _hints(cls: type) -> dict[str, Any]:
    """The types of its fields; `Any` for one that is named under `if TYPE_CHECKING:` alone."""
    try:
        return get_type_hints(cls)
    except NameError:
        return {field.name: _hint(cls, field.type) for field in fields(cls)}


def _hint(cls: type, written: Any) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": written})
    try:
        return get_type_hints(holder, globalns=vars(sys.modules[cls.__module__]))["it"]
    except NameError:
        return Any


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> str:
    if _required(field):
        return REQUIRED
    default = field.default
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (MISSING, None, ()) else repr(default)


def _fitted(value: JsonValue, hint: Any, makers: Makers) -> tuple[bool, object]:
    """Whether the value fits the type, and the value as that type has it."""
    if hint in makers:
        return True, makers[hint](value)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        # What has to be made is made only when nothing plain fits: `null` for none of it, and not an error.
        options = sorted(get_args(hint), key=lambda option: option in makers)
        tried = (_fitted(value, option, makers) for option in options)
        return next((result for result in tried if result[0]), (False, None))
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in get_args(hint)), value
    if origin in LISTS:
        fits, parts = _fitted_list(value, get_args(hint)[0], makers)
        return fits, LISTS[origin](parts) if fits else None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _fitted_mapping(value, get_args(hint)[1], makers)
    if hint is Any or not isinstance(hint, type):
        return True, value  # Any, and what cannot be checked
    # To Python, true is a whole number; to whoever writes a spec it is not.
    if isinstance(value, bool) and hint in (int, float):
        return False, None
    return isinstance(value, int | float if hint is float else hint), value


def _fitted_list(value: JsonValue, hint: Any, makers: Makers) -> tuple[bool, tuple[object, ...]]:
    if not isinstance(value, list):
        return False, ()
    parts = [_fitted(part, hint, makers) for part in value]
    return all(fits for fits, _ in parts), tuple(part for _, part in parts)


def _fitted_mapping(value: JsonValue, hint: Any, makers: Makers) -> tuple[bool, object]:
    if not isinstance(value, dict) or not all(
        isinstance(key, str) for key in cast("dict[object, object]", value)
    ):
        return False, None
    parts = {key: _fitted(part, hint, makers) for key, part in value.items()}
    return all(fits for fits, _ in parts.values()), {key: part for key, (_, part) in parts.items()}


def _words(hint: Any) -> str:
    """The type in words that a writer of YAML knows."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(option) for option in get_args(hint))
    if origin is Literal:
        return " or ".join(repr(option) for option in get_args(hint))
    if origin in LISTS:
        return f"list of ({_words(get_args(hint)[0])})"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of text to ({_words(get_args(hint)[1])})"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)).lower())
