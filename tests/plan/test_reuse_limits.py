"""The output limits among which a run may reuse answers."""

from __future__ import annotations

import pytest

TEMPERATURE = "temperature: {low: 0.0, high: 1.0}"
LIMITS = "{choices: [16, 64]}"
REUSE = ("n_trials: 10", "reuse_across_limits: true")


@pytest.mark.parametrize(
    ("temperature", "limits", "listed"),
    [
        ("{low: 0.0, high: 1.0}", "{choices: [64, 16]}", (64, 16)),
        ("0", "{low: 8, high: 30, step: 8}", (8, 16, 24)),
        ("{choices: [0.5, 0]}", "{choices: [16, 64]}", (16, 64)),
    ],
)
def test_they_are_those_of_the_search(project, temperature, limits, listed):
    """It is told in the notes, and makes the plan another one."""
    changes = (TEMPERATURE, f"temperature: {temperature}"), (LIMITS, limits)
    without, plan = project.plan(*changes), project.plan(*changes, REUSE)
    assert plan.reuse_limits == listed
    assert any("reuse_across_limits" in note for note in plan.notes)
    assert plan.fingerprint() != without.fingerprint()


def test_there_are_none_unless_the_spec_says_so(project):
    """Off by default, and said to be off."""
    plan = project.plan()
    off = project.plan((REUSE[0], f"{REUSE[0]}\n  reuse_across_limits: false"))
    assert plan.reuse_limits == off.reuse_limits == ()
    assert plan.fingerprint() == off.fingerprint()


@pytest.mark.parametrize(
    "limits",
    [
        "{choices: [16]}",
        "{low: 8, high: 64}",
        "{low: 16, high: 64, log: true}",
        "{low: 1, high: 34, step: 2}",
    ],
)
def test_too_few_and_too_many_are_refused(project, limits):
    """One cannot be reused for another; each is a place to look in."""
    (fault,) = project.faults((LIMITS, limits), REUSE)
    assert fault.key == "search.reuse_across_limits"
    assert "max_output_tokens lists" in fault.message
