"""Where figures stand in a picture: scales, ticks, and places for labels. Geometry only.

In: figures and the room that there is, in units of the picture. Out: places, and ticks with their values. y
grows downwards, as in SVG. Must not know what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# From this ratio of largest to smallest on, a linear axis would press the small ones into one point.
LOGARITHMIC_FROM = 20.0
NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Scale:
    """Figures from `low` to `high` on the line from `start` to `end`. log: equal ratios, equal distances."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where this figure stands, to a tenth of a unit; figures beyond the ends stand at the ends."""
        low, high, value = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        part = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Round figures between the ends, smallest first: about as many as `most`, or fewer."""
        return self._log_ticks(most) if self.log else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[float]:
        rough = (self.high - self.low) / max(1, most)
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * nice for nice in NICE_STEPS if unit * nice >= rough * (1 - ROUNDING))
        first, last = math.ceil(self.low / step - ROUNDING), math.floor(self.high / step + ROUNDING)
        return [round(place * step, 12) for place in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            every = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
            inside = [
                tick for tick in every if self.low * (1 - ROUNDING) <= tick <= self.high * (1 + ROUNDING)
            ]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]


def scale(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    zero: bool = False,
    log: bool = False,
    room: float = 0.05,
) -> Scale:
    """A scale that holds all these figures, with some room beside them.

    zero: it begins at 0, with figures from 0 up. log: logarithmic where the figures are above 0 and far
    apart. room: beyond the outermost figures, as a part of their distance. Without figures, 0 to 1.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log and low > 0 and high / low >= LOGARITHMIC_FROM:
        wider = (high / low) ** room
        return Scale(low / wider, high * wider, start, end, log=True)
    if zero:
        return Scale(0.0, high * (1 + room) or 1.0, start, end)
    beside = (high - low) * room or 0.05
    return Scale(low - beside, high + beside, start, end)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the picture that something covers."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they share any room."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(slots=True)
class Labels:
    """Finds room for short texts beside points, so that none covers another or a point."""

    within: Box
    taken: list[Box] = field(default_factory=list[Box])

    def mark(self, x: float, y: float, radius: float) -> None:
        """A point is drawn here."""
        self.taken.append(Box(x - radius, y - radius, x + radius, y + radius))

    def place(
        self, x: float, y: float, *, width: float, height: float, gap: float
    ) -> tuple[float, float] | None:
        """Where the middle of a text of this size may stand beside a point; `None`: there is no room."""
        aside, above = gap + width / 2, gap + height / 2
        spots = (
            (aside, 0.0),
            (-aside, 0.0),
            (aside, -above),
            (-aside, -above),
            (aside, above),
            (-aside, above),
        )
        for right, down in spots:
            middle = (x + right, y + down)
            box = _around(middle, width, height)
            if self._inside(box) and not any(box.meets(other) for other in self.taken):
                self.taken.append(box)
                return (round(middle[0], 1), round(middle[1], 1))
        return None

    def _inside(self, box: Box) -> bool:
        room = self.within
        return (
            room.left <= box.left
            and box.right <= room.right
            and room.top <= box.top
            and box.bottom <= room.bottom
        )


def _around(middle: tuple[float, float], width: float, height: float) -> Box:
    x, y = middle
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def steps(points: Iterable[tuple[float, float]]) -> str:
    """A line through these places from left to right that goes on level and then straight up or down.

    It is the edge of what a front beats: between two trials of it, nobody does better than the cheaper one.
    """
    path = ""
    for x, y in sorted(points):
        path += f"H{x}V{y}" if path else f"M{x} {y}"
    return path
