"""What a run paid and for what, as text in its final wording: a table by the role of the calls.

In: a run record. Out: plain records for the templates. Must not write markup, or compute a figure.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.findings import Paid, RunRecord
from harness.outputs import numbers
from harness.outputs.report_parts import CLASSLESS, PURPOSES, UNANSWERED, paid_parts
from harness.records import MODEL_CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLine:
    """What the calls of one role cost; empty where there is nothing to say. part: of the line above it."""

    role: str
    usd: str
    calls: str
    tokens: str
    cached: str = ""
    saved: str = ""
    part: bool = False


def spend_by_role(record: RunRecord) -> tuple[RoleLine, ...]:
    """Answers, judges and embeddings, all of it, and what was sent again or given up on."""
    spend = record.spend
    every = Paid(
        usd=spend.usd,
        calls=spend.calls,
        input_tokens=spend.input_tokens,
        output_tokens=spend.output_tokens,
        cached=spend.cached,
        saved_usd=spend.saved_usd,
    )
    parts = paid_parts(record)
    return (
        *(_line(PURPOSES[purpose].capitalize(), paid) for purpose, paid in sorted(spend.by_purpose.items())),
        _line("All", every),
        *(_part(name, paid) for name, paid in parts.items() if len(parts) > 1),
        RoleLine(role="Sent again after a fault", usd="", calls=numbers.count(spend.retries), tokens=""),
        RoleLine(role="Given up on", usd="", calls=numbers.count(spend.failed), tokens=""),
        *_lost(spend.lost),
    )


def _lost(paid: Paid) -> tuple[RoleLine, ...]:
    usd, calls = numbers.money(paid.usd), numbers.count(paid.calls)
    role = "Under way when a process died, at most"
    return (RoleLine(role=role, usd=usd, calls=calls, tokens=""),) if paid.usd > 0 or paid.calls else ()


def caps_line(record: RunRecord) -> str:
    """The caps of the run in words."""
    spend = record.spend
    caps = [] if spend.cap_usd is None else [numbers.money(spend.cap_usd)]
    caps += [] if spend.cap_calls is None else [numbers.counted(spend.cap_calls, "call")]
    return f"Capped at {' and '.join(caps)}." if caps else "Not capped."


def _part(name: str, paid: Paid) -> RoleLine:
    words = f"class {name}" if name in (*MODEL_CLASSES, CLASSLESS) else name
    words = "billed without an answer" if name == UNANSWERED else words
    return RoleLine(
        role=f"of it, {words}",
        usd=numbers.money(paid.usd),
        calls=numbers.count(paid.calls),
        tokens=_tokens(paid),
        part=True,
    )


def _line(role: str, paid: Paid) -> RoleLine:
    return RoleLine(
        role=role,
        usd=numbers.money(paid.usd),
        calls=numbers.count(paid.calls),
        tokens=_tokens(paid),
        cached=numbers.count(paid.cached),
        saved=numbers.money(paid.saved_usd),
    )


def _tokens(paid: Paid) -> str:
    return f"{numbers.count(paid.input_tokens)} / {numbers.count(paid.output_tokens)}"
