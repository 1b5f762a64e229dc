"""The store: it opens or says why not, and its rows come back as they were written."""

from __future__ import annotations

import sqlite3
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect

from harness.errors import StoreError, StoreLostError, UsageError
from harness.findings import Paid, Spend
from harness.store.answers import FailedCall, completion
from harness.store.connections import lock_making
from harness.store.journal import Journal
from harness.store.migrations import STEPS, migrate
from harness.store.schema import VERSION
from harness.store.store import LOOK_UP, RunRow, TrialRow, open_store
from harness.testing.builders import AT, a_call, a_failure, a_run_record, a_settings
from harness.vectors import packed

PASSWORD = "hunter2"


def a_run(**changes) -> RunRow:
    """A run that has begun."""
    row = RunRow(
        run="run-1",
        experiment="ticket-triage",
        state="running",
        spec_file="experiments/triage.yaml",
        spec_text="experiment: ticket-triage\n",
        overrides={"n_trials": 3, "limit": None},
        prompts={"plain": "{{ text }}"},
        plan="b" * 64,
        started_at=AT,
        ended_at=None,
        record=None,
    )
    return replace(row, **changes)


def a_trial_row(number=0, **changes) -> TrialRow:
    """A trial that has begun."""
    row = TrialRow(
        run="run-1",
        number=number,
        split="search",
        settings=a_settings(),
        state="running",
        samples=0,
        told=None,
        reason="",
        seen="",
    )
    return replace(row, **changes)


def versions_of(store) -> list[str]:
    """The version that it says it has, as often as it says so."""
    with store.database.connect() as connection:
        return [
            row.value for row in connection.exec_driver_sql("SELECT value FROM about WHERE name = 'version'")
        ]


def write(store, *answers) -> None:
    """Make these answers durable."""
    journal = Journal(store.database, lambda *_: None)
    for answer in answers:
        journal.put(answer, answer.payment.key)
    journal.close()


def file_of(url: str) -> Path:
    """The file behind a URL."""
    return Path(url.removeprefix("sqlite:///"))


# -- opening


def test_a_new_store_is_made_with_its_folder(url):
    """Nobody has to prepare anything."""
    open_store(url, {}).close()
    assert file_of(url).is_file()


def test_a_store_is_found_again(url, paid):
    """What one process wrote the next one reads."""
    first = open_store(url, {})
    write(first, paid("k"))
    first.close()
    again = open_store(url, {})
    assert set(again.answers(["k"])) == {"k"}
    again.close()


def test_the_environment_names_the_store(url):
    """HARNESS_STORE is used where no URL is given, and a URL wins over it."""
    open_store(None, {"HARNESS_STORE": url}).close()
    assert file_of(url).is_file()
    other = url.replace("harness.db", "other.db")
    open_store(other, {"HARNESS_STORE": "sqlite:////no/such/place"}).close()
    assert file_of(other).is_file()


def test_many_may_make_the_same_store_at_once(each_url):
    """Runs that start together on nothing all get the one store."""
    together, faults = threading.Barrier(8), []

    def make():
        together.wait()
        try:
            open_store(each_url, {}).close()
        except Exception as error:  # noqa: BLE001 - the test reports whatever it was
            faults.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with closing(open_store(each_url, {})) as store:
        assert versions_of(store) == [str(VERSION)]


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """The message names the file and what to do; the file stays as it is."""
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes. " * 100)
    with pytest.raises(
        StoreError, match=r"notes\.txt cannot be opened: file is not a database.*HARNESS_STORE"
    ):
        open_store(f"sqlite:///{path}", {})
    assert path.read_text() == "These are my notes. " * 100


