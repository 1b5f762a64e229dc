"""Where the examples of a run come from, by data set and by task. No decisions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCard:
    """Where the examples come from. sha256: of the rows as read; source, licence: as the data set states.

    file: what was read: a path, an address, or "hf:owner/name"; empty for several.
    """

    name: str
    sha256: str
    n_search: int
    n_confirm: int
    source: str = ""
    licence: str = ""
    attribution: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """One of several tasks. weight: its share of the quality, from 0 to 1.

    n_search, n_confirm: its samples that are asked; data says how many there are.
    """

    name: str
    weight: float
    metric: str
    n_search: int
    n_confirm: int
    data: DataCard
