"""CSV, Parquet and hub rows become JSON Lines once, without a changed value."""

from __future__ import annotations

import json
import socket
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import DataError, UsageError
from harness.fingerprint import file_fingerprint
from harness.plan.data_source import find_rows
from harness.plan.hub import HubName, hub_rows, parquet_rows, parse_hub_name
from harness.plan.rows import Selection, open_rows
from harness.plan.tables import csv_rows, write_rows


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """The hub is never reached: the library is told so, and sockets refuse."""

    def refuse(*args):
        raise AssertionError(f"a test opened a connection: {args}")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def library(tmp_path):
    """The real library, keeping its copies inside the test's folder."""
    import datasets

    cache = datasets.config.HF_DATASETS_CACHE
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_DATASETS_CACHE = tmp_path / "hf"
    datasets.config.HF_HUB_OFFLINE = True
    yield datasets
    datasets.config.HF_DATASETS_CACHE = cache
    datasets.config.HF_HUB_OFFLINE = offline


def opened(source):
    """The rows of a source, half of them to confirm."""
    return open_rows(source, Selection(confirm=0.5))


def test_csv_cells_stay_the_text_they_are(tmp_path):
    """NA, None, an empty cell, a number and a line break survive as they stand."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfid,text,target\r\na,NA,None\r\n\r\nb,"x\ny, z",\r\nc,1.50,null\r\n')
    assert list(csv_rows(path, "a.csv")) == [
        (2, {"id": "a", "text": "NA", "target": "None"}),
        (4, {"id": "b", "text": "x\ny, z", "target": ""}),
        (6, {"id": "c", "text": "1.50", "target": "null"}),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("id,id\n1,2\n", 1, "used twice"),
        ("id,\n1,2\n", 1, "empty or used twice"),
        ("id,target\na,b\n1,2,3\n", 3, "has 3 cells"),
        ('id,target\na,"b\n', 2, "is not CSV"),
    ],
)
def test_faulty_csv_is_told_with_its_line(tmp_path, text, line, words):
    """Structure that would shift cells is refused."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        list(csv_rows(path, "a.csv"))
    assert caught.value.problems[0].line == line


def test_csv_that_is_not_utf_8_is_told(tmp_path):
    """Nothing is guessed about other encodings."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,target\na,\xff\n")
    with pytest.raises(DataError, match="not UTF-8"):
        list(csv_rows(path, "a.csv"))


def test_csv_cells_may_be_longer_than_the_module_allows(tmp_path):
    """A document of 200 kB is one cell."""
    path = tmp_path / "a.csv"
    path.write_text(f"id,target\na,{'x' * 200_000}\n")
    ((_, row),) = csv_rows(path, "a.csv")
    assert len(row["target"]) == 200_000


def test_rows_of_csv_are_named_by_their_own_lines(tmp_path):
    """Errors lead to the file that people edit, not to the converted one."""
    path = tmp_path / "a.csv"
    path.write_text('id,text,target\na,"1\n2",x\na,3,y\na,4\n')
    with pytest.raises(DataError) as caught:
        opened(find_rows("a.csv", tmp_path, tmp_path / "cache"))
    assert [(one.file, one.line) for one in caught.value.problems] == [(str(path), 4), (str(path), 5)]
    assert "of line 2" in caught.value.problems[0].message


def test_csv_is_converted_once(tmp_path):
    """The same content is not converted again; other content is."""
    path, cache = tmp_path / "a.csv", tmp_path / "cache"
    path.write_text("id,target\n" + "".join(f"{n},x\n" for n in range(12)))
    first = find_rows("a.csv", tmp_path, cache)
    stamp = first.path.stat().st_mtime_ns
    assert find_rows("a.csv", tmp_path, cache).path.stat().st_mtime_ns == stamp
    assert opened(first).sample("7").target == "x"
    path.write_text("id,target\n1,x\n")
    assert find_rows("a.csv", tmp_path, cache).path != first.path


def test_a_conversion_that_fails_leaves_nothing(tmp_path):
    """Half a file is never taken for a whole one."""

    def rows():
        yield 1, {"id": "a"}
        raise DataError([])

    with pytest.raises(DataError):
        write_rows(rows(), tmp_path, "name")
    assert list(tmp_path.iterdir()) == []


def test_parquet_rows_come_back_as_written(tmp_path, library):
    """Text stays text; dates become ISO text, decimals text, and a missing number null."""
    path = tmp_path / "a.parquet"
    at = datetime(2026, 1, 2, 3, tzinfo=UTC)
    columns = {
        "id": ["a", "b"],
        "text": ["NA", None],
        "target": [1.5, float("nan")],
        "when": [at, at],
        "day": [date(2026, 1, 2)] * 2,
        "price": [Decimal("1.10")] * 2,
        "tags": [["x"], []],
        "more": [{"k": 1}, {"k": 2}],
    }
    pq.write_table(pa.table(columns), path)
    (one, first), (two, second) = parquet_rows(path, "a.parquet")
    assert (one, two) == (1, 2)
    assert first == {
        "id": "a",
        "text": "NA",
        "target": 1.5,
        "when": at.isoformat(),
        "day": "2026-01-02",
        "price": "1.10",
        "tags": ["x"],
        "more": {"k": 1},
    }
    assert (second["text"], second["target"]) == (None, None)


def test_parquet_is_a_data_set_like_any_other(tmp_path, library):
    """From the name in a spec to a sample."""
    ids = [f"r{n}" for n in range(12)]
    pq.write_table(pa.table({"id": ids, "text": ids, "target": ["x"] * 12}), tmp_path / "a.parquet")
    found = opened(find_rows("a.parquet", tmp_path, tmp_path / "cache"))
    assert found.sample("r3").inputs == {"text": "r3"}
    assert found.card.sha256 == file_fingerprint(tmp_path / "a.parquet")


def test_bytes_in_parquet_are_refused(tmp_path, library):
    """The message names row and column."""
    pq.write_table(pa.table({"id": ["a"], "image": [b"\x00"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a.parquet:1: holds bytes in column 'image'"):
        list(parquet_rows(tmp_path / "a.parquet", "a.parquet"))


def test_a_file_that_is_no_parquet_is_told(tmp_path, library):
    """The library's own words are passed on."""
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(DataError, match="is it a Parquet file"):
        list(parquet_rows(tmp_path / "a.parquet", "a.parquet"))


