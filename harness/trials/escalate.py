"""Start with the smallest model class, and try a larger one only where the smaller does not suffice.

In: a plan with a target, and a way to ask. Out: arms and finalists of all classes that were tried, as of one
search. A class that meets the target for sure ends it: the larger ones are never called. What a class may
spend is an equal part of what is left for it and the larger ones, so that none is starved by those before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import InconclusiveError
from harness.plan.plan import Budget, Plan
from harness.records import MODEL_CLASSES, ModelClass
from harness.trials.evaluate import Ask
from harness.trials.evidence import Arm
from harness.trials.search import Search


@dataclass(slots=True)
class Escalation:
    """Searches by model class, smallest first. suffices: whether what was found meets the target for sure.

    All else as in `Search`; numbers of trials go on from class to class.
    """

    plan: Plan
    ask: Ask
    suffices: Callable[[Escalation], bool]
    on_block: Callable[[Escalation], None] = lambda _: None
    arms: list[Arm] = field(default_factory=list[Arm])
    finalists: list[Arm] = field(default_factory=list[Arm])
    told: dict[int, float] = field(default_factory=dict[int, float])
    notes: list[str] = field(default_factory=list[str])

    def run(self) -> None:
        """Search class by class. Raises as `Search.run` does for the smallest class.

        A larger class that the budget does not cover any more ends the run with what there is.
        """
        classes = classes_of(self.plan)
        target = self.plan.aim.policy.amount
        for place, kind in enumerate(classes):
            larger = classes[place + 1 :]
            try:
                self._search(kind, 1 + len(larger))
            except InconclusiveError as error:
                if not place:
                    raise
                self.notes.append(f"{kind} was not tried: {error}")
                return
            if larger and self.suffices(self):
                self.notes.append(f"{kind} is sure to reach {target:g}: {_listed(larger)} never asked")
                return
            if larger:
                self.notes.append(f"{kind} is not sure to reach {target:g}: {larger[0]} was tried")

    def planned_calls(self) -> int:
        """The most answers that this can ask for."""
        return Search(self.plan, self.ask).planned_calls()

    def _search(self, kind: ModelClass, left: int) -> None:
        """Search one class. left: classes that share what may still be spent, this one among them."""
        stage = stage_of(self.plan, kind, self.arms, self.finalists, left)
        before = (list(self.arms), list(self.finalists), dict(self.told), list(self.notes))

        def show(search: Search) -> None:
            arms, finalists, told, notes = before
            self.arms, self.finalists = [*arms, *search.arms], [*finalists, *search.finalists]
            self.told, self.notes = {**told, **search.told}, [*notes, *search.notes]
            self.on_block(self)

        search = Search(stage, self.ask, show, first=len(self.arms))
        try:
            search.run()
        finally:
            show(search)


def classes_of(plan: Plan) -> tuple[ModelClass, ...]:
    """The model classes of this plan, smallest first."""
    there = {model.model_class for model in plan.models.values()}
    return tuple(kind for kind in MODEL_CLASSES if kind in there)


def stage_of(plan: Plan, kind: ModelClass, arms: Sequence[Arm], finalists: Sequence[Arm], left: int) -> Plan:
    """The plan for the models of one class, with its part of what is left.

    arms, finalists: what was asked before. left: classes that share it, this one among them.
    """
    used = [*arms, *finalists]
    calls = sum(int(arm.seen.sum()) for arm in used)
    usd = math.fsum(float(np.nansum(arm.price)) for arm in used)
    budget, space = plan.budget, plan.space
    models = {name: model for name, model in plan.models.items() if model.model_class == kind}
    return replace(
        plan,
        models=models,
        space=replace(
            space,
            models=tuple(models),
            dimensions={name: space.dimensions[name] for name in models},
            defaults={name: space.defaults[name] for name in models},
            warm=tuple(one for one in space.warm if one.model in models),
            presets={
                name: tuple(one for one in some if one.model in models)
                for name, some in space.presets.items()
            },
        ),
        n_trials=max(1, math.ceil((plan.n_trials - len(arms)) / left)),
        budget=Budget(
            usd=None if budget.usd is None else max(0.0, budget.usd - usd) / left,
            calls=None if budget.calls is None else max(0, budget.calls - calls) // left,
            tokens=budget.tokens,
            minutes=budget.minutes,
        ),
    )


def _listed(classes: Sequence[ModelClass]) -> str:
    return f"{' and '.join(classes)} {'was' if len(classes) == 1 else 'were'}"
