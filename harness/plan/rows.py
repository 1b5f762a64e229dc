"""Rows on disk, read one at a time: a JSON Lines file goes in, an index and samples come out.

The index holds an id, a byte offset, a line number and a split for each row; the rows themselves stay
on disk and are read again when asked for, so memory does not grow with their size. Must not know
other formats: `tables` turns those into JSON Lines first.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from harness.cards import DataCard
from harness.errors import DataError, Problem
from harness.fingerprint import canonical, fingerprint, share
from harness.plan.columns import Columns, Fault, Row, parse_line, shape
from harness.plan.row_faults import RowFaults
from harness.plan.splits import Groups, Sharing, confirming, confirming_together
from harness.records import JsonValue, Sample, Split

# One sample has no standard error, so it can neither choose nor confirm anything.
SMALLEST_SPLIT = 2
# How far the share of the confirm split may be from what was asked before groups are said to be too large.
UNEVEN = 0.1

RowCheck: TypeAlias = Callable[[Row], "str | Fault | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSource:
    """A file of rows with what its data set states about it.

    path: the JSON Lines file that is read. shown: the file as errors name it (before conversion).
    converted: each line is `{"line": n, "row": {...}}` with the line of the original file.
    sha256: of the original file; of `path` where the rows come from a hub. columns_at: file and line where
    a definition says which column is what; `None` without one.
    """

    path: Path
    shown: str
    name: str
    sha256: str
    columns: Columns = field(default_factory=Columns)
    columns_at: tuple[str, int | None] | None = None
    converted: bool = False
    source: str = ""
    licence: str = ""
    attribution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rows, and in which order. confirm: share of the confirm split. limit: rows in all.

    stratify: "target", or a field of metadata whose values both splits hold in equal shares; `None`: by id.
    prefix: of ids and groups as they are given out; it changes neither split nor order.
    """

    confirm: float
    seed: int = 0
    limit: int | None = None
    stratify: str | None = None
    prefix: str = ""


class Rows:
    """The samples of a data set, split once and for all by their ids, or by their groups.

    A row is in the confirm split when `share("split", id)` is below the confirm share: the same id is on
    the same side in every run, whatever rows stand around it. Both splits are given in the order of
    `share(seed, id)`, a permutation that the seed alone decides, so that all settings meet the same
    samples in the same order. A limit keeps the first rows by `share("limit", id)` of each split, in
    proportion, so that a smaller limit takes a part of what a larger one takes. With strata, the rows of each
    value with the lowest `share("split", id)` are in the confirm split, as many as are its share of them.
    Where rows have groups, a whole group is on one side, see `splits`: what is alike can confirm nothing.
    """

    def __init__(self, source: RowSource, selection: Selection, index: _Index) -> None:
        self._source = source
        self._index = index
        self._seed = selection.seed
        self._prefix = selection.prefix
        self._groups = index.groups()
        whole = _sides(index, self._groups, selection)
        _refuse_few_groups(self._groups, whole, source, selection)
        self.notes = _uneven(self._groups, whole, selection)
        sides = _limited(index, whole, selection.limit)
        self._order: dict[Split, tuple[str, ...]] = {
            split: self._given(sorted((index.ids[p] for p in positions), key=lambda i: share(self._seed, i)))
            for split, positions in sides.items()
        }
        self._places: dict[str, tuple[int, Split]] = {
            self._prefix + index.ids[p]: (p, split) for split, positions in sides.items() for p in positions
        }
        self.card = DataCard(
            name=source.name,
            sha256=source.sha256,
            n_search=len(self._order["search"]),
            n_confirm=len(self._order["confirm"]),
            source=source.source,
            licence=source.licence,
            attribution=source.attribution,
            file=source.shown,
        )

    def __len__(self) -> int:
        """Samples in both splits together."""
        return len(self._places)

    @property
    def fields(self) -> frozenset[str]:
        """Names of the inputs that any row has: what a template may ask for."""
        return self._index.fields

    def ids(self, split: Split) -> Sequence[str]:
        """Ids of one split, or of both, in the permuted order that all settings share."""
        if split == "all":
            return tuple(sorted(self._places, key=lambda sample_id: share(self._seed, sample_id)))
        return self._order[split]

    def sample(self, sample_id: str) -> Sample:
        """The sample of this id, read from disk. Raises DataError for an unknown id or a changed file."""
        if sample_id not in self._places:
            raise DataError([self._problem(None, f"no sample has the id {sample_id!r} in this selection")])
        position, split = self._places[sample_id]
        line = self._index.lines[position]
        row = self._read(self._index.offsets[position])
        # Rows of equal content carry a counter behind the id that was made from it.
        own = sample_id.removeprefix(self._prefix).removesuffix(self._index.suffixes.get(position, ""))
        if isinstance(row, Fault) or row.id != own:
            raise DataError([self._problem(line, "changed while the run was going on; start it again")])
        group = None if self._groups is None else self._groups.of(position)
        return Sample(
            id=sample_id,
            inputs=row.inputs,
            target=row.target,
            split=split,
            group=None if group is None else self._prefix + group,
            metadata=row.metadata,
        )

    def fault(self, sample_id: str, message: str) -> Problem:
        """A fault of the row that this sample is made of, with its line."""
        return self._problem(self._index.lines[self._places[sample_id][0]], message)

    def fingerprint(self) -> str:
        """The name of these rows: file content, columns, splits and order."""
        return fingerprint([self._source.sha256, self._source.columns, self._order])

    def _given(self, ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._prefix + one for one in ids) if self._prefix else tuple(ids)

    def _read(self, offset: int) -> Row | Fault:
        try:
            with self._source.path.open("rb") as stream:
                stream.seek(offset)
                raw = stream.readline()
        except OSError as error:
            raise DataError([self._problem(None, f"cannot be read again: {error.strerror}")]) from error
        record = _record(raw, converted=self._source.converted)
        if isinstance(record, Fault):
            return record
        return shape(record[1], self._source.columns, made_ids=self._index.made_ids)

    def _problem(self, line: int | None, message: str) -> Problem:
        return Problem(self._source.shown, line, "", message)


