"""Tokens as simulated models count them: by words, so that everybody can check the bill.

In: texts and calls. Out: whole numbers. No tokenizer of a real model is meant.
"""

from __future__ import annotations

from harness.records import Call

# A common rule of thumb for English, kept as a fraction so that counts are exact: 1.3 tokens a word.
TOKENS, WORDS = 13, 10


def tokens_of_words(words: int) -> int:
    """Tokens of so many words: 1.3 a word, rounded up."""
    return -(-words * TOKENS // WORDS)


def count_tokens(text: str) -> int:
    """Tokens of a text."""
    return tokens_of_words(len(text.split()))


def count_call_tokens(call: Call) -> int:
    """Prompt tokens of a call: of all its messages and texts."""
    return sum(count_tokens(m.content) for m in call.messages) + sum(map(count_tokens, call.texts))
