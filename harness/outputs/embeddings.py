"""What vectors are like and what a semantic cache would do, as text in its final wording.

In: a run record of an embedding task. Out: plain records of strings for the templates. Must not write markup
or compute a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.findings import RunRecord, Trial
from harness.insights import CachePoint, CacheReport, Reference
from harness.outputs import numbers

BESIDE = ("ndcg@10", "recall@1", "recall@10", "mrr@10")  # scores of a query, in the order of the table
OF: Mapping[str, str] = {"different": "of different texts hit", "hits": "of hits are wrong"}
HELD: Mapping[str, str] = {"kept": ": kept", "broken": ": BROKEN", "unclear": ": not confirmed"}
VERDICTS: Mapping[str, str] = {
    "kept": "These pairs show it kept.",
    "broken": "These pairs show it BROKEN: do not ship this threshold.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceLine:
    """One set of settings, or a reference. number: of its trial, `None` for a reference."""

    number: int | None
    name: str
    split: str
    quality: str
    beside: tuple[str, ...]
    dimensions: str
    stored: str
    per_million: str
    corpus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLine:
    """A cache with one threshold. name: why it is told."""

    name: str
    cosine: str
    hits: str
    false: str
    wrong: str
    saved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheData:
    """A threshold and what it is worth. sentence: the guarantee; checks: what the splits show."""

    title: str
    sentence: str
    checks: tuple[str, ...]
    lines: tuple[CacheLine, ...]
    priced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingData:
    """What the section on embeddings shows. beside: names of the columns of further figures."""

    beside: tuple[str, ...]
    spaces: tuple[SpaceLine, ...]
    references: bool
    caches: tuple[CacheData, ...]


def embedding_data(record: RunRecord) -> EmbeddingData | None:
    """The section, or `None` for a run of models that write."""
    trials = [trial for trial in (record.finalists or record.trials) if "dimensions" in trial.facts]
    if not trials:
        return None
    beside = tuple(name for name in BESIDE if name != record.metric and name in trials[0].metrics)
    ranked = sorted(trials, key=lambda trial: -(trial.quality.value if trial.quality else -2.0))
    return EmbeddingData(
        beside=beside,
        spaces=(
            *(_space(trial, beside) for trial in ranked),
            *(_reference(one, beside) for one in record.references),
        ),
        references=bool(record.references),
        caches=tuple(_cache(one) for one in shown_caches(record)),
    )


def _space(trial: Trial, beside: tuple[str, ...]) -> SpaceLine:
    held = trial.facts
    corpus = "" if "corpus_usd" not in held else numbers.price(held["corpus_usd"])
    return SpaceLine(
        number=trial.number,
        name=numbers.settings_line(trial.settings),
        split=trial.split,
        quality=numbers.quality(trial.quality),
        beside=tuple(_figure(trial.metrics, name) for name in beside),
        dimensions=numbers.count(round(held["dimensions"])),
        stored=numbers.size(round(held.get("bytes_per_document", held["bytes_per_vector"]))),
        per_million=numbers.price(held.get("usd_per_million_tokens")),
        corpus=corpus,
    )


def _reference(one: Reference, beside: tuple[str, ...]) -> SpaceLine:
    return SpaceLine(
        number=None,
        name=f"{one.name} (word counts, no model)",
        split=one.split,
        quality=numbers.quality(one.quality),
        beside=tuple(_figure(one.metrics, name) for name in beside),
        dimensions="",
        stored="",
        per_million="free",
        corpus="",
    )


def _figure(held: Mapping[str, float], name: str) -> str:
    return f"{held[name]:.2f}" if name in held else numbers.NOT_MEASURED


def shown_caches(record: RunRecord) -> tuple[CacheReport, ...]:
    """The reports that the section shows: of one trial, by split."""
    chosen = None if record.recommendation is None else record.recommendation.trial.number
    told = {one.trial for one in record.caches}
    number = chosen if chosen in told else next((one.trial for one in record.caches), None)
    return tuple(one for one in record.caches if one.trial == number)


def cache_line(record: RunRecord) -> str:
    """What the last split says of false hits, or why the cache stays off; "" without a cache."""
    told = shown_caches(record)[-1:]
    return "".join(false_hits(one) + (f": {one.why}" if one.threshold is None else "") for one in told)


def false_hits(report: CacheReport) -> str:
    """What was seen of false hits, beside the limit, as a phrase."""
    if report.threshold is None:
        return "cache off"
    among = report.different if report.of == "different" else report.hits
    high = "" if report.high is None else f", at most {numbers.most(report.high)}"
    return (
        f"{numbers.count(report.false)} of {numbers.count(among)} {OF[report.of]}{high} with "
        f"{numbers.share(report.level)} confidence on the {report.split} split{_independent(report)}, limit "
        f"{numbers.share(report.limit)}{HELD.get(report.verdict, '')}"
    )


def _independent(report: CacheReport) -> str:
    """What a binomial bound takes for granted, where the data gives reason to doubt it."""
    if report.groups is None:
        return ""
    return f" (counting pairs of {numbers.count(report.groups)} groups as independent)"


def _cache(report: CacheReport) -> CacheData:
    limit = f"at most {numbers.share(report.limit)} {OF[report.of]}"
    sure = f"with {numbers.share(report.level)} confidence"
    if report.threshold is None:
        why = report.why or "the cache stays off"
        sentence = f"No threshold can be shown to see to it that {limit}: {why}."
    else:
        sentence = f"From a cosine of {report.threshold:.4f} up, {limit}, {sure}."
        if report.split == "search":
            sentence = (
                f"A cosine of {report.threshold:.4f} was chosen on these pairs so that {limit}, {sure} if "
                "the pairs are independent."
            )
        elif report.verdict == "broken":
            sentence = f"A cosine of {report.threshold:.4f} is too low: the limit is {limit}."
        elif report.verdict != "kept":
            sentence = f"To be confirmed: from a cosine of {report.threshold:.4f} up, {limit}, {sure}."
    among = report.different if report.of == "different" else report.hits
    seen = f"{numbers.count(report.false)} of {numbers.count(among)}"
    high = "" if report.high is None else f", {sure} at most {numbers.most(report.high)}"
    checks = [f"Seen on the {report.split} split: {seen}{high}."] if report.threshold is not None else []
    checks += [VERDICTS.get(report.verdict) or _unclear(report)] if report.verdict else []
    if report.threshold is not None and report.groups is not None:
        checks.append(
            f"The different pairs come from {numbers.count(report.groups)} groups and are counted as "
            "independent: where pairs of one group go wrong together, the confidence is lower than stated."
        )
    priced = any(point.saved_usd_per_1k is not None for point in report.landmarks)
    if priced:
        share = numbers.share(report.same / max(1, report.same + report.different))
        checks.append(
            f"Saved takes {share} of requests to have a stored text of the same intent, as of these "
            "pairs; with fewer, less is saved."
        )
    points = sorted(report.landmarks, key=lambda point: point.cosine)
    return CacheData(
        title=f"Threshold of trial {report.trial}, {report.split} split",
        sentence=sentence,
        checks=tuple(checks),
        lines=tuple(_line(point) for point in points),
        priced=priced,
    )


def _unclear(report: CacheReport) -> str:
    """What "not confirmed" means, and what settles it."""
    among, what = (report.different, "different pairs") if report.of == "different" else (report.hits, "hits")
    seen = f"{numbers.count(report.false)} of {numbers.count(among)}"
    limit, sure = numbers.share(report.limit), f"with {numbers.share(report.level)} confidence"
    room = (
        "even none would not" if report.allowed is None else f"at most {numbers.count(report.allowed)} would"
    )
    shown = "" if report.high is None else f"; these pairs do show {numbers.most(report.high)}"
    more = (
        "the share of false hits seen is no lower than the limit; choose the threshold anew on more pairs"
        if report.needed is None
        else f"at the share seen it takes some {numbers.count(report.needed)} {what} on the confirm split; "
        "label more, or raise aim.confirm"
    )
    return (
        f"NOT CONFIRMED, nor refuted: {seen} does not show a limit of {limit} {sure} ({room}){shown}. Leave "
        f"the cache off until it is settled: {more}."
    )


def _line(point: CachePoint) -> CacheLine:
    return CacheLine(
        name=point.name,
        cosine=f"{point.cosine:.4f}",
        hits=numbers.share(point.hit_rate),
        false=numbers.share(point.false_hit_rate),
        wrong="no hits" if point.wrong_share is None else numbers.share(point.wrong_share),
        saved=numbers.money(point.saved_usd_per_1k),
    )
