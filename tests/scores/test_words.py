"""Promises of the scorers that count words and letters."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.scores.text import NO_TARGET
from harness.scores.words import Bleu, Chrf, Levenshtein, Rouge, SquadExact, TokenF1, words_of

WORDS = st.lists(st.sampled_from(["the", "a", "Cat", "cat,", "sat.", "on", "mat", "An"]), max_size=12).map(
    " ".join
)
CLOSE = pytest.approx

# Computed once with rouge-score 0.1.2, without stemming: precision, recall and F1 of each variant.
ROUGE = [
    (
        "the cat sat on the mat",
        "the cat is on the mat",
        {"rouge1": (5 / 6, 5 / 6, 5 / 6), "rouge2": (0.6, 0.6, 0.6), "rougeL": (5 / 6, 5 / 6, 5 / 6)},
    ),
    (
        "Police killed the gunman.",
        "The gunman was killed by police",
        {"rouge1": (1.0, 2 / 3, 0.8), "rouge2": (1 / 3, 0.2, 0.25), "rougeL": (0.5, 1 / 3, 0.4)},
    ),
    (
        "A quick brown fox; jumps over 2 dogs",
        "the quick brown dog jumps over the lazy fox",
        {
            "rouge1": (0.625, 0.5555555555555556, 0.5882352941176471),
            "rouge2": (0.2857142857142857, 0.25, 0.26666666666666666),
            "rougeL": (0.5, 0.4444444444444444, 0.47058823529411764),
        },
    ),
    (
        "refund issued on 3 May, 2024",
        "The refund was issued on 3 May 2024 to the customer's card",
        {
            "rouge1": (1.0, 0.46153846153846156, 0.631578947368421),
            "rouge2": (0.8, 0.3333333333333333, 0.47058823529411764),
            "rougeL": (1.0, 0.46153846153846156, 0.631578947368421),
        },
    ),
    (
        "nothing alike",
        "totally different words here",
        dict.fromkeys(("rouge1", "rouge2", "rougeL"), (0, 0, 0)),
    ),
]


def squad_tokens(text: str) -> list[str]:
    """The official normalisation, step by step: small letters, punctuation, articles, white space."""
    kept = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def squad_f1(prediction: str, truth: str) -> float:
    """F1 as the official script computes it: from precision and recall."""
    mine, theirs = squad_tokens(prediction), squad_tokens(truth)
    same = sum((Counter(mine) & Counter(theirs)).values())
    if not mine or not theirs:
        return float(mine == theirs)
    if same == 0:
        return 0.0
    precision, recall = same / len(mine), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1),
        ("Denver Broncos", "the Denver  Broncos.", 1),
        ("Broncos", "Denver Broncos", 0),
        ("a", "the", 1),
        ("theatre", "atre", 0),
        ("Munich", ["Berlin", "munich."], 1),
    ],
)
def test_squad_exact_of_hand_worked_cases(answer, text, target, value):
    """Case, articles, punctuation and white space do not count, everything else does."""
    assert SquadExact().score(answer(text, target)).value == value


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("Denver Broncos", "the Denver Broncos", 1),
        ("in the year 1912", "1912", 0.5),
        ("cat cat dog", "cat dog dog", 2 / 3),
        ("the", "a", 1),
        ("", "Paris", 0),
        ("Paris France", ["London", "Paris"], 2 / 3),
    ],
)
def test_token_f1_of_hand_worked_cases(answer, text, target, value):
    """One of three words right: precision 1/3, recall 1, F1 1/2; repeated words count as often as in both."""
    assert TokenF1().score(answer(text, target)).value == CLOSE(value, abs=1e-9)


@given(WORDS, WORDS)
@settings(max_examples=200, deadline=None)
def test_squad_scorers_agree_with_the_official_rules(answer, text, target):
    """Exact match and F1, on texts full of articles and punctuation."""
    assert SquadExact().score(answer(text, target)).value == (squad_tokens(text) == squad_tokens(target))
    assert TokenF1().score(answer(text, target)).value == CLOSE(squad_f1(text, target), abs=1e-9)


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [("kitten", "sitting", 4 / 7), ("", "", 1), ("abc", "", 0), (" abc\n", "abc", 1), ("é", "e\u0301", 1)],
)
def test_levenshtein_of_hand_worked_cases(answer, text, target, value):
    """Kitten to sitting takes 3 edits of 7."""
    assert Levenshtein().score(answer(text, target)).value == CLOSE(value, abs=1e-9)


def edits(text: str, target: str) -> int:
    """The textbook table of edit distances."""
    row = list(range(len(target) + 1))
    for i, letter in enumerate(text, start=1):
        above, row[0] = row[0], i
        for j, other in enumerate(target, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (letter != other))
    return row[-1]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
@settings(deadline=None)
def test_levenshtein_agrees_with_the_textbook(answer, text, target):
    """1 - edits / length of the longer text."""
    longer = max(len(text), len(target))
    expected = 1 - edits(text, target) / longer if longer else 1.0
    assert Levenshtein().score(answer(text, target)).value == CLOSE(expected, abs=1e-9)


def test_levenshtein_may_ignore_case(answer):
    """Otherwise a capital is an edit."""
    assert Levenshtein().score(answer("PARIS", "paris")).value == 0
    assert Levenshtein(ignore_case=True).score(answer("PARIS", "paris")).value == 1


@pytest.mark.parametrize(("text", "target", "expected"), ROUGE)
@pytest.mark.parametrize("variant", ["rouge1", "rouge2", "rougeL"])
def test_rouge_agrees_with_the_reference_implementation(answer, text, target, expected, variant):
    """All variants and measures, to nine digits."""
    found = [
        Rouge(variant=variant, measure=measure).score(answer(text, target)).value
        for measure in ("precision", "recall", "f1")
    ]
    assert found == [CLOSE(one, abs=1e-9) for one in expected[variant]]


def test_rouge_reads_scripts_without_spaces(answer):
    """The same Japanese text is wholly the same, where a tokenizer for English finds no word at all."""
    assert Rouge().score(answer("猫が好きです", "猫が好きです")).value == 1
    assert 0 < Rouge().score(answer("猫が好きです", "犬が好きです")).value < 1
    assert words_of("GPT-4は速い") == ["gpt", "4", "は", "速", "い"]


def test_rouge_of_the_best_alternative_counts(answer):
    """Several references: the nearest one."""
    assert Rouge("rouge1").score(answer("a b", ["c d", "a b"])).value == 1


BLEU_CASES = [
    ("the cat sat on the mat", ["the cat is on the mat"]),
    ("It is a guide to action which ensures that the military always obeys the commands of the party.",
     ["It is a guide to action that ensures that the military will forever heed Party commands.",
      "It is the guiding principle which guarantees the military forces always being under the party."]),
    ("short", ["a much longer reference than this"]),
    ("Straße und Fluß", ["Strasse und Fluss"]),
    ("exactly the same words here", ["exactly the same words here"]),
    ("", ["something"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "references"), BLEU_CASES)
def test_bleu_and_chrf_agree_with_sacrebleu(answer, text, references):
    """A hundredth of the library's own figures for one sentence."""
    made = answer(text, references)
    bleu = sacrebleu.sentence_bleu(text, references, use_effective_order=True).score / 100
    assert Bleu().score(made).value == CLOSE(bleu, abs=1e-9)
    assert Chrf().score(made).value == CLOSE(sacrebleu.sentence_chrf(text, references).score / 100, abs=1e-9)
    plus = sacrebleu.sentence_chrf(text, references, word_order=2).score / 100
    assert Chrf(word_order=2).score(made).value == CLOSE(plus, abs=1e-9)


