"""A laboratory: simulated experiments, their plans, and searches on them without a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.catalogue.models import Catalogue, load_catalogue
from harness.plan.plan import Plan
from harness.plan.planner import make_plan
from harness.records import Call, Reply, Sample
from harness.store.store import open_store
from harness.testing.builders import a_call, a_completion, a_failure, a_reply, a_score, a_settings
from harness.testing.simulator import SimulatedExperiment, Simulator, simulated_experiment
from harness.trials.board import Board
from harness.trials.evaluate import Pipeline
from harness.trials.evidence import Arm
from harness.trials.search import Search


@dataclass
class Witness:
    """A provider that notes each call in order of arrival and lets a simulator answer it."""

    simulator: Simulator
    calls: list[Call] = field(default_factory=list)

    async def complete(self, call: Call) -> Reply:
        self.calls.append(call)
        return await self.simulator.complete(call)

    async def close(self) -> None:
        await self.simulator.close()


@dataclass(frozen=True)
class Lab:
    """A folder to experiment in, with a catalogue read once."""

    folder: Path
    catalogue: Catalogue

    def experiment(self, n_samples: int = 60, **sections: Any) -> SimulatedExperiment:
        return simulated_experiment(self.folder / "experiment", n_samples=n_samples, **sections)

    def plan(self, experiment: SimulatedExperiment | None = None, **sections: Any) -> Plan:
        made = experiment or self.experiment(**sections)
        return make_plan(made.spec, catalogue=self.catalogue)

    def search(self, plan: Plan, provider: Any, *, store: str = "store.db", **watchers: Any) -> Search:
        """A search of this plan that ran to its end, whatever end that was."""
        search, error = self.attempt(plan, provider, store=store, **watchers)
        if error is not None:
            raise error
        return search

    def attempt(
        self,
        plan: Plan,
        provider: Any,
        *,
        store: str = "store.db",
        on_answer: Callable[[], None] | None = None,
        asks_ahead: bool = True,
        **watchers: Any,
    ) -> tuple[Search, BaseException | None]:
        """A search, and what it raised."""
        database = open_store(f"sqlite:///{self.folder / store}")
        budget = plan.budget
        try:
            with Engine(
                run="run-1",
                providers={"sim": provider},
                endpoints=plan.endpoints,
                models=plan.models,
                store=database,
                caps=Caps(usd=budget.usd, calls=budget.calls, tokens=budget.tokens),
                minutes=budget.minutes,
                seed=plan.seed,
            ) as engine:
                ask = Pipeline(engine, on_answer).ask
                search = Search(plan, ask if asks_ahead else lambda *due: ask(*due[:2]), **watchers)
                try:
                    search.run()
                except Exception as error:  # noqa: BLE001 - the caller looks at it
                    return search, error
                return search, None
        finally:
            database.close()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The shipped catalogue, read once."""
    return load_catalogue()


@pytest.fixture
def lab(tmp_path: Path, catalogue: Catalogue) -> Lab:
    """A laboratory of its own."""
    return Lab(tmp_path, catalogue)


@pytest.fixture
def witness() -> Callable[[Simulator], Witness]:
    """Makes a witness of a simulator."""
    return Witness


@dataclass(frozen=True)
class Bench:
    """An arm to fill by hand: `right(0)`, `wrong(1)`, `unscored(2)`, `failed(3)` at positions of a split."""

    arm: Arm

    def answer(self, position: int, value: float | None, *, repeat: int = 0, **changes: Any) -> None:
        """One answer with this score; changes: price_usd, latency, label, reason, others, ..."""
        label, others, reason = (
            changes.pop("label", None),
            changes.pop("others", {}),
            changes.pop("reason", ""),
        )
        reply = a_reply(finish_reason=changes.pop("finish_reason", "stop"))
        outcome = a_completion(call=a_call(repeat=repeat), reply=reply, **changes)
        scores = [a_score(value=value, label=label, repeat=repeat, reason=reason)]
        scores += [a_score(scorer=name, value=given) for name, given in others.items()]
        self.arm.take(position, outcome, scores)

    def right(self, *positions: int, repeat: int = 0) -> None:
        for position in positions:
            self.answer(position, 1.0, repeat=repeat)

    def wrong(self, *positions: int, repeat: int = 0) -> None:
        for position in positions:
            self.answer(position, 0.0, repeat=repeat)

    def failed(self, *positions: int, repeat: int = 0) -> None:
        for position in positions:
            self.arm.take(position, a_failure(call=a_call(repeat=repeat)), ())

    def note(self, position: int, target: str, group: str | None = None, **metadata: Any) -> None:
        """The sample at this position."""
        sample = Sample(
            id=self.arm.board.ids[position],
            inputs={},
            target=target,
            split="search",
            group=group,
            metadata=metadata,
        )
        self.arm.board.note(position, sample)


@pytest.fixture
def bench(lab: Lab) -> Callable[..., Bench]:
    """Makes a bench: an empty arm on the search split of a small plan, with parts of the plan replaced."""

    def make(*, failures: str = "count_as_wrong", metric: str = "accuracy", repeats: int = 1) -> Bench:
        plan = lab.plan(lab.experiment(40, aim={"confirm": 0.3}))
        task = replace(plan.task, metric=metric, repeats=repeats)
        changed = replace(plan, task=task, failures=failures)
        settings = a_settings(model="sim/small", prompt="plain")
        return Bench(Arm.of(7, settings, Board.of(changed, "search")))

    return make
