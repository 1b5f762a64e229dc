"""Consistency and diversity of a trial are measured where samples are repeated, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.records import Sample
from harness.run import tune
from harness.scores.answer import Answer
from harness.scores.repeats import Consistency, Diversity
from harness.testing.simulator import simulated_experiment
from harness.trials.variety import SAMPLES, Variety


def gathered(*answers: tuple[int, str, str | None]) -> dict[str, float]:
    """The figures of these answers."""
    variety = Variety()
    for position, text, label in answers:
        variety.take(position, text, label)
    return variety.metrics()


def test_answers_agree_by_the_label_that_was_read_from_them() -> None:
    """Other words with the same label are the same answer; one sample of two agrees."""
    found = gathered((0, "It is: yes", "yes"), (0, "yes", "yes"), (1, "no", "no"), (1, "yes", "yes"))
    assert found["consistency"] == 0.5


def test_without_labels_the_texts_are_compared() -> None:
    """White space and case are no difference, as for the scorer of that name."""
    assert gathered((0, "Four\n", None), (0, "four", None))["consistency"] == 1.0


def test_the_scorers_of_the_same_names_give_the_same_figures() -> None:
    """One word is one number, whoever measures it."""
    texts = ["The cat sat, twice.", "the  cat sat twice", "A dog ran: once!"]
    sample = Sample(id="s", inputs={}, target=None, split="search")
    answers = [Answer(sample=sample, text=text, repeat=place) for place, text in enumerate(texts)]
    found = gathered(*((0, text, None) for text in texts))
    assert found == {one.name: one.score_repeats(answers).value for one in (Consistency(), Diversity())}
    assert found["diversity"] == 6 / 9


def test_word_pairs_are_counted_within_a_sample() -> None:
    """Two samples of which each is answered alike: half of the pairs of each are repeats."""
    assert (
        gathered((0, "a b", None), (0, "a b", None), (1, "c d", None), (1, "c d", None))["diversity"] == 0.5
    )


def test_one_answer_a_sample_tells_nothing() -> None:
    """There is no figure, which is not 0."""
    assert gathered((0, "a b", None), (1, "a b", None)) == {}


def test_memory_holds_the_first_samples_alone() -> None:
    """A million samples are no million texts."""
    variety = Variety()
    for position in range(1000):
        variety.take(position, "text", None)
    assert len(variety.texts) == SAMPLES


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_run_with_repeats_reports_both_by_temperature(tmp_path: Path, repeats: int) -> None:
    """Cool answers agree with each other more often than hot ones; a table of the report shows it."""
    search: dict[str, Any] = {
        "models": ["sim/small"],
        "temperature": {"choices": [0.0, 1.2]},
        "frequency_penalty": 0.0,
        "max_output_tokens": 256,
        "n_trials": 4,
    }
    task = {"repeats": repeats}
    made = simulated_experiment(tmp_path, n_samples=60, search=search, task=task, budget={"calls": 4000})
    result = tune(
        made.spec,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path / "reports",
        providers={"sim": made.simulator()},
        mlflow=False,
        environ={},
    )
    measured = [trial.metrics.get("consistency") for trial in result.record.trials]
    page = next(path for path in result.files if path.suffix == ".md").read_text(encoding="utf-8")
    if repeats == 1:
        assert set(measured) == {None}
        assert "same answer again" not in page
        return
    by_heat = {0.0: [], 1.2: []}
    for trial in result.record.trials:
        by_heat[trial.settings.temperature].append(trial.metrics["consistency"])
    assert min(by_heat[0.0]) > max(by_heat[1.2])
    assert "same answer again" in page
