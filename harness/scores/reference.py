"""The reference page of scorers and metrics, written from their own docstrings and arguments.

In: the classes and metrics there are. Out: the text of docs/reference/scorers.md, which a test holds
against the file. It adds no fact of its own beyond how a spec names a scorer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from harness.scores.arguments import described
from harness.scores.judges import JUDGES
from harness.scores.metrics import METRICS, Metric
from harness.scores.scorer import BUILT_IN
from harness.scores.vector_metrics import BEST, BY_KIND

INTRODUCTION = """\
# Scorers and metrics

A **scorer** judges one answer: a value from 0 to 1, or *unscored* with a reason when nothing could be
judged, which is never a 0. A **metric** makes one quality of the scores of all answers. What failed and
unscored answers mean for it is the line `failures` of the spec, and the report repeats it.

This page is generated from the code (`make reference`).

## How a spec names scorers

```yaml
task:
  scorers:
    - exact                                     # a name; the first scorer gives the quality
    - choice: [billing, bug, account]           # a value for its first argument
    - number: {tolerance: 0.01, pick: first}    # arguments by name
    - all: [json, {length: 200}]                # scorers made of scorers
    - my_scorers:Politeness                     # a class or a function of your own
```

Names are unique within a task; every scorer takes a `name` of its own for that. Scorers that compare
the answers to one sample (`consistency`, `diversity`) need `repeats` of 2 or more and stand behind one
that judges single answers. A version is raised whenever the same answer may get another score than
before, and is part of every score.

Scorers of your own, and the permission that they need: [a scorer of your own](../how-to/own-scorer.md).
"""


JUDGES_WORDS = """\
## Judges

Models that judge, entries of `scorers` like the others: what they cost and how they are measured is told in
[models as judges](../how-to/judges.md). No verdict leaves an answer unscored.
"""
VECTORS_WORDS = """\
### Of embedding tasks

By the `kind` of the task; the usual one stands in bold. Those of `retrieval` also as NAME@K.
"""


def scorers_page() -> str:
    """The page as Markdown; ends with a line break."""
    scorers, judges = list(BUILT_IN), list(JUDGES.values())
    return "\n".join(
        [
            *(INTRODUCTION, "## Built-in scorers", _overview(scorers), *map(_section, scorers)),
            *(JUDGES_WORDS, _overview(judges), *map(_section, judges)),
            *("## Metrics\n", _metrics(METRICS.values()), VECTORS_WORDS, _vector_metrics()),
        ]
    )


def _overview(scorers: Sequence[type]) -> str:
    lines = [f"| [`{_name(one)}`](#{_name(one)}) | {_summary(one)} |" for one in scorers]
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


def _metrics(metrics: Iterable[Metric]) -> str:
    lines = [f"| `{one.name}` | {_range(one)} | {one.description} |" for one in metrics]
    return "\n".join(["| metric | range | is |", "| --- | --- | --- |", *lines, ""])


def _vector_metrics() -> str:
    lines = [
        f"| `{kind}` | {_marked(kind, one.name)} | {_range(one)} | {one.description} |"
        for kind, metrics in BY_KIND.items()
        for one in metrics
    ]
    return "\n".join(["| kind | metric | range | is |", "| --- | --- | --- | --- |", *lines, ""])


def _marked(kind: str, name: str) -> str:
    usual = BEST.get(kind, BY_KIND[kind][0].name)
    if not usual.startswith(name):
        return f"`{name}`"
    return f"**`{usual}`**"


def _range(metric: Metric) -> str:
    return f"{metric.low:g} to {metric.high:g}"


def _name(scorer: type) -> str:
    # On the class, a dataclass field's default stands where the protocol has a property.
    return str(cast("Any", scorer).name)


def _summary(scorer: type) -> str:
    return inspect.cleandoc(scorer.__doc__ or "").partition("\n\n")[0]
