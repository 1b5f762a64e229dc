"""The corridor of plans: from a spec to what a run of it would do, cost, take and be able to tell.

In: a spec. Out: its plan with an estimate, shown in words. Nothing is sent and no key is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.gating import foretell
from harness.outputs import plan_words
from harness.plan import planner
from harness.plan.estimate import PlanEstimate, estimate_plan, require_bounds
from harness.plan.plan import Plan
from harness.verdicts import Power


@dataclass(frozen=True, slots=True, repr=False)
class PlanResult:
    """A plan and what it is likely to take, shown as text and, in a notebook, as a card.

    gate: what a gate on this spec can see, where it asks for one; gate_basis: what that rests on.
    """

    plan: Plan
    estimate: PlanEstimate
    gate: tuple[Power, ...] = ()
    gate_basis: str = ""

    def _data(self) -> plan_words.PlanData:
        gate = [one.sentence for one in self.gate]
        return plan_words.plan_data(self.plan, self.estimate, gate, self.gate_basis)

    def _repr_html_(self) -> str:
        return plan_words.card(self._data())

    def __repr__(self) -> str:
        return plan_words.text(self._data())


def make_plan(
    spec: str | Path | Mapping[str, Any], *, store: str | None = None, **overrides: Any
) -> PlanResult:
    """What a run of this spec would do. Spends nothing and reads files only.

    spec, overrides: as for `harness.tune`; with `split` or `settings`, as for `harness.evaluate`. store: URL,
    else HARNESS_STORE: where `search.warm_start` finds earlier runs. Raises SpecError with every fault found,
    UsageError for a senseless override.
    """
    made = planner.make_plan(Path(spec) if isinstance(spec, str) else spec, store=store, **overrides)
    require_bounds(made)
    estimate = estimate_plan(made)
    return PlanResult(made, estimate, *foretell(made, estimate.resolution))
