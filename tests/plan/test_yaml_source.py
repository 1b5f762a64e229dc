"""YAML as plain values that remember their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan.yaml_source import from_mapping, read_yaml


def read(tmp_path, text):
    """The text, written and read."""
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def test_scalars_follow_yaml_1_2(tmp_path):
    """`on` stays text, 012 is twelve, a date stays as written."""
    text = (
        "a: on\nb: 012\nc: 0x1F\nd: 1_000\ne: 1e3\nf: ~\ng: 2026-01-02\nh: '1'\ni: True\nj: -.inf\nk: 12:30\n"
    )
    assert read(tmp_path, text).value == {
        "a": "on",
        "b": 12,
        "c": 31,
        "d": 1000,
        "e": 1000.0,
        "f": None,
        "g": "2026-01-02",
        "h": "1",
        "i": True,
        "j": float("-inf"),
        "k": "12:30",
    }


def test_numbers_of_yaml_1_1_stay_text(tmp_path):
    """A file that declares YAML 1.1 may write sixty-based numbers; they are not guessed at."""
    assert read(tmp_path, "%YAML 1.1\n---\na: 12:30\n").value == {"a": "12:30"}


def test_lines_are_those_of_keys_and_items(tmp_path):
    """A place that does not exist has the line of the nearest one around it."""
    source = read(tmp_path, "a: 1\nb:\n  c:\n  - x\n  - {d: 1}\ne: |\n  text\n")
    assert [source.line(place) for place in [("a",), ("b", "c", 1, "d"), ("b", "z"), ("z",)]] == [1, 5, 2, 1]
    assert source.text_lines["e",] == 7


def test_aliases_and_merges_are_written_out(tmp_path):
    """The nearer value wins, and of several merged mappings the earlier one."""
    text = "x: &x {k: 1, l: 1}\ny: &y {k: 2, m: 2}\nz: {<<: [*x, *y], l: 3}\nw: {<<: *x}\nv: *x\n"
    value = read(tmp_path, text).value
    assert value["z"] == {"k": 1, "l": 3, "m": 2}
    assert value["w"] == value["v"] == {"k": 1, "l": 1}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: &b [*b]\n", 2, "contains itself"),
        ("a: 1\n? [x]\n: 2\n", 2, "a key must be text"),
        ("a: 1\nb: !secret x\n", 2, "the tag '!secret'"),
        ("a: 1\n<<: 3\n", 2, "merges mappings only"),
        ("a: *nowhere\n", 1, "undefined alias"),
        (b"a: \xff\n", None, "not UTF-8"),
    ],
)
def test_what_cannot_be_a_value_is_a_problem(tmp_path, text, line, words):
    """Faults of structure carry their line."""
    (problem,) = read(tmp_path, text).problems
    assert problem.line == line
    assert words in problem.message


def test_many_aliases_of_aliases_are_refused(tmp_path):
    """A small file cannot stand for a billion values."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert any("too many aliases" in one.message for one in read(tmp_path, "\n".join(levels)).problems)


def test_a_byte_order_mark_is_no_content(tmp_path):
    """Files of some editors begin with one."""
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\n").value == {"a": 1}


def test_a_folder_is_not_a_spec(tmp_path):
    """What the system says is passed on."""
    (problem,) = read_yaml(tmp_path).problems
    assert "cannot be read" in problem.message


def test_a_python_mapping_becomes_plain():
    """Tuples become lists and paths become text; there are no lines."""
    source = from_mapping({"a": (1, {"b": Path("x")})}, "")
    assert source.value == {"a": [1, {"b": "x"}]}
    assert source.line(("a",)) is None
