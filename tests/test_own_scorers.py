"""Scorers of a user's own and scorers of repeats, from a spec to the store and back."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import harness
from harness.errors import SpecError
from harness.findings import Progress
from harness.past import load_run
from harness.rebuilding import rebuild_report
from harness.records import Call
from harness.testing.fake_clock import BusyClock
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import simulated_experiment

SETTINGS = {"model": "sim/small", "prompt": "plain", "temperature": 0.5}
POLITE = "def polite(answer):\n    return 'please' in answer.text\n"


def short(answer: Any) -> float:
    """A scorer as somebody writes it in a notebook."""
    return 1.0 if len(answer.text) <= 3 else 0.5


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """A function that evaluates 20 samples three times each, with these scorers and these answers."""
    experiment = simulated_experiment(tmp_path / "experiment", n_samples=20)
    given = {"store": f"sqlite:///{tmp_path}/store.db", "reports": tmp_path / "reports"}

    def act(scorers: list[Any], answer: Any = "yes", **options: Any) -> harness.EvalResult:
        task = {**experiment.spec["task"], "scorers": scorers, "repeats": options.pop("repeats", 3)}
        task["dataset"] = options.pop("dataset", task["dataset"])
        spec: Any = {**experiment.spec, "task": task}
        if options.pop("as_file", False):
            path = tmp_path / "spec.yaml"
            path.write_text(json.dumps(spec))
            spec = path
        means = {"providers": {"sim": ScriptedProvider(answer)}, "mlflow": False, "environ": {}}
        return harness.evaluate(spec, SETTINGS, **given, **means, **options)

    act.given = given
    act.folder = tmp_path
    return act


def test_a_function_of_a_notebook_scores_a_run_and_is_asked_for_again(run):
    """Its mean is a figure; loading the run takes the function again."""
    result = run([{"choice": ["yes", "no"]}, short])
    assert result.trial.metrics["short"] == 1.0
    with pytest.raises(SpecError, match=r"'short' was given in Python and is not here; .*scorers=\[short\]"):
        load_run(result.run_id, **run.given)
    assert load_run(result.run_id, scorers=[short], **run.given).trial.metrics["short"] == 1.0
    assert rebuild_report(result.run_id, scorers=[short], **run.given).files


def test_a_scorer_by_dotted_path_needs_permission_which_its_run_remembers(run, monkeypatch):
    """As long as the spec stays what it was."""
    (run.folder / "own_scorers_of_a_test.py").write_text(POLITE)
    monkeypatch.chdir(run.folder)
    scorers = [{"choice": ["yes", "no"]}, "own_scorers_of_a_test:polite"]
    with pytest.raises(SpecError, match="allow it with --allow-code"):
        run(scorers, as_file=True)
    assert "own_scorers_of_a_test" not in sys.modules
    result = run(scorers, "yes please", as_file=True, allow_code=True)
    assert result.trial.metrics["polite"] == 1.0
    assert load_run(result.run_id, **run.given).trial.metrics["polite"] == 1.0
    (run.folder / "spec.yaml").write_text((run.folder / "spec.yaml").read_text() + "\n")
    with pytest.raises(SpecError, match="allow it with --allow-code"):
        load_run(result.run_id, **run.given)


def answers_of_three(call: Any) -> str:
    """Two of the three repeats say yes."""
    return "no" if call.repeat == 1 else "yes"


def test_scorers_of_repeats_judge_each_sample_once(run):
    """A third of the pairs agrees; the score stands in the row of the last repeat."""
    result = run(
        [{"choice": ["yes", "no"]}, {"consistency": {"of": {"choice": ["yes", "no"]}}}], answers_of_three
    )
    assert result.trial.metrics == {"consistency": pytest.approx(1 / 3)}
    table = pq.read_table(result.folder / "scores.parquet").to_pylist()
    together = [row for row in table if row["scorer"] == "consistency"]
    assert len(together) == 20
    assert {(row["repeat"], row["label"], round(row["value"], 9)) for row in together} == {
        (2, "yes", 0.333333333)
    }
    assert load_run(result.run_id, **run.given).trial.metrics == result.trial.metrics


def test_repeats_that_were_cut_off_are_compared_when_the_run_goes_on(run):
    """A run that ends inside of a sample leaves it for later, and nothing is scored twice."""
    scorers = [{"choice": ["yes", "no"]}, "consistency"]

    def stop(progress: Progress) -> None:
        if progress.done % 3:
            raise KeyboardInterrupt

    cut = run(scorers, answers_of_three, on_progress=stop, clock=BusyClock())
    assert cut.record.state == "stopped"
    means = {"providers": {"sim": ScriptedProvider(answers_of_three)}, "mlflow": False, "environ": {}}
    done = harness.evaluate(resume=cut.run_id, **run.given, **means)
    assert done.trial.metrics == {"consistency": pytest.approx(1 / 3)}
    table = pq.read_table(done.folder / "scores.parquet").to_pylist()
    assert sum(row["scorer"] == "consistency" for row in table) == 20


def test_scores_of_code_that_has_changed_are_scores_of_another_rule(run, monkeypatch):
    """Whatever its version says: plans, comparisons and gates see that the file is another one."""
    path = run.folder / "changing_scorers_of_a_test.py"
    monkeypatch.chdir(run.folder)
    scorers = [{"choice": ["yes", "no"]}, {"all": ["changing_scorers_of_a_test:polite"]}]
    found = []
    for source in (POLITE, POLITE, POLITE.replace("please", "thanks")):
        path.write_text(source)
        sys.modules.pop(path.stem, None)
        importlib.invalidate_caches()
        found.append(run(scorers, as_file=True, allow_code=True).record.provenance.plan)
    assert found[0] == found[1] != found[2]


def test_programs_run_beside_each_other_and_each_keeps_its_answer(run):
    """Slow judgements begin when answers arrive; every sample has the score of its own program."""
    rows = [{"id": f"s{n}", "text": str(n), "target": f"assert triple({n}) == {3 * n}"} for n in range(12)]

    def answer(call: Call) -> str:
        number = int(call.sample_id[1:])
        pause = "import time\ntime.sleep(0.2)\n" if number % 3 == 0 else ""
        return f"{pause}def triple(n): return n * {3 if number % 2 else 4}"

    scorers = [{"all": [{"python_tests": {"isolation": "limits"}}, {"length": 500}]}]
    result = run(scorers, answer, allow_code=True, dataset=rows, repeats=1)
    values = result.to_df().set_index("sample_id")["value"].to_dict()
    assert values == {f"s{n}": float(n % 2 or n == 0) for n in range(12)}
