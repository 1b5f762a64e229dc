"""Code that a spec names runs with permission alone: by a flag, or its twin in the environment."""

from __future__ import annotations

from typing import Any

import pytest

OWN = ("{labels: [positive, negative]}]", "{labels: [positive, negative]}, own_team:polite]")


@pytest.fixture
def team(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A desk whose spec names a function of a module beside it."""
    (desk.folder / "own_team.py").write_text("def polite(answer):\n    return 'please' in answer.text\n")
    desk.spec(OWN)
    return desk


@pytest.mark.parametrize("verb", ["validate", "plan", "eval"])
def test_without_permission_the_spec_is_refused(team: Any, verb: str) -> None:
    """Code 2, with key, line and the flag."""
    done = team.cli(verb, "words.yaml")
    assert done.code == 2
    assert "task.scorers[1]: scorer 'own_team:polite' is code that the spec names" in done.err
    assert "--allow-code" in done.err


def test_the_flag_and_its_twin_permit_it(team: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For specs that one trusts."""
    assert team.cli("validate", "words.yaml", "--allow-code").code == 0
    monkeypatch.setenv("HARNESS_ALLOW_CODE", "1")
    assert team.cli("plan", "words.yaml").code == 0
