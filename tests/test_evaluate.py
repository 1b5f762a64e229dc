"""Evaluate: one set of settings from a spec to results in the store, cut off and resumed, and loaded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import harness
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError, UsageError
from harness.findings import Progress, Trial
from harness.past import chosen, load_run
from harness.rebuilding import rebuild_report
from harness.records import Settings
from harness.result import EvalResult, TuneResult
from harness.run import evaluate, tune
from harness.store.store import open_store
from harness.testing.fake_clock import BusyClock
from harness.testing.simulator import SimulatedExperiment, simulated_experiment

LARGE = {"model": "sim/large", "prompt": "plain", "temperature": 0.2, "max_output_tokens": 64}


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
    def given(self) -> dict[str, Any]:
        return {"store": self.store, "reports": self.folder / "reports"}

    def run(self, act: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        means = {"providers": {"sim": self.provider}, "mlflow": False, "environ": {}}
        return act(*arguments, **(self.given | means | options))

    def evaluate(self, settings: Any = None, **options: Any) -> EvalResult:
        spec = None if "resume" in options else self.experiment.spec
        return self.run(evaluate, spec, settings, **options)

    def tune(self, **options: Any) -> TuneResult:
        return self.run(tune, self.experiment.spec, n_trials=6, **options)

    def stopped(self, settings: Any = LARGE, **options: Any) -> EvalResult:
        """An evaluation that its user stops at the first answer."""

        def watch(progress: Progress) -> None:
            raise KeyboardInterrupt

        return self.evaluate(settings, on_progress=watch, clock=BusyClock(), **options)


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Site]:
    """Makes sites; each has a folder of its own."""
    numbers = itertools.count()

    def make(n_samples: int = 60, *, faults: Any = None, **sections: Any) -> Site:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        experiment = simulated_experiment(tmp_path / "experiment", n_samples=n_samples, **sections)
        return Site(folder, experiment, experiment.simulator(faults=faults))

    return make


def comparable(trial: Trial, *, paid: bool = True) -> Trial:
    """A trial without how long it took, which differs from run to run. paid: with who paid."""
    timed = ("latency_p50_s", "latency_p95_s", "queue_p50_s", "queue_p95_s")
    money = {"spent_usd": round(trial.spent_usd, 9)} if paid else {"spent_usd": 0.0, "cached_rate": 0.0}
    return replace(trial, bounds={}, **money, **dict.fromkeys(timed))


# -- a run


def test_an_evaluation_measures_the_untuned_default_on_every_sample(site):
    """As trial 0 of a search, but on both splits; record, files and store tell the same."""
    made = site()
    result = made.evaluate()
    assert isinstance(result, harness.EvalResult)
    assert result.settings == result.plan.evaluated.settings == made.tune().record.trials[0].settings
    assert (result.record.state, result.trial.split, result.trial.samples) == ("complete", "all", 60)
    assert result.quality.n == 60
    assert result.record.origin == "the untuned default"
    names = ["report.html", "report.md", "evaluation.json", "scores.parquet"]
    assert [path.name for path in result.files] == names
    assert all(path.parent == result.folder for path in result.files)


def test_spend_is_the_providers_bill(site):
    """What the run says it paid is what the provider charged."""
    made = site()
    result = made.evaluate(LARGE)
    assert result.spend.calls == made.provider.requests == 60
    assert result.spend.usd == pytest.approx(made.provider.bill_usd)
    assert result.trial.usd_per_1k_calls == pytest.approx(1000 * made.provider.bill_usd / 60)


def test_given_settings_are_what_is_asked(site):
    """From a mapping, from a record, from a recommendation: the calls carry them."""
    made = site()
    assert made.evaluate(LARGE).settings == Settings(**LARGE)
    before = made.provider.requests
    assert made.evaluate(Settings(**LARGE)).spend.cached == 60
    assert made.provider.requests == before
    assert made.provider.requests_by_model == {"sim/large": 60}


def test_a_recommendation_is_measured_again_for_nothing(site):
    """On the confirm split its figure is that of the search's end; over all samples a note says who chose."""
    made = site()
    swept = made.tune()
    before = made.provider.requests
    again = made.evaluate(swept.folder / "recommendation.json", split="confirm")
    assert made.provider.requests == before
    swept_trial = replace(comparable(swept.best_trial, paid=False), number=0)
    assert comparable(again.trial, paid=False) == swept_trial
    assert again.record.origin == f"recommended by run {swept.run_id}"
    assert not any("chose these settings" in note for note in again.record.notes)
    everywhere = made.evaluate(swept.recommendation)
    assert any(f"Run {swept.run_id} chose these settings" in note for note in everywhere.record.notes)


