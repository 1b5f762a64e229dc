"""Scorers that users bring along: classes and functions by dotted path, or handed over in Python.

In: `my_team.scorers:Politeness`, or the object itself. Out: a scorer that keeps every promise of the built-in
ones, whatever the code behind it does: what it raises, and what is no score, leaves the answer unscored, with
the reason. Code is loaded only with permission.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from harness.errors import UsageError
from harness.fingerprint import fingerprint
from harness.records import JsonValue, Sample, Score
from harness.scores.answer import Answer, AnyScorer, ChecksSamples, judged, target_texts
from harness.scores.arguments import Makers, build, first_argument

# What stands in a spec for an object that was handed over in Python.
GIVEN = "given"
LONGEST_REASON = 300
ALLOW = "allow it with --allow-code (allow_code=True in Python) for specs that you trust"


@dataclass(frozen=True, slots=True)
class Permission:
    """What a spec may run. allow_code: code that it names or models write. given: objects by name."""

    allow_code: bool = False
    given: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Own:
    """A scorer of a user's own. judge: what gives a truth value, a number from 0 to 1, or a `Score`.

    checks: what says by itself which samples it can judge, and how it names targets. `None`: every sample is
    judged, for a target need not have the form of an answer, which such a scorer may read as it likes.
    code: fingerprint of the module it was loaded from; empty where its form has one.
    """

    judge: Callable[[Answer], object]
    name: str
    version: int = 1
    checks: ChecksSamples | None = None
    code: str = ""

    def score(self, answer: Answer) -> Score:
        """The judgement, under the name and version of the scorer; unscored when there is none."""
        return _guarded(self, answer, lambda: self.judge(answer))

    def fault(self, sample: Sample) -> str | None:
        """Why no answer to this sample could be judged, if `checks` says so."""
        return None if self.checks is None else self.checks.fault(sample)

    def target_label(self, sample: Sample) -> str | None:
        """The label that it reads from the target, given as an answer; `None` for none."""
        if self.checks is not None:
            return self.checks.target_label(sample)
        texts = target_texts(sample.target)
        return self.score(Answer(sample=sample, text=texts[0])).label if texts else None


@dataclass(frozen=True)
class OwnRepeats:
    """A scorer of a user's own that judges all answers to a sample together; else as `Own`."""

    judge: Callable[[Sequence[Answer]], object]
    name: str
    version: int = 1
    code: str = ""

    def score_repeats(self, answers: Sequence[Answer]) -> Score:
        """The judgement, under the name and version of the scorer; unscored when there is none."""
        return _guarded(self, answers[0], lambda: self.judge(answers))


def named(path: str, given: JsonValue | Mapping[str, JsonValue], makers: Makers) -> AnyScorer:
    """The scorer at a dotted path such as `my_team.scorers:Politeness`, with the arguments that a spec gives.

    Modules are looked for as Python does, and in the working folder. Raises UsageError when there is nothing
    usable at the path.
    """
    module_name, _, attribute = path.partition(":")
    with _working_folder():
        try:
            module = importlib.import_module(module_name)
            found = getattr(module, attribute)
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"scorer {path!r} cannot be loaded: {type(error).__name__}: {error}; expected module:name of "
                "something that Python can import from here"
            ) from error
    if not isinstance(found, type):
        if given is not None:
            raise UsageError(f"scorer {path!r} is a function and takes no arguments; found {given!r:.80}")
        return _coded(wrapped(found), module)
    if not dataclasses.is_dataclass(found):
        raise UsageError(
            f"scorer {path!r} is a class, but no dataclass: its fields are the arguments of a spec"
        )
    if isinstance(given, Mapping):
        arguments = cast("Mapping[str, JsonValue]", given)
    else:
        arguments = {} if given is None else {first_argument(found): given}
    try:
        made = build(f"scorer {path!r}", cast("type[object]", found), arguments, makers)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            f"scorer {path!r} cannot be made with {arguments!r:.80}: {type(error).__name__}: {error}; "
            "correct its arguments, or the class"
        ) from error
    return _coded(wrapped(made), module)


def _coded(scorer: Own | OwnRepeats, module: ModuleType) -> Own | OwnRepeats:
    try:
        return replace(scorer, code=fingerprint(inspect.getsource(module)))
    except (OSError, TypeError):
        return scorer  # compiled: its version alone says that it is another one


