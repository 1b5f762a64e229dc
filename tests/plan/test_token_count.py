"""Who counts the tokens that a text is cut by: exactly where a tokenizer is here, else from above."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.catalogue.models import Model
from harness.chunks import cut
from harness.plan.lengths import token_count
from harness.plan.vocabulary import tokenizer_of

TEXT = "Batteries below seventy per cent of their capacity are replaced free of charge. " * 12
MODEL = Model(provider="mine", name="m", model_class="EMBEDDING", prices=None)


def test_a_model_of_openai_is_counted_by_its_own_encoding():
    """One token a common word, and no more on top."""
    assert token_count(replace(MODEL, provider="openai"))("free of charge") == 3


def test_another_model_is_counted_from_above():
    """A fifth more than OpenAI's encoding gives, rounded up."""
    assert token_count(MODEL)("free of charge") == 4


def test_the_tokenizer_beside_weights_counts_exactly(tmp_path, monkeypatch):
    """The frame around every text is counted too, so that no piece is longer than was asked for."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))
    tokenizer.enable_truncation(8)
    monkeypatch.setenv("HARNESS_MODELS", str(tmp_path))
    assert tokenizer_of("minilm") is None
    tokenizer.save(str(tmp_path / "all-MiniLM-L6-v2.tokenizer.json"))
    count = token_count(replace(MODEL, weights="minilm"))
    assert count("one two three") == 5
    pieces = cut(TEXT, size=40, count=count)
    assert max(count(piece.text) for piece in pieces) <= 40
    assert len(pieces) > 1


@pytest.mark.parametrize("weights", ["smollm2-135m-instruct", "no such weights"])
def test_weights_without_a_tokenizer_beside_them_have_none(weights, tmp_path):
    """A vocabulary inside the weights is another matter, and an unknown name is no error here."""
    assert tokenizer_of(weights, tmp_path) is None
