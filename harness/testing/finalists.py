"""Finalists with figures and bounds as a run would have them, for tests and simulations of advice.

In: what each answered. Out: `Finalist` records, and what is recommended among them. Must draw nothing at
random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.advice.choose import recommend
from harness.advice.finalist import Finalist, Goal, Searched
from harness.findings import Recommendation, Trial
from harness.plan.spec_reader import read_policy
from harness.records import Bounds, ModelClass
from harness.stats.bounds import mean_bounds, percentile_bounds, share_bounds, shared, two_sided
from harness.stats.intervals import mean_interval
from harness.testing.builders import a_provenance, a_settings, a_trial, an_estimate

RATES = ("failure_rate", "unscored_rate", "truncation_rate")


def a_finalist(
    number: int = 0,
    *,
    confirm_values: ArrayLike,
    search_values: ArrayLike | None = None,
    quality: float | None = None,
    usd_per_1k_calls: float | None = 1.0,
    latencies_s: ArrayLike = (0.5,),
    hits: Mapping[str, int] | None = None,
    among: int = 1,
    level: float = 0.95,
    samples: int = 200,
    groups: Sequence[str] | None = None,
    model_class: ModelClass = "SMALL",
) -> Finalist:
    """A finalist that answered every confirm sample once.

    confirm_values, search_values: quality per sample; left out: on the search split as on the confirm split.
    quality: on the search split, in place of the mean of its values. usd_per_1k_calls: of every call.
    latencies_s: of its calls on the confirm split, in turns. hits: events by rate, as in {"failure_rate": 3}.
    among: finalists that share the error of bounds. samples: answered on the search split.
    """
    confirmed = np.asarray(confirm_values, dtype=np.float64)
    searched = confirmed if search_values is None else np.asarray(search_values, dtype=np.float64)
    times = np.resize(np.asarray(latencies_s, dtype=np.float64), len(confirmed))
    search = a_trial(
        number,
        quality=mean_interval(searched, level=level) if quality is None else an_estimate(quality),
        settings=a_settings(temperature=number / 100),
        model_class=model_class,
        usd_per_1k_calls=usd_per_1k_calls,
        latency_p50_s=float(np.median(times)),
        latency_p95_s=float(np.percentile(times, 95)),
        samples=samples,
    )
    confirm = _confirmed(search, confirmed, times, hits or {}, level=level, among=among, groups=groups)
    return Finalist(
        search=search,
        confirm=confirm,
        search_values=searched,
        confirm_values=confirmed,
        groups=groups,
    )


def a_choice(
    finalists: Iterable[Finalist],
    policy: str | Mapping[str, object] = "best",
    *,
    searched: Sequence[Searched] = (),
    notes: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
    assumed: Mapping[str, float] | None = None,
    level: float = 0.95,
    repeats: int = 1,
) -> Recommendation:
    """What is recommended among these. policy: as in a spec; the rest as in `Goal` and `recommend`."""
    goal = Goal(
        policy=read_policy(policy),
        limits=limits or {},
        assumed=assumed or {},
        level=level,
        seed=1,
        repeats=repeats,
    )
    return recommend(
        list(finalists),
        goal,
        experiment="ticket-triage",
        run="run-1",
        provenance=a_provenance(),
        notes=notes,
        searched=searched,
    )


def _confirmed(
    search: Trial,
    values: NDArray[np.float64],
    times: NDArray[np.float64],
    hits: Mapping[str, int],
    *,
    level: float,
    among: int,
    groups: Sequence[str] | None,
) -> Trial:
    n, each, price = len(values), shared(level, among), search.usd_per_1k_calls
    around = mean_interval(values, level=two_sided(each), groups=groups)
    bounds = {rate: share_bounds(hits.get(rate, 0), n, level=each) for rate in RATES} | {
        "quality": Bounds(low=around.low, high=around.high, level=each, n=n, method=around.method),
        "latency_p50_s": percentile_bounds(times, 0.5, level=each),
        "latency_p95_s": percentile_bounds(times, 0.95, level=each),
    }
    if price is not None:
        bounds["usd_per_1k_calls"] = mean_bounds(np.full(n, price), level=each)
    return replace(
        search,
        split="confirm",
        samples=n,
        quality=mean_interval(values, level=level, groups=groups),
        bounds=bounds,
        failure_rate=hits.get("failure_rate", 0) / n,
        unscored_rate=hits.get("unscored_rate", 0) / n,
        truncation_rate=hits.get("truncation_rate", 0) / n,
    )
