"""all-MiniLM-L6-v2 in this process: the same vectors as of others that run it, and clear refusals.

The reference vectors were computed by llama.cpp, which shares no line with ours, from the same weights.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pytest

from harness.calls.embedded import EmbeddedProvider
from harness.calls.minilm import MOST_TOKENS, MiniLm
from harness.calls.provider import ProviderFault
from harness.calls.weights import installed, pull
from harness.catalogue.models import load_catalogue
from harness.catalogue.weights import models_folder
from harness.errors import ProviderError
from harness.records import Call, Reply, Settings
from harness.testing.builders import a_call, a_settings
from harness.vectors import matrix

REFERENCE = json.loads(Path(__file__).with_name("minilm_reference.json").read_text(encoding="utf-8"))
ROOT = Path(__file__).resolve().parents[2]
# The first fetch is some 85 MB.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the weights are, fetched when they are not there; kept between runs."""
    found = models_folder({"HARNESS_MODELS": str(ROOT / ".harness" / "models"), **os.environ})
    pull("minilm", folder=found, progress=lambda _done, _total: None)
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> MiniLm:
    """The loaded model."""
    weights, tokenizer = installed("minilm", folder), installed("minilm-tokenizer", folder)
    assert weights is not None
    assert tokenizer is not None
    return MiniLm(weights, tokenizer)


def a_text(*texts: str, **extra: int) -> Call:
    """A request for the vectors of these texts."""
    settings = Settings(model="local/minilm", prompt="", extra=extra)
    return Call(settings=settings, sample_id="s1", texts=texts, purpose="embed")


def complete(folder: Path, call: Call) -> Reply:
    """One answer of the provider "local"."""
    catalogue = load_catalogue()

    async def act() -> Reply:
        provider = EmbeddedProvider({"minilm": catalogue.find("local/minilm")}, folder, folder / "logs")
        try:
            return await provider.complete(call)
        finally:
            await provider.close()

    return asyncio.run(act())


def test_its_vectors_are_those_of_another_implementation(model):
    """Of several languages, a long text, accents and signs that are no words: cosine .999 at least."""
    made = matrix(model.embed(REFERENCE["texts"]).vectors)
    reference = np.asarray(REFERENCE["vectors"], dtype=np.float64)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    assert (made * reference).sum(axis=1).min() > 0.9999


def test_vectors_do_not_depend_on_the_company(model):
    """A text alone, and among shorter and longer ones, has the same vector, in its place."""
    texts = [REFERENCE["texts"][n % 7] + f" {n}" for n in range(40)]
    together = matrix(model.embed(texts).vectors)
    alone = matrix([model.embed([text]).vectors[0] for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert np.linalg.norm(together, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_what_means_the_same_is_near(model):
    """And other things are far."""
    asked, near, far = matrix(
        model.embed(["How do I get my money back?", "I want a refund.", "The train is late."]).vectors
    )
    assert asked @ near > 0.5
    assert asked @ far < 0.2


def test_a_text_that_is_too_long_is_refused_not_cut(model):
    """The longest that it was trained on is taken; one more word is not."""
    longest = "word " * (MOST_TOKENS - 2)
    assert model.embed([longest]).tokens == (MOST_TOKENS,)
    with pytest.raises(ProviderFault, match=r"text 1 has 257 tokens, and .* takes 256 at most") as caught:
        model.embed(["short", longest + "word"])
    assert caught.value.kind == "too_long"


def test_the_provider_counts_tokens_and_takes_no_parameters(folder):
    """As any other provider; what it does not take is refused."""
    reply = complete(folder, a_text("Where is my parcel?", "x"))
    assert reply.vectors is not None
    assert [len(vector) for vector in reply.vectors] == [4 * 384] * 2
    # [CLS] where is my parcel ? [SEP], and [CLS] x [SEP].
    assert (reply.usage.input_tokens, reply.served_by) == (10, "minilm")
    with pytest.raises(ProviderFault, match="does not take dimensions"):
        complete(folder, a_text("x", dimensions=128))


def test_it_does_not_answer_questions(folder):
    """A model of vectors has none."""
    with pytest.raises(ProviderFault, match="gives vectors, not answers"):
        complete(folder, a_call(settings=a_settings(model="local/minilm")))


@pytest.mark.parametrize("damaged", ["weights", "tokenizer"])
def test_a_file_that_is_none_is_told(folder, tmp_path, damaged):
    """With what to do."""
    (tmp_path / damaged).write_bytes(b"\x10\0\0\0\0\0\0\0 no header at all")
    files = {
        name: installed(f"minilm{end}", folder)
        for name, end in (("weights", ""), ("tokenizer", "-tokenizer"))
    }
    with pytest.raises(ProviderError, match=r"cannot be loaded .*harness models pull minilm"):
        MiniLm(**files | {damaged: tmp_path / damaged})
