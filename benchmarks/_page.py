"""The page about calls, from what was measured.

In: the results that `calls.py` keeps. Out: Markdown with goals, figures, versions and machine. It measures
nothing, and every figure in it comes from the results.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

NAMES: Mapping[str, str] = {
    "aiohttp_loop": "bare aiohttp: workers over one session, nothing kept",
    "aiohttp_uvloop": "the same on uvloop",
    "litellm_bare": "bare `litellm.acompletion`, nothing kept",
    "ours_direct": "**ours, direct lane**: key, look-up, ledger, limits, durable answer, score",
    "ours_litellm": "**ours, litellm lane**: the same",
    "ours_cached": "**ours, replay**: all answers from the store",
    "ours_eval": "**`harness eval`**, as it is: with a new MLflow database and the report",
    "inspect_ai": "Inspect AI, display off, log written once at the end",
    "promptfoo": "promptfoo, cache, progress and table off",
}
FLAT_MB = 25  # growth from the first mark on that still counts as flat; an unbounded list of calls adds more
NOT_MEASURED = "not measured"
LONGEST_REASON = 160  # characters, in a cell of a table

Rounds = Sequence[Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the goals. met: `None` when it was not measured."""

    what: str
    asked: str
    measured: str
    met: bool | None


def page(results: Mapping[str, Any]) -> str:
    """The whole page."""
    compared = results.get("compare", {})
    parts = [HEAD.format(**{"n": 0, "concurrency": 0, "latency_s": 0.0} | compared), _goals(results)]
    if compared:
        parts.append(_figures(compared))
    if results.get("counts"):
        parts.append(_counts(results["counts"]))
    if "memory" in results:
        parts.append(f"## A long run\n\n{_long_run(results['memory'])}")
    if "at_once" in results:
        parts.append(_long_run(results["at_once"]))
    parts += [_where(results), FOOT]
    return "\n".join(parts)


HEAD = """\
# Calls: what one costs

Written by `benchmarks/calls.py`; every figure here was measured by it, so do not edit.

Each client is a whole process, start-up included, that asks a local server (`harness simulate`, a process of
its own) {n:,} distinct short prompts, {concurrency} at a time; the server answers after {latency_s:g} s. In a
round every client runs once, each round beginning with another one. CPU seconds are user and system time of
the process and its children. A ratio is taken within each round; shown are the median of these pairs, and the
least and the greatest. Answers and numbers of requests are checked in every run. Ours runs as the command line
does: on uvloop, and with what was there at its start left out of the search for garbage; the bare libraries run
as their documentation shows them, and aiohttp on uvloop as well.

## Goals
"""
FOOT = """\
## How to repeat

`make bench`, or `.venv/bin/python benchmarks/calls.py`; `--help` lists its parts (`--no-peers`, `--rounds`,
`--only`, `--memory`, `--quick`). Other tools are installed on first use into `.harness/bench/`, from package
registries only; remove that folder to get newer versions of them.
"""


def _goals(results: Mapping[str, Any]) -> str:
    rows = [
        (goal.what, goal.asked, goal.measured, {True: "met", False: "**missed**", None: "-"}[goal.met])
        for goal in goals(results)
    ]
    return table(("goal", "asked", "measured: median (least to greatest)", ""), rows)


def goals(results: Mapping[str, Any]) -> list[Goal]:
    """The goals set for calls, each with what was measured."""
    compared = results.get("compare", {})
    rounds: Rounds = compared.get("rounds", ())
    direct, cpu = "ours_direct", "cpu_s"
    counted = results.get("counts", {}).get(direct)
    found = [
        ratio_goal("CPU: direct / aiohttp", rounds, (direct, "aiohttp_loop", cpu), at_most=1.4),
        ratio_goal("CPU: direct / aiohttp on uvloop", rounds, (direct, "aiohttp_uvloop", cpu), at_most=1.4),
        ratio_goal("CPU: bare litellm / direct", rounds, ("litellm_bare", direct, cpu), at_least=12),
        ratio_goal("CPU: promptfoo / direct", rounds, ("promptfoo", direct, cpu), at_least=15),
        ratio_goal("CPU: Inspect AI / direct", rounds, ("inspect_ai", direct, cpu), at_least=50),
        ratio_goal(
            "CPU: litellm lane / bare litellm", rounds, ("ours_litellm", "litellm_bare", cpu), at_most=1.06
        ),
        ratio_goal("wall: direct / aiohttp", rounds, (direct, "aiohttp_loop", "wall_s"), at_most=1.25),
        Goal("function calls a call, direct lane", "<= 1,200", NOT_MEASURED, None)
        if counted is None
        else Goal("function calls a call, direct lane", "<= 1,200", f"{counted:,.0f}", counted <= 1200),
        _in_flight(rounds, compared.get("concurrency", 0)),
    ]
    return (
        found + _replay(rounds, compared.get("n", 0)) + _steady(results.get("memory")) + _unhurried(results)
    )


