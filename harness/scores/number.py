"""The scorer for answers that are numbers.

In: an answer. Out: 1 when its number is close enough to the target, else 0. It reads numbers
written in digits; words, fractions such as 1/2 and arithmetic are not evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import TYPE_CHECKING, ClassVar, Literal

from harness.errors import UsageError
from harness.scores.answer import Answer, judged, target_texts
from harness.scores.text import picked

if TYPE_CHECKING:
    from harness.records import Score

# Decimal, so that 1.1 is within 0.1 of 1.0; 50 digits; a result out of range is infinite, not an error.
ARITHMETIC = Context(prec=50, traps=[])
# Longer runs of digits are identifiers or noise; no target has so many.
LONGEST_NUMBER = 400

# Minus signs and the en dash, full-width forms, an apostrophe, and the spaces that keep thousands together.
PLAIN = str.maketrans(
    "\u2212\ufe63\uff0d\u2013\uff0b\uff05\uff0e\uff0c\u2019\u00a0\u2009\u202f",
    "----+%.,'___",
)
RAISED = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")
RAISED_RUN = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


def _pattern(decimal: str) -> re.Pattern[str]:
    """Numbers with this decimal mark; the other mark, apostrophe and underscore group thousands."""
    mark, grouping = (r"\.", ",") if decimal == "." else (",", r"\.")
    return re.compile(
        # Not inside a word, a version or a power: GPT-4 holds 4, 3-5 ends in 5, v2.0 and x^2 hold none.
        rf"(?<![A-Za-z0-9^])(?<!\d{mark})(?<!\^[-+{{])(?P<sign>[+-]?)[$€£¥]?"
        rf"(?P<whole>\d{{1,3}}(?:[{grouping}'_]\d{{3}})+(?!\d)|\d++)?"
        rf"(?(whole)(?:{mark}(?P<part>\d++))?+|{mark}(?P<only_part>\d++))(?!{mark}\d)"
        r"(?:[eE](?P<exponent>[+-]?\d+)"
        r"|[\s_]?(?:[x*\u00d7\u00b7]|\\times|\\cdot)[\s_]?10\^\{?(?P<power>[+-]?\d+)\}?"
        r"|\^\{?(?P<raised>[+-]?\d+)\}?)?"
        r"(?P<percent>[\s_]?\\?%)?"
    )


PATTERNS: Mapping[str, re.Pattern[str]] = {mark: _pattern(mark) for mark in (".", ",")}


@dataclass(frozen=True, slots=True)
class _Reading:
    """A number as written: 42 percent has value 42 and `percent`."""

    value: Decimal
    percent: bool

    def meanings(self) -> tuple[Decimal, ...]:
        """The values it may stand for."""
        return (self.value, ARITHMETIC.divide(self.value, Decimal(100))) if self.percent else (self.value,)

    def text(self) -> str:
        """The number in one spelling: 1,000.0 and 1e3 are both "1000"."""
        plain = ARITHMETIC.normalize(self.value)
        written = f"{plain:f}" if -7 <= plain.adjusted() <= 20 else str(plain)
        return ("0" if plain.is_zero() else written) + "%" * self.percent


@dataclass(frozen=True)
class Number:
    """1 if the answer's number is within the tolerance of the target, else 0; the label is the number read.

    tolerance: largest absolute difference, the end counts; relative: largest difference as a share of
    the target; the wider of the two holds, and by default the numbers have to be equal.
    pick: which number of the answer counts, the last (where reasoning ends) or the first.
    decimal: the decimal mark, "." as in 1,234.5 or "," as in 1.234,5.

    Read are signs (the Unicode minus too), separators of thousands (the other mark, apostrophe,
    no-break space), decimals, 1e-3, 3 x 10^8 and percent. Not read are numbers right behind a letter
    (H2), parts of versions (1.2.3), powers of anything but 10 (5^2), and beyond 400 characters.
    A percentage may stand for what is written or for its hundredth: 42% meets the targets 42 and 0.42;
    against a target with a percent sign, only as written. A target that is a text is read like an answer.
    No number in the answer: value 0. No number in the target: unscored.
    Source: last-number extraction as used for GSM8K (Cobbe et al. 2021, arXiv 2110.14168).
    """

    tolerance: float = 0.0
    relative: float = 0.0
    pick: Literal["first", "last"] = "last"
    decimal: Literal[".", ","] = "."
    name: str = "number"
    version: int = field(default=1, init=False)
    of_classes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for what, value in (("tolerance", self.tolerance), ("relative", self.relative)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"scorer {self.name!r}: {what} is {value!r}, expected a number from 0 up")

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1."""
        found = self._read(answer.text)
        label = found.text() if found else None
        targets = [self._read_target(option) for option in _options(answer)]
        wanted = [target for target in targets if target is not None]
        if not wanted:
            reason = f"target {answer.sample.target!r:.80} is not a number"
            return judged(self, answer, None, label=label, reason=reason)
        if found is None:
            return judged(self, answer, 0.0, reason="no number found")
        if any(self._close(found, target) for target in wanted):
            return judged(self, answer, 1.0, label=label)
        expected = " or ".join(target.text() for target in wanted)
        return judged(self, answer, 0.0, label=label, reason=f"found {label}, expected {expected}")

    def _close(self, found: _Reading, target: _Reading) -> bool:
        if found.percent and target.percent:
            pairs = [(found.value, target.value)]
        else:
            pairs = [(mine, theirs) for mine in found.meanings() for theirs in target.meanings()]
        return any(self._within(mine, theirs) for mine, theirs in pairs)

    def _within(self, found: Decimal, target: Decimal) -> bool:
        share = ARITHMETIC.multiply(Decimal(str(self.relative)), target.copy_abs())
        room = max(Decimal(str(self.tolerance)), share)
        return ARITHMETIC.abs(ARITHMETIC.subtract(found, target)) <= room

    def _read_target(self, target: str | float) -> _Reading | None:
        if isinstance(target, str):
            return self._read(target)
        value = Decimal(target) if isinstance(target, int) else Decimal(str(target))
        return _Reading(value, percent=False) if value.is_finite() else None

    def _read(self, text: str) -> _Reading | None:
        return picked(self._readings(text), self.pick)

    def _readings(self, text: str) -> Iterator[_Reading]:
        plain = RAISED_RUN.sub(lambda run: "^" + run[0].translate(RAISED), text.translate(PLAIN))
        for match in PATTERNS[self.decimal].finditer(plain):
            if match.end() - match.start() <= LONGEST_NUMBER and (reading := _reading(match)):
                yield reading


def _options(answer: Answer) -> list[str | int | float]:
    """The targets as they are: a number keeps its type, whatever the decimal mark of texts is."""
    target = answer.sample.target
    options = target if isinstance(target, list) else [target]
    usable = bool(target_texts(target)) and not any(isinstance(option, bool) for option in options)
    return [option for option in options if isinstance(option, str | int | float)] if usable else []


def _reading(match: re.Match[str]) -> _Reading | None:
    """The number matched; `None` for a power of anything but 10, and beyond what can be computed with."""
    whole = re.sub(r"\D", "", match["whole"] or "0")
    part = match["part"] or match["only_part"] or "0"
    exponent = match["exponent"] or match["power"] or "0"
    if match["raised"]:
        if match["whole"] != "10" or match["part"]:
            return None
        whole, exponent = "1", match["raised"]
    value = ARITHMETIC.create_decimal(f"{match['sign']}{whole}.{part}e{exponent}")
    return _Reading(value, percent=match["percent"] is not None) if value.is_finite() else None
