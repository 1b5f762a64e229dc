"""What the MLflow runs of a sweep are to hold: names, tags, parameters and metrics within MLflow's limits.

In: a run record. Out: one page for the parent run and one for each trial. Must not import mlflow, reach a
store, or compute a figure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from harness.findings import (
    Champion,
    PairedDifference,
    Recommendation,
    RunRecord,
    RunState,
    Trial,
    TrialState,
)
from harness.fingerprint import canonical, fingerprint
from harness.outputs import numbers
from harness.outputs.files import encodable
from harness.outputs.report_parts import paid_by_class
from harness.records import JsonValue, Settings

RUN_TAG = "harness.run"
PARENT_TAG = "mlflow.parentRunId"
NUMBER_TAG = "trial_number"
# MLflow cuts longer values off without a word, so they are shortened here, with one.
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_KEY = 250
# Digits of a trial's number: MLflow sorts names and tags as text, and 10 must not come before 2.
DIGITS = 4
# A column of MLflow's parallel coordinates wants a value on every trial's run.
NOT_SENT = "not sent"
# A trial that lost its race did its work well: the tag `state` tells how it ended. None: still running.
RUN_STATUS: Mapping[RunState, str | None] = {
    "running": None,
    "complete": "FINISHED",
    "inconclusive": "FINISHED",
    "stopped": "KILLED",
    "failed": "FAILED",
}
TRIAL_STATUS: Mapping[TrialState, str | None] = {
    "running": None,
    "complete": "FINISHED",
    "eliminated": "FINISHED",
    "infeasible": "FINISHED",
    "stopped": "KILLED",
    "failed": "FAILED",
}


class Point(NamedTuple):
    """A value of a metric. step: the number of samples behind it, 0 for what rests on none."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that one MLflow run is to hold.

    identity: tags that are there from the first moment, by which the run is found again. points: of metrics;
    of one name the last is the newest. status: an MLflow run status; `None` while it is running. extent:
    start and end in milliseconds since 1970; no end: `None`.
    """

    name: str
    identity: Mapping[str, str]
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: tuple[Point, ...]
    status: str | None
    extent: tuple[int, int | None]

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of each metric."""
        return {point.name: point.value for point in self.points}

    def content(self) -> str:
        """The fingerprint by which a later call sees that nothing is left to write; times are no content."""
        return fingerprint([self.name, self.tags, self.params, self.points, self.status])


def sweep_page(record: RunRecord, trial_run_ids: Mapping[str, str]) -> Page:
    """The page of the parent run; trial_run_ids: MLflow run of each trial by its number, as text.

    An evaluation has no trials to tell apart: its settings and figures are those of the run. A run under way
    has no figures: MLflow would keep each of them for ever.
    """
    chosen = record.recommendation
    tags, params, points = _run_tags(record), dict[str, str](), list[Point]()
    if record.verb == "eval" and record.trials:
        (trial,) = record.trials
        tags |= {
            "harness.origin": record.origin,
            "split": trial.split,
            "model_class": trial.model_class or "",
        }
        params = _params(trial.settings)
        points += _figures(trial, "")
    if chosen is not None:
        tags |= _advice_tags(chosen) | {"best_run_id": trial_run_ids.get(padded(chosen.trial.number), "")}
        points += _advice_points(chosen)
        params = _params(chosen.settings, "best_")
    if record.state != "running":
        points += _points(_spend_figures(record))
    return Page(
        name=record.run,
        identity={RUN_TAG: record.run},
        tags=_fitted_tags(tags),
        params=params,
        points=tuple(points),
        status=RUN_STATUS[record.state],
        extent=_extent(record, 0),
    )


def trial_pages(record: RunRecord, parent_id: str) -> Iterator[Page]:
    """The pages of the child runs, one a trial by number; a finalist's second measurement is `confirm_*`."""
    if record.verb == "eval":
        return
    names = record.setting_names or tuple(
        dict.fromkeys(name for trial in record.trials for name in trial.settings.held())
    )
    chosen = None if record.recommendation is None else record.recommendation.trial.number
    confirmed = {trial.number: trial for trial in record.finalists}
    searched = {trial.number: trial for trial in record.trials}
    for number in sorted(searched.keys() | confirmed.keys()):
        search, confirm = searched.get(number), confirmed.get(number)
        trial = search or confirmed[number]
        tags = {
            "state": trial.state,
            "reason": trial.reason,
            "split": " ".join(t.split for t in (search, confirm) if t),
            "model_class": trial.model_class or "",
            "preset": record.presets.get(number, ""),
            "recommended": "yes" if number == chosen else "",
        }
        status = TRIAL_STATUS[trial.state]
        over = RUN_STATUS[record.state] is not None
        yield Page(
            name=f"trial {padded(number)}",
            identity={PARENT_TAG: parent_id, NUMBER_TAG: padded(number)},
            tags=_fitted_tags(tags),
            params={**dict.fromkeys(map(_key, names), NOT_SENT), **_params(trial.settings)},
            points=(
                *(_figures(search, "") if search else ()),
                *(_figures(confirm, "confirm_") if confirm else ()),
            ),
            status="KILLED" if over and status is None else status,
            extent=_extent(record, number + 1),
        )


