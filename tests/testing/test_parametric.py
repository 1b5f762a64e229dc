"""The parametric world: exact truth, shared luck, and an optimum that nothing beats."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.calls.provider import Provider, ProviderFault
from harness.catalogue.models import price_usd
from harness.errors import UsageError
from harness.records import Call, Settings, Usage
from harness.testing.builders import a_call
from harness.testing.contracts import ProviderContract
from harness.testing.fake_clock import FakeClock
from harness.testing.parametric import (
    INPUT_TOKENS,
    LIMIT,
    PENALTY,
    TEMPERATURE,
    TOP_P,
    parametric_world,
)
from harness.testing.simulator import Simulator

WORLD = parametric_world(4)
DEFAULT = WORLD.defaults()[0]
ANY = st.builds(
    Settings,
    model=st.sampled_from(sorted({model for model, _ in WORLD.abilities})),
    prompt=st.sampled_from(sorted({prompt for _, prompt in WORLD.abilities})),
    temperature=st.none() | st.floats(*TEMPERATURE),
    top_p=st.none() | st.floats(*TOP_P),
    frequency_penalty=st.none() | st.floats(*PENALTY),
    presence_penalty=st.none() | st.floats(*PENALTY),
    max_output_tokens=st.none() | st.integers(*LIMIT),
)


@given(settings=ANY, seed=st.integers(0, 20))
def test_nothing_beats_the_optimum(settings, seed) -> None:
    """Whatever is set, in whatever world, the optimum is at least as good; chances are probabilities."""
    world = parametric_world(seed)
    chances = world.chances(settings)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert world.true_quality(settings) == chances.mean() <= world.best


def test_the_optimum_is_within_the_space() -> None:
    """It is what somebody could set, and better than the best default and the best of the user's grid."""
    for seed in range(10):
        world = parametric_world(seed)
        best = world.optimum
        assert TEMPERATURE[0] <= best.temperature <= TEMPERATURE[1]
        assert TOP_P[0] <= best.top_p <= TOP_P[1]
        assert PENALTY[0] <= best.frequency_penalty <= PENALTY[1]
        assert PENALTY[0] <= best.presence_penalty <= PENALTY[1]
        assert world.best > max(map(world.true_quality, [*world.defaults(), *world.users_grid()]))


def test_a_chance_by_hand() -> None:
    """Logistic of sharpness times (ability after losses - difficulty); 0 where the answer is cut off."""
    settings = replace(DEFAULT, temperature=1.9, top_p=0.5, frequency_penalty=-1.0, max_output_tokens=64)
    taste = WORLD.tastes[DEFAULT.model]
    ability = (
        WORLD.abilities[DEFAULT.model, DEFAULT.prompt]
        - taste.heat * (1.9 - taste.flat_until) ** 2
        - taste.top_p_loss * (0.5 - taste.top_p) ** 2
        - taste.penalty_loss * ((-1.0 - taste.frequency) ** 2 + taste.presence**2)
    )
    chances = WORLD.chances(settings)
    cut = WORLD.lengths[DEFAULT.prompt] > 64
    assert cut.any()
    assert not cut.all()
    for place in range(200):
        logit = WORLD.sharpness[place] * (ability - WORLD.difficulty[place])
        expected = 0.0 if cut[place] else 1 / (1 + math.exp(-logit))
        assert chances[place] == pytest.approx(expected, abs=1e-12)


def test_answers_are_right_as_often_as_the_truth_says() -> None:
    """Over many repeats the mean answer of each sample is its chance."""
    settings = replace(DEFAULT, temperature=0.5)
    mean = np.mean([WORLD.answers(settings, repeat) for repeat in range(900)], axis=0)
    chances = WORLD.chances(settings)
    # 200 samples at once: 5 standard errors, and a little for chances near 0 and 1.
    assert (np.abs(mean - chances) <= 5 * np.sqrt(chances * (1 - chances) / 900) + 0.004).all()


