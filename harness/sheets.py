"""Records of one set of settings sample by sample: what two runs are compared by. No decisions.

In: nothing; trials fill them. Columns have one entry a sample, in the order of `samples`; `None`: nothing
there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.records import Settings, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What scores rest on besides the settings: two sheets are comparable where these agree.

    data: sha256 of the rows. scoring: fingerprint of scorers with their options, metric, repeats and the
    line on failures. scorers: versions by name. prompt: sha256 of the template. prices: of the model, US
    dollars per million tokens by kind.
    """

    data: str
    scoring: str
    scorers: Mapping[str, int]
    prompt: str
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One trial on one split, sample by sample.

    scores: by metric or scorer, from 0 to 1, the one that gives the quality first; repeats are averaged. usd:
    list price of one answer. latency_s: of one answer. groups: cluster of each sample; empty when every
    sample stands alone. slices: values of metadata fields by field. weights: of several tasks, the share of
    the quality by task, adding up to 1; empty with one task. The ids of their samples begin with the task.
    """

    trial: int
    settings: Settings
    split: Split
    samples: tuple[str, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    usd: tuple[float | None, ...]
    latency_s: tuple[float | None, ...]
    basis: Basis
    groups: tuple[str | None, ...] = ()
    slices: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict[str, "tuple[str | None, ...]"])
    weights: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def quality(self) -> str:
        """The name of the column that gives the quality."""
        return next(iter(self.scores))
