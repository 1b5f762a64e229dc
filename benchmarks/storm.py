"""What a storm does to a run: faults of every kind, and the same answers as in calm weather.

A few minutes; --samples for fewer. Writes docs/benchmarks/storm.md when all were asked. Ends with 1 when an
answer was lost or differs, a request came too early, or the latency reported is off.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from _page import table
from _storms import FAULTS, Passage, Work, asker, compared, provider, weather

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "storm.md"
LATENCY = "lognormal:0.2:0.3"
TOLERANCE = 0.05  # of the reported latency
HEAD = """\
# A storm, and the calm run beside it

Written by `benchmarks/storm.py`; every figure here was measured by it, so do not edit.

{samples:,} questions, {models} models, {concurrency} calls in flight together, to a provider in a process of
its own, once in calm weather and once with
`{faults}`:
shares of requests; Retry-After is wrong in half and else asks for 0.3 s. An attempt may take {timeout_s:g} s,
and there are {max_retries} retries. Answers take `{latency}` seconds.

"""
FOOT = """
A request is early when it comes to the provider before the time has passed that its last answer to the same
question asked for. Reported latency is `latency.total_s` of the answers; the truth is from the arrival of
the request to the last byte of the answer, by the provider's journal.

Three requests in ten ask to slow down (429 and 5xx), so each model's line is halved about once a second, and a
refused call keeps its place in it while it rests: docs/decisions.md says why. Hence few calls in flight, and
the time.

`.venv/bin/python benchmarks/storm.py` repeats it; `--samples 500` is quick.
"""


def main() -> None:
    """Ask in both weathers, print and perhaps write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, help=f"questions; default: {Work().samples:,}, with the page")
    parser.add_argument("--page", type=Path, help="page to write; default: docs/benchmarks/storm.md, or none")
    options = parser.parse_args()
    work = Work(samples=options.samples) if options.samples else Work()
    found: dict[str, Passage] = {}
    for name, faults in (("calm", ""), ("storm", FAULTS)):
        with provider(faults, LATENCY) as url:
            found[name] = weather(work, f"{url}/v1", asker(url))
        print(f"{name}: {found[name].wall_s:.0f} s", flush=True)
    wrong = compared(found["storm"], found["calm"], work)
    wrong += [
        f"{name}: the latency reported is off by {passage.latency_error:.1%}"
        for name, passage in found.items()
        if passage.latency_error > TOLERANCE
    ]
    text = page(work, found, wrong)
    print("\n" + text)
    target = options.page or (PAGE if options.samples is None else None)
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(target)}")
    sys.exit(bool(wrong))


def page(work: Work, found: Mapping[str, Passage], wrong: list[str]) -> str:
    """What was found, in Markdown."""
    calm, storm = found["calm"], found["storm"]
    different = sum(calm.answers.get(one, text) != text for one, text in storm.answers.items())
    both = (calm, storm)
    rows = [
        ("answered", *(f"{len(one.answers):,}" for one in both)),
        ("failed, recorded with cause", *(f"{one.recorded:,} of {one.failed.total():,}" for one in both)),
        ("answers that differ from calm", "-", f"{different}"),
        ("requests", *(f"{one.requests:,}" for one in both)),
        ("in flight at most", *(f"{one.peak_in_flight}" for one in both)),
        ("requests after a Retry-After; early ones", "-", f"{storm.waits:,}; **{storm.early}**"),
        ("latency reported, median s", *(f"{one.reported_s:.4f}" for one in both)),
        ("latency in truth, median s", *(f"{one.true_s:.4f}" for one in both)),
        ("off by (asked: <= 5%)", *(f"{one.latency_error:.1%}" for one in both)),
        ("wall s", *(f"{one.wall_s:.0f}" for one in both)),
    ]
    lists = [
        "Faults met: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(storm.faults.items())),
        "Causes of failure: "
        + (", ".join(f"{n} {kind}" for kind, n in storm.failed.most_common()) or "none"),
        "Wrong: " + ("; ".join(wrong) or "nothing"),
    ]
    head = HEAD.format(
        samples=work.samples,
        models=work.models,
        concurrency=work.concurrency,
        faults=FAULTS,
        timeout_s=work.timeout_s,
        max_retries=work.max_retries,
        latency=LATENCY,
    )
    when = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    told = "".join(f"\n{one}.\n" for one in [*lists, f"{os.cpu_count()} cores, {when}"])
    return head + table(("", "calm", "storm"), rows) + told + FOOT


if __name__ == "__main__":
    main()
