"""One smallest call a model shows what the catalogue states wrongly, and spends next to nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.calls.provider import ProviderFault
from harness.calls.trial_call import TrialCall, smallest_call, trial_calls
from harness.catalogue.models import load_catalogue
from harness.plan.lookup import make_endpoints
from harness.records import Reply, Usage
from harness.testing.scripted import ScriptedProvider
from harness.vectors import packed

CATALOGUE = load_catalogue()
OK = Reply(
    text="ok",
    finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=1),
    served_by="gpt-4o-mini-2024-07-18",
)


def asked(full_name: str, answer: Any) -> TrialCall:
    """What this answer of this model shows."""
    model = CATALOGUE.find(full_name)
    provider = ScriptedProvider(answer)
    (found,) = trial_calls([model], make_endpoints([model], CATALOGUE, {}, None), {model.provider: provider})
    assert provider.closed == 1
    return found


def test_an_answer_as_expected_differs_in_nothing() -> None:
    """A dated name is the same model; 9 tokens at 0.15 and 1 at 0.60 per million."""
    found = asked("openai/gpt-4o-mini", OK)
    assert (found.differs, found.fault) == ((), "")
    assert found.usd == pytest.approx((9 * 0.15 + 0.6) / 1e6)


VECTOR = Reply(
    vectors=(packed([0.5] * 1536),),
    usage=Usage(input_tokens=3, output_tokens=0),
    served_by="text-embedding-3-small",
)


def test_a_model_of_vectors_is_asked_for_one() -> None:
    """3 tokens at 0.02 per million; its length is that of the catalogue."""
    found = asked("openai/text-embedding-3-small", VECTOR)
    assert (found.differs, found.fault) == ((), "")
    assert found.usd == pytest.approx(3 * 0.02 / 1e6)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (replace(VECTOR, vectors=(packed([0.5] * 768),)), "its vector has 768 numbers, not 1536"),
        (replace(VECTOR, vectors=None), "it gives no vector"),
        (replace(VECTOR, usage=Usage(output_tokens=0)), "does not state its tokens"),
        (replace(VECTOR, served_by="bge-small"), "the answer is by 'bge-small'"),
        (ProviderFault("bad_request", "no"), "it refuses a plain text: no"),
    ],
)
def test_what_differs_of_a_model_of_vectors_is_said(reply: Any, words: str) -> None:
    """Another length is another model."""
    (told,) = asked("openai/text-embedding-3-small", reply).differs
    assert words in told


@pytest.mark.parametrize(
    ("full_name", "answer", "words"),
    [
        (
            "openai/gpt-4o-mini",
            Reply(text="ok", usage=OK.usage, served_by="gpt-9"),
            "the answer is by 'gpt-9'",
        ),
        ("openai/gpt-4o-mini", Reply(text="ok"), "does not state its tokens"),
        (
            "openai/gpt-4o-mini",
            ProviderFault("not_found", "no such model"),
            "it is not served: no such model",
        ),
        (
            "openai/gpt-4o-mini",
            ProviderFault("bad_request", "no penalties"),
            "it refuses .*frequency_penalty 0.0",
        ),
        (
            "openai/gpt-5.4-mini",
            Reply(text="", usage=Usage(input_tokens=9, output_tokens=12, reasoning_tokens=12)),
            "reasons with reasoning_effort none",
        ),
        (
            "openai/gpt-4o-mini",
            Reply(text="ok", usage=Usage(input_tokens=9, output_tokens=400)),
            "max_output_tokens 16 did not hold: 400 tokens",
        ),
        (
            "openai/gpt-4o-mini",
            Reply(text="ok", usage=Usage(input_tokens=9, output_tokens=1, cache_write_tokens=9)),
            "bills writes to its prompt cache",
        ),
    ],
)
def test_what_differs_is_said(full_name: str, answer: Any, words: str) -> None:
    """Name, tokens, refused settings, hidden reasoning, limits and bills."""
    (told,) = asked(full_name, answer).differs
    assert re.search(words, told), told


def test_a_wrong_key_says_nothing_about_the_catalogue() -> None:
    """It is a fault, not a difference."""
    found = asked("openai/gpt-4o-mini", ProviderFault("credentials", "status 401"))
    assert (found.differs, found.fault) == ((), "credentials: status 401")


@pytest.mark.parametrize(
    "model", [m for m in CATALOGUE.models if not m.retired and m.model_class != "EMBEDDING"]
)
def test_the_smallest_call_sends_what_may_stand_together(model: Any) -> None:
    """Defaults of the catalogue, none of which excludes another."""
    sent = smallest_call(model).settings.sent()
    assert sent["max_output_tokens"] == 16
    for name in sent:
        accepts = model.settings[name]
        assert not set(accepts.not_with) & sent.keys()
        assert all(sent.get(other) in values for other, values in accepts.only_with.items())
