"""How long an answer may be beside the prompts, where a model's context holds both.

In: tasks whose rows were read, models, and what a spec searches. Out: the models with narrower limits, and
what to say of it. Must not change what is asked of models whose prompts are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.catalogue.models import Model
from harness.plan.space import answers_asked
from harness.plan.spec import SearchSpec
from harness.plan.task_draft import TaskDraft


def beside_prompts(
    tasks: Sequence[TaskDraft], models: Mapping[str, Model], search: SearchSpec, notes: list[str]
) -> dict[str, Model]:
    """The models, asked for no longer answer than the prompts of these tasks leave room for.

    Where prompt and answer share the context, a provider refuses both if they are too long together. notes:
    what is said of it is added there.
    """
    found = dict(models)
    for name, model in models.items():
        wanted = answers_asked(search, model)[1]
        rooms = (task.lengths.room(model, wanted) for task in tasks if task.lengths is not None)
        room = min((one for one in rooms if one is not None), default=None)
        if room is not None:
            found[name] = replace(model, max_output_tokens=room)
            notes.append(
                f"{name} has {model.context_tokens} tokens for prompt and answer together: beside the "
                f"longest prompt, {room} are left"
            )
    return found
