"""Inputs that are too long for one prompt: cut down, or asked about in chunks.

In: the spec's wish, and inputs of samples. Out: the inputs that prompts are rendered with, and what was done
to them. The same for all models and runs: lengths are tokens of one encoding, OpenAI's o200k. Sends nothing;
putting answers together is done in `trials.long_inputs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from harness.chunks import By, Keep, clipped, cut
from harness.errors import Problem, UsageError
from harness.plan.encodings import O200K, counter
from harness.plan.long_input_spec import Combine, LongInputsSpec
from harness.plan.problems import Place, Problems
from harness.plan.templates import TemplateCheck, read_prompt
from harness.plan.yaml_source import YamlSource
from harness.prompts import Prompt, Shot
from harness.records import JsonValue, Message

ANSWERS = "answers"  # the variable of a reduce prompt
LONG_RUN = re.compile(r"\S{4000}|\s{4000}")
O200K_NAME = "OpenAI's o200k"
KEPT_WORDS: Mapping[Keep, str] = {"start": "its start", "end": "its end", "both": "its start and its end"}
KEPT = 64  # texts whose chunks are remembered: all settings meet the same sample one after the other

Inputs = Mapping[str, JsonValue]


def tokens_of(text: str) -> int:
    """Tokens of a text by OpenAI's encoding o200k.

    Thousands of letters, or of blanks, on end are counted a part at a time, which adds a token a part at
    most: the encoder's time grows with the square of such a run.
    """
    count = counter(O200K)
    ends = [0, *(found.end() for found in LONG_RUN.finditer(text)), len(text)]
    return sum(count(text[start:end]) for start, end in pairwise(ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class LongInputs:
    """What becomes of a field that is longer than `size` tokens.

    combine: how answers about chunks become one; `None`: the field is cut down instead, to its `keep`.
    reduce: the prompt of "reduce", else `None`. count: the tokens of a text, never fewer than none for none.
    """

    field_name: str
    size: int
    keep: Keep = "start"
    by: By = "sentence"
    overlap: int = 0
    combine: Combine | None = None
    reduce: Prompt | None = None
    count: Callable[[str], int] = field(default=tokens_of, compare=False, repr=False)
    _kept: dict[str, tuple[str, ...]] = field(
        default_factory=dict[str, "tuple[str, ...]"], compare=False, repr=False, init=False
    )

    def form(self) -> dict[str, JsonValue]:
        """What a plan's name depends on."""
        return {
            "field": self.field_name,
            "size": self.size,
            "keep": self.keep,
            "by": self.by,
            "overlap": self.overlap,
            "combine": self.combine,
            "reduce": None if self.reduce is None else self.reduce.source,
        }

    def to_ship(self) -> str:
        """What an application has to do for what was measured to hold there, a sentence."""
        laps = f", each repeating {self.overlap} tokens of the one before" if self.overlap else ""
        done = (
            f"cut {self.field_name!r} to {self.size} tokens of {O200K_NAME}, keeping {KEPT_WORDS[self.keep]}"
            if self.combine is None
            else f"cut {self.field_name!r} at each {self.by} into chunks of at most {self.size} tokens of "
            f"{O200K_NAME}{laps}, ask about each, and combine the answers by {self.combine}"
        )
        return (
            f"the application has to {done}, as task.long_inputs did: the figures are of inputs cut this way"
        )

    def pieces(self, inputs: Inputs) -> tuple[Inputs, ...]:
        """The inputs of each prompt: one, unless the field is long and asked about in chunks."""
        text = inputs.get(self.field_name)
        if not isinstance(text, str) or not self._may_be_long(text):
            return (inputs,)
        return tuple({**inputs, self.field_name: part} for part in self._parts(text))

    def rendered(
        self, prompt: Prompt, inputs: Inputs, shots: Sequence[Shot] = ()
    ) -> Iterator[tuple[Message, ...]]:
        """The prompts for these inputs, one a piece. Examples are cut down to one, whatever the strategy.

        Raises PromptError as `Prompt.render` does.
        """
        shown = [replace(shot, inputs=self.pieces(shot.inputs)[0]) for shot in shots]
        return (prompt.render(piece, shown) for piece in self.pieces(inputs))

    @property
    def truncates(self) -> bool:
        """Whether a part of a long field is shown to nobody."""
        return self.combine is None

    def cuts(self, inputs: Inputs) -> bool:
        """Whether no prompt shows some of the field, which `lost_tokens` counts."""
        return self.truncates and self.pieces(inputs)[0].get(self.field_name) != inputs.get(self.field_name)

    def lost_tokens(self, inputs: Inputs) -> int:
        """How many tokens of the field no prompt shows."""
        text = inputs.get(self.field_name)
        if self.combine is not None or not isinstance(text, str) or not self._may_be_long(text):
            return 0
        (part,) = self._parts(text)
        return self.count(text) - self.count(part) if part != text else 0

    def reduce_inputs(self, inputs: Inputs, answers: list[str]) -> Inputs:
        """What the reduce prompt sees."""
        others = {name: value for name, value in inputs.items() if name != self.field_name}
        return {**others, ANSWERS: list[JsonValue](answers)}

    def _may_be_long(self, text: str) -> bool:
        # A token is at least one byte, so that most texts are never counted.
        return len(text) > self.size or len(text.encode("utf-8", "surrogatepass")) > self.size

    def _parts(self, text: str) -> tuple[str, ...]:
        if text not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[text] = self._cut(text)
        return self._kept[text]

    def _cut(self, text: str) -> tuple[str, ...]:
        if self.combine is None:
            return (clipped(text, size=self.size, count=self.count, keep=self.keep),)
        chunks = cut(text, size=self.size, count=self.count, overlap=self.overlap, by=self.by)
        return tuple(chunk.text for chunk in chunks)


