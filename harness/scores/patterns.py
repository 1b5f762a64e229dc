r"""Which regular expressions could keep a run waiting for ever, found before any answer is read.

In: a pattern of Python's `re`. Out: whether it repeats a part ambiguously. `re` has no time limit, and
a match under way cannot be stopped, so such a pattern is refused rather than watched.

The rule: inside a repeat, the next character alone decides how to go on. Where it does, no stretch of text
can be shared out among the rounds of the repeat in two ways, and going back cannot take exponential time.
`(a+)+` and `(\w+ ?)*` break it, `(?:\w+, )*` keeps it, and a possessive part, as in `(a++)+`, decides for
itself. Outside a repeat several ways are allowed: `.*a.*b` takes time by a power of the text's length, which
is what a bound on that length is for. The rule keeps to the safe side: of what it refuses, some would end.
Source: one-unambiguous expressions, Brüggemann-Klein and Wood 1998 (Information and Computation 142); ours
compares sets of characters instead of positions, which refuses `(a+)+` too.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# What sets of characters are compared on, besides the characters in the pattern itself: all of ASCII, and a
# letter, a digit, a space, a line end and a sign from beyond it.
PROBES = frozenset(map(chr, range(128))) | frozenset("éЖ中٣\u2028\u00a0€")
NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a part of a pattern may match, as far as the rule needs it.

    empty: also the empty text. first: characters it may begin with. more: characters with which it may go
    on after it could have ended.
    """

    empty: bool = True
    first: frozenset[str] = NOTHING
    more: frozenset[str] = NOTHING


class _AmbiguousError(Exception):
    """A repeat whose rounds can be told apart in several ways."""


def repeats_ambiguously(pattern: str, flags: int = 0) -> bool:
    """Whether a repeat in this pattern breaks the rule. Raises what `re.compile` raises for a bad pattern."""
    # The parser behind re.compile; it has no public name.
    parser, compiler = importlib.import_module("re._parser"), importlib.import_module("re._compiler")
    tree = parser.parse(pattern, flags)
    try:
        _Reader(parser, compiler, PROBES | frozenset(pattern)).sequence(tree, tree.state.flags, inside=False)
    except _AmbiguousError:
        return True
    return False


class _Reader:
    """Walks through a parsed pattern; `inside`: within a repeat, where the rule holds."""

    def __init__(self, parser: Any, compiler: Any, probes: frozenset[str]) -> None:
        self._parser, self._compiler, self._probes = parser, compiler, probes

    def sequence(self, tree: Any, flags: int, *, inside: bool) -> _Shape:
        """The shape of parts that follow one another."""
        whole = _Shape()
        for part in tree:
            following = self._part(tree, part, flags, inside=inside)
            if inside:
                _refuse(whole.more & following.first)
                _refuse(whole.empty and whole.first & following.first)
            whole = _Shape(
                empty=whole.empty and following.empty,
                first=whole.first | following.first if whole.empty else whole.first,
                more=following.more | (whole.more | following.first if following.empty else NOTHING),
            )
        return whole

    def _part(self, tree: Any, part: Any, flags: int, *, inside: bool) -> _Shape:
        kind, value = str(part[0]), part[1]
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self._repeat(kind, value, flags, inside=inside)
        if kind == "SUBPATTERN":
            _, added, removed, body = value
            return self.sequence(body, (flags | added) & ~removed, inside=inside)
        if kind == "ATOMIC_GROUP":
            return _decided(self.sequence(value, flags, inside=False))
        if kind == "BRANCH":
            return self._either((self.sequence(one, flags, inside=inside) for one in value[1]), inside=inside)
        if kind in ("ASSERT", "ASSERT_NOT"):
            # It consumes nothing, but what it holds may take as long as any pattern.
            self.sequence(value[1], flags, inside=inside)
            return _Shape()
        if kind in ("AT", "GROUPREF", "GROUPREF_EXISTS"):
            return self._unread(kind, value, flags, inside=inside)
        return _Shape(empty=False, first=self._characters(tree, part, flags))

    def _repeat(self, kind: str, value: Any, flags: int, *, inside: bool) -> _Shape:
        low, high, tree = value
        again = int(high) > 1
        body = self.sequence(tree, flags, inside=inside or again)
        if again:
            _refuse(body.empty or body.more & body.first)
        # A round after the last needed one may begin with what the next part begins with.
        open_end = again and int(high) > int(low)
        shape = _Shape(
            empty=int(low) == 0 or body.empty,
            first=body.first,
            more=body.more | body.first if open_end else body.more,
        )
        return _decided(shape) if kind == "POSSESSIVE_REPEAT" else shape

    def _either(self, shapes: Iterable[_Shape], *, inside: bool) -> _Shape:
        whole = _Shape(empty=False)
        for shape in shapes:
            if inside:
                _refuse(whole.first & shape.first or (whole.empty and shape.empty))
            whole = _Shape(
                empty=whole.empty or shape.empty,
                first=whole.first | shape.first,
                more=whole.more | shape.more,
            )
        return whole

    def _unread(self, kind: str, value: Any, flags: int, *, inside: bool) -> _Shape:
        """Anchors match the empty text; what an earlier group held may be anything."""
        if kind == "AT":
            return _Shape()
        if kind == "GROUPREF":
            return _Shape(first=self._probes, more=self._probes)
        branches = [self.sequence(one, flags, inside=inside) for one in value[1:] if one]
        return self._either([*branches, *([_Shape()] if len(branches) < 2 else [])], inside=inside)

    def _characters(self, tree: Any, part: Any, flags: int) -> frozenset[str]:
        """The probes that a part for one character matches: `re` itself is asked."""
        one: re.Pattern[str] = self._compiler.compile(self._parser.SubPattern(tree.state, [part]), flags)
        return frozenset(character for character in self._probes if one.fullmatch(character))


def _decided(shape: _Shape) -> _Shape:
    """A part that never goes back: where it ends, nothing of it goes on."""
    return _Shape(empty=shape.empty, first=shape.first)


def _refuse(ambiguous: object) -> None:
    if ambiguous:
        raise _AmbiguousError
