"""The command that replays: figures as JSON or as a table, one message for a fault."""

from __future__ import annotations

import json

import pytest

from harness.testing.replay import main


def ended(arguments, capsys) -> tuple[int, str, str]:
    """Exit code, output and messages of the command."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return end.value.code, told.out, told.err


def test_it_prints_json(matrix, stored, capsys) -> None:
    """One object, with a result for each fraction in the order asked for."""
    arguments = (stored(matrix()), "--strategy", "grid", "--fractions", "0.1,1", "--runs", 5, "--json")
    code, out, err = ended((*arguments, "--jobs", 1, "--seed", 3), capsys)
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["strategy"], told["runs"], told["seed"], told["unit"]) == ("grid", 5, 3, "calls")
    assert [result["fraction"] for result in told["results"]] == [0.1, 1.0]
    last = told["results"][1]
    assert (last["p_within_1pt"], last["mean_regret"], last["mean_calls"]) == (1.0, 0.0, 1440)


def test_it_prints_a_table(matrix, stored, capsys) -> None:
    """A line for each fraction, under a line of names."""
    code, out, _ = ended((stored(matrix(priced=False)), "--runs", 2, "--jobs", 1), capsys)
    lines = out.splitlines()
    assert code == 0
    assert "12 x 120" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == ["budget", "2%", "5%", "10%", "20%"]
    assert all("unknown" in line for line in lines[2:])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fractions", "0.1,x"), "no list of numbers"),
        (("--fractions", "3"), "expected shares above 0"),
        (("--strategy", "magic"), "magic"),
        (("--cost",), "has no cost"),
        (("--runs", "0"), "runs"),
    ],
)
def test_a_fault_is_one_message(matrix, stored, capsys, more, said) -> None:
    """Code 2, and a message that says what was wrong."""
    code, out, err = ended((stored(matrix(priced=False)), *more), capsys)
    assert (code, out) == (2, "")
    assert said in err


def test_a_missing_file_is_one_message(tmp_path, capsys) -> None:
    """The file is named."""
    code, _, err = ended((tmp_path / "none.npz",), capsys)
    assert code == 2
    assert err == f"replay: {tmp_path / 'none.npz'}: no such file; expected a matrix, FILE.npz\n"