def open_rows(source: RowSource, selection: Selection, check: RowCheck | None = None) -> Rows:
    """Read all rows once, check them, and give an index over them.

    check: called with each usable row, in file order; gives a message when it will not do.
    Raises DataError with at most 20 bad rows listed, EveryRowError when all are bad in the same way, and
    DataError when a split would hold fewer than 2 samples or groups.
    """
    index, faults = _Index(selection.stratify), RowFaults(source.shown, source.columns_at)
    for line, offset, record in records_of(source):
        row = record if isinstance(record, Fault) else index.add(line, offset, record, source.columns)
        faults.add(line, _fault(row, check))
    faults.raise_any()
    rows = Rows(source, selection, index)
    _refuse_thin_splits(rows, source, selection)
    return rows


def _fault(row: Row | Fault, check: RowCheck | None) -> Fault | None:
    found = row if isinstance(row, Fault) else check(row) if check else None
    return Fault(found) if isinstance(found, str) else found


class _Index:
    """Where each row is; grows while a file is read."""

    def __init__(self, stratify: str | None = None) -> None:
        self.ids: list[str] = []
        self.strata = array("L")
        self._sharing = Sharing()
        self._stratify = stratify
        self._values: dict[str, int] = {}
        self.offsets = array("Q")
        self.lines = array("Q")
        self.suffixes: dict[int, str] = {}
        self.fields: frozenset[str] = frozenset()
        self.made_ids = False
        self._positions: dict[str, int] = {}
        self._copies: dict[str, int] = {}
        self._begun = False

    def add(self, line: int, offset: int, record: Mapping[str, JsonValue], columns: Columns) -> Row | Fault:
        """Take one row in, or say why it cannot be used."""
        if not self._begun:
            self._begun = True
            self.made_ids = columns.id is None and "id" not in record
        elif self.made_ids and "id" in record:
            return Fault("has an id, but the first row has none; give every row an id or none")
        row = shape(record, columns, made_ids=self.made_ids)
        if isinstance(row, Fault):
            return row
        if not row.inputs.keys() <= self.fields:
            self.fields |= row.inputs.keys()
        sample_id = self._numbered(row.id) if self.made_ids else row.id
        if sample_id in self._positions:
            first = self.lines[self._positions[sample_id]]
            return Fault(f"has the id {sample_id!r} of line {first}; ids are unique within a data set")
        if self._stratify is not None:
            if self._stratify != "target" and self._stratify not in row.metadata:
                have = ", ".join(map(repr, row.metadata)) or "none"
                message = (
                    f"has no metadata {self._stratify!r}, which task.stratify names; its metadata are {have}"
                )
                return Fault(
                    f"{message}. Add it, or name a column under `columns.metadata`", ("task", "stratify")
                )
            value = row.target if self._stratify == "target" else row.metadata[self._stratify]
            self.strata.append(self._values.setdefault(canonical(value), len(self._values)))
        self._sharing.add(len(self.ids), row.shared)
        self._positions[sample_id] = len(self.ids)
        self.ids.append(sample_id)
        self.offsets.append(offset)
        self.lines.append(line)
        return row

    def groups(self) -> Groups | None:
        """The groups of the rows, where there are any. Asked for once: what they were made from is let go."""
        sharing, self._sharing = self._sharing, Sharing()
        return sharing.groups(self.names())

    def names(self) -> list[str]:
        """What decides the split: rows of equal content stay on the same side."""
        return [one.removesuffix(self.suffixes.get(position, "")) for position, one in enumerate(self.ids)]

    def _numbered(self, made_id: str) -> str:
        copies = self._copies[made_id] = self._copies.get(made_id, 0) + 1
        if copies == 1:
            return made_id
        suffix = self.suffixes[len(self.ids)] = f"-{copies}"
        return made_id + suffix


