"""`harness simulate`: a simulated provider in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.errors import UsageError
from harness.plan.planner import make_plan
from harness.testing.experiment_files import write_experiment
from harness.testing.simulator import simulated_experiment


@contextmanager
def simulating(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command running with these options, and the address it printed."""
    command = [sys.executable, "-m", "harness", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def ask(url: str, content: str, **more: object) -> tuple[int, dict]:
    """Status and body of one chat completion."""
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": content}], **more}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(end: signal.Signals) -> None:
    """One line tells the address; Ctrl-C and a polite kill end it well, with a summary."""
    with simulating("--answer", "billing", "--latency", "0.001", "--rpm", "600") as (process, url):
        status, body = ask(url, "hello")
        process.send_signal(end)
        out, err = process.communicate(timeout=60)
    assert (status, body["choices"][0]["message"]["content"]) == (200, "billing")
    assert (process.returncode, out) == (0, "")
    assert err.startswith("1 requests served, 0.0000")


def test_faults_are_scheduled() -> None:
    """`--faults` takes shares as text."""
    with simulating("--faults", "529:1.0,attempts:1") as (_, url):
        assert [ask(url, "hello")[0] for _ in range(2)] == [529, 200]


def test_an_experiment_is_served_from_its_folder(tmp_path: Path) -> None:
    """The process answers every sample as the world does."""
    experiment = simulated_experiment(tmp_path, n_samples=12)
    write_experiment(experiment)
    plan = make_plan(experiment.spec)
    sample = plan.task.rows.sample("s03")
    (message,) = plan.task.prompts["plain"].render(sample.inputs)
    with simulating("--experiment", str(tmp_path), "--latency", "world:0.001") as (_, url):
        _, body = ask(url, message.content, temperature=0.2)
        assert ask(url, "something else")[0] == 400
    settings = next(experiment.world.grid(temperature=[0.2]))
    assert body["choices"][0]["message"]["content"] == experiment.world.answer(settings, "s03").text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--faults", "429:2"], "from 0 to 1"),
        (["--latency", "quick"], "expected SECONDS"),
        (["--latency", "world"], "--experiment"),
    ],
)
def test_options_that_make_no_sense(options: list[str], named: str) -> None:
    """The message names the option and what is expected, and nothing is served."""
    result = CliRunner().invoke(cli, ["simulate", *options])
    assert isinstance(result.exception, UsageError)
    assert named in str(result.exception)
    assert result.exception.exit_code == 2


def test_a_folder_without_an_experiment(tmp_path: Path) -> None:
    """It is told what the folder should hold."""
    result = CliRunner().invoke(cli, ["simulate", "--experiment", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "write_experiment" in str(result.exception)
