"""What travels on a call between rooms: frozen, plain, and free of decisions. What is found is in `findings`.

Money is in US dollars at list price, time in seconds, shares and probabilities from 0 to 1.
`None` means unknown or not sent, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

if TYPE_CHECKING:
    JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
else:
    JsonValue = Any  # the codec reads types at run time, and would follow a recursive alias for ever
Role = Literal["system", "user", "assistant"]
Purpose = Literal["answer", "judge", "embed"]
Side = Literal["query", "document"]  # of a retrieval
SIDES: tuple[Side, ...] = ("query", "document")
Split = Literal["search", "confirm", "all"]  # all: both together, of a trial and never of a sample
Verb = Literal["tune", "eval"]
ModelClass = Literal["SMALL", "MEDIUM", "LARGE", "EMBEDDING"]
MODEL_CLASSES: tuple[ModelClass, ...] = ("SMALL", "MEDIUM", "LARGE", "EMBEDDING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an application would ship: a model, a prompt variant, and what is sent along.

    model: "provider/name". prompt: name of a prompt variant of the task.
    extra: custom parameters, passed through as they are; of an embedding model, a value {query, document} is
    sent by side. `None` in any field: not sent.
    local: what is done with vectors on our side and never sent, so that settings which differ here alone
    share all answers: chunk_tokens, chunk_overlap, split_by, pooling, top_k, threshold.
    """

    model: str
    prompt: str
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    # Left out of names where it is empty: those that were given before there was such a thing stay.
    local: Mapping[str, JsonValue] = field(
        default_factory=dict[str, JsonValue], metadata={"named": "unless empty"}
    )

    @property
    def provider(self) -> str:
        """The part of `model` before the first slash."""
        return self.model.partition("/")[0]

    @property
    def model_name(self) -> str:
        """The part of `model` after the first slash: what the provider calls it."""
        return self.model.partition("/")[2]

    def sent(self) -> dict[str, JsonValue]:
        """The parameters that go out with a request: set fields by name, without model and prompt."""
        values = zip(SENT_FIELDS, _sent_values(self), strict=True)
        named: dict[str, JsonValue] = {name: value for name, value in values if value is not None}
        if self.stop is not None:
            named["stop"] = list(self.stop)
        return {**named, **self.extra} if self.extra else named

    @property
    def sided(self) -> tuple[str, ...]:
        """The custom parameters that are sent with another value for a query than for a document."""
        return tuple(name for name, value in self.extra.items() if is_sided(value))

    def of_side(self, side: Side) -> Settings:
        """What is sent with a text of this side: of a value by side, the part that is its own."""
        own = {name: cast("dict[str, JsonValue]", self.extra[name])[side] for name in self.sided}
        return replace(self, extra={**self.extra, **own}) if own else self

    def held(self) -> dict[str, JsonValue]:
        """Every setting but model and prompt by name: what is sent, and what is done on our side."""
        return {**self.sent(), **self.local}


def is_sided(value: JsonValue) -> bool:
    """Whether this is a value by side: an object of a query's and a document's, and nothing else."""
    return isinstance(value, dict) and value.keys() == set(SIDES)


