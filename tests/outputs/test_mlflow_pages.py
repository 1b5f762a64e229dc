"""Promises of what MLflow runs are to hold, without MLflow."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from harness.findings import Paid, Spend, Trial, TrialState
from harness.outputs.mlflow_pages import LONGEST_TAG, Page, sweep_page, trial_pages, with_comparisons

Make: TypeAlias = Any  # the builders of conftest.py, whose keywords are the fields of the records


def page_of(make: Make, trial: Trial, **fields: Any) -> Page:
    """The page of the only trial of a run."""
    (page,) = trial_pages(make.record(trials=(trial,), finalists=(), **fields), "parent")
    return page


def test_only_settings_that_are_sent_are_parameters(make: Make) -> None:
    """A setting that was not sent is no parameter; a list is JSON text."""
    settings = make.settings(stop=("END", "."), extra={"top_k": 40})
    assert page_of(make, make.trial(0, settings=settings)).params == {
        "model": "openai/gpt-4.1-mini",
        "prompt": "plain",
        "temperature": "0.2",
        "stop": '["END","."]',
        "top_k": "40",
    }


def test_every_trial_has_the_same_parameters(make: Make) -> None:
    """A setting that one trial sends and another does not is a column with a value for both."""
    plain = make.trial(0, settings=make.settings(temperature=None))
    warm = make.trial(1, settings=make.settings(top_p=0.9))
    pages = list(trial_pages(make.record(trials=(plain, warm), finalists=()), "parent"))
    assert [page.params["temperature"] for page in pages] == ["not sent", "0.2"]
    assert [page.params["top_p"] for page in pages] == ["not sent", "0.9"]
    (page,) = trial_pages(make.record(trials=(plain,), finalists=(), setting_names=("top_p",)), "parent")
    assert page.params["top_p"] == "not sent"


def test_names_and_numbers_sort_as_text(make: Make) -> None:
    """MLflow sorts names and tags as text: trial 10 comes after trial 2."""
    trials = tuple(make.trial(number) for number in (2, 10, 300))
    pages = list(trial_pages(make.record(trials=trials, finalists=()), "parent"))
    assert [page.name for page in pages] == sorted(page.name for page in pages)
    assert [page.identity["trial_number"] for page in pages] == ["0002", "0010", "0300"]


def test_the_race_is_a_curve_of_quality(make: Make) -> None:
    """Quality has a step for each look of the race, and its last one is what it ends with."""
    page = page_of(make, make.trial(0, samples=40, course={8: 0.5, 16: 0.75}))
    curve = [(point.step, point.value) for point in page.points if point.name == "quality"]
    assert curve == [(8, 0.5), (16, 0.75), (40, 0.84)]
    assert page.metrics["quality"] == 0.84


def test_a_comparison_has_mlflows_own_keys(make: Make) -> None:
    """The recommended trial is compared with each finalist under the keys of MLflow's comparisons."""
    record = make.record()
    page = list(trial_pages(record, "parent"))[2]
    ids = {"0003": "0123456789abcdef"}
    compared = with_comparisons(page, record.recommendation, record.metric, ids)
    metrics = {name: v for name, v in compared.metrics.items() if name not in page.metrics}
    prefix = "compare/01234567/accuracy"
    assert metrics == {
        f"{prefix}/diff": 0.01,
        f"{prefix}/ci_low": -0.02,
        f"{prefix}/ci_high": 0.04,
        f"{prefix}/n_paired": 84.0,
    }


def test_the_description_says_what_is_recommended(make: Make) -> None:
    """Whoever opens the run in MLflow reads the choice and its reason first."""
    note = sweep_page(make.record(), {}).tags["mlflow.note.content"]
    question, choice, reason = note.split("\n\n")[:3]
    assert question == "Which settings label support tickets well enough?"
    assert choice.startswith("**Recommended:** openai/gpt-4.1-mini, prompt plain")
    assert "On fresh samples: 0.84 [0.76, 0.90], n=84" in reason
    assert "Trial 2 is the cheapest" in reason


