"""What the store holds: counted, checked, handed out and thinned out, in SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.findings import Spend
from harness.store.answers import FailedCall
from harness.store.contents import BATCH, LISTED_FAULTS, Which, contents, export_rows, prune, verify
from harness.store.journal import Journal
from harness.store.store import RunRow, Store, open_store
from harness.testing.builders import AT, a_failure, a_reply, a_run_record
from harness.testing.postgres_server import PostgresServer, find_postgres
from harness.vectors import packed

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own."""
    if os.name == "nt" or find_postgres() is None:
        pytest.skip("no PostgreSQL server is installed here (package postgresql)")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: Any, url: str) -> Iterator[Store]:
    """An empty store in each kind of database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh_url()
    with closing(open_store(url, {})) as opened:
        yield opened


@pytest.fixture
def filled(store: Store, paid: Callable[..., Any]) -> Store:
    """Six answers of two models over six days, one of unknown price, two runs, and three failed calls."""
    answers = [paid(_key(n), run=f"run-{n % 2}", at=AT + n * DAY, usd=0.25) for n in range(6)]
    answers[1] = answers[1]._replace(model="sim/large", price_usd=None)
    answers[2] = answers[2]._replace(
        model="sim/large", reply=a_reply(text=None, vectors=(packed([1.0, 2.0]),) * 3)
    )
    write(store, *answers)
    journal = Journal(store.database, lambda *_: None)
    for kind in ("timeout", "timeout", "overloaded"):
        journal.put_failure(FailedCall.of(a_failure(kind=kind), run="run-0", key="f" * 64, at=AT))
    journal.close()
    for number in (0, 1):
        begin(store, f"run-{number}")
    store.end_run(a_run_record(run="run-0", spend=Spend(saved_usd=1.5)))
    return store


def _key(number: int) -> str:
    return f"{number:064x}"


def write(store: Store, *answers: Any) -> None:
    """Make these answers durable."""
    journal = Journal(store.database, lambda *_: None)
    for answer in answers:
        journal.put(answer, answer.payment.key)
    journal.close()


def begin(store: Store, run: str) -> None:
    """A run that has begun."""
    store.begin_run(
        RunRow(
            run=run,
            experiment="x",
            state="running",
            spec_file=None,
            spec_text="{}",
            overrides={},
            prompts={},
            plan="b" * 64,
            started_at=AT,
            ended_at=None,
            record=None,
        )
    )


def keys(store: Store) -> list[int]:
    """The numbers of the answers that are there."""
    return [int(str(row["key"]), 16) for row in export_rows(store)]


# -- counted


def test_everything_is_counted(filled: Store) -> None:
    """Answers and money by model, the ledger of all runs, what runs saved, and what failed."""
    found = contents(filled)
    assert [(one.model, one.answers, one.list_usd, one.unpriced) for one in found.models] == [
        ("sim/large", 2, 0.25, 1),
        ("sim/small", 4, 1.0, 0),
    ]
    assert found.answers == 6
    # Three vectors of two numbers each, behind their count.
    assert [(one.vectors, one.vector_bytes) for one in found.models] == [(1, 4 + 3 * 2 * 4), (0, 0)]
    assert (found.models[1].oldest, found.models[1].newest) == (AT, AT + 5 * DAY)
    assert (found.runs, found.paid_usd, found.paid_calls, found.saved_usd) == (2, 1.5, 6, 1.5)
    assert found.failures == {"overloaded": 1, "timeout": 2}
    assert found.size_bytes > 10_000
    assert filled.address == found.address


def test_an_empty_store_holds_nothing(store: Store) -> None:
    """And is sound."""
    found = contents(store)
    assert (found.answers, found.models, found.runs, found.paid_usd, found.saved_usd) == (0, (), 0, 0.0, 0.0)
    assert list(export_rows(store)) == []
    assert verify(store).faults == 0
    assert prune(store, Which(before=AT)).answers == 0


# -- thinned out


@pytest.mark.parametrize(
    ("which", "left"),
    [
        (Which(before=AT + 3 * DAY), [3, 4, 5]),
        (Which(model="sim/large"), [0, 3, 4, 5]),
        (Which(model="sim/small", before=AT + 4 * DAY), [1, 2, 4, 5]),
        (Which(before=AT), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_answers_go_by_age_and_model(filled: Store, which: Which, left: list[int]) -> None:
    """What is told before is what goes, and no more; the ledger stays as it is."""
    before = contents(filled)
    told = prune(filled, which, dry_run=True)
    assert contents(filled).models == before.models
    gone = prune(filled, which)
    assert keys(filled) == left
    assert replace(told, shrunk=True) == replace(gone, shrunk=True)
    assert gone.answers == 6 - len(left)
    after = contents(filled)
    assert (after.paid_usd, after.paid_calls) == (before.paid_usd, before.paid_calls)
    assert after.failures == before.failures
    assert filled.spent("run-0").calls == 3


def test_runs_that_paid_are_counted(filled: Store) -> None:
    """Their reports cannot be made anew."""
    assert prune(filled, Which(before=AT + DAY), dry_run=True).runs == 1
    assert prune(filled, Which(before=AT + 2 * DAY), dry_run=True).runs == 2


def test_nobody_removes_everything_by_mistake(filled: Store) -> None:
    """Neither without a word on what goes, nor by a misspelt name."""
    with pytest.raises(UsageError, match="nothing says which answers go"):
        prune(filled, Which())
    with pytest.raises(UsageError, match="no answer of 'sim/smal'; it has answers of sim/large, sim/small"):
        prune(filled, Which(model="sim/smal"))
    assert len(keys(filled)) == 6


def test_many_answers_go_in_batches(store: Store, paid: Callable[..., Any]) -> None:
    """Every one of them, also where a batch ends in the middle."""
    count = 2 * BATCH + 7
    write(store, *(paid(_key(number), at=AT + number * timedelta(seconds=1)) for number in range(count)))
    cut = AT + (BATCH + 3) * timedelta(seconds=1)
    assert len(keys(store)) == count
    assert prune(store, Which(before=cut)).answers == BATCH + 3
    assert keys(store) == list(range(BATCH + 3, count))
    assert verify(store).answers == BATCH + 4


def test_the_file_gives_its_room_back(url: str, paid: Callable[..., Any]) -> None:
    """Or says that it could not, while somebody reads it; then it is done the next time."""
    file = Path(url.removeprefix("sqlite:///"))
    with closing(open_store(url, {})) as opened:
        write(opened, *(paid(_key(n), a_reply(text="x" * 5000), at=AT) for n in range(400)))
        write(opened, paid(_key(400), at=AT + DAY))
        full = contents(opened).size_bytes
        with closing(sqlite3.connect(file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM answers").fetchall()
            assert _prune_without_waiting(url) is False
        assert prune(opened, Which(before=AT + 2 * DAY)).shrunk
        assert contents(opened).size_bytes < full / 5


def _prune_without_waiting(url: str) -> bool:
    """Prune a day's answers with a database that does not wait for others; gives whether the file shrank."""
    from sqlalchemy import create_engine

    database = create_engine(url, connect_args={"timeout": 0})
    try:
        return prune(Store(database), Which(before=AT + DAY)).shrunk
    finally:
        database.dispose()


