"""Tokens as simulated models count them: by words, so that everybody can check the bill.

In: texts, calls, and what is sent beside messages. Out: whole numbers. No tokenizer of a real model is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from harness.records import Call

# A common rule of thumb for English, kept as a fraction so that counts are exact: 1.3 tokens a word.
TOKENS, WORDS = 13, 10
# What Anthropic puts before the tools of Claude 4 and its like (API docs, tool use, 2026-11-23).
TOOLS_PROMPT = 346
_PIECE = re.compile(r"\w+|[^\w\s]")


def tokens_of_words(words: int) -> int:
    """Tokens of so many words: 1.3 a word, rounded up."""
    return -(-words * TOKENS // WORDS)


def count_tokens(text: str) -> int:
    """Tokens of a text."""
    return tokens_of_words(len(text.split()))


def count_json_tokens(*values: object) -> int:
    """Tokens of these values as JSON, of those that are there: one for every word and every sign."""
    return sum(len(_PIECE.findall(json.dumps(one, ensure_ascii=False))) for one in values if one)


def count_beside_tokens(sent: Mapping[str, Any]) -> int:
    """Prompt tokens of what is sent beside messages in OpenAI's words: a schema of answers, tools, documents.

    Everything else decides how an answer is drawn, and is in no prompt.
    """
    form: Any = sent.get("response_format")
    schema = cast("dict[str, Any]", form).get("json_schema") if isinstance(form, dict) else None
    return count_json_tokens(schema, *(sent.get(name) for name in ("tools", "functions", "documents")))


def count_call_tokens(call: Call) -> int:
    """Prompt tokens of a call: of all its messages and texts, and of what is sent beside messages."""
    told = sum(count_tokens(m.content) for m in call.messages) + sum(map(count_tokens, call.texts))
    return told + (count_beside_tokens(call.settings.extra) if call.messages else 0)