def records_of(source: RowSource) -> Iterator[tuple[int, int, dict[str, JsonValue] | Fault]]:
    """Line, offset in the file that is read, and record of each row, in order."""
    offset = 0
    with source.path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            start = offset + len(raw) - len(text)
            offset += len(raw)
            if text.strip():
                found = _record(text, converted=source.converted)
                yield (
                    (number, start, found)
                    if isinstance(found, Fault)
                    else (found[0] or number, start, found[1])
                )


def _record(raw: bytes, *, converted: bool) -> tuple[int, dict[str, JsonValue]] | Fault:
    record = parse_line(raw)
    if isinstance(record, Fault):
        return record
    if converted:
        return cast("int", record["line"]), cast("dict[str, JsonValue]", record["row"])
    return 0, record


def _sides(index: _Index, groups: Groups | None, selection: Selection) -> dict[Split, list[int]]:
    if groups is None:
        chosen = confirming(index.names(), index.strata, selection.confirm)
    else:
        chosen = confirming_together(groups, index.strata, selection.confirm)
    sides: dict[Split, list[int]] = {"search": [], "confirm": []}
    for position, confirms in enumerate(chosen):
        sides["confirm" if confirms else "search"].append(position)
    return sides


def _limited(index: _Index, sides: dict[Split, list[int]], limit: int | None) -> dict[Split, list[int]]:
    total = len(index.ids)
    if limit is None or limit >= total:
        return sides
    fair = round(limit * len(sides["confirm"]) / total)
    n_confirm = min(max(fair, SMALLEST_SPLIT), len(sides["confirm"]))
    sizes: dict[Split, int] = {"confirm": n_confirm, "search": max(0, limit - n_confirm)}
    return {
        split: sorted(positions, key=lambda p: share("limit", index.ids[p]))[: sizes[split]]
        for split, positions in sides.items()
    }


def _refuse_thin_splits(rows: Rows, source: RowSource, selection: Selection) -> None:
    for split, size in (("search", rows.card.n_search), ("confirm", rows.card.n_confirm)):
        if size < SMALLEST_SPLIT:
            raised = "" if selection.limit is None else f"raise the limit ({selection.limit}), "
            message = (
                f"leaves {size} of {len(rows)} samples in the {split} split, which needs at least "
                f"{SMALLEST_SPLIT}; add rows, {raised}or change aim.confirm ({selection.confirm:g})"
            )
            raise DataError([Problem(source.shown, None, "", message)])


def _refuse_few_groups(
    groups: Groups | None, sides: Mapping[Split, Sequence[int]], source: RowSource, selection: Selection
) -> None:
    """One group has no standard error, as one sample has none."""
    if groups is None:
        return
    for split, positions in sides.items():
        found = len({groups.owners[position] for position in positions})
        if found < SMALLEST_SPLIT:
            name, size = groups.largest()
            message = (
                f"leaves {found} of {len(groups.names)} groups in the {split} split, which needs at least "
                f"{SMALLEST_SPLIT}: rows of a group stay together, and the largest, {name!r}, has {size} of "
                f"{len(groups.owners)} rows; divide large ones, add rows of others, or change aim.confirm "
                f"({selection.confirm:g})"
            )
            raise DataError([Problem(source.shown, None, "", message)])


def _uneven(
    groups: Groups | None, sides: Mapping[Split, Sequence[int]], selection: Selection
) -> tuple[str, ...]:
    if groups is None:
        return ()
    total = len(groups.owners)
    found = len(sides["confirm"]) / total
    if abs(found - selection.confirm) <= UNEVEN:
        return ()
    name, size = groups.largest()
    told = (
        f"the confirm split has {found:.0%} of the rows, not {selection.confirm:.0%}: rows of a group stay "
        f"together, and the largest, {name!r}, has {size} of {total} rows"
    )
    return (told,)
