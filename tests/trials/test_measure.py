"""One set of settings on every sample: what ends the measurement, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.calls.provider import ProviderFault
from harness.errors import InconclusiveError, ProviderError
from harness.plan.planner import make_plan
from harness.store.store import open_store
from harness.testing.builders import a_score
from harness.testing.scripted import ScriptedProvider
from harness.trials.evaluate import Answered, Pipeline
from harness.trials.measure import Measurement


@dataclass(frozen=True)
class Speechless:
    """A scorer that can judge nothing."""

    name: str = "speechless"
    version: int = 1

    def score(self, answer):
        return a_score(sample_id=answer.sample.id, scorer=self.name, value=None, label=None)


@pytest.fixture
def measure(lab):
    """Measures the default of 40 samples with this provider; gives the measurement and what it raised."""

    def act(provider, *, split="all", caps=None, scorers=None, **sections):
        experiment = lab.experiment(40, **sections)
        plan = make_plan(experiment.spec, catalogue=lab.catalogue, split=split)
        plan = replace(plan, task=replace(plan.task, scorers=scorers or plan.task.scorers))
        store = open_store(f"sqlite:///{lab.folder}/store.db")
        engine = Engine(
            run="run-1",
            providers={"sim": provider},
            endpoints=plan.endpoints,
            models=plan.models,
            store=store,
            caps=caps or Caps(),
        )
        measurement = Measurement(plan, Pipeline(engine).ask)
        try:
            with engine:
                measurement.run()
        except (InconclusiveError, ProviderError) as error:
            return measurement, error
        finally:
            store.close()
        return measurement, None

    return act


@pytest.mark.parametrize("split", ["all", "search", "confirm"])
def test_every_sample_of_the_split_is_asked_once(measure, split):
    """And counted: planned calls are those that are made."""
    provider = ScriptedProvider("yes")
    measurement, error = measure(provider, split=split)
    (arm,) = measurement.arms
    ids = measurement.plan.task.rows.ids(split)
    assert error is None
    assert sorted(call.sample_id for call in provider.calls) == sorted(ids)
    assert (arm.state, arm.samples(), arm.trial().split) == ("complete", len(ids), split)
    assert measurement.planned_calls() == len(ids)
    assert measurement.finalists == []


def test_repeats_are_asked_too(measure):
    """As the spec says."""
    provider = ScriptedProvider("yes")
    measurement, _ = measure(provider, task={"repeats": 3})
    assert len(provider.calls) == measurement.planned_calls() == 120


def test_a_budget_that_is_too_small_is_told(measure):
    """What was answered counts; the rest can be asked later."""
    measurement, error = measure(
        ScriptedProvider("yes"), caps=Caps(calls=10), budget={"usd": None, "calls": 10}
    )
    (arm,) = measurement.arms
    assert isinstance(error, InconclusiveError)
    assert (arm.state, arm.samples()) == ("stopped", 10)
    assert "the budget, 10 calls, covered 10 of 40 samples; raise it" in str(error)
    assert measurement.planned_calls() == 10


def test_answers_that_nobody_can_judge_decide_nothing(measure):
    """A quality of 0 because nothing could be read would be a lie."""
    measurement, error = measure(ScriptedProvider("yes"), scorers=(Speechless(),))
    (arm,) = measurement.arms
    assert isinstance(error, InconclusiveError)
    assert "none of 40 answers could be judged" in str(error)
    assert arm.state == "failed"


def test_a_provider_that_answers_nothing_is_at_fault(measure):
    """Every call failed: the cause is told, and the run can go on when it is mended."""
    fault = ProviderFault("bad_request", "400: temperature is not supported")
    measurement, error = measure(ScriptedProvider(fault))
    assert isinstance(error, ProviderError)
    assert "answered none of 40 calls; the last one failed with bad_request: 400: temperature" in str(error)
    assert measurement.arms[0].failed == 40


def test_whoever_watches_hears_of_every_answer(lab):
    """Also of the end, when the trial is to be written down."""
    heard = []
    plan = make_plan(lab.experiment(40).spec, catalogue=lab.catalogue, split="confirm")
    store = open_store(f"sqlite:///{lab.folder}/store.db")
    with Engine(
        run="run-1",
        providers={"sim": ScriptedProvider("yes")},
        endpoints=plan.endpoints,
        models=plan.models,
        store=store,
        caps=Caps(),
    ) as engine:
        measurement = Measurement(
            plan,
            Pipeline(engine, lambda: heard.append(("answer", measurement.arms[0].samples()))).ask,
            on_block=lambda it: heard.append(("block", it.arms[0].state)),
        )
        measurement.run()
    store.close()
    n = len(plan.task.rows.ids("confirm"))
    assert heard == [*(("answer", count) for count in range(1, n + 1)), ("block", "complete")]


def test_the_settings_are_those_of_the_plan(lab):
    """Given ones are measured as they are."""
    settings = {"model": "sim/large", "prompt": "plain", "temperature": 0.0}
    plan = make_plan(lab.experiment(40).spec, catalogue=lab.catalogue, settings=settings)
    (arm,) = Measurement(plan, lambda *_: Answered()).arms
    assert arm.settings == plan.evaluated.settings
    assert (arm.settings.model, arm.settings.max_output_tokens) == ("sim/large", None)
