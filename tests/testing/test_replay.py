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
    assert lines[0] == "made up: 12 settings x 120 samples, race, 2 runs"
    assert [line.split()[0] for line in lines[1:]] == ["budget", "2%", "5%", "10%", "20%"]
    assert all("unknown" in line for line in lines[2:])


def test_it_races_for_confidence(matrix, stored, capsys) -> None:
    """One result for the whole grid by default, with what was stated and how often it was so."""
    arguments = (stored(matrix()), "--mode", "confidence", "--alpha", 0.1, "--epsilon", 0.02, "--runs", 6)
    code, out, _ = ended((*arguments, "--jobs", 1, "--json"), capsys)
    told = json.loads(out)
    (result,) = told["results"]
    assert (code, told["mode"], told["alpha"], told["epsilon"]) == (0, "confidence", 0.1, 0.02)
    assert result["fraction"] == 1.0
    assert result["mean_fraction"] <= result["max_fraction"] <= 1
    code, out, _ = ended((*arguments, "--jobs", 1), capsys)
    assert out.startswith("made up: 12 settings x 120 samples, race at 90%, within 2 pt, 6 runs\n")
    assert len(out.splitlines()) == 3


def test_it_searches_parametric_worlds(capsys) -> None:
    """Without a file: budgets in calls, runs in each of the worlds."""
    arguments = ("--parametric", "--strategy", "halving", "--calls", "50,400", "--worlds", 3, "--runs", 2)
    code, out, _ = ended((*arguments, "--jobs", 1, "--json"), capsys)
    told = json.loads(out)
    assert (code, told["worlds"], told["runs"], told["strategy"]) == (0, 3, 6, "halving")
    assert [result["budget"] for result in told["results"]] == [50, 400]
    code, out, _ = ended((*arguments, "--jobs", 1), capsys)
    assert out.splitlines()[0] == "parametric: halving, 6 runs in 3 worlds"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "or --parametric"),
        (("--parametric", "--strategy", "magic"), "magic"),
        (("--parametric", "--cost"), "--parametric takes --calls"),
        (("--parametric", "--strategy", "grid", "--calls", "1.5"), "whole numbers"),
        (("--parametric", "--strategy", "grid", "--calls", "0"), "whole numbers from 1"),
    ],
)
def test_a_wrong_question_is_one_message(capsys, arguments, said) -> None:
    """Options that do not fit together are told so, with code 2."""
    code, out, err = ended(arguments, capsys)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fractions", "0.1,x"), "no list of numbers"),
        (("--fractions", "3"), "expected shares above 0"),
        (("--strategy", "magic"), "magic"),
        (("--cost",), "has no cost"),
        (("--runs", "0"), "runs"),
        (("--parametric",), "not both"),
        (("--calls", "100"), "--fractions"),
        (("--mode", "confidence", "--strategy", "grid"), "states no confidence"),
        (("--alpha", "1"), "alpha"),
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
