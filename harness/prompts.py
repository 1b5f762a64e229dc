"""Prompt templates: Jinja2 in a sandbox, and the messages they make of a row.

In: the text of a template, and the fields of one row. Out: messages, the same for the same row. Data
never becomes template: a value that looks like Jinja2 or like a role marker arrives as it was typed.
It must not read files, and gives templates no way to.

The sandbox keeps a template from reaching Python and from changing the row. It does not keep it from
taking long: a template is the user's own, only the rows are anybody's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import Problem, PromptError
from harness.records import JsonValue, Message, Role

# A role's name and a colon, alone on a line, start a message: Prompty's convention
# (github.com/microsoft/prompty), of which we take the plain form only, in small letters, without
# indent, "#" or attributes, so that prose is not mistaken for a marker.
MARKER = re.compile(r"^(system|user|assistant|shots):[ \t]*$", re.MULTILINE)
# The marker below which nothing stands: here come examples, each as a user message and its answer.
SHOTS = "shots"
# jinja2 names a missing or an unexpected end, as in 'endif' or "end of template".
END = re.compile(r"\bend")
Place: TypeAlias = "Role | Literal['shots']"
LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
# jinja2 gives these to every template, but their results differ from one rendering to the next.
CHANCE_FILTERS = ("random",)
CHANCE_GLOBALS = ("lipsum",)


class _Missing(StrictUndefined):
    """A value the row does not have: refused wherever it would be written, inside a list too."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Shot:
    """An example with its answer, to be shown before the question."""

    inputs: Mapping[str, JsonValue]
    target: str


@dataclass(frozen=True, slots=True)
class _Turn:
    """One message to be: its role, its compiled template, and the line of the file it starts on."""

    role: Role
    first_line: int
    template: Template
    plain: bool = False  # text of its own, and fields as they are: only a missing field can make it fail


