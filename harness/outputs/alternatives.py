"""What else could be shipped, and what it would take to know better, in words.

In: a recommendation. Out: plain records and sentences for page, short form and notebook card. Must not write
markup or files, and must not compute a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.findings import PairedDifference, Recommendation, Separation, Trial
from harness.outputs import numbers
from harness.outputs.report_parts import Cell
from harness.outputs.spans import Span, spans
from harness.outputs.verdict import reading

CONSISTENCY, DIVERSITY = "consistency", "diversity"  # metrics of trials whose samples were repeated
MOST_LINES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One line of a table of trials beside the choice. kind: its class, or the figures it leads in."""

    kind: str
    number: int
    split: str
    settings: str
    quality: str
    price: str
    latency: str
    difference: str
    note: str


def champions(choice: Recommendation) -> tuple[Alternative, ...]:
    """The best of each model class, with the choice's lead over it."""
    return tuple(
        _line(one.model_class, one.trial, _lead(one.versus), one.note or _own(one.versus))
        for one in choice.by_class
    )


def providers(choice: Recommendation) -> tuple[Alternative, ...]:
    """The best of each provider, with the choice's lead over it."""
    return tuple(
        _line(one.provider, one.trial, _lead(one.versus), one.note or _own(one.versus))
        for one in choice.by_provider
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """One other finalist beside the choice. reading: whether they can be told apart."""

    number: int
    settings: str
    difference: Cell
    span: Span | None
    reading: str
    price: Cell


def rivals(choice: Recommendation, finalists: Sequence[Trial]) -> tuple[Rival, ...]:
    """Every other finalist, those that come nearest first."""
    trials = {trial.number: trial for trial in finalists}
    pairs = sorted(
        (pair for pair in choice.differences if pair.other in trials),
        key=lambda pair: (pair.difference.value, pair.other),
    )
    places = spans([pair.difference for pair in pairs], differences=True)
    return tuple(
        Rival(
            number=pair.other,
            settings=numbers.settings_line(trials[pair.other].settings),
            difference=Cell(text=numbers.difference(pair.difference), order=pair.difference.value),
            span=span,
            reading=_tie(pair, choice),
            price=_price(trials[pair.other]),
        )
        for pair, span in zip(pairs, places, strict=True)
    )


def _tie(pair: PairedDifference, choice: Recommendation) -> str:
    if pair.other in choice.ties:
        return "a tie: cannot be told apart"
    return f"the choice is {reading(pair.difference)}"


def _price(trial: Trial) -> Cell:
    return Cell(text=numbers.price(trial.usd_per_1k_calls), order=trial.usd_per_1k_calls)


def front(choice: Recommendation) -> tuple[Alternative, ...]:
    """The finalists that none beats in quality and price, or in quality and latency."""
    versus = {pair.other: pair for pair in choice.differences}
    return tuple(
        _line(f"quality and {' or '.join(one.against)}", one.trial, _lead(versus.get(one.trial.number)), "")
        for one in choice.pareto
    )


def separations(choice: Recommendation) -> tuple[str, ...]:
    """What it would take to tell the choice from the nearest rival and from the default, where they tie."""
    return tuple(_separation(one) for one in choice.separations)


def _line(kind: str, trial: Trial, difference: str, note: str) -> Alternative:
    price = numbers.between(numbers.price, trial.usd_per_1k_calls, trial.bounds.get("usd_per_1k_calls"))
    return Alternative(
        kind=kind,
        number=trial.number,
        split=trial.split,
        settings=numbers.settings_line(trial.settings),
        quality=numbers.quality(trial.quality),
        price=price,
        latency=numbers.between(numbers.seconds, trial.latency_p50_s, trial.bounds.get("latency_p50_s")),
        difference=difference,
        note=note,
    )


def _lead(pair: PairedDifference | None) -> str:
    if pair is None:
        return "-"
    return f"{numbers.difference(pair.difference)} ({reading(pair.difference)})"


def _own(pair: PairedDifference | None) -> str:
    return "the choice" if pair is None else ""


def _separation(one: Separation) -> str:
    other = "the untuned default" if one.other == 0 else f"trial {one.other}"
    if not one.more:
        return f"More samples than there are would hardly be needed to tell it from {other}: look again."
    bill = "" if one.usd is None else f", {numbers.money(one.usd)} at the measured prices"
    return (
        f"To tell it from {other}, a true difference of {one.difference * 100:.1f} points takes about "
        f"{numbers.count(one.samples)} confirm samples for a chance of {numbers.share(one.power)}: "
        f"{numbers.count(one.more)} more{bill}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VarietyLine:
    """How alike the repeated answers of one trial are, and how much they differ in their words."""

    temperature: str
    number: int
    model: str
    consistency: str
    diversity: str
    samples: str


def variety(trials: Sequence[Trial]) -> tuple[VarietyLine, ...]:
    """Consistency and diversity by temperature, coolest first, of trials whose samples were repeated."""
    told = [trial for trial in trials if CONSISTENCY in trial.metrics]
    told.sort(key=lambda t: (t.settings.temperature is None, t.settings.temperature or 0.0, t.number))
    return tuple(
        VarietyLine(
            temperature="not sent" if t.settings.temperature is None else f"{t.settings.temperature:g}",
            number=t.number,
            model=t.settings.model,
            consistency=f"{t.metrics[CONSISTENCY]:.2f}",
            diversity=f"{t.metrics[DIVERSITY]:.2f}" if DIVERSITY in t.metrics else "answers of one word",
            samples=numbers.count(t.samples),
        )
        for t in told[:MOST_LINES]
    )
