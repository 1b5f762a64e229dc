"""The part of a spec that says what becomes of inputs too long for a prompt. Nothing is looked up here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from harness.chunks import By, Keep
from harness.plan.ranges import Strict

Strategy = Literal["fail", "truncate", "map_reduce"]
Combine = Literal["vote", "concat", "reduce"]


class LongInputsSpec(Strict):
    """What becomes of a long input. Left out, a prompt that no model takes is an error with its line."""

    strategy: Strategy = Field(
        description="fail: as if left out. truncate: only a part of the field is shown. map_reduce: the "
        "prompt is asked of each chunk of the field, and the answers are put together."
    )
    field: str | None = Field(default=None, min_length=1, description="The input that may be long.")
    size: int | None = Field(
        default=None,
        ge=1,
        description="Most tokens of the field in one prompt, by OpenAI's encoding o200k; other models cut "
        "the same text into more, in English up to a fifth.",
    )
    keep: Keep = Field(default="start", description="truncate: the start, the end, or half of both.")
    by: By = Field(default="sentence", description="map_reduce: where chunks end.")
    overlap: int = Field(
        default=0,
        ge=0,
        description="map_reduce: tokens repeated from the chunk before, at most half of size.",
    )
    combine: Combine | None = Field(
        default=None,
        description="map_reduce: vote takes the most frequent label, or text where no label is read, the "
        "earliest of equals; concat puts the answers one below the other; reduce asks once more.",
    )
    reduce: str | None = Field(
        default=None,
        min_length=1,
        description="The prompt of combine: reduce, a path or the template itself. Its variables are the "
        "other inputs, and answers, a list.",
    )

    @model_validator(mode="after")
    def _complete(self) -> LongInputsSpec:
        if self.strategy == "fail":
            if self.model_fields_set != {"strategy"}:
                raise ValueError("strategy fail takes no other keys; remove them, or take another strategy")
            return self
        for name in ("field", "size"):
            if getattr(self, name) is None:
                raise ValueError(f"strategy {self.strategy} needs {name}; write it")
        theirs = {"keep"} if self.strategy == "truncate" else {"by", "overlap", "combine", "reduce"}
        strange = sorted(self.model_fields_set - theirs - {"strategy", "field", "size"})
        if strange:
            raise ValueError(f"strategy {self.strategy} takes no {', '.join(strange)}; remove it")
        if self.strategy == "map_reduce" and self.combine is None:
            raise ValueError("strategy map_reduce needs combine: vote, concat or reduce; write one")
        if (self.reduce is None) == (self.combine == "reduce"):
            raise ValueError(
                "combine: reduce and a prompt under reduce belong together; write both or neither"
            )
        if 2 * self.overlap > (self.size or 0):
            raise ValueError(f"overlap is {self.overlap}, more than half of size, {self.size}; lower it")
        return self
