"""Scorers that compare texts: `exact`, `contains`, `icontains`, `starts_with`, `regex`.

In: an answer. Out: a score of 0 or 1, or unscored when the sample has no usable target. They judge
the characters, not the meaning, and never change a target to fit an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.errors import UsageError
from harness.scores.answer import Answer, judged, target_texts
from harness.scores.patterns import repeats_ambiguously

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.records import Score

T = TypeVar("T")

# Python's `re` has no time limit: a bound on the text bounds what a quadratic pattern can cost. Answers
# begin with what was asked for, or end with it after reasoning: both ends are read.
REGEX_READS_CHARACTERS = 10_000
NO_TARGET = "target is no text, number, boolean, or list of them"


def folded(text: str) -> str:
    """The text with differences of case, width and composition removed.

    Source: Unicode Standard, section 3.13, compatibility caseless matching; we leave out its first
    NFD pass, which matters for one Greek accent only.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def comparable(text: str, *, ignore_case: bool) -> str:
    """The text as it is compared: folded, or only composed (NFC), so that equal-looking texts are equal."""
    return folded(text) if ignore_case else unicodedata.normalize("NFC", text)


def picked(found: Iterable[T], pick: Literal["first", "last"]) -> T | None:
    """The first or the last of what was found, reading no further than needed; `None` of nothing."""
    if pick == "first":
        return next(iter(found), None)
    last = deque(found, maxlen=1)
    return last[0] if last else None


@dataclass(frozen=True)
class Exact:
    """1 if the answer is the target, else 0; a list as target holds alternatives.

    ignore_case: compare after Unicode case folding (NFKC). strip: disregard white space at both ends.
    Every other character counts, a full stop at the end too. Unscored without a usable target.
    Source: exact match as in SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250), without its removal of
    articles and punctuation.
    """

    ignore_case: bool = False
    strip: bool = True
    name: str = "exact"
    version: int = field(default=1, init=False)

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        targets = target_texts(answer.sample.target)
        if not targets:
            return judged(self, answer, None, reason=NO_TARGET)
        found = self._read(answer.text)
        if any(found == self._read(target) for target in targets):
            return judged(self, answer, 1.0)
        return judged(self, answer, 0.0, reason="the answer differs from the target")

    def _read(self, text: str) -> str:
        text = comparable(text, ignore_case=self.ignore_case)
        return text.strip() if self.strip else text


