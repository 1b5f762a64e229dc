"""Cut a long text into chunks that a model takes.

In: a text, the largest chunk in tokens, and who counts tokens. Out: chunks, each a slice of the text, which
laid end to end, overlaps taken out, are the text again, to the last blank. Cuts are made where a reader
would: at sentences, paragraphs or blocks of Markdown, and inside one only when it is too long by itself. No
chunk is above the limit, there are as few of them as these cuts allow, and they are about equally long: no
crumbs at the end. Nothing here knows a model.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias

from harness.errors import UsageError

Count: TypeAlias = "Callable[[str], int]"
By = Literal["sentence", "paragraph", "markdown"]
Keep = Literal["start", "end", "both"]
GAP = "\n[...]\n"  # stands for what was left out in the middle

BLANK_LINE = re.compile(r"\n[^\S\n]*(?=\n)\s*")
LINE = re.compile(r"\n")
# The end of a sentence: marks, closing quotes and brackets, blanks; marks of East Asian scripts need no
# blank. Each run of marks is looked at once, from its start, so that a text of marks alone takes no longer.
SENTENCE = re.compile(
    r"(?<![.!?…])[.!?…]+[\"'”’»)\]]*\s+|"  # noqa: RUF001 - the marks that are meant, as below
    r"(?<![。！？｡])[。！？｡]+[」』”’）】]*\s*|"  # noqa: RUF001
    r"\n[^\S\n]*(?=\n)\s*"
)
# What ends with a full stop and goes on: words cut short, and single letters.
SHORTENED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|No|Nr|Fig|Eq|approx|cf|bzw|ca|[^\W\d_])\.$")
LONGEST_SHORTENED = 8
WORD = re.compile(r"\s+")
HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Text with more characters a token than this is mostly blanks. A long unit is counted from its beginning
# first: some tokenizers take the square of its length where it has no blanks.
CHARACTERS_PER_TOKEN = 16
# A token is a byte at least, a character four at most, and some tokenizers write one character as several.
MOST_TOKENS_PER_CHARACTER = 8
# Cuts this close together are counted as one piece; what lies between is told by its share of characters.
PIECE = 200
JOINER = "\u200d"
LONGEST_CLUSTER = 64  # code points that are kept together at most, as in a letter with its accents


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a text.

    start: its place there, in characters. overlap: how many of the first ones repeat the end of the chunk
    before.
    """

    text: str
    start: int
    overlap: int = 0


def cut(text: str, *, size: int, count: Count, overlap: int = 0, by: By = "sentence") -> tuple[Chunk, ...]:
    """The chunks of a text, in order; none of an empty text.

    size: most tokens of a chunk, its overlap included. overlap: so many tokens at most, of whole words, are
    repeated from the chunk before. count: the tokens of a text, for the model that will read it. by: where
    cuts are made: ends of sentences; of paragraphs (blank lines); or of blocks of Markdown, where a heading
    stays with what follows and code is kept whole. A unit that is longer than a chunk is cut at the next
    smaller ones: lines, sentences, words, characters as they are seen.
    The number of chunks is the least that these cuts allow, provided that a part of a text has no more tokens
    than the whole. Time grows with the length of the text, times that of counting.
    Raises UsageError unless 0 <= overlap <= size / 2, and when a single character has more tokens than size.
    """
    if size < 1 or not 0 <= overlap <= size // 2:
        raise UsageError(
            f"chunks of {size} tokens with an overlap of {overlap}; expected a size of at least 1, and an "
            "overlap of at most half of it"
        )
    if not text:
        return ()
    packing = _Packing(text, _cuts(text, size - overlap, count, LEVELS[by]), size, overlap, count)
    chunks: list[Chunk] = []
    for first, last in pairwise((0, *packing.balanced())):
        start, lap = packing.cuts[first], packing.lap(first)
        chunks.append(Chunk(text[lap : packing.cuts[last]], lap, start - lap))
    return tuple(chunks)


def clipped(text: str, *, size: int, count: Count, keep: Keep = "start") -> str:
    """As much of a text as has at most so many tokens, cut between words.

    keep: its start, its end, or half of the tokens of both with `GAP` between them. A text that fits is
    itself. Raises UsageError for a size below 1, and as `cut` for a character that does not fit.
    """
    if size < 1:
        raise UsageError(f"a text of {size} tokens; expected a size of at least 1")
    if count(text) <= size:
        return text
    if keep == "both":
        half = (size - count(GAP)) // 2
        if half < 1:
            raise UsageError(f"{size} tokens are too few for both ends of a text; keep one of them, or more")
        ends = (clipped(text, size=half, count=count, keep=end) for end in ("start", "end"))
        return GAP.join(ends)
    cuts = _cuts(text, size, count, WORDS)
    last = len(cuts) - 1
    guess = round(last * size / count(text))
    if keep == "start":
        return text[: cuts[_last_good(lambda at: count(text[: cuts[at]]) <= size, 1, last, guess=guess)]]
    first = _last_good(lambda at: count(text[cuts[at] :]) <= size, last - 1, 0, guess=last - guess)
    return text[cuts[first] :]


