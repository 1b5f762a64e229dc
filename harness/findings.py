"""Records of what was found: trials, choices with their reasons, and whole runs. No decisions.

Frozen, and equal by value. What travels on a single call stands in `records`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from harness.cards import DataCard, TaskCard
from harness.insights import CacheReport, Reference, SettingEffect, Unscored
from harness.records import (
    Bounds,
    CallFailure,
    Completion,
    Endpoint,
    Estimate,
    JsonValue,
    ModelClass,
    Purpose,
    Score,
    Settings,
    Split,
    Verb,
)
from harness.sheets import Sheet

TrialState = Literal["running", "complete", "eliminated", "infeasible", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set of settings with its evidence on one split.

    samples: how many samples it answered. `quality` is `None` until something was scored.
    facts: what the vectors of an embedding model are like, by name, such as dimensions and bytes_per_vector.
    price: list price, whoever paid; spent_usd: what this run paid for it. `reason`: why it ended.
    input_truncation_rate: of calls whose input was cut down by task.long_inputs; `None` where that cuts none.
    Rates are shares of the calls made; latencies are those of real calls. told: what the sampler was told it
    is worth, on one scale for short and long trials of a run; `None`: nothing. bounds: of the figures, by
    their names here, on the confirm split good for all finalists together; empty while a run is under way.
    queue: waiting on our side, no part of the latency. endings: calls by how they ended: finish reasons of
    answers, "" for none, and kinds of failures. by_task: of several tasks, the quality of each, by its own
    metric and level. course: quality by a smaller number of samples; empty where it is no mean of samples.
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
    input_truncation_rate: float | None = None
    spent_usd: float = 0.0
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    facts: Mapping[str, float] = field(default_factory=dict[str, float])
    told: float | None = None
    bounds: Mapping[str, Bounds] = field(default_factory=dict[str, Bounds])
    first_token_p95_s: float | None = None
    queue_p50_s: float | None = None
    queue_p95_s: float | None = None
    endings: Mapping[str, int] = field(default_factory=dict[str, int])
    by_task: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    course: Mapping[int, float] = field(default_factory=dict[int, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a result rests on, so that somebody else can repeat it.

    endpoints: where the models were asked, by provider.
    """

    spec: str
    plan: str
    data: str
    catalogue: str
    prices_as_of: str
    seed: int
    versions: Mapping[str, str]
    git_commit: str | None
    started_at: datetime
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])


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
class ProviderChampion:
    """The best of one provider under the policy of the recommendation; the fields are those of `Champion`."""

    provider: str
    trial: Trial
    versus: PairedDifference | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontTrial:
    """A finalist, on the confirm split, that none beats both in quality and in price or median latency."""

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
    pareto: finalists worth a look, best quality first. by_provider: one champion a provider, by name.
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
    by_provider: tuple[ProviderChampion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What calls of one purpose cost a run, and what was not paid again; see `Spend`."""

    usd: float = 0.0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached: int = 0
    saved_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a run cost. calls: those that were paid; cached: answers that were not paid again.

    Each embedded text is a call. saved_usd: list price of the cached. cap_usd, cap_calls: `None` without one.
    by_purpose: parts of usd, calls, tokens and of what was cached. by_model: for what was studied, so not for
    judges, by full name, and by "" where a bill brought no answer; empty until a run ends. retries: requests
    sent again. lost: with processes that died, at most, of what is capped; in no other figure.
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
    lost: Paid = Paid()
    by_purpose: Mapping[Purpose, Paid] = field(default_factory=dict["Purpose", Paid])
    by_model: Mapping[str, Paid] = field(default_factory=dict[str, Paid])
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """A judge held against answers that people called good or bad, and what that makes of its pass rates.

    models: those that judge together. labelled: answers with a label; unscored: those without a verdict.
    good, bad: the judged ones by their label; good_passed, bad_passed: what of them passed. kappa: Cohen's,
    of judge and people, from -1 to 1. sensitivity: share of the good that pass; specificity: share of the bad
    that do not. chance_p: how likely a judge that knows nothing does so well; at_chance: whether that cannot
    be ruled out. position_bias: share of verdicts for the first of two, less a half; `None` for a judge that
    compares no two. verbosity_bias: how much more often the longer half of the answers passes wrongly than
    the shorter one, from -1 to 1. All these are `None` when no answer of a kind was judged. corrected: share
    of answers that people would call good, by trial number, on the split that reports quality.
    """

    scorer: str
    models: tuple[str, ...]
    labelled: int
    unscored: int
    good: int
    bad: int
    good_passed: int
    bad_passed: int
    at_chance: bool
    kappa: float | None = None
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    chance_p: float | None = None
    position_bias: Estimate | None = None
    verbosity_bias: Estimate | None = None
    corrected: Mapping[int, Estimate] = field(default_factory=dict[int, Estimate])


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A picture of a run between two blocks, for whoever watches: terminal, notebook, or a test.

    done, planned: calls, cached ones included. phase: "judges" is their measurement, whose calls are counted
    apart. note: the last thing to know. news: of an evaluation, what is to be heard at once.
    """

    run: str
    phase: Literal["judges", "search", "confirm", "eval"]
    trials: tuple[Trial, ...]
    done: int
    planned: int
    spend: Spend
    elapsed_s: float
    note: str = ""
    news: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """One call of one trial with all that was made of it: a line of the per-sample table.

    failure: kind of `CallFailure`, or `None` when there is an answer. scores: one per scorer. inputs: of the
    sample, what a template may show. chunks: in how many a long input was asked about, each its own call.
    lost_tokens: of the input that no prompt showed. cached: whether the run paid for none of it. reused,
    near_cosine, near_sample: see `Completion`. outcome: the call itself; `None` where it is not at hand.
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
    inputs: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    chunks: int = 1
    lost_tokens: int = 0
    near_cosine: float | None = None
    near_sample: str | None = None
    outcome: Completion | CallFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Samples of one value of a field. samples: answered; quality: `None` below 2. false_hits: of a cache."""

    field: str
    value: str
    samples: int
    quality: Estimate | None
    false_hits: Estimate | None = None


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
    scorer. unscored: by scorer, of those that could not judge some answers.
    """

    trial: int
    split: Split
    slices: tuple[Slice, ...] = ()
    labels: tuple[LabelFigures, ...] = ()
    scorers: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    unscored: tuple[Unscored, ...] = ()


RunState = Literal["running", "complete", "stopped", "inconclusive", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything one run found out, in memory-sized form; per-sample rows stay in the store.

    trials: on the search split, by number; trial 0 is the untuned default. finalists: the same numbers on the
    confirm split. metric: name of the quality shown. aim: the spec's policy and limits in words. breakdowns
    and sheets (sample by sample): of the finalists, or of the one trial of an evaluation, whose verb is
    "eval". effects: of what was searched. origin: where the settings of an evaluation come from. judges:
    those that were measured. references: what embedding models are held against. caches: thresholds of a
    semantic cache, the recommended first. tasks: several ones; data is all of them. presets: names by number
    of the trial. unfit: why nothing may ship, in a development run. setting_names: all that trials hold.
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
    judges: tuple[JudgeReport, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    effects: tuple[SettingEffect, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    references: tuple[Reference, ...] = ()
    caches: tuple[CacheReport, ...] = ()
    tasks: tuple[TaskCard, ...] = ()
    presets: Mapping[int, str] = field(default_factory=dict[int, str])
    setting_names: tuple[str, ...] = ()
    unfit: str = ""
