"""Valid records with short defaults, for tests of scorers, exporters, reports and the like.

In: the fields that a test is about, as keywords. Out: a record whose other fields are plausible and fixed.
It must not draw anything at random or read the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.cards import DataCard
from harness.findings import (
    AnswerRow,
    Breakdown,
    Champion,
    FrontTrial,
    JudgeReport,
    LabelFigures,
    PairedDifference,
    Progress,
    Provenance,
    Recommendation,
    RunRecord,
    Separation,
    Slice,
    Spend,
    Trial,
)
from harness.records import (
    Bounds,
    Call,
    CallFailure,
    Completion,
    Endpoint,
    Estimate,
    Latency,
    Message,
    Reply,
    Sample,
    Score,
    Settings,
    Usage,
)

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_settings(**changes: Any) -> Settings:
    """Settings of a small model at temperature 0.3."""
    settings = Settings(model="sim/small", prompt="plain", temperature=0.3, max_output_tokens=64)
    return replace(settings, **changes)


def a_sample(**changes: Any) -> Sample:
    """A sample of the search split with one input and the target "billing"."""
    sample = Sample(id="s1", inputs={"text": "I was charged twice."}, target="billing", split="search")
    return replace(sample, **changes)


def a_call(**changes: Any) -> Call:
    """A call for sample "s1" with one user message. A `settings` given replaces `a_settings()`."""
    messages = (Message("user", "Which label fits? I was charged twice."),)
    return replace(Call(settings=a_settings(), sample_id="s1", messages=messages, task="triage"), **changes)


def an_endpoint(**changes: Any) -> Endpoint:
    """A local endpoint of the OpenAI wire format at a port where nobody listens."""
    endpoint = Endpoint(
        provider="sim",
        wire="openai",
        litellm_prefix="openai",
        api_base="http://127.0.0.1:9/v1",
        api_key_env=None,
    )
    return replace(endpoint, **changes)


def a_usage(**changes: Any) -> Usage:
    """100 tokens in, 10 out, nothing cached and no reasoning."""
    usage = Usage(input_tokens=100, cached_input_tokens=0, output_tokens=10, reasoning_tokens=0)
    return replace(usage, **changes)


def a_reply(**changes: Any) -> Reply:
    """A finished answer "billing"."""
    return replace(Reply(text="billing", finish_reason="stop", usage=a_usage(), served_by="small"), **changes)


def a_completion(**changes: Any) -> Completion:
    """An answered call that took half a second and cost 14 millionths of a dollar."""
    completion = Completion(
        call=a_call(),
        reply=a_reply(),
        price_usd=0.000014,
        latency=Latency(queue_s=0.0, total_s=0.5),
        cached=False,
        at=AT,
    )
    return replace(completion, **changes)


def a_failure(**changes: Any) -> CallFailure:
    """A call that was overloaded four times."""
    failure = CallFailure(
        call=a_call(), kind="overloaded", message="503: try again later", attempts=4, retryable=True
    )
    return replace(failure, **changes)


def a_score(**changes: Any) -> Score:
    """A right answer of sample "s1"."""
    score = Score(sample_id="s1", repeat=0, scorer="choice", version=1, value=1.0, label="billing")
    return replace(score, **changes)


def an_estimate(value: float = 0.8, *, half_width: float = 0.05, **changes: Any) -> Estimate:
    """A 95 % interval of this half width, cut at 0 and 1 unless `low` or `high` is given."""
    estimate = Estimate(
        value=value,
        low=max(0.0, value - half_width),
        high=min(1.0, value + half_width),
        level=0.95,
        n=200,
        clusters=200,
        method="wilson",
    )
    return replace(estimate, **changes)


def a_difference(value: float = 0.0, *, half_width: float = 0.03, **changes: Any) -> PairedDifference:
    """A paired difference to trial 0 with a 95 % interval of this half width, which may be negative."""
    estimate = an_estimate(value, low=value - half_width, high=value + half_width, method="paired-t")
    return replace(PairedDifference(other=0, difference=estimate), **changes)


def a_trial(number: int = 0, *, quality: float | Estimate | None = 0.8, **changes: Any) -> Trial:
    """A complete trial of the search split. quality: a number gets an interval of 5 points each way."""
    trial = Trial(
        number=number,
        settings=a_settings(),
        model_class="SMALL",
        split="search",
        state="complete",
        samples=200,
        quality=an_estimate(quality) if isinstance(quality, int | float) else quality,
        usd_per_1k_calls=0.014,
        latency_p50_s=0.5,
        latency_p95_s=0.9,
        spent_usd=0.0028,
    )
    return replace(trial, **changes)


def a_bounds(**changes: Any) -> Bounds:
    """A figure between 0.4 and 0.6 with 95 % confidence each way, from 100 calls."""
    return replace(Bounds(low=0.4, high=0.6, level=0.95, n=100, method="order statistics"), **changes)


def a_separation(**changes: Any) -> Separation:
    """300 samples, 240 of them new, find a difference of 5 points to trial 0."""
    separation = Separation(other=0, difference=0.05, samples=300, more=240, usd=0.007, power=0.8)
    return replace(separation, **changes)


def a_champion(**changes: Any) -> Champion:
    """The best of the SMALL class, confirmed, and the choice itself."""
    champion = Champion(model_class="SMALL", trial=a_trial(2, split="confirm"), versus=None)
    return replace(champion, **changes)


def a_front_trial(**changes: Any) -> FrontTrial:
    """A finalist that none beats in quality and price."""
    return replace(FrontTrial(trial=a_trial(2, split="confirm"), against=("price",)), **changes)


def a_slice(**changes: Any) -> Slice:
    """20 samples in English, 8 of 10 of them right."""
    return replace(Slice(field="language", value="en", samples=20, quality=an_estimate(n=20)), **changes)


def a_label_line(**changes: Any) -> LabelFigures:
    """The label "billing": 10 targets, 8 of them found, 1 taken for "bug" and 1 without a label."""
    figures = LabelFigures(
        label="billing",
        targets=10,
        given=9,
        precision=an_estimate(8 / 9, n=9),
        recall=an_estimate(0.8, n=10),
        confused={"billing": 8, "bug": 1, "": 1},
    )
    return replace(figures, **changes)


def a_breakdown(**changes: Any) -> Breakdown:
    """What stands behind trial 0 on the search split: one slice and one label."""
    breakdown = Breakdown(trial=0, split="search", slices=(a_slice(),), labels=(a_label_line(),))
    return replace(breakdown, **changes)


def a_provenance(**changes: Any) -> Provenance:
    """What a run of January 2026 rests on; fingerprints are made of one digit each."""
    provenance = Provenance(
        spec="a" * 64,
        plan="b" * 64,
        data="c" * 64,
        catalogue="d" * 64,
        prices_as_of="2026-01-01",
        seed=0,
        versions={"python": "3.11.7", "llm-harness": "0.1.0"},
        git_commit="0123456789abcdef0123456789abcdef01234567",
        started_at=AT,
    )
    return replace(provenance, **changes)


def a_recommendation(**changes: Any) -> Recommendation:
    """A choice of trial 1 over the default, trial 0, measured on the confirm split."""
    settings = a_settings(model="sim/medium", temperature=0.2)
    chosen = a_trial(1, quality=0.86, settings=settings, model_class="MEDIUM", usd_per_1k_calls=0.056)
    confirmed = replace(chosen, split="confirm", samples=86, quality=an_estimate(0.85))
    recommendation = Recommendation(
        experiment="ticket-triage",
        run="run-1",
        policy="best",
        settings=settings,
        trial=confirmed,
        search_trial=chosen,
        ties=(),
        runner_up=0,
        versus_runner_up=a_difference(0.06),
        versus_default=a_difference(0.06),
        reason="sim/medium answers 6 points more samples rightly than the default.",
        caveats=("86 samples confirm differences of 8 points or more.",),
        provenance=a_provenance(),
    )
    return replace(recommendation, **changes)


def asked_at(choice: Recommendation, provider: str, api_base: str, **changes: Any) -> Recommendation:
    """The same choice of a run that asked this provider at this address, by default in OpenAI's format."""
    asked = an_endpoint(provider=provider, api_base=api_base, **changes)
    known = choice.provenance
    return replace(choice, provenance=replace(known, endpoints={**known.endpoints, provider: asked}))