@dataclass(slots=True)
class _Packing:
    """Chunks made of whole units.

    cuts: where units begin and end, rising, from 0 to the end of the text; units and chunks are told by
    numbers of cuts. base: tokens that every text has besides its own, as a beginning. marks, tokens: places
    of the text, and about how many tokens stand before each. laps: kept, since they are asked for again and
    again.
    """

    text: str
    cuts: Sequence[int]
    size: int
    overlap: int
    count: Count
    base: int = field(init=False)
    marks: list[int] = field(init=False)
    tokens: list[float] = field(init=False)
    laps: dict[int, int] = field(default_factory=dict[int, int])

    def __post_init__(self) -> None:
        self.base = self.count("")
        self.marks, self.tokens = [0], [0.0]
        for cut in self.cuts[1:]:
            if cut - self.marks[-1] >= PIECE or cut == len(self.text):
                piece = self.count(self.text[self.marks[-1] : cut]) - self.base
                self.marks.append(cut)
                self.tokens.append(self.tokens[-1] + piece)

    def balanced(self) -> list[int]:
        """Cuts at the ends of the fewest chunks, of about equal length.

        Packing from the front tells how few there can be and how far each can reach at most, packing from the
        back from where on the rest can still be reached; between the two, each ends nearest to its share.
        """
        latest = self._from_the_front()
        earliest = self._from_the_back(len(latest))
        if len(earliest) < len(latest):
            return latest  # only with a tokenizer that gives a part more tokens than the whole
        chosen, first = list[int](), 0
        for place, (early, late) in enumerate(zip(earliest, latest, strict=True)):
            done = self._tokens_before(self.cuts[first])
            share = done + (self.tokens[-1] - done) / (len(latest) - place)
            low = max(early, first + 1)
            near = min(max(self._cut_near(share), low), late)
            last = _last_good(partial(self._fits, first), low, near, guess=near)
            if not self._fits(first, last):
                return latest
            chosen.append(last)
            first = last
        return chosen

    def lap(self, first: int) -> int:
        """Where in the text the chunk begins whose new part begins at this cut."""
        start = self.cuts[first]
        if not self.overlap or not start:
            return start
        if first not in self.laps:
            begin = max(0, start - CHARACTERS_PER_TOKEN * self.overlap)
            words = [found.end() for found in WORD.finditer(self.text, begin, start) if found.end() < start]
            at = bisect_left(words, True, key=lambda word: self._is_lap(word, first))
            self.laps[first] = words[at] if at < len(words) else start
        return self.laps[first]

    def _is_lap(self, word: int, first: int) -> bool:
        """Whether what lies from this word to the cut is short enough, also beside the unit after it."""
        start, end = self.cuts[first : first + 2]
        lapped = self.count(self.text[word:start]) - self.base
        return lapped <= self.overlap and self.count(self.text[word:end]) <= self.size

    def _fits(self, first: int, last: int) -> bool:
        return self.count(self.text[self.lap(first) : self.cuts[last]]) <= self.size

    def _from_the_front(self) -> list[int]:
        """Cuts at the ends of chunks that are as long as can be, from the front."""
        found, whole = list[int](), len(self.cuts) - 1
        while (first := found[-1] if found else 0) < whole:
            end = self._tokens_before(self.lap(first)) + self.size - self.base
            good = partial(self._fits, first)
            found.append(_last_good(good, first + 1, whole, guess=self._cut_near(end)))
        return found

    def _from_the_back(self, most: int) -> list[int]:
        """Cuts at the ends of chunks that are as long as can be, from the back; none if these are more."""
        found, lapped = [len(self.cuts) - 1], 0.0
        while found[-1] > 0 and len(found) <= most:
            begin = self._tokens_before(self.cuts[found[-1]]) - (self.size - self.base - lapped)
            good = partial(self._fits, last=found[-1])
            found.append(_last_good(good, found[-1] - 1, 0, guess=self._cut_near(begin)))
            start = self.cuts[found[-1]]
            lapped = self._tokens_before(start) - self._tokens_before(self.lap(found[-1]))
        return [] if found[-1] > 0 else found[-2::-1]

    def _tokens_before(self, place: int) -> float:
        """About how many tokens stand before this place of the text."""
        after = bisect_left(self.marks, place)
        if self.marks[after] == place:
            return self.tokens[after]
        (low, high), (few, many) = (one[after - 1 : after + 1] for one in (self.marks, self.tokens))
        return few + (many - few) * (place - low) / (high - low)

    def _cut_near(self, tokens: float) -> int:
        """The cut before which about so many tokens stand."""
        after = min(max(bisect_left(self.tokens, tokens), 1), len(self.tokens) - 1)
        (low, high), (few, many) = (one[after - 1 : after + 1] for one in (self.marks, self.tokens))
        share = min(1.0, max(0.0, (tokens - few) / (many - few))) if many > few else 1.0
        place = low + (high - low) * share
        at = bisect_left(self.cuts, place)
        return at if at == 0 or self.cuts[at] - place <= place - self.cuts[at - 1] else at - 1


