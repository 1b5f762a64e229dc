"""The aim of a spec as strict models: limits, the policy that chooses, and how sure the answer has to be.

In: plain values. Out: an `AimSpec`, or pydantic's errors. Must not look anything up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from harness.plan.policy import WORDS, Policy, PolicyName
from harness.plan.problems import did_you_mean, shown
from harness.plan.ranges import KIND, Strict


class WithinSpec(Strict):
    """Upper bounds that settings must keep to be recommended, at the stated confidence."""

    usd_per_1k_calls: float | None = Field(default=None, gt=0, description="USD for a thousand calls.")
    latency_p50_s: float | None = Field(default=None, gt=0, description="Median seconds of a call.")
    latency_p95_s: float | None = Field(default=None, gt=0, description="Seconds that 95 % of calls keep.")
    first_token_p50_s: float | None = Field(
        default=None, gt=0, description="Median seconds to the first token; needs providers.<name>.stream."
    )
    bytes_per_vector: int | None = Field(
        default=None, ge=1, description="Embedding: bytes that a stored vector takes, 4 a number."
    )
    usd_per_million_tokens: float | None = Field(
        default=None, gt=0, description="Embedding: list price of a million tokens."
    )
    failure_rate: float | None = Field(default=None, ge=0, le=1, description="Share of calls without answer.")
    unscored_rate: float | None = Field(default=None, ge=0, le=1, description="Share of answers not judged.")
    truncation_rate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of answers cut off. Left out: nothing is recommended that cut off more than 0.02 "
        "of its answers; 1 allows any share.",
    )


class WeightsSpec(Strict):
    """How much each figure counts; each is stretched from 0, the worst finalist, to 1, the best."""

    quality: float = Field(default=0.0, ge=0, description="Weight of quality.")
    price: float = Field(default=0.0, ge=0, description="Weight of a low price.")
    latency: float = Field(default=0.0, ge=0, description="Weight of a low median latency.")

    @model_validator(mode="after")
    def _some(self) -> WeightsSpec:
        if self.quality + self.price + self.latency <= 0:
            raise ValueError("every weight is 0; give at least one of quality, price, latency above 0")
        return self


class PolicySpec(Strict):
    """A policy with a number, or with weights: exactly one of these keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    cheapest_within: float | None = Field(
        default=None, ge=0, lt=1, description="The cheapest that gives up at most this much quality, 0 to 1."
    )
    fastest_within: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="The lowest median latency that gives up at most this much quality, 0 to 1.",
    )
    floor: float | None = Field(
        default=None, gt=0, le=1, description="The cheapest whose quality is sure to reach this, 0 to 1."
    )
    weights: WeightsSpec | None = Field(
        default=None, description="The highest sum of quality, price and latency, each by its weight."
    )

    @model_validator(mode="after")
    def _one(self) -> PolicySpec:
        names = list(PolicySpec.model_fields)
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"found {found}, expected exactly one of {', '.join(names)}")
        return self


def _policy(value: object) -> str:
    return KIND + ("mapping" if isinstance(value, Mapping | PolicySpec) else "word")


def _word(word: str) -> str:
    if word in WORDS:
        return word
    names = (*WORDS, *PolicySpec.model_fields)
    close = did_you_mean(word, names)
    if close in PolicySpec.model_fields:
        given = (
            "{quality: 0.7, price: 0.3}" if close == "weights" else "0.01" if "within" in close else "0.85"
        )
        raise ValueError(f"found {shown(word)}, expected more than a word, as in {{{close}: {given}}}")
    hint = f"; did you mean {close!r}?" if close else ""
    raise ValueError(f"found {shown(word)}, expected one of {', '.join(names)}{hint}")


Word = Annotated[
    str, AfterValidator(_word), WithJsonSchema({"enum": list(WORDS), "type": "string"}, mode="validation")
]
PolicyForm = Annotated[
    Annotated[Word, Tag(KIND + "word")] | Annotated[PolicySpec, Tag(KIND + "mapping")],
    Discriminator(_policy),
]


class AimSpec(Strict):
    """What makes settings good, and how sure the answer has to be."""

    maximize: Literal["quality"] = Field(default="quality", description="The figure to raise.")
    within: WithinSpec = Field(default_factory=WithinSpec, description="Limits that settings must keep.")
    policy: PolicyForm = Field(
        default="best",
        description="Who wins among those that keep the limits: best, knee (of quality against price), "
        "{cheapest_within: 0.01}, {fastest_within: 0.01}, {floor: 0.85}, or "
        "{weights: {quality: 0.7, price: 0.2, latency: 0.1}}.",
    )
    confirm: float = Field(
        default=0.3, gt=0, lt=1, description="Share of samples that only confirm the choice."
    )
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="Confidence of intervals and limits, from 0.5."
    )
    indifference: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Quality behind the best that is good enough to end search.mode confidence, from 0.",
    )


def policy_of(form: str | PolicySpec) -> Policy:
    """The policy that was written down."""
    if not isinstance(form, PolicySpec):
        return Policy(name=cast("PolicyName", form))
    if form.weights is not None:
        return Policy(name="weights", weights={name: weight for name, weight in form.weights if weight > 0})
    amounts = {
        "cheapest_within": form.cheapest_within,
        "fastest_within": form.fastest_within,
        "floor": form.floor,
    }
    ((name, amount),) = ((name, amount) for name, amount in amounts.items() if amount is not None)
    return Policy(name=cast("PolicyName", name), amount=amount)
