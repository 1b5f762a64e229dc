"""A YAML file as plain values that remember their lines.

In: a path, or a Python mapping. Out: a `YamlSource`. Reads YAML 1.2 through ruamel.yaml's node graph,
which keeps positions and all duplicate keys; the values built here are JSON-like, so a date stays the
text that was written. Must not know what the keys mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from harness.errors import Problem
from harness.plan.problems import Place, dotted, looks_secret
from harness.records import JsonValue

PYTHON_SPEC = "<spec>"
_CORE = "tag:yaml.org,2002:"
# A few aliases of aliases can stand for millions of values; no spec needs this many.
MOST_VALUES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlSource:
    """What was read. file: as errors name it. lines: of each key and list item, counted from 1.

    text_lines: line on which a text value begins. problems: duplicate keys and syntax errors.
    """

    file: str
    text: str
    value: JsonValue
    lines: Mapping[Place, int] = field(default_factory=dict[Place, int])
    text_lines: Mapping[Place, int] = field(default_factory=dict[Place, int])
    problems: tuple[Problem, ...] = ()

    def line(self, place: Place) -> int | None:
        """The line of this place or of the nearest one around it; `None` where there are no lines."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 1 if self.lines else None


def read_yaml(path: Path) -> YamlSource:
    """The file's values, with every fault of syntax and every duplicate key as a problem."""
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return _broken(
            file, "", None, "does not exist; check the name, or start one with `harness init NAME`"
        )
    except OSError as error:
        return _broken(file, "", None, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return _broken(file, "", None, f"is not UTF-8 text (byte {error.start + 1}); save the file as UTF-8")
    return parse_yaml(file, text)


def from_mapping(mapping: Mapping[str, object], text: str) -> YamlSource:
    """The same for a mapping made in Python: there are no lines. text: its canonical form."""
    return YamlSource(file=PYTHON_SPEC, text=text, value=_plain(mapping))


def parse_yaml(file: str, text: str) -> YamlSource:
    """The values of this text with their lines, and faults of syntax. file: its name, for messages."""
    # Imported here: the command line's help must not pay for a YAML reader.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return _broken(file, text, mark.line + 1 if mark else None, _syntax(error.problem or error.context))
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        return _broken(file, text, line, "holds a character that YAML does not allow; remove it")
    except RecursionError:
        return _broken(file, text, None, "is nested too deeply to be read")
    if root is None:
        return _broken(file, text, None, "is empty; expected keys and values")
    builder = _Builder(file)
    value = builder.build(root, ())
    return YamlSource(
        file=file,
        text=text,
        value=value,
        lines=builder.lines,
        text_lines=builder.text_lines,
        problems=tuple(builder.problems),
    )


class _Builder:
    """Turns nodes into values and notes where they stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Place, int] = {(): 1}
        self.text_lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: Any, place: Place) -> JsonValue:
        self._count += 1
        if id(node) in self._open or self._count > MOST_VALUES:
            if self._count <= MOST_VALUES + 1:
                self._fault(node, place, "an alias that contains itself, or too many aliases; write it out")
            return None
        if isinstance(node.value, str):
            return self._scalar(node, place)
        self._open.add(id(node))
        built = self._mapping(node, place) if node.id == "mapping" else self._sequence(node, place)
        self._open.discard(id(node))
        return built

    def _sequence(self, node: Any, place: Place) -> JsonValue:
        items: list[JsonValue] = []
        for number, item in enumerate(node.value):
            inner = (*place, number)
            self.lines[inner] = item.start_mark.line + 1
            items.append(self.build(item, inner))
        return items

    def _mapping(self, node: Any, place: Place) -> JsonValue:
        built: dict[str, JsonValue] = {}
        merged: dict[str, JsonValue] = {}
        for key, value in node.value:
            if not isinstance(key.value, str):
                self._fault(key, place, "a key must be text, not a list or a mapping")
                continue
            name = key.value
            inner = (*place, name)
            if str(key.tag) == _CORE + "merge":
                merged |= self._merged(value, place)
                continue
            if name in built:
                first = self.lines[inner]
                self._fault(key, inner, f"stands here a second time, first on line {first}; keep one")
                continue
            self.lines[inner] = key.start_mark.line + 1
            built[name] = self.build(value, inner)
        return merged | built

    def _merged(self, node: Any, place: Place) -> dict[str, JsonValue]:
        sources = list(node.value) if node.id == "sequence" else [node]
        merged: dict[str, JsonValue] = {}
        # YAML's merge key: of several mappings, the earlier one wins.
        for source in reversed(sources):
            value = self.build(source, place)
            if isinstance(value, dict):
                merged |= value
            else:
                self._fault(source, place, "`<<` merges mappings only")
        return merged

    def _scalar(self, node: Any, place: Place) -> JsonValue:
        text = cast("str", node.value)
        tag = str(node.tag)
        if not tag.startswith(_CORE):
            self._fault(node, place, f"has the tag {tag!r}; no tags are understood here")
            return text
        block = node.style in ("|", ">")
        self.text_lines[place] = node.start_mark.line + (2 if block else 1)
        return _value(text, tag.removeprefix(_CORE))

    def _fault(self, node: Any, place: Place, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, dotted(place), message))


def _value(text: str, kind: str) -> JsonValue:
    digits = text.replace("_", "")
    try:
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        if kind == "int":
            prefixed = digits.lstrip("+-").lower().startswith(("0x", "0o", "0b"))
            return int(digits, 0 if prefixed else 10)
        if kind == "float":
            return float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        # Only YAML 1.1 reads 12:30 as a number; text is what was written.
        return text
    return text


def _broken(file: str, text: str, line: int | None, message: str) -> YamlSource:
    return YamlSource(file=file, text=text, value=None, problems=(Problem(file, line, "", message),))


def _syntax(problem: str | None) -> str:
    if problem and "\\t" in problem:
        return "is indented with a tab, which YAML does not allow; use spaces"
    # The parser's own words, without the line of text it quotes: that line may hold a secret.
    words = (problem or "it cannot be read").splitlines()[0]
    said = "<hidden>" if looks_secret(words) else words
    return f"is not YAML: {said}; check indentation, quotes and brackets"


def _plain(value: object) -> JsonValue:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(inner) for inner in cast("Sequence[object]", value)]
    if isinstance(value, Path):
        return str(value)
    return cast("JsonValue", value)
