"""The scorer for answers that are Python code, judged by unit tests.

In: an answer, and tests as the target. Out: 1 when the tests pass, else 0 with what stopped them. Code that a
model wrote is run in `sandbox`, never here.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from harness.errors import UsageError
from harness.fingerprint import fingerprint
from harness.scores.answer import Answer, judged
from harness.scores.sandbox import Ran, run, unavailable

if TYPE_CHECKING:
    from harness.records import JsonValue, Sample, Score

# The first line of a fenced block of Markdown; what stands behind it names the language, if anything does.
FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<language>[\w+.-]*)[^`]*")
LANGUAGES = ("", "python", "python3", "py", "py3")
FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)
# An answer that is longer is no program that somebody asked for.
LONGEST_CODE = 100_000
# Reports judge the same answers again; what a program did is remembered for so many of them.
REMEMBERED = 10_000
INDENT = "    "


@dataclass(frozen=True)
class PythonTests:
    """1 if the code in the answer passes the tests in the target, else 0; the reason says what stopped it.

    seconds: for one answer, of wall clock and of CPU. memory_mb: of address space. The target is Python text,
    or a list of such texts that are run one after the other; an `assert` that fails, any exception, and an
    exit before the end of the tests give 0. The code is the first fenced block of the answer that defines the
    wanted function, else the first one, else the whole answer; blocks in other languages do not count. Only
    the standard library can be imported.

    In HumanEval's format, the sample has a field `entry_point` (and `prompt`, the head of the function),
    among its inputs or metadata: the answer may then be the function as a whole or its body alone, what
    stands in the prompt before the function is kept, and `check(entry_point)` is called.

    isolation: "kernel" lets Landlock and seccomp refuse processes, network, signals, and files outside a
    temporary folder; where these are not to be had (they need Linux 5.13), the scorer cannot be built.
    "limits" leaves the limits alone, and is for containers that isolate by themselves. The sandbox protects
    the machine; a program that searches the memory of its own process for a way to fake its result is not
    ruled out. Runs only with permission (`--allow-code`). Unscored when the target is no Python, or the
    sandbox could not be set up.
    Source: functional correctness of HumanEval (Chen et al. 2021, arXiv 2107.03374).
    """

    runs_code: ClassVar[bool] = True

    seconds: float = 10.0
    memory_mb: int = 512
    isolation: Literal["kernel", "limits"] = "kernel"
    name: str = "python_tests"
    version: int = field(default=2, init=False)
    _known: dict[str, Future[Ran]] = field(
        default_factory=dict[str, "Future[Ran]"], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise UsageError(
                f"scorer {self.name!r}: seconds is {self.seconds!r}, expected above 0, at most 3600"
            )
        if self.memory_mb < 64:
            raise UsageError(f"scorer {self.name!r}: memory_mb is {self.memory_mb!r}, expected at least 64")
        missing = unavailable(isolated=self.isolation == "kernel")
        if missing:
            raise UsageError(
                f"scorer {self.name!r} cannot isolate programs: {missing}. Inside a container of its own, "
                "`isolation: limits` runs them without"
            )

    def score(self, answer: Answer) -> Score:
        """Value 0 or 1; no label."""
        fault = self.fault(answer.sample)
        if fault is not None:
            return judged(self, answer, None, reason=fault)
        if len(answer.text) > LONGEST_CODE:
            return judged(self, answer, 0.0, reason=f"longer than {LONGEST_CODE} characters")
        program = _program(answer)
        if not program:
            return judged(self, answer, 0.0, reason="the answer is empty")
        ran = self._run(program).result()
        value = None if not ran.safe else float(ran.passed)
        return judged(self, answer, value, reason=ran.reason)

    def begin(self, answer: Answer) -> None:
        """Start the answer's program, beside others; `score` waits for its end."""
        if self.fault(answer.sample) is None and len(answer.text) <= LONGEST_CODE:
            program = _program(answer)
            if program:
                self._run(program)

    def fault(self, sample: Sample) -> str | None:
        """Why no answer to this sample could be judged: tests that are no Python."""
        tests = _tests(sample.target)
        if not tests.strip():
            return f"target {sample.target!r:.80} holds no tests; expected Python text, or a list of it"
        try:
            compile(tests, "<tests>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"the tests in the target are no Python: {error}"
        return None

    def target_label(self, _: Sample, /) -> str | None:
        """None: tests are no label, and finding out must not run them."""
        return None

    def _run(self, program: str) -> Future[Ran]:
        key = fingerprint(program)
        known = self._known.get(key)
        if known is None:
            isolated = self.isolation == "kernel"
            known = _pool().submit(
                run, program, seconds=self.seconds, memory_mb=self.memory_mb, isolated=isolated
            )
            self._known[key] = known
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return known


@cache
def _pool() -> ThreadPoolExecutor:
    """As many programs at a time as there are cores."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="programs")


def _program(answer: Answer) -> str:
    """The answer's code with its tests behind it; empty when there is no code."""
    entry, prompt = _text(answer.sample, "entry_point"), _text(answer.sample, "prompt")
    name = re.escape(entry)
    defined = (
        re.compile(rf"^(?:(?:async )?def {name}\b|{name} *(?::[^=\n]+)?=)", re.MULTILINE) if entry else None
    )
    blocks = list(_blocks(answer.text))
    wanted = [block for block in blocks if defined and defined.search(block)]
    code = (wanted or blocks or ["\n".join(answer.text.splitlines())])[0]
    if not code.strip():
        return ""
    tests = _tests(answer.sample.target)
    if defined is None:
        return f"{code}\n\n{tests}\n"
    # Only at the top of a program may these stand.
    future, code = "".join(FUTURE.findall(code)), FUTURE.sub("", code)
    head = defined.search(prompt)
    if defined.search(code):
        # Imports and other functions that the prompt gives, without the head that the answer repeats.
        code = f"{prompt[: head.start()] if head else ''}\n{code}"
    else:
        code = f"{prompt}{_indented(code)}"
    call = f"check({entry})\n" if re.search(r"^def check\b", tests, re.MULTILINE) else ""
    return f"{future}{code}\n\n{tests}\n{call}"


def _blocks(text: str) -> Iterator[str]:
    """The fenced blocks that may hold Python, each without the indentation that all its lines share."""
    lines = iter(text.splitlines())
    for line in lines:
        fence = FENCE.fullmatch(line)
        if fence is None:
            continue
        end = re.compile(rf"[ \t]*{fence['marks'][0]}{{{len(fence['marks'])},}}[ \t]*")
        inside = list(takewhile(lambda one: end.fullmatch(one) is None, lines))  # noqa: B023 - used at once
        if fence["language"].lower() in LANGUAGES:
            yield textwrap.dedent("\n".join(inside))


def _indented(body: str) -> str:
    """The body of a function, as deep as it belongs.

    Many interfaces cut white space at the ends of an answer, and with it the first line's indentation; others
    cut that of all lines.
    """
    first, *more = body.splitlines()
    if first[:1].isspace():
        return body
    depths = [len(line) - len(line.lstrip()) for line in more if line.strip()]
    shallow = 0 in depths or (first.rstrip().endswith(":") and depths and depths[0] <= len(INDENT))
    return textwrap.indent(body, INDENT) if shallow else INDENT + body


def _tests(target: JsonValue) -> str:
    parts = target if isinstance(target, list) else [target]
    return "\n".join(part for part in parts if isinstance(part, str))


def _text(sample: Sample, name: str) -> str:
    """A field of the sample that is text; empty without one."""
    for place in (sample.inputs, sample.metadata):
        found = cast("Mapping[str, object]", place).get(name)
        if isinstance(found, str):
            return found
    return ""
