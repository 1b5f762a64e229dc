"""The scorer for answers that name one of several labels.

In: an answer. Out: 1 when the label read from it is the target's, else 0. It reads what is written;
an answer that rejects a label by name still names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from harness.errors import UsageError
from harness.scores.answer import Answer, judged, target_texts
from harness.scores.text import folded

if TYPE_CHECKING:
    from harness.records import Score

# Thai to Khmer, Chinese, Japanese and Korean: written without spaces, or with endings attached, so
# that a letter of theirs beside a label does not make it a part of a longer word.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
LETTER = rf"[^\W{UNSPACED}]"
# Marks that people and models put around a label: quotes, brackets, Markdown, punctuation.
AROUND = " \t\r\n\"'`*_~.,:;!?()[]{}<>#-“”‘’«»„…。、！？：；"  # noqa: RUF001 - full-width marks are meant
LONGEST_LEAD = 60
LISTED_LABELS = 12

Name = str | float | bool


@dataclass(frozen=True)
class Choice:
    """1 if the label that the answer names is the target's, else 0; the label is the one read.

    labels: a list, or a mapping of each label to its aliases, as in `{billing: [invoice], bug: []}`.
    pick: what counts when an answer names several labels: the "first", the "last", or "only" (none).

    Labels and aliases are compared without regard to case, width and white space, and found as whole
    words only. The label of an answer is, by the first of these rules that applies:
    1. the whole answer, apart from punctuation around it, is a label;
    2. its last line of the form `Some words: label` names it;
    3. one label occurs in the text, once or more often;
    4. several labels occur: the one that `pick` says.
    None found, or several with `only`: value 0, no label. The target is matched by rule 1; a list as
    target holds alternatives; one that names no label leaves the sample unscored.
    Source: rule 1 is the quasi-exact match of HELM (Liang et al. 2022, arXiv 2211.09110), applied to
    punctuation at the ends only; rules 2 to 4 are ours.
    """

    labels: tuple[Name, ...] | Mapping[str, tuple[Name, ...]]
    pick: Literal["first", "last", "only"] = "first"
    name: str = "choice"
    version: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        if not self._names:
            raise UsageError(f"scorer {self.name!r}: labels is empty; list what an answer may be")

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1."""
        label, reason = self._read(answer.text)
        texts = target_texts(answer.sample.target)
        targets = [self.label_of(text) for text in texts]
        if not targets or None in targets:
            # Of alternatives, the one to correct is the one that is no label.
            strange = texts[targets.index(None)] if targets else answer.sample.target
            reason = f"target {strange!r:.80} is none of the labels {self._listed}"
            return judged(self, answer, None, label=label, reason=reason)
        if label in targets:
            return judged(self, answer, 1.0, label=label)
        return judged(self, answer, 0.0, label=label, reason=reason or f"read {label!r}, not the target")

    def label_of(self, text: str) -> str | None:
        """The label whose name or alias this text is, apart from punctuation around it."""
        plain = _plain(text)
        return self._names.get(plain) or self._names.get(plain.strip(AROUND))

    @cached_property
    def _listed(self) -> str:
        """The labels for a message; of very many, the first."""
        labels = list(dict.fromkeys(self._names.values()))
        more = f" and {len(labels) - LISTED_LABELS} more" if len(labels) > LISTED_LABELS else ""
        return ", ".join(labels[:LISTED_LABELS]) + more

    @cached_property
    def _names(self) -> dict[str, str]:
        """Label by plain name; a name of two labels would make answers ambiguous, and is refused."""
        listed = (
            self.labels if isinstance(self.labels, Mapping) else {_text(label): () for label in self.labels}
        )
        names: dict[str, str] = {}
        for label, aliases in listed.items():
            for name in (label, *aliases):
                plain = _plain(_text(name))
                if not plain:
                    raise UsageError(f"scorer {self.name!r}: {name!r} is an empty label or alias; remove it")
                if names.setdefault(plain, label) != label:
                    raise UsageError(
                        f"scorer {self.name!r}: {name!r} stands for {names[plain]!r} and for {label!r} "
                        "(case and white space do not count); keep one"
                    )
        if len(listed) < len(self.labels):
            raise UsageError(f"scorer {self.name!r}: labels are {self.labels!r}, one of them twice; keep one")
        return names

    def _read(self, text: str) -> tuple[str | None, str]:
        """The label and, without one, the reason."""
        stated = self.label_of(text) or self._stated_in_a_line(text)
        if stated:
            return stated, ""
        found = self._occurring(_plain(text))
        if not found:
            return None, "no label found"
        if self.pick == "only" and len(set(found)) > 1:
            return None, "several labels found: " + ", ".join(dict.fromkeys(found))
        return found[-1 if self.pick == "last" else 0], ""

    def _stated_in_a_line(self, text: str) -> str | None:
        for line in reversed(text.splitlines()):
            # Full-width colons are usual in Chinese and Japanese.
            plain = line.replace("：", ":")  # noqa: RUF001 - as said
            for lead, colon, rest in (plain.partition(":"), plain.rpartition(":")):
                label = self.label_of(rest) if colon and len(lead) <= LONGEST_LEAD else None
                if label:
                    return label
        return None

    def _occurring(self, plain: str) -> list[str]:
        """The labels in the order of their occurrences; of two names at one place, the longer."""
        # A plain search is far faster than the pattern, and most names do not occur in most answers.
        present = sorted((name for name in self._names if name in plain), key=len, reverse=True)
        if not present:
            return []
        pattern = re.compile("|".join(_whole_word(name) for name in present))
        return [self._names[match[0]] for match in pattern.finditer(plain)]


def _text(label: Name) -> str:
    """A label as text; YAML reads `true` and `3` as a boolean and a number."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _plain(text: str) -> str:
    return " ".join(folded(text).split())


def _whole_word(name: str) -> str:
    before = rf"(?<!{LETTER})" if re.match(LETTER, name) else ""
    after = rf"(?!{LETTER})" if re.match(LETTER, name[-1]) else ""
    return before + re.escape(name) + after