def ratio_goal(
    what: str,
    rounds: Rounds,
    pair: tuple[str, str, str],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Goal:
    """A goal on the median ratio within rounds. pair: the client above, the one below, and the figure."""
    asked = f"<= {at_most:g}" if at_most is not None else f">= {at_least:g}"
    found = ratios(rounds, pair)
    if not found:
        return Goal(what, asked, NOT_MEASURED, None)
    middle = median(found)
    met = (at_most is None or middle <= at_most) and (at_least is None or middle >= at_least)
    return Goal(what, asked, f"{spread(found)}, {len(found)} pair{'s' * (len(found) != 1)}", met)


def ratios(rounds: Rounds, pair: tuple[str, str, str]) -> list[float]:
    """The ratio within each round that has both."""
    above, below, figure = pair
    return [one[above][figure] / one[below][figure] for one in rounds if above in one and below in one]


def spread(values: Sequence[float]) -> str:
    """Median, least and greatest."""
    middle, least, greatest = (
        f"{value:.3f}" if value < 10 else f"{value:.1f}"
        for value in (median(values), min(values), max(values))
    )
    return f"{middle} ({least} to {greatest})"


def _in_flight(rounds: Rounds, asked: int) -> Goal:
    peaks = [one["ours_direct"]["peak_in_flight"] for one in rounds if "ours_direct" in one]
    what = "calls in flight, direct lane, as the server saw them"
    if not peaks:
        return Goal(what, f"{asked}, never above", NOT_MEASURED, None)
    met = min(peaks) == max(peaks) == asked
    return Goal(what, f"{asked}, never above", f"{min(peaks)} to {max(peaks)}", met)


def _replay(rounds: Rounds, n: int) -> list[Goal]:
    runs = [one["ours_cached"] for one in rounds if "ours_cached" in one]
    speed, quiet = f"replay of {n:,}: answers a CPU second", "replay: requests; litellm imported"
    if not runs:
        return [
            Goal(speed, ">= 10,000", NOT_MEASURED, None),
            Goal(quiet, "0; no", NOT_MEASURED, None),
        ]
    rates = [run["right"] / run["loop_cpu_s"] for run in runs]
    requests = sum(run["requests"] for run in runs)
    imported = any(run["litellm_imported"] for run in runs)
    told = f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    return [
        Goal(speed, ">= 10,000", told, median(rates) >= 10_000),
        Goal(quiet, "0; no", f"{requests}; {'yes' if imported else 'no'}", not requests and not imported),
    ]


def _steady(memory: Mapping[str, Any] | None) -> list[Goal]:
    peak = "long run: peak memory"
    flat = "long run: growth after the first 10,000"
    pace = "long run: time of the last 10,000 / of the first"
    asked = ("< 300 MB", f"<= {FLAT_MB} MB", "<= 1.2")
    if memory is None or len(memory["marks"]) < 3:
        return [
            Goal(what, limit, NOT_MEASURED, None)
            for what, limit in zip((peak, flat, pace), asked, strict=True)
        ]
    marks = memory["marks"]
    slow, slow_cpu = (_pace(marks, figure) for figure in ("wall_s", "cpu_s"))
    resident = [mark["resident_mb"] for mark in marks[1:] if mark["resident_mb"] is not None]
    growth = max(resident) - resident[0] if resident else None
    return [
        Goal(peak, asked[0], f"{memory['peak_mb']:.0f} MB", memory["peak_mb"] < 300),
        Goal(flat, asked[1], NOT_MEASURED, None)
        if growth is None
        else Goal(flat, asked[1], f"{growth:.1f} MB", growth <= FLAT_MB),
        Goal(pace, asked[2], f"{slow:.3f} (CPU time: {slow_cpu:.3f})", slow <= 1.2),
    ]


def _unhurried(results: Mapping[str, Any]) -> list[Goal]:
    """The pace where no server holds anybody up: what a growing store costs, and nothing else."""
    found = results.get("at_once")
    if found is None or len(found["marks"]) < 3:
        return []
    slow = _pace(found["marks"], "wall_s")
    return [Goal("the same, with a server that answers at once", "<= 1.2", f"{slow:.3f}", slow <= 1.2)]


def _pace(marks: Sequence[Mapping[str, float]], figure: str) -> float:
    first = marks[1][figure] - marks[0][figure]
    return (marks[-1][figure] - marks[-2][figure]) / first


def _figures(compared: Mapping[str, Any]) -> str:
    rounds, missing = compared["rounds"], compared["missing"]
    rows: list[tuple[str, ...]] = []
    for name, what in NAMES.items():
        runs = [one[name] for one in rounds if name in one]
        if not runs:
            why = missing.get(name)
            if why:
                rows.append((what, *["-"] * 6, f"left out: {_short(why)}"))
            continue
        cpu = [1000 * run["cpu_s"] / compared["n"] for run in runs]
        relative = ratios(rounds, (name, "ours_direct", "cpu_s"))
        rows.append(
            (
                what,
                spread(cpu),
                f"{median(relative):.2f}" if relative else "-",
                f"{median(run['wall_s'] for run in runs):.1f}",
                f"{max(run['peak_mb'] for run in runs):.0f}",
                f"{max(run['peak_in_flight'] for run in runs)}",
                f"{max(run['requests'] for run in runs):,}",
                f"{len(runs)} of {len(rounds)}",
            )
        )
    head = (
        "client",
        "CPU s per 1,000 calls",
        "CPU / ours direct",
        "wall s",
        "peak MB",
        "in flight",
        "requests",
        "rounds",
    )
    runs = [run for one in rounds for run in one.values()]
    return f"## Figures\n\n{table(head, rows)}\n{_others(runs).strip()}\n"


def _short(why: str) -> str:
    """The last line of a reason, without addresses and folders: those of one machine help nobody else."""
    line = why.strip().splitlines()[-1] if why.strip() else "no reason given"
    line = re.sub(r"\w+://\S+", "(address)", line)
    return re.sub(r"(?:/[^\s/'\":]+)+/", "", line)[:LONGEST_REASON]


def _others(runs: Sequence[Mapping[str, Any]]) -> str:
    """How much to trust it: a sentence on what else the machine did."""
    shares = [run["foreign_share"] for run in runs if run["foreign_share"] is not None]
    if not shares:
        return ""
    return (
        f" Others used {median(shares):.0%} of this machine's CPU time meanwhile (up to {max(shares):.0%} in "
        "a run): above some 10 %, CPU seconds grow and ratios blur."
    )


def _counts(counts: Mapping[str, float]) -> str:
    rows = [(NAMES[name], f"{value:,.0f}") for name, value in counts.items()]
    head = "## Function calls for each call\n\nPython and C functions, in all threads; free of noise.\n\n"
    return head + table(("client", "function calls"), rows)


def _long_run(memory: Mapping[str, Any]) -> str:
    marks = memory["marks"]
    rows = [
        (
            f"{after['answered']:,}",
            f"{after['wall_s'] - before['wall_s']:.2f}",
            f"{after['cpu_s'] - before['cpu_s']:.2f}",
            f"{after['resident_mb'] or 0:.1f}",
        )
        for before, after in pairwise(marks)
    ]
    text = (
        f"{memory['n']:,} calls through the direct lane, {memory['concurrency']} in flight, "
        f"to a server that answers after {memory['latency_s']:g} s; {memory['at']}.{_others([memory])}\n\n"
    )
    return text + table(("answered", "wall s since the line above", "CPU s", "memory in MB"), rows)


def _where(results: Mapping[str, Any]) -> str:
    machine, compared = results["machine"], results.get("compare")
    found = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    when = f", {compared['at']}" if compared else ""
    return (
        f"## Where\n\n{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']:.0f} GB, "
        f"{machine['system']}{when}.\n\nVersions: {found}.\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines) + "\n"
    )
