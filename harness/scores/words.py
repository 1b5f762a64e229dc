"""Scorers that compare an answer with a reference word by word or letter by letter.

`squad_exact`, `token_f1`, `levenshtein`, `rouge`, `bleu`, `chrf`. In: an answer and texts as target. Out: a
score from 0 to 1, the best one over alternatives. They count overlap, not meaning. The only module that may
load rapidfuzz and sacrebleu, and only when a scorer that needs them is asked.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from harness.scores.answer import Answer, Scorer, judged, target_texts
from harness.scores.choice import UNSPACED
from harness.scores.text import NO_TARGET, comparable, folded

if TYPE_CHECKING:
    from harness.records import Score

# Beyond it, an answer has run away. Counting its n-grams to the end would take minutes and change nothing.
READ_CHARACTERS = 50_000
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
# A word, or one character of a script that is written without spaces.
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")


def squad_plain(text: str) -> str:
    """The text as SQuAD compares it: small letters, no ASCII punctuation, no English articles, single spaces.

    Source: `normalize_answer` of the official evaluation of SQuAD 1.1 (Rajpurkar et al. 2016, arXiv
    1606.05250).
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def words_of(text: str) -> list[str]:
    """The words of a text, without regard to case and width; single characters in scripts without spaces."""
    return WORD.findall(folded(text))


@dataclass(frozen=True)
class SquadExact:
    """1 if the answer is the target but for case, punctuation, articles and white space, else 0.

    English articles and ASCII punctuation only, as in SQuAD. A list as target holds alternatives; without a
    usable target, unscored.
    Source: exact match of the official evaluation of SQuAD 1.1 (Rajpurkar et al. 2016, arXiv 1606.05250).
    """

    name: str = "squad_exact"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        targets = target_texts(answer.sample.target)
        if not targets:
            return judged(self, answer, None, reason=NO_TARGET)
        found = squad_plain(answer.text)
        return judged(self, answer, float(any(found == squad_plain(target) for target in targets)))


@dataclass(frozen=True)
class TokenF1:
    """F1 of the words that answer and target share, from 0 to 1, compared as `squad_exact` does.

    Words are what white space separates: for scripts without spaces, `chrf` or `levenshtein` say more. Of
    alternatives the best one counts; when answer or target has no word left, 1 if both have none, else 0.
    Source: F1 of the official evaluation of SQuAD 1.1 (Rajpurkar et al. 2016, arXiv 1606.05250); texts
    without words as in SQuAD 2.0 (Rajpurkar, Jia and Liang 2018, arXiv 1806.03822).
    """

    name: str = "token_f1"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        return _best(self, answer, _token_f1)


@dataclass(frozen=True)
class Levenshtein:
    """Similarity by edits, from 0 to 1: 1 - edits / length of the longer text; 1 for the target itself.

    ignore_case: compare after Unicode case folding (NFKC). An edit inserts, removes or replaces a character.
    White space at both ends does not count. Of alternatives the best one counts; without a usable target,
    unscored.
    Source: Levenshtein 1966, Soviet Physics Doklady 10(8); normalised as in rapidfuzz.
    """

    ignore_case: bool = False
    name: str = "levenshtein"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        from rapidfuzz.distance import Levenshtein as Edits

        def similarity(text: str, target: str) -> float:
            texts = (comparable(one, ignore_case=self.ignore_case).strip() for one in (text, target))
            return float(Edits.normalized_similarity(*texts))

        return _best(self, answer, similarity)


