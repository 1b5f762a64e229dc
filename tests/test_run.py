"""Run: from a spec to results in the store, cut off and resumed, loaded again, and refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.calls.provider import ProviderFault
from harness.errors import InconclusiveError, ProviderError, UsageError
from harness.findings import Progress, Recommendation
from harness.past import load_run
from harness.rebuilding import rebuild_report
from harness.result import TuneResult
from harness.run import tune
from harness.store.store import open_store
from harness.testing.fake_clock import BusyClock
from harness.testing.simulator import SimulatedExperiment, simulated_experiment


@dataclass
class Site:
    """A simulated experiment, one provider that counts, and one store."""

    folder: Path
    experiment: SimulatedExperiment
    provider: Any

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder}/store.db"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    def tune(self, spec: Any = None, **options: Any) -> TuneResult:
        if spec is None and "resume" not in options:
            spec = self.experiment.spec
        given = {
            "store": self.store,
            "reports": self.reports,
            "providers": {"sim": self.provider},
            "mlflow": False,
            "environ": {},
        }
        return tune(spec, **(given | options))

    def load(self, run: str = "latest") -> TuneResult:
        return load_run(run, store=self.store, reports=self.reports)

    def load_state(self, run: str) -> str:
        with closing(open_store(self.store, {})) as store:
            return store.run(run).state

    def stopped(self, when: Callable[[Progress], bool], **options: Any) -> TuneResult:
        """A run that its user stops at the first snapshot for which this holds."""

        def watch(progress: Progress) -> None:
            if when(progress):
                raise KeyboardInterrupt

        return self.tune(on_progress=watch, clock=BusyClock(), **options)

    def spec_file(self) -> Path:
        """The spec as a file; JSON is YAML."""
        path = self.folder / "spec.yaml"
        path.write_text(json.dumps(self.experiment.spec), encoding="utf-8")
        return path


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    """Makes sites side by side; each has a folder of its own."""
    numbers = itertools.count()

    def make(n_samples: int = 60, *, faults: Any = None, **sections: Any) -> Site:
        folder = tmp_path / str(next(numbers))
        given = {"search": {"n_trials": 9}} | sections
        # One folder for the files of all: where they lie is part of a spec, and of no answer.
        experiment = simulated_experiment(tmp_path / "experiment", n_samples=n_samples, **given)
        folder.mkdir()
        return Site(folder, experiment, experiment.simulator(faults=faults))

    return make


def comparable(chosen: Recommendation, *, paid: bool = True) -> Recommendation:
    """A recommendation without what differs from run to run: its name and its time. paid: with who paid."""

    def plain(trial):
        timed = ("latency_p50_s", "latency_p95_s", "queue_p50_s", "queue_p95_s")
        money = {"spent_usd": round(trial.spent_usd, 9)} if paid else {"spent_usd": 0.0, "cached_rate": 0.0}
        return replace(trial, bounds={}, **money, **dict.fromkeys(timed))

    provenance = replace(chosen.provenance, started_at=None)
    return replace(
        chosen,
        run="",
        provenance=provenance,
        trial=plain(chosen.trial),
        search_trial=plain(chosen.search_trial),
        by_class=tuple(replace(champion, trial=plain(champion.trial)) for champion in chosen.by_class),
        by_provider=tuple(replace(champion, trial=plain(champion.trial)) for champion in chosen.by_provider),
        pareto=(),  # latency is a figure of it
    )


def table_of(result: TuneResult) -> pd.DataFrame:
    """The table of answers beside the report."""
    return pq.read_table(result.folder / "scores.parquet").to_pandas()


def paid_rows(result: TuneResult) -> float:
    """The bill as the table of answers has it."""
    table = table_of(result)
    return table["price_usd"][~table["cached"]].sum()


# -- a run


def test_a_run_ends_with_a_recommendation_in_store_and_report(site):
    """The record, the files and the store tell the same."""
    made = site()
    result = made.tune()
    assert result.record.state == "complete"
    assert len(result.record.trials) == 9
    assert {path.name for path in result.files} == {
        "report.html",
        "report.md",
        "recommendation.json",
        "trials.parquet",
        "scores.parquet",
    }
    assert all(path.parent == made.reports / result.run_id for path in result.files)
    assert made.load().record == result.record


def test_spend_is_the_providers_bill(site):
    """What the run says it paid is what the provider charged, and each trial's part of it adds up."""
    made = site()
    record = made.tune().record
    spend, trials = record.spend, (*record.trials, *record.finalists)
    assert spend.calls == made.provider.requests
    assert spend.usd == pytest.approx(made.provider.bill_usd)
    assert sum(trial.spent_usd for trial in trials) == pytest.approx(spend.usd)
    assert paid_rows(made.load()) == pytest.approx(spend.usd)
    assert (spend.cached, spend.failed) == (0, 0)
    assert made.provider.closed >= 1


