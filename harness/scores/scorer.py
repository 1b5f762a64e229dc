"""From the words of a spec to a scorer.

In: one entry of `task.scorers`. Out: a `Scorer`, ready to judge. Builds only the classes it is
given, and looks nothing up on disk or among installed packages.

    exact                                   no arguments
    choice: [billing, bug]                  a value for the scorer's first argument
    number: {tolerance: 0.01, pick: first}  arguments by name
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from harness.errors import UsageError
from harness.scores.answer import Answer, Scorer, judged, target_texts
from harness.scores.arguments import build, first_argument
from harness.scores.choice import Choice
from harness.scores.naming import unknown_name
from harness.scores.number import Number
from harness.scores.text import Contains, Exact, Regex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.records import JsonValue, Sample

__all__ = ["BUILT_IN", "Answer", "Scorer", "build_scorer", "judged", "target_label", "target_texts"]

BUILT_IN: tuple[type[Scorer], ...] = (Exact, Contains, Regex, Number, Choice)


def build_scorer(
    form: str | Mapping[str, JsonValue], *, classes: Sequence[type[Scorer]] = BUILT_IN
) -> Scorer:
    """The scorer that an entry of a spec asks for.

    form: `"exact"`, `{"choice": [...]}` (a value for the first argument; `None` for no arguments), or
    `{"choice": {"labels": [...]}}`. classes: the dataclasses to choose from, each under its default name.
    Raises UsageError for another form, an unknown scorer, a wrong or missing argument, and for two
    classes of one name.
    """
    registry = _registry(classes)
    name, given = _taken_apart(form)
    if name not in registry:
        raise unknown_name("scorer", name, registry)
    scorer_class = registry[name]
    if isinstance(given, Mapping):
        arguments = given
    else:
        arguments = {} if given is None else {first_argument(scorer_class): given}
    return build(f"scorer {name!r}", scorer_class, arguments)


def target_label(scorer: Scorer, sample: Sample) -> str | None:
    """The label that this scorer reads from the sample's own target; the first one of alternatives.

    It names a target as the scorer names answers (an alias becomes its label), which is what a metric
    over labels compares. `None` for a scorer that reads no labels, or a target it cannot read.
    """
    texts = target_texts(sample.target)
    return scorer.score(Answer(sample=sample, text=texts[0])).label if texts else None


def _registry(classes: Sequence[type[Scorer]]) -> dict[str, type[Scorer]]:
    registry: dict[str, type[Scorer]] = {}
    for scorer_class in classes:
        # What the protocol declares as a property is, on the class, the default of a dataclass field.
        name = cast("str", cast("Any", scorer_class).name)
        if name in registry:
            raise UsageError(
                f"two scorers are called {name!r}: {registry[name].__qualname__} and "
                f"{scorer_class.__qualname__}; rename one"
            )
        registry[name] = scorer_class
    return registry


def _taken_apart(form: object) -> tuple[str, JsonValue | Mapping[str, JsonValue]]:
    if isinstance(form, str):
        return form, None
    if isinstance(form, Mapping) and len(cast("Mapping[object, object]", form)) == 1:
        ((name, given),) = cast("Mapping[str, JsonValue]", form).items()
        return str(name), given
    raise UsageError(
        f"a scorer is {form!r}; expected a name, as in `exact`, or one name with its arguments, "
        "as in `choice: [billing, bug]` or `number: {tolerance: 0.01}`"
    )