def wrapped(thing: object) -> Own | OwnRepeats:
    """The object as a scorer: a function of an answer, or an instance with `score` or `score_repeats`.

    Its name is `name`, else that of the function; its version `version`, else 1. With `fault` and
    `target_label` it says itself what it can judge, see `ChecksSamples`. Raises UsageError for anything else.
    """
    name, version = name_of(thing), getattr(thing, "version", 1)
    if not isinstance(version, int) or isinstance(version, bool):
        raise UsageError(f"scorer {name!r} has the version {version!r}; expected a whole number, as in 2")
    checks = thing if isinstance(thing, ChecksSamples) else None
    for method in ("score", "score_repeats"):
        judge = getattr(thing, method, None)
        if callable(judge):
            _require_one_argument(judge, f"{name}.{method}")
            return (
                Own(judge, name, version, checks) if method == "score" else OwnRepeats(judge, name, version)
            )
    if not callable(thing):
        raise UsageError(
            f"{thing!r:.80} is no scorer; expected a function of an answer, or an object with `score`"
        )
    _require_one_argument(thing, name)
    return Own(thing, name, version, checks)


def _require_one_argument(judge: Callable[..., object], name: str) -> None:
    try:
        signature = inspect.signature(judge)
    except (TypeError, ValueError):
        return  # of code that is not Python's
    try:
        signature.bind(None)
    except TypeError as error:
        raise UsageError(
            f"scorer {name!r} is {name}{signature}, expected one argument, the answer: its `text`, and "
            "`sample` with `inputs`, `target` and `metadata`"
        ) from error


def is_own(thing: object) -> bool:
    """Whether this is something that `wrapped` takes, and no JSON."""
    return callable(thing) or callable(getattr(thing, "score", None)) or hasattr(thing, "score_repeats")


def name_of(thing: object) -> str:
    """What the scores of this object are called."""
    name = getattr(thing, "name", None) or getattr(thing, "__name__", type(thing).__name__)
    return str(name).strip("<>")


def form_of(thing: object) -> dict[str, JsonValue]:
    """What stands for this object in a spec: its name, and a checksum of its source where that can be had."""
    return {GIVEN: {"name": name_of(thing), "source": _checksum(thing)}}


def handed_over(form: JsonValue, permission: Permission) -> AnyScorer:
    """The object that `form_of` wrote down. Raises UsageError when it is gone, or another one by now."""
    asked = cast("Mapping[str, JsonValue]", form) if isinstance(form, Mapping) else {}
    name = str(asked.get("name"))
    if name not in permission.given:
        raise UsageError(
            f"scorer {name!r} was given in Python and is not here; give it again, as in scorers=[{name}]"
        )
    thing = permission.given[name]
    if _checksum(thing) != asked.get("source"):
        raise UsageError(f"scorer {name!r} has changed since the run began; give the one that it began with")
    return wrapped(thing)


def _checksum(thing: object) -> str | None:
    try:
        source = inspect.getsource(cast("Any", thing if callable(thing) else type(thing)))
    except (OSError, TypeError):
        return None
    values = {} if not dataclasses.is_dataclass(thing) else vars(thing)
    return fingerprint([source, repr(sorted(values.items()))])


def _guarded(scorer: AnyScorer, answer: Answer, judge: Callable[[], object]) -> Score:
    try:
        found = judge()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody else's code may raise anything
        reason = f"it raised {type(error).__name__}: {error}"[:LONGEST_REASON]
        return judged(scorer, answer, None, reason=reason)
    known = found if isinstance(found, Score) else judged(scorer, answer, _number(found))
    value, reason = known.value, known.reason
    if value is None and not reason:
        reason = f"it gave {found!r:.80}; expected true, false, a number from 0 to 1, or a Score"
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        value, reason = None, f"it gave {value!r}; expected a number from 0 to 1"
    return judged(scorer, answer, value, label=known.label, reason=reason)


def _number(found: object) -> float | None:
    if isinstance(found, str | bytes):
        return None
    try:
        return float(cast("Any", found))
    except (TypeError, ValueError, OverflowError):
        return None


@contextmanager
def _working_folder() -> Generator[None]:
    """Let modules of the working folder be imported, as `python -m` does, for the time of this block."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
