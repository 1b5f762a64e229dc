"""Answers packed for the page: what is in the blocks, what is left out, and in which order."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace

import pytest

from harness.outputs.samples import FAILED, FULL, NOT_ASKED, UNSCORED, Samples, ranked
from harness.records import Score


def opened(block):
    """What the page's script will read."""
    return json.loads(gzip.decompress(base64.b64decode(block.text)))


def packed(record, rows, **given):
    """The blocks of these rows, after all of them passed by."""
    samples = Samples(record, **given)
    assert list(samples.watching(rows)) == rows
    return samples.packed()


def scores(found, trial):
    """The bytes of one trial, sample by sample."""
    head = opened(found.head)
    place = [one["number"] for one in head["trials"]].index(trial)
    return list(base64.b64decode(head["scores"][place]))


def repeated(make, *values, **fields):
    """Repeats of sample s1; `None`: it failed."""
    return [
        make.row("s1", value or 0.0, repeat=n, **fields)
        if value is not None
        else make.row("s1", repeat=n, text=None, failure="timeout", scores=(), **fields)
        for n, value in enumerate(values)
    ]


def test_without_rows_there_is_nothing(make):
    """A report of figures alone has no sample view."""
    assert packed(make.record(), []) is None


def test_scores_are_bytes_a_trial(make):
    """From 0 to 1, with codes for what is no score."""
    unjudged = (Score(sample_id="s3", repeat=0, scorer="choice", version=1, value=None),)
    rows = [
        make.row("s1", 1.0, trial=2),
        make.row("s2", 0.5, trial=2),
        make.row("s3", trial=2, scores=unjudged),
        make.row("s4", trial=2, text=None, failure="timeout", scores=()),
        make.row("s1", 0.0, trial=3),
    ]
    found = packed(make.record(), rows)
    assert scores(found, 2) == [FULL, FULL // 2, UNSCORED, FAILED]
    assert scores(found, 3) == [0, NOT_ASKED, NOT_ASKED, NOT_ASKED]


@pytest.mark.parametrize(
    ("values", "byte"),
    [
        ((1.0, 0.0), FULL // 2),
        ((1.0, 1.0, 0.0, 0.0), FULL // 2),
        ((1.0, None), FULL),
        ((None, None), FAILED),
        ((None, 1.0, 0.0), FULL // 2),
    ],
)
def test_repeats_are_averaged_over_those_with_a_score(make, values, byte):
    """A repeat that failed leaves the score of the others; alone, it is a failure."""
    assert scores(packed(make.record(), repeated(make, *values)), 2) == [byte]


def test_an_answer_keeps_all_that_was_said_of_it(make):
    """Text, score, label, further scorers, reason, how it ended and how long it took."""
    said = (
        Score(
            sample_id="s1", repeat=0, scorer="choice", version=1, value=0.0, label="bug", reason="no match"
        ),
        Score(sample_id="s1", repeat=0, scorer="tone", version=1, value=0.75),
    )
    row = make.row("s1", scores=said, finish_reason="length", inputs={"text": "Charged twice."})
    found = packed(make.record(), [row])
    head, answers = opened(found.head), opened(found.answers[0])
    assert (head["inputs"], head["targets"], head["splits"]) == (["Charged twice."], ["billing"], ["confirm"])
    assert {name: column[0] for name, column in answers.items()} == {
        "place": 0,
        "repeat": 0,
        "text": "bug",
        "score": 0.0,
        "said": "read as bug, no match; tone 0.75",
        "ended": "length",
        "seconds": 0.4,
    }


def test_an_answer_to_another_prompt_is_marked(make):
    """In the grid by its place, and in words with the prompt that it answers and how near that was."""
    borrowed = make.row("s2", 1.0, near_sample="s1", near_cosine=0.9713)
    found = packed(make.record(), [make.row("s1"), borrowed, make.row("s1", trial=3)])
    head, answers = opened(found.head), opened(found.answers[0])
    near = dict(zip([trial["number"] for trial in head["trials"]], head["near"], strict=True))
    assert near == {2: [1], 3: []}
    assert answers["said"] == [
        "read as bug",
        "near answer: given to s1, cosine 0.9713; this prompt was not asked; read as bug",
    ]


def test_each_trial_and_split_has_a_block_of_its_own(make):
    """Confirm first, and the choice before all others."""
    rows = [make.row("a", trial=n, split="search") for n in (0, 1, 2)]
    rows += [make.row("b", trial=n) for n in (0, 2)]
    names = [block.name for block in packed(make.record(), rows).answers]
    expected = [(2, "confirm"), (0, "confirm"), (2, "search"), (0, "search"), (1, "search")]
    assert names == [f"answers-{number}-{split}" for number, split in expected]


def test_where_there_is_no_room_the_least_wanted_go(make):
    """Texts of the trials that rank last, never those of the choice; scores stay, and the page says so."""
    rows = [
        make.row(f"s{n}", trial=trial, text=f"{n * trial:x}" * 20) for trial in (1, 3, 2) for n in range(50)
    ]
    whole = packed(make.record(), rows)
    room = sum(len(block.text) for block in whole.answers) - 1
    found = packed(make.record(), rows, most_text=room)
    assert [block.name for block in found.answers] == ["answers-2-confirm", "answers-3-confirm"]
    assert len(scores(found, 1)) == 50
    assert found.notes[0].startswith("Texts of 1 trial found no room")
    assert whole.notes == ()


def test_long_texts_are_cut_and_lone_surrogates_replaced(make):
    """Whatever a provider sends, the block can be read."""
    found = packed(make.record(), [make.row("s1", text="x" * 9000), make.row("s2", text="a\ud800")])
    texts = opened(found.answers[0])["text"]
    assert (len(texts[0]), texts[0][-1], texts[1]) == (2000, "…", "a?")


def test_trials_are_offered_by_what_they_are_worth(make):
    """The choice, the default, other finalists, then the rest by quality."""
    record = make.record()
    better = make.trial(9, quality=make.estimate(0.6, 0.5, 0.7))
    order = [trial.number for trial in ranked(replace(record, trials=(*record.trials, better)))]
    assert order == [2, 0, 3, 9, 1]
