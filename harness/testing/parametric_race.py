"""The product's whole search on a parametric world: the pool of defaults, Optuna's proposals, the last race.

In: `Cells` of an open draw. Out: the row named. All decisions are those of `harness.trials.search`; answers
come from the world and not from an engine, and there is no confirm split, as the truth is known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from harness.cards import DataCard
from harness.plan.plan import Plan, Range, Space
from harness.plan.planner import make_plan
from harness.plan.rows import Rows
from harness.records import Settings, Split
from harness.testing.matrices import Cells
from harness.testing.parametric import (
    LIMIT,
    PENALTY,
    PROMPT_WORDS,
    SAMPLES,
    TEMPERATURE,
    TOP_P,
    ParametricWorld,
)
from harness.trials.allowance import Allowance
from harness.trials.evaluate import NOTHING, Answered, Due
from harness.trials.evidence import Arm
from harness.trials.search import Search

DIMENSIONS = (
    Range("temperature", *TEMPERATURE),
    Range("top_p", *TOP_P),
    Range("frequency_penalty", *PENALTY),
    Range("presence_penalty", *PENALTY),
    Range("max_output_tokens", *LIMIT, integer=True, log=True),
)
TRIALS = 100_000  # at most; the budget ends a search


@dataclass(frozen=True, slots=True)
class _Places:
    """Rows of data that are nothing but places in the arrays of a world."""

    card: DataCard

    def ids(self, split: Split) -> Sequence[str]:
        return [str(place) for place in range(SAMPLES)] if split == "search" else []


@dataclass(slots=True)
class _Unconfirmed(Search):
    """A search that ends when it has a champion."""

    champion: Arm | None = field(default=None)

    def _confirm(self, champion: Arm, allowance: Allowance) -> None:  # noqa: ARG002 - the search's own
        self.champion = champion


def search_open(cells: Cells, world: ParametricWorld, add: Any, seed: int) -> None:
    """Search this world with what the cells may spend. add: makes the row of settings."""
    rows: dict[int, int] = {}

    def ask(arms: Sequence[Arm], positions: Sequence[int], _ahead: Due = NOTHING) -> Answered:
        for arm in arms:
            if arm.number not in rows:
                rows[arm.number] = add(arm.settings)
            for position in positions:
                if not arm.seen[position, 0]:
                    arm.value[position, 0] = cells.ask_one(rows[arm.number], position)
                    arm.seen[position, 0] = True
        return Answered()

    search = _Unconfirmed(_plan(world, int(cells.left), seed), ask)
    search.run()
    assert search.champion is not None, "a search that ends has a champion"
    cells.named = rows[search.champion.number]


def _plan(world: ParametricWorld, calls: int, seed: int) -> Plan:
    defaults: dict[str, Settings] = {}
    for settings in world.defaults():
        defaults.setdefault(settings.model, settings)
    space = Space(
        models=tuple(defaults),
        prompts=tuple(PROMPT_WORDS),
        dimensions=dict.fromkeys(defaults, DIMENSIONS),
        defaults=defaults,
    )
    plan = _bare_plan(tuple(defaults))
    return replace(plan, space=space, seed=seed % 2**31, budget=replace(plan.budget, calls=calls))


@lru_cache(maxsize=1)
def _bare_plan(models: tuple[str, ...]) -> Plan:
    """A plan for these models, made once by the product's own planner from a spec of a few rows."""
    price = {"class": "MEDIUM", "prices": {"input": 1.0, "output": 1.0}}
    providers: dict[str, Any] = {}
    for name in models:
        provider, _, model = name.partition("/")
        providers.setdefault(provider, {"api_base": "http://127.0.0.1:9/v1", "models": {}})
        providers[provider]["models"][model] = price
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        some = [json.dumps({"id": str(n), "text": "a", "target": "right"}) for n in range(20)]
        rows.write_text("\n".join(some), encoding="utf-8")
        plan = make_plan(
            {
                "experiment": "parametric",
                "task": {
                    "dataset": str(rows),
                    "prompt": {name: f"{{{{ text }}}} {name}\n" for name in PROMPT_WORDS},
                    "scorers": ["exact"],
                    "metric": "accuracy",
                },
                "search": {"models": list(models), "n_trials": TRIALS},
                "providers": providers,
                "budget": {"calls": 1},
                "failures": "count_as_wrong",
            }
        )
    places = cast("Rows", _Places(plan.task.rows.card))
    return replace(plan, task=replace(plan.task, rows=places))
