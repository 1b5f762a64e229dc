"""What is sent beside the messages of a call and ends up in its prompt, as a plan counts it.

In: a space of settings, or custom parameters. Out: the longest of them for each model, and likely tokens. The
bound on these stands in `catalogue.bounds`, as everything that is held.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

from harness.catalogue.bounds import most_tokens_beside
from harness.plan.plan import Choices, Space, rivals_of
from harness.records import SENT_FIELDS, JsonValue, is_sided

# English text has about 4 characters a token; 3.5 and 10 % on top cover code, names and message frames.
CHARACTERS_PER_TOKEN = 3.5
MARGIN = 1.1


def longest_beside(space: Space, model: str) -> dict[str, JsonValue]:
    """The custom parameters that settings of this model may send, each with its longest value."""
    default = space.defaults[model]
    found = {name: _longest(name, [value]) for name, value in default.extra.items()}
    for one in space.dimensions[model]:
        custom = one.name not in (*SENT_FIELDS, *default.local) and not rivals_of(one.name)
        if custom and isinstance(one, Choices):
            found[one.name] = _longest(one.name, one.values)
    return found


def estimated_tokens(characters: int) -> int:
    """Prompt tokens for this many characters: characters / 3.5, and 10 % on top, rounded up."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN * MARGIN)


def estimated_beside(beside: Mapping[str, JsonValue]) -> int:
    """Prompt tokens that these custom parameters likely bring; numbers and switches are in no prompt."""
    written = (value for value in beside.values() if isinstance(value, str | list | dict))
    return estimated_tokens(sum(len(json.dumps(value, ensure_ascii=False)) for value in written))


def _longest(name: str, values: Iterable[JsonValue]) -> JsonValue:
    """The longest of the values; of those by side, what one side is sent."""
    each = [part for value in values for part in _sides(value)]
    return max(each, key=lambda value: most_tokens_beside({name: value}))


def _sides(value: JsonValue) -> Iterable[JsonValue]:
    return value.values() if isinstance(value, dict) and is_sided(value) else [value]