def test_flags_limit_and_repeat(site):
    """As for a search; the same limit takes the same samples every time."""
    made = site()
    result = made.evaluate(LARGE, limit=20, repeat=2)
    assert result.trial.samples == 20
    assert made.provider.requests == 40
    assert made.evaluate(LARGE, limit=20).spend.cached == 20


def test_the_table_has_each_answer_with_its_own_split(site):
    """One row a score: what was asked, said, wanted, and what it cost."""
    result = site().evaluate(LARGE)
    frame = result.to_df()
    assert len(frame) == 60
    assert set(frame["split"]) == {"search", "confirm"}
    assert frame["value"].mean() == pytest.approx(result.quality.value)
    assert frame["price_usd"].mean() * 1000 == pytest.approx(result.trial.usd_per_1k_calls, rel=1e-5)
    assert pq.read_metadata(result.folder / "scores.parquet").num_rows == 60


def test_the_report_is_copied_where_it_is_wanted(site, tmp_path):
    """The page alone, or everything; a report that is gone says how to have it again."""
    result = site().evaluate(LARGE)
    page = result.report()
    assert page == result.folder / "report.html"
    assert result.report(tmp_path / "a" / "page.html").read_bytes() == page.read_bytes()
    assert result.report(tmp_path / "b") == tmp_path / "b" / "report.html"
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == sorted(p.name for p in result.files)
    page.unlink()
    with pytest.raises(UsageError, match=f"harness report {result.run_id}"):
        result.report()
    (result.folder / "scores.parquet").unlink()
    with pytest.raises(UsageError, match=f"harness report {result.run_id}"):
        result.to_df()


def test_progress_counts_what_is_asked(site):
    """Snapshots grow to the number that was announced from the first."""
    seen: list[Progress] = []
    result = site().evaluate(LARGE, on_progress=seen.append, clock=BusyClock())
    assert {(progress.phase, progress.planned, progress.run) for progress in seen} == {
        ("eval", 60, result.run_id)
    }
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert seen[-1].done == 60
    assert seen[-1].trials[0].quality == result.quality


def test_limits_of_the_aim_are_checked_and_decide_nothing(site):
    """A note says what is missed; what follows from it is for a gate to say."""
    result = site(aim={"within": {"usd_per_1k_calls": 0.001}}).evaluate(LARGE)
    assert result.record.state == "complete"
    assert any("misses limits of the aim: usd_per_1k_calls is" in note for note in result.record.notes)


@pytest.mark.parametrize("metric", ["macro_f1", "mean"])
def test_other_metrics_go_all_the_way(site, metric):
    """The figure that is shown is the metric of the spec, also when it is loaded again."""
    made = site(task={"metric": metric})
    result = made.evaluate(LARGE)
    assert result.record.metric == metric
    assert 0 < result.quality.low <= result.quality.value <= result.quality.high <= 1
    assert load_run(**made.given).record == result.record


# -- cut off and resumed


def test_an_evaluation_that_was_stopped_goes_on_where_it_was(site):
    """With the settings and the split that it began with; no request is sent twice."""
    made, undisturbed = site(), site()
    expected = undisturbed.evaluate(LARGE, split="search")
    stopped = made.stopped(split="search")
    assert stopped.record.state == "stopped"
    assert any(f"harness eval --resume {stopped.run_id}" in note for note in stopped.record.notes)
    assert (stopped.trial.state, stopped.trial.samples) == ("stopped", 1)
    resumed = made.evaluate(resume="latest")
    assert resumed.run_id == stopped.run_id
    assert made.provider.requests == undisturbed.provider.requests
    assert comparable(resumed.trial) == comparable(expected.trial)
    assert resumed.spend.calls == expected.spend.calls


def test_a_resumed_evaluation_does_not_need_the_file_of_its_settings(site, tmp_path):
    """It may have been edited since: the store has what was begun."""
    made = site()
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(LARGE), encoding="utf-8")
    begun = made.stopped(file)
    file.write_text("{}", encoding="utf-8")
    resumed = made.evaluate(resume=begun.run_id)
    assert resumed.record.state == "complete"
    assert resumed.settings == Settings(**LARGE)
    assert resumed.record.origin == f"from {file}"


