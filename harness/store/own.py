"""What a run did itself, by the key of the call: answers that it paid for, and calls that it asked in vain.

In: an open store, and a run that may have begun in an earlier process. Out: whose money an answer was, and
which failures the run has got over. It sends nothing. Used from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from harness.store.connections import transaction
from harness.store.patience import patient
from harness.store.statements import blocks, execute, fetch, marks, select_sql

if TYPE_CHECKING:
    import sqlalchemy

# Of two runs that pay for one key, one answer stays: it is that of the bill with its very moment. A bill for
# a request that brought nothing has no answer of its moment.
_OWN = (
    "SELECT paid.key FROM payments AS paid JOIN answers ON answers.key = paid.key AND answers.at = paid.at "
    "WHERE paid.run = ?"
)


class Own:
    """The past of one run, read once, and what this process adds to it.

    only: whether the run takes no answers but its own. failed: keys whose failure is written down.
    An answer that the run paid for is told as paid once: the first of equal calls paid, the others found it.
    """

    def __init__(self, database: sqlalchemy.Engine, run: str, *, only: bool = False) -> None:
        self.only = only
        self.failed: set[str] = set()
        self._database = database
        self._run = run
        self._untold: set[str] = set()
        self._paid: set[str] = set()
        self._loaded = False
        self._loading = threading.Lock()

    @patient
    def load(self) -> None:
        """Read what earlier processes of the run did, once; before the first call of this one."""
        with self._loading:
            if self._loaded:
                return
            failures = select_sql("failures", ("key",), "run = ?")
            with transaction(self._database) as connection:
                self._untold.update(key for (key,) in fetch(connection, _OWN, (self._run,)))
                self.failed.update(key for (key,) in fetch(connection, failures, (self._run,)))
            if self.only:
                self._paid |= self._untold
            self._loaded = True

    def paid(self, key: str) -> None:
        """This process paid for the answer under this key, and told so."""
        if self.only:  # other runs find it in the store, so that nothing grows with the calls
            self._paid.add(key)

    def may_take(self, key: str) -> bool:
        """Whether the stored answer under this key is one that the run takes."""
        return not self.only or key in self._paid

    def tells(self, key: str) -> bool:
        """Whether an earlier process paid for the answer under this key, and nobody was told of it since."""
        if key not in self._untold:
            return False
        try:
            self._untold.remove(key)
        except KeyError:  # another thread told it
            return False
        return True

    @patient
    def get_over(self, keys: Collection[str]) -> None:
        """Take out the failures of calls that the run now finds answered: what it saw last counts."""
        gone = [key for key in keys if key in self.failed]
        if gone:
            with transaction(self._database) as connection:
                delete_failures(connection, self._run, gone)
            self.failed.difference_update(gone)


def delete_failures(connection: sqlalchemy.Connection, run: str, keys: Sequence[str]) -> None:
    """Within a transaction: take out the failures of these keys in this run."""
    for some in blocks(keys):
        sql = f"DELETE FROM failures WHERE run = ? AND key IN {marks(some)}"  # noqa: S608 - only marks
        execute(connection, sql, (run, *some))
