"""The report of a large run: how large its page is, and how long it takes to write and to open.

A made-up search of 200 trials that all answered 2,000 samples, without a race that would have ended most of
them: the most that a page has to hold. Opened in the Chromium of this machine, which is left out without one.
Writes docs/benchmarks/report.md.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness.outputs.exports.selection import selection_of
from harness.outputs.report import write_report
from harness.testing.finished import a_finished_run

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "report.md"
TRIALS, SEARCH, CONFIRM = 200, 2000, 600
OPENINGS = 5
MOST_BYTES, MOST_S = 15_000_000, 3.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMES = """() => {
  const it = performance.getEntriesByType("navigation")[0];
  return [it.domContentLoadedEventEnd, it.loadEventEnd].map((ms) => ms / 1000);
}"""


def write(folder: Path) -> dict[str, float]:
    """Write the report; gives what that took."""
    run = a_finished_run(trials=TRIALS, search=SEARCH, confirm=CONFIRM, race=False)
    choice = run.record.recommendation
    assert choice is not None
    selection = selection_of([choice], prompt_text="Which label fits?\n{{ text }}\n")
    began = time.perf_counter()
    rows = sum(1 for _ in run.rows())
    made_s = time.perf_counter() - began
    began = time.perf_counter()
    write_report(run.record, run.rows(), folder, selection)
    return {
        "rows": rows,
        "write_s": time.perf_counter() - began - made_s,
        "bytes": (folder / "report.html").stat().st_size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def opened(page: Path) -> dict[str, float]:
    """Open the page several times in a fresh browser profile; medians in seconds."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit(
            f"no Chromium is installed here (looked for {', '.join(NAMES)}): install one to measure with"
        )
    seen: dict[str, list[float]] = {
        "ready_s": [],
        "load_s": [],
        "painted_s": [],
        "samples_s": [],
        "answers_s": [],
    }
    with sync_playwright() as driver:
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=program, args=alone)
        version = browser.version
        for _ in range(OPENINGS):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.evaluate(
                "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            seen["painted_s"].append(time.perf_counter() - began)
            ready, load = tab.evaluate(TIMES)
            seen["ready_s"].append(ready)
            seen["load_s"].append(load)
            began = time.perf_counter()
            tab.click("#sample-view > summary")
            tab.wait_for_selector("table.grid tbody tr")
            seen["samples_s"].append(time.perf_counter() - began)
            began = time.perf_counter()
            tab.locator("table.grid tbody th button").first.click()
            tab.wait_for_selector("#sample-detail h4")
            seen["answers_s"].append(time.perf_counter() - began)
            context.close()
        browser.close()
    return {name: statistics.median(values) for name, values in seen.items()} | {"chromium": version}


def told(written: dict[str, float], seen: dict[str, float]) -> str:
    """The page of docs with these figures."""
    kept = written["bytes"] <= MOST_BYTES and seen["painted_s"] <= MOST_S
    return f"""# The page of a large run

A made-up search of {TRIALS} trials that all answered {SEARCH:,} samples, and 6 finalists that answered {CONFIRM} more:
{written["rows"]:,.0f} answers of some 120 characters each, none of them alike. No race ended any trial, so this is the most that a page has
to hold. Written by `benchmarks/report.py` (`make bench`), on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()},
Chromium {seen["chromium"]}, medians of {OPENINGS} openings from a file with an empty cache.

| figure | measured | asked |
| --- | ---: | ---: |
| size of `report.html` | {written["bytes"] / 1e6:.1f} MB | under {MOST_BYTES / 1e6:.0f} MB |
| until the document is there (`DOMContentLoaded`) | {seen["ready_s"]:.2f} s | |
| until it is loaded (`load`) | {seen["load_s"]:.2f} s | |
| until it is painted | {seen["painted_s"]:.2f} s | under {MOST_S:.0f} s |
| from a click to the table of samples | {seen["samples_s"]:.2f} s | |
| from a click to two answers side by side | {seen["answers_s"]:.2f} s | |
| to write it, with Parquet files and exports | {written["write_s"]:.0f} s | |
| most memory while it is written, rows and record included | {written["peak_mb"]:.0f} MB | |

{"Both are kept." if kept else "NOT KEPT."} Answers are compressed, a block a trial and split, and unpacked when they are looked at: opening the page parses
them as text and no more. Where all of them would not fit, trials that rank low lose their texts, never their scores.
"""


def main() -> None:
    """Measure and write the page."""
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder))
        seen = opened(Path(folder) / "report.html")
    PAGE.write_text(told(written, seen), encoding="utf-8")
    print(json.dumps({**written, **seen}, indent=2))


if __name__ == "__main__":
    main()
