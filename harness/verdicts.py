"""Records of verdicts: one set of settings held against another, and a gate's answer. No decisions.

Frozen, and equal by value. Everywhere, `base` is what there was and `new` what is judged; differences are new
minus base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.records import Estimate, Settings
from harness.sheets import Sheet

Verdict = Literal["better", "worse", "same", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two. name: of its run or file, for people. metric: what its quality is called.

    figures: of the trial by name, as in `usd_per_1k_calls`; absent: unknown.
    """

    name: str
    experiment: str
    metric: str
    sheet: Sheet
    figures: Mapping[str, float]

    @property
    def settings(self) -> Settings:
        """What was asked."""
        return self.sheet.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """One metric of both on the samples that both have.

    base, new: means over these pairs, of several tasks by their weights. difference: with bounds that each
    hold by itself at the level of the comparison. worse_p, better_p: of a drop beyond the tolerance, and of
    any gain, allowing for all metrics that are looked at; same_p: of a drop that stays within the tolerance.
    more: further samples that would settle an unclear verdict in four of five cases, if the difference stays;
    `None`: none are needed, or no number of them would. reason: the verdict as a sentence.
    """

    metric: str
    base: float
    new: float
    difference: Estimate
    tolerance: float
    verdict: Verdict
    worse_p: float
    same_p: float
    better_p: float
    more: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A sample whose score moved. base, new: from 0 to 1."""

    sample_id: str
    base: float
    new: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDifference:
    """The samples whose metadata has one value in one field; `None`: too few to tell how sure."""

    field: str
    value: str
    n_pairs: int
    difference: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDifference:
    """One of several tasks: how the mean score of its samples moved. weight: its share, from 0 to 1."""

    name: str
    weight: float
    n_pairs: int
    difference: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How a figure of every answer moved, on the samples that both have.

    change: of the price, US dollars for a thousand calls; of the latency, a factor: 1.2 is a fifth slower.
    """

    base: float
    new: float
    change: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What may be said of new against base. metrics: the quality first.

    verdict: of all metrics together: "worse" where one of them is, "unclear" where one of the others is,
    "same" where none may have dropped by more than its tolerance, "better" where one gained besides. reason:
    a sentence. identical: the same settings gave the same scores, so that nothing is left to test. flips: of
    the quality, worst drops first. slices: their intervals hold all together at the level, and so do those of
    tasks: where there are several, the quality is that of all of them by weight. notes: what a reader should
    know.
    """

    base: Side
    new: Side
    level: float
    verdict: Verdict
    reason: str
    metrics: tuple[Versus, ...]
    identical: bool = False
    flips: tuple[Flip, ...] = ()
    slices: tuple[SliceDifference, ...] = ()
    tasks: tuple[TaskDifference, ...] = ()
    price: Shift | None = None
    latency: Shift | None = None
    notes: tuple[str, ...] = ()

    @property
    def quality(self) -> Versus:
        """The metric that gives the quality."""
        return self.metrics[0]

    @property
    def difference(self) -> Estimate:
        """Of the quality, new minus base."""
        return self.quality.difference

    @property
    def tolerance(self) -> float:
        """By how much the quality may drop."""
        return self.quality.tolerance

    @property
    def n_pairs(self) -> int:
        """Samples that both have a quality for."""
        return self.quality.difference.n


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorCheck:
    """A figure held against the bound that it has to keep. floor: as it was written down.

    low, high: where the figure lies, each end by itself at the level; `None`: so few calls allow no such
    bound. standing: "keeps" and "breaks" are sure, "unclear" is between. reason: a clause. more: further
    samples that would settle it if the figure stays; `None`: none are needed, or no number of them would.
    """

    floor: str
    figure: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    standing: Literal["keeps", "breaks", "unclear"]
    reason: str
    more: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a gate can see of one metric, said before anything is asked.

    n: samples. drop: true drop, from 0 to 1, that is called worse in four of five cases; `None`: none is.
    twice: how likely a drop of twice the tolerance is called worse. unchanged: how likely settings that are
    as good as the base are called so. sd: assumed spread of the differences. sentence: the same in words.
    """

    metric: str
    n: int
    tolerance: float
    drop: float | None
    twice: float
    unchanged: float
    sd: float
    sentence: str = ""


Outcome = Literal["passed", "failed", "unclear", "stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What a gate says. experiment, run: of the settings that were tested; no run where nothing was asked.

    outcome: "failed" where a metric is worse or a floor broken, "unclear" where one of the others is, "stale"
    where the baseline does not fit what would be measured. comparison: `None` without a baseline that can be
    used. stale: what moved, a sentence each. reasons: why, a sentence each. updated: the baseline file that
    was written, "" for none.
    """

    experiment: str
    run: str
    outcome: Outcome
    reasons: tuple[str, ...]
    settings: Settings
    alpha: float
    comparison: Comparison | None = None
    floors: tuple[FloorCheck, ...] = ()
    power: tuple[Power, ...] = ()
    stale: tuple[str, ...] = ()
    baseline: str = ""
    updated: str = ""
    spent_usd: float = 0.0
    notes: tuple[str, ...] = ()
