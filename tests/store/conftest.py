"""A store in a fresh database of each kind, and answers to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.records import Latency, Reply
from harness.store.answers import PaidAnswer, Payment
from harness.store.store import Store, open_store
from harness.testing.builders import AT, a_reply


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a store of SQLite that does not exist yet."""
    return f"sqlite:///{tmp_path / 'deep' / 'harness.db'}"


@pytest.fixture
def store(each_url: str) -> Iterator[Store]:
    """An open store in a database of its own, once for each kind of database."""
    opened = open_store(each_url, {})
    yield opened
    opened.close()


@pytest.fixture
def paid() -> Callable[..., PaidAnswer]:
    """Makes an answer with its bill: `paid("key", reply, usd=0.1, run="run-2")`."""

    def make(key: str, reply: Reply | None = None, **changes: Any) -> PaidAnswer:
        bill = {"run": "run-1", "purpose": "answer", "usd": 0.25, "input_tokens": 100, "output_tokens": 10}
        return PaidAnswer(
            model="sim/small",
            reply=reply or a_reply(),
            price_usd=0.25,
            latency=Latency(queue_s=0.125, total_s=0.5),
            payment=Payment(**{"key": key, "at": AT, **bill, **changes}),
        )

    return make