@dataclass(frozen=True, slots=True)
class Prompt:
    """A compiled template; two of the same source are equal.

    source: the text with line ends as on Unix. file, first_line: where it stands, for messages.
    fields: names a row may be asked for; one that is asked for only under a condition is among them.
    shots_at: how many messages stand before the examples; `None` without the marker `shots:`.
    """

    source: str
    file: str = field(compare=False)
    first_line: int = field(compare=False)
    fields: frozenset[str] = field(compare=False)
    turns: tuple[_Turn, ...] = field(compare=False, repr=False)
    shots_at: int | None = field(default=None, compare=False)

    @property
    def takes_shots(self) -> bool:
        """Whether it has a place for examples: the marker, or the variable `shots`."""
        return self.shots_at is not None or SHOTS in self.fields

    @property
    def is_plain(self) -> bool:
        """Whether rendering fails for a missing field alone, whatever the fields hold."""
        return all(turn.plain for turn in self.turns)

    @classmethod
    def parse(cls, text: str, *, file: str, first_line: int = 1) -> Prompt:
        """Compile a template.

        A line of `system:`, `user:` or `assistant:` alone starts a message; text before the first
        such line is a user message, and is left out when there is none. Blank lines around a message
        do not belong to it. Each message is a template of its own: what one sets, the next does not
        see. A line that only looks like a marker is written with an indent. A line `shots:` with nothing
        below it is where examples go, each as a user message made by the last user template of the prompt,
        and an assistant message with its target.
        file, first_line: where the text stands, for error messages.
        Raises PromptError with every fault found.
        """
        source = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        environment = _environment()
        turns: list[_Turn] = []
        fields: set[str] = set()
        problems: list[Problem] = []
        shots_at: int | None = None
        for role, line, segment in _segments(source, first_line):
            if role == SHOTS:
                problems += _misplaced(file, line, segment, twice=shots_at is not None)
                shots_at = len(turns)
                continue
            try:
                turn, names = _compile(environment, role or "user", line, segment)
            except Exception as error:  # noqa: BLE001 - jinja2 passes on what Python's own compiler raises
                message = _syntax_message(error, one_of_several=MARKER.search(source) is not None)
                problems.append(Problem(file, _syntax_line(error, line), "", message))
                continue
            fields |= names
            if turn is not None:
                turns.append(turn)
            elif role is not None:
                message = f"the {role} message has no text; write one below the marker, or remove it"
                problems.append(Problem(file, line, "", message))
        if not turns and not problems:
            problems.append(Problem(file, first_line, "", "the template has no text; write a prompt"))
        if shots_at is not None and not any(turn.role == "user" for turn in turns) and not problems:
            message = "`shots:` needs a user message, which says how an example is shown; write one below it"
            problems.append(Problem(file, first_line, "", message))
        if problems:
            raise PromptError(problems)
        return cls(source, file, first_line, frozenset(fields), tuple(turns), shots_at)

    def render(self, inputs: Mapping[str, JsonValue], shots: Sequence[Shot] = ()) -> tuple[Message, ...]:
        """The messages for one row. Raises PromptError naming the line and what is missing.

        A message holds what the template and the fields hold, untouched: nothing is escaped,
        trimmed, or read as a template again. shots: examples, which stand where the prompt has a place for
        them, and are the variable `shots`: fields by name, `target` among them. A field of that name wins.
        """
        with_shots = {SHOTS: _shown(shots), **inputs} if SHOTS in self.fields else inputs
        messages = [Message(turn.role, self._text(turn, with_shots)) for turn in self.turns]
        if self.shots_at is not None:
            messages[self.shots_at : self.shots_at] = self.examples(shots)
        return tuple(messages)

    def examples(self, shots: Sequence[Shot]) -> list[Message]:
        """The messages that stand for these examples at the marker."""
        asked = next(turn for turn in reversed(self.turns) if turn.role == "user")
        return [
            message
            for shot in shots
            for message in (
                Message("user", self._text(asked, {SHOTS: [], **shot.inputs})),
                Message("assistant", shot.target),
            )
        ]

    def _text(self, turn: _Turn, inputs: Mapping[str, JsonValue]) -> str:
        try:
            content = turn.template.render(inputs)
        except Exception as error:  # a template raises whatever its expressions raise
            raise PromptError([self._problem(turn, error, inputs)]) from error
        if not content or content.isspace():
            message = f"the {turn.role} message is empty for this row; give it text that no field decides"
            raise PromptError([Problem(self.file, turn.first_line, "", message)])
        return content

    def _problem(self, turn: _Turn, error: Exception, inputs: Mapping[str, JsonValue]) -> Problem:
        line = turn.first_line + _template_line(error) - 1
        if isinstance(error, SecurityError):
            return Problem(self.file, line, "", _security_message(error))
        if isinstance(error, UndefinedError):
            return Problem(self.file, line, "", self._undefined_message(error, inputs))
        lines = str(error).splitlines() or [""]
        message = f"the template fails on this row: {type(error).__name__}: {lines[0]}"
        return Problem(self.file, line, "", message)

    def _undefined_message(self, error: UndefinedError, inputs: Mapping[str, JsonValue]) -> str:
        missing = sorted(self.fields - inputs.keys())
        name = next((name for name in missing if error.message == f"{name!r} is undefined"), None)
        has = ", ".join(sorted(inputs)) or "none"
        if name is None:
            return f"{error.message}; the row has the fields {has}"
        return f"the row has no field {name!r}{_did_you_mean(name, inputs)}; it has {has}"

    def __reduce__(self) -> tuple[object, tuple[str, str, int]]:
        """Copy and pickle by source: compiled templates can do neither."""
        return _parse, (self.source, self.file, self.first_line)


def _parse(source: str, file: str, first_line: int) -> Prompt:
    return Prompt.parse(source, file=file, first_line=first_line)


def written_out(source: str, shots: Sequence[Shot]) -> str:
    """The source of a prompt that shows these examples by itself: what it gives for a row is the same.

    For applications that load a template and know nothing of examples.
    """
    prompt = Prompt.parse(source, file="<prompt>")
    parts: list[str] = []
    for role, _, segment in _segments(source, 1):
        if role == SHOTS:
            for message in prompt.examples(shots):
                parts += [f"{message.role}:\n{_plainly(message.content)}\n"]
        elif segment.strip() or role is not None:
            known = f"{{% set shots = {_literal(_shown(shots))} %}}" if _uses_shots(segment) else ""
            parts += [f"{role}:\n{known}{segment}\n" if role else f"{known}{segment}\n"]
    return "".join(parts)


def _shown(shots: Sequence[Shot]) -> list[JsonValue]:
    return [{**shot.inputs, "target": shot.target} for shot in shots]


def _uses_shots(segment: str) -> bool:
    return SHOTS in meta.find_undeclared_variables(_environment().parse(segment))


def _plainly(text: str) -> str:
    """The text as a template that gives it back: as it is, or as a literal where it looks like more."""
    marks = any(mark in text for mark in ("{{", "{%", "{#", "\r"))
    special = marks or MARKER.search(text) or text != text.strip()
    return f"{{{{ {_literal(text)} }}}}" if special else text


