"""Records of what a search says beyond its trials: what moved quality, and what vectors are worth.

In memory-sized form, like all of `findings`. No decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.records import Estimate, JsonValue, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLevel:
    """Trials with one value of a setting, or with a number from `value` to `upto`. value: `None`: not sent.

    quality: as if every value had met every model alike; `None`: too few trials to tell.
    """

    value: JsonValue
    trials: int
    quality: Estimate | None
    upto: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingEffect:
    """How quality moves with one setting over the trials of a search. levels: in order of their values.

    importance: share of what moves quality, from 0 to 1, by the name of the method; empty with too few trials
    or for a setting that some trial lacks.
    """

    name: str
    levels: tuple[SettingLevel, ...]
    importance: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What needs no model and no money, on the split that reports quality, to hold the others against.

    name: as in "TF-IDF". metrics: what is told beside the quality.
    """

    name: str
    split: Split
    quality: Estimate | None
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePoint:
    """A cache with one threshold, on labelled pairs. name: why it is told, empty for a point of the curve.

    hit_rate: of pairs that mean the same, hits; false_hit_rate: of different pairs, hits; wrong_share: of
    hits, the wrong ones. `None`: nothing to take the share of. saved_usd_per_1k: of requests like these
    pairs; `None`: nobody says what an answer costs.
    """

    cosine: float
    hit_rate: float | None
    false_hit_rate: float | None
    wrong_share: float | None
    saved_usd_per_1k: float | None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport:
    """The threshold of a semantic cache: what chose it, and what pairs say that had no part in the choice.

    threshold: `None` where no threshold keeps the limit; why says so then. limit, of: the largest share of
    false hits, "different" of different pairs or "hits" of all hits. false, different, same, hits: pairs on
    the split. high: upper bound of the share at `level`. verdict: "kept", "broken" or "unclear"; empty on the
    split that chose the threshold. allowed: the most false hits of so many that would show the limit kept;
    `None`: too few for any. needed: how many would show it at the share seen; `None`: no number. curve: from
    the highest threshold down. landmarks: thresholds of others. groups: which the different pairs come from;
    `None` where every pair stands alone.
    """

    trial: int
    split: Split
    threshold: float | None
    limit: float
    of: Literal["different", "hits"]
    level: float
    why: str = ""
    hits: int = 0
    false: int = 0
    different: int = 0
    same: int = 0
    high: float | None = None
    verdict: str = ""
    allowed: int | None = None
    needed: int | None = None
    groups: int | None = None
    curve: tuple[CachePoint, ...] = ()
    landmarks: tuple[CachePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """Answers of a trial that one scorer could not judge. of: answers that it was asked about.

    decides: whether it is the scorer that gives the quality. reasons: the most frequent ones with their
    counts, most first.
    """

    scorer: str
    decides: bool
    answers: int
    of: int
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
