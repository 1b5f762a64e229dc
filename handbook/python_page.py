"""The page of what Python programs and notebooks use: the public names of `harness`, from their docstrings.

In: `harness.__all__` and the classes of results. Out: docs/reference/python.md.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import harness
from handbook.markdown import code, table

INTRODUCTION = """\
# Python

`import harness` loads nothing heavy; names load on first use. Whatever these functions raise on purpose is a
[`HarnessError`](surroundings.md#errors).

This page is generated from the docstrings (`make reference`).
"""
FUNCTIONS = ("tune", "evaluate", "compare", "gate", "load_run", "make_plan")
WIDTH = 90
RESULTS = ("TuneResult", "EvalResult", "CompareResult", "GateResult")


def python_page() -> str:
    """The page as Markdown; ends with a line break."""
    functions = [_function(name) for name in FUNCTIONS]
    return "\n".join([INTRODUCTION, *functions, *(_class(name) for name in RESULTS)])


def _function(name: str) -> str:
    found: Callable[..., Any] = getattr(harness, name)
    words = _listed(_paragraphs(found), inspect.signature(found).parameters)
    return f"## harness.{name}\n\n```text\n{_call(name, found)}\n```\n\n{words}\n"


def _listed(words: str, names: Iterable[str]) -> str:
    """The words with a line for each argument that they tell of, and one for what is raised."""
    name = rf"(?:{'|'.join(names)})"
    told = re.sub(rf"(?:^|(?<=\. ))({name}(?:, {name})*): ", r"\n- **\1**: ", words, flags=re.MULTILINE)
    return re.sub(r" ?(?<=\. )(Raises |An interrupt |All else )", r"\n\n\1", told)


def _call(name: str, found: Callable[..., Any]) -> str:
    """The signature without types, one argument a line where it is long."""
    shown: list[str] = []
    keyword = False
    for one in inspect.signature(found).parameters.values():
        if one.kind is one.KEYWORD_ONLY and not keyword:
            keyword = True
            shown.append("*")
        mark = "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f"={_value(one.default)}"
        shown.append(f"{mark}{one.name}{default}")
    head = f"harness.{name}("
    return textwrap.fill(f"{head}{', '.join(shown)})", WIDTH, subsequent_indent=" " * len(head))


def _value(default: object) -> str:
    return (
        "..." if callable(default) else str(default) if isinstance(default, bool) else repr(_plain(default))
    )


def _plain(default: object) -> object:
    return default if isinstance(default, str | int | float | tuple | None) else str(default)


def _paragraphs(found: object) -> str:
    return "\n\n".join(part.replace("\n", " ") for part in (inspect.getdoc(found) or "").split("\n\n"))


def _class(name: str) -> str:
    found = getattr(harness, name)
    rows = [(code(member), words) for member, words in _members(found)]
    return f"## {name}\n\n{_paragraphs(found)}\n\n{table(('name', 'gives'), rows)}"


def _members(found: type) -> Iterator[tuple[str, str]]:
    """Public properties and methods with the first sentence of each, those of the class itself first."""
    for base in found.__mro__:
        for name, one in vars(base).items():
            if name.startswith("_") or not (isinstance(one, property) or inspect.isfunction(one)):
                continue
            arguments = "" if isinstance(one, property) else "()"
            yield f"{name}{arguments}", (inspect.getdoc(one) or "").partition("\n\n")[0].replace("\n", " ")
