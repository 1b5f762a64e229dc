"""Records of a made-up run, rich enough to show every part of a report; and packages that tests install."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cards import DataCard
from harness.findings import (
    AnswerRow,
    Champion,
    FrontTrial,
    PairedDifference,
    Provenance,
    Recommendation,
    RunRecord,
    Separation,
    Spend,
    Trial,
)
from harness.records import Estimate, Score, Settings

CACHE = Path(os.environ.get("HARNESS_TEST_PACKAGES") or Path(__file__).parents[2] / ".harness" / "packages")
# Versions of what packages of npm depend on were last seen to work together on this day.
BEFORE = "2026-11-25"
INSTALL_S = 300.0
START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


class Records:
    """Builds records with sensible values; every keyword replaces one field."""

    @staticmethod
    def estimate(value=0.84, low=0.76, high=0.90, *, n=84):
        return Estimate(value=value, low=low, high=high, level=0.95, n=n, clusters=n, method="wilson")

    @staticmethod
    def settings(model="openai/gpt-4.1-mini", prompt="plain", **sent):
        return Settings(model=model, prompt=prompt, **({"temperature": 0.2} | sent))

    @classmethod
    def trial(cls, number=1, **fields):
        given = {
            "settings": cls.settings(),
            "model_class": "SMALL",
            "split": "search",
            "state": "complete",
            "samples": 196,
            "quality": cls.estimate(),
            "usd_per_1k_calls": 0.12,
            "latency_p50_s": 0.43,
            "latency_p95_s": 1.2,
            "spent_usd": 0.02,
        }
        return Trial(number=number, **(given | fields))

    @staticmethod
    def provenance(**fields):
        given = {
            "spec": "5" * 64,
            "plan": "9" * 64,
            "data": "d" * 64,
            "catalogue": "c" * 64,
            "prices_as_of": "2026-11-01",
            "seed": 20,
            "versions": {"harness": "0.1.0", "python": "3.11.7"},
            "git_commit": "0123456789abcdef0123456789abcdef01234567",
            "started_at": START,
        }
        return Provenance(**(given | fields))

    @classmethod
    def recommendation(cls, **fields):
        chosen = cls.trial(2, split="confirm", samples=84)
        given = {
            "experiment": "ticket-triage",
            "run": "r1",
            "policy": "cheapest_within: 0.01",
            "settings": chosen.settings,
            "trial": chosen,
            "search_trial": cls.trial(2, quality=cls.estimate(0.87, 0.82, 0.91, n=196)),
            "ties": (3,),
            "runner_up": 3,
            "versus_runner_up": PairedDifference(other=3, difference=cls.estimate(0.01, -0.02, 0.04)),
            "versus_default": PairedDifference(other=0, difference=cls.estimate(0.061, 0.021, 0.102)),
            "reason": "Trial 2 is the cheapest of two that cannot be told apart from the best.",
            "caveats": ("Prices are list prices.",),
            "provenance": cls.provenance(),
            "certainty": "It cannot be told apart from trial 3, with 95% confidence for all together.",
            "differences": (PairedDifference(other=3, difference=cls.estimate(0.01, -0.02, 0.04)),),
            "separations": (
                Separation(other=3, difference=0.01, samples=2900, more=2816, usd=1.4, power=0.8),
            ),
            "by_class": (
                Champion(model_class="SMALL", trial=chosen, versus=None),
                Champion(
                    model_class="LARGE",
                    trial=cls.trial(3, split="confirm", samples=84, model_class="LARGE"),
                    versus=PairedDifference(other=3, difference=cls.estimate(0.01, -0.02, 0.04)),
                    note="not sure to keep the limits: latency_p95_s is 4",
                ),
            ),
            "pareto": (FrontTrial(trial=chosen, against=("price", "latency")),),
        }
        return Recommendation(**(given | fields))

    @classmethod
    def record(cls, **fields):
        default = cls.trial(0, quality=cls.estimate(0.78, 0.71, 0.83, n=196), usd_per_1k_calls=0.31)
        loser = cls.trial(
            1,
            state="eliminated",
            samples=24,
            quality=cls.estimate(0.5, 0.3, 0.7, n=24),
            settings=cls.settings(temperature=1.1),
            reason="behind trial 0 after 24 samples",
        )
        tied = cls.settings(model="anthropic/claude-haiku", prompt="reasoned", temperature=0.0)
        given = {
            "run": "r1",
            "experiment": "ticket-triage",
            "description": "Which settings label support tickets well enough?",
            "state": "complete",
            "metric": "accuracy",
            "aim": "the cheapest within 1 point of the highest quality, with usd_per_1k_calls at most 2",
            "trials": (
                default,
                loser,
                cls.trial(2, quality=cls.estimate(0.87, 0.82, 0.91, n=196)),
                cls.trial(3, settings=tied, usd_per_1k_calls=0.8),
            ),
            "finalists": (
                cls.trial(0, split="confirm", samples=84, quality=cls.estimate(0.78, 0.68, 0.85)),
                cls.trial(2, split="confirm", samples=84),
                cls.trial(3, split="confirm", samples=84, settings=tied, usd_per_1k_calls=0.8),
            ),
            "recommendation": cls.recommendation(),
            "spend": Spend(
                usd=0.31, calls=812, cached=120, failed=3, saved_usd=0.05, cap_usd=5.0, cap_calls=1000
            ),
            "data": DataCard(
                name="support-tickets", sha256="d" * 64, n_search=196, n_confirm=84, licence="CC0-1.0"
            ),
            "provenance": cls.provenance(),
            "started_at": START,
            "ended_at": START + timedelta(minutes=4, seconds=5),
            "failures": "count_as_wrong",
        }
        return RunRecord(**(given | fields))

    @staticmethod
    def row(sample_id="s1", value=1.0, **fields):
        scores = (Score(sample_id=sample_id, repeat=0, scorer="choice", version=1, value=value, label="bug"),)
        given = {
            "trial": 2,
            "split": "confirm",
            "sample_id": sample_id,
            "repeat": 0,
            "text": "bug",
            "finish_reason": "stop",
            "failure": None,
            "price_usd": 0.00012,
            "latency_s": 0.4,
            "cached": False,
            "scores": scores,
            "target": "billing",
        }
        return AnswerRow(**(given | fields))


@pytest.fixture
def make() -> type[Records]:
    """The builders above."""
    return Records


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time works on this folder: tests run in several."""
    fcntl = pytest.importorskip("fcntl", reason="file locks are those of POSIX")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def installed() -> Callable[..., Path]:
    """Gives a folder in which packages are installed by commands; kept from run to run."""
    return _installed


