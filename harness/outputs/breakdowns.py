"""What stands behind a quality, as text in its final wording: by task, slice, label and scorer.

In: a run record. Out: plain records of strings for the templates, and JSON. Must not write markup or compute
a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from harness.cards import TaskCard
from harness.findings import Breakdown, LabelFigures, RunRecord, Slice, Trial
from harness.insights import Unscored
from harness.outputs import numbers
from harness.outputs.report_parts import Cell
from harness.records import Estimate, JsonValue

MOST_CONFUSED = 3
NO_LABEL = "no label"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLine:
    """One of several tasks. weight: its share of the quality."""

    name: str
    weight: Cell
    samples: Cell
    metric: str
    quality: Cell
    default: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceLine:
    """One slice. reading: where its interval lies, against the quality of all samples."""

    field: str
    value: str
    samples: Cell
    quality: Cell
    reading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLine:
    """One label. confused: what its targets were given instead, most first."""

    label: str
    targets: Cell
    given: Cell
    precision: Cell
    recall: Cell
    confused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownData:
    """Everything that the templates show of one trial. title: whose it is, in words. level: of intervals."""

    title: str
    level: str
    tasks: tuple[TaskLine, ...]
    slices: tuple[SliceLine, ...]
    labels: tuple[LabelLine, ...]


def shown_breakdown(record: RunRecord) -> Breakdown | None:
    """That of the recommended trial, or of the only one; without a choice, of the first finalist."""
    choice = record.recommendation
    number = None if choice is None else choice.trial.number
    chosen = (one for one in record.breakdowns if number is None or one.trial == number)
    return next(chosen, None)


def breakdown_data(record: RunRecord) -> BreakdownData | None:
    """The tables in words; `None` when there is nothing to break down."""
    found = shown_breakdown(record)
    if found is None or not (found.slices or found.labels or record.tasks):
        return None
    measured = (*record.finalists, *record.trials)
    trial = next(one for one in measured if (one.number, one.split) == (found.trial, found.split))
    level = "" if trial.quality is None else numbers.share(trial.quality.level)
    splits = "all samples" if found.split == "all" else f"the {found.split} split"
    return BreakdownData(
        title=f"trial {found.trial} on {splits}",
        level=level,
        tasks=tuple(_task(card, trial, _default(record, trial)) for card in record.tasks),
        slices=tuple(_slice(one, trial) for one in found.slices),
        labels=tuple(_label(one) for one in found.labels),
    )


def scorer_lines(record: RunRecord, trial: Trial) -> tuple[tuple[str, str], ...]:
    """The mean of each further scorer with its interval, as names and texts."""
    found = _breakdown(record, trial)
    lines = {name: f"{value:.2f}" for name, value in trial.metrics.items()}
    if found is not None:
        lines |= {name: numbers.quality(estimate) for name, estimate in found.scorers.items()}
        for one in found.unscored:
            if not one.decides:
                lines[one.scorer] = f"{lines.get(one.scorer, numbers.NOT_MEASURED)}, {_unscored(one)}"
    return tuple((f"Mean of {name}", text) for name, text in lines.items())


def silence(record: RunRecord, trial: Trial) -> str:
    """Why answers have no quality, behind their share; nothing where all have one."""
    found = _breakdown(record, trial)
    firsts = () if found is None else (one for one in found.unscored if one.decides)
    return "".join(f"; {_reasons(one)}" for one in firsts)


def _unscored(one: Unscored) -> str:
    share = f"{numbers.count(one.answers)} of {numbers.counted(one.of, 'answer')} unscored"
    return f"{share} ({_reasons(one)})"


def _reasons(one: Unscored) -> str:
    """Why, most frequent first; the reasons quote models and other people's code."""
    told = (
        f"{numbers.count(n)} x {numbers.clipped(why or 'no reason', 80)}" for why, n in one.reasons.items()
    )
    return ", ".join(told)


def silent_lines(record: RunRecord, trial: Trial) -> tuple[str, ...]:
    """What each scorer could not judge, and why."""
    found = _breakdown(record, trial)
    return () if found is None else tuple(f"{one.scorer}, {_unscored(one)}" for one in found.unscored)


def _breakdown(record: RunRecord, trial: Trial) -> Breakdown | None:
    known = (one for one in record.breakdowns if (one.trial, one.split) == (trial.number, trial.split))
    return next(known, None)


def breakdown_document(record: RunRecord) -> dict[str, JsonValue]:
    """Slices and labels of the trial shown, JSON-like; what there is none of is absent."""
    found = shown_breakdown(record)
    if found is None:
        return {}
    slices: list[JsonValue] = [asdict(one) for one in found.slices]
    labels: list[JsonValue] = [asdict(one) for one in found.labels]
    tables: dict[str, JsonValue] = {"slices": slices, "labels": labels}
    return {name: table for name, table in tables.items() if table}


def _default(record: RunRecord, trial: Trial) -> Trial | None:
    """The untuned default on the split of this trial, where it is another one."""
    known = (one for one in (*record.finalists, *record.trials) if one.split == trial.split)
    return next((one for one in known if one.number == 0 and one.number != trial.number), None)


def _task(card: TaskCard, trial: Trial, default: Trial | None) -> TaskLine:
    found = trial.by_task.get(card.name)
    n = 0 if found is None else found.n
    return TaskLine(
        name=card.name,
        weight=Cell(text=numbers.share(card.weight), order=card.weight),
        samples=Cell(text=numbers.count(n), order=n),
        metric=card.metric,
        quality=_cell(found),
        default=_cell(None if default is None else default.by_task.get(card.name)),
    )


def _slice(one: Slice, trial: Trial) -> SliceLine:
    return SliceLine(
        field=one.field,
        value=numbers.ends(one.value),
        samples=Cell(text=numbers.count(one.samples), order=one.samples),
        quality=_cell(one.quality),
        reading="; ".join(_read(one, trial)),
    )


def _read(one: Slice, trial: Trial) -> list[str]:
    """Where the slice lies, and of a cache its false hits: all there is of different pairs alone."""
    false = one.false_hits
    lies = [_reading(one.quality, trial.quality)] if one.quality is not None or false is None else []
    if false is None:
        return lies
    hits = numbers.count(round(false.value * false.n))
    most = f"at most {numbers.most(false.high)}"
    return [*lies, f"{hits} of {numbers.count(false.n)} different texts hit, {most}"]


def _reading(part: Estimate | None, whole: Estimate | None) -> str:
    if part is None or whole is None:
        return "too few samples"
    if part.high < whole.value:
        return "below the whole"
    return "above the whole" if part.low > whole.value else "no clear difference"


def _label(one: LabelFigures) -> LabelLine:
    return LabelLine(
        label=one.label,
        targets=Cell(text=numbers.count(one.targets), order=one.targets),
        given=Cell(text=numbers.count(one.given), order=one.given),
        precision=_cell(one.precision),
        recall=_cell(one.recall),
        confused=_confused(one.label, one.confused),
    )


def _confused(label: str, counts: Mapping[str, int]) -> str:
    wrong = [(name or NO_LABEL, count) for name, count in counts.items() if name != label]
    shown = [f"{numbers.clipped(name, 40)} {numbers.count(count)}" for name, count in wrong[:MOST_CONFUSED]]
    return ", ".join([*shown, *(["..."] if len(wrong) > MOST_CONFUSED else [])])


def _cell(estimate: Estimate | None) -> Cell:
    text = numbers.quality_short(estimate)
    return Cell(text=text, order=None if estimate is None else estimate.value)