def test_progress_tells_of_every_stage(site):
    """Snapshots grow, stay within what was announced, and end in the confirm phase."""
    seen: list[Progress] = []
    made = site()
    result = made.tune(on_progress=seen.append, clock=BusyClock())
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == made.provider.requests
    assert all(progress.done <= progress.planned for progress in seen)
    phases = [progress.phase for progress in seen]
    assert phases == sorted(phases, key=("search", "confirm").index)
    assert {progress.run for progress in seen} == {result.run_id}


@pytest.mark.parametrize("budget", [{"usd": 5.0}, {"calls": 330}])
def test_a_warm_store_pays_nothing_and_recommends_the_same(site, budget):
    """The second run in a store sends no request, also when calls are capped."""
    made = site(budget={"usd": None} | budget)
    first = made.tune()
    before = made.provider.requests
    second = made.tune()
    assert made.provider.requests == before > 0
    chosen = (comparable(result.recommendation, paid=False) for result in (first, second))
    assert next(chosen) == next(chosen)
    assert (second.spend.calls, second.spend.usd) == (0, 0.0)
    assert second.spend.cached == before


def test_without_the_cache_everything_is_asked_anew(site):
    """A user may want fresh answers."""
    made = site()
    first = made.tune()
    before = made.provider.requests
    second = made.tune(use_cache=False)
    assert made.provider.requests == 2 * before
    assert comparable(first.recommendation) == comparable(second.recommendation)


def test_the_choice_keeps_the_limits(site):
    """Trials that break one are marked, with the figure, and none of them is recommended."""
    record = site(200, aim={"within": {"usd_per_1k_calls": 0.1}}).tune().record
    assert record.recommendation.search_trial.usd_per_1k_calls <= 0.1
    broken = [trial for trial in record.trials if trial.state == "infeasible"]
    assert broken
    assert all("usd_per_1k_calls is" in trial.reason for trial in broken)


def test_limits_that_nothing_keeps_are_inconclusive(site):
    """The run ends, says why, has a report, and recommends nothing."""
    result = site(aim={"within": {"usd_per_1k_calls": 1e-6}}).tune()
    assert result.record.state == "inconclusive"
    with pytest.raises(InconclusiveError, match=r"recommends nothing: .*no trial meets the limits"):
        _ = result.recommendation
    assert "recommendation.json" not in {path.name for path in result.files}
    assert (result.folder / "report.html").exists()


@pytest.mark.parametrize("sections", [{"metric": "macro_f1"}, {"metric": "accuracy", "repeats": 2}])
def test_other_metrics_and_repeats_go_all_the_way(site, sections):
    """The figure that is shown is the metric of the spec, with its interval."""
    made = site(40, task=sections, search={"n_trials": 7})
    result = made.tune()
    assert result.record.metric == sections["metric"]
    quality = result.best_trial.quality
    assert 0 < quality.low <= quality.value <= quality.high <= 1
    assert quality.n == result.best_trial.samples
    assert made.load().record == result.record


# -- cut off and resumed


