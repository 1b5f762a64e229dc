"""The prompts of a task, read and tried on the rows they will meet.

In: `task.prompt` and the inputs of rows. Out: compiled prompts, and faults with the line of the template.
Must not send anything; rendering is done by `prompts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import Problem, PromptError
from harness.plan.problems import Place, Problems, suggestion
from harness.plan.spec import TaskSpec
from harness.plan.yaml_source import YamlSource
from harness.prompts import SHOTS, Prompt, Shot
from harness.records import JsonValue

# The name of the only prompt where the spec does not name variants.
ONLY_VARIANT = "default"


def read_prompts(
    task: TaskSpec, source: YamlSource, folder: Path, problems: Problems, home: Place = ("task",)
) -> dict[str, Prompt]:
    """The prompts by variant, in the spec's order; faulty ones are noted and left out.

    home: the place of the task in the spec.
    """
    return read_variants((*home, "prompt"), task.prompt, source, folder, problems)


def read_variants(
    place: Place, form: str | Mapping[str, str], source: YamlSource, folder: Path, problems: Problems
) -> dict[str, Prompt]:
    """The templates that stand at this place, by variant, as `read_prompts` gives those of a task."""
    if isinstance(form, str):
        written = {ONLY_VARIANT: (place, form)}
    else:
        written = {variant: ((*place, variant), text) for variant, text in form.items()}
    prompts: dict[str, Prompt] = {}
    for variant, (where, text) in written.items():
        prompt = read_prompt(where, text, source, folder, problems)
        if prompt is not None:
            prompts[variant] = prompt
    return prompts


def read_prompt(
    where: Place, text: str, source: YamlSource, folder: Path, problems: Problems
) -> Prompt | None:
    """The prompt that stands at this place of the spec, or in the file it names; faults are noted."""
    try:
        return _inline(where, text, source) if is_inline(text) else _of_file(where, folder / text, problems)
    except PromptError as error:
        problems.extend(error.problems)
        return None


def is_inline(text: str) -> bool:
    """Whether a prompt stands in the spec itself: text with a line break, or with Jinja2 in it."""
    return "\n" in text or "{{" in text or "{%" in text


class TemplateCheck:
    """Tries prompts on rows while these are read: no template may fail after money was spent.

    Every row is rendered with every prompt, some 20 microseconds each. Only a prompt that is plain is not
    rendered again for rows that have all its fields: nothing that these hold can make it fail.
    """

    def __init__(self, prompts: Mapping[str, Prompt]) -> None:
        self._sound = list(prompts.values())
        self._seen: set[str] = set()
        self._begun = False
        self.problems: list[Problem] = []

    def row(self, inputs: Mapping[str, JsonValue]) -> str | None:
        """Try one row; a message when a prompt that is sound otherwise fails on it."""
        self._seen.update(inputs)
        if not self._begun:
            self._begun = True
            self._sound = [prompt for prompt in self._sound if self._first_row_works(prompt, inputs)]
            return None
        for prompt in self._sound:
            if prompt.is_plain and prompt.fields <= {SHOTS, *inputs.keys()}:
                continue
            try:
                _try(prompt, inputs)
            except PromptError as error:
                return f"does not fit a prompt: {error}"
        return None

    def finish(self) -> tuple[Problem, ...]:
        """All faults of templates: also of fields that no row has, though they are asked for politely."""
        # Without a row nobody knows which fields there are.
        for prompt in self._sound if self._begun else ():
            self.problems += [
                _unknown(prompt, name, self._seen) for name in sorted(prompt.fields - self._seen - {SHOTS})
            ]
        return tuple(self.problems)

    def _first_row_works(self, prompt: Prompt, inputs: Mapping[str, JsonValue]) -> bool:
        missing = sorted(prompt.fields - inputs.keys() - {SHOTS})
        try:
            _try(prompt, inputs)
        except PromptError as error:
            found = [_unknown(prompt, name, inputs) for name in missing]
            self.problems += found or [_on_first_row(one) for one in error.problems]
            self.problems += _others(prompt, inputs, missing) if found else []
            return False
        return True


def _try(prompt: Prompt, inputs: Mapping[str, JsonValue]) -> None:
    """Render the prompt for a row, with the row itself as an example where it shows some."""
    prompt.render(inputs, (Shot(inputs, "x"),) if prompt.takes_shots else ())


def _on_first_row(problem: Problem) -> Problem:
    return replace(problem, message=f"{problem.message} (tried on the first row)")


def _others(prompt: Prompt, inputs: Mapping[str, JsonValue], missing: list[str]) -> tuple[Problem, ...]:
    """What else is wrong, once the missing fields are there."""
    try:
        _try(prompt, {**inputs, **dict.fromkeys(missing, "x")})
    except PromptError as error:
        return error.problems
    return ()


def _inline(place: Place, text: str, source: YamlSource) -> Prompt:
    first_line = source.text_lines.get(place) or source.line(place) or 1
    return Prompt.parse(text, file=source.file, first_line=first_line)


def _of_file(place: Place, path: Path, problems: Problems) -> Prompt | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        hint = "correct the path, or write the template itself with a line break or {{ }} in it"
        problems.add(place, f"names the prompt {str(path)!r}, but there is no such file; {hint}")
    except (OSError, UnicodeDecodeError) as error:
        problems.add(place, f"names the prompt {str(path)!r}, which cannot be read as UTF-8 text: {error}")
    else:
        return Prompt.parse(text, file=str(path))
    return None


def _unknown(prompt: Prompt, name: str, known: Mapping[str, JsonValue] | set[str]) -> Problem:
    message = f"asks for the field {name!r}, which the rows do not have; {suggestion(name, known)}"
    return Problem(prompt.file, _line_of(prompt, name), "", message)


def _line_of(prompt: Prompt, name: str) -> int:
    """The first line on which Jinja2 code holds this name."""
    code = re.compile(r"\{[{%](?:(?!\}\}|%\}).)*?\b" + re.escape(name) + r"\b", re.DOTALL)
    found = code.search(prompt.source)
    return prompt.first_line + (prompt.source.count("\n", 0, found.end()) if found else 0)
