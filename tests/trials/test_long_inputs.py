"""Promises of long inputs asked about in chunks: calls, money, and one answer from many."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.provider import ProviderFault
from harness.plan.estimate import calls_per_answer
from harness.store.store import open_store
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider
from harness.trials.allowance import answers_within
from harness.trials.evaluate import Due, Pipeline, answer_rows, remember
from harness.trials.evidence import Arm, Board

WORDS = {"yes": "fine", "no": "broken"}


def a_row(n):
    """Every second row is long: it says `fine` most often where its target is yes, else `broken`."""
    target = ("yes", "no")[n // 2 % 2]
    other = "no" if target == "yes" else "yes"
    words = [WORDS[target]] * 20 + [WORDS[other]] * 5 + [WORDS[target]] * 20
    text = "".join(
        f"Part {n}.{place} is {word}. " for place, word in enumerate(words if n % 2 else words[:1])
    )
    return {"id": f"r{n}", "text": text, "target": target}


@pytest.fixture
def plan_of(lab):
    """Makes plans of 24 such rows with a way to combine answers."""

    def make(**form):
        experiment = lab.experiment(24)
        path = lab.folder / "long.jsonl"
        path.write_text("".join(json.dumps(a_row(n)) + "\n" for n in range(24)), encoding="utf-8")
        long = {"strategy": "map_reduce", "field": "text", "size": 40, **form}
        task = {
            "dataset": str(path),
            "prompt": "Fine? {{ text }}",
            "scorers": [{"choice": {"labels": ["yes", "no"]}}],
            "metric": "accuracy",
            "long_inputs": long,
        }
        experiment.spec["task"] = task
        return lab.plan(experiment)

    return make


@pytest.fixture
def engine_of(lab):
    """Makes engines over one store."""
    stores = []

    def make(plan, provider, run="run-1", **caps):
        stores.append(open_store(f"sqlite:///{lab.folder}/store.db"))
        return Engine(
            run=run,
            providers={"sim": provider},
            endpoints=plan.endpoints,
            models=plan.models,
            store=stores[-1],
            caps=Caps(**caps),
            clock=FakeClock(),
        )

    yield make
    for store in stores:
        store.close()


def an_arm(plan):
    """An empty arm on the search split."""
    return Arm.of(0, plan.space.defaults[plan.space.models[0]], Board.of(plan, "search"))


def reads(call):
    """Yes for a chunk with something fine in it."""
    return "yes" if "fine" in call.messages[-1].content else "no"


def chunks_of(plan, arm):
    """How many calls each sample of the arm takes, without the last one of reduce."""
    return [len(list(plan.task.each_piece("default", plan.task.rows.sample(one)))) for one in arm.board.ids]


def test_a_vote_is_one_answer_and_every_chunk_is_paid(plan_of, engine_of):
    """A chunk that says the other thing is outvoted; the bill is that of all calls."""
    plan = plan_of(combine="vote")
    provider, arm = ScriptedProvider(reads), an_arm(plan)
    with engine_of(plan, provider) as engine:
        Pipeline(engine).ask([arm], range(len(arm.board.ids)))
        spend = engine.spend()
    chunks = chunks_of(plan, arm)
    assert max(chunks) >= 3
    assert len(provider.calls) == spend.calls == sum(chunks)
    assert (arm.value[:, 0] == 1).all()
    assert arm.spent_usd == pytest.approx(spend.usd)
    prices = arm.price[:, 0]
    assert prices[chunks.index(max(chunks))] > 2 * prices[chunks.index(1)]


def test_a_cap_on_calls_has_room_for_fewer_answers_that_are_made_of_chunks(plan_of):
    """Forty calls are not forty answers where every second one takes several."""
    plan = plan_of(combine="vote")
    capped = replace(plan, budget=replace(plan.budget, calls=40))
    assert answers_within(capped) == int(40 / calls_per_answer(plan)) < 40


def test_a_trial_tells_how_many_inputs_were_cut_down(plan_of, engine_of):
    """Every second one, and nothing where chunks show all of it."""
    cut, whole = plan_of(strategy="truncate"), plan_of(combine="vote")
    for plan, low, high in ((cut, 0.3, 0.7), (whole, None, None)):
        arm = an_arm(plan)
        with engine_of(plan, ScriptedProvider(reads)) as engine:
            Pipeline(engine).ask([arm], range(len(arm.board.ids)))
            rows = list(answer_rows(arm, engine))
        rate = arm.trial().input_truncation_rate
        assert (rate is None) == (low is None)
        assert rate is None or low <= rate <= high
        assert sum(row.lost_tokens > 0 for row in rows) == len(rows) * (rate or 0)


def test_answers_stand_one_below_the_other_in_the_order_of_the_chunks(plan_of, engine_of):
    """Whoever was answered first."""
    plan = plan_of(combine="concat")
    for row in _rows(plan, engine_of):
        pieces = plan.task.each_piece("default", plan.task.rows.sample(row.sample_id))
        said = ["yes" if "fine" in piece[0].content else "no" for piece in pieces]
        assert row.text.split("\n\n") == said
        assert row.chunks == len(said)


def test_a_prompt_combines_the_answers_in_one_call_more(plan_of, engine_of):
    """It sees all answers in their order, and its answer is the answer; short inputs need none."""
    plan = plan_of(combine="reduce", reduce="Combine {% for one in answers %}{{ one }},{% endfor %}")
    asked = set()

    def answer(call):
        text = call.messages[-1].content
        if not text.startswith("Combine"):
            return reads(call)
        asked.add(text)
        return "no"

    rows = _rows(plan, engine_of, ScriptedProvider(answer))
    assert {row.text for row in rows if row.chunks > 1} == {"no"}
    assert {row.text for row in rows if row.chunks == 1} == {"yes", "no"}
    assert any("no,yes" in text and text.startswith("Combine yes,") for text in asked)


def _rows(plan, engine_of, provider=None):
    arm = an_arm(plan)
    with engine_of(plan, provider or ScriptedProvider(reads)) as engine:
        Pipeline(engine).ask([arm], range(len(arm.board.ids)))
        return list(answer_rows(arm, engine))


@pytest.mark.parametrize(
    "form", [{"combine": "vote"}, {"combine": "reduce", "reduce": "Combine {{ answers }}"}]
)
def test_a_second_run_asks_nothing_and_remembers_the_same(plan_of, engine_of, form):
    """Every chunk is found by its own key, and so is the call that combined them."""
    plan, again = plan_of(**form), ScriptedProvider([])
    first = an_arm(plan)
    with engine_of(plan, ScriptedProvider(reads)) as engine:
        Pipeline(engine).ask([first], range(len(first.board.ids)))
        told = list(answer_rows(first, engine))
    second, third = an_arm(plan), an_arm(plan)
    with engine_of(plan, again, run="run-2") as engine:
        Pipeline(engine).ask([second], range(len(second.board.ids)))
        remember(third, first.seen_text(), engine)
        again_told = list(answer_rows(third, engine))
        assert engine.spend().usd == 0
    assert not again.calls
    assert second.spent_usd == 0
    assert third.cached == first.cached
    assert second.cached == len(second.board.ids)
    assert (second.value == first.value).all()
    assert (third.value == first.value).all()
    assert [(row.text, row.chunks, row.scores) for row in again_told] == [
        (row.text, row.chunks, row.scores) for row in told
    ]


@pytest.mark.parametrize("run", ["run-1", "run-2"])
def test_chunks_that_others_paid_for_are_not_spent_again(plan_of, engine_of, run):
    """Of an answer that is cached in part, only the rest is spending; its price stays whole.

    What the run itself paid for, in an earlier process, is no part that is cached.
    """
    plan = plan_of(combine="vote")
    arm, position = an_arm(plan), None
    ids = arm.board.ids
    position = max(range(len(ids)), key=lambda place: chunks_of(plan, arm)[place])
    with engine_of(plan, ScriptedProvider(reads), calls=1) as engine:
        assert not Pipeline(engine).ask([arm], [position]).complete
        paid = engine.spend().usd
    assert paid > 0
    assert arm.samples() == 0
    with engine_of(plan, ScriptedProvider(reads), run=run, calls=50) as engine:
        assert Pipeline(engine).ask([arm], [position]).complete
        assert arm.spent_usd == pytest.approx(engine.spend().usd)
    by_others = 0.0 if run == "run-1" else paid
    assert float(arm.price[position, 0]) == pytest.approx(arm.spent_usd + by_others)
    assert arm.cached == 0


def test_a_chunk_that_fails_is_a_failed_answer(plan_of, engine_of):
    """Half an input read is no answer; it is a record with the cause."""
    plan = plan_of(combine="vote")

    def moody(call):
        text = call.messages[-1].content
        return ProviderFault("filtered", "not that") if "broken" in text and "fine" in text else reads(call)

    arm = an_arm(plan)
    with engine_of(plan, ScriptedProvider(moody)) as engine:
        Pipeline(engine).ask([arm], range(len(arm.board.ids)))
        rows = list(answer_rows(arm, engine))
    mixed = [place for place, n in enumerate(chunks_of(plan, arm)) if n > 1]
    assert arm.failed == len(mixed)
    assert [row.failure for row in rows if row.chunks > 1] == ["filtered"] * len(mixed)


def test_what_is_asked_ahead_is_asked_in_chunks_too(plan_of, engine_of):
    """All of them or none, so that nothing is paid twice or forgotten."""
    plan = plan_of(combine="vote")
    provider, arm = ScriptedProvider(reads), an_arm(plan)
    places = range(len(arm.board.ids))
    with engine_of(plan, provider) as engine:
        pipeline = Pipeline(engine)
        pipeline.ask([arm], places[:2], ahead=Due([arm], places[2:]))
        assert arm.samples() == 2
        pipeline.ask([arm], places)
    assert arm.samples() == len(places)
    assert len(provider.calls) == sum(chunks_of(plan, arm))
