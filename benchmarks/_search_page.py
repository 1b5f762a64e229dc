"""The page about the search, from what was measured.

In: the results of `search.py`. Out: Markdown with goals, figures, versions, and how to repeat each of them. It
measures nothing, and every figure in it comes from the results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from _page import NOT_MEASURED, Goal, table

BLENDSEARCH = "blendsearch"
FRACTIONS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
NAMES: Mapping[str, str] = {
    "race": "**ours: the race**",
    "grid": "sampled grid: all on the same samples",
    "random-full": "random settings, all samples",
    "tpe-full": "Optuna TPE, all samples",
    "tpe-wilcoxon": "Optuna TPE + WilcoxonPruner",
    "tpe-asha": "Optuna TPE + SuccessiveHalvingPruner",
    BLENDSEARCH: "FLAML BlendSearch, all samples",
    "ucb-e": "UCB-E",
    "halving": "sequential halving, paired",
}
IN_WORLDS: Mapping[str, str] = NAMES | {
    "grid": "the user's grid of 108 settings, all samples",
    "random-full": "random in the whole space, all samples",
    "halving": "36 combinations at sane defaults, paired halving",
    "ucb-e": "36 combinations at sane defaults, UCB-E",
}
SURE = 0.95  # of runs within a point
SHOWN = (0.02, 0.05, 0.1)

Results = Mapping[str, Any]


def page(results: Results) -> str:
    """The whole page."""
    parts = [HEAD.format(**{"runs": 0, "worlds": 0} | results), goals_table(results)]
    if results["matrices"]:
        parts += [needed_part(results, "calls"), needed_part(results, "usd"), regret_part(results)]
        parts += [confidence_part(results), reported_part(results)]
    parts += [parametric_part(results), foot(results)]
    return "\n".join(parts)


HEAD = """\
# Search: what a budget finds

Written by `benchmarks/search.py`; every figure here was measured by it, so do not edit.

A strategy searches data whose truth is known: recorded matrices of scores (settings by samples), {runs} runs
each, and {worlds} worlds of continuous settings, two runs each. In every run rows and samples come in another
order, and repeated answers are drawn anew; all strategies meet the same runs. Truth is the mean over all
recorded answers, a point is a hundredth of quality, regret is what the settings named are worse than the best.
Budgets are shares of the full grid (every setting on every sample), and what the search may spend; the
winner is then measured on up to 200 answers that did not choose it.

