"""Which group each sample is in, by the fields of its metadata.

In: samples as they are first used. Out: for each field that divides them into few groups, the value of each
sample. Nothing is computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.plan.scoring import MOST_NAMED
from harness.records import JsonValue

# A field with more values than these is an identifier, not a group, unless the spec names it.
MOST_VALUES = 12
# Begins the key of what is no text, which no text of a row begins with by chance: 1 and "1" are two values.
NO_TEXT = "\0"


@dataclass(slots=True)
class Groupings:
    """The groups that samples fall into. named: fields to divide by; `None`: every field with few values.

    count: of samples. Values are compared as a whole, however long they are.
    """

    count: int
    named: Sequence[str] | None
    _keys: dict[str, list[str | None]] = field(default_factory=dict[str, "list[str | None]"])
    _seen: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])
    _too_many: set[str] = field(default_factory=set[str])

    def note(self, position: int, metadata: Mapping[str, JsonValue]) -> None:
        """Remember the groups of the sample at this position."""
        for name, value in metadata.items():
            if name in self._too_many or value is None or isinstance(value, list | dict):
                continue
            if self.named is not None and name not in self.named:
                continue
            seen = self._seen.setdefault(name, {})
            written = value if isinstance(value, str) else NO_TEXT + json.dumps(value)
            # One object for each value, and not one for each sample.
            key = seen.setdefault(written, written)
            if len(seen) > (MOST_VALUES if self.named is None else MOST_NAMED):
                self._too_many.add(name)
                self._keys.pop(name, None)
                continue
            self._keys.setdefault(name, [None] * self.count)[position] = key

    def of(self, name: str) -> list[str | None]:
        """The value of this field of each sample by position; `None` where it has none."""
        texts = self._texts(name)
        return [None if key is None else texts[key] for key in self._keys.get(name, [None] * self.count)]

    def slices(self) -> list[tuple[str, str]]:
        """Every field with two values or more, with each of its values, in alphabetical order."""
        several = {
            name: sorted(self._texts(name).values()) for name in self._keys if len(self._seen[name]) > 1
        }
        return [(name, value) for name in sorted(several) for value in several[name]]

    def _texts(self, name: str) -> dict[str, str]:
        """What each value is called: a text that reads like another value is put in quotes."""
        seen = self._seen.get(name, {})
        others = {key: key.removeprefix(NO_TEXT) for key in seen if key.startswith(NO_TEXT)}
        taken = set(others.values())
        return others | {
            key: json.dumps(key, ensure_ascii=False) if key in taken else key
            for key in seen
            if key not in others
        }