def a_spend(**changes: Any) -> Spend:
    """One cent for 572 calls, a tenth of them from the cache."""
    spend = Spend(
        usd=0.01,
        calls=515,
        cached=57,
        failed=0,
        saved_usd=0.001,
        input_tokens=51_500,
        output_tokens=5_150,
        cap_usd=5.0,
    )
    return replace(spend, **changes)


def a_data_card(**changes: Any) -> DataCard:
    """200 samples to search on and 86 to confirm with."""
    card = DataCard(name="support-tickets", sha256="c" * 64, n_search=200, n_confirm=86, licence="CC-BY-4.0")
    return replace(card, **changes)


def a_progress(**changes: Any) -> Progress:
    """A run half way through its search."""
    progress = Progress(
        run="run-1",
        phase="search",
        trials=(a_trial(0, state="running"),),
        done=286,
        planned=572,
        spend=a_spend(),
        elapsed_s=12.5,
    )
    return replace(progress, **changes)


def a_run_record(**changes: Any) -> RunRecord:
    """A complete run: the default, the winner, and a loser that was eliminated early.

    The parts agree with each other; a test that changes one changes what must agree with it.
    """
    recommendation = a_recommendation()
    loser = a_trial(2, quality=0.55, settings=a_settings(temperature=1.2))
    loser = replace(loser, state="eliminated", samples=48, reason="worse than trial 1 after 48 samples")
    default = a_trial(0)
    run = RunRecord(
        run="run-1",
        experiment="ticket-triage",
        description="Which settings label support tickets best?",
        state="complete",
        metric="accuracy",
        aim="the highest quality",
        trials=(default, recommendation.search_trial, loser),
        finalists=(
            replace(default, split="confirm", samples=86, quality=an_estimate(0.79)),
            recommendation.trial,
        ),
        recommendation=recommendation,
        spend=a_spend(),
        data=a_data_card(),
        provenance=recommendation.provenance,
        started_at=AT,
        ended_at=AT + timedelta(minutes=2),
        failures="count_as_wrong",
    )
    return replace(run, **changes)


