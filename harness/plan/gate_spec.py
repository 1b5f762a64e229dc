"""What a gate asks, as strict models: a baseline, how much of a drop matters, and floors.

In: plain values of a spec. Out: a `GateSpec`, or pydantic's errors; and a `Gate`, decided. Must not look
anything up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import AfterValidator, Field, WithJsonSchema

from harness.plan.limits import FALSE_HITS, FIGURES
from harness.plan.problems import did_you_mean, shown
from harness.plan.ranges import Strict

if TYPE_CHECKING:
    from harness.plan.spec_reader import SpecReading

QUALITY = "quality"
FLOOR = r"^\s*(?P<figure>[^\s<>=]+)\s*(?P<sign>>=|<=)\s*(?P<bound>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A bound that a figure has to keep for sure, whatever was before."""

    figure: str
    sign: Literal[">=", "<="]
    bound: float

    def __str__(self) -> str:
        return f"{self.figure} {self.sign} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a gate asks. baseline, settings: files; `None`: none is named.

    alpha: chance that it fails what it should not, for all metrics together and for all floors together.
    tolerance: by how much a metric may drop, from 0 to 1. tolerances: metrics that decide, each with its own;
    empty: the quality alone.
    """

    baseline: Path | None = None
    settings: Path | None = None
    alpha: float = 0.05
    tolerance: float = 0.01
    tolerances: Mapping[str, float] = field(default_factory=dict[str, float])
    floors: tuple[Floor, ...] = ()


def read_floor(text: str) -> Floor:
    """The floor that was written down. Raises ValueError for another form."""
    found = re.match(FLOOR, text)
    if found is None:
        raise ValueError(
            f"found {shown(text)}, expected a figure, >= or <=, and a number, as in accuracy >= 0.9 or "
            "latency_p95_s <= 2"
        )
    sign = cast('Literal[">=", "<="]', found["sign"])
    return Floor(figure=found["figure"], sign=sign, bound=float(found["bound"]))


def _floor(text: str) -> str:
    read_floor(text)
    return text


FloorForm = Annotated[
    str,
    AfterValidator(_floor),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[^\s<>=]+\s*(>=|<=)\s*[0-9.eE+-]+\s*$"}),
]
Drop = Annotated[float, Field(ge=0, lt=1)]


class GateSpec(Strict):
    """What `harness gate` asks of the settings: no regression against a baseline, and floors."""

    baseline: str | None = Field(
        default=None, min_length=1, description="The baseline's file, relative to the spec; --baseline wins."
    )
    settings: str | None = Field(
        default=None,
        min_length=1,
        description="File of the settings that are tested, relative to the spec; --settings wins. Left out: "
        "the untuned default.",
    )
    tolerance: Drop = Field(
        default=0.01, description="Drop of a metric that does not matter, from 0: 0.01 is a point."
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="Chance of failing settings that should pass, through noise."
    )
    metrics: dict[str, Drop] = Field(
        default_factory=dict[str, float],
        description="Metrics that may not drop, each with its tolerance: the task's metric (or quality), and "
        "names of scorers. Left out: the quality alone.",
    )
    require: list[FloorForm] = Field(
        default_factory=list[str],
        description="Floors that hold whatever the baseline says, on the bounds of intervals: "
        "accuracy >= 0.9, latency_p95_s <= 2, usd_per_1k_calls <= 1.5.",
    )


def gate_of(spec: GateSpec | None, folder: Path) -> Gate:
    """The gate that was written down; without one, that of the defaults. folder: of the spec."""
    if spec is None:
        return Gate()
    return Gate(
        baseline=None if spec.baseline is None else folder / spec.baseline,
        settings=None if spec.settings is None else folder / spec.settings,
        alpha=spec.alpha,
        tolerance=spec.tolerance,
        tolerances=spec.metrics,
        floors=tuple(read_floor(text) for text in spec.require),
    )


def check_gate(reading: SpecReading, others: Sequence[str]) -> None:
    """Note figures that a gate names and nobody measures. others: scorers beside the first one."""
    spec = None if reading.spec is None else reading.spec.gate
    if spec is None or reading.tasks is None:
        return
    metrics, problems = {task.metric for task in reading.tasks.values()}, reading.problems
    # Of several tasks, only the metric that all of them have is one of the whole.
    scores = [*(metrics if len(metrics) == 1 else ()), QUALITY, *others]
    for place, text in enumerate(spec.require):
        fault = _fault(read_floor(text), scores)
        if fault is not None:
            problems.add(("gate", "require", place), fault)
    for name in spec.metrics:
        if name not in scores:
            problems.add(("gate", "metrics", name), _unknown(name, scores))


def _fault(floor: Floor, scores: Sequence[str]) -> str | None:
    figures = [name for name in FIGURES if name != FALSE_HITS]  # of models that write
    if floor.figure in figures:
        return None if floor.sign == "<=" else f"found {floor}, but less of it is better; write <="
    if floor.figure in scores:
        if floor.sign == ">=" and floor.bound > 1:
            return f"found {floor}, but {floor.figure} goes from 0 to 1; write a share, as in 0.9"
        return None
    return _unknown(floor.figure, [*scores, *figures])


def _unknown(name: str, known: Sequence[str]) -> str:
    names = list(dict.fromkeys(known))
    close = did_you_mean(name, names)
    hint = f"; did you mean {close!r}?" if close else ""
    return f"found {shown(name)}, expected one of {', '.join(names)}{hint}"