def test_a_hub_name_has_a_revision():
    """With and without the prefix of a spec."""
    assert parse_hub_name("hf:owner/name@v1") == HubName(name="owner/name", revision="v1")
    assert parse_hub_name("owner/name").shown == "hf:owner/name"
    assert parse_hub_name("owner/name@v1").shown == "hf:owner/name@v1"


@pytest.fixture
def hub_folder(tmp_path, monkeypatch, jsonl, rows_of, library):
    """A data set in the hub's form, on this disk."""
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    jsonl(tmp_path / "owner/name/train.jsonl", rows_of(20))
    return tmp_path


def test_a_folder_is_read_anew_every_time(hub_folder, jsonl):
    """What it holds may change, as what a branch or a tag of the hub means."""
    cache = hub_folder / "cache"
    first = find_rows("hf:./owner/name", hub_folder, cache)
    assert opened(first).sample("t2").inputs == {"text": "ticket 2"}
    assert first.source == ""
    jsonl(hub_folder / "owner/name/train.jsonl", [{"id": "new", "target": "x"}])
    assert find_rows("hf:./owner/name", hub_folder, cache).sha256 != first.sha256


def test_a_folder_is_named_from_where_it_is_written(hub_folder, monkeypatch):
    """From the spec, or from the definition, wherever the command is given."""
    (hub_folder / "sets").mkdir()
    (hub_folder / "sets/d.yaml").write_text("hub: ../owner/name\n")
    monkeypatch.chdir("/")
    for name in ("hf:./owner/name", "sets/d.yaml"):
        assert len(opened(find_rows(name, hub_folder, hub_folder / "cache"))) == 20
    with pytest.raises(UsageError, match=r"names 'hf:\./owner/no', but there is no folder"):
        find_rows("hf:./owner/no", hub_folder, hub_folder / "cache")


def test_a_folder_does_not_pass_for_the_hubs_data_set(hub_folder):
    """The library would read it without a word."""
    with pytest.raises(UsageError, match=r"hf:owner/name: is also a folder.*write \./owner/name"):
        find_rows("hf:owner/name", hub_folder, hub_folder / "cache")


def test_a_name_that_is_none_is_told_with_its_place(hub_folder):
    """In a definition, with the line of the key."""
    with pytest.raises(UsageError, match="names 'hf:', expected owner/name@revision"):
        find_rows("hf:", hub_folder, hub_folder / "cache")
    (hub_folder / "d.yaml").write_text("source: x\nhub: a b\n")
    with pytest.raises(DataError, match=r"d\.yaml:2: hub: names 'a b', expected owner/name@revision"):
        find_rows("d.yaml", hub_folder, hub_folder / "cache")


def test_only_a_commit_means_the_same_rows_for_ever():
    """A branch or a tag may be moved."""
    names = ["hf:o/n", "hf:o/n@main", "hf:o/n@v1", "hf:o/n@" + "1f" * 20]
    assert [parse_hub_name(name).is_pinned for name in names] == [False, False, False, True]


