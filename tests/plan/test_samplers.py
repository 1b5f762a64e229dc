"""Samplers: what a spec may name, what is refused before anything is spent, and objects from Python."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib.util import find_spec

import optuna
import pytest

from harness.errors import UsageError
from harness.plan.plan import Range, Sampler, Space
from harness.plan.samplers import (
    PACKAGES,
    WORDS,
    chosen_sampler,
    is_repeatable,
    one_torch_thread,
    open_sampler,
    open_study,
    rehearse,
)
from harness.records import Settings

SPACE = Space(
    models=("a/x",),
    prompts=("plain",),
    dimensions={"a/x": (Range("temperature", 0.0, 1.0),)},
    defaults={"a/x": Settings(model="a/x", prompt="plain", temperature=0.3)},
)
OTHERS = (
    "NSGAIISampler",
    "NSGAIIISampler",
    "QMCSampler",
    "RandomSampler",
    "TPESampler",
    {"TPESampler": {"multivariate": True, "group": True}},
    {"NSGAIISampler": {"population_size": 4}},
    {"PartialFixedSampler": {"fixed_params": {"temperature": 0.5}, "base_sampler": "RandomSampler"}},
    {"QMCSampler": {"independent_sampler": {"TPESampler": {"n_startup_trials": 2}}}},
)


def chosen(form, override=None, *, front=None, policy="best"):
    """The sampler of a spec in short."""
    return chosen_sampler(form, override, front, policy)


def given(sampler, **options):
    """The sampler that is this object."""
    return chosen("auto", sampler, **options)


def refusal(form, override=None, **options) -> str:
    """Why this sampler cannot be had, told when it is chosen or tried out."""
    with pytest.raises(UsageError) as caught:
        rehearse(chosen(form, override, **options), SPACE)
    return str(caught.value)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_words_are_taken(word):
    """Each word of a spec opens a sampler with the seed of the plan."""
    sampler = chosen(word)
    assert (sampler.name, sampler.arguments, sampler.given) == (word, {}, None)
    assert isinstance(open_sampler(sampler, 3), optuna.samplers.BaseSampler)


def test_auto_is_the_independent_tpe():
    """It learns from the first trial on, and one setting at a time."""
    made = open_sampler(chosen("auto"), 0)
    assert type(made) is optuna.samplers.TPESampler
    assert (made._multivariate, made._n_startup_trials, made._constant_liar) == (False, 0, True)


@pytest.mark.parametrize("form", OTHERS, ids=str)
def test_samplers_of_optuna_are_taken_by_name(form):
    """With arguments or without, and one inside another; without a warning that an interface may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rehearse(chosen(form), SPACE)
        rehearse(chosen(form, front=True), SPACE)


def test_arguments_reach_the_sampler_and_the_seed_is_the_plans():
    """Unless the spec states a seed of its own."""
    made = open_sampler(chosen({"NSGAIISampler": {"population_size": 4}}), 5)
    assert made.population_size == 4
    alike = [open_sampler(chosen("RandomSampler"), 5)._rng.rng.uniform() for _ in range(2)]
    own = open_sampler(chosen({"RandomSampler": {"seed": 6}}), 5)._rng.rng.uniform()
    assert alike[0] == alike[1] != own


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("gird", ["is 'gird'", "did you mean 'grid'"]),
        ("TPESamplr", ["is no sampler", "did you mean 'TPESampler'"]),
        ("BaseSampler", ["is no sampler"]),
        ({"tpe": {"seed": 1}}, ["takes no arguments", "{TPESampler: {...}}"]),
        ({"TPESampler": {"multivarate": True}}, ["'multivarate'", "did you mean 'multivariate'"]),
        ({"TPESampler": {"gamma": 3}}, ["gamma", "object of Python", "harness.tune(spec, sampler=...)"]),
        ({"NSGAIISampler": {"crossover": "uniform"}}, ["crossover", "object of Python"]),
        ({"TPESampler": {"multivariate": False, "group": True}}, ["Optuna refuses", "multivariate"]),
        ({"TPESampler": {"n_startup_trials": "many"}}, ["Optuna refuses", "TypeError"]),
        ({"NSGAIISampler": {"population_size": 1}}, ["Optuna refuses", "equal to 2; change it"]),
        (
            {"QMCSampler": {"independent_sampler": 7}},
            ["QMCSampler.independent_sampler 7", "expected a class"],
        ),
        ({"QMCSampler": {"independent_sampler": "TPE"}}, ["is 'TPE', which is no sampler"]),
        ("GridSampler", ["write grid"]),
        ("BruteForceSampler", ["write grid"]),
    ],
    ids=str,
)
def test_what_cannot_be_had_is_refused_with_the_next_step(form, words):
    """When the plan is made, not in the middle of a search."""
    found = refusal(form)
    assert [word for word in words if word not in found] == [], found


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_sampler_without_its_package_is_refused(name):
    """Optuna would tell after ten trials."""
    if find_spec(PACKAGES[name]) is not None:
        pytest.skip(f"{PACKAGES[name]} is installed here")
    assert f"needs the package {PACKAGES[name]}" in refusal(name)
    assert f"needs the package {PACKAGES[name]}" in refusal("auto", getattr(optuna.samplers, name)())