def with_comparisons(page: Page, chosen: Recommendation, metric: str, run_ids: Mapping[str, str]) -> Page:
    """The page of the recommended trial, with its paired difference to each other finalist.

    run_ids: MLflow run of each trial by its number, as text. The keys are those under which MLflow 3.18 logs
    comparisons of its own: `compare/` with the first eight characters of the other run, and the metric.
    Intervals hold all together at the level of the recommendation.
    """
    found: list[Point] = []
    for paired in chosen.differences:
        gap, other = paired.difference, run_ids.get(padded(paired.other))
        if other is not None:
            named = {"diff": gap.value, "ci_low": gap.low, "ci_high": gap.high, "n_paired": float(gap.n)}
            prefix = f"compare/{other[:8]}/{metric}"
            found += _points({f"{prefix}/{name}": value for name, value in named.items()}, gap.n)
    return replace(page, points=(*page.points, *found))


def with_tags(page: Page, tags: Mapping[str, str]) -> Page:
    """The page with these tags as well."""
    return replace(page, tags={**page.tags, **_fitted_tags(tags)})


def padded(number: int) -> str:
    """A trial's number as text that sorts like a number."""
    return f"{number:0{DIGITS}d}"


def _extent(record: RunRecord, offset_ms: int) -> tuple[int, int | None]:
    """Start and end of a run in milliseconds. Trials are raced in turns, so each spans the whole sweep.

    offset_ms: keeps MLflow's table, which is sorted by start, in the order of the trials.
    """
    start = milliseconds(record.started_at) + offset_ms
    # A clock may be set back in mid-run; MLflow would show a negative duration.
    end = None if record.ended_at is None else max(start, milliseconds(record.ended_at) + offset_ms)
    return start, end


def _run_tags(record: RunRecord) -> dict[str, str]:
    rests_on = record.provenance
    return {
        "mlflow.note.content": _note(record),
        "mlflow.source.name": "harness",
        "mlflow.source.git.commit": rests_on.git_commit or "",
        "harness.verb": record.verb,
        "harness.state": record.state,
        "harness.metric": record.metric,
        "harness.aim": record.aim,
        "harness.failures": record.failures,
        "harness.spec": rests_on.spec,
        "harness.plan": rests_on.plan,
        "harness.data": rests_on.data,
        "harness.catalogue": rests_on.catalogue,
        "harness.prices_as_of": rests_on.prices_as_of,
        "harness.seed": str(rests_on.seed),
    } | {f"harness.version.{name}": version for name, version in rests_on.versions.items()}


def _note(record: RunRecord) -> str:
    """What MLflow shows as the description of the run, in Markdown: what was asked, and what came out."""
    found, chosen = [record.description], record.recommendation
    if chosen is not None:
        figures = (
            f"{numbers.quality(chosen.trial.quality)}; {numbers.price_phrase(chosen.trial.usd_per_1k_calls)}"
        )
        line = numbers.settings_line(chosen.settings)
        found += [
            f"**Recommended:** {line} (trial {padded(chosen.trial.number)})",
            f"On fresh samples: {figures}. {chosen.reason} {chosen.certainty}",
        ]
    return "\n\n".join(text.strip() for text in (*found, *record.notes) if text)


def _advice_tags(chosen: Recommendation) -> dict[str, str]:
    settings: dict[str, JsonValue] = {
        **chosen.settings.held(),
        "model": chosen.settings.model,
        "prompt": chosen.settings.prompt,
    }
    quality = chosen.trial.quality
    return {
        "harness.policy": chosen.policy,
        "harness.best_trial": str(chosen.trial.number),
        "harness.best_split": chosen.trial.split,
        "harness.best_settings": canonical(settings),
        "harness.reason": chosen.reason,
        "harness.caveats": "\n".join(chosen.caveats),
        "harness.ties": " ".join(str(number) for number in chosen.ties),
        "harness.certainty": chosen.certainty,
        "harness.pareto": " ".join(str(one.trial.number) for one in chosen.pareto),
        "harness.interval": f"{quality.level:g} {quality.method}" if quality else "",
    } | {f"harness.champion.{champion.model_class}": _champion_text(champion) for champion in chosen.by_class}


def _champion_text(champion: Champion) -> str:
    settings = champion.trial.settings
    sent: dict[str, JsonValue] = {**settings.held(), "model": settings.model, "prompt": settings.prompt}
    note = f" ({champion.note})" if champion.note else ""
    return f"trial {champion.trial.number} on the {champion.trial.split} split: {canonical(sent)}{note}"


def _fitted_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {_key(name): _fitted(value, LONGEST_TAG) for name, value in tags.items() if value}


