"""One set of settings on every sample of a split: an evaluation.

In: a plan with settings to evaluate, and a way to ask. Out: one arm with its evidence. Nothing is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.errors import InconclusiveError, ProviderError
from harness.plan.plan import Plan
from harness.records import Settings
from harness.trials.allowance import answers_within
from harness.trials.board import Board
from harness.trials.evaluate import Ask
from harness.trials.evidence import Arm


@dataclass(slots=True)
class Measurement:
    """An evaluation under way. finalists and told stay empty: they are what a search has.

    ask: see `evaluate.Pipeline.ask`. left: what to go on with when a model of vectors cannot be asked.
    """

    plan: Plan
    ask: Ask
    on_block: Callable[[Measurement], None] = lambda _: None
    arms: list[Arm] = field(init=False)
    finalists: list[Arm] = field(default_factory=list[Arm])
    told: dict[int, float] = field(default_factory=dict[int, float])
    notes: list[str] = field(default_factory=list[str])
    left: list[Settings] = field(init=False)

    def __post_init__(self) -> None:
        evaluated, embedding = self.plan.evaluated, self.plan.task.embedding
        assert evaluated is not None, "the plan of an evaluation says what is evaluated"
        self.left = [] if embedding is None else list(embedding.fallback)
        self._begin(evaluated.settings)

    def _begin(self, settings: Settings) -> None:
        evaluated = self.plan.evaluated
        assert evaluated is not None, "the plan of an evaluation says what is evaluated"
        self.arms = [Arm.of(0, settings, Board.of(self.plan, evaluated.split))]

    def run(self) -> None:
        """Ask every sample; where a model of vectors cannot be asked any more, all of them of the next one.

        Raises InconclusiveError when the budget is too small or no answer could be scored, ProviderError when
        every call failed.
        """
        while True:
            try:
                return self._measure()
            except ProviderError as error:
                if not self.left:
                    raise
                self._fall_back(error)

    def _fall_back(self, error: ProviderError) -> None:
        """Begin anew with the next model: vectors of two models cannot be compared, so none is kept."""
        (arm,), settings = self.arms, self.left.pop(0)
        self.notes.append(
            f"{str(error).partition('; mend it')[0]}. The whole run goes on with its fallback "
            f"{settings.model}: every text is embedded anew, and no vector of {arm.settings.model} is in any "
            "figure"
        )
        self._begin(settings)
        self.on_block(self)  # whoever watches hears of it now, not at the end

    def _measure(self) -> None:
        (arm,) = self.arms
        whole = len(arm.board.ids)
        try:
            answered = self.ask([arm], range(whole))
        except (KeyboardInterrupt, InconclusiveError):
            arm.state = "stopped"
            raise
        answers, complete = int(arm.seen.sum()), answered.complete and not answered.gone
        arm.state = "complete" if complete else "stopped"
        if answered.gone:
            arm.reason = f"{arm.settings.model} {answered.gone[arm.settings.model]}"
        elif not complete:
            arm.reason = f"the budget, {self.plan.budget.words()}, covered {arm.samples()} of {whole} samples"
        elif arm.failed + arm.unscored == answers:
            arm.state, arm.reason = "failed", f"none of {answers} answers could be judged"
        elif self.plan.task.embedding is None and arm.quality() is None:
            arm.state, arm.reason = "failed", _untold(arm)
        self.on_block(self)
        if answered.gone:
            raise ProviderError(
                f"{arm.reason}; mend it and run the same command again, or resume the run with "
                "`harness eval --resume latest`: nothing that was answered is lost"
            )
        if answers and arm.failed == answers:
            raise ProviderError(
                f"{arm.settings.model} answered none of {answers} calls; the last one failed with "
                f"{arm.failure}; mend it and run the same command again, or resume the run with "
                "`harness eval --resume latest`"
            )
        if arm.state == "failed":
            raise InconclusiveError(f"{arm.reason}; see their reasons in scores.parquet")
        if not complete:
            raise InconclusiveError(f"{arm.reason}; raise it, and go on with `harness eval --resume latest`")

    def planned_calls(self) -> int:
        """The answers of the evaluation, or as many as the budget allows."""
        return min(sum(arm.seen.size for arm in self.arms), answers_within(self.plan))


def _untold(arm: Arm) -> str:
    """Why answers give no quality, where some could be judged."""
    counted = sum(not math.isnan(value) for value in arm.quality_values().tolist())
    return (
        f"{arm.board.plan.task.metric} cannot be told: {counted} of {arm.samples()} samples count for it, as "
        f"{arm.failed} answers failed and {arm.unscored} are unscored; it takes two independent ones"
    )
