"""Which rows confirm, while the others choose: by their ids, in equal shares of strata, groups together.

In: names of rows, their strata, and what they share. Out: for each row whether it confirms, and its group.
The names alone decide, so that the order of the rows does not, and a group is never on both sides. Must not
read rows.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.fingerprint import share


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows that belong together. names: of each group; owners: the group of each row, by place among them.

    given: whether the data says so of the group; a row that shares nothing is one of its own, by its id.
    """

    names: Sequence[str]
    owners: Sequence[int]
    given: Sequence[bool]

    def place(self, owner: int) -> tuple[float, bool, str]:
        """What a group is ordered by: no two have the same."""
        name = self.names[owner]
        return share("split", name), self.given[owner], name

    def largest(self) -> tuple[str, int]:
        """The group with most rows, and how many it has."""
        owner, size = max(Counter(self.owners).items(), key=lambda one: (one[1], self.names[one[0]]))
        return self.names[owner], size

    def of(self, position: int) -> str | None:
        """The group of a row, as standard errors know it; `None` for a row that shares nothing."""
        owner = self.owners[position]
        return self.names[owner] if self.given[owner] else None


class Sharing:
    """Joins rows that share a value, and rows that share one with these, while they are read."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[bool, str], int] = {}
        self._above: list[int] = []
        self._first: dict[int, int] = {}

    def add(self, position: int, values: Sequence[str]) -> None:
        """Take in what the row at this position shares with others."""
        numbers = [self._number((True, value)) for value in values]
        for number in numbers[1:]:
            self._above[self._top(number)] = self._top(numbers[0])
        if numbers:
            self._first[position] = numbers[0]

    def groups(self, names: Sequence[str]) -> Groups | None:
        """The groups of all rows, each called by the least of its values; `None`: nothing is shared.

        names: of each row, for those that share nothing: rows of one name are a group as well.
        """
        if not self._first:
            return None
        numbers = [
            self._first[position] if position in self._first else self._number((False, name))
            for position, name in enumerate(names)
        ]
        called: dict[int, tuple[bool, str]] = {}
        for value, number in self._numbers.items():
            top = self._top(number)
            called[top] = min(called.get(top, value), value)
        places = {top: place for place, top in enumerate(called)}
        owners = array("Q", (places[self._top(number)] for number in numbers))
        return Groups([name for _, name in called.values()], owners, [given for given, _ in called.values()])

    def _number(self, value: tuple[bool, str]) -> int:
        number = self._numbers.setdefault(value, len(self._above))
        if number == len(self._above):
            self._above.append(number)
        return number

    def _top(self, number: int) -> int:
        while self._above[number] != number:
            self._above[number] = number = self._above[self._above[number]]
        return number


def confirming(names: Sequence[str], strata: Sequence[int], confirm: float) -> list[bool]:
    """Whether each row confirms: when `share("split", name)` is below the share of the confirm split.

    With strata, the rows of each with the lowest such shares confirm, as many as are the split's share of
    them.
    """
    places = [share("split", name) for name in names]
    ends = _ends(strata, places, confirm)
    return [place < (ends[strata[position]] if ends else confirm) for position, place in enumerate(places)]


def _ends(strata: Sequence[int], places: Sequence[float], confirm: float) -> list[float]:
    """By stratum, the place below which its rows confirm; empty without strata."""
    members: list[list[float]] = [[] for _ in range(max(strata, default=-1) + 1)]
    for stratum, place in zip(strata, places, strict=False):
        members[stratum].append(place)
    ends: list[float] = []
    for of_one in members:
        count = round(confirm * len(of_one))
        # Copies of a row have one place, and so one side.
        ends.append(sorted(of_one)[count] if count < len(of_one) else 1.0)
    return ends


def confirming_together(groups: Groups, strata: Sequence[int], confirm: float) -> list[bool]:
    """The same for whole groups, as near to the share of all rows, or of each stratum, as they allow.

    Groups are taken in the order of `share("split", name)`, each that fits into what is left and brings the
    shares nearer to what they should be; then those that bring them nearer although they go beyond it.
    Distance is the sum over strata of the squared difference of shares, as in scikit-learn's
    StratifiedGroupKFold, which deals by size and would put the largest groups on one side.
    """
    held = [Counter[int]() for _ in groups.names]
    for position, owner in enumerate(groups.owners):
        held[owner][strata[position] if strata else 0] += 1
    totals = Counter[int]()
    for counts in held:
        totals.update(counts)
    wanting = {stratum: confirm * total for stratum, total in totals.items()}
    room = round(confirm * totals.total())
    taken: set[int] = set()

    def gain(owner: int) -> float:
        return sum(n * (2 * wanting[one] - n) / totals[one] ** 2 for one, n in held[owner].items())

    order = sorted(range(len(held)), key=groups.place)
    for within in (True, False):
        for owner in order:
            fits = not within or held[owner].total() <= room
            if owner not in taken and fits and gain(owner) > 0:
                taken.add(owner)
                room -= held[owner].total()
                for stratum, n in held[owner].items():
                    wanting[stratum] -= n
    return [owner in taken for owner in groups.owners]