## Goals
"""


def goals_table(results: Results) -> str:
    """The goals set for the search, each with what was measured."""
    marks = {True: "met", False: "**missed**", None: "-"}
    rows = [(goal.what, goal.asked, goal.measured, marks[goal.met]) for goal in goals(results)]
    return table(("goal", "asked", "measured", ""), rows)


def goals(results: Results) -> list[Goal]:
    """Goals of search; `met` is `None` where the data for it was not given."""
    matrices: Results = results["matrices"]
    clear = {name: found for name, found in matrices.items() if resolvable(found)}
    ties = {name: found for name, found in matrices.items() if near_tie(found)}
    hard = {name: found for name, found in matrices.items() if name not in clear and name not in ties}
    needs = {name: needed(found["calls"]["race"]) for name, found in clear.items()}
    lost = {
        name: found["calls"]["grid"][-1]["p_within_1pt"] - at(found["calls"]["race"], 0.2)["p_within_1pt"]
        for name, found in hard.items()
    }
    regrets = {name: at(found["calls"]["race"], 0.05)["mean_regret"] for name, found in clear.items()}
    bias = {
        f"{name} {100 * one['fraction']:g} %": abs(one["reported_minus_true"] or 0.0)
        for name, found in matrices.items()
        for one in found["calls"]["race"]
        if 0.02 <= one["fraction"] <= 0.2
    }
    return [
        worst("1. calls for 95 % within a point", "<= 10 % on each", needs, most=0.10, form=percent),
        worst("1. regret at 5 % of the calls", "<= 0.5 points", regrets, most=0.5, form=points),
        *against(clear, "calls"),
        *against({name: found for name, found in clear.items() if found["usd"]}, "usd"),
        *confidence_goals(matrices, clear),
        worst(
            "4. near-ties: 'cannot be told apart'",
            ">= 95 % of runs",
            {name: found["confidence"]["cannot_be_told_apart"] for name, found in ties.items()},
            least=SURE,
            form=percent,
        ),
        worst(
            "5. too little data: runs lost at 20 % against the full grid",
            "none",
            lost,
            most=0.0,
            form=percent,
        ),
        *parametric_goals(results["parametric"]),
        worst("7. mean of reported minus true, 2 to 20 %", "<= 0.5 points", bias, most=0.5, form=points),
        worst(
            "8. CPU of the search, 150 x 1,000",
            "<= 1 ms a call",
            {percent(one["fraction"]): one["cpu_ms_per_call"] for one in results["overhead"]},
            most=1.0,
            form=lambda value: f"{value:.3f} ms",
        ),
        worst(
            "8. CPU beside what the sampler takes by itself",
            "<= 5 ms a trial",
            {"100 trials": results["proposing"]["ours_ms"] - results["proposing"]["sampler_ms"]},
            most=5.0,
            form=lambda value: f"{value:.2f} ms",
        ),
    ]


def against(matrices: Results, unit: str) -> list[Goal]:
    """How many times less the race needs than Optuna's pruner, and than the full grid."""
    ours = {name: needed(found[unit]["race"]) for name, found in matrices.items()}
    theirs = {name: needed(found[unit]["tpe-wilcoxon"]) for name, found in matrices.items()}
    word = "calls" if unit == "calls" else "dollars"
    # What never gets there needs more than everything: the ratio is at least that to the full grid.
    ratios = {name: (theirs[name] or 1.0) / own if own else 0.0 for name, own in ours.items()}
    mean = (
        math.exp(sum(map(math.log, ratios.values())) / len(ratios)) if all(ratios.values()) and ratios else 0
    )
    whole = {name: 1 / own if own else 0.0 for name, own in ours.items()}
    text = NOT_MEASURED if not ratios else times(mean)
    return [
        worst(f"2. {word}: TPE + WilcoxonPruner / ours", ">= 2 on each", ratios, least=2, form=times),
        Goal(f"2. {word}: the same, geometric mean", ">= 5", text, mean >= 5 if ratios else None),
        worst(f"2. {word}: full grid / ours", ">= 10 on each", whole, least=10, form=times),
    ]


def confidence_goals(matrices: Results, clear: Results) -> list[Goal]:
    """Coverage of what is stated, and what it costs."""
    covered = {name: found["confidence"]["coverage"] for name, found in matrices.items()}
    used = {name: found["confidence"]["mean_fraction"] for name, found in clear.items()}
    mean = sum(used.values()) / len(used) if used else None
    return [
        worst("3. coverage of a stated 95 %", ">= 95 % on each", covered, least=SURE, form=percent),
        worst("3. calls for it", "<= 25 % on each", used, most=0.25, form=percent),
        Goal(
            "3. the same, mean",
            "<= 15 %",
            NOT_MEASURED if mean is None else percent(mean),
            None if mean is None else mean <= 0.15,
        ),
    ]


def parametric_goals(found: Results) -> list[Goal]:
    """Regret in worlds of continuous settings."""
    asked = {500: 2.5, 2000: 1.5, 4000: 1.0}
    told = {int(one["budget"]): one for one in found.get("race", ())}
    return [
        Goal(
            f"6. continuous settings: regret after {calls:,} calls",
            f"<= {most:g} points",
            with_error(told[calls]) if calls in told else NOT_MEASURED,
            told[calls]["mean_regret"] <= most if calls in told else None,
        )
        for calls, most in asked.items()
    ]


