"""Simulator: a provider with a known truth, a bill of its own, and faults on schedule."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.calls.provider import Provider, ProviderFault
from harness.catalogue.models import price_usd
from harness.plan.spec import Spec
from harness.records import Call, Message
from harness.testing.builders import a_call, a_settings
from harness.testing.contracts import ProviderContract
from harness.testing.fake_clock import FakeClock
from harness.testing.simulator import Simulator, simulated_experiment, simulated_world

TARGETS = {f"s{n}": ("yes", "no")[n % 2] for n in range(300)}
WORLD = simulated_world(TARGETS, seed=11)


def call(sample_id: str = "s1", *, repeat: int = 0, **settings: Any) -> Call:
    """A call of the medium model, about 14 tokens long."""
    changed = a_settings(**({"model": "sim/medium", "max_output_tokens": 256} | settings))
    messages = (Message("system", "Answer yes or no."), Message("user", "one two three four five"))
    return a_call(settings=changed, sample_id=sample_id, repeat=repeat, messages=messages)


def ask(simulator: Simulator, *calls: Call) -> list[Any]:
    """Outcomes of these calls, all sent at once; faults are returned."""

    async def run() -> list[Any]:
        return await asyncio.gather(*map(simulator.complete, calls), return_exceptions=True)

    return asyncio.run(run())


class TestSimulatorKeepsTheContract(ProviderContract):
    """The simulator is a provider like any other."""

    def make_provider(self) -> Provider:
        """A fresh one."""
        return Simulator(WORLD)

    def make_faulty_provider(self) -> Provider:
        """Always overloaded."""
        return Simulator(WORLD, faults=lambda call, attempt: ProviderFault("overloaded", "503"))

    def requests_sent(self, provider: Any) -> int:
        """It counts by itself."""
        return provider.requests


class TestSimulatorOnAClockKeepsTheContract(TestSimulatorKeepsTheContract):
    """Latency changes nothing about the contract."""

    def make_provider(self) -> Provider:
        """A fresh one."""
        return Simulator(WORLD, clock=FakeClock())


def test_answers_are_the_worlds() -> None:
    """The simulator adds prompt tokens and decides nothing."""
    one = call("s5", prompt="reasoned")
    (reply,) = ask(Simulator(WORLD), one)
    assert reply == WORLD.answer(one.settings, "s5", input_tokens=6 + 7)


def test_targets_given_replace_those_of_the_world() -> None:
    """One world can serve several data sets."""
    simulator = Simulator(simulated_world({}), {"x1": "no"})
    (reply,) = ask(simulator, call("x1", temperature=0.0))
    assert reply.text in ("yes", "no")
    assert simulator.world.targets == {"x1": "no"}


def test_order_and_company_do_not_matter() -> None:
    """The same call gets the same answer first or last, alone or among others."""
    calls = [call(s, repeat=r, temperature=1.0) for s in list(TARGETS)[:20] for r in range(2)]
    forward, backward = ask(Simulator(WORLD), *calls), ask(Simulator(WORLD), *reversed(calls))
    assert forward == backward[::-1]


def test_the_bill_is_usage_times_price() -> None:
    """Every answer is charged, whichever model gave it; the tariff is the world's."""
    calls = [call(s, model=m, prompt="reasoned") for s in TARGETS for m in ("sim/small", "sim/large")]
    simulator = Simulator(WORLD)
    replies = ask(simulator, *calls)
    expected = sum(
        price_usd(reply.usage, WORLD.models[c.settings.model].prices)
        for reply, c in zip(replies, calls, strict=True)
    )
    assert simulator.bill_usd == pytest.approx(expected, rel=1e-12)
    assert simulator.requests == len(calls)
    assert simulator.requests_by_model == {"sim/small": 300, "sim/large": 300}


def test_a_hand_worked_bill() -> None:
    """13 tokens in at 0.4 and 2 out at 1.6 USD a million are 8.4 millionths of a dollar."""
    simulator = Simulator(WORLD)
    ask(simulator, call())
    assert simulator.bill_usd == pytest.approx(8.4e-6)


def test_faults_come_by_schedule_and_cost_nothing() -> None:
    """The schedule sees each attempt at a call, counted from 1 for that call alone."""

    def twice(call: Call, attempt: int) -> ProviderFault | None:
        return ProviderFault("rate_limit", "429") if attempt <= 2 else None

    simulator = Simulator(WORLD, faults=twice)
    outcomes = [ask(simulator, call("s1"), call("s2")) for _ in range(3)]
    kinds = [[getattr(outcome, "kind", "answer") for outcome in row] for row in outcomes]
    assert kinds == [["rate_limit"] * 2, ["rate_limit"] * 2, ["answer"] * 2]
    free = Simulator(WORLD)
    ask(free, call("s1"), call("s2"))
    assert (simulator.requests, simulator.bill_usd) == (6, free.bill_usd)


def test_a_billed_fault_is_charged() -> None:
    """An answer that broke off after it was begun is on the bill."""
    simulator = Simulator(WORLD, faults=lambda call, attempt: ProviderFault("timeout", "cut", billed=True))
    (fault,) = ask(simulator, call())
    assert (fault.kind, simulator.bill_usd) == ("timeout", pytest.approx(8.4e-6))


