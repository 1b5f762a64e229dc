"""What is wrong with the rows of a data set, gathered while it is read and told in as few words as will do.

In: a line and its fault, or none. Out: one DataError. Must not read rows.
"""

from __future__ import annotations

from harness.errors import DataError, Problem
from harness.plan.columns import Fault

# A file with one systematic mistake has it in every row: the first ones tell the story.
LISTED_PROBLEMS = 20


class EveryRowError(DataError):
    """No row can be used, all for the same reason.

    fault: the reason; count: of rows; columns_at: file and line where a definition names the columns.
    """

    def __init__(
        self, problem: Problem, fault: Fault, count: int, columns_at: tuple[str, int | None] | None
    ) -> None:
        self.fault, self.count, self.columns_at = fault, count, columns_at
        super().__init__([problem])


class RowFaults:
    """What is wrong with rows: the first ones of many, or once what is wrong with all.

    shown: the file as errors name it. columns_at: file and line where a definition names its columns.
    """

    def __init__(self, shown: str, columns_at: tuple[str, int | None] | None = None) -> None:
        self._shown, self._columns_at = shown, columns_at
        self._listed: list[tuple[int, Fault]] = []
        self._rows = self._count = 0
        self._alike = True

    def add(self, line: int, fault: Fault | None) -> None:
        """Count a row. fault: why it cannot be used, `None` when it can."""
        self._rows += 1
        if fault is None:
            return
        self._count += 1
        self._alike = self._alike and (not self._listed or self._listed[0][1] == fault)
        if self._count <= LISTED_PROBLEMS:
            self._listed.append((line, fault))

    def raise_any(self) -> None:
        """Raise DataError when a row cannot be used, or none is there."""
        if self._alike and self._count == self._rows > 1:
            line, fault = self._listed[0]
            told = self._problem(line, f"{fault.message}; so it is with all {self._rows} rows")
            raise EveryRowError(told, fault, self._rows, self._columns_at)
        faults = [self._problem(line, fault.message) for line, fault in self._listed]
        if self._count > LISTED_PROBLEMS:
            faults.append(self._problem(None, f"and {self._count - LISTED_PROBLEMS} more rows like these"))
        if not self._rows:
            faults.append(self._problem(None, "holds no rows; a data set needs at least 4"))
        if faults:
            raise DataError(faults)

    def _problem(self, line: int | None, message: str) -> Problem:
        return Problem(self._shown, line, "", message)
