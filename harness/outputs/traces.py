"""Calls of a run as MLflow's traces: one trace a call, with what was asked, answered, paid and scored.

In: rows of the per-sample table, as they pass by, trial after trial. Out: the same rows, and one file a trial
and split for MLflow, in a folder that needs neither store nor data. Must not import mlflow, compute a figure,
or hold the rows of a trial.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Literal, cast, get_args

from harness.errors import UsageError
from harness.findings import AnswerRow, RunRecord
from harness.outputs import numbers
from harness.outputs.files import encodable, replacing
from harness.records import Call, Completion, JsonValue, Outcome, Split

Traces = Literal["none", "finalists", "all"]
LONGEST_TEXT = 10_000  # of one message or answer; scores.parquet has answers whole
LONGEST_VALUE = 500  # of a tag
ENDING = ".jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedCall:
    """One call as one trace.

    id: 32 hexadecimal digits, always the same for this call of this run. start_ns, end_ns: nanoseconds since
    1970; of a call that failed, when is not kept: both are the start of the run. failure: "" when it was
    answered. attributes: of its only span, by MLflow's names where it has some. tags: of the trace.
    """

    id: str
    name: str
    start_ns: int
    end_ns: int
    failure: str
    attributes: Mapping[str, JsonValue]
    tags: Mapping[str, str]


def known_traces(traces: str) -> Traces:
    """The same. Raises UsageError when there is no such choice."""
    for one in get_args(Traces):
        if traces == one:
            return one
    raise UsageError(f"traces is {traces!r}, expected 'none', 'finalists' or 'all'")


def tracing(
    rows: Iterable[AnswerRow], record: RunRecord, traces: Traces, folder: Path
) -> Iterator[AnswerRow]:
    """The same rows; calls that are wanted are written into the folder on their way.

    "finalists": what confirmed trials were asked on the confirm split. Of an evaluation, each choice but
    "none" means every call. Raises UsageError when the folder cannot be written.
    """
    if traces == "none":
        yield from rows
        return
    known = record.finalists if traces == "finalists" and record.verb == "tune" else record.trials
    wanted = {(trial.number, trial.split) for trial in (*known, *record.finalists)}

    def place(row: AnswerRow) -> tuple[int, Split]:
        # The samples of an evaluation are of both splits, in no order of them.
        return row.trial, record.trials[0].split if record.verb == "eval" else row.split

    for (number, split), group in groupby(rows, key=place):
        if (number, split) not in wanted:
            yield from group
            continue
        with replacing(folder / f"{number}-{split}{ENDING}") as partial, _packed(partial) as file:
            for row in group:
                if row.outcome is not None:
                    line = json.dumps(asdict(_traced(row, row.outcome, record)), ensure_ascii=False)
                    file.write(encodable(line).encode("utf-8") + b"\n")
                yield row


def traced_files(folder: Path) -> Iterator[tuple[int, str, Path]]:
    """The files that `tracing` wrote, each with its trial and its split; by trial."""
    for path in sorted(folder.glob(f"*{ENDING}"), key=lambda path: (int(path.name.partition("-")[0]), path)):
        number, _, split = path.name.removesuffix(ENDING).partition("-")
        yield int(number), split, path


def read_traces(path: Path) -> Iterator[TracedCall]:
    """The calls in one of these files, in the order in which they were written."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield TracedCall(**json.loads(line))


@contextmanager
def _packed(path: Path) -> Generator[IO[bytes]]:
    # Without a name and a time in it, the same calls are the same file.
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        yield cast("IO[bytes]", packed)


def _traced(row: AnswerRow, outcome: Outcome, record: RunRecord) -> TracedCall:
    place = [record.run, row.trial, row.split, row.sample_id, row.repeat]
    answered = isinstance(outcome, Completion)
    end_ns = int((outcome.at if answered else record.started_at).timestamp() * 1_000) * 1_000_000
    took_ns = round(outcome.latency.total_s * 1e9) if answered else 0
    return TracedCall(
        id=hashlib.sha256(json.dumps(place).encode("ascii")).hexdigest()[:32],
        name=numbers.clipped(f"trial {row.trial}: {row.sample_id}", LONGEST_VALUE),
        start_ns=end_ns - took_ns,
        end_ns=end_ns,
        failure="" if answered else f"{outcome.kind}: {numbers.clipped(outcome.message, LONGEST_VALUE)}",
        attributes=_asked(outcome.call) | _scored(row) | (_answered(row, outcome) if answered else {}),
        tags=_tags(row, record.run),
    )


def _tags(row: AnswerRow, run: str) -> dict[str, str]:
    tags = {score.scorer: f"{score.value:.6g}" for score in row.scores if score.value is not None}
    tags |= {"harness.run": run, "trial": str(row.trial), "split": row.split}
    tags |= {"sample": numbers.clipped(row.sample_id, LONGEST_VALUE), "repeat": str(row.repeat)}
    return tags


def _asked(call: Call) -> dict[str, JsonValue]:
    settings = call.settings
    messages: list[JsonValue] = [
        {"role": one.role, "content": numbers.clipped(one.content, LONGEST_TEXT)} for one in call.messages
    ]
    texts: list[JsonValue] = [numbers.clipped(text, LONGEST_TEXT) for text in call.texts]
    return {
        "mlflow.spanType": "CHAT_MODEL" if messages else "EMBEDDING",
        "mlflow.spanInputs": {"messages": messages} if messages else {"texts": texts},
        "mlflow.llm.model": settings.model_name,
        "mlflow.llm.provider": settings.provider,
        "prompt": settings.prompt,
        "settings": settings.held(),
    }


def _answered(row: AnswerRow, done: Completion) -> dict[str, JsonValue]:
    said = None if row.text is None else numbers.clipped(row.text, LONGEST_TEXT)
    message: JsonValue = {"role": "assistant", "content": said}
    choices: JsonValue = [{"message": message, "finish_reason": row.finish_reason}]
    usage, latency = done.reply.usage, done.latency
    found: dict[str, JsonValue] = {
        "mlflow.spanOutputs": {"choices": choices} if done.call.messages else {"found": said},
        "queue_s": latency.queue_s,
        "first_token_s": latency.first_token_s,
        "served_by": done.reply.served_by,
        "reasoning_tokens": usage.reasoning_tokens,
    }
    if done.call.messages:
        found["mlflow.message.format"] = "openai"
    if usage.input_tokens is not None:
        output = usage.output_tokens or 0
        told: dict[str, JsonValue] = {
            "input_tokens": usage.input_tokens,
            "output_tokens": output,
            "total_tokens": usage.input_tokens + output,
            "cache_read_input_tokens": usage.cached_input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
        }
        found["mlflow.chat.tokenUsage"] = {name: count for name, count in told.items() if count is not None}
    if done.price_usd is not None:
        found["mlflow.llm.cost"] = {"total_cost": done.price_usd}
    return {name: value for name, value in found.items() if value is not None}


def _scored(row: AnswerRow) -> dict[str, JsonValue]:
    scores: list[JsonValue] = [
        {
            "scorer": score.scorer,
            "value": score.value,
            "label": score.label,
            "reason": numbers.clipped(score.reason, LONGEST_VALUE),
        }
        for score in row.scores
    ]
    target = json.dumps(row.target, ensure_ascii=False)
    return {"scores": scores, "target": numbers.clipped(target, LONGEST_TEXT)}
