"""Baseline files: what they hold comes back, they diff well, and their schema tells right from wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from harness.errors import UsageError
from harness.outputs import baseline
from harness.testing.builders import a_settings
from harness.testing.sheets import a_sheet, a_side

SCORES = {"accuracy": (1.0, 0.0, None, 0.25), "brevity": (0.5, 1.0, 1.0, None)}


def a_baseline(**fields):
    """A side with two columns, stop texts and a parameter of its own."""
    settings = a_settings(stop=("\n\n", "END"), extra={"min_p": 0.05})
    return a_side(a_sheet(scores=SCORES, settings=settings, samples=("q10", "q2", "ü|3", "q1"), **fields))


def written(tmp_path, side):
    """The side as it comes back from its file."""
    return baseline.read(baseline.write(side, tmp_path / "folder" / "base.json"))


def by_sample(side):
    """Every score by sample and column."""
    sheet = side.sheet
    return {
        (name, column): values[place]
        for column, values in sheet.scores.items()
        for place, name in enumerate(sheet.samples)
    }


@pytest.mark.parametrize("groups", [(), ("g1", None, "g1", "g2")])
def test_what_is_written_comes_back(tmp_path, groups):
    """Scores, settings, figures, and what the scores rest on; prices and seconds of samples do not."""
    side = a_baseline(groups=groups)
    again = written(tmp_path, side)
    assert by_sample(again) == by_sample(side)
    assert list(again.sheet.scores) == ["accuracy", "brevity"]
    assert again.sheet.basis == side.sheet.basis
    assert again.settings == side.settings
    assert again.figures == side.figures
    known = dict(zip(again.sheet.samples, again.sheet.groups or (None,) * 4, strict=True))
    assert known == dict(zip(side.sheet.samples, groups or (None,) * 4, strict=True))
    assert set(again.sheet.usd) == {None}


def test_weights_of_tasks_come_back(tmp_path):
    """A comparison with the file counts tasks as the run did."""
    weights = {"chat": 0.75, "code": 0.25}
    assert written(tmp_path, a_baseline(weights=weights)).sheet.weights == weights
    assert "weights" not in json.loads(baseline.text(a_baseline()))


def test_one_line_a_sample_in_order_of_ids(tmp_path):
    """So that a diff shows the samples that moved, and nothing else."""
    text = baseline.text(a_baseline())
    lines = text.splitlines()
    assert '    "q1": [0.25, null],' in lines
    assert '    "q10": [1, 0.5],' in lines
    moved = replace(a_baseline().sheet, scores={**SCORES, "accuracy": (1.0, 1.0, None, 0.25)})
    other = baseline.text(replace(a_baseline(), sheet=moved)).splitlines()
    assert [(one, two) for one, two in zip(lines, other, strict=True) if one != two] == [
        ('    "q2": [0, 1],', '    "q2": [1, 1],')
    ]


def test_a_thousand_samples_are_a_small_file():
    """Some 20 bytes each."""
    side = a_side(a_sheet(scores={"accuracy": (1.0, 0.0) * 500}))
    assert len(baseline.text(side).encode()) < 25_000


def test_the_published_schema_is_that_of_the_code():
    """`schema_text()` writes it."""
    assert baseline.published_schema() == baseline.schema_text()


def test_a_baseline_keeps_the_published_schema():
    """And one without scores, or with a score that is a text, does not."""
    schema = json.loads(baseline.published_schema())
    right = json.loads(baseline.text(a_baseline(groups=("g1", None, "g1", "g2"))))
    jsonschema.validate(right, schema)
    wrong = (
        {name: value for name, value in right.items() if name != "scores"},
        right | {"scores": {"q1": ["1"]}},
    )
    for one in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(one, schema)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "harness settings"}, "base.json: not a Baseline written by harness: format"),
        ({"format_version": 2}, "format_version"),
        ({"scores": {"q1": [1]}}, "sample 'q1' has not one for each"),
        ({"scores": {}}, "it holds no scores"),
        ({"scores": {"q1": ["good", 1]}}, "scores.q1"),
        (
            {"scores": {"q1": [5, 1]}},
            "base.json: sample 'q1' has a score of 5 in accuracy; expected a number from",
        ),
        ({"scores": {"q1": [1, -0.5]}}, "sample 'q1' has a score of -0.5 in brevity"),
        ({"scores": {"q1": [1, math.nan]}}, "sample 'q1' has a score of nan in brevity"),
        ({"weights": {"chat": -1}}, "task 'chat' has a weight of -1"),
        ({"split": "test"}, "split"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, change, message):
    """With its name, the first fault, and what to do."""
    path = tmp_path / "base.json"
    path.write_text(json.dumps(json.loads(baseline.text(a_baseline())) | change))
    with pytest.raises(UsageError, match="again") as refused:
        baseline.read(path)
    assert message in str(refused.value)


def test_a_file_that_is_not_there_is_told_how_to_make():
    """With the command."""
    with pytest.raises(UsageError, match="--update-baseline"):
        baseline.read(baseline.Path("nowhere.json"))


def test_baselines_are_told_from_other_json(tmp_path):
    """A recommendation, a list, a text and nothing are none."""
    path = baseline.write(a_baseline(), tmp_path / "base.json")
    assert baseline.is_baseline(path)
    for text in ('{"format": "harness settings"}', "[]", "nonsense"):
        path.write_text(text)
        assert not baseline.is_baseline(path)
    assert not baseline.is_baseline(tmp_path / "nowhere.json")
