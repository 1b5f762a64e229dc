"""The facts that travel between rooms: frozen, plain, and free of decisions.

Money is in US dollars at list price, time in seconds, shares and probabilities from 0 to 1.
`None` means unknown or not sent, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
else:
    JsonValue = Any  # the codec reads types at run time, and would follow a recursive alias for ever
Role = Literal["system", "user", "assistant"]
Purpose = Literal["answer", "judge", "embed"]
Split = Literal["search", "confirm", "all"]  # all: both together, of a trial and never of a sample
Verb = Literal["tune", "eval"]
ModelClass = Literal["SMALL", "MEDIUM", "LARGE", "EMBEDDING"]
MODEL_CLASSES: tuple[ModelClass, ...] = ("SMALL", "MEDIUM", "LARGE", "EMBEDDING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an application would ship: a model, a prompt variant, and what is sent along.

    model: "provider/name". prompt: name of a prompt variant of the task.
    extra: custom parameters, passed through as they are. `None` in any field: not sent.
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


SENT_FIELDS: tuple[str, ...] = tuple(
    f.name for f in fields(Settings) if f.name not in ("model", "prompt", "extra")
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
    messages: for text models; texts: for embedding models. repeat: counted from 0.
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

    finish_reason: "stop", "length", "content_filter" or the provider's own word.
    first_token_s: seconds from sending to the first token; `None` when the answer was not streamed.
    """

    text: str | None = None
    vectors: tuple[tuple[float, ...], ...] | None = None
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
    """An answered call. A cached one keeps price and latency of the call that was paid.

    price_usd: list price; `None` when the provider did not say how many tokens it billed.
    reused: a cached answer that was paid under another output limit; its price and text are the same.
    """

    call: Call
    reply: Reply
    price_usd: float | None
    latency: Latency
    cached: bool
    at: datetime
    reused: bool = False