def _params(settings: Settings, prefix: str = "") -> dict[str, str]:
    """The settings as MLflow parameters: model, prompt, and what is there; what is not is absent."""
    sent = settings.held() | {"model": settings.model, "prompt": settings.prompt}
    texts = {name: value if isinstance(value, str) else canonical(value) for name, value in sent.items()}
    return {_key(prefix + name): _fitted(text, LONGEST_PARAM) for name, text in texts.items()}


def _figures(trial: Trial, prefix: str) -> list[Point]:
    """The figures of a trial; one that is unknown is absent, never NaN. Quality has its course before it."""
    quality = trial.quality
    named: dict[str, float | None] = {
        "quality": quality.value if quality else None,
        "quality_low": quality.low if quality else None,
        "quality_high": quality.high if quality else None,
        "samples": trial.samples,
        "usd_per_1k_calls": trial.usd_per_1k_calls,
        "latency_p50_s": trial.latency_p50_s,
        "latency_p95_s": trial.latency_p95_s,
        "first_token_p50_s": trial.first_token_p50_s,
        "failure_rate": trial.failure_rate,
        "unscored_rate": trial.unscored_rate,
        "truncation_rate": trial.truncation_rate,
        "cached_rate": trial.cached_rate,
        "input_truncation_rate": trial.input_truncation_rate,
        "spent_usd": trial.spent_usd,
    }
    for name, bounds in trial.bounds.items():
        if name != "quality":
            named |= {f"{name}_low": bounds.low, f"{name}_high": bounds.high}
    named |= {f"quality_{task}": found.value for task, found in trial.by_task.items()}
    told = {**trial.facts, **trial.metrics}
    others = {(f"metric_{name}" if name in named else name): value for name, value in told.items()}
    course = [Point(_key(prefix + "quality"), value, n) for n, value in trial.course.items()]
    return course + _points({prefix + name: v for name, v in {**named, **others}.items()}, trial.samples)


def _advice_points(chosen: Recommendation) -> list[Point]:
    points = _figures(replace(chosen.trial, course={}), "best_")
    points += _difference("versus_default", chosen.versus_default)
    points += _difference("versus_runner_up", chosen.versus_runner_up)
    for champion in chosen.by_class:
        prefix = champion.model_class.lower()
        points += _figures(replace(champion.trial, course={}), f"{prefix}_")
        points += _difference(f"versus_{prefix}", champion.versus)
    return points


def _difference(name: str, paired: PairedDifference | None) -> list[Point]:
    if paired is None:
        return []
    gap = paired.difference
    return _points({name: gap.value, f"{name}_low": gap.low, f"{name}_high": gap.high}, gap.n)


def _spend_figures(record: RunRecord) -> dict[str, float | None]:
    spend = record.spend
    return {
        "spent_usd": spend.usd,
        "saved_usd": spend.saved_usd,
        "cap_usd": spend.cap_usd,
        "paid_calls": spend.calls,
        "cached_answers": spend.cached,
        "failed_calls": spend.failed,
        "input_tokens": spend.input_tokens,
        "output_tokens": spend.output_tokens,
        "trials": len(record.trials),
        **{f"spent_usd_{purpose}": paid.usd for purpose, paid in spend.by_purpose.items()},
        **{
            f"{figure}_{name.lower().replace(' ', '_')}": value
            for name, paid in paid_by_class(record).items()
            for figure, value in (
                ("spent_usd", paid.usd),
                ("input_tokens", paid.input_tokens),
                ("output_tokens", paid.output_tokens),
            )
        },
        **{f"saved_usd_{purpose}": paid.saved_usd for purpose, paid in spend.by_purpose.items()},
        **{f"cached_answers_{purpose}": paid.cached for purpose, paid in spend.by_purpose.items()},
    }


def _points(figures: Mapping[str, float | None], step: int = 0) -> list[Point]:
    return [
        # Money is added up in the order in which answers come: its last digits say nothing.
        Point(_key(name), float(f"{value:.12g}"), step)
        for name, value in figures.items()
        if value is not None and math.isfinite(value)
    ]


def _key(name: str) -> str:
    """A name that MLflow takes: one it would refuse is made plain, and told apart by a piece of its hash."""
    parts = name.split("/")
    legal = re.fullmatch(r"[\w.\- /]+", name, re.ASCII) and len(name) <= LONGEST_KEY
    if legal and not any(part in ("", ".", "..") for part in parts):
        return name
    plain = re.sub(r"[^\w\-]", "_", name, flags=re.ASCII)
    return f"{plain[: LONGEST_KEY - 10]}-{fingerprint(encodable(name))[:8]}"


def _fitted(text: str, limit: int) -> str:
    """The text, or its beginning with length and SHA-256 of the whole when MLflow would cut it off."""
    text = encodable(text)
    if len(text) <= limit:
        return text
    ending = f" ... [shortened: {len(text)} characters, sha256 {fingerprint(text)}]"
    return text[: limit - len(ending)] + ending


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, MLflow's unit of time."""
    return round(moment.timestamp() * 1000)