def _installed(name: str, made_of: Sequence[str], *commands: Sequence[str]) -> Path:
    """The folder in which these commands installed what it is made of, now or in an earlier run.

    made_of: all that makes one folder unlike another; programs of this clone are not among it, so that clones
    share the folder. Without network the test is skipped, but not in continuous integration: there it fails.
    """
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    with _alone(folder):
        done = folder / ".installed"
        if not done.exists():
            for command in commands:
                # A registry that stumbles once must not fail a whole run of continuous integration.
                _install(command, folder, name, last=False) or _install(command, folder, name, last=True)
            done.touch()
    return folder


def _install(command: Sequence[str], folder: Path, name: str, *, last: bool) -> bool:
    """Whether the command did its work; the last attempt ends the test when it did not."""
    try:
        made = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        failed = made.returncode != 0
        said = (made.stderr or made.stdout)[-600:]
    except subprocess.TimeoutExpired:
        failed, said = True, f"no end after {INSTALL_S:.0f} s"
    if failed and last:
        why = f"the packages of {name} cannot be installed here: {said}"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    return not failed


@pytest.fixture(scope="session")
def install_npm() -> Callable[..., Path]:
    """Gives a folder with these packages of npm. Their own scripts do not run."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the packages of the target cannot be loaded")

    def find(name: str, packages: Sequence[str], *options: str) -> Path:
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--before", BEFORE, *options)
        made_of = (*packages, *options, BEFORE)
        return _installed(name, made_of, ("npm", "init", "-y"), ("npm", "install", *quiet, *packages))

    return find