def test_a_run_under_way_has_no_figures(make: Make) -> None:
    """MLflow keeps every value for ever, and what was spent so far is no result."""
    assert sweep_page(make.record(state="running", recommendation=None), {}).points == ()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("complete", "FINISHED"),
        ("eliminated", "FINISHED"),
        ("infeasible", "FINISHED"),
        ("failed", "FAILED"),
        ("stopped", "KILLED"),
    ],
)
def test_states_have_mlflows_words(make: Make, state: TrialState, status: str) -> None:
    """A trial that failed or was stopped shows so in MLflow; one that lost its race finished well."""
    assert page_of(make, make.trial(0, state=state)).status == status


def test_a_trial_left_running_by_a_finished_run_was_killed(make: Make) -> None:
    """MLflow shows no trial as running when nothing runs any more."""
    trial = make.trial(0, state="running")
    assert page_of(make, trial).status == "KILLED"
    assert page_of(make, trial, state="running", ended_at=None).status is None


def test_a_metric_named_like_ours_replaces_nothing(make: Make) -> None:
    """A further metric called quality keeps its figure under another name."""
    page = page_of(make, make.trial(0, metrics={"quality": 0.1}))
    assert page.metrics["quality"] == 0.84
    assert page.metrics["metric_quality"] == 0.1


def test_long_tags_are_shortened_with_a_word(make: Make) -> None:
    """A reason beyond MLflow's limit says that it was shortened, and how long it was."""
    reason = page_of(make, make.trial(0, reason="x" * 9000)).tags["reason"]
    assert len(reason) == LONGEST_TAG
    assert "[shortened: 9000 characters" in reason


def test_lone_surrogates_become_question_marks(make: Make) -> None:
    """Text that UTF-8 cannot hold does not stop the mirror."""
    assert page_of(make, make.trial(0, reason="cut \ud83d here")).tags["reason"] == "cut ? here"


def test_a_finalist_without_search_figures_has_a_page(make: Make) -> None:
    """A run that only confirms, without a search, still has its trial."""
    trial = make.trial(0, split="confirm")
    (page,) = trial_pages(make.record(trials=(), finalists=(trial,)), "parent")
    assert page.metrics["confirm_quality"] == 0.84
    assert "quality" not in page.metrics


def test_the_content_changes_with_any_figure(make: Make) -> None:
    """The fingerprint by which a second mirror skips a run sees every value."""
    first = page_of(make, make.trial(0, latency_p50_s=0.43)).content()
    assert page_of(make, make.trial(0, latency_p50_s=0.43)).content() == first
    assert page_of(make, make.trial(0, latency_p50_s=0.44)).content() != first


def test_a_page_is_one_request(make: Make) -> None:
    """All values of a run fit into one request of MLflow: 1000 metrics, 100 parameters, 100 tags."""
    record = make.record()
    for page in (sweep_page(record, {}), *trial_pages(record, "parent")):
        assert len(page.metrics) < 1000
        assert len(page.params) <= 100
        assert len(page.tags) + len(page.identity) < 100


def test_b7_b12_what_was_paid_and_what_the_cache_gave_are_metrics(make: Make) -> None:
    """Answers from the cache, what they saved, and money and tokens by class."""
    trial = make.trial(0, model_class="SMALL")
    paid = Paid(usd=0.5, calls=4, input_tokens=400, output_tokens=40)
    spend = Spend(usd=0.5, calls=4, cached=6, saved_usd=0.75, by_model={trial.settings.model: paid})
    metrics = sweep_page(make.record(trials=(trial,), finalists=(), spend=spend), {}).metrics
    assert (metrics["cached_answers"], metrics["saved_usd"]) == (6.0, 0.75)
    assert metrics["spent_usd_small"] == 0.5
    assert (metrics["input_tokens_small"], metrics["output_tokens_small"]) == (400.0, 40.0)