@pytest.mark.parametrize(
    ("wrong", "kind", "named"),
    [
        (call(model="sim/huge"), "not_found", "sim/huge"),
        (call(prompt="other"), "bad_request", "other"),
        (call("nobody"), "bad_request", "nobody"),
        (replace(call(), purpose="judge"), "bad_request", "judge"),
    ],
)
def test_a_call_it_cannot_answer_is_a_fault(wrong: Call, kind: str, named: str) -> None:
    """As a provider does: unknown models are not found, the rest is a bad request that names the reason."""
    simulator = Simulator(WORLD)
    (fault,) = ask(simulator, wrong)
    assert isinstance(fault, ProviderFault)
    assert fault.kind == kind
    assert named in fault.message
    assert (simulator.bill_usd, simulator.in_flight) == (0.0, 0)


def test_a_setting_the_model_refuses_is_a_bad_request() -> None:
    """A model that does not take a setting says so when it is sent, and only then."""
    models = {"sim/fixed": replace(WORLD.models["sim/medium"], refuses=frozenset({"temperature"}))}
    simulator = Simulator(replace(WORLD, models=models))
    fault, reply = ask(simulator, call(model="sim/fixed"), call(model="sim/fixed", temperature=None))
    assert (fault.kind, "temperature" in fault.message) == ("bad_request", True)
    assert reply.text


def test_it_takes_as_long_as_the_world_says() -> None:
    """On a clock each call lasts its latency, and calls overlap."""
    clock = FakeClock()
    simulator = Simulator(WORLD, clock=clock)
    calls = [call(s) for s in list(TARGETS)[:50]]
    replies = ask(simulator, *calls)
    expected = [WORLD.latency(c.settings, c.sample_id, output_tokens=2) for c in calls]
    assert clock.monotonic() == max(latency.total_s for latency in expected)
    assert [r.first_token_s for r in replies] == [latency.first_token_s for latency in expected]


@pytest.mark.parametrize("clock", [None, FakeClock()])
def test_it_knows_how_many_calls_overlapped(clock: FakeClock | None) -> None:
    """The peak is what was in flight at once, with and without latency; nothing stays behind."""
    simulator = Simulator(WORLD, clock=clock)
    ask(simulator, *(call(s) for s in list(TARGETS)[:7]))
    ask(simulator, call())
    assert (simulator.peak_in_flight, simulator.in_flight) == (7, 0)


def test_whoever_hangs_up_pays() -> None:
    """A cancelled call is on the bill, and is no longer in flight."""
    simulator = Simulator(WORLD, clock=FakeClock(autojump=False))

    async def hang_up() -> None:
        task = asyncio.ensure_future(simulator.complete(call()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(hang_up())
    assert (simulator.in_flight, simulator.bill_usd) == (0, pytest.approx(8.4e-6))


def test_an_experiment_is_complete(tmp_path: Path) -> None:
    """Files, rows, spec and truth belong together, and the simulator answers every row."""
    experiment = simulated_experiment(tmp_path / "new", n_samples=30, labels=("a", "b", "c"), seed=2)
    task = experiment.spec["task"]
    lines = Path(task["dataset"]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows == list(experiment.rows)
    assert {row["id"]: row["target"] for row in rows} == experiment.world.targets
    assert list(task["prompt"]) == list(experiment.world.prompts)
    assert experiment.spec["search"]["models"] == list(experiment.world.models)
    replies = ask(experiment.simulator(), *(call(row["id"]) for row in rows))
    assert all(reply.text in ("a", "b", "c") for reply in replies)


def test_an_experiment_has_a_valid_spec(tmp_path: Path) -> None:
    """The spec passes the strict reading that a file would."""
    spec = Spec.model_validate(simulated_experiment(tmp_path, n_samples=2).spec)
    assert spec.search.models == ["sim/small", "sim/medium", "sim/large"]


def test_an_experiment_states_the_prices_that_the_simulator_charges(tmp_path: Path) -> None:
    """Spec and world agree about money."""
    experiment = simulated_experiment(tmp_path, n_samples=2)
    stated = experiment.spec["providers"]["sim"]["models"]
    for name, model in experiment.world.models.items():
        prices = stated[name.removeprefix("sim/")]["prices"]
        assert (prices["input"], prices["output"]) == (model.prices.input, model.prices.output)


def test_sections_of_the_spec_can_be_changed(tmp_path: Path) -> None:
    """A mapping is merged, another value replaces, None removes."""
    plain = simulated_experiment(tmp_path, n_samples=2).spec
    changed = simulated_experiment(
        tmp_path, n_samples=2, budget={"calls": 9}, failures="leave_out", description=None
    ).spec
    assert changed["budget"] == {"usd": 5.0, "calls": 9}
    assert changed["failures"] == "leave_out"
    assert set(plain) - set(changed) == {"description"}


def test_the_best_of_an_experiment_beats_its_untuned_default(tmp_path: Path) -> None:
    """There is something to find, and its truth is known."""
    experiment = simulated_experiment(tmp_path, n_samples=2)
    best = experiment.best()
    truth = experiment.world.true_quality
    assert best.model == "sim/large"
    assert truth(best) - truth(a_settings()) > 0.1
