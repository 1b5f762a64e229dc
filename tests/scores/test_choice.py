"""Promises of the choice scorer."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.scores.choice import Choice

TICKETS = Choice({"billing": ("invoice", "payment"), "bug": (), "how-to": ("how to",)})


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("bug", "bug"),
        ("**Bug**.", "bug"),
        ("\uff42ug", "bug"),
        ("An invoice question", "billing"),
        ("How\nTo", "how-to"),
        ("The payment failed: the invoice is wrong", "billing"),
        ("It concerns billing first.\nLabel: bug", "bug"),
        ("billing or bug?\nLabel: billing\nFinal label: **bug**\n", "bug"),
        ("Billing, then bug.\nStep 3: Label: how-to", "how-to"),
        ("Billing?\n\u6807\u7b7e\uff1abug", "bug"),
        ('{"label": "bug"}', "bug"),
        ("\u6807\u7b7e\u662fbug\u3002", "bug"),
        ("billing\n\nReason: the customer does not report a bug", "billing"),
    ],
)
def test_choice_reads_the_label_that_a_reader_would(answer, text, label):
    """Whole answer, then a line that states it, then the one in the text, then the first of several."""
    score = TICKETS.score(answer(text, label))
    assert (score.label, score.value) == (label, 1.0)


@pytest.mark.parametrize("text", ["", "debugging", "bugs", "something else", "Label: other"])
def test_an_answer_without_a_label_is_wrong(answer, text):
    """Only whole words count; none found is value 0 without a label."""
    score = TICKETS.score(answer(text, "bug"))
    assert (score.value, score.label, score.reason) == (0.0, None, "no label found")


@pytest.mark.parametrize(("pick", "label"), [("first", "billing"), ("last", "bug"), ("only", None)])
def test_pick_decides_between_several_labels(answer, pick, label):
    """The rule is the spec's, not the scorer's."""
    score = Choice(("bug", "billing"), pick=pick).score(answer("Not billing but a bug", "bug"))
    assert score.label == label


def test_only_names_the_labels_it_would_not_choose_from(answer):
    """The reason shows each label once; the same label twice is no conflict."""
    scorer = Choice(("bug", "billing"), pick="only")
    assert scorer.score(answer("bug, billing, bug", "bug")).reason == "several labels found: bug, billing"
    assert scorer.score(answer("a bug is a bug", "bug")).value == 1


def test_a_wrong_label_is_shown(answer):
    """The label read is kept for confusion tables, and named in the reason."""
    score = TICKETS.score(answer("bug", "billing"))
    assert (score.value, score.label, score.reason) == (0.0, "bug", "read 'bug', not the target")


def test_the_longer_of_two_names_at_one_place_is_meant(answer):
    """C++ is not C, and bug report is not bug."""
    scorer = Choice(("C", "C++", "bug", "bug report"))
    assert scorer.score(answer("in C++ code", "C++")).value == 1
    assert scorer.score(answer("a bug report", "bug report")).value == 1


def test_labels_of_scripts_without_spaces_are_found_within_text(answer):
    """A Chinese label needs no spaces around it."""
    assert (
        Choice(("\u8d26\u5355", "bug"))
        .score(answer("\u8fd9\u662f\u8d26\u5355\u95ee\u9898", "\u8d26\u5355"))
        .value
        == 1
    )


def test_numbers_and_booleans_may_be_labels(answer):
    """YAML reads 3 and true as no texts; as labels and as targets they are the same."""
    scorer = Choice((1, 2, 3, True))
    assert scorer.score(answer("Rating: 3", 3)).value == 1
    assert scorer.score(answer("True", True)).label == "true"


@pytest.mark.parametrize(("target", "value"), [("Invoice", 1), (["bug", "payment"], 1), ("bug", 0)])
def test_targets_are_read_through_the_aliases(answer, target, value):
    """A target may be an alias, and a list holds alternatives."""
    assert TICKETS.score(answer("billing", target)).value == value


@pytest.mark.parametrize("target", [None, "refund", ["bug", "refund"], "a bug", []])
def test_a_target_that_is_no_label_leaves_the_sample_unscored(answer, target):
    """The data is at fault; what the answer says is still shown."""
    score = TICKETS.score(answer("bug", target))
    assert (score.value, score.label) == (None, "bug")
    assert "none of the labels" in score.reason


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((), "labels is empty"),
        (("a", " "), "empty label"),
        (("a", "a"), "one of them twice"),
        (("a", "A"), "'A' stands for 'a' and for 'A'"),
        ({"a": ("x",), "b": ("X",)}, "'X' stands for 'a' and for 'b'"),
        ({"a": ("b",), "b": ()}, "'b' stands for 'a' and for 'b'"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels, message):
    """A mistake in the labels is found when the scorer is built."""
    with pytest.raises(UsageError, match=message):
        Choice(labels)


def test_a_label_may_repeat_its_own_name_as_an_alias(answer):
    """Two spellings that fold to one name of one label are no conflict."""
    assert Choice({"Bug": ("bug", "BUG")}).score(answer("bug", "bug")).label == "Bug"


def test_a_very_long_answer_is_read_to_its_end(answer):
    """A label behind a megabyte of text is found."""
    assert TICKETS.score(answer("lorem ipsum " * 90_000 + "bug", "bug")).value == 1
