"""What the manifests of Eliza say where a model or a default stands in the way."""

from __future__ import annotations

import pytest

from harness.records import Settings

EMBEDDING = "openai/text-embedding-3-small"


def fates(written, setting, model_class=None):
    """The fates of a setting, of one class where the target has classes."""
    return [
        fate
        for fate in written.export.fates
        if fate.setting == setting and (model_class is None or fate.model_class == model_class)
    ]


def one(model, **sent):
    """Settings of this model, without a limit if none is given."""
    return Settings(model=model, prompt="plain", **sent)


@pytest.mark.parametrize(("model", "own"), [("openai/gpt-4.1", 8192), ("anthropic/claude-opus-4-6", 4096)])
def test_a_limit_that_was_not_measured_is_sent_all_the_same(write, study, model, own):
    """Eliza 0.x has one for every provider, and cuts answers that were not cut before."""
    written = write("eliza-0.25", study(LARGE=one(model, temperature=0.5)), embedding=EMBEDDING)
    (fate,) = fates(written, "max_output_tokens")
    assert str(own) in fate.reason
    assert fate.changes


def test_an_old_eliza_cannot_ask_a_reasoning_model_of_openai(write, study):
    """It calls the limit max_tokens and sends a temperature: OpenAI refuses both for these models."""
    settings = one("openai/gpt-5-mini", max_output_tokens=900, reasoning_effort="low")
    written = write("eliza-0.25", study(LARGE=settings))
    (limit,), (temperature,) = fates(written, "max_output_tokens"), fates(written, "temperature")
    assert "OpenAI refuses requests with that name" in limit.reason
    assert "openai/gpt-5-mini takes none" in temperature.reason
    assert limit.changes
    assert temperature.changes


def test_a_new_eliza_sends_a_reasoning_model_no_temperature(write, study):
    """Its library leaves it out, so that nothing is lost where none was measured."""
    silent = one("openai/gpt-5-mini", max_output_tokens=900, reasoning_effort="low")
    written = write("eliza-1", study(LARGE=silent))
    assert not fates(written, "temperature", "LARGE")
    spoken = one("openai/gpt-5.4", max_output_tokens=900, reasoning_effort="none", temperature=0.3)
    (fate,) = fates(write("eliza-1", study(LARGE=spoken), force=True), "temperature", "LARGE")
    assert fate.effect == "not sent by provider"
    assert "leaves it out for this model" in fate.reason
    assert fate.changes


def test_what_google_is_always_sent_is_told(write, study):
    """top_k has no key in a character, and its plugin sends 40 whatever was measured."""
    settings = one("google/gemini-2.5-pro", max_output_tokens=900, temperature=0.5)
    (fate,) = fates(write("eliza-1", study(LARGE=settings)), "top_k", "LARGE")
    assert fate.changes
    assert "always sends 40" in fate.reason
    measured = Settings(
        model=settings.model, prompt="plain", max_output_tokens=9, temperature=0.5, extra={"top_k": 40}
    )
    (same,) = fates(write("eliza-1", study(LARGE=measured), force=True), "top_k", "LARGE")
    assert not same.changes


def test_a_penalty_that_the_model_refuses_is_sent_and_told(write, study):
    """Eliza 0.x sends Google one always; Gemini 2.5 answers that with an error."""
    settings = one("google/gemini-2.5-pro", max_output_tokens=900, temperature=0.5)
    (fate,) = fates(write("eliza-0.25", study(LARGE=settings)), "presence_penalty")
    assert "google/gemini-2.5-pro takes none, and its provider may refuse the request" in fate.reason
    assert fate.changes
