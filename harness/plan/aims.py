"""The aim of a spec as plans have it, and what to say of its models before anything is spent.

In: parts of a spec. Out: an `Aim`, and notes. Looks nothing up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.catalogue.models import Model
from harness.plan.aim_spec import AimSpec, policy_of
from harness.plan.plan import Aim
from harness.plan.spec import SearchSpec

# Limits that hold although nobody wrote them: answers that are cut off are no answers, whatever their score.
ASSUMED: Mapping[str, float] = {"truncation_rate": 0.02}


def aim_of(aim: AimSpec) -> Aim:
    """The aim that was written down, with the limits that hold in any case."""
    limits = {name: value for name, value in aim.within if value is not None}
    return Aim(
        limits=limits,
        assumed={name: most for name, most in ASSUMED.items() if name not in limits},
        policy=policy_of(aim.policy),
        confirm=aim.confirm,
        confidence=aim.confidence,
        indifference=aim.indifference,
    )


def notes_of(search: SearchSpec, models: Iterable[Model]) -> tuple[str, ...]:
    """What a reader of the plan should know of these models, and of what is searched."""
    notes = [
        f"{model.full_name}: its provider announced its end for {model.deprecation_date}"
        for model in models
        if model.deprecation_date is not None
    ]
    if search.reuse_across_limits:
        notes.append(
            "at temperature 0, whole answers stand for other max_output_tokens (reuse_across_limits)"
        )
    return tuple(notes)