def worst(
    what: str,
    asked: str,
    values: Mapping[str, float | None],
    *,
    form: Any,
    most: float = math.inf,
    least: float = -math.inf,
) -> Goal:
    """A goal that each of these values has to meet; `None` among them is never."""
    if not values:
        return Goal(what, asked, NOT_MEASURED, None)
    text = "; ".join(f"{name} {'never' if v is None else form(v)}" for name, v in values.items())
    if len(values) > 4:
        known = [value for value in values.values() if value is not None]
        text = f"{form(min(known))} to {form(max(known))}"
    return Goal(what, asked, text, all(v is not None and least <= v <= most for v in values.values()))


def needed(summaries: Sequence[Results]) -> float | None:
    """The share of the full grid from which 95 % of runs are within a point; `None`: never.

    Between the first budget from which on all are, and the one before, on a straight line over the logarithm.
    """
    reached = [one["p_within_1pt"] >= SURE for one in summaries]
    if not reached[-1]:
        return None
    first = next(place for place in range(len(reached)) if all(reached[place:]))
    there = summaries[first]
    if first == 0:
        return float(there["fraction"])
    before = summaries[first - 1]
    gain = there["p_within_1pt"] - before["p_within_1pt"]
    part = (SURE - before["p_within_1pt"]) / gain if gain > 0 else 1.0
    low, high = math.log(before["fraction"]), math.log(there["fraction"])
    return math.exp(low + part * (high - low))


def resolvable(found: Results) -> bool:
    """Whether the data can name the best: it is no near-tie, and the full grid does so in 95 % of runs."""
    grid = found["calls"]["grid"][-1]
    return not near_tie(found) and grid["p_within_1pt"] >= SURE


def near_tie(found: Results) -> bool:
    """Whether more than half of the settings are within a point of the best."""
    return found["near"] > found["shape"][0] / 2


def at(summaries: Sequence[Results], fraction: float) -> Results:
    """The figures of this budget."""
    return next(one for one in summaries if one["fraction"] == fraction)


def needed_part(results: Results, unit: str) -> str:
    """The budgets that strategies need, and how many times more than the race that is."""
    found = {name: one[unit] for name, one in results["matrices"].items() if one[unit]}
    if not found:
        return ""
    strategies = [name for name in NAMES if any(name in one for one in found.values())]
    rows = []
    for strategy in strategies:
        cells = [NAMES[strategy]]
        for one in found.values():
            share, ours = needed(one[strategy]) if strategy in one else None, needed(one["race"])
            if strategy not in one:
                cells.append("")
            elif share is None:
                cells.append("never")
            else:
                ratio = f" ({times(share / ours)})" if ours and strategy != "race" else ""
                cells.append(f"{percent(share)}{ratio}")
        rows.append(cells)
    word = "calls" if unit == "calls" else "dollars"
    cost = "" if unit == "calls" else " --cost"
    return NEEDED.format(word=word, table=table(("", *found), rows), cost=cost)


NEEDED = """\
## Budget for 95 % within a point, in {word}

The share of the full grid's {word} from which the settings named are within a point of the best in 95 % of
runs, read between budgets of 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 50 and 100 %; in brackets, how many times
what the race needs. "Never": not even with everything. A proposal that Optuna has tried before is replaced by one
that it has not.

{table}
Repeat: `python -m harness.testing.replay FILE.npz{cost} --strategy NAME --fractions 0.005,0.01,0.02`.
"""


def regret_part(results: Results) -> str:
    """Regret and success at a few budgets."""
    matrices = results["matrices"]
    parts = []
    for fraction in SHOWN:
        rows = [
            (
                NAMES[strategy],
                *(
                    f"{told['mean_regret']:.2f} / {told['p_within_1pt']:.2f}"
                    for told in (at(one["calls"][strategy], fraction) for one in matrices.values())
                ),
            )
            for strategy in NAMES
            if all(strategy in one["calls"] for one in matrices.values())
        ]
        parts.append(f"At {percent(fraction)} of the calls:\n\n{table(('', *matrices), rows)}")
    return "## Regret in points / share of runs within a point\n\n" + "\n".join(parts)


