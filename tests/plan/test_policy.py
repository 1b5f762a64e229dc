"""Policies: as text, in words, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.plan.policy import Policy, form_of
from harness.plan.spec_reader import read_policy

amounts = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)
policies = st.one_of(
    st.sampled_from([Policy(name="best"), Policy(name="knee")]),
    st.builds(Policy, name=st.sampled_from(["cheapest_within", "fastest_within", "floor"]), amount=amounts),
    st.builds(
        Policy,
        name=st.just("weights"),
        weights=st.dictionaries(st.sampled_from(["quality", "price", "latency"]), amounts, min_size=1),
    ),
)


@given(policies)
def test_a_policy_is_read_back_from_its_text(policy):
    """What a recommendation holds names the policy completely; spaces do not matter."""
    assert read_policy(form_of(policy.text())) == policy
    assert read_policy(form_of(policy.text().replace(" ", ""))) == policy


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("best", "best", "the highest quality"),
        ("knee", "knee", "the most quality for its price, at the knee of the two"),
        (
            {"cheapest_within": 0.01},
            "cheapest_within: 0.01",
            "the cheapest within 1 point of the highest quality",
        ),
        (
            {"fastest_within": 0.005},
            "fastest_within: 0.005",
            "the fastest within 0.5 points of the highest quality",
        ),
        ({"floor": 0.85}, "floor: 0.85", "the cheapest with a quality of at least 0.85"),
        (
            {"weights": {"quality": 0.7, "price": 0.2, "latency": 0.1}},
            "weights: quality=0.7, price=0.2, latency=0.1",
            "the highest sum of quality by 0.7, price by 0.2 and latency by 0.1",
        ),
        ({"weights": {"price": 1, "latency": 0}}, "weights: price=1", "the highest sum of price by 1"),
    ],
)
def test_each_policy_has_a_text_and_words(form, text, words):
    """The text is for machines, the words go into a sentence; a weight of 0 is none."""
    policy = read_policy(form)
    assert (policy.text(), policy.words()) == (text, words)


def test_only_within_gives_quality_away():
    """A floor is no tolerance."""
    assert Policy(name="fastest_within", amount=0.02).tolerance == 0.02
    assert Policy(name="floor", amount=0.85).tolerance == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bold", "policy: found 'bold', expected one of best, knee, cheapest_within"),
        ("nee", "did you mean 'knee'?"),
        ("cheapest_within", "expected more than a word, as in {cheapest_within: 0.01}"),
        ("weights", "as in {weights: {quality: 0.7, price: 0.3}}"),
        ("best:0.1", "policy.best: is not a known key; known here: cheapest_within"),
        ("cheapest:0.1", "policy.cheapest: is not a known key; did you mean 'cheapest_within'?"),
        ("floor:high", "policy.floor: found 'high', expected a number"),
        ("floor:nan", "policy.floor: found nan, expected a finite number"),
        ("weights:qualty=1", "policy.weights.qualty: is not a known key; did you mean 'quality'?"),
        ("weights:0.5", "policy.weights: found 0.5, expected a mapping"),
        ("weights:quality=much", "policy.weights.quality: found 'much', expected a number"),
    ],
)
def test_a_text_that_is_no_policy_is_told_what_would_be(text, message):
    """The same words as for a spec, in one line."""
    with pytest.raises(UsageError) as caught:
        read_policy(form_of(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