def a_judge_report(**changes: Any) -> JudgeReport:
    """A judge of one model that agrees with people in 22 of 24 labelled answers."""
    report = JudgeReport(
        scorer="correctness",
        models=("sim/large",),
        labelled=24,
        unscored=0,
        good=12,
        bad=12,
        good_passed=11,
        bad_passed=1,
        at_chance=False,
    )
    return replace(report, **changes)


def an_answer_row(**changes: Any) -> AnswerRow:
    """A right answer of trial 0 to sample "s1"."""
    row = AnswerRow(
        trial=0,
        split="search",
        sample_id="s1",
        repeat=0,
        text="billing",
        finish_reason="stop",
        failure=None,
        price_usd=0.000014,
        latency_s=0.5,
        cached=False,
        scores=(a_score(),),
        target="billing",
    )
    return replace(row, **changes)


def answer_rows(
    n_samples: int = 10, *, trials: Sequence[int] = (0, 1), wrong_every: int = 4, **changes: Any
) -> list[AnswerRow]:
    """Rows of several trials on the same samples "s1", "s2", ...; `changes` go to every row.

    wrong_every: each trial answers every so-manieth sample with "bug", which is wrong; which ones
    differ from trial to trial.
    """
    rows: list[AnswerRow] = []
    for trial in trials:
        for number in range(1, n_samples + 1):
            sample_id, right = f"s{number}", (number + trial) % wrong_every != 0
            label = "billing" if right else "bug"
            score = a_score(sample_id=sample_id, value=float(right), label=label)
            row = an_answer_row(trial=trial, sample_id=sample_id, text=label, scores=(score,))
            rows.append(replace(row, **changes))
    return rows
