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
    """The store as the engine sees it. use_cache: False finds nothing, so that all is asked anew.

    reuse_limits: output limits among which an answer may stand for another; see `calls.reuse`.
    """

    def __init__(
        self,
        store: Store,
        owners: Owners,
        endpoints: Mapping[str, Endpoint],
        run: str,
        *,
        use_cache: bool,
        reuse_limits: Sequence[int] = (),
    ) -> None:
        self._store = store
        self._owners = owners
        self._endpoints = endpoints
        self._run = run
        self._use_cache = use_cache
        self._reuse_limits = reuse_limits
        self._looked_at = time.monotonic()

    def find(self, calls: Sequence[Call]) -> Found:
        """Answers, and claims on what has none. A claimed call must be answered, failed or released."""
        keyed = [(call, self._key(call)) for call in calls]
        if not self._use_cache:
            return Found((), keyed, ())
        rows = self._rows(keyed)
        open_keys = {key for _, key in keyed} - rows.keys()
        if not open_keys:
            return Found([_told(rows, call, key) for call, key in keyed], (), ())
        claimed = self._owners.claim(sorted(open_keys))
        # Between look-up and claim another process may have answered, and ended its claim.
        late = self._store.answers(sorted(claimed))
        if late:
            self._owners.end_claims(sorted(late))
            rows |= late
        return Found(
            [_told(rows, call, key) for call, key in keyed if key in rows],
            [(call, key) for call, key in keyed if key in claimed and key not in rows],
            [call for call, key in keyed if key not in rows and key not in claimed],
        )

    def let_lapse(self) -> None:
        """Free the claims of processes that died, now and then."""
        now = time.monotonic()
        if now - self._looked_at >= DEAD_S:
            self._looked_at = now
            self._owners.let_lapse()

    def recall(self, calls: Iterable[Call]) -> Iterator[Outcome]:
        """What this run knows of these calls, in their order; one that was never asked is left out."""
        source, paid = iter(calls), self._store.paid_keys(self._run)
        while chunk := list(islice(source, CHUNK)):
            keys = [self._key(call) for call in chunk]
            answers = self._rows(list(zip(chunk, keys, strict=True)))
            failures = self._store.failures(self._run, keys)
            for call, key in zip(chunk, keys, strict=True):
                # Asked in vain by this run, and answered by another one since: here it stays a failure.
                if key in failures and key not in paid:
                    yield failure(failures[key], call)
                elif key in answers:
                    yield _told(answers, call, key)

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


def _told(rows: Rows, call: Call, key: str) -> Completion:
    row = rows[key]
    answer = completion(row, call)
    return replace(answer, reused=True) if REUSED in row else answer