FailureKind = Literal[
    "rate_limit",  # 429: slow down
    "overloaded",  # 500 to 599, 529
    "connection",  # refused, reset, cut off
    "timeout",  # no complete answer in time
    "malformed",  # an answer that cannot be read
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


TrialState = Literal["running", "complete", "eliminated", "infeasible", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of settings with its evidence on one split.

    samples: how many samples it answered. `quality` is `None` until something was scored.
    price: list price, whoever paid; spent_usd: what this run paid for it. `reason`: why it ended.
    Rates are shares of the calls made; latencies are those of real calls. told: what the sampler was told it
    is worth, on one scale for short and long trials of a run; `None`: nothing. bounds: of the figures, by
    their names here, on the confirm split good for all finalists together; empty while a run is under way.
    """

    number: int
    settings: Settings
    model_class: ModelClass | None
    split: Split
    state: TrialState
    samples: int
    quality: Estimate | None
    usd_per_1k_calls: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    first_token_p50_s: float | None = None
    failure_rate: float = 0.0
    unscored_rate: float = 0.0
    truncation_rate: float = 0.0
    cached_rate: float = 0.0
    spent_usd: float = 0.0
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    told: float | None = None
    bounds: Mapping[str, Bounds] = field(default_factory=dict[str, Bounds])


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a result rests on, so that somebody else can repeat it."""

    spec: str
    plan: str
    data: str
    catalogue: str
    prices_as_of: str
    seed: int
    versions: Mapping[str, str]
    git_commit: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Quality of one trial minus that of another on the same samples. other: number of the other trial."""

    other: int
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """What it would take to tell the choice from another trial that it cannot be told from.

    difference: the quality to find, from 0 to 1: the one that was seen, but at least a point. samples: on the
    confirm split in all, for a chance of `power` to find it; more: beyond those there are. usd: list price of
    these further samples for both; `None` when it is unknown.
    """

    other: int
    difference: float
    samples: int
    more: int
    usd: float | None
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The best of one model class under the policy of the recommendation.

    trial: on the confirm split if it got there, else on the search split, which flatters. versus: quality of
    the choice minus that of this trial, on the same split; `None` when it is the choice. note: what is to be
    said of it, such as limits that it does not keep; empty when nothing is.
    """

    model_class: ModelClass
    trial: Trial
    versus: PairedDifference | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontTrial:
    """A finalist, on the confirm split, that none beats both in quality and in another figure.

    against: these figures, "price" or "latency" (the median) or both.
    """

    trial: Trial
    against: tuple[Literal["price", "latency"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A choice with its reasons. trial: measured on the confirm split, so it does not flatter.

    policy: as `plan.Policy.text` writes it. search_trial: the same settings on the search split, which chose
    them. differences: quality of the choice minus that of each other finalist on the confirm split, by
    number; their intervals hold all together at the stated level. ties: finalists that cannot be told apart
    from the choice; certainty says so in a sentence. versus_*: two of the differences; `None` when the choice
    is that trial itself, or there is no other. separations: what it would take to break the ties with these
    two. by_class: one champion a model class, in the order of `MODEL_CLASSES`. class_gain: whether the
    largest class beats the smallest beyond noise and what that costs, a sentence; empty for one class.
    pareto: finalists worth a look, best quality first.
    """

    experiment: str
    run: str
    policy: str
    settings: Settings
    trial: Trial
    search_trial: Trial
    ties: tuple[int, ...]
    runner_up: int | None
    versus_runner_up: PairedDifference | None
    versus_default: PairedDifference | None
    reason: str
    caveats: tuple[str, ...]
    provenance: Provenance
    certainty: str = ""
    differences: tuple[PairedDifference, ...] = ()
    separations: tuple[Separation, ...] = ()
    by_class: tuple[Champion, ...] = ()
    pareto: tuple[FrontTrial, ...] = ()
    class_gain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a run cost. calls: requests that were paid; cached: answers that were not paid again.

    saved_usd: list price of the cached answers. cap_usd and cap_calls: `None` when not capped.
    """

    usd: float = 0.0
    calls: int = 0
    cached: int = 0
    failed: int = 0
    saved_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cap_usd: float | None = None
    cap_calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A picture of a run between two blocks, for whoever watches: terminal, notebook, or a test.

    done and planned: logical calls, cached ones included. phase: what is under way.
    """

    run: str
    phase: Literal["search", "confirm", "eval"]
    trials: tuple[Trial, ...]
    done: int
    planned: int
    spend: Spend
    elapsed_s: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where the examples come from. sha256: of the rows as read; source, licence: as the data set states."""

    name: str
    sha256: str
    n_search: int
    n_confirm: int
    source: str = ""
    licence: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One call of one trial with all that was made of it: a line of the per-sample table.

    failure: kind of `CallFailure`, or `None` when there is an answer. scores: one per scorer.
    reused: see `Completion`.
    """

    trial: int
    split: Split
    sample_id: str
    repeat: int
    text: str | None
    finish_reason: str | None
    failure: str | None
    price_usd: float | None
    latency_s: float | None
    cached: bool
    scores: tuple[Score, ...]
    target: JsonValue = None
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The samples whose metadata has one value in one field. samples: answered; quality: `None` below two."""

    field: str
    value: str
    samples: int
    quality: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFigures:
    """How one label fared. targets, given: answers whose target it is, and that were given it.

    precision, recall: of the answers that were given it, of those whose target it is, the share that was
    right; `None` with too few to tell how sure. confused: targets with this label by the label given, most
    first; "" for none.
    """

    label: str
    targets: int
    given: int
    precision: Estimate | None
    recall: Estimate | None
    confused: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """What stands behind the quality of one trial on one split.

    slices: by field and value; their intervals hold all together at the stated level, and so do those of
    labels. labels: in alphabetical order, where the first scorer reads labels. scorers: mean of each further
    scorer.
    """

    trial: int
    split: Split
    slices: tuple[Slice, ...] = ()
    labels: tuple[LabelFigures, ...] = ()
    scorers: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])


RunState = Literal["running", "complete", "stopped", "inconclusive", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything one run found out, in memory-sized form; per-sample rows stay in the store.

    trials: on the search split, by number; trial 0 is the untuned default. finalists: the same numbers
    on the confirm split. metric: name of the quality shown. aim: the spec's policy and limits in words.
    breakdowns: of the finalists, or of the one trial of an evaluation.
    verb: "eval" for one set of settings that was measured; it is the only trial. origin: where its
    settings come from, in words; empty for a search.
    """

    run: str
    experiment: str
    description: str
    state: RunState
    metric: str
    aim: str
    trials: tuple[Trial, ...]
    finalists: tuple[Trial, ...]
    recommendation: Recommendation | None
    spend: Spend
    data: DataCard
    provenance: Provenance
    started_at: datetime
    ended_at: datetime | None
    failures: Literal["count_as_wrong", "leave_out"]
    notes: tuple[str, ...] = ()
    verb: Verb = "tune"
    origin: str = ""
    breakdowns: tuple[Breakdown, ...] = ()
