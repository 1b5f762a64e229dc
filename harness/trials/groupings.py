"""Which group each sample is in, by the fields of its metadata.

In: samples as they are first used. Out: for each field that divides them into few groups, the value of each
sample. Nothing is computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.records import JsonValue

# A field with more values than these is an identifier, not a group, unless the spec names it.
MOST_VALUES = 12
MOST_NAMED = 200
LONGEST_VALUE = 60


@dataclass(slots=True)
class Groupings:
    """The groups that samples fall into. named: fields to divide by; `None`: every field with few values.

    count: of samples. values: by field, the value of each sample by position; `None` where it has none.
    """

    count: int
    named: Sequence[str] | None
    values: dict[str, list[str | None]] = field(default_factory=dict[str, "list[str | None]"])
    _seen: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _too_many: set[str] = field(default_factory=set[str])

    def note(self, position: int, metadata: Mapping[str, JsonValue]) -> None:
        """Remember the groups of the sample at this position."""
        for name, value in metadata.items():
            if name in self._too_many or value is None or isinstance(value, list | dict):
                continue
            if self.named is not None and name not in self.named:
                continue
            text = (value if isinstance(value, str) else json.dumps(value))[:LONGEST_VALUE]
            seen = self._seen.setdefault(name, set())
            if text not in seen:
                seen.add(text)
                if len(seen) > (MOST_VALUES if self.named is None else MOST_NAMED):
                    self._too_many.add(name)
                    self.values.pop(name, None)
                    continue
            self.values.setdefault(name, [None] * self.count)[position] = text

    def slices(self) -> list[tuple[str, str]]:
        """Every field with two values or more, with each of its values, in alphabetical order."""
        several = {name: self._seen[name] for name in self.values if len(self._seen[name]) > 1}
        return [(name, value) for name in sorted(several) for value in sorted(several[name])]
