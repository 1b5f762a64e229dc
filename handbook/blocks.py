"""The code blocks of a page, in order, each with its language, its title and its line.

In: Markdown. Out: blocks as they stand. A title names the file that a block is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """One block. language, title: empty where there is none. title: the file that it is. line: from 1."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of the page. A fence that is written in another way is a ValueError: it would be missed."""
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    fences = text.count("```")
    if fences != 2 * len(found):
        raise ValueError(
            f"{page} has {fences} fences, of which {2 * len(found)} were read; write ```LANGUAGE"
        )
    for match in found:
        yield Block(
            match["language"], match["title"] or "", match["text"], text.count("\n", 0, match.start()) + 1
        )