@dataclass(frozen=True)
class Rouge:
    """Overlap of words with a reference summary, from 0 to 1.

    variant: rouge1 counts words, rouge2 pairs of neighbours, rougeL the longest common subsequence of words
    over the whole text. measure: f1, or recall (share of the reference found) or precision (share of the
    answer). Words are compared without regard to case; no stemming. One character is a word in scripts
    without spaces. Of alternatives the best one counts; without a usable target, unscored. Of an answer, the
    first 50,000 characters are read.
    Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries".
    """

    variant: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"
    measure: Literal["f1", "recall", "precision"] = "f1"
    name: str = "rouge"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        return _best(self, answer, self._overlap)

    def _overlap(self, text: str, target: str) -> float:
        found, wanted = words_of(text), words_of(target)
        if self.variant == "rougeL":
            from rapidfuzz.distance import LCSseq

            shared, n_found, n_wanted = int(LCSseq.similarity(found, wanted)), len(found), len(wanted)
        else:
            n = int(self.variant[-1])
            mine, theirs = (Counter(ngrams(words, n)) for words in (found, wanted))
            shared, n_found, n_wanted = (mine & theirs).total(), mine.total(), theirs.total()
        sizes = {"precision": n_found, "recall": n_wanted, "f1": (n_found + n_wanted) / 2}
        size = sizes[self.measure]
        return shared / size if size else 0.0


@dataclass(frozen=True)
class Bleu:
    """BLEU of one answer, from 0 to 1: n-grams of 1 to 4 words that it shares with references.

    tokenize: "13a" for languages with spaces, "zh" for Chinese, "char" for any other without, "intl" for
    signs of all scripts. Short answers are penalised. All alternatives of a target are references together.
    Orders above the length of the answer are left out (sacrebleu's effective order), and zero counts smoothed
    exponentially. The mean of sentences is not the BLEU of a corpus: do not compare it with published ones.
    Of an answer, the first 50,000 characters are read.
    Source: Papineni et al. 2002, ACL; Post 2018, arXiv 1804.08771 (sacrebleu).
    """

    tokenize: Literal["13a", "zh", "char", "intl"] = "13a"
    ignore_case: bool = False
    name: str = "bleu"
    version: int = field(default=1, init=False)

    @cached_property
    def _metric(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(tokenize=self.tokenize, lowercase=self.ignore_case, effective_order=True)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        return _of_references(self, answer, self._metric)


@dataclass(frozen=True)
class Chrf:
    """chrF of one answer, from 0 to 1: F2 of n-grams of 1 to 6 characters that it shares with a reference.

    word_order: n-grams of words counted besides, 2 for chrF++. Works in every script. The reference that fits
    best counts. Of an answer, the first 50,000 characters are read.
    Source: Popović 2015 and 2017, WMT; as in sacrebleu (Post 2018, arXiv 1804.08771).
    """

    word_order: int = 0
    ignore_case: bool = False
    name: str = "chrf"
    version: int = field(default=1, init=False)

    @cached_property
    def _metric(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.ignore_case)

    def score(self, answer: Answer) -> Score:
        """Value from 0 to 1; no label."""
        return _of_references(self, answer, self._metric)


def ngrams(words: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """All runs of n neighbours, in order; none of a shorter text."""
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _token_f1(text: str, target: str) -> float:
    found, wanted = squad_plain(text).split(), squad_plain(target).split()
    if not found or not wanted:
        return float(found == wanted)
    return 2 * (Counter(found) & Counter(wanted)).total() / (len(found) + len(wanted))


def _best(scorer: Scorer, answer: Answer, compare: Callable[[str, str], float]) -> Score:
    """The best comparison with an accepted answer."""
    targets = target_texts(answer.sample.target)
    if not targets:
        return judged(scorer, answer, None, reason=NO_TARGET)
    text = answer.text.strip()[:READ_CHARACTERS]
    return judged(scorer, answer, max(compare(text, target.strip()[:READ_CHARACTERS]) for target in targets))


def _of_references(scorer: Scorer, answer: Answer, metric: Any) -> Score:
    targets = target_texts(answer.sample.target)
    if not targets:
        return judged(scorer, answer, None, reason=NO_TARGET)
    percent = float(metric.sentence_score(answer.text[:READ_CHARACTERS], list(targets)).score)
    # Sums of logarithms end a little above 100.
    return judged(scorer, answer, min(1.0, max(0.0, percent / 100)))