@pytest.mark.parametrize(
    ("form", "front", "policy", "expected"),
    [
        ("auto", None, "best", False),
        ("auto", None, "knee", True),
        ("auto", None, "weights", True),
        ("auto", False, "knee", False),
        ("auto", True, "best", True),
        ("nsga2", None, "best", True),
        ("nsga2", False, "best", False),
        ("NSGAIISampler", None, "best", True),
    ],
)
def test_two_objectives_are_searched_where_sampler_or_policy_need_them(form, front, policy, expected):
    """And always where the spec says so, either way."""
    sampler = chosen(form, front=front, policy=policy)
    assert sampler.front is expected
    assert len(open_study(sampler, 0).directions) == 1 + expected


# -- objects of Python


def test_an_object_is_copied_for_each_search():
    """A search in the same process that goes on begins where the first one began."""
    sampler = given(optuna.samplers.RandomSampler(seed=3))
    first, second = (open_sampler(sampler, seed) for seed in (0, 1))
    assert first._rng.rng.uniform() == second._rng.rng.uniform()


def test_an_object_is_told_by_class_arguments_and_seed():
    """As far as its attributes tell: two that propose alike are one, two that do not are not."""
    told = [
        given(optuna.samplers.TPESampler(seed=1)),
        given(optuna.samplers.TPESampler(seed=1)),
        given(optuna.samplers.TPESampler(seed=2)),
        given(optuna.samplers.TPESampler(seed=1, n_ei_candidates=5)),
        given(optuna.samplers.RandomSampler(seed=1)),
    ]
    assert told[0] == told[1]
    assert all(one != other for place, one in enumerate(told[1:]) for other in told[1:][place + 1 :])
    assert told[0].name.startswith("optuna.samplers.")
    assert told[0].arguments["_n_ei_candidates"] == 24


def test_what_is_told_of_an_object_is_the_same_in_every_process():
    """Also where Python orders sets by chance: a run is found again by it."""
    code = (
        "import optuna; from harness.fingerprint import canonical\n"
        "from harness.plan.samplers import chosen_sampler\n"
        "made = optuna.samplers.NSGAIISampler(seed=3, population_size=8)\n"
        "print(canonical(chosen_sampler('auto', made, None, 'best').arguments))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert '"population_size":8' in told.pop().replace("_population_size", "population_size")


def test_a_run_remembers_an_object_but_cannot_go_on_without_it():
    """What was told is enough to show the run; proposing takes the object."""
    sampler = given(optuna.samplers.NSGAIISampler(seed=1))
    stored = {"given": {"name": sampler.name, "arguments": dict(sampler.arguments)}}
    again = chosen("auto", stored)
    assert again == sampler
    rehearse(again, SPACE)
    with pytest.raises(UsageError, match=r"given in Python.*NSGAIISampler.*sampler=\.\.\."):
        open_sampler(again, 0)


def test_objects_that_cannot_serve_are_refused():
    """Another kind of object, a sampler that ends a study itself, and one that breaks at work."""

    class Broken(optuna.samplers.RandomSampler):
        def sample_independent(self, *_):
            raise ZeroDivisionError("no luck")

    assert "is 7; expected a name, as in a spec, or an object" in refusal("auto", 7)
    assert "write grid" in refusal("auto", optuna.samplers.GridSampler({"temperature": [0.0]}))
    assert "ZeroDivisionError: no luck" in refusal("auto", Broken())


def test_another_form_may_be_given_in_place_of_the_specs():
    """A call says `sampler="random"` without a change of the spec."""
    assert chosen("auto", "random") == Sampler(name="random")
    assert chosen("auto", {"TPESampler": {"multivariate": True}}).arguments == {"multivariate": True}


def test_torch_computes_in_one_thread_and_has_its_own_back_afterwards(monkeypatch):
    """Where it is loaded at all; other work of the process is left alone."""

    class Torch:
        threads = 8

        def get_num_threads(self):
            return self.threads

        def set_num_threads(self, count):
            self.threads = count

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with one_torch_thread():
        assert "torch" not in sys.modules
    torch = Torch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    with one_torch_thread():
        assert torch.threads == 1
    assert torch.threads == 8


def test_an_object_without_a_seed_is_known_not_to_be_repeatable():
    """Its proposals depend on the moment; those of a spec depend on the spec's seed."""
    assert not is_repeatable(given(optuna.samplers.TPESampler()))
    assert is_repeatable(given(optuna.samplers.TPESampler(seed=1)))
    assert is_repeatable(chosen("auto"))
