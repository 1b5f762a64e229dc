"""What a report says, as text in its final wording, before any page is laid out.

In: a run record and the worst answers of its choice. Out: plain records of strings for the templates of
page, short form and notebook card, so that all three say the same. Must not write markup or files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.outputs import numbers
from harness.outputs.verdict import reading, verdict
from harness.plan.policy import form_of
from harness.plan.spec_reader import read_policy
from harness.records import (
    AnswerRow,
    PairedDifference,
    Recommendation,
    RunRecord,
    RunState,
    Settings,
    Trial,
)

LONGEST_ANSWER = 500
LONGEST_TARGET = 200
TOP_TRIALS = 5

SPLITS_DIFFER = (
    "The search split chose these settings, so its figure flatters them; the confirm split chose "
    "nothing, so its figure is the one to expect."
)
SMALL_LOCAL_MODEL = (
    "A small model on this machine shows the mechanics and how answers respond to settings; it is no "
    "evidence on large models. Repeat the search with the models you mean to ship."
)
FAILURES: Mapping[str, str] = {
    "count_as_wrong": (
        "A call that brought no answer and an answer that nobody could judge both count as wrong (score 0)."
    ),
    "leave_out": (
        "Calls that brought no answer and answers that nobody could judge are left out of quality. Their "
        "shares stand in the table: settings that fail often look better than they are."
    ),
}
UNFINISHED: Mapping[RunState, str] = {
    "running": "The run is still going; all figures are provisional.",
    "stopped": "The run was stopped early; its figures rest on what was answered until then.",
    "failed": "The run failed; its figures rest on what was answered until then.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure as text, and the number to sort it by; `None` when it is unknown."""

    text: str
    order: float | None

    @property
    def main(self) -> str:
        """The text up to its interval."""
        return self.text.partition(" [")[0]

    @property
    def rest(self) -> str:
        """The interval and what follows it; empty where there is none."""
        return self.text[len(self.main) + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One line of a table of trials. marks: "recommended", "tied", "untuned default"."""

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
class WorstAnswer:
    """An answer of the recommended settings that scored low; texts are as the model wrote them, cut."""

    sample_id: str
    repeat: int
    score: str
    target: str
    answer: str | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The recommendation in words. headline: its confirmed quality, large, and interval with n, small."""

    settings: tuple[tuple[str, str], ...]
    line: str
    number: int
    headline: tuple[str, str]
    quality: str
    interval: str
    search_quality: str
    price: str
    latency: str
    rates: str
    reason: str
    caveats: tuple[str, ...]
    versus: tuple[Versus, ...]
    ties: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything that the templates show."""

    run: str
    experiment: str
    description: str
    metric: str
    rule: str
    state: str
    unfinished: str
    verdict: str
    choice: Choice | None
    trials: tuple[TrialLine, ...]
    finalists: tuple[TrialLine, ...]
    top: tuple[TrialLine, ...]
    spend: tuple[tuple[str, str], ...]
    cap_used: float | None
    cap_used_text: str
    spent: str
    splits_differ: str
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
    cap_used, cap_used_text = _cap_used(record)
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
        choice=None if choice is None else _choice(choice),
        trials=tuple(_trial_line(trial, record) for trial in record.trials),
        finalists=tuple(_trial_line(trial, record) for trial in finalists),
        top=tuple(_trial_line(trial, record) for trial in best[:TOP_TRIALS]),
        spend=_spend(record),
        cap_used=cap_used,
        cap_used_text=cap_used_text,
        spent=numbers.money(record.spend.usd),
        splits_differ=SPLITS_DIFFER,
        failures=FAILURES[record.failures],
        worst=tuple(_worst(row) for row in worst),
        data=_data(record),
        provenance=_provenance(record),
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


def _choice(choice: Recommendation) -> Choice:
    trial = choice.trial
    value, _, rest = numbers.quality(trial.quality).partition(" ")
    pairs = (("the untuned default", choice.versus_default), ("the runner-up", choice.versus_runner_up))
    return Choice(
        settings=numbers.setting_lines(choice.settings),
        line=numbers.settings_line(choice.settings),
        number=trial.number,
        headline=(value, rest),
        quality=numbers.quality(trial.quality),
        interval="" if trial.quality is None else numbers.level(trial.quality),
        search_quality=numbers.quality(choice.search_trial.quality),
        price=numbers.price(trial.usd_per_1k_calls),
        latency=f"{numbers.seconds(trial.latency_p50_s)} / {numbers.seconds(trial.latency_p95_s)}",
        rates=(
            f"{numbers.share(trial.failure_rate)} failed, {numbers.share(trial.unscored_rate)} unscored, "
            f"{numbers.share(trial.truncation_rate)} truncated"
        ),
        reason=choice.reason,
        caveats=(*choice.caveats, *_small_model(choice.settings)),
        versus=tuple(_versus(name, pair) for name, pair in pairs if pair is not None),
        ties=choice.ties,
    )


def _small_model(settings: Settings) -> tuple[str, ...]:
    return (SMALL_LOCAL_MODEL,) if settings.provider == "local" else ()


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
        marks=_marks(trial.number, record.recommendation),
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
        failed=Cell(text=numbers.share(trial.failure_rate), order=trial.failure_rate),
        unscored=Cell(text=numbers.share(trial.unscored_rate), order=trial.unscored_rate),
        truncated=Cell(text=numbers.share(trial.truncation_rate), order=trial.truncation_rate),
    )


def _quality(trial: Trial) -> Cell:
    measured = trial.quality
    return Cell(text=numbers.quality(measured), order=None if measured is None else measured.value)


def _marks(number: int, choice: Recommendation | None) -> tuple[str, ...]:
    marks = ["untuned default"] if number == 0 else []
    if choice is not None and number == choice.trial.number:
        marks.insert(0, "recommended")
    elif choice is not None and number in choice.ties:
        marks.insert(0, "tied")
    return tuple(marks)


def _spend(record: RunRecord) -> tuple[tuple[str, str], ...]:
    spend = record.spend
    calls = numbers.count(spend.calls)
    if spend.cap_calls is not None:
        calls += f" of at most {numbers.count(spend.cap_calls)}"
    cap = "no cap" if spend.cap_usd is None else f"cap {numbers.money(spend.cap_usd)}"
    return (
        ("Paid", f"{numbers.money(spend.usd)} ({cap})"),
        ("Calls paid", calls),
        ("Answers from the cache", f"{numbers.count(spend.cached)}, saving {numbers.money(spend.saved_usd)}"),
        ("Failed calls", numbers.count(spend.failed)),
        ("Tokens in / out", f"{numbers.count(spend.input_tokens)} / {numbers.count(spend.output_tokens)}"),
    )


def _cap_used(record: RunRecord) -> tuple[float | None, str]:
    """The largest share of a cap that was used, from 0 to 1, and its words; `None` without a cap."""
    spend = record.spend
    caps = (("dollars", spend.usd, spend.cap_usd), ("calls", spend.calls, spend.cap_calls))
    used = [(min(1.0, paid / cap), name) for name, paid, cap in caps if cap]
    if not used:
        return None, ""
    part, name = max(used)
    return part, f"{numbers.share(part)} of the cap on {name} used"


def _worst(row: AnswerRow) -> WorstAnswer:
    value = first_value(row)
    reasons = [score.reason for score in row.scores if score.reason]
    if row.failure is not None:
        reasons.insert(0, f"no answer: {row.failure}")
    if row.finish_reason == "length":
        reasons.append("cut at the output limit")
    target = row.target if isinstance(row.target, str) else json.dumps(row.target, ensure_ascii=False)
    return WorstAnswer(
        sample_id=row.sample_id,
        repeat=row.repeat,
        score="unscored" if value is None else f"{value:.2f}",
        target=numbers.clipped(target, LONGEST_TARGET),
        answer=None if row.text is None else numbers.clipped(row.text, LONGEST_ANSWER),
        why=numbers.clipped("; ".join(reasons), LONGEST_ANSWER),
    )


def first_value(row: AnswerRow) -> float | None:
    """The value of the first scorer that could judge the answer; `None` when none could."""
    return next((score.value for score in row.scores if score.value is not None), None)


def _data(record: RunRecord) -> tuple[tuple[str, str], ...]:
    card = record.data
    return (
        ("Name", card.name),
        ("Samples", f"{numbers.count(card.n_search)} search, {numbers.count(card.n_confirm)} confirm"),
        ("Source", card.source or "not stated"),
        ("Licence", card.licence or "not stated"),
        *((("Attribution", card.attribution),) if card.attribution else ()),
        ("SHA-256 of the rows", card.sha256),
    )


def _provenance(record: RunRecord) -> tuple[tuple[str, str], ...]:
    known = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(known.versions.items()))
    return (
        ("Run", record.run),
        ("Started", _moment(record.started_at)),
        ("Ended", _ended(record)),
        ("Seed", str(known.seed)),
        ("Git commit", known.git_commit or "not under version control"),
        ("Prices as of", known.prices_as_of),
        ("Spec", known.spec),
        ("Plan", known.plan),
        ("Data", known.data),
        ("Catalogue", known.catalogue),
        ("Versions", versions or "not recorded"),
    )


def _ended(record: RunRecord) -> str:
    if record.ended_at is None:
        return "not ended"
    took = (record.ended_at - record.started_at).total_seconds()
    return f"{_moment(record.ended_at)}, after {numbers.seconds(max(0.0, took))}"


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _notes(record: RunRecord) -> tuple[str, ...]:
    if record.recommendation is not None:
        return record.notes
    local = next((trial.settings for trial in record.trials if trial.settings.provider == "local"), None)
    return record.notes if local is None else (*record.notes, *_small_model(local))
