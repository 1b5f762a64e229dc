"""What OpenAI's chat format calls the output limit.

In: the name of a model. Out: the name of a field. Whoever asks a model in this format, and whoever hands
measured settings on, has to say the same.
"""

from __future__ import annotations

import re
from typing import Literal

_REASONS = re.compile(r"o\d|gpt-[5-9]")


def reasons(model_name: str) -> bool:
    """Whether this is called like a reasoning model of OpenAI's (o1, gpt-5 and later), wherever it runs.

    They refuse `max_tokens`, and client libraries treat their other settings in ways of their own.
    """
    return _REASONS.match(model_name) is not None


def limit_name(model_name: str) -> Literal["max_tokens", "max_completion_tokens"]:
    """The field with the output limit. Other servers know the older name alone."""
    return "max_completion_tokens" if reasons(model_name) else "max_tokens"