def find_long_inputs(
    spec: LongInputsSpec | None,
    prompts: Mapping[str, Prompt],
    source: YamlSource,
    folder: Path,
    problems: Problems,
) -> LongInputs | None:
    """The strategy that a spec asks for; `None` for none, and for a fault, which is noted."""
    if spec is None or spec.field is None or spec.size is None:
        return None
    place: Place = ("task", "long_inputs")
    fields = sorted({name for prompt in prompts.values() for name in prompt.fields})
    if prompts and spec.field not in fields:
        shown = ", ".join(fields) or "none"
        problems.add((*place, "field"), f"is {spec.field!r}, which no prompt shows; they show: {shown}")
        return None
    reduce = spec.reduce and read_prompt((*place, "reduce"), spec.reduce, source, folder, problems)
    return LongInputs(
        field_name=spec.field,
        size=spec.size,
        keep=spec.keep,
        by=spec.by,
        overlap=spec.overlap,
        combine=spec.combine,
        reduce=reduce or None,
    )


class LongInputsCheck:
    """Looks at rows while these are read: that the field is a text that can be cut, and how many are long."""

    def __init__(self, long: LongInputs | None) -> None:
        self._long = long
        self._rows = 0
        self._chunks: list[int] = []
        self._lost: list[int] = []
        reduce = None if long is None else long.reduce
        self._reduce = TemplateCheck({} if reduce is None else {"reduce": reduce})

    def row(self, inputs: Inputs) -> str | None:
        """Why this row cannot be cut; `None` when it can."""
        if self._long is None:
            return None
        self._rows += 1
        name = self._long.field_name
        if not isinstance(inputs.get(name), str):
            has = type(inputs[name]).__name__ if name in inputs else "nothing"
            return f"task.long_inputs cuts the field {name!r}, a text; this row has {has} there"
        try:
            pieces = self._long.pieces(inputs)
        except UsageError as error:
            return f"task.long_inputs cannot cut {name!r}: {error}"
        if len(pieces) > 1:
            self._chunks.append(len(pieces))
        elif lost := self._long.lost_tokens(inputs):
            self._lost.append(lost)
        return self._reduce.row(self._long.reduce_inputs(inputs, ["an answer"]))

    def parts(self, inputs: Inputs) -> Sequence[Inputs]:
        """The inputs of each prompt of a row that was cut; nothing for others."""
        pieces = () if self._long is None else self._long.pieces(inputs)
        return () if pieces == (inputs,) else pieces

    def finish(self) -> tuple[Problem, ...]:
        """Faults of the prompt that combines answers."""
        return self._reduce.finish()

    def notes(self) -> tuple[str, ...]:
        """What a reader of the plan should know, a sentence each."""
        if self._long is None:
            return ()
        name, size = self._long.field_name, self._long.size
        if self._long.combine is not None:
            told = f"no row is longer than a chunk of {name!r}"
            if self._chunks:
                told = (
                    f"{len(self._chunks)} of {self._rows} rows are asked about in 2 to {max(self._chunks)} "
                    f"chunks of {name!r}, {sum(self._chunks)} in all, combined by {self._long.combine}"
                )
        else:
            told = f"no row loses a token of {name!r}"
            if self._lost:
                told = (
                    f"{len(self._lost)} of {self._rows} rows lose tokens of {name!r}, {median(self._lost):g} "
                    f"in the median and {max(self._lost)} at most; kept: {self._long.keep}"
                )
        return (f"long inputs, {size} tokens: {told}", self._long.to_ship())
