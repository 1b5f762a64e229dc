"""Runs killed with SIGKILL at random moments and resumed until done: what is lost, and what is paid twice.

Every answer that had gone out a window (100 ms) before a kill must never be asked for again; whatever a killed
process had been told must stand in its store; the store must pass `PRAGMA integrity_check` after every kill;
no cap may be crossed, however often a run is killed; and the run must end as one that nobody disturbed. Writes
docs/benchmarks/kill.md when all runs were carried out, in some four minutes. Ends with 1 when any of this is
broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from _kills import MOST_KILLS, Finding, asking, capped, carry_out, tuning
from _page import table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "kill.md"
RUNS = 100
SEARCHES = 20
CALLS = 300
CAP = 150
WINDOW_S = 0.1
HEAD = f"""\
# Killed and resumed: what is lost, what is paid twice

Written by `benchmarks/kill.py`; every figure here was measured by it, so do not edit.

Processes are ended with SIGKILL at random moments, one to {MOST_KILLS} times a run, and started again until
the run is done. The provider answers after 5 to 10 ms and notes when each answer had gone out in full.
"calls": {CALLS} calls through the engine, 8 in flight. "capped": the same under a cap of {CAP} calls. "searches": a whole `harness tune` of 8 trials, resumed
with `--resume latest`.

"""
FOOT = f"""
"Asked in vain" are requests beyond one for each answer: those in flight when the process died, and those
whose answers had gone out but were not on disk yet. A fault would be: an answer that had gone out more than
{WINDOW_S * 1000:.0f} ms before the kill and was asked for again (time that the process waited for a processor is not
counted, since others use this machine too); a call asked twice by one process; an outcome that the process had
been told and that its store does not hold; a `PRAGMA integrity_check` other than "ok", made after every kill
on a copy; more requests than the cap allows; a result or a bill other than that of an undisturbed run (of a
capped one: another number of outcomes, for what was under way at a kill counts against the cap).

`.venv/bin/python benchmarks/kill.py` repeats it; `--runs 10` is quick, `--seed` draws other moments.
"""


def main() -> None:
    """Kill, resume, count; print and perhaps write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, help=f"how many; default: {RUNS}, which writes the page")
    parser.add_argument("--page", type=Path, help="page to write; default: docs/benchmarks/kill.md, or none")
    parser.add_argument("--seed", type=int, default=20, help="of all moments")
    options = parser.parse_args()
    began, runs, jobs = time.monotonic(), options.runs or RUNS, min(2, os.cpu_count() or 1)
    found: dict[str, list[Finding]] = {}
    with tempfile.TemporaryDirectory(prefix="harness-kill-") as folder:
        kinds = (asking(CALLS), capped(CALLS, most=CAP), tuning(Path(folder)))
        for kind, count in zip(kinds, (runs, runs, min(SEARCHES, runs)), strict=True):
            found[kind.name] = carry_out(kind, count, seed=options.seed, window_s=WINDOW_S, jobs=jobs)
            print(f"{count} {kind.name}, {time.monotonic() - began:.0f} s", flush=True)
    text = page(found, time.monotonic() - began)
    print("\n" + text)
    target = options.page or (PAGE if options.runs is None else None)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")
    faults = [fault for findings in found.values() for finding in findings for fault in finding.faults]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


def page(found: Mapping[str, Sequence[Finding]], took_s: float) -> str:
    """What was found, in Markdown."""
    columns = (
        *("what", "runs", "kills", "answers", "requests", "asked in vain"),
        *("of these: answer had gone out", "longest before the kill", "faults"),
    )
    rows = []
    for name, findings in found.items():
        again_s = [age_s for finding in findings for age_s in finding.again_s]
        kills, requests, kept = (
            sum(getattr(finding, what) for finding in findings) for what in ("kills", "requests", "kept")
        )
        counts = (len(findings), kills, kept, requests, requests - kept, len(again_s))
        longest = f"{max(again_s) * 1000:.0f} ms" if again_s else "-"
        faults = sum(len(finding.faults) for finding in findings)
        rows.append((name, *(f"{count:,}" for count in counts), longest, f"**{faults}**"))
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    return HEAD + table(columns, rows) + f"\n{took_s:.0f} s on {os.cpu_count()} cores, {when}.\n" + FOOT


if __name__ == "__main__":
    main()
