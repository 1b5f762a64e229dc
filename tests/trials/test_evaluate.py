"""Evaluate: the same questions for all arms, and evidence from what comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.provider import ProviderFault
from harness.catalogue.models import Accepts
from harness.store.store import open_store
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider
from harness.trials.board import Board
from harness.trials.evaluate import MOST_AHEAD, Due, Pipeline, answer_rows, make_call, remember
from harness.trials.evidence import Arm

PATIENCE_S = 10.0


@pytest.fixture
def plan(lab):
    """40 samples, about 28 of them to search on."""
    return lab.plan(lab.experiment(40))


@pytest.fixture
def engine_of(lab, plan):
    """Makes engines over one store."""
    stores = []

    def make(provider, clock=None, **caps) -> Engine:
        stores.append(open_store(f"sqlite:///{lab.folder}/store.db"))
        return Engine(
            run="run-1",
            providers={"sim": provider},
            endpoints=plan.endpoints,
            models=plan.models,
            store=stores[-1],
            caps=Caps(**caps),
            clock=clock or FakeClock(),
        )

    yield make
    for store in stores:
        store.close()


def arms_of(plan, *models, split="search"):
    """One empty arm a model, on one board."""
    board = Board.of(plan, split)
    return [Arm.of(n, replace(plan.space.defaults[f"sim/{model}"]), board) for n, model in enumerate(models)]


def test_all_arms_meet_the_same_samples(plan, engine_of):
    """Calls are interleaved by sample: every arm answers one before anybody meets the next."""
    provider = ScriptedProvider("yes")
    arms = arms_of(plan, "small", "large")
    with engine_of(provider) as engine:
        assert Pipeline(engine).ask(arms, range(5))
    asked = [call.sample_id for call in provider.calls]
    ids = plan.task.rows.ids("search")
    assert sorted(asked) == sorted([*ids[:5], *ids[:5]])
    assert [arm.samples() for arm in arms] == [5, 5]


def test_what_was_answered_before_is_not_asked_again(plan, engine_of):
    """An arm that goes on answers what is new."""
    provider = ScriptedProvider("yes")
    (arm,) = arms_of(plan, "small")
    with engine_of(provider) as engine:
        Pipeline(engine).ask([arm], range(4))
        Pipeline(engine).ask([arm], range(6))
    assert len(provider.calls) == arm.samples() == 6


def test_answers_are_scored(plan, engine_of):
    """A right answer is worth 1, a wrong one 0."""
    rows = plan.task.rows
    (arm,) = arms_of(plan, "small")
    with engine_of(ScriptedProvider("yes")) as engine:
        Pipeline(engine).ask([arm], range(10))
    expected = [float(rows.sample(i).target == "yes") for i in rows.ids("search")[:10]]
    assert arm.quality_values()[:10].tolist() == expected


def test_a_call_that_the_budget_refuses_is_not_evidence(plan, engine_of):
    """It was never sent: the arm has not seen the sample, and the caller is told."""
    provider = ScriptedProvider("yes")
    (arm,) = arms_of(plan, "small")
    with engine_of(provider, calls=3) as engine:
        assert not Pipeline(engine).ask([arm], range(8)).complete
    assert len(provider.calls) == arm.samples() == 3
    assert arm.failed == 0


def test_a_failed_call_is_evidence(plan, engine_of):
    """A request that the provider refuses is a failure of these settings."""
    (arm,) = arms_of(plan, "small")
    with engine_of(ScriptedProvider(ProviderFault("bad_request", "no"))) as engine:
        assert Pipeline(engine).ask([arm], range(4)).complete
    assert (arm.samples(), arm.failed) == (4, 4)


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("credentials", {"sim/medium", "sim/small"}),
        ("quota", {"sim/medium", "sim/small"}),
        ("not_found", {"sim/medium"}),
    ],
)
def test_what_would_meet_every_call_is_not_asked_again(plan, engine_of, kind, gone):
    """A key or an account concerns all models of a provider, an unknown name just one."""

    def answer(call):
        return ProviderFault(kind, "refused by the test") if call.settings.model == "sim/medium" else "yes"

    provider = ScriptedProvider(answer)
    arms = arms_of(plan, "medium", "small")
    with engine_of(provider) as engine:
        answered = Pipeline(engine).ask(arms, range(20))
    assert set(answered.gone) == gone
    assert answered.gone["sim/medium"] == f"cannot be asked ({kind}): refused by the test"
    assert answered.complete


def test_a_model_that_nobody_answers_for_is_given_up(plan, engine_of):
    """The engine pauses it, probes it, and gives up; others are asked on."""

    def answer(call):
        return ProviderFault("connection", "refused") if call.settings.model == "sim/medium" else "yes"

    arms = arms_of(plan, "medium", "small")
    with engine_of(ScriptedProvider(answer)) as engine:
        answered = Pipeline(engine).ask(arms, range(24))
    assert list(answered.gone) == ["sim/medium"]
    assert answered.gone["sim/medium"].startswith("cannot be asked (down): down since ")
    assert arms[1].samples() == 24


def test_whoever_watches_is_called_after_each_answer(plan, engine_of):
    """Once an outcome, when the evidence holds it already."""
    (arm,) = arms_of(plan, "small")
    seen = []
    with engine_of(ScriptedProvider("yes")) as engine:
        Pipeline(engine, lambda: seen.append(arm.samples())).ask([arm], range(5))
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("positions", [range(12), [0, 1, 5, 9]])
def test_an_arm_remembers_exactly_what_it_saw(plan, engine_of, positions):
    """Its evidence comes back from the store without a request, holes and all."""
    provider = ScriptedProvider("yes")
    first, other, second = (arms_of(plan, "small")[0] for _ in range(3))
    with engine_of(provider) as engine:
        Pipeline(engine).ask([first], positions)
        # What another trial with the same settings answered is not this one's.
        Pipeline(engine).ask([other], range(20))
        asked = len(provider.calls)
        remember(second, first.seen_text(), engine)
    assert second.seen.tolist() == first.seen.tolist()
    assert second.quality_values().tolist() == pytest.approx(first.quality_values().tolist(), nan_ok=True)
    assert len(provider.calls) == asked


def test_rows_say_what_came_of_each_call(plan, engine_of):
    """One row a call, in order of samples, with text, target, score and price; failures without."""
    ids = plan.task.rows.ids("search")
    answer = {ids[0]: "yes", ids[1]: "no", ids[2]: ProviderFault("filtered", "no")}
    (arm,) = arms_of(plan, "small")
    with engine_of(ScriptedProvider(lambda call: answer[call.sample_id])) as engine:
        Pipeline(engine).ask([arm], range(3))
        rows = list(answer_rows(arm, engine))
    assert [row.sample_id for row in rows] == list(ids[:3])
    assert [row.text for row in rows] == ["yes", "no", None]
    assert [row.failure for row in rows] == [None, None, "filtered"]
    assert [row.target for row in rows] == [plan.task.rows.sample(i).target for i in ids[:3]]
    assert [len(row.scores) for row in rows] == [1, 1, 0]
    assert rows[0].price_usd > 0
    assert rows[2].price_usd is None


def seeded(plan):
    """The plan with a small model that takes a seed."""
    model = plan.models["sim/small"]
    settings = {**model.settings, "seed": Accepts()}
    return replace(plan, models={**plan.models, "sim/small": replace(model, settings=settings)})


def test_seeds_differ_by_sample_and_repeat_but_not_by_settings(plan):
    """Common random numbers: the same question gets the same seed under all settings."""
    plan = seeded(plan)
    settings = plan.space.defaults["sim/small"]
    one, other = (plan.task.rows.sample(i) for i in plan.task.rows.ids("search")[:2])

    def seed(sample, repeat=0, **changes):
        return make_call(plan, replace(settings, **changes), sample, repeat).settings.seed

    assert seed(one) == seed(one, temperature=0.9) == seed(one, prompt="reasoned")
    assert len({seed(one), seed(other), seed(one, 1)}) == 3
    assert 0 <= seed(one) < 2**31
    assert seed(one, seed=42) == 42


def test_no_seed_where_it_means_nothing(plan):
    """Greedy answers have no chance in them, and a model that takes no seed is not sent one."""
    sample = plan.task.rows.sample(plan.task.rows.ids("search")[0])
    settings = plan.space.defaults["sim/small"]
    assert make_call(plan, settings, sample, 0).settings.seed is None
    assert make_call(seeded(plan), replace(settings, temperature=0.0), sample, 0).settings.seed is None


# -- asked ahead


def test_calls_of_the_next_block_fill_the_line_while_the_last_answers_are_waited_for(plan, engine_of):
    """The slowest answer of a block comes only when what was asked ahead was sent."""
    ids, sent = plan.task.rows.ids("search"), asyncio.Event()

    async def answer(call):
        if call.sample_id == ids[5]:
            sent.set()
        if call.sample_id == ids[0]:
            async with asyncio.timeout(PATIENCE_S):
                await sent.wait()
        return "yes"

    (arm,) = arms_of(plan, "small")
    provider = ScriptedProvider(answer)
    with engine_of(provider, FakeClock(autojump=False)) as engine:
        pipeline = Pipeline(engine)
        assert pipeline.ask([arm], range(4), Due([arm], range(4, 6))).complete
        assert arm.samples() == 4
        assert pipeline.ask([arm], range(4, 9)).complete
    assert (arm.samples(), arm.failed) == (9, 0)
    assert sorted(call.sample_id for call in provider.calls) == sorted(ids[:9])


def test_what_was_asked_ahead_and_is_refused_is_told_with_its_block(plan, engine_of):
    """The block before it was paid in full."""
    (arm,) = arms_of(plan, "small")
    with engine_of(ScriptedProvider("yes"), calls=5) as engine:
        pipeline = Pipeline(engine)
        assert pipeline.ask([arm], range(4), Due([arm], range(4, 8))).complete
        assert not pipeline.ask([arm], range(4, 8)).complete
    assert arm.samples() == 5


def test_a_model_that_ran_out_of_credit_ahead_is_gone_with_its_provider(plan, engine_of):
    """Whoever is asked when that is told: the cause meets the models that share the account."""

    def answer(call):
        return ProviderFault("quota", "spent") if call.settings.model == "sim/medium" else "yes"

    small, medium, large = arms_of(plan, "small", "medium", "large")
    with engine_of(ScriptedProvider(answer)) as engine:
        pipeline = Pipeline(engine)
        pipeline.ask([small], range(4), Due([medium], range(4)))
        answered = pipeline.ask([large], range(4))
    assert set(answered.gone) == {"sim/medium", "sim/large"}


def test_no_more_is_asked_ahead_than_any_line_holds(plan, engine_of):
    """The rest comes with its block; repeats of one sample may be parted."""
    provider = ScriptedProvider("yes")
    plan = replace(plan, task=replace(plan.task, repeats=20))
    (arm,) = arms_of(plan, "small")
    with engine_of(provider) as engine:
        pipeline = Pipeline(engine)
        pipeline.ask([arm], range(2), Due([arm], range(2, 24)))
        assert pipeline._early is not None
        assert len(pipeline._early.places) == MOST_AHEAD < 22 * 20
        pipeline.ask([arm], range(2, 24))
    assert int(arm.seen.sum()) == len(provider.calls) == 24 * 20


def test_an_interrupt_stops_what_was_asked_ahead(plan, engine_of):
    """Nothing more is sent afterwards."""
    (arm,) = arms_of(plan, "small")

    def stop():
        if arm.samples() == 8:
            raise KeyboardInterrupt

    provider = ScriptedProvider("yes")
    with engine_of(provider) as engine:
        pipeline = Pipeline(engine, stop)
        with pytest.raises(KeyboardInterrupt):
            pipeline.ask([arm], range(8), Due([arm], range(8, 24)))
        asked = len(provider.calls)
        assert engine.spend().calls == asked
    assert len(provider.calls) == asked
