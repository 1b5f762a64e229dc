"""Does the cap hold? Random runs by several processes on one store, against the provider's own bill.

Some ten minutes for 1,000 runs; --runs for fewer. Writes docs/benchmarks/cap.md when all were carried out.
Ends with 1 when a run went over its cap, or left too much of it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _caps import FAULTS, PROCESSES, UNSPENT, Verdict, carry_out, random_run
from _page import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "cap.md"
RUNS = 1000
EVERY = 100  # runs between two lines of progress
HEAD = """\
# The cap, against the provider's own bill

Written by `benchmarks/cap.py`; every figure here was measured by it, so do not edit.

{runs:,} random runs: prices from 0.01 to 100 USD per million input tokens, caps from a twentieth of the bill
that the work would bring to a third more than it, 1 to 64 calls in flight, 0 to 4 retries, a fifth of the
calls by a judge, half of the calls with a schema of up to 40 fields, a third with tools, some with caps on
calls or tokens too; 1, 2 or {processes} processes (most: {processes})
that share a store, a run and some of the questions. {faulty:,} runs met a provider that fails
(`{faults}`)
and charges for answers that never came; its bill, kept on its side, is the truth.

"""
FOOT = """
"Unspent" is what was left of the cap that stopped the run, as a share of it. For runs with faults it is
counted by our ledger, which books an answer that may have been charged at its worst case: what such answers
truly cost is known to nobody but the provider. "Beyond one call" takes one call's worst case off.

`.venv/bin/python benchmarks/cap.py` repeats it; `--runs 50` is quick, `--seed` draws others.
"""


def main() -> None:
    """Carry out the runs, print and perhaps write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, help=f"how many; default: {RUNS:,}, which writes the page")
    parser.add_argument("--page", type=Path, help="page to write; default: docs/benchmarks/cap.md, or none")
    parser.add_argument("--seed", type=int, default=20, help="of everything that is random")
    options = parser.parse_args()
    count, began, verdicts = options.runs or RUNS, time.monotonic(), list[Verdict]()
    runs = (random_run(f"run{number}", options.seed) for number in range(count))
    for verdict in carry_out(runs):
        verdicts.append(verdict)
        for wrong in verdict.wrong:
            print(f"{verdict.run.name}: {wrong}", flush=True)
        if len(verdicts) % EVERY == 0:
            print(f"{len(verdicts)} runs in {time.monotonic() - began:.0f} s", flush=True)
    text = page(verdicts, time.monotonic() - began)
    print("\n" + text)
    target = options.page or (PAGE if options.runs is None else None)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")
    sys.exit(any(verdict.wrong for verdict in verdicts))


def page(verdicts: Sequence[Verdict], took_s: float) -> str:
    """What was found, in Markdown."""
    faulty = [verdict for verdict in verdicts if verdict.run.faulty]
    calm = [verdict for verdict in verdicts if not verdict.run.faulty]
    head = HEAD.format(runs=len(verdicts), processes=PROCESSES, faulty=len(faulty), faults=FAULTS)
    columns = ("", "without faults", "with faults", "all")
    groups = (calm, faulty, verdicts)
    rows = [(what, *(figure(group) for group in groups)) for what, figure in ROWS]
    processes = Counter(len(verdict.run.calls) for verdict in verdicts)
    told = ", ".join(f"{count:,} of {number}" for number, count in sorted(processes.items()))
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    where = f"\nRuns by number of processes: {told}. {took_s:.0f} s on {os.cpu_count()} cores, {when}.\n"
    return head + table(columns, rows) + where + FOOT


def _number(count: int) -> str:
    return f"{count:,}"


def _most(shares: Sequence[float]) -> str:
    return f"{max(shares):.1%}" if shares else "-"


def _used(verdicts: Sequence[Verdict]) -> str:
    shares = [verdict.bill.usd / verdict.run.caps["usd"] for verdict in verdicts]
    return f"{max(shares):.2%}" if shares else "-"


def _middle(verdicts: Sequence[Verdict]) -> str:
    shares = [verdict.unspent for verdict in verdicts if verdict.unspent is not None]
    return f"{median(shares):.1%}" if shares else "-"


ROWS = (
    ("runs", lambda group: _number(len(group))),
    ("calls answered", lambda group: _number(sum(verdict.answered for verdict in group))),
    ("requests charged by the provider", lambda group: _number(sum(int(v.bill.calls) for v in group))),
    ("**runs billed above a cap**", lambda group: _number(sum("above" in " ".join(v.wrong) for v in group))),
    ("greatest bill, as a share of its cap", _used),
    ("runs that the cap stopped", lambda group: _number(sum(v.remained > 0 for v in group))),
    ("unspent when work remained, median", _middle),
    (
        f"greatest unspent beyond one call (asked: < {UNSPENT:.0%})",
        lambda group: _most([max(0.0, v.left) for v in group if v.left is not None]),
    ),
    ("runs with anything wrong", lambda group: _number(sum(bool(v.wrong) for v in group))),
)


if __name__ == "__main__":
    main()
