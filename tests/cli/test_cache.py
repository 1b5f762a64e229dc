"""The verbs of `cache`: what they print, where, and how they end."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.calls.budget import Caps
from harness.calls.engine import Engine
from harness.catalogue.models import Model, Prices
from harness.records import Call, Settings
from harness.store.store import open_store
from harness.testing.builders import an_endpoint
from harness.testing.simulator import Simulator
from harness.testing.worlds import SimulatedModel, World


def aged(desk: Any, days: int, where: str = "1 = 1") -> int:
    """Let some answers have been stored so many days ago; gives how many."""
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    with closing(sqlite3.connect(desk.folder / ".harness" / "harness.db")) as database:
        count = database.execute(f"UPDATE answers SET at = ? WHERE {where}", (then,)).rowcount
        database.commit()
    return count


def test_stats_say_what_there_is_and_what_it_cost(desk: Any, finished: str) -> None:
    """Answers by model, size, runs, money paid and saved, failures."""
    done = desk.cli("cache", "stats")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("store     sqlite:///.harness/harness.db, ")
    count = desk.answered()
    assert f"answers   {count} of 1 model" in done.out
    assert f"          mine/tiny: {count} answers, $0.0" in done.out
    assert f" for {count} calls" in done.out
    assert "failures  none" in done.out


def test_stats_as_json_are_json_alone(desk: Any, finished: str) -> None:
    """For programs, with moments as text."""
    found = json.loads(desk.cli("cache", "stats", "--json").out)
    assert found["answers"] == found["paid_calls"] == found["models"][0]["answers"] == desk.answered()
    assert found["runs"] == 1
    assert datetime.fromisoformat(found["models"][0]["oldest"]).tzinfo is not None


def test_prune_removes_what_it_said_it_would(desk: Any, finished: str) -> None:
    """Old answers go, young ones stay, and the money that was paid stays in the ledger."""
    count = aged(desk, 40, "key < '8'")
    total = desk.answered()
    paid = json.loads(desk.cli("cache", "stats", "--json").out)["paid_usd"]
    told = desk.cli("cache", "prune", "--older-than", "30d", "--dry-run")
    assert told.out.startswith(f"would remove {count} answers, $0.0")
    assert "1 run paid for them" in told.out
    assert desk.answered() == total
    done = desk.cli("cache", "prune", "--older-than", "30d")
    assert (done.code, done.out) == (0, told.out.replace("would remove", "removed"))
    assert desk.answered() == total - count
    assert json.loads(desk.cli("cache", "stats", "--json").out)["paid_usd"] == paid
    assert desk.cli("cache", "prune", "--older-than", "30d").out == "removed 0 answers, $0.00 at list price\n"


@pytest.mark.parametrize(("age", "goes"), [("12h", True), ("1d", True), ("1w", False), ("99999w", False)])
def test_ages_are_hours_days_and_weeks(desk: Any, finished: str, age: str, goes: bool) -> None:
    """Of answers three days old."""
    count = aged(desk, 3)
    done = desk.cli("cache", "prune", "--older-than", age, "--dry-run")
    assert done.out.startswith(f"would remove {count if goes else 0} answers")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing says which answers go"),
        (["--older-than", "30"], "--older-than is '30'; expected hours, days or weeks, as in 12h, 30d or 8w"),
        (["--older-than", "-3d"], "--older-than is '-3d'"),
        (["--older-than", "999999d"], "--older-than is '999999d'"),
        (["--model", "mine/tin"], "no answer of 'mine/tin'; it has answers of mine/tiny"),
    ],
)
def test_what_makes_no_sense_removes_nothing(
    desk: Any, finished: str, arguments: list[str], words: str
) -> None:
    """Exit code 2, and every answer is still there."""
    total = desk.answered()
    done = desk.cli("cache", "prune", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert desk.answered() == total


def test_a_run_without_its_answers_keeps_what_it_found(desk: Any, finished: str) -> None:
    """Its export is there; its report and another choice are refused rather than made of holes."""
    assert desk.cli("cache", "prune", "--model", "mine/tiny").code == 0
    assert desk.cli("export", "json", finished, "-o", "out").code == 0
    for again in (["report", finished], ["export", "json", finished, "--policy", "best", "-o", "best"]):
        refused = desk.cli(*again)
        assert refused.code == 2
        assert f"answers of run '{finished}' are no longer in the store" in refused.err


def test_verify_finds_a_sound_store_sound(desk: Any, finished: str) -> None:
    """Exit code 0, and how much was looked at."""
    done = desk.cli("cache", "verify")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"sqlite:///.harness/harness.db: sound ({desk.answered()} answers and 1 run)\n"


def test_verify_counts_what_is_not(desk: Any, finished: str) -> None:
    """Exit code 1, the count, and the first faults by name; as JSON too."""
    total = desk.answered()
    with closing(sqlite3.connect(desk.folder / ".harness" / "harness.db")) as database:
        database.execute("UPDATE answers SET price_usd = -1 WHERE key < '8'")
        count = database.execute("SELECT count(*) FROM answers WHERE price_usd < 0").fetchone()[0]
        database.commit()
    done = desk.cli("cache", "verify")
    assert done.code == 1
    assert done.out.startswith(f"sqlite:///.harness/harness.db: {count} faults ({total} answers and 1 run)\n")
    assert "its price_usd is -1.0, expected a number from 0 on" in done.out
    assert f"and {count - 20} more" in done.out
    as_json = desk.cli("cache", "verify", "--json")
    assert (as_json.code, json.loads(as_json.out)["faults"]) == (1, count)


def test_verify_takes_damaged_answers_out(desk: Any, finished: str) -> None:
    """Once told to; the run pays for these alone when it is made anew, and finds the same."""
    total = desk.answered()
    with closing(sqlite3.connect(desk.folder / ".harness" / "harness.db")) as database:
        database.execute("UPDATE answers SET text = 'other' WHERE key = (SELECT min(key) FROM answers)")
        database.commit()
    done = desk.cli("cache", "verify", "--remove")
    assert (done.code, desk.answered()) == (1, total - 1)
    assert done.out.endswith("removed 1 answer; what was paid for them stays in the ledger\n")
    assert desk.cli("cache", "verify").code == 0


def test_garbage_in_the_file_is_no_store(desk: Any, finished: str) -> None:
    """It is refused on opening, as by every verb."""
    file = desk.folder / ".harness" / "harness.db"
    file.write_bytes(file.read_bytes()[:4096] + b"garbage" * 3000)
    done = desk.cli("cache", "verify")
    assert (done.code, done.out) == (2, "")
    assert "harness: the store" in done.err


def test_answers_are_exported_as_lines(desk: Any, finished: str) -> None:
    """To standard output, or to a file that is there as a whole; each line is JSON."""
    printed = desk.cli("cache", "export")
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert len(rows) == desk.answered()
    assert {row["model"] for row in rows} == {"mine/tiny"}
    assert {row["text"] for row in rows} == {"positive", "negative"}
    written = desk.cli("cache", "export", "-o", "deep/answers.jsonl", "--model", "mine/tiny")
    assert written.out == f"wrote deep/answers.jsonl: {len(rows)} answers\n"
    assert (desk.folder / "deep" / "answers.jsonl").read_text(encoding="utf-8") == printed.out
    refused = desk.cli("cache", "export", "-o", "none.jsonl", "--model", "nobody")
    assert (refused.code, (desk.folder / "none.jsonl").exists()) == (2, False)


def test_an_empty_store_is_no_error(desk: Any) -> None:
    """Nothing to count, to check or to hand out."""
    assert "answers   0 of 0 models" in desk.cli("cache", "stats").out
    assert desk.cli("cache", "verify").code == 0
    assert desk.cli("cache", "export").out == ""


def test_another_store_may_be_named(desk: Any, finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By option or by HARNESS_STORE."""
    other = "sqlite:///other.db"
    assert "answers   0 of" in desk.cli("cache", "stats", "--store", other).out
    monkeypatch.setenv("HARNESS_STORE", other)
    assert "answers   0 of" in desk.cli("cache", "stats").out


def test_stats_tell_the_size_of_vectors(desk: Any) -> None:
    """They take most of the room."""
    url = f"sqlite:///{desk.folder / 'vectors.db'}"
    settings = Settings(model="sim/vec", prompt="plain")
    calls = [
        Call(settings=settings, sample_id=str(n), texts=(f"text {n}",), purpose="embed") for n in range(300)
    ]
    model = Model(
        provider="sim",
        name="vec",
        model_class="EMBEDDING",
        prices=Prices(input=1.0, output=0.0),
        dimensions=64,
    )
    service = Simulator(
        World(
            models={"sim/vec": SimulatedModel(ability=0.0, prices=Prices(input=1.0, output=0.0))}, prompts={}
        )
    )
    with (
        closing(open_store(url)) as store,
        Engine(
            run="run-1",
            providers={"sim": service},
            endpoints={"sim": an_endpoint()},
            models={model.full_name: model},
            store=store,
            caps=Caps(),
        ) as engine,
    ):
        assert len(list(engine.run(calls))) == 300
    told = desk.cli("cache", "stats", "--store", url).out
    assert "sim/vec: 300 answers, vectors of 78 kB in all, $0.0009" in told