def _literal(value: JsonValue) -> str:
    """The value as a jinja2 expression."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(name)}: {_literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    # jinja2 ends a block at its mark even inside a text.
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text.replace("%}", "%\\u007d").replace("}}", "}\\u007d")


def _misplaced(file: str, line: int, segment: str, *, twice: bool) -> list[Problem]:
    """What is wrong with a marker for examples."""
    if segment.strip():
        message = "nothing stands below `shots:`; write the next message under its own marker"
        return [Problem(file, line, "", message)]
    if twice:
        return [Problem(file, line, "", "`shots:` stands twice; keep one of them")]
    return []


def _segments(source: str, first_line: int) -> list[tuple[Place | None, int, str]]:
    """Role, line in the file and template text of each message; role `None` before the first marker."""
    # Markers are looked for before anything is rendered, so that no value can make one.
    parts = MARKER.split(source)
    roles: list[Place | None] = [None, *cast("list[Place]", parts[1::2])]
    segments: list[tuple[Place | None, int, str]] = []
    line = first_line
    for role, text in zip(roles, parts[0::2], strict=True):
        # Blank lines go, the indent of the first line with text stays.
        body = text
        while (head := body.partition("\n"))[1] and not head[0].strip():
            body = head[2]
        skipped = text.count("\n") - body.count("\n") if body.strip() else 0
        segments.append((role, line + skipped, body.rstrip()))
        line += text.count("\n")
    return segments


def _compile(
    environment: ImmutableSandboxedEnvironment, role: Role, line: int, segment: str
) -> tuple[_Turn | None, set[str]]:
    """The message to be, or `None` where the template can give no text, and the fields it asks for."""
    tree = environment.parse(segment)
    for node in tree.find_all(LOADING):
        raise TemplateSyntaxError(
            f"{type(node).__name__.lower()!r} reads another template, and a prompt stands alone; "
            "copy the text here",
            node.lineno,
        )
    for node in tree.find_all(nodes.Name):
        if node.name == "self":
            raise TemplateSyntaxError("'self' is a name of jinja2's own; rename the field", node.lineno)
    fields = meta.find_undeclared_variables(tree)
    output = tree.find_all(nodes.Output)
    written = [node for part in output for node in part.nodes]
    if all(isinstance(node, nodes.TemplateData) and not node.data.strip() for node in written):
        return None, fields
    own_text = any(isinstance(node, nodes.TemplateData) and node.data.strip() for node in written)
    return _Turn(role, line, environment.from_string(segment), own_text and _is_plain(tree)), fields


def _is_plain(tree: nodes.Template) -> bool:
    """Whether nothing but text and names of fields stands in it."""
    statements = all(isinstance(node, nodes.Output) for node in tree.body)
    return statements and all(
        isinstance(node, nodes.TemplateData | nodes.Name)
        for part in tree.find_all(nodes.Output)
        for node in part.nodes
    )


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Missing,
        # Prompts are plain text, not HTML: escaping would change what the model reads.
        autoescape=False,
        keep_trailing_newline=False,
        cache_size=0,
    )
    environment.filters["tojson"] = _to_json
    for name in CHANCE_FILTERS:
        del environment.filters[name]
    for name in CHANCE_GLOBALS:
        del environment.globals[name]
    return environment


def _to_json(value: JsonValue, indent: int | None = None) -> str:
    """JSON as it is: jinja2's own filter writes `<`, `>`, `&` and `'` as codes, for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_not_json)


def _not_json(value: object) -> str:
    if isinstance(value, StrictUndefined):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _syntax_line(error: Exception, first_line: int) -> int:
    return first_line + error.lineno - 1 if isinstance(error, TemplateSyntaxError) else first_line


def _syntax_message(error: Exception, *, one_of_several: bool) -> str:
    if not isinstance(error, TemplateSyntaxError):
        return f"the template cannot be compiled: {type(error).__name__}: {error}"
    message = (error.message or "the template cannot be read").removesuffix(".")
    if one_of_several and END.search(message):
        return f"{message}; each message is a template of its own: close what you open before the next marker"
    return message


def _security_message(error: SecurityError) -> str:
    return (
        f"the template tries to reach Python internals or to change the row: {str(error).removesuffix('.')}; "
        "use the fields of the row, filters and tests only"
    )


def _template_line(error: Exception) -> int:
    """The line inside the template where rendering failed, counted from 1."""
    line = 1
    traceback = error.__traceback__
    while traceback is not None:
        # jinja2 rewrites tracebacks so that frames of a template carry its name and lines.
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _did_you_mean(name: str, known: Mapping[str, JsonValue]) -> str:
    from difflib import get_close_matches  # only mistakes need it

    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
