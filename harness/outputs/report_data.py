"""What a report says, as text in its final wording, before any page is laid out.

In: a run record and the worst answers of its choice. Out: plain records of strings for the templates of
page, short form and notebook card, so that all three say the same. Must not write markup or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings import AnswerRow, PairedDifference, Recommendation, RunRecord, Trial
from harness.outputs import alternatives, numbers
from harness.outputs.breakdowns import BreakdownData, breakdown_data, scorer_lines, silent_lines
from harness.outputs.effects import EffectData, effect_data
from harness.outputs.embeddings import EmbeddingData, embedding_data
from harness.outputs.endings import EndingLine, TimeLine, ending_lines, rates_line, time_lines
from harness.outputs.judges import judge_lines
from harness.outputs.report_parts import (
    FAILURES,
    UNFINISHED,
    Cell,
    WorstAnswer,
    data_lines,
    first_token_phrase,
    provenance_lines,
    small_model,
    spend_lines,
    used_of_cap,
    worst_answer,
)
from harness.outputs.spans import Span, spans
from harness.outputs.spend_roles import RoleLine, caps_line, spend_by_role
from harness.outputs.verdict import reading, verdict
from harness.plan.policy import form_of
from harness.plan.spec_reader import read_policy

TOP_TRIALS = 5

SPLITS_DIFFER = (
    "The search split chose these settings, so its figure flatters them; the confirm split chose "
    "nothing, so its figure is the one to expect."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One line of a table of trials. marks: "recommended", "tied", "untuned default", "preset NAME"."""

    number: int
    marks: tuple[str, ...]
    split: str
    state: str
    reason: str
    model: str
    parameters: str
    samples: Cell
    quality: Cell
    search_quality: Cell
    price: Cell
    latency_p50: Cell
    latency_p95: Cell
    first_token: Cell
    failed: Cell
    unscored: Cell
    truncated: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """The choice against one other trial, and what the interval says about it."""

    name: str
    other: int
    difference: str
    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The recommendation in words. *headline: its quality on a split, large, and interval with n, small.

    first_token: empty when no answer was streamed. scorers: means of further scorers on the confirm split.
    """

    settings: tuple[tuple[str, str], ...]
    line: str
    number: int
    headline: tuple[str, str]
    search_headline: tuple[str, str]
    quality: str
    interval: str
    search_quality: str
    price: str
    latency: str
    first_token: str
    rates: str
    reason: str
    caveats: tuple[str, ...]
    versus: tuple[Versus, ...]
    scorers: tuple[tuple[str, str], ...]
    ties: tuple[int, ...]
    certainty: str
    separations: tuple[str, ...]
    rivals: tuple[alternatives.Rival, ...]
    champions: tuple[alternatives.Alternative, ...]
    class_gain: str
    providers: tuple[alternatives.Alternative, ...]
    front: tuple[alternatives.Alternative, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything that the templates show. streamed: whether a first token was timed anywhere."""

    run: str
    experiment: str
    description: str
    metric: str
    rule: str
    state: str
    unfinished: str
    verdict: str
    choice: Choice | None
    states: tuple[str, ...]
    trials: tuple[TrialLine, ...]
    finalists: tuple[TrialLine, ...]
    breakdown: BreakdownData | None
    top: tuple[TrialLine, ...]
    top_spans: tuple[Span | None, ...]
    variety: tuple[alternatives.VarietyLine, ...]
    effects: EffectData | None
    times: tuple[TimeLine, ...]
    endings: tuple[EndingLine, ...]
    streamed: bool
    spend: tuple[tuple[str, str], ...]
    roles: tuple[RoleLine, ...]
    caps: str
    cap_used: float | None
    cap_used_text: str
    spent: str
    splits_differ: str
    judges: tuple[tuple[str, str], ...]
    embeddings: EmbeddingData | None
    failures: str
    worst: tuple[WorstAnswer, ...]
    data: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    seed: int
    git_commit: str | None
    notes: tuple[str, ...]


def report_data(record: RunRecord, worst: Sequence[AnswerRow] = ()) -> ReportData:
    """The whole report in words. worst: rows of the recommended trial, lowest score first."""
    choice = record.recommendation
    cap_used, cap_used_text = used_of_cap(record)
    confirmed = {trial.number for trial in record.finalists}
    finalists = sorted(record.finalists, key=_rank)
    others = sorted((t for t in record.trials if t.number not in confirmed), key=_rank)
    # A policy may choose a trial that is not among the best by value alone: it leads the short table.
    best = sorted((*finalists, *others), key=lambda t: choice is None or t.number != choice.trial.number)
    return ReportData(
        run=record.run,
        experiment=record.experiment,
        description=record.description,
        metric=record.metric,
        rule=_rule(record),
        state=record.state,
        unfinished=UNFINISHED.get(record.state, ""),
        verdict=verdict(record),
        choice=None if choice is None else choice_data(choice, record),
        states=tuple(dict.fromkeys(trial.state for trial in record.trials)),
        trials=tuple(_trial_line(trial, record) for trial in record.trials),
        finalists=tuple(_trial_line(trial, record) for trial in finalists),
        breakdown=breakdown_data(record),
        top=tuple(_trial_line(trial, record) for trial in best[:TOP_TRIALS]),
        top_spans=spans([trial.quality for trial in best[:TOP_TRIALS]]),
        variety=alternatives.variety(record.trials),
        effects=effect_data(record),
        times=time_lines(record),
        endings=ending_lines(record),
        streamed=any(t.first_token_p50_s is not None for t in (*record.trials, *record.finalists)),
        spend=spend_lines(record),
        roles=spend_by_role(record),
        caps=caps_line(record),
        cap_used=cap_used,
        cap_used_text=cap_used_text,
        spent=numbers.money(record.spend.usd),
        splits_differ=SPLITS_DIFFER,
        judges=judge_lines(record),
        embeddings=embedding_data(record),
        failures=FAILURES[record.failures],
        worst=tuple(worst_answer(row) for row in worst),
        data=data_lines(record),
        provenance=provenance_lines(record),
        seed=record.provenance.seed,
        git_commit=record.provenance.git_commit,
        notes=_notes(record),
    )


