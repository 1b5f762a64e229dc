"""What the store knows of calls, and which of the others this process may ask.

In: calls. Out: answers that are there, calls that are this process's to ask, and calls that another
process is asking right now. Nothing is sent here. Used from the caller's thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from harness.calls.keys import call_key
from harness.records import Call, Completion, Endpoint, Outcome
from harness.store.answers import completion, failure
from harness.store.owners import Owners
from harness.store.store import Store

CHUNK = 128  # calls looked up by one query
DEAD_S = 1.0  # between two looks for processes that died while this one waits for their answers


@dataclass(frozen=True, slots=True)
class Found:
    """What became of calls that were looked up. mine: to be asked now, with their keys."""

    stored: Sequence[Completion]
    mine: Sequence[tuple[Call, str]]
    elsewhere: Sequence[Call]


class Known:
    """The store as the engine sees it. use_cache: False finds nothing, so that all is asked anew."""

    def __init__(
        self, store: Store, owners: Owners, endpoints: Mapping[str, Endpoint], run: str, *, use_cache: bool
    ) -> None:
        self._store = store
        self._owners = owners
        self._endpoints = endpoints
        self._run = run
        self._use_cache = use_cache
        self._looked_at = time.monotonic()

    def find(self, calls: Sequence[Call]) -> Found:
        """Answers, and claims on what has none. A claimed call must be answered, failed or released."""
        keyed = [(call, self._key(call)) for call in calls]
        if not self._use_cache:
            return Found((), keyed, ())
        rows = self._store.answers([key for _, key in keyed])
        open_keys = {key for _, key in keyed} - rows.keys()
        if not open_keys:
            return Found([completion(rows[key], call) for call, key in keyed], (), ())
        claimed = self._owners.claim(sorted(open_keys))
        # Between look-up and claim another process may have answered, and ended its claim.
        late = self._store.answers(sorted(claimed))
        if late:
            self._owners.end_claims(sorted(late))
            rows |= late
        return Found(
            [completion(rows[key], call) for call, key in keyed if key in rows],
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
            answers, failures = self._store.answers(keys), self._store.failures(self._run, keys)
            for call, key in zip(chunk, keys, strict=True):
                # Asked in vain by this run, and answered by another one since: here it stays a failure.
                if key in failures and key not in paid:
                    yield failure(failures[key], call)
                elif key in answers:
                    yield completion(answers[key], call)

    def _key(self, call: Call) -> str:
        return call_key(call, self._endpoints[call.settings.provider])
