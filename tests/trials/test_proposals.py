"""Proposals: new settings inside the space, the same ones for the same seed and values."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import pytest

from harness.errors import UsageError
from harness.plan.plan import Choices, Range, Sampler, Space
from harness.plan.samplers import chosen_sampler
from harness.records import Settings
from harness.trials.proposals import Proposals

HEAT = Range("temperature", 0.0, 1.2)
LIMIT = Choices("max_output_tokens", (16, 64))


def a_space(*dimensions, models=("a/x", "b/y"), prompts=("plain", "steps"), by_model=None, **defaults):
    """A space with these dimensions for every model, or `by_model`."""
    given = {"temperature": 0.3, "max_output_tokens": 64} | defaults
    return Space(
        models=models,
        prompts=prompts,
        dimensions=by_model or dict.fromkeys(models, dimensions),
        defaults={m: Settings(model=m, prompt=prompts[0], **given) for m in models},
    )


def drawn(proposals, count, value=lambda settings: -abs(settings.temperature - 0.7)):
    """Up to this many proposals, each told its value."""
    found = []
    for _ in range(count):
        asked = proposals.ask()
        if asked is None:
            break
        number, settings = asked
        proposals.tell(number, value(settings))
        found.append(settings)
    return found


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random"])
def test_the_same_seed_and_values_propose_the_same(sampler):
    """A resumed run meets the proposals of before."""
    runs = []
    for _ in range(2):
        proposals = Proposals(a_space(HEAT, LIMIT), seed=5, sampler=sampler)
        pool = proposals.defaults(10)
        for number, settings in pool:
            proposals.tell(number, settings.temperature)
        runs.append([settings for _, settings in pool] + drawn(proposals, 12))
    assert runs[0] == runs[1]


def test_another_seed_proposes_otherwise():
    """The seed decides."""
    first, second = (drawn(Proposals(a_space(HEAT), seed=seed), 5) for seed in (1, 2))
    assert first != second


def test_the_pool_begins_with_the_untuned_default():
    """Every model meets every prompt at its defaults; the first of both is trial 0."""
    space = a_space(HEAT, LIMIT)
    pool = Proposals(space, seed=0).defaults(64)
    assert pool[0] == (0, space.defaults["a/x"])
    assert [(s.model, s.prompt) for _, s in pool] == [
        ("a/x", "plain"),
        ("b/y", "plain"),
        ("a/x", "steps"),
        ("b/y", "steps"),
    ]
    assert {(s.temperature, s.max_output_tokens) for _, s in pool} == {(0.3, 64)}
    assert [number for number, _ in pool] == [0, 1, 2, 3]


def test_the_pool_is_cut_to_what_is_wanted():
    """No more than asked for, the default among them."""
    pool = Proposals(a_space(HEAT), seed=0).defaults(1)
    assert [(n, s.model, s.prompt) for n, s in pool] == [(0, "a/x", "plain")]


def test_the_default_is_not_rounded():
    """What the catalogue states is proposed as it stands."""
    ((_, settings),) = Proposals(a_space(HEAT, temperature=0.333), seed=0).defaults(1)
    assert settings.temperature == 0.333


def test_a_default_is_written_as_the_space_writes_it():
    """A default of 0 among the choices 0.0 and 0.5 is one of them, not a third value."""
    space = a_space(Choices("temperature", (0.0, 0.5)), models=("a/x",), prompts=("plain",), temperature=0)
    proposals = Proposals(space, seed=0)
    ((_, default),) = proposals.defaults(1)
    others = drawn(proposals, 5)
    assert repr(default.temperature) == "0.0"
    assert [settings.temperature for settings in others] == [0.5]


def test_the_sampler_learns_from_the_pool():
    """The better half of the pool is proposed more often than the worse: its settings count as tried."""
    models = tuple(f"m/{n}" for n in range(6))
    space = a_space(HEAT, models=models, prompts=("plain",))
    proposals = Proposals(space, seed=3)
    for number, settings in proposals.defaults(64):
        proposals.tell(number, 1.0 if settings.model == "m/4" else 0.0)
    asked = [proposals.ask() for _ in range(20)]
    share = sum(settings.model == "m/4" for _, settings in asked) / 20
    assert share > 2 / 6, f"the best of six models was proposed in {share:.0%}"


@pytest.mark.parametrize("sampler", ["auto", "random", "grid"])
def test_nothing_is_proposed_twice(sampler):
    """Neither among themselves nor from the pool."""
    space = a_space(Range("temperature", 0.0, 1.0, step=0.1), LIMIT)
    proposals = Proposals(space, seed=1, sampler=sampler)
    known = [settings for _, settings in proposals.defaults(4)] + drawn(proposals, 30)
    texts = [str(settings) for settings in known]
    assert len(set(texts)) == len(texts) == 34


@pytest.mark.parametrize("sampler", ["auto", "random", "grid"])
@pytest.mark.parametrize("step", [0.125, 0.25])
def test_a_finite_space_is_used_up_exactly(sampler, step):
    """Every setting comes once, then None, and again None."""
    space = a_space(
        Range("temperature", 0.0, 1.0, step=step),
        Choices("stop", (["a"], ["b", "c"])),
        temperature=0.5,
        stop=("a",),
    )
    proposals = Proposals(space, seed=2, sampler=sampler)
    pool = [settings for _, settings in proposals.defaults(3)]
    rest = drawn(proposals, 1000)
    assert len({str(s) for s in [*pool, *rest]}) == len(pool) + len(rest) == space.distinct
    assert proposals.ask() is None
    assert proposals.ask() is None


def test_proposals_that_wait_for_their_values_are_not_repeated():
    """A batch that was asked but not told yet counts as known."""
    space = a_space(Choices("temperature", (0.0, 0.5, 1.0)), models=("a/x",), prompts=("plain",))
    proposals = Proposals(space, seed=0)
    batch = list(islice(iter(proposals.ask, None), 10))
    assert sorted(settings.temperature for _, settings in batch) == [0.0, 0.5, 1.0]


def test_a_proposal_that_failed_is_not_asked_again():
    """None is a value too: the setting is known, and worth nothing to the sampler."""
    space = a_space(Choices("temperature", (0.0, 0.5)), models=("a/x",), prompts=("plain",))
    proposals = Proposals(space, seed=0)
    number, first = proposals.ask()
    proposals.tell(number, None)
    assert [settings.temperature for settings in drawn(proposals, 5)] == [0.5 - first.temperature]


def test_steps_stay_on_their_grid():
    """A step of 0.125 is not rounded to two decimals."""
    space = a_space(Range("temperature", 0.0, 1.0, step=0.125), models=("a/x",))
    found = {settings.temperature for settings in drawn(Proposals(space, seed=0), 9)}
    assert all((temperature / 0.125).is_integer() for temperature in found)


def test_numbers_have_as_many_digits_as_one_would_ship():
    """Two decimals for a range of the order of 1."""
    found = [settings.temperature for settings in drawn(Proposals(a_space(HEAT), seed=0), 20)]
    assert found == [round(temperature, 2) for temperature in found]


@pytest.mark.parametrize(
    "dimension",
    [Range("top_p", 0.001, 0.005), Range("top_p", 0.0001, 0.5, log=True), Range("top_p", 0.9, 0.95)],
)
def test_narrow_and_logarithmic_ranges_keep_their_values(dimension):
    """Rounding neither leaves the range nor makes most proposals its lower end."""
    space = a_space(dimension, models=("a/x",), prompts=("plain",), top_p=dimension.low)
    found = [s.top_p for s in drawn(Proposals(space, seed=0), 15, value=lambda s: 0.0)]
    assert all(dimension.low <= value <= dimension.high for value in found)
    assert len(set(found)) == 15


def test_models_have_ranges_of_their_own():
    """What one model takes is not proposed for another."""
    space = a_space(
        by_model={
            "a/x": (Range("temperature", 0.0, 1.0), LIMIT),
            "b/y": (Range("temperature", 0.0, 2.0), Choices("max_output_tokens", (64, 256))),
        }
    )
    found = drawn(Proposals(space, seed=0, sampler="random"), 40)
    of_a, of_b = ([s for s in found if s.model == model] for model in space.models)
    assert max(s.temperature for s in of_a) <= 1.0 < max(s.temperature for s in of_b)
    assert {s.max_output_tokens for s in of_a} == {16, 64}
    assert {s.max_output_tokens for s in of_b} == {64, 256}


def test_a_setting_that_a_model_does_not_take_is_absent():
    """It stays as the default of that model has it."""
    space = a_space(
        by_model={"a/x": (HEAT, Range("frequency_penalty", 0.0, 1.0)), "b/y": (HEAT,)},
    )
    found = drawn(Proposals(space, seed=0, sampler="random"), 20)
    assert {s.frequency_penalty for s in found if s.model == "b/y"} == {None}
    assert None not in {s.frequency_penalty for s in found if s.model == "a/x"}


def test_lists_are_choices_like_any_other():
    """Stop sequences come back as the tuple that a request needs."""
    space = a_space(Choices("stop", (["\n"], ["END", "STOP"])), models=("a/x",), stop=("\n",))
    proposals = Proposals(space, seed=0)
    proposals.defaults(1)
    assert {settings.stop for settings in drawn(proposals, 9)} == {("\n",), ("END", "STOP")}


def test_whole_numbers_stay_whole():
    """An integer range proposes integers, on a logarithmic scale too."""
    space = a_space(Range("max_output_tokens", 16, 512, integer=True, log=True), models=("a/x",))
    found = [s.max_output_tokens for s in drawn(Proposals(space, seed=0), 10)]
    assert all(type(value) is int and 16 <= value <= 512 for value in found)


def test_better_values_draw_proposals_near():
    """Told that quality peaks at 0.7, the sampler proposes nearer to it than chance would."""
    space = a_space(HEAT, models=("a/x",), prompts=("plain",))
    found = [s.temperature for s in drawn(Proposals(space, seed=4), 40)]
    late = [abs(temperature - 0.7) for temperature in found[20:]]
    assert sum(late) / len(late) < 0.2 < math.inf


def test_a_grid_needs_a_space_that_can_be_counted():
    """A range without step has no grid, and the message says what to do."""
    with pytest.raises(UsageError, match="give each range a step"):
        Proposals(a_space(HEAT), seed=0, sampler="grid")


def test_an_unknown_sampler_is_refused():
    """The message lists those that there are."""
    with pytest.raises(UsageError, match=r"is 'magic', which is no sampler; known: .*nsga2"):
        Proposals(a_space(HEAT), seed=0, sampler="magic")


# -- what a plan starts from, and spaces that are tried as a whole


def test_warm_settings_follow_the_defaults():
    """They are trials like the others, each once; a default among them is not tried twice."""
    space = a_space(HEAT, LIMIT, prompts=("plain",))
    warm = replace(space.defaults["b/y"], temperature=0.9)
    proposals = Proposals(replace(space, warm=(space.defaults["a/x"], warm)), seed=0)
    assert [(n, s.model, s.temperature) for n, s in proposals.defaults(64)] == [
        (0, "a/x", 0.3),
        (1, "b/y", 0.3),
        (2, "b/y", 0.9),
    ]


def test_the_sampler_learns_from_warm_settings():
    """What an earlier run found draws proposals near."""
    space = a_space(HEAT, models=("a/x",), prompts=("plain",))
    warm = tuple(replace(space.defaults["a/x"], temperature=value) for value in (0.7, 0.72, 1.1, 0.05))
    proposals = Proposals(replace(space, warm=warm), seed=1)
    for number, settings in proposals.defaults(64):
        proposals.tell(number, -abs(settings.temperature - 0.7))
    found = drawn(proposals, 8)
    assert sum(abs(s.temperature - 0.7) for s in found) / 8 < 0.25


def test_a_small_space_is_given_as_a_whole():
    """The defaults first, then every other setting; there is nothing left to ask for."""
    space = a_space(Range("temperature", 0.0, 0.6, step=0.3), LIMIT)
    proposals = Proposals(space, seed=0)
    whole = proposals.whole(24)
    assert [number for number, _ in whole] == list(range(24))
    assert len({str(settings) for _, settings in whole}) == space.distinct == 24
    assert whole[:4] == Proposals(space, seed=0).defaults(64)
    assert proposals.ask() is None


@pytest.mark.parametrize(
    ("dimension", "most"), [(Range("temperature", 0.0, 0.6, step=0.3), 23), (HEAT, 10**6)]
)
def test_a_large_space_is_not_given_as_a_whole(dimension, most):
    """Nothing is taken from it then."""
    proposals = Proposals(a_space(dimension, LIMIT), seed=0)
    assert proposals.whole(most) is None
    assert proposals.defaults(1)[0][0] == 0


# -- limits, and a front of compromises


def broken_above(limit):
    """How far a temperature is above the limit."""
    return lambda settings: settings.temperature - limit


def test_the_sampler_keeps_to_what_keeps_the_limits():
    """Quality rises with temperature, and only temperatures up to 0.5 keep the limit."""
    space = a_space(HEAT, models=("a/x",), prompts=("plain",))
    proposals, found = Proposals(space, seed=2), []
    broken = broken_above(0.5)
    for _ in range(30):
        number, settings = proposals.ask()
        proposals.tell(number, settings.temperature, broken={"heat": broken(settings)})
        found.append(settings.temperature)
    assert sum(temperature <= 0.55 for temperature in found[10:]) >= 12
    assert Proposals(space, seed=2).ask()[1].temperature == found[0]


def on_a_front(sampler, count=40, seed=3):
    """Proposals for two models, one good and dear, one poor and cheap, each told quality and price."""
    space = a_space(HEAT, prompts=("plain",))
    proposals, found = Proposals(space, seed=seed, sampler=sampler), []
    for _ in range(count):
        number, settings = proposals.ask()
        dear = settings.model == "a/x"
        value = (0.9 if dear else 0.6) - abs(settings.temperature - 0.7)
        proposals.tell(number, value, usd_per_1k_calls=8.0 if dear else 0.5, broken={"price": -1.0})
        found.append(settings)
    return found


@pytest.mark.parametrize("name", ["auto", "nsga2", "random"])
def test_a_front_keeps_both_ends(name):
    """The cheap model is worth proposing although it is worse, to the end."""
    late = on_a_front(chosen_sampler(name, None, True, "best"))[20:]
    assert min(sum(s.model == model for s in late) for model in ("a/x", "b/y")) >= 3


def test_without_a_front_the_worse_model_is_left():
    """The same values in one objective: what is cheap alone is no reason to propose it."""
    single, both = (
        sum(s.model == "b/y" for seed in range(4) for s in on_a_front(Sampler(front=front), seed=seed)[20:])
        for front in (False, True)
    )
    assert single <= 80 * 0.25 < 80 * 0.4 <= both, (single, both)


def test_on_a_front_a_price_that_is_unknown_says_nothing():
    """Unknown is not free: the trial counts as failed for the sampler, and the search goes on."""
    space = a_space(Choices("temperature", (0.0, 0.5)), models=("a/x",), prompts=("plain",))
    proposals = Proposals(space, seed=0, sampler=Sampler(front=True))
    number, first = proposals.ask()
    proposals.tell(number, 0.9)
    number, second = proposals.ask()
    proposals.tell(number, 0.9, usd_per_1k_calls=1.0)
    assert {first.temperature, second.temperature} == {0.0, 0.5}
    assert proposals.ask() is None
