"""How the calls of a run went: their time, how they ended, and what was paid for what."""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Paid, Spend
from harness.outputs.endings import ending_lines, time_lines
from harness.outputs.report_parts import lost_words, spend_lines, used_of_cap
from harness.outputs.spend_roles import caps_line, spend_by_role


def test_parts_of_latency_are_those_of_the_finalists(make):
    """Queue, first token and total stand apart; what was not measured is unknown."""
    record = make.record(finalists=(make.trial(2, split="confirm", queue_p50_s=0.02, queue_p95_s=1.5),))
    (line,) = time_lines(record)
    assert (line.number, line.queue_p50.text, line.queue_p95.text) == (2, "20 ms", "1.50 s")
    assert (line.first_p50.text, line.total_p95.text) == ("unknown", "1.20 s")


def test_calls_are_counted_by_how_they_ended(make):
    """Failures by kind, refusals with what the filter stopped, answers cut at the limit; all of it first."""
    ended = {"stop": 80, "length": 10, "content_filter": 4, "timeout": 3, "filtered": 3}
    bad = make.trial(1, endings=ended, failure_rate=0.06, truncation_rate=0.1, unscored_rate=0.02)
    good = make.trial(2, split="confirm", endings={"stop": 100})
    every, first, second = ending_lines(make.record(trials=(bad,), finalists=(good,), recommendation=None))
    assert (every.number, every.calls.text, every.failed.text) == (None, "200", "6 (3%)")
    assert (first.number, first.failed.text) == (2, "0")
    assert (second.failed.text, second.refused.text) == ("6 (6%)", "7 (7%)")
    assert (second.truncated.text, second.unscored.text) == ("10 (10%)", "2 (2%)")
    assert second.kinds == "finished 80, length 10, content filter 4, timeout 3, filtered 3"


def test_calls_of_an_evaluation_are_of_its_own_split(make):
    """On all samples there is no search split, and nothing of both."""
    (only,) = (make.trial(0, split="all", endings={"stop": 60}),)
    every, _ = ending_lines(make.record(verb="eval", trials=(only,), finalists=(), recommendation=None))
    assert every.split == "all"


def test_a_record_of_an_earlier_version_has_no_endings(make):
    """What was not counted is not shown as zero."""
    assert ending_lines(make.record()) == ()


def test_spend_is_told_by_role(make):
    """Answers and judges with what the cache saved of each, all of it, retries and failures."""
    spend = Spend(
        usd=0.3,
        calls=30,
        cached=6,
        failed=2,
        retries=5,
        saved_usd=0.06,
        by_purpose={
            "answer": Paid(usd=0.1, calls=20, cached=6, saved_usd=0.06),
            "judge": Paid(usd=0.2, calls=10),
        },
    )
    lines = spend_by_role(replace(make.record(), spend=spend))
    assert [(line.role, line.usd, line.calls, line.saved) for line in lines] == [
        ("Answers", "$0.10", "20", "$0.06"),
        ("Judges", "$0.20", "10", "$0.00"),
        ("All", "$0.30", "30", "$0.06"),
        ("Sent again after a fault", "", "5", ""),
        ("Given up on", "", "2", ""),
    ]


def test_what_was_lost_with_a_process_is_told(make):
    """Its worst case counts against the caps, so nobody wonders where they went; nothing lost, no line."""
    lost = Spend(usd=0.3, calls=30, cap_usd=1.0, cap_calls=40, lost=Paid(usd=0.5, calls=8))
    record = replace(make.record(), spend=lost)
    (line,) = [line for line in spend_by_role(record) if "died" in line.role]
    assert (line.usd, line.calls) == ("$0.50", "8")
    assert dict(spend_lines(record))["Lost with a process that died"] == "at most $0.50 and 8 calls"
    assert used_of_cap(record) == (0.95, "95% of the cap on calls used")
    assert lost_words(replace(lost, lost=Paid(calls=1))) == "at most 1 call"
    assert lost_words(replace(lost, lost=Paid())) == ""


def test_caps_are_said_in_words(make):
    """Both, one, or none."""
    assert (
        caps_line(make.record(spend=Spend(cap_usd=5.0, cap_calls=1000)))
        == "Capped at $5.00 and 1\u202f000 calls."
    )
    assert caps_line(make.record(spend=Spend())) == "Not capped."
