"""A recorded matrix as a provider: the whole of `harness.tune` runs on answers that were given once.

In: a draw of a matrix, and calls. Out: "right" or "wrong" as recorded, billed at the recorded cost. Each
row is a model, each column a sample. It must not decide anything by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.calls.provider import ProviderFault
from harness.clock import Clock
from harness.fingerprint import share
from harness.records import Call, JsonValue, Reply, Usage
from harness.testing.delays import Delay
from harness.testing.matrices import Floats, Matrix, MatrixDraw, draw
from harness.testing.simulator import with_sections
from harness.testing.tokens import count_call_tokens

PROVIDER = "matrix"
RIGHT, WRONG = "right", "wrong"
# A tariff so fine that every recorded cost is a whole number of tokens, to a billionth of a dollar.
TOKENS_PER_USD = 1_000_000_000
USD_PER_MTOK = 1e6 / TOKENS_PER_USD
NEXT_TO_NOTHING = 1e-18  # USD per million tokens of a prompt: too little to change any sum of prices
LONGEST_PROMPT = 10_000  # tokens
KEPT_ROWS = 8  # rows whose repeats are kept in memory; calls of a row come together


class MatrixProvider:
    """Answers calls from one draw of a matrix: settings.model names the row, sample_id the column.

    The answer of a repeat is right if it was recorded as right. A cell that is known only by its score is
    right with that probability, so that a score of 0 or 1 is met exactly. Same call, same answer.
    clock and delay: sleep for as long as the delay says; without both, every answer comes at once.
    """

    def __init__(self, world: MatrixDraw, *, clock: Clock | None = None, delay: Delay | None = None) -> None:
        self.world = world
        self.requests = 0
        self.bill_usd = 0.0
        self._rows = {model_of(world, place): place for place in range(world.shape[0])}
        self._columns = {sample_of(world, place): place for place in range(world.shape[1])}
        self._clock = clock
        self._delay = delay
        self._repeats = lru_cache(KEPT_ROWS)(world.repeats)

    async def complete(self, call: Call) -> Reply:
        """The recorded answer. Raises ProviderFault for a call that the matrix cannot answer."""
        self.requests += 1
        row, column = self._place(call)
        value = self._value(row, column, call.repeat)
        right = share("matrix", call.settings.model, call.sample_id, call.repeat) < value
        tokens = 1
        if self.world.prices is not None:
            tokens = _tokens(float(self.world.prices[row, column]))
            self.bill_usd += tokens / TOKENS_PER_USD
        await self._wait(call)
        usage = Usage(
            input_tokens=count_call_tokens(call),
            cached_input_tokens=0,
            cache_write_tokens=0,
            output_tokens=tokens,
            reasoning_tokens=0,
        )
        return Reply(
            text=RIGHT if right else WRONG,
            finish_reason="stop",
            usage=usage,
            served_by=call.settings.model_name,
        )

    async def close(self) -> None:
        """Nothing to let go of; it goes on answering, so that one provider can serve a resumed run."""

    def _place(self, call: Call) -> tuple[int, int]:
        name = call.settings.model
        if name not in self._rows:
            raise ProviderFault("not_found", f"no model {name!r} in matrix {self.world.name!r}")
        if call.purpose != "answer" or call.sample_id not in self._columns:
            raise ProviderFault(
                "bad_request",
                f"a matrix answers its samples; it has no {call.purpose!r} to {call.sample_id!r}",
            )
        return self._rows[name], self._columns[call.sample_id]

    def _value(self, row: int, column: int, repeat: int) -> float:
        if self.world.matrix.reps is None:
            return float(self.world.answers[row, column])
        answers: Floats = self._repeats(row)[column]
        if repeat >= len(answers) or np.isnan(answers[repeat]):
            recorded = int(np.isfinite(answers).sum())
            raise ProviderFault("bad_request", f"repeat {repeat} of {recorded} recorded ones (from 0)")
        return float(answers[repeat])

    async def _wait(self, call: Call) -> None:
        if self._clock is None or self._delay is None:
            # A turn of the loop still passes, so that calls overlap as real ones do.
            await asyncio.sleep(0)
        else:
            luck = share("delay", call.settings.model, call.sample_id, call.repeat)
            await self._clock.sleep(self._delay(luck))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixExperiment:
    """An experiment on a recorded matrix: `harness.tune(spec, providers={"matrix": experiment.provider()})`.

    spec: as read from YAML. truth: quality of each model by its full name, over all samples.
    """

    spec: dict[str, JsonValue]
    world: MatrixDraw
    truth: Mapping[str, float]

    def provider(self, *, clock: Clock | None = None, delay: Delay | None = None) -> MatrixProvider:
        """A fresh provider for this experiment, with an empty bill."""
        return MatrixProvider(self.world, clock=clock, delay=delay)


def matrix_experiment(
    folder: Path, matrix: Matrix, *, seed: int = 0, **sections: JsonValue
) -> MatrixExperiment:
    """Write the samples of one draw of a matrix into a folder, and give the spec that searches its rows.

    The models are stated in the spec, with prices at which an answer costs what was recorded; a matrix
    without costs is free. sections: parts of the spec to replace, as in `budget={"calls": 500}`; a mapping
    is merged into its section one level deep, `None` removes a section.
    """
    world = draw(matrix, seed)
    free = world.prices is None
    rows, samples = world.shape
    folder.mkdir(parents=True, exist_ok=True)
    names = [sample_of(world, place) for place in range(samples)]
    lines = "".join(json.dumps({"id": name, "text": name, "target": RIGHT}) + "\n" for name in names)
    (folder / "samples.jsonl").write_text(lines, encoding="utf-8")
    models = [model_of(world, place) for place in range(rows)]
    spec: dict[str, JsonValue] = {
        "experiment": "replay",
        "description": f"Which row of the matrix {matrix.name} is best?",
        "task": {
            "dataset": str(folder / "samples.jsonl"),
            "prompt": "Answer {{ text }}.",
            "scorers": ["exact"],
            "metric": "accuracy",
        },
        "search": {"models": list(models), "n_trials": rows},
        "providers": {
            PROVIDER: {"api_base": "http://127.0.0.1:9/v1", "free": free, "models": _stated(world)}
        },
        "budget": {"calls": rows * samples},
        "failures": "count_as_wrong",
        "seed": seed,
    }
    truth = dict(zip(models, map(float, world.truth), strict=True))
    return MatrixExperiment(spec=with_sections(spec, sections), world=world, truth=truth)


def model_of(world: MatrixDraw, row: int) -> str:
    """Full name of the model that this row of the draw is: that of the matrix's row, whatever the seed."""
    return f"{PROVIDER}/row-{world.row[row]:04d}"


def sample_of(world: MatrixDraw, column: int) -> str:
    """Id of the sample at this position of the draw: that of the matrix's column, whatever the seed."""
    return f"s{world.column[column]:05d}"


def _stated(world: MatrixDraw) -> dict[str, JsonValue]:
    """The catalogue entries of the rows."""
    prices: JsonValue = {"input": NEXT_TO_NOTHING, "output": USD_PER_MTOK}
    if world.prices is None:
        prices = {"input": 0.0, "output": 0.0}
    entries: dict[str, JsonValue] = {}
    for place in range(world.shape[0]):
        dearest = 1 if world.prices is None else _tokens(float(world.prices[place].max()))
        entries[model_of(world, place).partition("/")[2]] = {
            "class": "MEDIUM",
            "prices": prices,
            "context_tokens": LONGEST_PROMPT + dearest,
            "max_output_tokens": dearest,
            "settings": {},
        }
    return entries


def _tokens(usd: float) -> int:
    return max(1, round(usd * TOKENS_PER_USD))
