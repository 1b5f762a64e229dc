"""How answers are read, whichever lane they came through: what of a text is answer, why it ended, its counts.

In: what a server said, word for word. Out: what it means, in the same words for all servers. The store's key
does not know the lane, so both must make the same of the same answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.calls.faults import kind_of_error, safe
from harness.calls.provider import ProviderFault
from harness.clock import Clock
from harness.records import Usage

MOST_TOKENS = 2**31  # no request has as many, and no more fit the columns of a database
FAILED = "error"  # the reason of an answer that broke off, or never began, with status 200
# Other servers' words for the reasons that all have, as litellm translates them; but what it takes for the
# regular end of an answer, and is a failure, stays one. Any other word stays as it is.
REASONS = {
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn", "COMPLETE", "STOP"), "stop"),
    **dict.fromkeys(("max_tokens", "MAX_TOKENS"), "length"),
    **dict.fromkeys(("refusal", "content_filtered", "sensitive", "guardrail_intervened"), "content_filter"),
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
    **dict.fromkeys(("ERROR_TOXIC", "LANGUAGE", "OTHER"), "content_filter"),
    **dict.fromkeys(("error", "ERROR", "network_error"), FAILED),
}
# The tags that litellm knows: it takes out the first such block that an answer begins with, and no other.
_OPENS = re.compile(r"\s*<(?:think|thinking|budget:thinking)>")
_CLOSES = re.compile(r"</(?:think|thinking|budget:thinking)>")
# Of models whose template opens the block in the prompt: only its end is said, on a line of its own.
_LONE_END = re.compile(r"^[ \t]*</think>", re.MULTILINE)
_LONGEST_TAG = len("</budget:thinking>")
_NUMBER = re.compile(r"\d{1,10}(?:\.0+)?", re.ASCII)


def answer_of(text: str) -> str:
    """The text without the thoughts that a reasoning model wrote down before it.

    Blocks in <think> at the beginning are none of the answer, nor is one that has no end: there, the thoughts
    were all that came. Whatever follows the last of them is kept to the letter.
    """
    while "think>" in text or "thinking>" in text:
        opened = _OPENS.match(text)
        end = _CLOSES.search(text, opened.end()) if opened else _lone_end(text)
        if end is None:
            return "" if opened else text
        text = text[end.end() :]
    return text


def _lone_end(text: str) -> re.Match[str] | None:
    end = _LONE_END.search(text)
    return end if end and "<think>" not in text[: end.start()] else None


@dataclass(slots=True)
class StreamedText:
    """A text that comes in pieces. sent: when its request went out, by the clock.

    first_token_s: seconds from then to the first piece of the answer, thoughts left out; `None` before it.
    """

    clock: Clock
    sent: float
    first_token_s: float | None = None
    _pieces: list[str] = field(default_factory=list[str])

    @property
    def begun(self) -> bool:
        """Whether anything has come, thoughts included."""
        return bool(self._pieces)

    def add(self, piece: str) -> None:
        """Take in the next piece; an empty one is none."""
        if not piece:
            return
        self._pieces.append(piece)
        if ">" in piece and "think" in "".join(self._pieces[-_LONGEST_TAG:]):
            self._time_again(piece)
        elif self.first_token_s is None:
            self.first_token_s = self.clock.monotonic() - self.sent

    def answer(self) -> str:
        """What has come of the answer."""
        return answer_of("".join(self._pieces))

    def _time_again(self, piece: str) -> None:
        """A tag may have ended: what came so far may have been thoughts."""
        answer = self.answer()
        if not answer:
            self.first_token_s = None
        elif self.first_token_s is None or len(answer) <= len(piece):
            self.first_token_s = self.clock.monotonic() - self.sent


def reason_of(stated: object) -> str | None:
    """Why an answer ended, in the word that all servers have for it where they have one."""
    return REASONS.get(stated, stated) if isinstance(stated, str) and stated else None


def count(stated: object) -> int | None:
    """A number of tokens as a provider states it; anything that cannot be one is unknown.

    A negative or a huge count would move the ledger, and with it the cap. Some servers write 12.0 or "12".
    """
    # By its type, not as an instance: true and false are numbers to Python.
    if type(stated) is int:
        return stated if 0 <= stated < MOST_TOKENS else None
    if stated is None or not isinstance(stated, float | str) or not _NUMBER.fullmatch(str(stated)):
        return None
    return count(int(float(stated)))


def read_usage(usage: Mapping[str, Any] | None) -> Usage:
    """Token counts of an OpenAI `usage` object; what it does not state stays unknown."""
    if not usage:
        return Usage()
    prompt = usage.get("prompt_tokens_details") or {}
    output = usage.get("completion_tokens_details") or {}
    return usage_of(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        total=count(usage.get("total_tokens")),
        cached=count(prompt.get("cached_tokens")),
        reasoning=count(output.get("reasoning_tokens")),
        written=count(prompt.get("cache_write_tokens")),
    )


def usage_of(
    prompt: int | None,
    output: int | None,
    *,
    total: int | None,
    cached: int | None,
    reasoning: int | None,
    written: int | None,
) -> Usage:
    """The usage that these counts state, as it is billed.

    Where no token was read, none was counted: a server that fills in zeros has said nothing. Some leave the
    thoughts out of the tokens of their answers, and put them beside (xAI), or into the total alone (Google).
    """
    if not prompt:
        return Usage()
    if output is not None:
        if reasoning and reasoning > output:
            output += reasoning
        if total and total - prompt > output:
            output = count(total - prompt)
    return Usage(
        input_tokens=prompt,
        cached_input_tokens=cached,
        output_tokens=output,
        reasoning_tokens=reasoning,
        cache_write_tokens=written,
    )


def stated_fault(error: object, key: str | None) -> ProviderFault:
    """The fault of an error that came where an answer was expected. key: kept out of its message."""
    shown = safe(f"an error in place of an answer: {json.dumps(error, default=str)}", key)
    return ProviderFault(kind_of_error(error), shown, billed=True)
