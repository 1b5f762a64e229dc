"""Every error that this package raises on purpose, named for the boundary that was crossed.

    HarnessError                 exit code
    ├── UsageError               2   the command or call itself: unknown run, file in the way
    ├── SpecError                2   the spec: one error holding every problem found
    ├── DataError                2   rows that cannot be used
    ├── PromptError              2   a template that cannot be rendered
    ├── CatalogueError           2   a model that is unknown, retired or has no price
    ├── StoreError               2   the store cannot be opened or trusted
    │   └── StoreLostError       3   a store that worked fails in the middle of a run
    ├── ProviderError            3   a provider cannot be reached, started or spoken to
    ├── StatsError               3   numbers from which the asked figure cannot be computed
    └── InconclusiveError        4   nothing failed, but the evidence decides nothing

A failed call is not an exception but a record (`records.CallFailure`). A message says what was
found, what was expected, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class HarnessError(Exception):
    """The root: catch this to catch everything that the package raises on purpose."""

    exit_code: ClassVar[int] = 3

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the message says where to look, and what to do."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(HarnessError):
    """The command or call cannot be carried out as written."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file: where it is, which key, and what to do about it.

    line: counted from 1; `None` where the fault has no line (a file that is missing).
    key: the dotted path inside the file, as in `search.temperature.low`; empty for the file as a whole.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class _ProblemsError(HarnessError):
    """An error that carries every problem found, so that one reading mends them all."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpecError(_ProblemsError):
    """The experiment spec cannot be used; `problems` holds all faults in file order."""


class DataError(_ProblemsError):
    """A data set cannot be used; `problems` names file and line of each bad row."""


class PromptError(_ProblemsError):
    """A prompt template cannot be read or rendered."""


class CatalogueError(HarnessError):
    """A model is unknown, retired, or has no known price."""

    exit_code = 2


class StoreError(HarnessError):
    """The store cannot be opened, is damaged, or was written by a newer version."""

    exit_code = 2


class StoreLostError(StoreError):
    """The store failed after the run had begun; answers paid so far are safe on disk."""

    exit_code = 3


class ProviderError(HarnessError):
    """A provider cannot be reached, started, or spoken to."""


class StatsError(HarnessError):
    """The figure asked for cannot be computed from these numbers."""


class InconclusiveError(HarnessError):
    """Nothing failed, but data or budget decide nothing."""

    exit_code = 4