def test_more_money_completes_what_the_budget_cut_off(site):
    """The answers that were paid count; the rest is asked when there is more."""
    made = site(budget={"usd": 0.005})
    poor = made.evaluate(LARGE)
    assert poor.record.state == "inconclusive"
    assert 0 < poor.trial.samples < 60
    assert made.provider.bill_usd <= 0.005
    assert any(f"covered {poor.trial.samples} of 60 samples" in note for note in poor.record.notes)
    assert (poor.folder / "report.html").is_file()
    rich = made.evaluate(resume=poor.run_id, max_cost=5.0)
    assert rich.record.state == "complete"
    assert made.provider.requests == rich.trial.samples == 60


def test_a_provider_that_refuses_everything_ends_the_run_with_its_words(site):
    """The cause is in the error, and the run goes on when it is mended."""
    fault = ProviderFault("bad_request", "400: no such setting")
    made = site(faults=lambda call, attempt: fault)
    with pytest.raises(
        ProviderError, match=r"answered none of 60 calls; .*bad_request: 400: no such setting"
    ):
        made.evaluate(LARGE)
    with pytest.raises(UsageError, match=r"has not ended; finish it with `harness eval --resume simulated-"):
        load_run(**made.given)
    made.provider._faults = None
    assert made.evaluate(resume="latest", use_cache=False).record.state == "complete"


def test_a_run_has_its_settings(site):
    """Resuming with others would be another run."""
    made = site()
    run = made.stopped().run_id
    for other in ({"settings": LARGE}, {"split": "all"}):
        with pytest.raises(UsageError, match="has its settings and its split"):
            made.evaluate(resume=run, **other)


def test_a_search_is_no_evaluation(site):
    """Neither is resumed as the other, and neither takes the other's words."""
    made = site()
    evaluated, swept = made.stopped(), made.tune()
    with pytest.raises(UsageError, match=r"is of `harness tune`, expected one of `harness eval`"):
        made.evaluate(resume=swept.run_id)
    with pytest.raises(UsageError, match=r"is of `harness eval`, expected one of `harness tune`"):
        made.run(tune, resume=evaluated.run_id)
    with pytest.raises(UsageError, match="split and settings belong to an evaluation"):
        made.tune(split="all")


# -- loaded again


def test_an_evaluation_is_loaded_and_reported_anew_from_the_store(site, tmp_path):
    """The same record and the same files, without a request."""
    made = site()
    original = made.evaluate(LARGE, split="search")
    before = made.provider.requests
    loaded = load_run(original.run_id, **made.given)
    assert isinstance(loaded, EvalResult)
    assert loaded.record == original.record
    assert loaded.quality == original.quality
    again = rebuild_report(original.run_id, store=made.store, reports=tmp_path / "again")
    assert [path.name for path in again.files] == [path.name for path in original.files]
    for one, other in zip(original.files, again.files, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    assert made.provider.requests == before


def test_latest_means_the_latest_of_its_kind(site):
    """An evaluation after a search does not hide the search from an export."""
    made = site()
    swept, evaluated = made.tune(), made.evaluate(LARGE)
    assert load_run(**made.given).run_id == evaluated.run_id
    assert chosen(store=made.store).recommendation.run == swept.run_id
    with pytest.raises(UsageError, match="is of `harness eval`, expected one of `harness tune`"):
        chosen(evaluated.run_id, store=made.store)
    database = open_store(made.store)
    try:
        assert [(row.run, row.verb) for row in database.runs()] == [
            (evaluated.run_id, "eval"),
            (swept.run_id, "tune"),
        ]
    finally:
        database.close()


def test_the_card_and_the_text_say_what_was_measured(site):
    """In a notebook, and where no HTML is shown."""
    result = site().evaluate(LARGE)
    for shown in (result._repr_html_(), repr(result)):
        assert "Measured sim/large, prompt plain, temperature 0.2" in shown
        assert "n=60" in shown
    assert "<script" not in result._repr_html_()


def test_one_sample_has_no_interval(site):
    """The budget covered a single call: no quality is shown for it."""
    result = site(budget={"usd": None, "calls": 1}).evaluate(LARGE)
    assert result.record.state == "inconclusive"
    assert (result.trial.samples, result.quality) == (1, None)
    assert "not measured" in repr(result)