STAGES: dict[str, Callable[[Progress], bool]] = {
    "first answers": lambda seen: seen.done >= 5,
    "race of defaults": lambda seen: seen.done >= 60,
    "proposals": lambda seen: len(seen.trials) > 7,
    "confirmation": lambda seen: (
        seen.phase == "confirm" and seen.done > sum(trial.samples for trial in seen.trials)
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_was_stopped_goes_on_where_it_was(site, stage):
    """No request is sent twice, and the end is that of a run nobody stopped."""
    undisturbed = site()
    expected = undisturbed.tune()
    made = site()
    stopped = made.stopped(STAGES[stage])
    assert stopped.record.state == "stopped"
    assert stopped.record.recommendation is None
    assert any(f"harness tune --resume {stopped.run_id}" in note for note in stopped.record.notes)
    assert 0 < made.provider.requests <= undisturbed.provider.requests
    resumed = made.tune(resume=stopped.run_id)
    assert resumed.run_id == stopped.run_id
    assert resumed.record.state == "complete"
    assert made.provider.requests == undisturbed.provider.requests
    assert comparable(resumed.recommendation) == comparable(expected.recommendation)
    assert resumed.spend.calls == expected.spend.calls
    assert resumed.spend.cached == expected.spend.cached
    assert resumed.spend.usd == pytest.approx(expected.spend.usd)
    assert paid_rows(resumed) == pytest.approx(resumed.spend.usd)
    pages = rebuild_report(stopped.run_id, store=made.store, reports=made.reports).files
    assert {path.name for path in pages} == {path.name for path in resumed.files}
    assert paid_rows(resumed) == pytest.approx(resumed.spend.usd)


def test_a_run_may_be_stopped_again_and_again(site):
    """Three interruptions later it is still the same run."""
    undisturbed = site()
    expected = undisturbed.tune()
    made = site()
    run = made.stopped(STAGES["first answers"]).run_id
    for stage in ("race of defaults", "proposals"):
        assert made.stopped(STAGES[stage], resume=run).record.state == "stopped"
    resumed = made.tune(resume="latest")
    assert made.provider.requests == undisturbed.provider.requests
    assert comparable(resumed.recommendation) == comparable(expected.recommendation)


def test_a_cap_given_on_resuming_holds_until_another_is_given(site):
    """A run that was told to pay no more does not go on paying because nobody repeats it."""
    made = site()
    run = made.stopped(STAGES["race of defaults"]).run_id
    sent = made.provider.requests
    made.tune(resume=run, max_cost=1e-9)
    assert made.tune(resume=run).spend.cap_usd == 1e-9
    assert made.provider.requests == sent
    assert made.tune(resume=run, max_cost=5.0).recommendation is not None


class Shuffled:
    """A provider whose answers arrive in an order of chance, and which notes what it was asked."""

    def __init__(self, provider, seed):
        self.provider, self.dice, self.asked = provider, random.Random(seed), []

    async def complete(self, call):
        self.asked.append(str(call))
        for _ in range(self.dice.randrange(40)):
            await asyncio.sleep(0)
        return await self.provider.complete(call)

    async def close(self):
        await self.provider.close()


@pytest.mark.parametrize("seed", range(3))
def test_neither_the_order_of_answers_nor_interruptions_change_anything(site, seed):
    """Shuffled arrival and four interruptions: the same calls, each once, and the same recommendation."""
    undisturbed = site()
    undisturbed.provider = Shuffled(undisturbed.provider, seed="calm")
    expected = undisturbed.tune()
    made = site()
    made.provider = Shuffled(made.provider, seed)
    calls = len(undisturbed.provider.asked)
    marks = sorted(random.Random(seed).sample(range(1, calls), 4))
    run = made.stopped(lambda progress: progress.done >= marks[0]).run_id
    for mark in marks[1:]:
        made.stopped(lambda progress, mark=mark: progress.done >= mark, resume=run)
    resumed = made.tune(resume=run) if made.load_state(run) != "complete" else made.load(run)
    assert sorted(made.provider.asked) == sorted(undisturbed.provider.asked)
    assert comparable(resumed.recommendation) == comparable(expected.recommendation)


def test_a_stopped_run_keeps_its_overrides(site):
    """What the first command line said holds for the next, unless it says otherwise."""
    made = site()
    stopped = made.stopped(STAGES["first answers"], n_trials=7, seed=4)
    resumed = made.tune(resume=stopped.run_id, n_trials=None)
    assert len(resumed.record.trials) == 7
    assert resumed.record.provenance.seed == 4


def test_credentials_end_a_run_that_goes_on_when_they_are_mended(site):
    """What was answered before is not paid again."""
    undisturbed = site()
    expected = undisturbed.tune()
    asked = itertools.count()
    fault = ProviderFault("credentials", "401: invalid key")
    made = site(faults=lambda call, attempt: fault if next(asked) >= 40 else None)
    with pytest.raises(ProviderError, match=r"cannot be asked \(credentials\): 401: invalid key.* resume"):
        made.tune()
    with pytest.raises(UsageError, match=r"has not ended; finish it with `harness tune --resume simulated-"):
        made.load()
    refused = next(asked) - 40
    made.provider._faults = None
    resumed = made.tune(resume="latest")
    assert made.provider.requests - refused == undisturbed.provider.requests
    assert comparable(resumed.recommendation) == comparable(expected.recommendation)


def test_a_run_that_asks_anew_goes_on_so(site):
    """Resumed without a word, it takes what it paid for, and still nothing that others did."""
    made = site()
    made.tune()
    before = made.provider.requests
    stopped = made.stopped(STAGES["first answers"], use_cache=False)
    resumed = made.tune(resume=stopped.run_id)
    assert made.provider.requests == 2 * before
    assert (resumed.spend.calls, resumed.spend.cached) == (before, 0)


def test_answers_that_came_to_another_run_are_those_of_a_resumed_one(site):
    """What had failed is an answer in record, table and rebuilt report alike."""
    fault = ProviderFault("bad_request", "400: not now")
    made = site(faults=lambda call, attempt: fault if call.sample_id.endswith(("3", "6")) else None)
    stopped = made.stopped(lambda progress: progress.done >= 60)
    made.provider._faults = None
    made.tune()
    resumed = made.tune(resume=stopped.run_id)
    assert {trial.failure_rate for trial in resumed.record.trials} == {0.0}
    assert table_of(resumed)["failure"].isna().all()
    again = rebuild_report(stopped.run_id, store=made.store, reports=made.reports)
    assert "scores.parquet" in {path.name for path in again.files}


def test_more_money_lets_an_inconclusive_run_decide(site):
    """A budget is no part of the question, so that the run goes on with a larger one."""
    made = site(budget={"usd": 0.0005})
    poor = made.tune()
    assert poor.record.state == "inconclusive"
    assert made.provider.bill_usd <= 0.0005
    rich = made.tune(resume=poor.run_id, max_cost=5.0)
    assert rich.record.state == "complete"
    assert rich.run_id == poor.run_id
    assert made.load().record == rich.record


def test_a_complete_run_is_not_resumed(site):
    """The message says how to begin a new one."""
    made = site()
    run = made.tune().run_id
    with pytest.raises(UsageError, match=rf"run '{run}' is complete; begin a new one"):
        made.tune(resume=run)


@pytest.mark.parametrize("part", ["space", "data", "prompt"])
def test_a_changed_question_is_not_resumed(site, part):
    """Answers to another question must not be mixed in; the message says what to do."""
    made = site()
    path, folder = made.spec_file(), made.experiment.folder
    stopped = made.stopped(STAGES["first answers"], spec=path)
    if part == "space":
        path.write_text(
            path.read_text(encoding="utf-8").replace('"high": 1.2', '"high": 0.9'), encoding="utf-8"
        )
    else:
        changed = folder / {"data": "samples.jsonl", "prompt": "plain.jinja"}[part]
        changed.write_text(
            changed.read_text(encoding="utf-8").replace("lorem", "ipsum") + "\n", encoding="utf-8"
        )
        if part == "prompt":
            changed.write_text("Which?\n" + changed.read_text(encoding="utf-8"), encoding="utf-8")
    before = made.provider.requests
    with pytest.raises(UsageError) as caught:
        made.tune(resume=stopped.run_id)
    assert str(caught.value) == (
        f"the spec of run {stopped.run_id!r} has changed since it began, or its data, prompts or prices "
        "have, or harness itself; put them back, or begin a new run (answers to unchanged calls are not "
        "paid again)"
    )
    assert made.provider.requests == before


def test_a_new_run_after_a_change_pays_for_what_is_new_alone(site):
    """Unchanged calls are found in the store, whichever run paid for them."""
    made = site(search={"n_trials": 6})
    made.tune()
    before = made.provider.requests
    wider = replace(made.experiment, spec=json.loads(json.dumps(made.experiment.spec)))
    wider.spec["search"]["n_trials"] = 9
    made.tune(wider.spec)
    again = site()
    again.tune()
    assert made.provider.requests - before < again.provider.requests / 2


def test_a_spec_or_a_run_has_to_be_given(site):
    """One of them, and not both."""
    made = site()
    with pytest.raises(UsageError, match="give a spec, or a run to resume"):
        tune(store=made.store, environ={})
    with pytest.raises(UsageError, match="give one of them"):
        made.tune(made.experiment.spec, resume="latest")


# -- loaded again


def test_a_run_whose_budget_left_holes_is_loaded_as_it_was(site):
    """Samples that the cap refused are missing again, and no others."""
    made = site(120, budget={"usd": None, "tokens": 40_000})
    original = made.tune()
    loaded = made.load()
    assert loaded.record == original.record
    for one, other in zip(original.finalists, loaded.finalists, strict=True):
        assert one.confirm_values.tolist() == pytest.approx(other.confirm_values.tolist(), nan_ok=True)


def test_a_stopped_run_is_loaded_as_it_stands(site):
    """Its trials are there, and it recommends nothing."""
    made = site()
    stopped = made.stopped(STAGES["race of defaults"])
    loaded = made.load()
    assert loaded.record == stopped.record
    for result in (stopped, loaded):
        with pytest.raises(InconclusiveError):
            result.recommend("best")


def test_runs_share_a_store_without_mixing(site):
    """Each keeps its trials and its record; the newest is "latest"."""
    made = site()
    first = made.tune()
    second = made.tune(n_trials=7)
    assert made.load(first.run_id).record == first.record
    assert made.load(second.run_id).record == second.record == made.load().record
    assert len(first.record.trials) == 9
    assert len(second.record.trials) == 7
    database = open_store(made.store)
    try:
        assert [row.run for row in database.runs()] == [second.run_id, first.run_id]
        searched = [row for row in database.trials(second.run_id) if row.split == "search"]
    finally:
        database.close()
    assert [row.number for row in searched] == list(range(7))
    assert "running" not in {row.state for row in searched}
