"""The most tokens that one call can be billed, known before it is sent and without a tokenizer.

In: the texts of a prompt, what is sent beside them, and what limits the answer. Out: token counts from
above. A plan's worst case and the money held before a call rest on the same functions, so that the one
bounds the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from harness.catalogue.models import Model
from harness.records import JsonValue

# What a chat template may add around the messages: the longest of hosted models known, gpt-oss's, takes 60.
TOKENS_PER_REQUEST = 64
TOKENS_PER_MESSAGE = 16  # what it may add around each of them, and a service around a text that it embeds
# What explains tools or a form of answers to the model: Anthropic's instructions take up to 530 (its table of
# tool use), the words around a schema in the templates of others fewer.
TOKENS_PER_FORM = 1024
NOTHING: Mapping[str, JsonValue] = {}
_DEFINITIONS = ("$defs", "definitions")


def most_input_tokens(texts: Iterable[str], beside: Mapping[str, JsonValue] = NOTHING) -> int:
    """An upper bound on the prompt tokens of these messages.

    A token of a byte-level vocabulary is at least one byte of UTF-8, so the bytes bound the tokens whatever
    the language; the frames of a chat template come on top. beside: custom parameters that are sent along:
    schemas, tools and texts among them are written into the prompt, and billed as a part of it.
    """
    tokens = TOKENS_PER_REQUEST
    for text in texts:
        tokens += TOKENS_PER_MESSAGE
        tokens += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return tokens + most_tokens_beside(beside) if beside else tokens


def most_tokens_beside(beside: Mapping[str, JsonValue]) -> int:
    """An upper bound on the prompt tokens of custom parameters that are sent along with messages."""
    formed = any(isinstance(value, dict | list) for value in beside.values())
    return _most_beside(beside) + TOKENS_PER_FORM * formed


def most_embedded_tokens(texts: Iterable[str], beside: Mapping[str, JsonValue] = NOTHING) -> int:
    """An upper bound on the tokens of texts to be embedded: there is no chat template around them.

    beside: custom parameters that are sent along. A service may write a task, a title or an instruction
    before each of the texts.
    """
    each = TOKENS_PER_MESSAGE + _most_beside(beside)
    return sum(each + len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _most_beside(beside: Mapping[str, JsonValue]) -> int:
    """A bound on the tokens of these values in a prompt; numbers and switches are in none."""
    tokens = 0
    for value in beside.values():
        if isinstance(value, str):
            tokens += TOKENS_PER_MESSAGE + _json_bytes(value)
        elif isinstance(value, dict | list):
            tokens += _written_out(value)
    return tokens


def _json_bytes(value: JsonValue) -> int:
    # Escaped, as json writes it, no character takes fewer bytes than in UTF-8.
    return len(json.dumps(value))


def _written_out(value: JsonValue) -> int:
    """Bytes as JSON, each definition counted wherever it is referred to: litellm copies them there."""
    text = json.dumps(value)
    if '"$ref"' not in text:
        return len(text)
    defined: dict[str, JsonValue] = {}
    referred: list[str] = []
    _references(value, defined, referred)
    sizes: dict[str, int] = {}
    return len(text) + sum(_size_of(name, defined, sizes) for name in referred)


def _size_of(name: str, defined: Mapping[str, JsonValue], sizes: dict[str, int]) -> int:
    """Bytes of a definition with all that it refers to; what refers to itself is left there as it is."""
    if name not in sizes:
        sizes[name] = 0
        inner: list[str] = []
        _references(defined.get(name), {}, inner)
        own = _json_bytes(defined[name]) if name in defined else 0
        sizes[name] = own + sum(_size_of(one, defined, sizes) for one in inner)
    return sizes[name]


def _references(value: JsonValue, defined: dict[str, JsonValue], referred: list[str]) -> None:
    """Add the definitions in a value, and the last part of each reference, to these."""
    if isinstance(value, list):
        for one in value:
            _references(one, defined, referred)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in _DEFINITIONS and isinstance(one, dict):
                defined.update(one)
            if name == "$ref" and isinstance(one, str):
                referred.append(one.rpartition("/")[2])
            else:
                _references(one, defined, referred)


def most_output_tokens(asked: int | None, model: Model) -> int:
    """An upper bound on the tokens of an answer: what was asked for, else what the model can give.

    asked: `max_output_tokens` as sent. 0 when neither the call nor the catalogue states a limit.
    """
    return asked or model.max_output_tokens or model.context_tokens or 0


def unbounded(asked: int | None, model: Model, *, usd: float | None, tokens: int | None) -> str:
    """Why these caps cannot be held, in words: nobody says how long an answer may get; empty: they can.

    asked: as for `most_output_tokens`. usd, tokens: the caps; `None`: there is none.
    """
    costs = model.prices is not None and model.prices.output > 0
    if most_output_tokens(asked, model) or (tokens is None and (usd is None or not costs)):
        return ""
    return (
        f"nothing limits the answers of {model.full_name}, so that no cap in dollars or tokens could hold; "
        f"give the settings max_output_tokens, or state providers.{model.provider}.models.{model.name}."
        "max_output_tokens or .context_tokens"
    )
