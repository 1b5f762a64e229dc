"""How long a simulated answer takes: distributions as functions of one even draw.

In: a draw from 0 to 1. Out: seconds. Where the draw comes from is not known here, so that the same
request takes the same time in every process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

from harness.errors import UsageError

Delay: TypeAlias = Callable[[float], float]
_NORMAL = NormalDist()
FORMS = "SECONDS, constant:SECONDS, uniform:LOW:HIGH, lognormal:MEDIAN:SIGMA, world or world:FACTOR"


@dataclass(frozen=True, slots=True)
class Timing:
    """When answers come. delay: of every answer, `None`: at once.

    pace: factor on the latency that the simulated world itself gives to an answer, which then counts in
    place of `delay`; 0: the world's latency is not used.
    """

    delay: Delay | None = None
    pace: float = 0.0


def constant(seconds: float) -> Delay:
    """Always as many seconds."""
    _check(seconds >= 0, f"constant:{seconds:g}", "zero or more seconds")
    return lambda _draw: seconds


def uniform(low_s: float, high_s: float) -> Delay:
    """Evenly spread between two numbers of seconds."""
    _check(0 <= low_s <= high_s, f"uniform:{low_s:g}:{high_s:g}", "0 <= LOW <= HIGH in seconds")
    return lambda draw: low_s + (high_s - low_s) * draw


def lognormal(median_s: float, sigma: float) -> Delay:
    """Log-normal with this median in seconds; sigma: standard deviation of its logarithm."""
    _check(median_s > 0 <= sigma, f"lognormal:{median_s:g}:{sigma:g}", "MEDIAN above 0 and SIGMA from 0")
    # The quantile of 0 is infinitely far away.
    return lambda draw: median_s * math.exp(sigma * _NORMAL.inv_cdf(min(max(draw, 1e-12), 1 - 1e-12)))


def parse_timing(text: str) -> Timing:
    """The timing of a text, as in "0.05" or "lognormal:0.05:0.4".

    Raises UsageError with the forms there are.
    """
    name, *numbers = text.strip().split(":")
    if not numbers and re.fullmatch(r"\d+(\.\d+)?|\.\d+", name):
        name, numbers = "constant", [name]
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = [math.nan]
    if all(map(math.isfinite, values)):
        match name, values:
            case "constant", [seconds]:
                return Timing(delay=constant(seconds))
            case "uniform", [low_s, high_s]:
                return Timing(delay=uniform(low_s, high_s))
            case "lognormal", [median_s, sigma]:
                return Timing(delay=lognormal(median_s, sigma))
            case "world", []:
                return Timing(pace=1.0)
            case "world", [factor] if factor > 0:
                return Timing(pace=factor)
            case _:
                pass
    raise UsageError(f"latency is {text!r}, expected {FORMS}")


def _check(right: bool, found: str, expected: str) -> None:
    if not right:
        raise UsageError(f"latency is {found}, expected {expected}")