def _rule(record: RunRecord) -> str:
    """The rule in words, once; when another policy chose than the aim's, both, each with its place."""
    choice = record.recommendation
    aim = record.aim.rstrip(". ")
    if choice is None:
        return aim
    chosen_by = read_policy(form_of(choice.policy)).words()
    return aim if chosen_by in aim else f"{chosen_by} (the spec asks for {aim})"


def choice_data(choice: Recommendation, record: RunRecord | None = None) -> Choice:
    """The recommendation in words; without a record, neither further scorers nor rivals are told."""
    trial = choice.trial
    pairs = (("the untuned default", choice.versus_default), ("the runner-up", choice.versus_runner_up))
    return Choice(
        settings=numbers.setting_lines(choice.settings),
        line=numbers.settings_line(choice.settings),
        number=trial.number,
        headline=_headline(trial),
        search_headline=_headline(choice.search_trial),
        quality=numbers.quality(trial.quality),
        interval="" if trial.quality is None else numbers.level(trial.quality),
        search_quality=numbers.quality(choice.search_trial.quality),
        price=numbers.price(trial.usd_per_1k_calls),
        latency=f"{numbers.seconds(trial.latency_p50_s)} / {numbers.seconds(trial.latency_p95_s)}",
        first_token=first_token_phrase(trial),
        rates=rates_line(trial, None if record is None else record.failures),
        reason=choice.reason,
        caveats=(
            *choice.caveats,
            *(f"Scorer {line}." for line in (() if record is None else silent_lines(record, trial))),
            *small_model(choice.trial),
        ),
        versus=tuple(_versus(name, pair) for name, pair in pairs if pair is not None),
        scorers=() if record is None else scorer_lines(record, trial),
        ties=choice.ties,
        certainty=choice.certainty,
        separations=alternatives.separations(choice),
        rivals=() if record is None else alternatives.rivals(choice, record.finalists),
        champions=alternatives.champions(choice),
        class_gain=choice.class_gain,
        providers=alternatives.providers(choice),
        front=alternatives.front(choice),
    )


def _headline(trial: Trial) -> tuple[str, str]:
    """The quality, and its interval with n."""
    value, _, rest = numbers.quality(trial.quality).partition(" ")
    return value, rest


def _versus(name: str, pair: PairedDifference) -> Versus:
    estimate = pair.difference
    return Versus(
        name=name,
        other=pair.other,
        difference=f"{numbers.difference(estimate)}, n={numbers.count(estimate.n)}",
        reading=reading(estimate),
    )


def _rank(trial: Trial) -> tuple[bool, float, int]:
    measured = trial.quality
    return (measured is None, 0.0 if measured is None else -measured.value, trial.number)


def _trial_line(trial: Trial, record: RunRecord) -> TrialLine:
    on_search = next((t for t in record.trials if t.number == trial.number), trial)
    return TrialLine(
        number=trial.number,
        marks=_marks(trial.number, record),
        split=trial.split,
        state=trial.state,
        reason=trial.reason,
        model=trial.settings.model,
        parameters=numbers.parameters_line(trial.settings),
        samples=Cell(text=numbers.count(trial.samples), order=trial.samples),
        quality=_quality(trial),
        search_quality=_quality(on_search),
        price=Cell(text=numbers.price(trial.usd_per_1k_calls), order=trial.usd_per_1k_calls),
        latency_p50=Cell(text=numbers.seconds(trial.latency_p50_s), order=trial.latency_p50_s),
        latency_p95=Cell(text=numbers.seconds(trial.latency_p95_s), order=trial.latency_p95_s),
        first_token=Cell(text=numbers.seconds(trial.first_token_p50_s), order=trial.first_token_p50_s),
        failed=Cell(text=numbers.share(trial.failure_rate), order=trial.failure_rate),
        unscored=Cell(text=numbers.share(trial.unscored_rate), order=trial.unscored_rate),
        truncated=Cell(text=numbers.share(trial.truncation_rate), order=trial.truncation_rate),
    )


def _quality(trial: Trial) -> Cell:
    measured = trial.quality
    return Cell(text=numbers.quality(measured), order=None if measured is None else measured.value)


def _marks(number: int, record: RunRecord) -> tuple[str, ...]:
    choice = record.recommendation
    marks = ["untuned default"] if number == 0 else []
    if number in record.presets:
        marks.append(f"preset {record.presets[number]}")
    if choice is not None and number == choice.trial.number:
        marks.insert(0, "recommended")
    elif choice is not None and number in choice.ties:
        marks.insert(0, "tied")
    return tuple(marks)


def _notes(record: RunRecord) -> tuple[str, ...]:
    if record.recommendation is not None:
        return record.notes
    local = next((trial for trial in record.trials if trial.settings.provider == "local"), None)
    return record.notes if local is None else (*record.notes, *small_model(local))
