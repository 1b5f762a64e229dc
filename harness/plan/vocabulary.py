"""Tokens of a conversation, by the vocabulary inside the weights of a model that runs here.

In: a model, and messages. Out: how many tokens its chat template and vocabulary make of them, exactly as
llama.cpp counts; nothing where the weights are not here, or hold a vocabulary of a kind that is not known
here. A door to `tokenizers`. Source: the GGUF specification (ggml-org/ggml, docs/gguf.md); for what stands
between words, llama.cpp's src/llama-vocab.cpp.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from harness.catalogue.models import Model
from harness.catalogue.weights import find, models_folder
from harness.errors import CatalogueError
from harness.records import Message

# Types of values in a GGUF file: numbers by their form in `struct`, then texts and lists.
_NUMBERS: Mapping[int, str] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _LIST = 8, 9
_MAGIC = b"GGUF"
_WHOLE_TOKENS = (3, 4)  # types of tokens that no text is cut into: control, and user-defined
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{%s}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
# By the name of a vocabulary, the patterns that cut a text into words, applied one after the other.
_PATTERNS: Mapping[str, tuple[str, ...]] = {
    "smollm": (
        r"\p{N}",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    ),
    "qwen2": (_ENDINGS + _WORDS % "1",),
    "llama-bpe": (_ENDINGS + _WORDS % "1,3",),
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A vocabulary with its chat template. begins: whether every conversation begins with `bos`."""

    tokenizer: Any
    template: str
    bos: str
    eos: str
    begins: bool

    def count(self, messages: Sequence[Message]) -> int | None:
        """The tokens of these messages and of the head of an answer; `None`: the template refuses them."""
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text = environment.from_string(self.template).render(
                messages=turns, add_generation_prompt=True, bos_token=self.bos, eos_token=self.eos
            )
        except TemplateError:
            return None
        more = self.begins and not text.startswith(self.bos)
        return len(self.tokenizer.encode(text, add_special_tokens=False)) + more


class Vocabularies:
    """The vocabularies of weights in a folder, each read once. folder: `None`: `HARNESS_MODELS`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or models_folder(os.environ)
        self._read: dict[str, Vocabulary | None] = {}

    def count(self, model: Model, messages: Sequence[Message]) -> int | None:
        """The tokens of these messages for this model; `None`: its vocabulary is not here."""
        name = model.weights
        if name is None:
            return None
        if name not in self._read:
            self._read[name] = self._open(name)
        vocabulary = self._read[name]
        return None if vocabulary is None else vocabulary.count(messages)

    def _open(self, name: str) -> Vocabulary | None:
        try:
            weights = find(name)
        except CatalogueError:
            return None
        path = self._folder / weights.file_name
        return read_vocabulary(path, weights.template) if path.is_file() else None


def read_vocabulary(path: Path, template: str | None = None) -> Vocabulary | None:
    """The vocabulary in a GGUF file; `None`: there is none, or of a kind that is not known here.

    template: chat template that replaces the one in the file.
    """
    try:
        with path.open("rb") as file:
            facts = _metadata(file)
        kind, pre = facts["tokenizer.ggml.model"], facts["tokenizer.ggml.pre"]
        if kind != "gpt2" or pre not in _PATTERNS:
            return None
        tokens = facts["tokenizer.ggml.tokens"]
        return Vocabulary(
            tokenizer=_tokenizer(facts, _PATTERNS[pre]),
            template=template or facts["tokenizer.chat_template"],
            bos=tokens[facts["tokenizer.ggml.bos_token_id"]],
            eos=tokens[facts["tokenizer.ggml.eos_token_id"]],
            begins=facts.get("tokenizer.ggml.add_bos_token", False),
        )
    except (OSError, struct.error, UnicodeError, KeyError, IndexError, TypeError, MemoryError, OverflowError):
        return None


def _tokenizer(facts: Mapping[str, Any], patterns: Sequence[str]) -> Any:
    """Byte-pair encoding over bytes, as GPT-2 has it."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    made: Any = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(tokens)}, merges=merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    whole = [token for token, kind in zip(tokens, types, strict=True) if kind in _WHOLE_TOKENS]
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in whole])
    return made


def _metadata(file: BinaryIO) -> dict[str, Any]:
    """What stands in front of the weights: names with numbers, texts, and lists of these."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise TypeError("no file in GGUF form")
    file.read(4)  # the version
    _, count = struct.unpack("<QQ", file.read(16))
    return {_text(file): _value(file, _number(file, "<I")) for _ in range(count)}


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _LIST:
        inner = _number(file, "<I")
        return [_value(file, inner) for _ in range(_number(file, "<Q"))]
    return _number(file, _NUMBERS[kind])


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "<Q")).decode("utf-8")


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def tokenizer_of(weights: str, folder: Path | None = None) -> Path | None:
    """The tokenizer.json that stands beside these weights; `None`: there is none here.

    folder: `None`: `HARNESS_MODELS`.
    """
    where = folder or models_folder(os.environ)
    try:
        files = [where / find(name).file_name for name in find(weights).beside]
    except CatalogueError:
        return None
    return next((file for file in files if file.name.endswith("tokenizer.json") and file.is_file()), None)


@cache
def tokenizer_count(file: Path) -> Callable[[str], int]:
    """Counts the tokens of a text by this tokenizer.json, what frames every text included."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)