@dataclass(frozen=True)
class Contains:
    """1 if the wanted texts occur in the answer, else 0.

    texts: what is looked for; without it, the target. require: "all" or "any" of the texts; by
    default all of `texts`, and any of a list given as target, because that holds alternatives.
    Texts are found inside words too. Unscored when `texts` is empty and the target is empty or unusable.
    Source: substring match, the `includes` of most evaluation tools.
    """

    texts: str | tuple[str, ...] = ()
    ignore_case: bool = False
    require: Literal["all", "any"] | None = None
    name: str = "contains"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.texts == "" or "" in self._texts:
            raise UsageError(
                f"scorer {self.name!r}: texts is {self.texts!r}; an empty text is in every answer"
            )

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.texts,) if isinstance(self.texts, str) else self.texts

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; the reason names the texts that are missing; no label."""
        wanted = self._texts or target_texts(answer.sample.target)
        if not wanted:
            return judged(self, answer, None, reason=NO_TARGET)
        if "" in wanted:
            return judged(self, answer, None, reason="target is empty, and so in every answer")
        text = comparable(answer.text, ignore_case=self.ignore_case)
        missing = [want for want in wanted if comparable(want, ignore_case=self.ignore_case) not in text]
        require = self.require or ("all" if self._texts else "any")
        passed = not missing if require == "all" else len(missing) < len(wanted)
        reason = "" if passed else "not in the answer: " + ", ".join(repr(want) for want in missing)
        return judged(self, answer, float(passed), reason=reason)


@dataclass(frozen=True)
class IContains(Contains):
    """1 if the wanted texts occur in the answer whatever their case, else 0: `contains` with `ignore_case`.

    texts, require: as for `contains`.
    Source: the `icontains` of promptfoo.
    """

    ignore_case: bool = True
    name: str = "icontains"


@dataclass(frozen=True)
class StartsWith:
    """1 if the answer begins with one of the wanted texts, else 0.

    texts: what is looked for; without it, the target, of which a list holds alternatives. White space before
    the answer does not count. Unscored when `texts` is empty and the target is empty or unusable.
    Source: the `starts-with` of promptfoo, without regard to white space.
    """

    texts: str | tuple[str, ...] = ()
    ignore_case: bool = False
    name: str = "starts_with"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if self.texts == "" or "" in self._texts:
            raise UsageError(
                f"scorer {self.name!r}: texts is {self.texts!r}; every answer begins with an empty text"
            )

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.texts,) if isinstance(self.texts, str) else self.texts

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        wanted = self._texts or target_texts(answer.sample.target)
        if not wanted or "" in wanted:
            return judged(self, answer, None, reason=NO_TARGET if not wanted else "target is empty")
        begins = comparable(answer.text, ignore_case=self.ignore_case).lstrip()
        prefixes = (comparable(want, ignore_case=self.ignore_case).lstrip() for want in wanted)
        if any(begins.startswith(prefix) for prefix in prefixes):
            return judged(self, answer, 1.0)
        return judged(self, answer, 0.0, reason=f"the answer begins with {begins[:40]!r}")


@dataclass(frozen=True)
class Regex:
    """1 if the pattern matches somewhere in the answer, else 0.

    pattern: as in Python's `re`; `.` stops at line ends and `^` means the start of the answer, unless
    the pattern says `(?s)` or `(?m)`. If it has a group, the text of its first group is compared with
    the target instead, white space at both ends disregarded; write `(?:...)` for a group that only
    groups. pick: which match counts then, the first or the last. ignore_case: for match and comparison.
    `re` has no time limit. So a pattern whose repeats are ambiguous, such as `(a+)+b`, is refused when the
    scorer is built (`patterns` states the rule), and an answer of more than 10,000 characters is read as
    its first and its last 5,000 with a line end between them. Several open repeats in a row, as in
    `.*a.*b.*c`, stay the writer's to avoid: their time grows with a power of the length.
    Unscored when there is a group and the sample has no usable target.
    Source: the syntax of Python's module `re`.
    """

    pattern: str
    ignore_case: bool = False
    pick: Literal["first", "last"] = "first"
    name: str = "regex"
    version: int = field(default=2, init=False)

    def __post_init__(self) -> None:
        if not self.pattern:
            raise UsageError(
                f"scorer {self.name!r}: pattern is empty and would match every answer; write one"
            )
        try:
            _ = self._compiled
            ambiguous = repeats_ambiguously(self.pattern, self._compiled.flags)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"scorer {self.name!r}: pattern {self.pattern!r} is no regular expression of Python: "
                f"{error}; check brackets and backslashes, and put it in single quotes in YAML"
            ) from error
        if ambiguous:
            raise UsageError(
                f"scorer {self.name!r}: pattern {self.pattern!r} repeats a part that can be matched in "
                "several ways, as (a+)+ does, and could take for ever on some answers; let each next "
                "character inside a repeat decide, as in (?:\\w+, )*, or never go back into it, as in (a++)+"
            )

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.ignore_case else re.NOFLAG)

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        pattern = self._compiled
        targets = target_texts(answer.sample.target)
        if pattern.groups and not targets:
            return judged(self, answer, None, reason=NO_TARGET)
        matches = pattern.finditer(ends(answer.text))
        match = picked(matches, self.pick if pattern.groups else "first")
        if match is None:
            return judged(self, answer, 0.0, reason="the pattern does not match")
        if not pattern.groups:
            return judged(self, answer, 1.0)
        found: str = match.group(1) or ""
        if any(self._same(found, target) for target in targets):
            return judged(self, answer, 1.0)
        return judged(self, answer, 0.0, reason=f"the group holds {found[:80]!r}, not the target")

    def _same(self, found: str, target: str) -> bool:
        texts = (comparable(text, ignore_case=self.ignore_case).strip() for text in (found, target))
        return next(texts) == next(texts)


def ends(text: str) -> str:
    """The text, or of a long one its beginning and its end."""
    if len(text) <= REGEX_READS_CHARACTERS:
        return text
    half = REGEX_READS_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"
