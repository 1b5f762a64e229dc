"""What a single pair or text adds to a figure of all: against the figures it adds up to, and one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from harness.stats.concordance import concordance, purity

likeness = st.integers(-4, 4).map(lambda n: n / 4)


@given(st.lists(st.tuples(likeness, st.booleans()), min_size=2, max_size=40))
def test_with_two_targets_the_parts_have_the_area_under_the_curve_as_their_mean(pairs):
    """Of the pairs that mean the same, the mean concordance is the area under the ROC curve, ties as half."""
    values, marks = np.array([v for v, _ in pairs]), np.array([float(m) for _, m in pairs])
    if len(set(marks)) < 2:
        assert np.isnan(concordance(values, marks)).all()
        return
    assert concordance(values, marks)[marks == 1].mean() == pytest.approx(roc_auc_score(marks, values))


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=25, unique=True), st.randoms())
def test_without_ties_the_parts_have_kendalls_tau_as_their_mean(values, random):
    """2 mean - 1 is Kendall's tau where neither column has ties."""
    gold = [float(v) for v in values]
    random.shuffle(gold)
    tau = kendalltau(values, gold).statistic
    assert 2 * concordance(np.array(values, float), np.array(gold)).mean() - 1 == pytest.approx(tau)


def test_a_scale_changes_no_concordance():
    """Models whose cosines lie in 0.1 to 0.3 and in 0.6 to 0.9 are compared by order alone."""
    gold = np.array([0.0, 1.0, 2.0, 3.0, 5.0])
    wide = np.array([0.1, 0.3, 0.2, 0.8, 0.9])
    assert concordance(wide, gold).tolist() == concordance(0.7 + wide / 10, gold).tolist()


def test_a_missing_pair_is_left_out_of_the_others():
    """A pair without a cosine has no value, and counts for none of the others."""
    values = np.array([0.9, np.nan, 0.1])
    found = concordance(values, np.array([1.0, 0.0, 0.0]))
    assert np.isnan(found[1])
    assert (found[0], found[2]) == (1.0, 1.0)


def test_purity_by_hand():
    """Of three in a cluster, two alike: half of the others for these, none for the third; alone: 0."""
    assert purity(["a", "a", "b", "b"], [0, 0, 0, 1]).tolist() == [0.5, 0.5, 0.0, 0.0]


def one_by_one(values, gold):
    """The definition, a pair at a time."""
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values) & ~np.isnan(gold))
    for own in known:
        others = [other for other in known if gold[other] != gold[own]]
        if others:
            way = np.sign(gold[own] - gold[others]) * np.sign(values[own] - values[others])
            found[own] = float((way + 1).mean() / 2)
    return found


@given(st.lists(st.tuples(st.none() | likeness, st.none() | st.integers(-6, 6)), max_size=60))
def test_it_is_to_the_last_digit_what_counting_one_by_one_gives(pairs):
    """Ties in both columns, many targets, gaps, and nothing at all."""
    values, gold = (
        (np.array([np.nan if v is None else v for v in c]) for c in zip(*pairs, strict=True))
        if (pairs)
        else (np.array([]), np.array([]))
    )
    np.testing.assert_array_equal(concordance(values, gold), one_by_one(values, gold))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=40))
def test_purity_is_what_counting_one_by_one_gives(texts):
    """Of each text, the others of its cluster are looked at."""
    expected = [
        float(
            np.mean(
                [other == label for place, (other, c) in enumerate(texts) if c == cluster and place != own]
            )
        )
        if sum(c == cluster for _, c in texts) > 1
        else 0.0
        for own, (label, cluster) in enumerate(texts)
    ]
    assert purity([label for label, _ in texts], [cluster for _, cluster in texts]).tolist() == expected
