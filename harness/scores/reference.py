"""The reference page of scorers and metrics, written from their own docstrings and arguments.

In: the classes and metrics there are. Out: the text of docs/reference/scorers.md, which a test holds
against the file. It adds no fact of its own beyond how a spec names a scorer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, cast

from harness.scores.arguments import described
from harness.scores.metrics import METRICS
from harness.scores.scorer import BUILT_IN

INTRODUCTION = """\
# Scorers and metrics

A **scorer** judges one answer: a value from 0 to 1, or *unscored* with a reason when nothing could be
judged, which is never a 0. A **metric** makes one quality of the scores of all answers. What failed and
unscored answers mean for it is the line `failures` of the spec, and the report repeats it.

This page is generated from the code (`harness/scores/reference.py`).

## How a spec names scorers

```yaml
task:
  scorers:
    - exact                                     # a name; the first scorer gives the quality
    - choice: [billing, bug, how-to]            # a value for its first argument
    - number: {tolerance: 0.01, pick: first}    # arguments by name
    - all: [json, {length: 200}]                # scorers made of scorers
    - my_team.scorers:Politeness                # a class or a function of one's own
```

Names are unique within a task; every scorer takes a `name` of its own for that. Scorers that compare
the answers to one sample (`consistency`, `diversity`) need `repeats` of 2 or more and stand behind one
that judges single answers. A version is raised whenever the same answer may get another score than
before, and is part of every score.

## Scorers of one's own

A function of one argument, or a frozen dataclass whose fields are its arguments:

```python
from dataclasses import dataclass, field

from harness.scores.answer import Answer, judged


def short(answer: Answer) -> bool:
    return len(answer.text) < 200


@dataclass(frozen=True)
class Politeness:
    words: tuple[str, ...] = ("please", "thank")
    name: str = "politeness"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer):
        found = [word for word in self.words if word in answer.text.lower()]
        return judged(self, answer, float(bool(found)), reason="" if found else "no polite word")
```

It gives true or false, a number from 0 to 1, `None` for unscored, or a score as above. An exception,
and anything else, leaves the answer unscored with the reason. With a method `score_repeats(answers)` in
place of `score` it judges all answers to a sample together.

- In YAML: `my_team.scorers:Politeness`, looked for where Python looks, and in the working folder. A
  spec runs code only with permission: `--allow-code`, `HARNESS_ALLOW_CODE=1`, or `allow_code=True` in
  Python. A run remembers it for as long as its spec stays as it was. The same permission is needed for
  `python_tests`.
- In Python: the function or the object itself stands in the list, as in `"scorers": ["exact", short]`.
  The store keeps its name and a checksum of its source; to go on with such a run, or to load it, pass
  it again: `scorers=[short]`."""


def scorers_page() -> str:
    """The page as Markdown; ends with a line break."""
    parts = [INTRODUCTION, "## Built-in scorers", _overview(), *(_section(one) for one in BUILT_IN)]
    return "\n".join([*parts, "## Metrics", _metrics()])


def _overview() -> str:
    lines = [f"| [`{_name(one)}`](#{_name(one)}) | {_summary(one)} |" for one in BUILT_IN]
    return "\n".join(["", "| scorer | gives |", "| --- | --- |", *lines, ""])


def _section(scorer: type) -> str:
    _, _, rest = inspect.cleandoc(scorer.__doc__ or "").partition("\n\n")
    lines = [f"### {_name(scorer)}", "", _summary(scorer), "", *_arguments(scorer)]
    version = cast("Any", scorer).version
    return "\n".join([*lines, *([rest, ""] if rest else []), f"Version {version}.", ""])


def _arguments(scorer: type) -> Iterator[str]:
    yield from ("| argument | is | default |", "| --- | --- | --- |")
    for name, words, default in described(scorer):
        yield f"| `{name}` | {words} | {default or 'none'} |".replace("or null", "or nothing")
    yield ""


def _metrics() -> str:
    lines = [
        f"| `{one.name}` | {one.low:g} to {one.high:g} | {one.description} |" for one in METRICS.values()
    ]
    return "\n".join(["", "| metric | range | is |", "| --- | --- | --- |", *lines, ""])


def _name(scorer: type) -> str:
    # On the class, a dataclass field's default stands where the protocol has a property.
    return str(cast("Any", scorer).name)


def _summary(scorer: type) -> str:
    return inspect.cleandoc(scorer.__doc__ or "").partition("\n\n")[0]
