"""From the words of a spec to a scorer.

In: one entry of `task.scorers`. Out: a `Scorer` or a `RepeatScorer`, ready to judge. Builds the classes it is
given; what a spec names beyond them is loaded by `own`, with permission alone.

    exact                                   no arguments
    choice: [billing, bug]                  a value for the scorer's first argument
    number: {tolerance: 0.01, pick: first}  arguments by name
    all: [exact, {length: 20}]              a scorer made of scorers
    my_team.scorers:Politeness              a class or function of one's own
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from harness.errors import UsageError
from harness.records import JsonValue
from harness.scores.answer import (
    Answer,
    AnyScorer,
    RepeatScorer,
    Scorer,
    judged,
    target_label,
    target_texts,
)
from harness.scores.arguments import Makers, build, first_argument
from harness.scores.behaviour import Complete, Length, Refusal
from harness.scores.choice import Choice
from harness.scores.combined import AllOf, AnyOf, Weighted
from harness.scores.fields import Fields
from harness.scores.judge import Judge
from harness.scores.judges import JUDGES, build_judge
from harness.scores.naming import unknown_name
from harness.scores.number import Number
from harness.scores.own import ALLOW, GIVEN, Permission, handed_over, named
from harness.scores.python_tests import PythonTests
from harness.scores.repeats import Consistency, Diversity
from harness.scores.structured import Json, JsonSchema
from harness.scores.text import Contains, Exact, IContains, Regex, StartsWith
from harness.scores.words import Bleu, Chrf, Levenshtein, Rouge, SquadExact, TokenF1

__all__ = [
    "BUILT_IN",
    "Answer",
    "AnyScorer",
    "Permission",
    "RepeatScorer",
    "Scorer",
    "build_scorer",
    "judged",
    "target_label",
    "target_texts",
]

BUILT_IN: tuple[type[AnyScorer], ...] = (
    Exact,
    Contains,
    IContains,
    StartsWith,
    Regex,
    Number,
    Choice,
    SquadExact,
    TokenF1,
    Levenshtein,
    Rouge,
    Bleu,
    Chrf,
    Json,
    JsonSchema,
    Fields,
    Refusal,
    Length,
    Complete,
    PythonTests,
    AllOf,
    AnyOf,
    Weighted,
    Consistency,
    Diversity,
)
Form: TypeAlias = "str | Mapping[str, JsonValue]"
NOTHING_OWN = Permission()


def build_scorer(
    form: Form, *, classes: Sequence[type[AnyScorer]] = BUILT_IN, permission: Permission = NOTHING_OWN
) -> AnyScorer:
    """The scorer that an entry of a spec asks for.

    form: `"exact"`, `{"choice": [...]}` (a value for the first argument; `None` for no arguments), or
    `{"choice": {"labels": [...]}}`. classes: the dataclasses to choose from, each under its default name.
    permission: whether code may run, and objects handed over in Python. Raises UsageError for another form,
    an unknown scorer, a wrong or missing argument, code without permission, and for two classes of one name.
    """
    return _Builder(_registry(classes), permission).scorer(form)


class _Builder:
    """Builds scorers and their parts from one registry, under one permission."""

    def __init__(self, registry: Mapping[str, type[AnyScorer]], permission: Permission) -> None:
        self._registry, self._permission = registry, permission
        self._makers: Makers = {Scorer: self._part}
        self._makers_of_own: Makers = {Scorer: self._plain_part}

    def scorer(self, form: object) -> AnyScorer:
        """The scorer of this form."""
        name, given = _taken_apart(form)
        if name == GIVEN:
            return handed_over(cast("JsonValue", given), self._permission)
        if ":" in name:
            if not self._permission.allow_code:
                raise UsageError(f"scorer {name!r} is code that the spec names; {ALLOW}")
            return named(name, given, self._makers_of_own)
        if name in JUDGES and name not in self._registry:
            raise UsageError(
                f"judge {name!r} asks a model, and a scorer of one's own cannot; name it in the list of "
                "scorers, or in all, any or weighted"
            )
        if name not in self._registry:
            raise unknown_name("scorer", name, [*self._registry, *JUDGES], ", or module:name of your own")
        scorer_class = self._registry[name]
        if getattr(scorer_class, "runs_code", False) and not self._permission.allow_code:
            raise UsageError(f"scorer {name!r} runs code that models write; {ALLOW}")
        whole = isinstance(given, Mapping) and not _is_value(scorer_class, given)
        arguments = given if whole else {} if given is None else {first_argument(scorer_class): given}
        return build(
            f"scorer {name!r}", scorer_class, cast("Mapping[str, JsonValue]", arguments), self._makers
        )

    def _part(self, form: object) -> Scorer | Judge:
        """A judge or a scorer of single answers, to be a part of another one."""
        name, given = _taken_apart(form)
        return build_judge({name: cast("JsonValue", given)}) or self._plain_part(form)

    def _plain_part(self, form: object) -> Scorer:
        """A scorer of single answers that asks nobody, to be a part of another one."""
        part = self.scorer(form)
        if isinstance(part, RepeatScorer):
            raise UsageError(
                f"scorer {part.name!r} judges all answers to a sample together and is no part of another; "
                "name it in the list of scorers"
            )
        return part


def _is_value(scorer_class: type, given: Mapping[str, JsonValue]) -> bool:
    """Whether a mapping is the first argument itself, as a schema may be, rather than arguments by name."""
    return scorer_class is JsonSchema and "schema" not in given


def _registry(classes: Sequence[type[AnyScorer]]) -> dict[str, type[AnyScorer]]:
    registry: dict[str, type[AnyScorer]] = {}
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
