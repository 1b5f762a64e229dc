"""The documents of a retrieval task: on disk, read once to check them and again whenever they are embedded.

In: the file that `task.corpus` means, and templates. Out: a `Corpus`. Must not hold the texts of all
documents at a time, and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import DataError, Problem
from harness.fingerprint import fingerprint
from harness.plan.columns import Fault
from harness.plan.row_faults import LISTED_PROBLEMS
from harness.plan.rows import RowSource, records_of
from harness.records import JsonValue

Fields = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents in the order of their file. ids: one each. places: of each id among them."""

    source: RowSource = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    places: Mapping[str, int] = field(repr=False)

    @property
    def name(self) -> str:
        """As the data set is called."""
        return self.source.name

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.ids)

    def documents(self) -> Iterator[tuple[str, Fields]]:
        """Each document with its inputs, read from disk. Raises DataError when the file has changed."""
        for place, (line, _, record) in enumerate(records_of(self.source)):
            document = record if isinstance(record, Fault) else _document(record, self.source)
            if isinstance(document, Fault) or self.places.get(document[0]) != place:
                problem = Problem(
                    self.source.shown, line, "", "changed while the run was going on; start it again"
                )
                raise DataError([problem])
            yield document

    def fingerprint(self) -> str:
        """The name of these documents: content of the file and columns."""
        return fingerprint([self.source.sha256, self.source.columns])


def open_corpus(source: RowSource, check: Callable[[Fields], str | None]) -> Corpus:
    """Read all documents once. check: gives a message for one that will not do.

    Raises DataError with at most 20 of them listed.
    """
    places: dict[str, int] = {}
    faults: list[Problem] = []
    for line, _, record in records_of(source):
        document = record if isinstance(record, Fault) else _document(record, source)
        message = document.message if isinstance(document, Fault) else check(document[1])
        if message is None and not isinstance(document, Fault):
            if document[0] in places:
                message = f"has the id {document[0]!r} of another document; ids are unique within a corpus"
            else:
                places[document[0]] = len(places)
        if message is not None:
            faults.append(Problem(source.shown, line, "", message))
            if len(faults) == LISTED_PROBLEMS:
                break
    if not places and not faults:
        faults.append(Problem(source.shown, None, "", "holds no documents; a corpus needs at least 2"))
    if faults:
        raise DataError(faults)
    return Corpus(source, tuple(places), places)


def _document(record: Mapping[str, JsonValue], source: RowSource) -> tuple[str, Fields] | Fault:
    columns = source.columns
    name = columns.id or "id"
    document = record.get(name)
    if isinstance(document, bool) or not isinstance(document, str | int) or document == "":
        have = ", ".join(repr(one) for one in record) or "none"
        return Fault(
            f"has no id ({name!r} is {document!r}); queries name documents by it. Its columns are {have}"
        )
    missing = [one for one in columns.inputs or () if one not in record]
    if missing:
        return Fault(f"has no {', '.join(repr(one) for one in missing)}; add it, or correct `columns.inputs`")
    others = {one: value for one, value in record.items() if one not in (name, "metadata")}
    held = others if columns.inputs is None else {one: record[one] for one in columns.inputs}
    return str(document), held