def test_the_database_of_another_program_is_left_alone(tmp_path):
    """A wrong URL must not add tables to somebody's data."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table experiments (id integer)")
        other.commit()
    with pytest.raises(StoreError, match=r"another program.*experiments"):
        open_store(f"sqlite:///{path}", {})
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("select name from sqlite_master").fetchall() == [("experiments",)]


@pytest.mark.parametrize("version", [str(VERSION + 1), "99", "one"])
def test_a_store_of_another_version_is_refused(url, version):
    """An old program must not write into a form that it does not know."""
    open_store(url, {}).close()
    with closing(sqlite3.connect(file_of(url))) as other:
        other.execute("update about set value = ?", [version])
        other.commit()
    with pytest.raises(StoreError, match=f"has version {version}.*update harness"):
        open_store(url, {})


def test_a_store_of_the_first_version_goes_on(each_url, paid):
    """Its answers stay, and those to come have a checksum; a program of that version could still write."""
    with closing(open_store(each_url, {})) as store:
        write(store, paid("old"))
        with store.database.begin() as connection:
            for column in ("checksum", "cache_write_tokens"):
                connection.exec_driver_sql(f"ALTER TABLE answers DROP COLUMN {column}")
            connection.exec_driver_sql("UPDATE about SET value = '1' WHERE name = 'version'")
    with closing(open_store(each_url, {})) as store:
        write(store, paid("new"))
        rows = store.answers(["old", "new"])
        assert {key: row["checksum"] is None for key, row in rows.items()} == {"old": True, "new": False}
        assert rows["old"]["text"] == rows["new"]["text"]
        assert versions_of(store) == [str(VERSION)]


def test_a_store_of_the_second_version_keeps_its_vectors(each_url, paid):
    """Numbers of eight bytes become numbers of four, as they came; what has no vectors is left alone."""
    wide = (2).to_bytes(4, "little") + struct.pack("<4d", 0.1, -2.0, 3.0, 1 / 3)
    with closing(open_store(each_url, {})) as store:
        write(store, paid("texts"), paid("vectors"))
        mark = "%s" if each_url.startswith("postgresql") else "?"
        with store.database.begin() as connection:
            connection.exec_driver_sql(f"UPDATE answers SET vectors = {mark} WHERE key = 'vectors'", (wide,))
            connection.exec_driver_sql("UPDATE about SET value = '2' WHERE name = 'version'")
    with closing(open_store(each_url, {})) as store:
        rows = store.answers(["texts", "vectors"])
        found = completion(rows["vectors"], a_call())
        assert found.reply.vectors == (packed([0.1, -2.0]), packed([3.0, 1 / 3]))
        assert rows["texts"]["vectors"] is None
        assert rows["texts"]["checksum"] is not None
        assert versions_of(store) == [str(VERSION)]


def test_a_migration_that_fails_changes_nothing(each_url):
    """All of it is one transaction: the store stays of the version that it had."""

    def half(connection):
        connection.exec_driver_sql("ALTER TABLE answers ADD COLUMN half_way BIGINT")
        raise RuntimeError("power cut")

    def open_and_fail(store):
        with store.database.begin() as connection:
            lock_making(connection)
            migrate(connection, 1, 2, {1: half})

    with closing(open_store(each_url, {})) as store:
        with pytest.raises(RuntimeError, match="power cut"):
            open_and_fail(store)
        assert "half_way" not in [column["name"] for column in inspect(store.database).get_columns("answers")]


def test_every_older_version_has_a_step():
    """Whoever raises the version writes the step."""
    assert sorted(STEPS) == list(range(1, VERSION))


def test_an_answer_that_changed_on_the_disk_is_not_used(each_url, paid):
    """SQLite has no checksum of its own: what it gives back is compared with ours."""
    with closing(open_store(each_url, {})) as store:
        write(store, paid("k"))
        with store.database.begin() as connection:
            connection.exec_driver_sql("UPDATE answers SET text = 'another' WHERE key = 'k'")
        with pytest.raises(StoreLostError, match=r"another answer of sim/small.*key k.*cache verify"):
            store.answers(["k"])


@pytest.mark.parametrize("place", ["header", "middle", "short"])
def test_a_damaged_store_is_refused(url, paid, place):
    """Flipped or missing bytes are found on opening, not in the middle of a run."""
    store = open_store(url, {})
    write(store, *(paid(f"k{number}") for number in range(300)))
    store.close()
    path = file_of(url)
    content = bytearray(path.read_bytes())
    if place == "short":
        path.write_bytes(content[: len(content) // 2])
    else:
        start = 0 if place == "header" else 4096
        content[start : start + 4096] = bytes(byte ^ 0xFF for byte in content[start : start + 4096])
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"harness\.db (cannot be opened|is damaged)"):
        open_store(url, {})


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    """The message says that a folder is expected which can be written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="folder that can be written"):
        open_store(f"sqlite:///{tmp_path}/file/harness.db", {})


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(url):
    """Each thread would see a database of its own, and answers would be paid and lost."""
    with pytest.raises(StoreError, match="kept in memory"):
        open_store(url, {})


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+nodriver://user:{PASSWORD}@host/db",
        f"postgresql+nodriver://user@host/db?password={PASSWORD}",
        f"postgresql://user:{PASSWORD}@host:{PASSWORD}/db",
        f"postgresql:/user:{PASSWORD}@host/db",
        f"user:{PASSWORD}@host",
    ],
)
def test_a_password_is_never_shown(url):
    """Not in the message, and not in what caused it."""
    with pytest.raises(StoreError) as caught:
        open_store(url, {})
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__!r}"


# -- answers and the ledger


def test_looking_up_takes_any_number_of_keys(store, paid):
    """More keys than fit one query, unknown ones among them."""
    known = [f"k{number}" for number in range(0, 3 * LOOK_UP, 2)]
    write(store, *(paid(key) for key in known))
    found = store.answers([f"k{number}" for number in range(3 * LOOK_UP)])
    assert sorted(found) == sorted(known)
    assert store.answers([]) == {}


