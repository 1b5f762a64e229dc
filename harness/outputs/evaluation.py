"""What an evaluation says: as text in its final wording for page, card and terminal, and as JSON.

In: the record of a run that measured one set of settings, and its worst answers. Out: plain records of
strings for the templates, and a JSON document. Must not write markup or files, or compute a figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from harness.findings import AnswerRow, JudgeReport, RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.breakdowns import (
    BreakdownData,
    breakdown_data,
    breakdown_document,
    scorer_lines,
    silence,
    silent_lines,
)
from harness.outputs.embeddings import EmbeddingData, embedding_data
from harness.outputs.endings import EndingLine, TimeLine, ending_lines, rate, rates_line, time_lines
from harness.outputs.exports.document import figures, provenance
from harness.outputs.judges import judge_lines
from harness.outputs.report_parts import (
    FAILURES,
    UNFINISHED,
    WorstAnswer,
    data_lines,
    first_token_phrase,
    provenance_lines,
    small_model,
    spend_lines,
    used_of_cap,
    worst_answer,
)
from harness.outputs.spend_roles import RoleLine, caps_line, spend_by_role
from harness.outputs.verdict import verdict
from harness.plan.given import settings_form
from harness.records import JsonValue, Split

FORMAT_VERSION = 1
INCONCLUSIVE = "The evaluation did not come to its end; its figures rest on what was answered until then."
SAMPLES: Mapping[Split, str] = {
    "all": "all samples",
    "search": "the search split",
    "confirm": "the confirm split",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationData:
    """Everything that the templates show. figures: names and texts; empty when nothing was asked.

    headline: the quality, large, and its interval with n, small. samples: which ones, in words.
    """

    run: str
    experiment: str
    description: str
    metric: str
    state: str
    unfinished: str
    verdict: str
    origin: str
    samples: str
    settings: tuple[tuple[str, str], ...]
    line: str
    headline: tuple[str, str]
    quality: str
    price: str
    latency: str
    first_token: str
    rates: str
    silence: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    breakdown: BreakdownData | None
    times: tuple[TimeLine, ...]
    endings: tuple[EndingLine, ...]
    spend: tuple[tuple[str, str], ...]
    roles: tuple[RoleLine, ...]
    caps: str
    spent: str
    cap_used: float | None
    cap_used_text: str
    judges: tuple[tuple[str, str], ...]
    embeddings: EmbeddingData | None
    failures: str
    worst: tuple[WorstAnswer, ...]
    data: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    repeat: str
    git_commit: str | None
    notes: tuple[str, ...]


def evaluation_data(record: RunRecord, worst: Sequence[AnswerRow] = ()) -> EvaluationData:
    """The whole evaluation in words. worst: its rows, lowest score first."""
    (trial,) = record.trials
    value, _, rest = numbers.quality(trial.quality).partition(" ")
    cap_used, cap_used_text = used_of_cap(record)
    return EvaluationData(
        run=record.run,
        experiment=record.experiment,
        description=record.description,
        metric=record.metric,
        state=record.state,
        unfinished=UNFINISHED.get(record.state, INCONCLUSIVE if record.state == "inconclusive" else ""),
        verdict=verdict(record),
        origin=record.origin,
        samples=SAMPLES[trial.split],
        settings=numbers.setting_lines(trial.settings),
        line=numbers.settings_line(trial.settings),
        headline=(value, rest),
        quality=_quality(trial),
        price=numbers.price(trial.usd_per_1k_calls),
        latency=f"{numbers.seconds(trial.latency_p50_s)} / {numbers.seconds(trial.latency_p95_s)}",
        first_token=first_token_phrase(trial),
        rates=rates_line(trial, record.failures),
        silence=silent_lines(record, trial),
        figures=_figures(record, trial),
        breakdown=breakdown_data(record),
        times=time_lines(record),
        endings=ending_lines(record),
        spend=spend_lines(record),
        roles=spend_by_role(record),
        caps=caps_line(record),
        spent=numbers.money(record.spend.usd),
        cap_used=cap_used,
        cap_used_text=cap_used_text,
        judges=judge_lines(record),
        embeddings=embedding_data(record),
        failures=FAILURES[record.failures],
        worst=tuple(worst_answer(row) for row in worst),
        data=data_lines(record),
        provenance=provenance_lines(record),
        repeat=_repeat(record, trial),
        git_commit=record.provenance.git_commit,
        notes=(*record.notes, *small_model(trial)),
    )


def document(record: RunRecord) -> dict[str, JsonValue]:
    """The evaluation as one JSON-like object; what is unknown is absent. `settings` can be given again."""
    (trial,) = record.trials
    return {
        "format": "harness evaluation",
        "format_version": FORMAT_VERSION,
        "experiment": record.experiment,
        "run": record.run,
        "state": record.state,
        "settings": settings_form(trial.settings),
        "origin": record.origin,
        "metric": record.metric,
        "split": trial.split,
        **figures(trial),
        "scorers": dict(trial.metrics),
        **breakdown_document(record),
        "failures": record.failures,
        **({"references": [asdict(one) for one in record.references]} if record.references else {}),
        **({"caches": [asdict(one) for one in record.caches]} if record.caches else {}),
        **({"judges": [_judge(report) for report in record.judges]} if record.judges else {}),
        "spend": {name: value for name, value in asdict(record.spend).items() if value is not None},
        "data": {name: value for name, value in asdict(record.data).items() if value != ""},
        "provenance": provenance(record.provenance),
        "notes": list(record.notes),
    }


def text(record: RunRecord) -> str:
    """`document` as JSON text; ends with a line break."""
    return json.dumps(document(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _judge(report: JudgeReport) -> dict[str, JsonValue]:
    known: dict[str, JsonValue] = {name: value for name, value in asdict(report).items() if value is not None}
    known["corrected"] = {str(number): asdict(rate) for number, rate in report.corrected.items()}
    return known


def _quality(trial: Trial) -> str:
    measured = trial.quality
    interval = "" if measured is None else f" ({numbers.level(measured)})"
    return f"{numbers.quality(measured)}{interval}"


def _figures(record: RunRecord, trial: Trial) -> tuple[tuple[str, str], ...]:
    card = record.data
    asked = {"all": card.n_search + card.n_confirm, "search": card.n_search, "confirm": card.n_confirm}
    whole = numbers.count(asked[trial.split])
    cut = () if trial.input_truncation_rate is None else (trial.input_truncation_rate,)
    first = () if trial.first_token_p50_s is None else (numbers.seconds(trial.first_token_p50_s),)
    return (
        (record.metric.capitalize(), _quality(trial)),
        *scorer_lines(record, trial),
        ("Samples answered", f"{numbers.count(trial.samples)} of {whole} ({SAMPLES[trial.split]})"),
        ("Price per 1,000 calls", numbers.price(trial.usd_per_1k_calls)),
        ("Latency p50", numbers.seconds(trial.latency_p50_s)),
        ("Latency p95", numbers.seconds(trial.latency_p95_s)),
        *(("First token p50", known) for known in first),
        ("Failed calls", rate(trial, "failure_rate")),
        ("Unscored answers", f"{rate(trial, 'unscored_rate')}{silence(record, trial)}"),
        ("Truncated answers", rate(trial, "truncation_rate")),
        *(("Inputs cut down", numbers.share(rate)) for rate in cut),
        ("Answers from the store", numbers.share(trial.cached_rate)),
    )


def _repeat(record: RunRecord, trial: Trial) -> str:
    split = "" if trial.split == "all" else f" --split {trial.split}"
    return f"harness eval SPEC --settings evaluation.json{split} --seed {record.provenance.seed}"
