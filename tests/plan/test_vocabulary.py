"""Tokens by the vocabulary inside weights: as many as the server of these weights counts."""

from __future__ import annotations

import json
import struct
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.calls.local_server import LocalServer
from harness.catalogue.models import Model, load_catalogue
from harness.catalogue.weights import find
from harness.plan.vocabulary import Vocabularies, read_vocabulary
from harness.records import Message

MODEL = "smollm2-135m-instruct"
ASK = Message("user", "Where is my parcel?")
CONVERSATIONS: dict[str, tuple[Message, ...]] = {
    "English": (Message("system", "Sort the ticket."), Message("user", "My card was charged twice, again!")),
    "without a system message": (ASK,),
    "several turns": (ASK, Message("assistant", "At the depot."), Message("user", "Since when?")),
    "digits": (Message("user", "2026-11-26 17:45:12, 199.95 EUR, 0049-30-1234567"),),
    "Japanese": (Message("user", "荷物がまだ届いていません。追跡番号を確認してください。"),),
    "German and emoji": (Message("user", "Größe 42½ fehlt 😀😀, bitte prüfen!"),),
    "code": (Message("user", "def f(x):\n\treturn {'a': x  ,  'b': [1, 2]}\n\n\n    # done\n"),),
    "blanks": (Message("user", "a        b   \n \n\t c"),),
    "a mark of the template": (Message("user", "Say <|im_end|> and <|im_start|>user twice."),),
    "nothing": (Message("user", ""),),
}


def counted_by(server: LocalServer, messages: tuple[Message, ...]) -> int:
    """The prompt's tokens as the server states them with an answer of one token."""
    body: dict[str, Any] = {
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "max_tokens": 1,
        "temperature": 0,
    }
    request = urllib.request.Request(
        f"{server.url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {server.key}"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)["usage"]["prompt_tokens"]


@pytest.fixture(scope="module")
def server(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A running server of the small model."""
    file = weights / find(MODEL).file_name
    with LocalServer.start(MODEL, file, log=tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.mark.local_model
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_tokens_are_those_that_the_server_counts(server: LocalServer, weights: Path, name: str) -> None:
    """Template, marks and words: exactly, in any script, and without a server."""
    model = load_catalogue().find(f"local/{MODEL}")
    messages = CONVERSATIONS[name]
    assert Vocabularies(weights).count(model, messages) == counted_by(server, messages)


# -- files of one's own making


def text(value: str) -> bytes:
    """A text of a GGUF file."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def listed(kind: int, values: list[bytes]) -> tuple[int, bytes]:
    """A list of a GGUF file."""
    return 9, struct.pack("<IQ", kind, len(values)) + b"".join(values)


def a_file(folder: Path, **changes: Any) -> Path:
    """A GGUF file with a vocabulary of a few tokens and no weights."""
    tokens = ["<s>", "</s>", "a", "b", "Ġ", "ab", "Ġa"]
    facts: dict[str, tuple[int, bytes] | None] = {
        "general.size": (10, struct.pack("<Q", 7)),
        "tokenizer.ggml.model": (8, text("gpt2")),
        "tokenizer.ggml.pre": (8, text("llama-bpe")),
        "tokenizer.ggml.tokens": listed(8, [text(token) for token in tokens]),
        "tokenizer.ggml.token_type": listed(5, [struct.pack("<i", kind) for kind in (3, 3, 1, 1, 1, 1, 1)]),
        "tokenizer.ggml.merges": listed(8, [text("a b"), text("Ġ a")]),
        "tokenizer.ggml.bos_token_id": (4, struct.pack("<I", 0)),
        "tokenizer.ggml.eos_token_id": (4, struct.pack("<I", 1)),
        "tokenizer.ggml.add_bos_token": (7, b"\x01"),
        "tokenizer.chat_template": (
            8,
            text("{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}"),
        ),
        **{name.replace("__", "."): value for name, value in changes.items()},
    }
    named = {name: value for name, value in facts.items() if value is not None}
    body = b"".join(text(name) + struct.pack("<I", kind) + raw for name, (kind, raw) in named.items())
    path = folder / "own.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(named)) + body)
    return path


def test_a_count_by_hand(tmp_path: Path) -> None:
    """The text and its end are <s>, ab, Ġa, </s>: the beginning is added where the template has none."""
    vocabulary = read_vocabulary(a_file(tmp_path))
    assert vocabulary is not None
    assert vocabulary.count([Message("user", "ab a")]) == 4
    begun = read_vocabulary(a_file(tmp_path), "{{ bos_token }}{{ messages[0].content }}")
    assert begun is not None
    assert begun.count([Message("user", "ab a")]) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__ggml__pre": (8, text("of-tomorrow"))},
        {"tokenizer__ggml__model": (8, text("llama"))},
        {"tokenizer__chat_template": None},
        {"tokenizer__ggml__bos_token_id": (4, struct.pack("<I", 99))},
        {"general__odd": (99, b"")},
    ],
)
def test_what_is_not_understood_is_not_guessed(tmp_path: Path, changes: dict[str, Any]) -> None:
    """An unknown kind, a missing part, a file that is none: no count, so that an estimate is stated."""
    assert read_vocabulary(a_file(tmp_path, **changes)) is None
    (tmp_path / "short.gguf").write_bytes(a_file(tmp_path).read_bytes()[:200])
    assert read_vocabulary(tmp_path / "short.gguf") is None
    (tmp_path / "vectors.safetensors").write_bytes(b"\xff" * 4000)
    assert read_vocabulary(tmp_path / "vectors.safetensors") is None


def test_a_template_that_refuses_gives_no_count(tmp_path: Path) -> None:
    """As some do for a second system message."""
    vocabulary = read_vocabulary(a_file(tmp_path), "{{ raise_exception('no') }}")
    assert vocabulary is not None
    assert vocabulary.count([ASK]) is None


def test_models_without_weights_here_have_no_count(tmp_path: Path) -> None:
    """Hosted ones, those that nobody fetched, and names that the catalogue of weights lacks."""
    own = Vocabularies(tmp_path)
    made = Model(provider="local", name="x", model_class="SMALL", prices=None, weights="nobody-knows")
    for model in (load_catalogue().find("openai/gpt-4o"), load_catalogue().find(f"local/{MODEL}"), made):
        assert own.count(model, [ASK]) is None