def test_bleu_of_a_hand_worked_case(answer):
    """5 of 6 words, 3 of 5 pairs, 1 of 4 triples, and none of 3 fours, which smoothing makes half a one."""
    expected = (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25
    value = Bleu().score(answer("the cat sat on the mat", "the cat is on the mat")).value
    assert value == CLOSE(expected, abs=1e-9)


def test_chrf_of_a_hand_worked_case(answer):
    """Only single letters of "ab" and "ac" are shared, 1 of 2; of two orders the average is 1/4."""
    assert Chrf().score(answer("ab", "ac")).value == CLOSE(0.25, abs=1e-9)


def test_bleu_may_ignore_case_and_read_characters(answer):
    """Capitals are other words otherwise, and a Chinese text is one word."""
    assert Bleu().score(answer("A B C D", "a b c d")).value == 0
    assert Bleu(ignore_case=True).score(answer("A B C D", "a b c d")).value == 1
    assert (
        Bleu(tokenize="zh").score(answer("我们喜欢猫", "我们喜欢狗")).value
        > Bleu().score(answer("我们喜欢猫", "我们喜欢狗")).value
    )


@pytest.mark.parametrize("scorer", [SquadExact(), TokenF1(), Levenshtein(), Rouge(), Bleu(), Chrf()])
@pytest.mark.parametrize("target", [None, {"a": 1}, [["a"]]])
def test_without_a_usable_target_nothing_is_judged(answer, scorer, target):
    """There is nothing to compare with, which is no 0."""
    score = scorer.score(answer("text", target))
    assert (score.value, score.reason) == (None, NO_TARGET)
