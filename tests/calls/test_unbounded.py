"""A model of which nobody knows how long its answers get: no cap in dollars or tokens could hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.calls.budget import Caps
from harness.errors import UsageError
from harness.records import Completion
from harness.testing.builders import a_settings
from harness.testing.scripted import ScriptedProvider


@pytest.fixture
def endless(models):
    """The same models without a known limit."""
    return {name: replace(model, max_output_tokens=None) for name, model in models.items()}


@pytest.mark.parametrize("caps", [Caps(usd=1.0), Caps(tokens=10_000)])
def test_a_cap_that_cannot_be_held_refuses_the_call(make_engine, ask, endless, store, caps):
    """Before anything is sent; the message says what to state."""
    provider = ScriptedProvider("billing")
    settings = a_settings(max_output_tokens=None)
    engine = make_engine(provider, caps=caps, models=endless)
    with pytest.raises(UsageError, match=r"give the settings max_output_tokens, or state providers\.sim\."):
        list(engine.run(ask(3, settings=settings)))
    engine.close()
    assert (provider.calls, store.spent("run-1").calls) == ([], 0)


@pytest.mark.parametrize(("caps", "limit"), [(Caps(usd=1.0), 16), (Caps(calls=5), None), (Caps(), None)])
def test_other_caps_need_no_limit(make_engine, ask, endless, caps, limit):
    """Calls are counted without it, and a limit that is sent is one."""
    settings = a_settings(max_output_tokens=limit)
    engine = make_engine(ScriptedProvider("billing"), caps=caps, models=endless)
    assert all(isinstance(one, Completion) for one in engine.run(ask(3, settings=settings)))
