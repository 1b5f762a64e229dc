"""Proposals: the same in every process, for each sampler that there is."""

from __future__ import annotations

import subprocess
import sys

import optuna
import pytest

from harness.plan.plan import Choices, Range, Space
from harness.plan.samplers import chosen_sampler
from harness.records import Settings
from harness.trials.proposals import Proposals

SPACE = Space(
    models=("a/x", "b/y"),
    prompts=("plain", "steps"),
    dimensions=dict.fromkeys(
        ("a/x", "b/y"), (Range("temperature", 0.0, 1.2), Choices("max_output_tokens", (16, 64)))
    ),
    defaults={
        model: Settings(model=model, prompt="plain", temperature=0.3, max_output_tokens=64)
        for model in ("a/x", "b/y")
    },
)


def drawn(sampler):
    """The pool and twelve proposals, each told its temperature."""
    proposals = Proposals(SPACE, seed=0, sampler=sampler)
    asked, found = proposals.defaults(4), []
    while len(found) < 16:
        for number, settings in asked:
            proposals.tell(number, settings.temperature, usd_per_1k_calls=1.0)
            found.append(settings)
        asked = [proposals.ask()]
    return found


DRAW = """
from harness.plan.plan import Choices, Range, Space
from harness.plan.samplers import chosen_sampler
from harness.records import Settings
from harness.trials.proposals import Proposals
models = ("a/x", "b/y", "c/z")
dimensions = (Range("temperature", 0.0, 1.2), Choices("max_output_tokens", (16, 64)))
space = Space(
    models=models, prompts=("plain", "steps"), dimensions=dict.fromkeys(models, dimensions),
    defaults={m: Settings(model=m, prompt="plain", temperature=0.3, max_output_tokens=64) for m in models},
)
proposals = Proposals(space, seed=11, sampler=chosen_sampler(FORM, None, FRONT, "best"))
asked = proposals.defaults(6)
while asked:
    for number, settings in asked:
        value = 1 - abs(settings.temperature - 0.7) - 0.1 * models.index(settings.model)
        broken = {"floor": 0.2 - value}
        proposals.tell(number, value, usd_per_1k_calls=settings.max_output_tokens * value, broken=broken)
        print(settings)
    asked = [] if number >= 21 else [proposals.ask() for _ in range(4)]
"""


@pytest.mark.parametrize(
    ("form", "front"),
    [("auto", False), ("auto", True), ("nsga2", True), ({"TPESampler": {"group": True}}, None)],
)
def test_another_process_proposes_the_same(form, front):
    """A study that is rebuilt from the values told goes on as it would have, wherever it is rebuilt."""
    code = DRAW.replace("FORM", repr(form)).replace("FRONT", repr(front))
    drawn_by = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(drawn_by) == 1
    assert len(drawn_by.pop().splitlines()) == 22


def test_an_object_proposes_the_same_again():
    """The search copies it: a second one in the same process begins where the first began."""
    sampler = chosen_sampler("auto", optuna.samplers.TPESampler(seed=7), None, "best")
    first, second = (drawn(sampler) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "form", ["QMCSampler", "NSGAIIISampler", {"TPESampler": {"multivariate": True}}], ids=str
)
def test_samplers_of_optuna_propose_by_name(form):
    """Each goes through the whole of a search: nothing twice, nothing outside."""
    found = drawn(chosen_sampler(form, None, None, "best"))
    assert len({str(settings) for settings in found}) == 16
    assert all(0.0 <= settings.temperature <= 1.2 for settings in found)
