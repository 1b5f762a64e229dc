"""Promises that every built-in scorer keeps, whatever text comes in."""

from __future__ import annotations

import inspect
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import Sample
from harness.scores.answer import Answer, RepeatScorer
from harness.scores.scorer import BUILT_IN, Permission, build_scorer
from harness.testing.contracts import ScorerContract

CODE = Permission(allow_code=True)
# One form of each built-in scorer, with a target that it can judge.
FORMS = {
    "exact": ("exact", "billing"),
    "contains": ("contains", "billing"),
    "icontains": ({"icontains": {"require": "all"}}, ["billing", "refund"]),
    "starts_with": ("starts_with", "billing"),
    "regex": ({"regex": "label: (\\w+)"}, "billing"),
    "number": ({"number": 0.5}, 42),
    "choice": ({"choice": ["billing", "bug"]}, "billing"),
    "squad_exact": ("squad_exact", "the billing"),
    "token_f1": ("token_f1", "a billing matter"),
    "levenshtein": ({"levenshtein": {"ignore_case": True}}, "billing"),
    "rouge": ("rouge", "billing and refunds"),
    "bleu": ({"bleu": "intl"}, "billing and refunds"),
    "chrf": ({"chrf": 2}, "billing and refunds"),
    "json": ("json", "billing"),
    "json_schema": ({"json_schema": {"type": "object", "required": ["label"]}}, "billing"),
    "fields": ("fields", {"label": "billing", "amount": 3}),
    "refusal": ("refusal", "billing"),
    "length": ({"length": {"at_most": 5, "unit": "lines"}}, "billing"),
    "complete": ("complete", "billing"),
    "all": ({"all": ["token_f1", {"length": 50}]}, "billing"),
    "any": ({"any": ["exact", {"weighted": ["rouge", "complete"]}]}, "billing"),
    "weighted": ({"weighted": {"scorers": ["chrf", "exact"], "weights": [1, 2]}}, "billing"),
    "python_tests": ({"python_tests": {"seconds": 2, "isolation": "limits"}}, "assert True"),
    "consistency": ("consistency", None),
    "diversity": ({"diversity": 1}, None),
}
SINGLE = [name for name in FORMS if name not in ("consistency", "diversity", "python_tests")]
TEXTS = st.text(max_size=60) | st.text('billing aux:{}[]",0123456789.\n`', max_size=60)


def test_every_built_in_is_here():
    """A new scorer joins this file."""
    assert {cls.name for cls in BUILT_IN} == set(FORMS)


@pytest.mark.parametrize("name", [name for name in FORMS if name not in ("consistency", "diversity")])
class TestEveryScorer(ScorerContract):
    """The contract of scorers, kept by each of them."""

    @pytest.fixture(autouse=True)
    def _of(self, name):
        self.form, self.target = FORMS[name]

    def make_scorer(self):
        """A fresh one of this form."""
        return build_scorer(self.form, permission=CODE)


@pytest.mark.parametrize("name", SINGLE)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4), random_=st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_scores_are_shares_and_know_no_order(name, texts, random_):
    """From 0 to 1 or unscored with a reason; an answer's score is the same whatever was judged before it."""
    form, target = FORMS[name]
    answers = [
        Answer(
            sample=Sample(id=f"s{place}", inputs={}, target=target, split="search"),
            text=text,
            finish_reason="stop",
        )
        for place, text in enumerate(texts)
    ]
    first = [build_scorer(form).score(answer) for answer in answers]
    assert all(score.value is None or 0 <= score.value <= 1 for score in first)
    assert all(score.reason for score in first if score.value is None)
    mixed = random_.sample(answers, len(answers))
    scorer = build_scorer(form)
    assert {score.sample_id: score for score in map(scorer.score, mixed)} == {s.sample_id: s for s in first}


@pytest.mark.parametrize("name", SINGLE)
def test_the_target_itself_has_full_marks(name):
    """Given as an answer, whatever form a target has, it is right."""
    form, target = FORMS[name]
    says = {
        "regex": "label: billing",
        "fields": json.dumps(target),
        "json": "[]",
        "json_schema": '{"label": 1}',
    }
    text = says.get(name) or (" ".join(target) if isinstance(target, list) else str(target))
    sample = Sample(id="s1", inputs={}, target=target, split="search")
    assert build_scorer(form).score(Answer(sample=sample, text=text, finish_reason="stop")).value == 1


@pytest.mark.parametrize("name", ["consistency", "diversity"])
@given(texts=st.lists(TEXTS, min_size=1, max_size=5), seed=st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_scores_of_repeats_are_shares_and_know_no_order(name, texts, seed):
    """From 0 to 1, or unscored with a reason; empty texts and any script."""
    scorer = build_scorer(FORMS[name][0])
    assert isinstance(scorer, RepeatScorer)
    sample = Sample(id="s1", inputs={}, target=None, split="search")
    answers = [Answer(sample=sample, text=text, repeat=place) for place, text in enumerate(texts)]
    score = scorer.score_repeats(answers)
    assert score.value is None or 0 <= score.value <= 1
    assert score.value is not None or score.reason
    mixed = list(answers)
    random.Random(seed).shuffle(mixed)
    assert replace(scorer.score_repeats(mixed), repeat=0) == replace(score, repeat=0)


@pytest.mark.parametrize("name", ["consistency", "diversity"])
def test_repeats_of_a_megabyte_are_compared(name):
    """Runaway answers, side by side."""
    sample = Sample(id="s1", inputs={}, target=None, split="search")
    answers = [Answer(sample=sample, text=text * 10_000) for text in ("billing " * 13, "(" * 100, "猫" * 100)]
    score = build_scorer(FORMS[name][0]).score_repeats(answers)
    assert 0 <= score.value <= 1


@pytest.mark.parametrize("scorer", BUILT_IN, ids=lambda scorer: scorer.name)
def test_every_scorer_names_its_source(scorer):
    """The reference is made of these docstrings."""
    assert "Source:" in inspect.getdoc(scorer)
