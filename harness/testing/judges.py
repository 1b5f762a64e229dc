"""A judge of known errors, for tests of what is made of its verdicts.

In: judges' calls. Out: verdicts that err as often as stated, the same for the same call. It knows the truth
from what it is told, never from the prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.calls.provider import ProviderFault
from harness.fingerprint import share
from harness.records import Call, Reply
from harness.testing.scripted import as_reply


@dataclass
class SimulatedJudge:
    """Answers yes or no with a stated sensitivity and specificity, from 0 to 1.

    is_good: the truth about the answer that a call asks about. fault: asked first; a fault is raised.
    """

    is_good: Callable[[Call], bool]
    sensitivity: float = 0.9
    specificity: float = 0.9
    seed: int = 0
    fault: Callable[[Call], ProviderFault | None] | None = None
    calls: list[Call] = field(default_factory=list[Call])

    async def complete(self, call: Call) -> Reply:
        """One verdict. Raises what `fault` gives."""
        self.calls.append(call)
        if self.fault is not None and (fault := self.fault(call)) is not None:
            raise fault
        good = self.is_good(call)
        passing = self.sensitivity if good else 1 - self.specificity
        texts = [message.content for message in call.messages]
        verdict = "yes" if share(self.seed, "verdict", call.settings.model, texts) < passing else "no"
        return as_reply(call, json.dumps({"reason": "as simulated", "verdict": verdict}))

    async def close(self) -> None:
        """Nothing to let go of."""


def judged_answer(call: Call, name: str = "ANSWER") -> str:
    """The answer that a judge's call asks about, as it stands between its marks."""
    content = call.messages[-1].content
    begin = content.index(f"{name} ") if content.startswith(name) else content.index(f"\n{name} ") + 1
    head, _, rest = content[begin:].partition("\n")
    return rest.partition(f"\nend of {head}")[0]
