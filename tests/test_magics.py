"""`%load_ext harness`: the command line in a cell, results that show themselves, errors of one message."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from harness.comparing import CompareResult
from harness.errors import HarnessError, SpecError, UsageError
from harness.findings import RunRecord
from harness.planning import PlanResult
from harness.result import EvalResult, TuneResult


@pytest.fixture(scope="module")
def ipython(tmp_path_factory: pytest.TempPathFactory) -> InteractiveShell:
    """A shell with the extension, for all tests: it cleans up when the process ends, and only once."""
    folder = tmp_path_factory.mktemp("ipython")
    made = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}), ipython_dir=str(folder))
    made.run_line_magic("load_ext", "harness")
    return made


@pytest.fixture
def shell(ipython: InteractiveShell, desk: Any) -> InteractiveShell:
    """The shell in the folder of the desk."""
    return ipython


def run(shell: InteractiveShell, source: str) -> Any:
    """The value of a cell; raises what it raised."""
    done = shell.run_cell(source)
    done.raise_error()
    return done.result


def spec_of(desk: Any, api_base: str) -> str:
    """The spec of the desk as text."""
    return desk.spec(api_base=api_base).read_text()


def test_a_plan_is_a_result_that_shows_itself(shell, desk):
    """`%harness plan SPEC` gives what `harness.make_plan` does."""
    plan = run(shell, "%harness plan words.yaml --n-trials 5")
    assert isinstance(plan, PlanResult)
    assert plan.estimate.trials == 5
    assert "5 sets of settings at most on 60 samples" in plan._repr_html_()


def test_a_spec_in_the_cell_is_searched_and_its_result_named(shell, desk, answers):
    """`%%harness tune NAME`: the result is shown, and stands in the variable; the store goes on from it."""
    found = run(shell, f"%%harness tune words --n-trials 4 --no-mlflow\n{spec_of(desk, answers.url)}")
    assert isinstance(found, TuneResult)
    assert shell.user_ns["words"] is found
    assert len(found.record.trials) == 4
    measured = run(shell, f"%%harness eval --split confirm --no-mlflow\n{spec_of(desk, answers.url)}")
    assert isinstance(measured, EvalResult)
    shown = run(shell, "%harness show latest")
    assert isinstance(shown, RunRecord)
    assert isinstance(run(shell, f"%harness compare {found.run_id}:0 {found.run_id}:0"), CompareResult)


def test_other_verbs_print_what_they_print_on_a_command_line(shell, finished, capfd):
    """Without a result there is nothing to give back."""
    assert run(shell, "%harness list") is None
    assert finished in capfd.readouterr().out
    assert run(shell, "%harness") is None
    assert "Choose which language model" in capfd.readouterr().out
    assert run(shell, "%harness tune --help") is None
    assert "--max-cost" in capfd.readouterr().out


def test_records_show_themselves_as_cards(shell, finished):
    """A record of a run, and another choice from it: HTML, and words where there is none."""
    choice = run(shell, "import harness\nharness.load_run().recommend('best')")
    for record in (run(shell, "%harness show"), choice):
        shown, _ = shell.display_formatter.format(record)
        assert "Ship mine/tiny" in shown["text/html"] or "Keep the untuned default" in shown["text/html"]
        assert shown["text/plain"].count("\n") > 1


def test_faults_of_a_spec_are_told_by_lines_of_the_cell(shell, desk):
    """As those of a file are: the line of the key, counted as the cell shows it."""
    spec = spec_of(desk, "http://127.0.0.1:9/v1").replace("metric: accuracy", "metrik: accuracy")
    spec = spec.replace("mine/tiny]", "mine/huge]")
    with pytest.raises(SpecError) as caught:
        run(shell, f"%%harness plan\n{spec}")
    lines = ["", "%%harness plan", *spec.splitlines()]
    found = {problem.key: problem for problem in caught.value.problems}
    assert lines[found["task.metrik"].line].strip() == "metrik: accuracy"
    assert lines[found["search.models[0]"].line].strip() == "models: [mine/huge]"
    assert {problem.file for problem in caught.value.problems} == {"cell"}


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        ("%%harness plan\n- a\n- b", SpecError, "cell: expected keys and values"),
        ("%%harness plan\na: [", SpecError, "cell:3: is not YAML"),
        ("%%harness gate\na: 1", UsageError, "%%harness gate: expected one of plan, tune, eval"),
        ("%harness plan", UsageError, "Missing argument 'SPEC' (`%harness plan --help` tells"),
        ("%harness tune words.yaml --n-trails 3", UsageError, "No such option '--n-trails'."),
        ("%harness lst", UsageError, "No such command 'lst'. Did you mean 'list'? (`%harness --help`"),
        ("%harness show 'latest", UsageError, "close the quotation marks"),
        ("%harness show", UsageError, "no run 'latest' in this store"),
    ],
)
def test_an_error_is_one_message_without_a_traceback(shell, desk, capfd, cell, kind, message):
    """What is wrong and what to do, and the cell counts as failed."""
    with pytest.raises(kind):
        run(shell, cell)
    told = capfd.readouterr().out
    assert message in told
    assert told.startswith(f"{kind.__name__}: ")
    assert "Traceback" not in told
    assert "File " not in told


def test_errors_of_python_calls_are_one_message_too(shell, desk, capfd):
    """With or without the extension; every error that we raise on purpose."""
    with pytest.raises(HarnessError):
        run(shell, "import harness\nharness.tune('nowhere.yaml')")
    assert capfd.readouterr().out.splitlines() == [
        "SpecError: nowhere.yaml: does not exist; check the name, or start one with `harness init NAME`"
    ]
