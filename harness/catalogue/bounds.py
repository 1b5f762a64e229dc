"""The most tokens that one call can be billed, known before it is sent and without a tokenizer.

In: the texts of a prompt, and what limits the answer. Out: token counts from above. A plan's worst case and
the money held before a call rest on the same functions, so that the one bounds the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.catalogue.models import Model

TOKENS_PER_REQUEST = 64  # what a chat template may add around the messages
TOKENS_PER_MESSAGE = 16  # what it may add around each of them, and a service around a text that it embeds


def most_input_tokens(texts: Iterable[str]) -> int:
    """An upper bound on the prompt tokens of these messages or texts.

    A token of a byte-level vocabulary is at least one byte of UTF-8, so the bytes bound the tokens whatever
    the language; the frames of a chat template come on top.
    """
    tokens = TOKENS_PER_REQUEST
    for text in texts:
        tokens += TOKENS_PER_MESSAGE
        tokens += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return tokens


def most_embedded_tokens(texts: Iterable[str]) -> int:
    """An upper bound on the tokens of texts to be embedded: there is no chat template around them."""
    return sum(TOKENS_PER_MESSAGE + len(text.encode("utf-8", "surrogatepass")) for text in texts)


def most_output_tokens(asked: int | None, model: Model) -> int:
    """An upper bound on the tokens of an answer: what was asked for, else what the model can give.

    asked: `max_output_tokens` as sent. 0 when neither the call nor the catalogue states a limit.
    """
    return asked or model.max_output_tokens or model.context_tokens or 0
