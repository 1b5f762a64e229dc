"""Answers that people called good or bad, against which a judge is measured.

In: a JSON Lines file. Out: samples with an answer and a label each. Must not ask the judge.

    {"text": "My invoice is wrong", "answer": "I am sorry; a corrected one is on its way.", "good": true}

Every other column is an input of the sample, as in the task's own rows; `target` is its target.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, Problem, UsageError
from harness.fingerprint import fingerprint
from harness.plan.columns import ID_DIGITS, Fault, parse_line
from harness.records import JsonValue, Sample
from harness.scores.answer import Answer
from harness.scores.judge import Judge

FEWEST = 20  # labelled answers: with fewer, even a very good judge is hardly told from chance
FEWEST_OF_EACH = 5  # good and bad ones
LISTED = 20
OWN = ("answer", "good", "target", "id")


@dataclass(frozen=True, slots=True)
class Labelled:
    """An answer of known quality."""

    answer: Answer
    good: bool


def read_labelled(judge: Judge, folder: Path) -> tuple[Labelled, ...]:
    """The labelled answers of a judge, in file order; none when it names no file.

    folder: that of the spec. Raises UsageError when there is no such file, DataError with the faults of its
    rows, or when there are fewer than 20 of them, or fewer than 5 good or bad ones.
    """
    if judge.labelled is None:
        return ()
    path = folder / judge.labelled
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"names labelled answers in {judge.labelled!r}, but {path} cannot be read: {error.strerror}; "
            "correct the path"
        ) from error
    found: list[Labelled] = []
    faults: list[Problem] = []
    first_at: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, judge)
        if isinstance(row, Labelled):
            row = _new(row, first_at, number)
        if isinstance(row, Fault):
            faults.append(Problem(str(path), number, "", row.message))
        else:
            found.append(row)
    good = sum(row.good for row in found)
    if not faults and (len(found) < FEWEST or min(good, len(found) - good) < FEWEST_OF_EACH):
        message = (
            f"holds {good} good and {len(found) - good} bad answers; a judge is measured with at least "
            f"{FEWEST}, {FEWEST_OF_EACH} of each: label more, or remove labelled from judge {judge.name!r}"
        )
        faults.append(Problem(str(path), None, "", message))
    if faults:
        raise DataError(faults[:LISTED])
    return tuple(found)


def _new(row: Labelled, first_at: dict[str, int], line: int) -> Labelled | Fault:
    """The row, unless an earlier one has its answer: of both the judge says the same, no more evidence.

    first_at: lines by what a judge is shown; this one is added.
    """
    sample = row.answer.sample
    first = first_at.setdefault(fingerprint([row.answer.text, sample.inputs, sample.target]), line)
    if first == line:
        return row
    return Fault(f"repeats the answer of line {first}, which counts once; label another answer in its place")


def _row(line: bytes, judge: Judge) -> Labelled | Fault:
    record = parse_line(line)
    if isinstance(record, Fault):
        return record
    answer, good = record.get("answer"), record.get("good")
    if not isinstance(answer, str) or not isinstance(good, bool):
        return Fault("needs `answer`, a text, and `good`, true or false, as a person judged it")
    inputs: dict[str, JsonValue] = {name: value for name, value in record.items() if name not in OWN}
    sample = Sample(
        id=f"labelled-{fingerprint(record)[:ID_DIGITS]}",
        inputs=inputs,
        target=record.get("target"),
        split="search",
    )
    fault = judge.fault(sample)
    return Fault(f"{fault}; add it") if fault else Labelled(Answer(sample=sample, text=answer), good)