# -- handed out


def test_an_exported_answer_is_all_that_is_known(filled: Store) -> None:
    """Every column, vectors as lists, moments as text; what is unknown is null."""
    rows = list(export_rows(filled))
    assert rows[0] == {
        "key": _key(0),
        "model": "sim/small",
        "text": "billing",
        "finish_reason": "stop",
        "served_by": "small",
        "input_tokens": 100,
        "cached_input_tokens": 0,
        "output_tokens": 10,
        "reasoning_tokens": 0,
        "cache_write_tokens": None,
        "price_usd": 0.25,
        "queue_s": 0.125,
        "total_s": 0.5,
        "first_token_s": None,
        "vectors": None,
        "at": "2026-01-01T12:00:00+00:00",
    }
    assert (rows[2]["text"], rows[2]["vectors"]) == (None, [[1.0, 2.0]] * 3)
    assert rows[1]["price_usd"] is None


def test_one_model_is_exported_alone(filled: Store) -> None:
    """An unknown one is refused, with those that are there."""
    assert [row["model"] for row in export_rows(filled, "sim/large")] == ["sim/large"] * 2
    with pytest.raises(UsageError, match="it has answers of sim/large, sim/small"):
        list(export_rows(filled, "nobody"))


def test_an_export_holds_no_lock(filled: Store, paid: Callable[..., Any]) -> None:
    """A run may write while an export is going on."""
    rows = export_rows(filled)
    next(rows)
    write(filled, paid(_key(9)))
    assert len(list(rows)) >= 5


# -- checked


def test_a_sound_store_is_sound(filled: Store) -> None:
    """All answers and runs were looked at."""
    found = verify(filled)
    assert (found.answers, found.runs, found.faults, found.listed) == (6, 2, 0, ())


