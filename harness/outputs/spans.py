"""Intervals as small pictures beside their figures, all of one column on one scale.

In: estimates. Out: places on a line of `WIDTH` units. Must not compute a figure or write markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.outputs.axes import scale
from harness.records import Estimate

WIDTH = 120.0
MARGIN = 4.0


@dataclass(frozen=True, slots=True)
class Span:
    """An interval on the line. zero: where no difference would stand; `None` for other figures."""

    low: float
    value: float
    high: float
    zero: float | None


def spans(estimates: Sequence[Estimate | None], *, differences: bool = False) -> tuple[Span | None, ...]:
    """The place of each estimate, `None` for an unknown one. differences: of figures, around zero."""
    known = [one for one in estimates if one is not None]
    ends = [end for one in known for end in (one.low, one.high)] + ([0.0] if differences else [])
    if not known:
        return (None,) * len(estimates)
    line = scale(ends, MARGIN, WIDTH - MARGIN)
    zero = line.at(0.0) if differences else None
    return tuple(
        None if one is None else Span(line.at(one.low), line.at(one.value), line.at(one.high), zero)
        for one in estimates
    )
