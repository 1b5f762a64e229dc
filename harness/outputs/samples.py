"""All answers of a run, packed for the page: what each trial scored on each sample, and what it answered.

In: rows of the per-sample table, as they pass by, trial after trial. Out: the same rows, and compressed
blocks of text for the page's script to open. Holds the answers of one trial at a time, and never more
compressed ones than the page may carry: those of the choice and of the finalists go first.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.findings import AnswerRow, RunRecord, Trial
from harness.outputs import numbers
from harness.outputs.files import encodable
from harness.outputs.report_parts import first_value, near_words, plain_text
from harness.records import Split

# Of base64 text in the page: with it, the page of 200 trials on 2,000 samples stays under 15 MB.
MOST_TEXT = 9_000_000
MOST_SAMPLES = 10_000  # of one split; later ones are in scores.parquet
LONGEST_ANSWER = 2_000
LONGEST_INPUT = 1_200
LONGEST_REASON = 600
# A score from 0 to 1 is one byte from 0 to FULL; above it stand what is no score.
FULL, UNSCORED, FAILED, NOT_ASKED = 250, 253, 254, 255


@dataclass(frozen=True, slots=True)
class Block:
    """Compressed text under the name of its element in the page."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSamples:
    """What the page carries. head: samples, trials and scores; answers: one block a trial and split.

    samples, trials: how many there are. notes: what was left out, in words.
    """

    head: Block
    answers: tuple[Block, ...]
    samples: int
    trials: int
    size: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Known:
    """The samples met so far, by their place."""

    places: dict[str, int] = field(default_factory=dict[str, int])
    splits: list[Split] = field(default_factory=list[Split])
    targets: list[str] = field(default_factory=list[str])
    inputs: list[str] = field(default_factory=list[str])
    per_split: dict[Split, int] = field(default_factory=dict[Split, int])


@dataclass(slots=True)
class _Answers:
    """The answers of one trial on one split, a list a column."""

    trial: int
    split: Split
    place: list[int] = field(default_factory=list[int])
    repeat: list[int] = field(default_factory=list[int])
    text: list[str | None] = field(default_factory=list["str | None"])
    score: list[float | None] = field(default_factory=list["float | None"])
    said: list[str] = field(default_factory=list[str])
    ended: list[str] = field(default_factory=list[str])
    seconds: list[float | None] = field(default_factory=list["float | None"])
    judged: dict[int, tuple[float, int, int]] = field(default_factory=dict[int, tuple[float, int, int]])

    def joined(self, place: int, row: AnswerRow) -> int:
        """The score of a sample after this repeat, as a byte: the mean of those that have one."""
        value = None if row.failure is not None else first_value(row)
        total, count, lost = self.judged.get(place, (0.0, 0, FAILED))
        if value is not None:
            total, count = total + min(1.0, max(0.0, value)), count + 1
        elif row.failure is None:
            lost = UNSCORED
        self.judged[place] = (total, count, lost)
        return round(FULL * total / count) if count else lost

    def packed(self) -> str:
        """All columns as compressed JSON."""
        columns: dict[str, object] = {
            "place": self.place,
            "repeat": self.repeat,
            "text": self.text,
            "score": self.score,
            "said": self.said,
            "ended": self.ended,
            "seconds": self.seconds,
        }
        return pack(columns)