def _last_good(good: Callable[[int], bool], first: int, last: int, *, guess: int) -> int:
    """The number furthest from `first`, on the way to `last`, that is good.

    `first` is, and none after a bad one. Steps from the guess double, so that a near one takes two looks.
    """
    way = 1 if last >= first else -1
    high = abs(last - first)
    at, step = min(max((guess - first) * way, 0), high), 1
    if at == 0 or good(first + way * at):
        bad = min(at + step, high + 1)
        while bad <= high and good(first + way * bad):
            step *= 2
            at, bad = bad, min(bad + step, high + 1)
    else:
        at, bad = max(0, at - step), at
        while at > 0 and not good(first + way * at):
            step *= 2
            at, bad = max(0, at - step), at
    while bad - at > 1:
        middle = (at + bad) // 2
        at, bad = (middle, bad) if good(first + way * middle) else (at, middle)
    return first + way * at


def _cuts(text: str, size: int, count: Count, levels: Sequence[Level]) -> list[int]:
    """Where the text may be cut, 0 and its end among it: units between cuts have at most so many tokens."""
    cuts, few = [0, len(text)], size - count("")

    def is_long(start: int, end: int) -> bool:
        if MOST_TOKENS_PER_CHARACTER * (end - start) <= few:
            return False
        beginning = start + CHARACTERS_PER_TOKEN * size
        if end > beginning and count(text[start:beginning]) > size:
            return True
        return count(text[start:end]) > size

    for level in levels:
        refined = [0]
        for start, end in pairwise(cuts):
            if is_long(start, end):
                refined += level(text, start, end)
            refined.append(end)
        cuts = refined
    for start, end in pairwise(cuts):
        if end - start == 1 and is_long(start, end):
            raise UsageError(
                f"the character {text[start]!r} at {start} has more tokens than the {size} that a chunk has "
                "beside its overlap; make chunks larger"
            )
    return cuts


Level: TypeAlias = "Callable[[str, int, int], Iterator[int]]"


def _matches(pattern: re.Pattern[str]) -> Level:
    def level(text: str, start: int, end: int) -> Iterator[int]:
        return (found.end() for found in pattern.finditer(text, start, end) if found.end() < end)

    return level


def _sentences(text: str, start: int, end: int) -> Iterator[int]:
    for found in SENTENCE.finditer(text, start, end):
        before = text[max(start, found.start() - LONGEST_SHORTENED) : found.start() + 1]
        goes_on = SHORTENED.search(before) is not None and not BLANK_LINE.search(found.group())
        if found.end() < end and not goes_on:
            yield found.end()


def _blocks(text: str, start: int, end: int) -> Iterator[int]:
    """Ends of blocks of Markdown: at blank lines and before headings, never in code or after a heading."""
    fence, after_heading, blank, at = "", False, False, start
    for line in text[start:end].splitlines(keepends=True):
        heading = not fence and HEADING.match(line) is not None
        starts = at > start and not fence and line.strip() and (blank or heading) and not after_heading
        if starts:
            yield at
        if line.strip():
            marks = FENCE.match(line)
            if marks and not fence:
                fence = marks[1]
            elif marks and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            after_heading = heading
        blank = not line.strip()
        at += len(line)


def _characters(text: str, start: int, end: int) -> Iterator[int]:
    """Ends of characters as they are seen: a letter with its marks, a picture made of several."""
    since = start
    for at in range(start + 1, end):
        if at - since >= LONGEST_CLUSTER or not _clings(text[at - 1], text[at]):
            yield at
            since = at


def _clings(before: str, after: str) -> bool:
    if after < "\u0300":  # Latin, figures, blanks: by far the most
        return before == "\r" and after == "\n"
    return (
        JOINER in (before, after)
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or all("\U0001f1e6" <= one <= "\U0001f1ff" for one in (before, after))
    )


def _code_points(_: str, start: int, end: int) -> Iterator[int]:
    return iter(range(start + 1, end))


WORDS: tuple[Level, ...] = (_matches(WORD), _characters, _code_points)
LEVELS: dict[By, tuple[Level, ...]] = {
    "sentence": (_sentences, *WORDS),
    "paragraph": (_matches(BLANK_LINE), _sentences, *WORDS),
    "markdown": (_blocks, _matches(LINE), _sentences, *WORDS),
}