@pytest.fixture
def damage(filled: Store) -> Callable[[str], None]:
    """Changes a row behind the store's back."""

    def act(statement: str) -> None:
        with filled.database.begin() as connection:
            connection.exec_driver_sql(statement)

    return act


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (f"UPDATE answers SET price_usd = -1 WHERE key = '{_key(3)}'", "its price_usd is -1"),
        (f"UPDATE answers SET total_s = -0.5 WHERE key = '{_key(3)}'", "its total_s is -0.5"),
        (f"UPDATE answers SET output_tokens = -2 WHERE key = '{_key(3)}'", "its output_tokens is -2"),
        (f"UPDATE answers SET at = 1e300 WHERE key = '{_key(3)}'", "it cannot be decoded"),
        (f"UPDATE answers SET key = 'zz' WHERE key = '{_key(3)}'", "its key is not a SHA-256"),
        ("UPDATE runs SET record = '{\"run\": 3}' WHERE run = 'run-0'", "it cannot be decoded"),
        ("UPDATE runs SET overrides = '[' WHERE run = 'run-1'", "it cannot be decoded"),
    ],
)
def test_what_cannot_be_read_is_found(
    filled: Store, damage: Callable[[str], None], statement: str, fault: str
) -> None:
    """Each fault once, with the row it is in."""
    damage(statement)
    found = verify(filled)
    assert found.faults == 1
    assert fault in found.listed[0]
    assert found.listed[0].startswith(("answer ", "run "))


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (f"UPDATE answers SET vectors = x'0300000001' WHERE key = '{_key(2)}'", "it cannot be decoded"),
        (
            "UPDATE answers SET vectors = CAST(x'05000000' || substr(vectors, 5) AS BLOB)",
            "its vectors are cut off",
        ),
        (f"UPDATE answers SET text = CAST(x'61ff' AS TEXT) WHERE key = '{_key(3)}'", "it cannot be decoded"),
        (f"UPDATE answers SET queue_s = 'soon' WHERE key = '{_key(3)}'", "its queue_s is 'soon'"),
    ],
)
def test_values_of_a_wrong_type_are_found_in_sqlite(
    filled: Store, damage: Callable[[str], None], statement: str, fault: str
) -> None:
    """Its columns take anything."""
    damage(statement)
    found = verify(filled)
    assert (found.faults, fault in found.listed[0]) == (1, True)


@pytest.mark.parametrize(
    "change", ["text = text || '.'", "finish_reason = 'length'", "price_usd = price_usd / 2", "at = at + 1"]
)
def test_an_answer_that_was_changed_is_found_by_its_checksum(
    filled: Store, damage: Callable[[str], None], change: str
) -> None:
    """It can be read, and it is not what was stored."""
    damage(f"UPDATE answers SET {change} WHERE key = '{_key(3)}'")
    found = verify(filled)
    assert found.listed == (f"answer {_key(3)}: it is not what was stored: its checksum differs",)


def test_damaged_answers_are_removed_on_demand(filled: Store, damage: Callable[[str], None]) -> None:
    """They are asked again when needed; sound ones and the ledger stay."""
    paid_before = contents(filled).paid_usd
    damage(f"UPDATE answers SET text = 'other' WHERE key IN ('{_key(3)}', '{_key(4)}')")
    assert (verify(filled, remove=True).removed, verify(filled).faults) == (2, 0)
    after = contents(filled)
    assert (after.answers, after.paid_usd) == (4, paid_before)


def test_many_faults_are_counted_and_the_first_are_listed(store: Store, paid: Callable[..., Any]) -> None:
    """A systematic mistake is in every row."""
    write(store, *(paid(_key(number)) for number in range(LISTED_FAULTS + 5)))
    with store.database.begin() as connection:
        connection.exec_driver_sql("UPDATE answers SET price_usd = -1")
    found = verify(store)
    assert (found.faults, len(found.listed)) == (LISTED_FAULTS + 5, LISTED_FAULTS)


def test_pages_that_disagree_are_found(url: str, paid: Callable[..., Any]) -> None:
    """An index that lost a row: SQLite's own check tells, though every answer can be read."""
    with closing(open_store(url, {})) as opened:
        write(opened, *(paid(_key(number)) for number in range(3)))
        with opened.database.begin() as connection:
            connection.exec_driver_sql("PRAGMA writable_schema = ON")
            connection.exec_driver_sql(
                "UPDATE sqlite_schema SET sql = 'CREATE INDEX ix_payments_run ON payments (key)' "
                "WHERE name = 'ix_payments_run'"
            )
    with closing(open_store(url, {})) as opened:
        found = verify(opened)
    assert found.answers == 3
    assert found.faults > 0
    assert found.listed[0].startswith("database: ")