class Samples:
    """Packs the answers of a run while its rows pass by. most_text: characters in the page, for answers."""

    def __init__(self, record: RunRecord, *, most_text: int = MOST_TEXT) -> None:
        self._record = record
        self._most_text = most_text
        self._known = _Known()
        self._rank = {trial.number: rank for rank, trial in enumerate(ranked(record))}
        self._scores: dict[int, bytearray] = {}
        self._near: dict[int, set[int]] = {}
        self._open: _Answers | None = None
        self._kept: dict[tuple[int, Split], str] = {}
        self._left_out: set[int] = set()
        self._beyond = 0

    def watching(self, rows: Iterable[AnswerRow]) -> Iterator[AnswerRow]:
        """The same rows, each packed on its way."""
        for row in rows:
            self._take(row)
            yield row
        self._close()

    def packed(self) -> PackedSamples | None:
        """What the page carries; `None` when no row passed by."""
        known = self._known
        if not known.places:
            return None
        head = pack(self._head())
        answers = tuple(
            Block(_name(number, split), text)
            for (number, split), text in sorted(self._kept.items(), key=lambda kept: self._order(kept[0]))
        )
        return PackedSamples(
            head=Block("samples-head", head),
            answers=answers,
            samples=len(known.places),
            trials=len(self._scores),
            size=numbers.size(len(head) + sum(len(block.text) for block in answers)),
            notes=self._notes(),
        )

    def _head(self) -> dict[str, object]:
        known, count = self._known, len(self._known.places)
        trials = {trial.number: trial for trial in (*self._record.trials, *self._record.finalists)}
        shown = sorted(self._scores, key=self._rank_of)
        choice = self._record.recommendation
        scores = [bytes(self._scores[n]).ljust(count, bytes([NOT_ASKED])) for n in shown]
        return {
            "ids": list(known.places),
            "splits": known.splits,
            "targets": known.targets,
            "inputs": known.inputs,
            "trials": [
                {"number": n, "words": numbers.settings_line(trials[n].settings) if n in trials else ""}
                for n in shown
            ],
            "near": [sorted(self._near.get(n, ())) for n in shown],
            "scores": [base64.b64encode(one).decode("ascii") for one in scores],
            "chosen": None if choice is None else choice.trial.number,
            "finalists": [trial.number for trial in self._record.finalists],
            "lost": "wrong" if self._record.failures == "count_as_wrong" else "left out",
        }

    def _notes(self) -> tuple[str, ...]:
        notes: list[str] = []
        if self._left_out:
            some = numbers.counted(len(self._left_out), "trial")
            notes.append(f"Texts of {some} found no room in this page; their scores are here.")
        if self._beyond:
            notes.append(f"{numbers.counted(self._beyond, 'answer')} to further samples found no room.")
        return (*notes, "scores.parquet beside this page holds everything.") if notes else ()

    def _order(self, key: tuple[int, Split]) -> tuple[bool, int]:
        """Which answers are kept first: those on the confirm split, then by the rank of their trial."""
        number, split = key
        return (split == "search", self._rank_of(number))

    def _rank_of(self, number: int) -> int:
        return self._rank.get(number, len(self._rank))

    def _take(self, row: AnswerRow) -> None:
        place = self._place(row)
        if place is None:
            self._beyond += 1
            return
        if self._open is None or (self._open.trial, self._open.split) != (row.trial, row.split):
            self._close()
            self._open = _Answers(row.trial, row.split)
        scores = self._scores.setdefault(row.trial, bytearray())
        scores.extend([NOT_ASKED] * (place + 1 - len(scores)))
        scores[place] = self._open.joined(place, row)
        if row.near_sample is not None:
            self._near.setdefault(row.trial, set()).add(place)
        self._note(self._open, row, place)

    def _note(self, answers: _Answers, row: AnswerRow, place: int) -> None:
        value = first_value(row)
        answers.place.append(place)
        answers.repeat.append(row.repeat)
        answers.text.append(None if row.text is None else _clipped(row.text, LONGEST_ANSWER))
        answers.score.append(None if value is None else round(value, 4))
        answers.said.append(_clipped(_said(row), LONGEST_REASON))
        answers.ended.append(row.failure or row.finish_reason or "")
        answers.seconds.append(None if row.latency_s is None else float(f"{row.latency_s:.3g}"))

    def _close(self) -> None:
        """Compress the answers at hand, and let go of the least wanted ones where there is no room."""
        if self._open is None:
            return
        key = (self._open.trial, self._open.split)
        self._kept[key] = self._open.packed()
        self._open = None
        while sum(map(len, self._kept.values())) > self._most_text:
            least = max(self._kept, key=self._order)
            del self._kept[least]
            self._left_out.add(least[0])

    def _place(self, row: AnswerRow) -> int | None:
        """The place of a sample among all; `None`: there is no room for more of its split."""
        known = self._known
        place = known.places.get(row.sample_id)
        if place is not None:
            return place
        met = known.per_split.get(row.split, 0)
        if met >= MOST_SAMPLES:
            return None
        known.per_split[row.split] = met + 1
        known.places[row.sample_id] = len(known.places)
        known.splits.append(row.split)
        known.targets.append(_clipped(plain_text(row.target), LONGEST_INPUT))
        known.inputs.append(_clipped(_inputs(row), LONGEST_INPUT))
        return known.places[row.sample_id]


def ranked(record: RunRecord) -> list[Trial]:
    """The choice, the untuned default, the other finalists, and the rest, better ones first."""
    choice = record.recommendation
    number = None if choice is None else choice.trial.number
    confirmed = {trial.number for trial in record.finalists}
    others = [trial for trial in record.trials if trial.number not in confirmed]

    def order(trial: Trial) -> tuple[bool, bool, bool, float, int]:
        quality = 0.0 if trial.quality is None else trial.quality.value
        return (
            trial.number != number,
            trial.number != 0,
            trial.number not in confirmed,
            -quality,
            trial.number,
        )

    return sorted((*record.finalists, *others), key=order)


def pack(content: object) -> str:
    """JSON, compressed, as base64: letters that no page can mistake for markup."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(encodable(text).encode("utf-8"), 6, mtime=0)).decode("ascii")


def _name(number: int, split: Split) -> str:
    return f"answers-{number}-{split}"


def _said(row: AnswerRow) -> str:
    """What the scorers said of an answer: label, value of further scorers, reason; before it, whose it is."""
    parts: list[str] = []
    for number, score in enumerate(row.scores):
        named = (
            ""
            if number == 0
            else f"{score.scorer} {'unscored' if score.value is None else f'{score.value:.2f}'}"
        )
        label = "" if score.label is None else f"read as {score.label}"
        parts += [", ".join(part for part in (named, label, score.reason) if part)]
    return "; ".join(part for part in (near_words(row), *parts) if part)


def _inputs(row: AnswerRow) -> str:
    """What was asked: the one input as it is, several with their names."""
    if len(row.inputs) == 1:
        return plain_text(next(iter(row.inputs.values())))
    return "\n".join(f"{name}: {plain_text(value)}" for name, value in row.inputs.items())


def _clipped(text: str, longest: int) -> str:
    return encodable(numbers.clipped(text, longest))
