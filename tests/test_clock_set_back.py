"""A wall clock that is set back in the middle of a search."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from harness.clock import SystemClock
from harness.findings import Paid, Spend, Trial
from harness.past import load_run
from harness.result import TuneResult
from harness.run import tune
from harness.testing.simulator import simulated_experiment

HOUR = timedelta(hours=1)
LOOKS = 100  # at the clock, about one an answer, before it is set back


class SetBackClock(SystemClock):
    """The machine's clock, set back an hour after so many looks at it."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def now(self) -> datetime:
        """The moment, and from some time on an hour less."""
        moment = super().now()
        return moment if next(self._looks) < LOOKS else moment - HOUR


def test_an_hour_back_changes_no_result(tmp_path: Path) -> None:
    """The same trials and recommendation; the run ends before it began, and no duration is made of that."""
    made = simulated_experiment(tmp_path / "experiment", n_samples=60, search={"n_trials": 9})

    def result(name: str, **options: Any) -> TuneResult:
        return tune(
            made.spec,
            store=f"sqlite:///{tmp_path}/{name}.db",
            reports=tmp_path / name,
            providers={"sim": made.simulator()},
            mlflow=False,
            environ={},
            **options,
        )

    calm, moved = result("calm"), result("moved", clock=SetBackClock())
    assert moved.record.spend.calls > LOOKS
    assert moved.record.ended_at is not None
    assert moved.record.ended_at < moved.record.started_at
    assert [figures(trial) for trial in moved.record.finalists] == [
        figures(trial) for trial in calm.record.finalists
    ]
    assert moved.best_params == calm.best_params
    assert in_cents(moved.record.spend) == in_cents(calm.record.spend)
    again = load_run("latest", store=f"sqlite:///{tmp_path}/moved.db", reports=tmp_path / "moved")
    assert again.best_params == calm.best_params
    assert ", after " in (calm.folder / "report.html").read_text(encoding="utf-8")
    assert ", after " not in (moved.folder / "report.html").read_text(encoding="utf-8")


def in_cents(spend: Spend) -> Spend:
    """The spending without the last bits: bills are added up in the order in which they came."""

    def rounded(paid: Mapping[Any, Paid]) -> dict[Any, Paid]:
        return {name: replace(one, usd=round(one.usd, 9)) for name, one in paid.items()}

    parts = {"by_purpose": rounded(spend.by_purpose), "by_model": rounded(spend.by_model)}
    return replace(spend, usd=round(spend.usd, 9), **parts)


def figures(trial: Trial) -> list[Any]:
    """What a trial measured, but for its latency."""
    return [trial.settings, trial.state, trial.samples, trial.quality, trial.usd_per_1k_calls]
