"""How the calls of a run went, as text in its final wording: their time, and how they ended.

In: a run record. Out: plain records for the templates. Must not write markup, or compute a figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness.findings import RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.report_parts import Cell
from harness.records import FailureKind

Rate = Literal["failure_rate", "unscored_rate", "truncation_rate"]
MOST_LINES = 24
FAILED: tuple[str, ...] = get_args(FailureKind)
# What providers call an answer that their own filter or model refused to give.
REFUSED = ("content_filter", "refusal", "safety", "SAFETY", "filtered")
CUT = ("length", "max_tokens", "MAX_TOKENS")
COUNTED: Mapping[str, str] = {
    "count_as_wrong": "what failed counts as wrong",
    "leave_out": "what failed or is unscored is left out of the quality",
}
WORDS: Mapping[str, str] = {"": "no reason told", "stop": "finished"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLine:
    """Where the time of one trial's calls went."""

    number: int
    split: str
    model: str
    queue_p50: Cell
    queue_p95: Cell
    first_p50: Cell
    first_p95: Cell
    total_p50: Cell
    total_p95: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingLine:
    """How the calls of one trial ended. number: `None`: of all trials together."""

    number: int | None
    split: str
    model: str
    calls: Cell
    failed: Cell
    refused: Cell
    truncated: Cell
    unscored: Cell
    kinds: str


def time_lines(record: RunRecord) -> tuple[TimeLine, ...]:
    """Of the finalists, else of the trials that saw most: where the time of their calls went."""
    return tuple(
        TimeLine(
            number=trial.number,
            split=trial.split,
            model=trial.settings.model,
            queue_p50=_seconds(trial.queue_p50_s),
            queue_p95=_seconds(trial.queue_p95_s),
            first_p50=_seconds(trial.first_token_p50_s),
            first_p95=_seconds(trial.first_token_p95_s),
            total_p50=_seconds(trial.latency_p50_s),
            total_p95=_seconds(trial.latency_p95_s),
        )
        for trial in timed(record)
    )


def timed(record: RunRecord) -> Sequence[Trial]:
    """The finalists, else the trials that saw most, whose calls were timed."""
    return [trial for trial in _shown(record) if trial.latency_p50_s is not None]


def ending_lines(record: RunRecord) -> tuple[EndingLine, ...]:
    """All calls together first, then the finalists', then trials of the search that lost most answers."""
    every = [trial for trial in (*record.trials, *record.finalists) if trial.endings]
    if not every:
        return ()
    shown = [trial for trial in _shown(record) if trial.endings]
    troubled = [t for t in record.trials if t.endings and t not in shown and _trouble(t) > 0]
    troubled.sort(key=lambda trial: (-_trouble(trial), trial.number))
    together: dict[str, int] = {}
    for trial in every:
        for kind, count in trial.endings.items():
            together[kind] = together.get(kind, 0) + count
    unscored = sum(trial.unscored_rate * sum(trial.endings.values()) for trial in every)
    splits = list(dict.fromkeys(trial.split for trial in every))
    where = splits[0] if len(splits) == 1 else "both"
    whole = _ending(None, where, "all models", together, round(unscored))
    return (whole, *(_of_trial(trial) for trial in [*shown, *troubled][:MOST_LINES]))


def _of_trial(trial: Trial) -> EndingLine:
    calls = sum(trial.endings.values())
    unscored = round(trial.unscored_rate * calls)
    return _ending(trial.number, trial.split, trial.settings.model, trial.endings, unscored)


def _ending(
    number: int | None, split: str, model: str, endings: Mapping[str, int], unscored: int
) -> EndingLine:
    calls = sum(endings.values())
    lost = [kind for kind in endings if kind in FAILED]
    return EndingLine(
        number=number,
        split=split,
        model=model,
        calls=Cell(text=numbers.count(calls), order=calls),
        failed=_part(endings, lost, calls),
        refused=_part(endings, REFUSED, calls),
        truncated=_part(endings, CUT, calls),
        unscored=_count(unscored, calls),
        kinds=", ".join(f"{_word(kind)} {numbers.count(count)}" for kind, count in endings.items()),
    )


def _part(endings: Mapping[str, int], kinds: Iterable[str], calls: int) -> Cell:
    return _count(sum(endings.get(kind, 0) for kind in kinds), calls)


def _count(some: int, calls: int) -> Cell:
    part = some / calls if calls else 0.0
    return Cell(text=f"{numbers.count(some)} ({numbers.share(part)})" if some else "0", order=part)


def _word(kind: str) -> str:
    return WORDS.get(kind, numbers.clipped(kind.replace("_", " "), 40))


def _shown(record: RunRecord) -> Sequence[Trial]:
    return record.finalists or sorted(record.trials, key=lambda t: (-t.samples, t.number))[:MOST_LINES]


def _trouble(trial: Trial) -> float:
    return trial.failure_rate + trial.unscored_rate + trial.truncation_rate


def _seconds(duration: float | None) -> Cell:
    return Cell(text=numbers.seconds(duration), order=duration)


def rate(trial: Trial, name: Rate) -> str:
    """A share of the calls with its bounds, as in "0% [0%, 2.5%]"."""
    return numbers.between(numbers.share, getattr(trial, name), trial.bounds.get(name))


def rates_line(trial: Trial, failures: str | None) -> str:
    """Shares of calls without an answer that counts in full, and of inputs that were cut down, in words.

    failures: the spec's line on what failed, which is told where something did; `None`: not known here.
    """
    cut = trial.input_truncation_rate
    lost = trial.failure_rate + trial.unscored_rate > 0
    return (
        f"{rate(trial, 'failure_rate')} failed, {rate(trial, 'unscored_rate')} unscored, "
        f"{rate(trial, 'truncation_rate')} truncated"
        f"{'' if cut is None else f', {numbers.share(cut)} of inputs cut down'}"
        f"{f'; {COUNTED[failures]}' if lost and failures else ''}"
    )