SENT_FIELDS: tuple[str, ...] = tuple(
    f.name for f in fields(Settings) if f.name not in ("model", "prompt", "extra", "local")
)
_sent_values = attrgetter(*SENT_FIELDS)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One example: what the template may see, and what a good answer is.

    id: unique within its data set. group: cluster for standard errors; `None`: a cluster of its own.
    """

    id: str
    inputs: Mapping[str, JsonValue]
    target: JsonValue
    split: Split
    group: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One paid question, complete: nothing is looked up after this.

    settings: exactly what is sent, the derived seed of this sample and repeat included.
    messages: for text models. texts: for embedding models; one to the engine, which sends several such calls
    as one request with all their texts. repeat: counted from 0.
    """

    settings: Settings
    sample_id: str
    messages: tuple[Message, ...] = ()
    texts: tuple[str, ...] = ()
    purpose: Purpose = "answer"
    task: str = ""
    repeat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a provider is reached and how hard it may be pressed.

    wire: "openai" (spoken directly), "litellm", or "embedded" (a model run on this machine).
    api_key_env: name of the environment variable that holds the key; `None`: no key is sent.
    rpm, tpm: requests and tokens a minute, `None`: unlimited. concurrency: calls in flight per model.
    timeout_s: of one attempt. max_retries: further attempts after the first.
    stream: ask for the answer piece by piece, to learn when its first token came.
    """

    provider: str
    wire: Literal["openai", "litellm", "embedded"]
    litellm_prefix: str
    api_base: str | None
    api_key_env: str | None
    concurrency: int = 16
    timeout_s: float = 60.0
    max_retries: int = 4
    rpm: int | None = None
    tpm: int | None = None
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as billed, each `None` when the provider did not say.

    input_tokens: all prompt tokens, cached ones included. cached_input_tokens: the part of them read
    from the provider's prompt cache; cache_write_tokens: another part, written to it. output_tokens: all
    generated tokens, reasoning included. reasoning_tokens: the part of them spent on hidden reasoning.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that a provider has to know: the answer, its bill in tokens, and who served it.

    vectors: one for each text of the call, in its order; see `harness.vectors` for their form.
    finish_reason: "stop", "length", "content_filter" or the provider's own word.
    first_token_s: seconds from sending to the first token; `None` when the answer was not streamed.
    """

    text: str | None = None
    vectors: tuple[bytes, ...] | None = None
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    served_by: str | None = None
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds of the real call. queue_s: waiting on our side. total_s: sent until complete, last attempt."""

    queue_s: float
    total_s: float
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answered call. One that the run did not pay for is cached, with price and latency of the paid call.

    price_usd: list price; `None` when the provider did not say how many tokens it billed.
    reused: a cached answer that was paid under another output limit; its price and text are the same.
    cached_usd: of an answer put together from several, what those of them cost that were cached.
    near_cosine: this is the answer to another prompt, that of the sample `near_sample`, and how near that is;
    `None` for an answer of its own. Of development runs alone, see `trials.near`.
    """

    call: Call
    reply: Reply
    price_usd: float | None
    latency: Latency
    cached: bool
    at: datetime
    reused: bool = False
    cached_usd: float = 0.0
    near_cosine: float | None = None
    near_sample: str = ""


FailureKind = Literal[
    "rate_limit",  # 429: slow down
    "overloaded",  # 500 to 599, 529
    "connection",  # refused, reset, cut off
    "timeout",  # no complete answer in time
    "malformed",  # an answer that cannot be read
    "dimensions",  # a vector of another length than was asked for, or than those before it
    "quota",  # no credit left: waiting does not help
    "credentials",  # 401, 403
    "bad_request",  # the provider refuses the settings or the prompt
    "not_found",  # no such model or endpoint
    "too_long",  # prompt exceeds the model's context
    "filtered",  # the provider's content filter
    "down",  # not sent: the provider was given up for this run
    "budget",  # not sent: it could have crossed the cap
    "cancelled",  # not sent: the run was stopped
]

# Of these nothing is known of the call: it, or its next attempt, was never sent.
UNSENT: frozenset[FailureKind] = frozenset({"budget", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailure:
    """A call that brought no answer. attempts: requests sent, 0 if none. It is a record, not a score."""

    call: Call
    kind: FailureKind
    message: str
    attempts: int
    retryable: bool


Outcome: TypeAlias = "Completion | CallFailure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One scorer's judgement of one answer. value: 0 to 1, or `None` when it could not be judged.

    label: the class read from the answer, where the scorer reads one. version: of the scorer.
    """

    sample_id: str
    repeat: int
    scorer: str
    version: int
    value: float | None
    label: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its interval. n: samples behind it; clusters: independent groups among them."""

    value: float
    low: float
    high: float
    level: float
    n: int
    clusters: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where the true value of a figure lies: at least `low` with confidence `level`, at most `high` with it.

    `None`: so few calls allow no such bound. n: independent calls behind it. method: of the upper bound.
    """

    low: float | None
    high: float | None
    level: float
    n: int
    method: str
