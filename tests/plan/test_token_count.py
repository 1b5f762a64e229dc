"""Who counts the tokens that a text is cut by: exactly where a tokenizer is here, else from above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.catalogue.models import Model
from harness.chunks import cut
from harness.plan.encodings import counter, encoding_of
from harness.plan.lengths import Count, count_tokens, token_count
from harness.plan.vocabulary import Vocabularies, tokenizer_of
from harness.records import Message

TEXT = "Batteries below seventy per cent of their capacity are replaced free of charge. " * 12
MODEL = Model(provider="mine", name="m", model_class="EMBEDDING", prices=None)


def test_a_model_of_openai_is_counted_by_its_own_encoding():
    """One token a common word, and no more on top."""
    assert token_count(replace(MODEL, provider="openai"))("free of charge") == 3


def test_another_model_is_counted_from_above():
    """A fifth more than OpenAI's encoding gives, rounded up."""
    assert token_count(MODEL)("free of charge") == 4


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """Puts a tokenizer of words, with a frame of two tokens, beside the weights of MiniLM."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer.enable_truncation(8)
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path))
    return lambda: tokenizer.save(str(tmp_path / "all-MiniLM-L6-v2.tokenizer.json"))


def test_the_tokenizer_beside_weights_counts_exactly(beside):
    """The frame around every text is counted too, so that no piece is longer than was asked for."""
    assert tokenizer_of("minilm") is None
    beside()
    count = token_count(replace(MODEL, weights="minilm"))
    assert count("one two three") == 5
    pieces = cut(TEXT, size=40, count=count)
    assert max(count(piece.text) for piece in pieces) <= 40
    assert len(pieces) > 1


def test_a_text_is_held_against_a_limit_by_the_same_tokenizer(beside):
    """Ten words of two tokens each by OpenAI's encoding are twelve tokens here, and from above without it."""
    model, text = replace(MODEL, weights="minilm"), [Message("user", "Donaudampfschiff " * 10)]
    assert not count_tokens(model, text, Vocabularies()).exact
    beside()
    assert count_tokens(model, text, Vocabularies()) == Count(12, exact=True)


@pytest.mark.parametrize("weights", ["smollm2-135m-instruct", "no such weights"])
def test_weights_without_a_tokenizer_beside_them_have_none(weights, tmp_path):
    """A vocabulary inside the weights is another matter, and an unknown name is no error here."""
    assert tokenizer_of(weights, tmp_path) is None


HINDI = "मेरा ऑर्डर अभी तक नहीं आया है, कृपया बताइए कि वह कब पहुँचेगा। "
JAPANESE = "注文した商品がまだ届いていません。いつ届くか教えてください。"


@pytest.mark.parametrize("text", [HINDI * 20, JAPANESE * 20, TEXT, "<|endoftext|> 12345 €"])
@pytest.mark.parametrize(
    ("name", "model_class", "encoding"),
    [
        ("gpt-4o-mini", "SMALL", "o200k_base"),
        ("gpt-5.4", "LARGE", "o200k_base"),
        ("o3", "LARGE", "o200k_base"),
        ("ft:gpt-4.1:acme::7p4lURel", "MEDIUM", "o200k_base"),
        ("triage-deployment", "SMALL", "o200k_base"),
        ("gpt-4-turbo", "LARGE", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "SMALL", "cl100k_base"),
        ("text-embedding-3-small", "EMBEDDING", "cl100k_base"),
        ("text-embedding-ada-002", "EMBEDDING", "cl100k_base"),
    ],
)
def test_models_of_openai_are_counted_as_tiktoken_counts_them(text, name, model_class, encoding):
    """In every language: English has as many tokens by either encoding, Hindi four times as many by one."""
    import tiktoken

    counter("o200k_base")  # from then on, tiktoken finds its files without a network
    model = replace(MODEL, provider="openai", name=name, model_class=model_class)
    expected = len(tiktoken.get_encoding(encoding).encode(text, disallowed_special=()))
    assert token_count(model)(text) == expected
    frames = 0 if model_class == "EMBEDDING" else 8
    counted = count_tokens(model, [Message("user", text)], Vocabularies(Path("nowhere")))
    assert counted == Count(expected + frames, exact=True)


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4.1-mini", "o3", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-4"])
def test_names_mean_the_encodings_that_tiktoken_gives_them(name):
    """The table here is short; where tiktoken knows a name, it says the same."""
    import tiktoken

    assert encoding_of(replace(MODEL, provider="openai", name=name, model_class="LARGE")) == (
        tiktoken.encoding_name_for_model(name)
    )


def test_another_providers_model_of_openai_has_its_encoding_and_others_have_none():
    """Whoever serves it: the name says whose it is."""
    assert encoding_of(replace(MODEL, provider="groq", name="openai/gpt-oss-20b", model_class="SMALL")) == (
        "o200k_base"
    )
    assert encoding_of(replace(MODEL, provider="groq", name="qwen/qwen3-32b")) is None