def test_luck_is_shared_through_difficulty() -> None:
    """Two settings are right on the same samples more often than chance would have it."""
    first, second = (WORLD.answers(one) for one in WORLD.users_grid()[:2])
    assert np.corrcoef(first, second)[0, 1] > 0.2


def test_the_same_call_gets_the_same_answer() -> None:
    """Repeats and luck draw others; a longer limit changes no word, and temperature 0 knows one answer."""
    warm = replace(DEFAULT, temperature=0.7, max_output_tokens=None)
    answers = WORLD.answers(warm)
    assert np.array_equal(answers, WORLD.answers(warm))
    assert np.array_equal(answers, parametric_world(4).answers(replace(warm, max_output_tokens=2048)))
    assert not np.array_equal(answers, WORLD.answers(warm, 1))
    assert not np.array_equal(answers, replace(WORLD, luck=1).answers(warm))
    cold = replace(warm, temperature=0.0)
    assert np.array_equal(WORLD.answers(cold), WORLD.answers(cold, 3))


def test_what_is_not_sent_is_the_providers_default() -> None:
    """No temperature is a temperature of 1, no top_p all of it, no penalty none, no limit no cut."""
    bare = Settings(model=DEFAULT.model, prompt=DEFAULT.prompt)
    said = replace(DEFAULT, temperature=1.0, max_output_tokens=100_000)
    assert WORLD.true_quality(bare) == WORLD.true_quality(said)
    assert np.array_equal(WORLD.answers(bare), WORLD.answers(said))


def test_prices_are_those_of_the_tokens() -> None:
    """What the fast oracle charges is the catalogue's arithmetic on the tokens of the reply."""
    settings = replace(DEFAULT, max_output_tokens=70)
    model = WORLD.models[settings.model]
    for place in (0, 50, 199):
        reply = WORLD.answer(settings, WORLD.sample_ids[place], input_tokens=INPUT_TOKENS)
        assert WORLD.prices(settings)[place] == pytest.approx(price_usd(reply.usage, model.prices))
        assert reply.usage.output_tokens == min(70, WORLD.lengths[settings.prompt][place])


def test_unknown_settings_and_samples_are_refused() -> None:
    """They are named."""
    with pytest.raises(UsageError, match="alpha/huge"):
        WORLD.chances(replace(DEFAULT, model="alpha/huge"))
    with pytest.raises(UsageError, match="s9999"):
        WORLD.answer(DEFAULT, "s9999")


class TestItIsAProvider(ProviderContract):
    """A simulator serves it like any other world."""

    def make_provider(self) -> Provider:
        """On a clock, so that latency is asked for too."""
        return Simulator(WORLD, clock=FakeClock())

    def make_call(self, number: int) -> Call:
        """One sample, again and again."""
        return a_call(settings=DEFAULT, sample_id="s0007", repeat=number)

    def make_faulty_provider(self) -> Provider:
        """Always overloaded."""
        return Simulator(WORLD, faults=lambda *_: ProviderFault("overloaded", "503"))

    def requests_sent(self, provider: Any) -> int:
        """The simulator counts."""
        return provider.requests


def test_the_provider_answers_as_the_fast_oracle_does() -> None:
    """Right, wrong or cut off, sample by sample and repeat by repeat."""
    settings = replace(DEFAULT, temperature=0.9, max_output_tokens=64)
    calls = [
        a_call(settings=settings, sample_id=sample, repeat=repeat)
        for repeat in (0, 1)
        for sample in WORLD.sample_ids
    ]

    async def run() -> list:
        return await asyncio.gather(*map(Simulator(WORLD).complete, calls))

    replies = asyncio.run(run())
    right = np.array([reply.text.split()[-1] == "right" for reply in replies]).reshape(2, -1)
    assert np.array_equal(right, np.array([WORLD.answers(settings, repeat) == 1 for repeat in (0, 1)]))
    cut = [reply.finish_reason == "length" for reply in replies[:200]]
    assert cut == (WORLD.lengths[settings.prompt] > 64).tolist()
    assert all(isinstance(reply.usage, Usage) for reply in replies)
