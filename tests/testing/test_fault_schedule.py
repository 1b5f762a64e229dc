"""Faults over HTTP by schedule: shares, options, and the same fate everywhere."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.errors import UsageError
from harness.testing.faults import KINDS, WRONG_RETRY_AFTER, Fault, FaultSchedule, Moment, parse_faults

TEXT = "429:0.2, 500:0.1, reset:0.05, badjson:0.05, hang:0.02, retry-after-wrong:0.5, retry-after-s:0.25"


def moments(count: int, attempt: int = 1) -> list[Moment]:
    """As many different bodies."""
    return [Moment(f"{number:064x}", attempt, number) for number in range(1, count + 1)]


def test_the_text_form_says_what_the_python_form_says() -> None:
    """Both build the same schedule."""
    shares = {"429": 0.2, "500": 0.1, "reset": 0.05, "badjson": 0.05, "hang": 0.02}
    python = FaultSchedule(shares=shares, seed=3, retry_after_wrong=0.5, retry_after_s=0.25)
    assert parse_faults(TEXT, seed=3) == python
    assert parse_faults("slow:1,slow-s:3,attempts:2,by:count,retry-after:0") == FaultSchedule(
        shares={"slow": 1.0}, slow_s=3.0, attempts=2, by="count", retry_after=0.0
    )
    assert parse_faults("") == FaultSchedule(shares={})


def test_shares_are_kept() -> None:
    """Of 20,000 requests each fault meets its share, within four standard errors."""
    schedule = parse_faults(TEXT, seed=1)
    met = [fault for fault in map(schedule, moments(20_000)) if fault]
    counts = Counter(fault.kind for fault in met)
    for kind, share in schedule.shares.items():
        assert counts[kind] == pytest.approx(20_000 * share, abs=4 * (20_000 * share) ** 0.5)
    limited = [fault for fault in met if fault.kind == "429"]
    wrong = [fault for fault in limited if fault.retry_after_wrong is not None]
    assert len(wrong) / len(limited) == pytest.approx(0.5, abs=0.05)
    assert {fault.retry_after_wrong for fault in wrong} == set(WRONG_RETRY_AFTER)
    assert {fault.retry_after_s for fault in limited} == {None, 0.25}


def test_a_fate_depends_on_seed_body_and_attempt_alone() -> None:
    """The same request meets the same fault in any order; another seed or attempt draws anew."""
    schedule = parse_faults(TEXT, seed=1)
    there, back = moments(500), moments(500)[::-1]
    assert [schedule(m) for m in there] == [schedule(m) for m in back][::-1]
    assert [schedule(m) for m in there] != [parse_faults(TEXT, seed=2)(m) for m in there]
    assert [schedule(m) for m in there] != [schedule(m) for m in moments(500, attempt=2)]


def test_by_count_looks_at_the_number_alone() -> None:
    """A schedule by count gives the n-th request its fault, whatever is in it."""
    schedule = parse_faults("500:0.5,by:count")
    assert [schedule(Moment("a", 1, n)) for n in range(50)] == [
        schedule(Moment("b", 2, n)) for n in range(50)
    ]


def test_after_enough_attempts_all_goes_well() -> None:
    """`attempts` bounds how often one body can fail."""
    schedule = FaultSchedule(shares={"500": 1.0}, attempts=2)
    assert [schedule(Moment("a", attempt, 9)) for attempt in (1, 2, 3)] == [Fault("500"), Fault("500"), None]


@pytest.mark.parametrize(
    ("fault", "headers"),
    [
        (Fault("429"), b""),
        (Fault("429", retry_after_s=2), b"retry-after: 2\r\n"),
        (Fault("429", retry_after_s=0.25), b"retry-after-ms: 250\r\nretry-after: 1\r\n"),
        (Fault("429", retry_after_wrong="soon"), b"retry-after: soon\r\n"),
    ],
)
def test_how_to_ask_to_wait(fault: Fault, headers: bytes) -> None:
    """Whole seconds, milliseconds where seconds cannot say it, something useless, or nothing."""
    assert fault.retry_after_headers() == headers


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("529x:0.1", "did you mean '529'"),
        ("hangs:0.1", "did you mean 'hang'"),
        ("429", "429"),
        ("429:0.1,429:0.2", "once"),
        ("slow-s:1,slow-s:2", "once"),
        ("429:much", "much"),
        ("429:nan", "nan"),
        ("429:1.5", "from 0 to 1"),
        ("429:0.6,500:0.6", "1.2"),
        ("by:day", "body or count"),
        ("429:0.1,retry-after-s:-1", "negative"),
    ],
)
def test_a_text_that_makes_no_sense(text: str, named: str) -> None:
    """The message names what was found and what there is."""
    with pytest.raises(UsageError, match=named.replace("'", ".")):
        parse_faults(text)


def test_a_kind_that_does_not_exist() -> None:
    """The Python form refuses as the text form does."""
    with pytest.raises(UsageError, match="expected one of 429"):
        FaultSchedule(shares={"boom": 0.1})  # type: ignore[dict-item] - it is wrong on purpose
    assert len(set(KINDS)) == len(KINDS)
