"""How long simulated answers take."""

from __future__ import annotations

import math
from statistics import fmean, median, stdev

import pytest

from harness.errors import UsageError
from harness.testing.delays import Timing, parse_timing

EVEN = [(step + 0.5) / 10_000 for step in range(10_000)]


def times(text: str) -> list[float]:
    """Seconds over an even spread of draws."""
    delay = parse_timing(text).delay
    assert delay is not None
    return [delay(draw) for draw in EVEN]


@pytest.mark.parametrize("text", ["0.05", ".05", "constant:0.05"])
def test_constant(text: str) -> None:
    """A number alone is a constant."""
    assert set(times(text)) == {0.05}


def test_uniform() -> None:
    """Between both ends, with the mean in the middle."""
    found = times("uniform:0.2:0.6")
    assert min(found) >= 0.2
    assert max(found) <= 0.6
    assert fmean(found) == pytest.approx(0.4)


def test_lognormal() -> None:
    """The logarithms are normal around the median's, with this sigma; the ends are finite."""
    found = times("lognormal:0.1:0.5")
    assert median(found) == pytest.approx(0.1)
    assert stdev(map(math.log, found)) == pytest.approx(0.5, rel=0.01)
    delay = parse_timing("lognormal:0.1:0.5").delay
    assert delay is not None
    assert 0 < delay(0.0) < delay(1.0) < math.inf


def test_the_worlds_own() -> None:
    """A world's latency may be taken as it is, or faster."""
    assert parse_timing("world") == Timing(pace=1.0)
    assert parse_timing("world:0.1") == Timing(pace=0.1)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "fast",
            "-1",
            "nan",
            "inf",
            "constant",
            "constant:-1",
            "constant:x",
            "uniform:2:1",
            "uniform:1",
        ),
        *("world:0", "lognormal:0:1", "lognormal:1:-1"),
    ],
)
def test_no_form_of_a_latency(text: str) -> None:
    """The message names the text and says what is expected."""
    with pytest.raises(UsageError, match=r"latency is .*expected"):
        parse_timing(text)
