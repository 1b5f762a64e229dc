"""Finals: who is still worth a look at the end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.trials.finals import without_last


@pytest.mark.parametrize(
    ("numbers", "left"),
    [
        ([5, 3, 0], [5, 0]),
        ([5, 0, 3], [5, 0]),
        ([0, 3, 4], [0, 3]),
        ([5, 3, 4, 0], [5, 3, 0]),
        ([5, 0], [5, 0]),
    ],
)
def test_champion_and_default_are_confirmed_whatever_goes(numbers, left):
    """The last of the others goes, wherever the default stands."""
    arms = [SimpleNamespace(number=number) for number in numbers]
    assert [arm.number for arm in without_last(arms)] == left