def confidence_part(results: Results) -> str:
    """Races that stop when they know."""
    rows = []
    for name, found in results["matrices"].items():
        told = found["confidence"]
        figures = ("coverage", "mean_fraction", "max_fraction", "cannot_be_told_apart", "p_within_1pt")
        rows.append((name, *(percent(told[figure]) for figure in figures), f"{told['mean_left']:.1f}"))
    head = ("", "true", "calls, mean", "at most", "cannot be told apart", "within a point", "left")
    return CONFIDENCE.format(table=table(head, rows))


CONFIDENCE = """\
## For a stated confidence of 95 %, within a point

What a race states is true when the settings it names are within a point of the best, or, when it says that
settings cannot be told apart, when the best is among them ("left": how many they are).

{table}
Repeat: `python -m harness.testing.replay FILE.npz --mode confidence --alpha 0.05 --epsilon 0.01`.
"""


def reported_part(results: Results) -> str:
    """The winner's number, where it was chosen and where it was measured."""
    rows = [
        (
            name,
            percent(one["fraction"]),
            f"{one['dev_minus_true']:+.2f}",
            f"{one['reported_minus_true']:+.2f} ({one['reported_minus_true_se']:.2f})",
            f"{one['confirm_calls']:.0f}",
        )
        for name, found in results["matrices"].items()
        for one in found["calls"]["race"]
        if one["fraction"] in (*SHOWN, 0.2)
    ]
    head = ("", "budget", "where it was chosen", "reported (se)", "calls for it")
    return REPORTED.format(table=table(head, rows))


REPORTED = """\
## The winner's number, minus the truth, in points

{table}
"""


def parametric_part(results: Results) -> str:
    """Worlds of continuous settings."""
    found = results["parametric"]
    budgets = [int(one["budget"]) for one in next(iter(found.values()))]
    rows = [
        (
            name_of,
            *(with_error(one) for one in found[strategy]),
            f"{next((o['p_within_2pt'] for o in found[strategy] if o['budget'] == 4000), math.nan):.2f}",
            f"{found[strategy][-1]['mean_usd']:.1f}",
        )
        for strategy, name_of in IN_WORLDS.items()
        if strategy in found
    ]
    head = ("", *(f"{calls:,}" for calls in budgets), "within 2 points @4,000", "USD at the end")
    return PARAMETRIC.format(table=table(head, rows))


PARAMETRIC = """\
## Continuous settings: regret in points by calls

Three providers with three classes each, four prompts, temperature from 0 to 2, top_p, two penalties from -2 to 2
and a limit of tokens; 200 samples. Regret is against the optimum of the whole space; in brackets its standard
error over worlds. The user's grid is three temperatures of each, 21,600 calls in all.

{table}
Repeat: `python -m harness.testing.replay --parametric --strategy NAME --calls 500,1000,2000,4000,8000`.
"""


def foot(results: Results) -> str:
    """Where it was measured, and how to do it again."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"## Where\n\n{results['cores']} cores, {results['at']}; {versions}; seed {results['seed']}.\n\n"
        "All of it again: `.venv/bin/python benchmarks/search.py FOLDER`, a folder of matrices, *.npz with\n"
        "*.json beside; without one, the continuous settings alone.\n"
    )


def with_error(one: Results) -> str:
    """Regret and its standard error."""
    error = one["mean_regret_se"]
    return f"{one['mean_regret']:.1f}" + (f" ({error:.1f})" if error is not None else "")


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.3g} %"


def points(value: float) -> str:
    """Hundredths of quality."""
    return f"{value:.2f}"


def times(ratio: float) -> str:
    """A ratio."""
    return f"{ratio:.1f} x"
