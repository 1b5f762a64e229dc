"""What a spec says of providers and models: addresses, limits, prices, and settings that are taken.

In: plain values. Out: strict models, as in `spec`. Must not look anything up.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, model_validator

from harness.plan.problems import written
from harness.plan.ranges import Strict
from harness.records import ModelClass

# Paths are put behind it, by us, by litellm, and by whatever is exported: a query would swallow them.
ADDRESS = r"^https?://[^\s?#]+$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


class RatesSpec(Strict):
    """List prices in US dollars per million tokens."""

    input: float = Field(ge=0, description="USD per million prompt tokens.")
    output: float = Field(ge=0, description="USD per million generated tokens.")
    cached_input: float | None = Field(
        default=None, ge=0, description="USD per million prompt tokens read from the provider's cache."
    )
    cache_write: float | None = Field(
        default=None, ge=0, description="USD per million prompt tokens written to the provider's cache."
    )
    reasoning: float | None = Field(
        default=None, ge=0, description="USD per million tokens of hidden reasoning; left out: as output."
    )


class LongPromptSpec(RatesSpec):
    """Prices of a call as a whole whose prompt is long."""

    above_tokens: int = Field(ge=1, description="They count for prompts of more tokens than this.")


class PricesSpec(RatesSpec):
    """List prices in US dollars per million tokens, of prompts of any length unless long ones cost more."""

    long_prompt: LongPromptSpec | None = Field(
        default=None,
        description="Prices of calls with a long prompt; left out: the catalogue's, if these are not lower.",
    )


class AcceptedSpec(Strict):
    """What a model takes for one setting."""

    low: float | None = Field(default=None, description="Smallest value taken.")
    high: float | None = Field(default=None, description="Largest value taken.")
    choices: list[JsonValue] | None = Field(default=None, description="The only values taken.")
    default: JsonValue = Field(default=None, description="Value used when the setting is not searched.")
    not_with: list[str] = Field(
        default_factory=list[str], description="Settings that may not be sent beside this one."
    )
    only_with: dict[str, list[JsonValue]] = Field(
        default_factory=dict[str, "list[JsonValue]"],
        description="Values that other settings must have beside this one; null among them: not sent.",
    )


class CustomAcceptedSpec(Strict):
    """What a model takes for one custom parameter."""

    low: float | None = Field(default=None, description="Smallest value taken.")
    high: float | None = Field(default=None, description="Largest value taken.")
    choices: list[JsonValue] | None = Field(
        default=None, description="The only values taken; an empty list: it is refused."
    )

    @model_validator(mode="after")
    def _ordered(self) -> CustomAcceptedSpec:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low is {written(self.low)}, above high, {written(self.high)}; exchange them")
        return self


class AcceptsSpec(Strict):
    """The settings that a model takes; one that is left out is not taken."""

    temperature: AcceptedSpec | None = Field(default=None, description="Which temperatures it takes.")
    top_p: AcceptedSpec | None = Field(default=None, description="Which shares of probability.")
    max_output_tokens: AcceptedSpec | None = Field(default=None, description="How long answers may be.")
    frequency_penalty: AcceptedSpec | None = Field(default=None, description="Which frequency penalties.")
    presence_penalty: AcceptedSpec | None = Field(default=None, description="Which presence penalties.")
    stop: AcceptedSpec | None = Field(default=None, description="{} when it takes stop sequences.")
    seed: AcceptedSpec | None = Field(default=None, description="Which seeds.")
    reasoning_effort: AcceptedSpec | None = Field(default=None, description="Which efforts, as choices.")
    extra: dict[str, CustomAcceptedSpec] = Field(
        default_factory=dict[str, "CustomAcceptedSpec"],
        description="What is known of custom parameters, by the provider's name; others are sent.",
    )


class AnswerTimeSpec(Strict):
    """How long an answer of a model takes, for the estimate of a plan's time alone."""

    low: float = Field(gt=0, description="Seconds of a fast answer.")
    high: float = Field(gt=0, description="Seconds of a slow answer.")

    @model_validator(mode="after")
    def _ordered(self) -> AnswerTimeSpec:
        if self.low > self.high:
            raise ValueError(f"low is {written(self.low)}, above high, {written(self.high)}; exchange them")
        return self


class ModelSpec(Strict):
    """A model of your own, or corrections to one of the catalogue."""

    model_class: ModelClass | None = Field(
        default=None, alias="class", description="SMALL, MEDIUM, LARGE or EMBEDDING."
    )
    prices: PricesSpec | None = Field(default=None, description="Prices that count for this run.")
    context_tokens: int | None = Field(default=None, ge=1, description="Prompt and answer together.")
    max_input_tokens: int | None = Field(
        default=None, ge=1, description="Longest prompt; a longer one is refused before anything is sent."
    )
    max_output_tokens: int | None = Field(default=None, ge=1, description="Longest answer the model gives.")
    dimensions: int | None = Field(default=None, ge=1, description="Length of an embedding model's vectors.")
    texts_per_request: int | None = Field(
        default=None, ge=1, description="Texts to embed that one request may carry; left out: 32."
    )
    tokens_per_request: int | None = Field(
        default=None, ge=1, description="Their tokens in all; left out: 8192."
    )
    answer_s: AnswerTimeSpec | None = Field(
        default=None, description="Seconds an answer takes; only the estimate of a plan's time uses it."
    )
    settings: AcceptsSpec | None = Field(
        default=None,
        description="The settings it takes. Left out: those of the catalogue, or of the OpenAI wire format.",
    )


class ProviderSpec(Strict):
    """What differs from the catalogue, or an OpenAI-compatible endpoint of your own. Keys stay outside."""

    api_base: str | None = Field(
        default=None, pattern=ADDRESS, description="Address that request paths are added to."
    )
    api_key_env: str | None = Field(
        default=None,
        pattern=VARIABLE,
        description="Name of the environment variable that holds the key; never the key itself.",
    )
    rpm: int | None = Field(default=None, ge=1, description="Requests a minute at most.")
    tpm: int | None = Field(default=None, ge=1, description="Tokens a minute at most.")
    concurrency: int | None = Field(default=None, ge=1, description="Calls in flight at most.")
    timeout_s: float | None = Field(default=None, gt=0, description="Seconds until a call is given up.")
    max_retries: int | None = Field(default=None, ge=0, description="Attempts after the first.")
    free: bool = Field(default=False, description="Its models cost nothing; without prices or this, refused.")
    lane: Literal["auto", "litellm"] = Field(default="auto", description="litellm forces calls through it.")
    stream: bool = Field(default=False, description="Stream answers, to learn when the first token came.")
    models: dict[str, ModelSpec] = Field(
        default_factory=dict[str, ModelSpec], description="Models by the name the provider gives them."
    )
    classes: dict[ModelClass, str] = Field(
        default_factory=dict[ModelClass, str],
        description="The model that each class means, by name, in place of the catalogue's.",
    )
