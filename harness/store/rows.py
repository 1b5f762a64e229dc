"""Many rows in one statement, compiled once.

In: a statement of SQLAlchemy Core and rows as mappings. Out: the same statement run by the driver. Core
looks at every parameter of every row anew, which costs more than SQLite needs to write the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy


class RowWriter:
    """Writes rows with these columns. The values must be what the driver takes as they are."""

    def __init__(
        self, database: sqlalchemy.Engine, statement: sqlalchemy.Insert, columns: Sequence[str]
    ) -> None:
        compiled = statement.compile(dialect=database.dialect, column_keys=list(columns))
        self._sql = str(compiled)
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def write(self, connection: sqlalchemy.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write these rows, each with a value for every column."""
        if not rows:
            return
        if self._order is None:
            connection.exec_driver_sql(self._sql, [dict(row) for row in rows])
            return
        order = self._order
        connection.exec_driver_sql(self._sql, [tuple([row[name] for name in order]) for row in rows])
