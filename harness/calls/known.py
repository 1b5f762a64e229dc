"""What the store knows of calls, and which of the others this process may ask.

In: calls. Out: answers that are there, calls that are this process's to ask, and calls that another
process is asking right now. Nothing is sent here. Used from the caller's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from harness.calls.keys import call_key, key_as_written
from harness.calls.reuse import stands_for, with_other_limits
from harness.records import Call, Completion, Endpoint, Outcome
from harness.store.answers import completion, failure
from harness.store.own import Own
from harness.store.owners import Owners
from harness.store.store import Store

Rows: TypeAlias = dict[str, Mapping[str, Any]]
CHUNK = 128  # calls looked up by one query
REUSED = "reused"  # the mark of a row that stands for a call with another output limit
DEAD_S = 1.0  # between two looks for processes that died while this one waits for their answers


@dataclass(frozen=True, slots=True)
class Found:
    """What became of calls that were looked up. mine: to be asked now, with their keys."""

    stored: Sequence[Completion]
    mine: Sequence[tuple[Call, str]]
    elsewhere: Sequence[Call]


class Known:
    """The store as the engine sees it. own: what the run did itself, before and now.

    reuse_limits: output limits among which an answer may stand for another; see `calls.reuse`.
    """

    def __init__(
        self,
        store: Store,
        owners: Owners,
        endpoints: Mapping[str, Endpoint],
        run: str,
        own: Own,
        *,
        reuse_limits: Sequence[int] = (),
    ) -> None:
        self._store = store
        self._owners = owners
        self._endpoints = endpoints
        self._run = run
        self._own = own
        self._reuse_limits = reuse_limits
        self._looked_at = time.monotonic()

    def find(self, calls: Sequence[Call]) -> Found:
        """Answers, and claims on what has none. A claimed call must be answered, failed or released.

        An answer of which nobody was told since this run paid for it, in an earlier process, is not cached.
        """
        self._own.load()
        keyed = [(call, self._key(call)) for call in calls]
        rows = self._takes(self._rows(keyed))
        open_keys = {key for _, key in keyed} - rows.keys()
        if not open_keys:
            return Found(self._tell(rows, keyed), (), ())
        claimed = self._owners.claim(sorted(open_keys))
        # Between look-up and claim another process may have answered, and ended its claim.
        late = self._takes(self._store.answers(sorted(claimed)))
        if late:
            self._owners.end_claims(sorted(late))
            rows |= late
        return Found(
            self._tell(rows, [(call, key) for call, key in keyed if key in rows]),
            [(call, key) for call, key in keyed if key in claimed and key not in rows],
            [call for call, key in keyed if key not in rows and key not in claimed],
        )

    def let_lapse(self) -> None:
        """Free the claims of processes that died, now and then."""
        now = time.monotonic()
        if now - self._looked_at >= DEAD_S:
            self._looked_at = now
            self._owners.let_lapse()

    def recall(self, calls: Iterable[Call], *, told: bool = True) -> Iterator[Outcome]:
        """What this run knows of these calls, in their order; one that was never asked is left out.

        Asked in vain by this run, and answered by another one since, a call stays a failure.
        told: whether somebody has been told before, so that all answers are cached; else as in `find`.
        """
        if not told:
            self._own.load()
        source = iter(calls)
        while chunk := list(islice(source, CHUNK)):
            keyed = [(call, self._key(call)) for call in chunk]
            answers = self._rows(keyed)
            failures = self._store.failures(self._run, [key for _, key in keyed])
            for call, key in keyed:
                if key in failures:
                    yield failure(failures[key], call)
                elif key in answers:
                    yield _told(answers[key], call, None if told else self._own)

    def _takes(self, rows: Rows) -> Rows:
        """Those of these answers that the run takes."""
        if not self._own.only:
            return rows
        return {key: row for key, row in rows.items() if self._own.may_take(row["key"])}

    def _tell(self, rows: Rows, keyed: Sequence[tuple[Call, str]]) -> list[Completion]:
        """The answers to these calls, which are what the run saw of them from now on."""
        self._own.get_over([key for _, key in keyed])
        return [_told(rows[key], call, self._own) for call, key in keyed]

    def _rows(self, keyed: Sequence[tuple[Call, str]]) -> Rows:
        """The answers that are there, by the key of the call that they answer."""
        rows = self._store.answers([key for _, key in keyed])
        rows |= self._as_written(keyed, rows)
        return rows | self._reused(keyed, rows) if self._reuse_limits else rows

    def _as_written(self, keyed: Sequence[tuple[Call, str]], rows: Rows) -> Rows:
        """Answers that earlier versions kept for calls that have none here."""
        written = {
            key: old
            for call, key in keyed
            if key not in rows and (old := key_as_written(call, self._endpoints[call.settings.provider]))
        }
        kept = self._store.answers(list(written.values())) if written else {}
        return {key: kept[old] for key, old in written.items() if old in kept}

    def _reused(self, keyed: Sequence[tuple[Call, str]], rows: Rows) -> Rows:
        """For calls without an answer of their own, the oldest one that stands for theirs."""
        keys = {
            key: [self._key(other) for other in with_other_limits(call, self._reuse_limits)]
            for call, key in keyed
            if key not in rows
        }
        others = self._store.answers([other for each in keys.values() for other in each])
        found: Rows = {}
        for call, key in keyed:
            standing = [others[other] for other in keys.get(key, ()) if other in others]
            fitting = [row for row in standing if stands_for(row, call)]
            if fitting:
                found[key] = {**min(fitting, key=itemgetter("at")), REUSED: True}
        return found

    def _key(self, call: Call) -> str:
        return call_key(call, self._endpoints[call.settings.provider])


def _told(row: Mapping[str, Any], call: Call, own: Own | None) -> Completion:
    """The stored answer to the call. own: what the run did itself; `None`: all of it was told before."""
    if REUSED in row:
        return replace(completion(row, call), reused=True)
    return completion(row, call, cached=own is None or not own.tells(row["key"]))
