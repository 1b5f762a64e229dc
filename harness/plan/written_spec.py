"""A spec written down in a cell of a notebook: a mapping, whose faults are told by the lines of the cell.

In: YAML text. Out: the mapping, and errors with lines. Its paths start from the working folder, as those of
every mapping do.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from harness.errors import Problem, SpecError
from harness.plan.problems import dotted
from harness.plan.yaml_source import PYTHON_SPEC, YamlSource, parse_yaml

CELL = "cell"
CELL_HEAD = 1  # lines of the cell above the spec: that of the magic


@contextmanager
def written_spec(text: str) -> Generator[Mapping[str, object]]:
    """The spec that this text holds; what is wrong with it within the block is told with lines of the cell.

    Raises SpecError when the text is no YAML of keys and values.
    """
    source = parse_yaml(CELL, "\n" * CELL_HEAD + text)
    if source.problems:
        raise SpecError(source.problems)
    if not isinstance(source.value, dict):
        raise SpecError([Problem(CELL, None, "", "expected keys and values, as in `experiment: my-first`")])
    try:
        yield cast("Mapping[str, object]", source.value)
    except SpecError as error:
        lines = {dotted(place): line for place, line in source.lines.items()}
        raise SpecError([_placed(one, source, lines) for one in error.problems]) from None


def _placed(problem: Problem, source: YamlSource, lines: Mapping[str, int]) -> Problem:
    """The problem with its line, or that of the nearest key around it."""
    if problem.file != PYTHON_SPEC:
        return problem
    around = [key for key in lines if key and _within(problem.key, key)]
    line = lines[max(around, key=len)] if around else source.line(("",))
    return replace(problem, file=CELL, line=line)


def _within(key: str, around: str) -> bool:
    return key == around or key.startswith((f"{around}.", f"{around}["))
