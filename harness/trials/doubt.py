"""Whether an arm breaks a limit beyond doubt, so that more samples would be wasted on it.

In: what an arm has seen, and limits. Out: the limits that it breaks whatever its next answers bring. A
figure over few calls passes a limit by chance: one failure in eight calls is no failure rate of 12 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.plan.limits import FACTS, broken_limits
from harness.trials.evidence import Arm
from harness.trials.race import CLEAR_N, CLEAR_P

CLEAR_Z = 2.58  # standard errors that a mean lies above its limit with one-sided p 0.005


def surely_broken(arm: Arm, limits: Mapping[str, float]) -> list[str]:
    """The limits that this arm breaks beyond doubt, as texts.

    A mean price must lie 2.58 standard errors above its limit after 16 calls or more. Rates and
    percentiles are shares of calls, tested against the share that the limit allows; see `share_p`.
    """
    sure = {name: most for name, most in limits.items() if _is_sure(arm, name, most)}
    return broken_limits(arm.trial(), sure) if sure else []


def share_p(hits: int, n: int, share: float) -> float:
    """A bound on the chance of this many hits or more in n calls when their true share is `share`.

    exp(-n KL(hits / n || share)) where hits / n is above the share, else 1.
    Source: Chernoff 1952, Annals of Mathematical Statistics 23(4), in the form of Hoeffding 1963, theorem 1.
    """
    seen = hits / n if n else 0.0
    if seen <= share:
        return 1.0
    if share == 0.0:
        return 0.0
    distance = seen * math.log(seen / share)
    if seen < 1.0:
        distance += (1 - seen) * math.log((1 - seen) / (1 - share))
    return math.exp(-n * distance)


def _is_sure(arm: Arm, name: str, most: float) -> bool:
    if name == "usd_per_1k_calls":
        return _mean_is_above(arm.price, most / 1000)
    if name in FACTS:
        return arm.figures.get(name, 0.0) > most
    calls = int(arm.seen.sum())
    hits, n, share = {
        "latency_p50_s": (*_above(arm.latency, most), 0.5),
        "latency_p95_s": (*_above(arm.latency, most), 0.05),
        "first_token_p50_s": (*_above(arm.first_token, most), 0.5),
        "failure_rate": (arm.failed, calls, most),
        "unscored_rate": (arm.unscored, calls, most),
        "truncation_rate": (arm.truncated, calls, most),
    }[name]
    return share_p(hits, n, share) < CLEAR_P


def _mean_is_above(figures: NDArray[np.float32], most: float) -> bool:
    known = figures[~np.isnan(figures)].astype(np.float64)
    if len(known) < CLEAR_N:
        return False
    return float(known.mean()) - CLEAR_Z * float(known.std(ddof=1)) / math.sqrt(len(known)) > most


def _above(figures: NDArray[np.float32], most: float) -> tuple[int, int]:
    known = figures[~np.isnan(figures)]
    return int((known > most).sum()), len(known)