def test_a_hub_data_set_with_several_splits_needs_one_named(hub_folder, jsonl, rows_of):
    """The message lists them; a definition names one."""
    jsonl(hub_folder / "owner/name/test.jsonl", rows_of(8))
    with pytest.raises(DataError, match="has the splits train, test"):
        list(hub_rows(parse_hub_name("./owner/name")))
    (hub_folder / "d.yaml").write_text("hub: ./owner/name\nsplit: test\nsource: elsewhere\nlicence: MIT\n")
    source = find_rows("d.yaml", hub_folder, hub_folder / "cache")
    assert (source.name, source.source, source.licence) == ("d", "elsewhere", "MIT")
    assert len(opened(source)) == 8


def test_a_hub_data_set_out_of_reach_is_told(hub_folder):
    """Offline, the message says what can be done."""
    with pytest.raises(UsageError, match=r"hf:owner/other: cannot be read: .*without network"):
        find_rows("hf:owner/other", hub_folder, hub_folder / "cache")


def test_a_folder_named_datasets_is_not_the_library(monkeypatch, tmp_path):
    """Without the package, a namespace of the same name can be imported; it is not used."""
    monkeypatch.setitem(sys.modules, "datasets", ModuleType("datasets"))
    with pytest.raises(DataError, match="not installed"):
        list(hub_rows(parse_hub_name("owner/name")))


@pytest.fixture
def defined(tmp_path, jsonl, rows_of):
    """A definition above the spec's folder, with its rows."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "experiments").mkdir()
    jsonl(tmp_path / "datasets/tickets.jsonl", rows_of(12))

    def write(text):
        path = tmp_path / "datasets/tickets.yaml"
        path.write_text(text)
        return path

    return write


def found(tmp_path, name="tickets"):
    """The rows that this name means in a spec beside `datasets`."""
    return find_rows(name, tmp_path / "experiments", tmp_path / "cache")


def test_a_definition_is_found_above_the_spec(tmp_path, defined):
    """Its columns and its origin are taken over."""
    sha256 = file_fingerprint(tmp_path / "datasets/tickets.jsonl")
    defined(
        f'file: tickets.jsonl\nsha256: "{sha256}"\ncolumns: {{id: id, target: text, inputs: [target], '
        "metadata: [id]}\nsource: s\nlicence: MIT\nattribution: a\ndescription: d\n"
    )
    card = opened(found(tmp_path)).card
    assert (card.name, card.source, card.licence, card.attribution) == ("tickets", "s", "MIT", "a")
    assert card.sha256 == sha256
    assert opened(found(tmp_path)).sample("t2").target == "ticket 2"
    assert found(tmp_path, "../datasets/tickets.yaml").sha256 == sha256


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("file: tickets.jsonl\nlicense: MIT\n", 2, "did you mean 'licence'"),
        ("licence: MIT\n", 1, "exactly one"),
        ("licence: MIT\nfile: tickets.txt\n", 2, "ending in"),
        ("licence: MIT\nfile: nothing.jsonl\n", 2, "no file"),
        ("file: tickets.jsonl\nsha256: abc\n", 2, "64 hex digits"),
        (f'file: tickets.jsonl\nsha256: "{"0" * 64}"\n', 2, "not the ones that were pinned"),
        ("file: [\n", 2, "is not YAML"),
    ],
)
def test_a_faulty_definition_is_told_with_its_line(tmp_path, defined, text, line, words):
    """Its faults look like those of a spec."""
    path = defined(text)
    with pytest.raises(DataError, match=words) as caught:
        found(tmp_path)
    assert [(one.file, one.line) for one in caught.value.problems] == [(str(path), line)]


def test_a_pin_that_does_not_fit_names_both_values(tmp_path, defined):
    """Whoever reads it can see which content is meant."""
    defined(f'file: tickets.jsonl\nsha256: "{"0" * 64}"\n')
    with pytest.raises(DataError, match="0" * 64) as caught:
        found(tmp_path)
    assert file_fingerprint(tmp_path / "datasets/tickets.jsonl") in str(caught.value)


def test_an_unknown_name_is_told_with_the_known_ones(tmp_path, defined):
    """A misspelt data set is suggested."""
    defined("file: tickets.jsonl\n")
    with pytest.raises(UsageError, match="did you mean 'tickets'"):
        found(tmp_path, "tickts")
    with pytest.raises(UsageError, match="no file"):
        found(tmp_path, "../datasets/other.yaml")


def test_converted_files_are_plain_json_lines(tmp_path):
    """Each line carries its row and the line it came from."""
    path = write_rows([(7, {"id": "ä"})], tmp_path / "new", "name")
    assert json.loads(path.read_text()) == {"line": 7, "row": {"id": "ä"}}


def test_a_table_with_other_separators_is_told_once(tmp_path):
    """As Excel writes them in half of Europe."""
    path = tmp_path / "a.csv"
    path.write_text("id;text;target\n1;a;b\n2;c;d\n")
    with pytest.raises(
        DataError, match=r"a\.csv:1: has one column, 'id;text;target': .*';', expected commas"
    ):
        list(csv_rows(path, "a.csv"))
