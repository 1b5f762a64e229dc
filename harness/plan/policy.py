"""Policies: who is chosen among the settings that keep the limits.

In: nothing but what a spec or a command line says. Out: `Policy` records, as text for machines and in words
for people. How a policy decides is the advice's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.plan.problems import written

PolicyName = Literal["best", "knee", "cheapest_within", "fastest_within", "floor", "weights"]
WORDS: tuple[PolicyName, ...] = ("best", "knee")  # the policies that need no number
WITHIN: tuple[PolicyName, ...] = ("cheapest_within", "fastest_within")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rule that picks one of several settings.

    amount: for the policies *_within the quality that may be given up, for `floor` the quality to reach, both
    from 0 to 1; else 0. weights: of quality, price and latency, those above 0; for `weights` only.
    """

    name: PolicyName = "best"
    amount: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def tolerance(self) -> float:
        """Quality that the policy may give up for a lower price or latency, from 0 to 1."""
        return self.amount if self.name in WITHIN else 0.0

    def text(self) -> str:
        """The policy for machines: "best", "floor: 0.85", "weights: quality=0.7, price=0.3"."""
        if self.name in WORDS:
            return self.name
        weights = ", ".join(f"{name}={written(weight)}" for name, weight in self.weights.items())
        return f"{self.name}: {weights or written(self.amount)}"

    def words(self) -> str:
        """What the policy picks, as a phrase."""
        if self.name == "best":
            return "the highest quality"
        if self.name == "knee":
            return "the most quality for its price, at the knee of the two"
        if self.name == "floor":
            return f"the cheapest with a quality of at least {written(self.amount)}"
        if self.name == "weights":
            parts = [f"{name} by {written(weight)}" for name, weight in self.weights.items()]
            return f"the highest sum of {_joined(parts)}"
        kind = "cheapest" if self.name == "cheapest_within" else "fastest"
        points = written(round(self.amount * 100, 9))
        return f"the {kind} within {points} point{'' if points == '1' else 's'} of the highest quality"


def _joined(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def form_of(text: str) -> str | dict[str, object]:
    """What a spec would hold in place of this text: the inverse of `Policy.text`, spaces left out or not.

    A number that is none stays text, for the spec's models to refuse.
    """
    name, colon, rest = text.partition(":")
    if not colon:
        return text.strip()
    if "=" not in rest:
        return {name.strip(): _number(rest)}
    pairs = (part.partition("=") for part in rest.split(","))
    return {name.strip(): {key.strip(): _number(value) for key, _, value in pairs}}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()