def test_spent_adds_up_over_attempts(store, paid):
    """A resumed run goes on with the bill of its earlier processes, and with no other run's."""
    write(store, paid("a", usd=0.25), paid("b", usd=0.5, input_tokens=7))
    write(store, paid("a", usd=0.25), paid("c", usd=8.0, run="run-2"))
    paid_for_answers = Paid(usd=1.0, calls=3, input_tokens=207, output_tokens=30)
    assert store.spent("run-1") == Spend(
        usd=1.0, calls=3, input_tokens=207, output_tokens=30, by_purpose={"answer": paid_for_answers}
    )
    assert store.spent("nobody") == Spend()


def test_the_newest_failure_of_a_call_is_found(store):
    """A call may fail in several attempts of a run; other runs' failures are theirs."""
    journal = Journal(store.database, lambda *_: None)
    for run, kind in (("run-1", "timeout"), ("run-1", "overloaded"), ("run-2", "quota")):
        journal.put_failure(FailedCall.of(a_failure(kind=kind), run=run, key="k", at=AT))
    journal.close()
    assert store.failures("run-1", ["k", "other"])["k"]["kind"] == "overloaded"
    assert set(store.failures("run-1", ["k", "other"])) == {"k"}


def test_losing_the_database_is_one_clear_error(store):
    """A store that worked and fails now raises StoreLostError from every reading and writing."""
    with store.database.begin() as connection:
        for table in ("answers", "payments", "runs", "trials"):
            connection.exec_driver_sql(f"drop table {table}")
    for act in (
        lambda: store.answers(["k"]),
        lambda: store.spent("run-1"),
        lambda: store.begin_run(a_run()),
        store.runs,
        lambda: store.put_trials([a_trial_row()]),
    ):
        with pytest.raises(StoreLostError, match=r"no such table|does not exist"):
            act()


# -- runs and trials


def test_a_run_comes_back_as_it_began(store):
    """Overrides and moments included."""
    row = a_run(started_at=AT + timedelta(microseconds=250))
    store.begin_run(row)
    assert store.run("run-1") == row


def test_a_run_without_a_file_keeps_its_text(store):
    """A spec that was passed as a mapping has no file."""
    store.begin_run(a_run(spec_file=None))
    assert store.run("run-1").spec_file is None


def test_a_run_ends_with_what_it_found(store):
    """State, end and record are those of the record."""
    store.begin_run(a_run())
    record = a_run_record()
    store.end_run(record)
    row = store.run("run-1")
    assert (row.state, row.ended_at, row.record) == ("complete", record.ended_at, record)


def test_resuming_opens_a_run_again(store):
    """The run is running, its beginning and its question stay."""
    store.begin_run(a_run())
    store.end_run(a_run_record(state="stopped"))
    store.begin_run(a_run(started_at=AT + timedelta(days=1), spec_text="another"))
    row = store.run("run-1")
    assert (row.state, row.ended_at) == ("running", None)
    assert (row.started_at, row.spec_text) == (AT, "experiment: ticket-triage\n")
    assert len(store.runs()) == 1


def test_runs_are_listed_newest_first(store):
    """And "latest" is the one begun last."""
    for day in (2, 3, 1):
        store.begin_run(a_run(run=f"run-{day}", started_at=AT + timedelta(days=day)))
    assert [row.run for row in store.runs()] == ["run-3", "run-2", "run-1"]
    assert store.run("latest").run == "run-3"


def test_an_unknown_run_names_those_there_are(store):
    """The message helps with the next try, also in an empty store."""
    with pytest.raises(UsageError, match=r"no run 'latest'.*none yet.*harness tune"):
        store.run("latest")
    store.begin_run(a_run())
    with pytest.raises(UsageError, match=r"no run 'run-9'.*run-1"):
        store.run("run-9")


def test_trials_come_back_by_number(store):
    """Settings, told value and reason included; each run has its own."""
    rows = [a_trial_row(2, told=0.1 + 0.2, state="complete"), a_trial_row(0), a_trial_row(1, reason="lost")]
    store.put_trials([*rows, a_trial_row(0, run="run-2")])
    assert store.trials("run-1") == sorted(rows, key=lambda row: row.number)


def test_a_trial_is_replaced_under_its_number(store):
    """The driver writes all trials again after each block."""
    store.put_trials([a_trial_row(0), a_trial_row(1)])
    store.put_trials([a_trial_row(1, state="complete", told=0.5, samples=40)])
    store.put_trials([])
    assert [(row.number, row.state) for row in store.trials("run-1")] == [(0, "running"), (1, "complete")]


def test_many_may_open_a_new_store_at_once(tmp_path):
    """SQLite refuses one of two that switch a new file to its write-ahead log; nobody hears of it."""
    at_once, stores = 4, 60
    line = threading.Barrier(at_once, timeout=60)

    def open_each(_):
        for number in range(stores):
            line.wait()
            open_store(f"sqlite:///{tmp_path}/{number}.db", {}).close()
        return stores

    with ThreadPoolExecutor(at_once) as pool:
        assert list(pool.map(open_each, range(at_once))) == [stores] * at_once
