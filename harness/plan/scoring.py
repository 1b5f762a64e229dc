"""How a task judges its answers: its scorers and its metric, looked up and held against each other.

In: the task of a spec, and what it may run. Out: scorers, ready to judge; what is wrong is noted with its
place.
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.plan.problems import Problems
from harness.plan.spec import TaskSpec
from harness.scores.answer import AnyScorer, RepeatScorer, Scorer
from harness.scores.metrics import find_metric
from harness.scores.own import Permission
from harness.scores.scorer import build_scorer


def find_scorers(
    task: TaskSpec, permission: Permission, problems: Problems
) -> tuple[tuple[Scorer, ...], tuple[RepeatScorer, ...]]:
    """The scorers of single answers, and those of all answers to a sample, each in the order of the spec."""
    scorers: list[AnyScorer] = []
    for number, form in enumerate(task.scorers):
        try:
            scorers.append(build_scorer(form, permission=permission))
        except UsageError as error:
            problems.add(("task", "scorers", number), str(error))
    names = [scorer.name for scorer in scorers]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        problems.add(("task", "scorers"), f"has two scorers called {name!r}; keep one of them")
    together = tuple(scorer for scorer in scorers if isinstance(scorer, RepeatScorer))
    if together and scorers[0] is together[0]:
        problems.add(
            ("task", "scorers", 0),
            f"scorer {together[0].name!r} judges all answers to a sample together, but the first one gives "
            "the quality of each answer; put one that does before it",
        )
    if together and task.repeats < 2:
        problems.add(
            ("task", "repeats"),
            f"is {task.repeats}, but scorer {together[0].name!r} compares the answers to one sample; "
            "write at least 2",
        )
    try:
        find_metric(task.metric)
    except UsageError as error:
        problems.add(("task", "metric"), str(error))
    return tuple(scorer for scorer in scorers if not isinstance(scorer, RepeatScorer)), together
