"""What the reports of all kinds of runs say alike, as text in its final wording.

In: a run record, and rows of its per-sample table. Out: plain records and pairs of strings for the
templates. Must not write markup or files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from harness.cards import DataCard, TaskCard
from harness.findings import AnswerRow, Paid, RunRecord, RunState, Spend, Trial
from harness.outputs import numbers
from harness.plan.embedding import SIMILARITY
from harness.records import MODEL_CLASSES, JsonValue, Purpose

LONGEST_ANSWER = 500
LONGEST_TARGET = 200
LONGEST_INPUT = 300
MOST_INPUTS = 4  # of a sample that a list of answers shows; the sample view has all
SMALL_LOCAL_MODEL = (
    "A small model on this machine shows the mechanics and how answers respond to settings; it is no "
    "evidence on large models. Repeat it with the models you mean to ship."
)
FAILURES: Mapping[str, str] = {
    "count_as_wrong": (
        "A call that brought no answer and an answer that no scorer could judge both count as wrong (score "
        "0). What a model that judges gave no verdict on is left out."
    ),
    "leave_out": (
        "Calls that brought no answer and answers that nobody could judge are left out of quality. Their "
        "shares stand in the table: settings that fail often look better than they are."
    ),
}
PURPOSES: Mapping[Purpose, str] = {"answer": "answers", "judge": "judges", "embed": "embeddings"}
CLASSLESS, UNANSWERED = "no class", "unanswered"
UNFINISHED: Mapping[RunState, str] = {
    "running": "The run is still going; all figures are provisional.",
    "stopped": "The run was stopped early; its figures rest on what was answered until then.",
    "failed": "The run failed; its figures rest on what was answered until then.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A figure as text, and the number to sort it by; `None` when it is unknown."""

    text: str
    order: float | None

    @property
    def main(self) -> str:
        """The text up to its interval."""
        return self.text.partition(" [")[0]

    @property
    def rest(self) -> str:
        """The interval and what follows it; empty where there is none."""
        return self.text[len(self.main) + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstAnswer:
    """An answer of the recommended settings that scored low; texts are as the model wrote them, cut.

    asked: inputs of the sample by name, cut. cosine: of a pair of texts; "" of an answer in words. near: of
    the answer to another prompt, to which; else "".
    """

    sample_id: str
    repeat: int
    score: str
    asked: tuple[tuple[str, str], ...]
    target: str
    answer: str | None
    cosine: str
    why: str
    near: str


def small_model(trial: Trial) -> tuple[str, ...]:
    """The caveat of a model that runs on this machine and writes, else nothing."""
    local = trial.settings.provider == "local" and trial.model_class != "EMBEDDING"
    return (SMALL_LOCAL_MODEL,) if local else ()


def first_token_phrase(trial: Trial) -> str:
    """When the first token came, as in "first token after 0.2 s"; empty when no answer was streamed."""
    known = trial.first_token_p50_s
    return "" if known is None else f"first token after {numbers.seconds(known)}"


def spend_lines(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """What the run paid, as names and texts."""
    spend = record.spend
    calls = numbers.count(spend.calls)
    if spend.cap_calls is not None:
        calls += f" of at most {numbers.count(spend.cap_calls)}"
    cap = "no cap" if spend.cap_usd is None else f"cap {numbers.money(spend.cap_usd)}"
    return (
        ("Paid", f"{numbers.money(spend.usd)} ({cap})"),
        ("Calls paid", calls),
        *((("Lost with a process that died", words),) if (words := lost_words(spend)) else ()),
        ("Answers from the cache", f"{numbers.count(spend.cached)}, saving {numbers.money(spend.saved_usd)}"),
        ("Failed calls", numbers.count(spend.failed)),
        ("Tokens in / out", f"{numbers.count(spend.input_tokens)} / {numbers.count(spend.output_tokens)}"),
        *(
            (
                f"Of it for {PURPOSES[purpose]}",
                f"{numbers.money(paid.usd)}, {numbers.counted(paid.calls, 'call')}{_not_paid_again(paid)}",
            )
            for purpose, paid in sorted(spend.by_purpose.items())
            if purpose != "answer"
        ),
        *((f"Of it {what}", _paid_phrase(paid)) for what, paid in _studied(record)),
    )


def lost_words(spend: Spend) -> str:
    """What was under way when a process of the run died, as in "at most $0.05"; empty: nothing of it."""
    parts = [numbers.money(spend.lost.usd)] if spend.lost.usd > 0 else []
    parts += [numbers.counted(spend.lost.calls, "call")] if spend.lost.calls else []
    return f"at most {' and '.join(parts)}" if parts else ""


def _studied(record: RunRecord) -> Iterator[tuple[str, Paid]]:
    """What each class took, where there are several, and what was billed without an answer."""
    parts = paid_parts(record)
    if len(parts) > 1:
        for name, paid in parts.items():
            yield ("without an answer" if name == UNANSWERED else f"for {name}"), paid


def _paid_phrase(paid: Paid) -> str:
    tokens = f"{numbers.count(paid.input_tokens)} / {numbers.count(paid.output_tokens)} tokens"
    return f"{numbers.money(paid.usd)}, {numbers.counted(paid.calls, 'call')}, {tokens}"


def paid_by_class(record: RunRecord) -> dict[str, Paid]:
    """What was paid for each model class that was studied, by its name, small ones first.

    Under `UNANSWERED` what was billed without an answer. With what judges took, the parts are the whole.
    """
    classes = _classes(record)
    parts: dict[str, Paid] = {}
    for model, paid in record.spend.by_model.items():
        name = (classes.get(model) or CLASSLESS) if model else UNANSWERED
        before = parts.get(name, Paid())
        parts[name] = Paid(
            usd=before.usd + paid.usd,
            calls=before.calls + paid.calls,
            input_tokens=before.input_tokens + paid.input_tokens,
            output_tokens=before.output_tokens + paid.output_tokens,
        )
    return {name: parts[name] for name in (*MODEL_CLASSES, CLASSLESS, UNANSWERED) if name in parts}


def paid_parts(record: RunRecord) -> dict[str, Paid]:
    """The same for people: of vectors by model, for each is a space of its own, also one that was left."""
    if "EMBEDDING" not in _classes(record).values():
        return paid_by_class(record)
    return {model or UNANSWERED: paid for model, paid in sorted(record.spend.by_model.items())}


def _classes(record: RunRecord) -> dict[str, str | None]:
    trials = (*record.trials, *record.finalists)
    return {trial.settings.model: trial.model_class for trial in trials}


def _not_paid_again(part: Paid) -> str:
    if not part.cached:
        return ""
    return f"; {numbers.count(part.cached)} more from the cache, saving {numbers.money(part.saved_usd)}"


def used_of_cap(record: RunRecord) -> tuple[float | None, str]:
    """The largest share of a cap that was used, from 0 to 1, and its words; `None` without a cap."""
    spend = record.spend
    lost = spend.lost
    caps = (
        ("dollars", spend.usd + lost.usd, spend.cap_usd),
        ("calls", spend.calls + lost.calls, spend.cap_calls),
    )
    used = [(min(1.0, paid / cap), name) for name, paid, cap in caps if cap]
    if not used:
        return None, ""
    part, name = max(used)
    return part, f"{numbers.share(part)} of the cap on {name} used"


def worst_answer(row: AnswerRow) -> WorstAnswer:
    """This answer in words, cut where it is long."""
    value = first_value(row)
    reasons = [score.reason for score in row.scores if score.reason]
    if row.failure is not None:
        reasons.insert(0, f"no answer: {row.failure}")
    if row.finish_reason == "length":
        reasons.append("cut at the output limit")
    return WorstAnswer(
        sample_id=row.sample_id,
        repeat=row.repeat,
        score="unscored" if value is None else f"{value:.2f}",
        asked=tuple(
            (name, numbers.clipped(plain_text(held), LONGEST_INPUT))
            for name, held in list(row.inputs.items())[:MOST_INPUTS]
        ),
        target=numbers.clipped(plain_text(row.target), LONGEST_TARGET),
        answer=None if row.text is None else numbers.clipped(row.text, LONGEST_ANSWER),
        cosine=row.text if of_pair(row) and row.text else "",
        why=numbers.clipped("; ".join(reasons), LONGEST_ANSWER),
        near=near_words(row),
    )


def of_pair(row: AnswerRow) -> bool:
    """Whether the row is a pair of texts, and its text their cosine."""
    return [score.scorer for score in row.scores] == [SIMILARITY]


def near_words(row: AnswerRow) -> str:
    """That an answer is the one to another prompt, and to which; empty for an answer of its own."""
    if row.near_sample is None:
        return ""
    cosine = "" if row.near_cosine is None else f", cosine {row.near_cosine:.4f}"
    return f"near answer: given to {row.near_sample}{cosine}; this prompt was not asked"


def plain_text(value: JsonValue) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def first_value(row: AnswerRow) -> float | None:
    """The value of the first scorer that could judge the answer; `None` when none could."""
    return next((score.value for score in row.scores if score.value is not None), None)


def data_lines(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Where the samples come from, as names and texts."""
    if record.tasks:
        return tuple(line for one in record.tasks for line in _task_lines(one))
    return _card_lines(record.data)


def _task_lines(task: TaskCard) -> tuple[tuple[str, str], ...]:
    """The data of one of several tasks."""
    used = f"{numbers.count(task.n_search)} search, {numbers.count(task.n_confirm)} confirm"
    of = numbers.count(task.data.n_search + task.data.n_confirm)
    lines = dict(_card_lines(task.data)) | {"Samples": f"{used}, of {of}"}
    return tuple((f"{task.name}: {name}", text) for name, text in lines.items())


def _card_lines(card: DataCard) -> tuple[tuple[str, str], ...]:
    return (
        ("Name", card.name),
        ("Samples", f"{numbers.count(card.n_search)} search, {numbers.count(card.n_confirm)} confirm"),
        ("Source", card.source or "not stated"),
        ("Licence", card.licence or "not stated"),
        *((("Attribution", card.attribution),) if card.attribution else ()),
        ("SHA-256 of the rows", card.sha256),
    )


def provenance_lines(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """What the result rests on, as names and texts."""
    known = record.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(known.versions.items()))
    return (
        ("Run", record.run),
        ("Started", _moment(record.started_at)),
        ("Ended", _ended(record)),
        ("Seed", str(known.seed)),
        ("Git commit", known.git_commit or "not under version control"),
        ("Prices as of", known.prices_as_of),
        ("Spec", known.spec),
        ("Plan", known.plan),
        ("Data", known.data),
        ("Catalogue", known.catalogue),
        ("Versions", versions or "not recorded"),
    )


def _ended(record: RunRecord) -> str:
    if record.ended_at is None:
        return "not ended"
    ended, took = _moment(record.ended_at), (record.ended_at - record.started_at).total_seconds()
    # A clock that was set back in mid-run does not tell how long it took.
    return f"{ended}, after {numbers.seconds(took)}" if took >= 0 else ended


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
