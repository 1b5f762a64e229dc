"""Development runs with `semantic_cache`: near prompts share an answer, marked, which counts for nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.calls.provider import ProviderFault
from harness.comparing import compare
from harness.errors import InconclusiveError, SpecError, UsageError
from harness.gating import gate
from harness.outputs.frames import read_scores
from harness.past import chosen
from harness.plan.estimate import estimate_plan
from harness.plan.planner import make_plan
from harness.rebuilding import rebuild_report
from harness.records import Reply, Usage
from harness.run import evaluate, tune
from harness.testing.scripted import ScriptedProvider
from harness.testing.vectors import vectors_of

TOPICS = ["parcel", "refund", "voucher", "password", "invoice", "shoes", "delivery", "account"]
TOPICS += ["newsletter", "warranty", "courier", "receipt"]
NEAR = {"model": "vec/small", "threshold": 0.9}


def a_pair(topic):
    """Two questions that differ in a word."""
    words = " ".join(f"{topic}{n}" for n in range(9))
    target = "yes" if len(topic) % 2 else "no"
    return [
        {"id": f"{topic}-{n}", "text": text, "target": target}
        for n, text in enumerate((words, f"{words} please"))
    ]


@dataclass
class Desk:
    """One store, a model that answers and one that embeds."""

    folder: Path
    writes: ScriptedProvider
    embeds: ScriptedProvider

    def spec(self, near: Any = NEAR, **sections: Any) -> dict[str, Any]:
        rows = [row for topic in TOPICS for row in a_pair(topic)]
        (self.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        model = {"class": "SMALL", "context_tokens": 8000, "prices": {"input": 1.0, "output": 2.0}}
        vectors = {"class": "EMBEDDING", "context_tokens": 500, "prices": {"input": 0.1, "output": 0.0}}
        spec = {
            "experiment": "desk",
            "task": {
                "dataset": str(self.folder / "rows.jsonl"),
                "prompt": "Odd? {{ text }}",
                "scorers": [{"choice": {"labels": ["yes", "no"]}}],
                "metric": "accuracy",
            },
            "search": {"models": ["own/writer"], "extra": {"mood": {"choices": ["calm", "keen"]}}},
            "providers": {
                "own": {"api_base": "http://127.0.0.1:9/v1", "models": {"writer": model}},
                "vec": {"api_base": "http://127.0.0.1:9/v1", "models": {"small": vectors}},
            },
            "budget": {"calls": 500},
            "failures": "count_as_wrong",
        }
        return spec | ({} if near is None else {"semantic_cache": near}) | sections

    def means(self) -> dict[str, Any]:
        return {
            "store": f"sqlite:///{self.folder}/store.db",
            "reports": self.folder / "reports",
            "providers": {"own": self.writes, "vec": self.embeds},
            "mlflow": False,
            "environ": {},
        }


def on_one_side(plan):
    """The topics whose two questions are of one split."""
    ids = set(plan.task.rows.ids("search"))
    return [topic for topic in TOPICS if (f"{topic}-0" in ids) == (f"{topic}-1" in ids)]


def an_answer(call):
    """The right one, as the words of a topic say."""
    topic = call.messages[-1].content.split()[1].rstrip("0123456789")
    return "yes" if len(topic) % 2 else "no"


def a_vector(call):
    """Texts that share words lie near each other."""
    tokens = sum(len(text.split()) for text in call.texts)
    usage = Usage(input_tokens=tokens, output_tokens=0)
    return Reply(vectors=vectors_of(call.texts), finish_reason="stop", usage=usage)


@pytest.fixture
def desk(tmp_path):
    """A desk whose models answer."""
    return Desk(tmp_path, ScriptedProvider(an_answer), ScriptedProvider(a_vector))


def test_without_the_block_nothing_is_embedded_and_names_stay(desk):
    """Off by default: every prompt is asked, and plan and answers are called what they always were."""
    plain = evaluate(desk.spec(None), **desk.means())
    assert len(desk.writes.calls) == 2 * len(TOPICS)
    assert desk.embeds.calls == []
    assert plain.record.unfit == ""
    assert read_scores(plain.folder / "scores.parquet")["near_sample"].isna().all()
    assert make_plan(desk.spec(None)).fingerprint() != make_plan(desk.spec()).fingerprint()


def test_a_near_prompt_is_given_the_answer_marked_and_is_not_paid(desk):
    """Of a pair on one side of the split one is asked; the other says whose answer it has, for nothing."""
    found = evaluate(desk.spec(), **desk.means())
    pairs = on_one_side(found.plan)
    asked = [call.messages[-1].content.split()[1] for call in desk.writes.calls]
    assert 4 <= len(pairs) < len(TOPICS)
    assert Counter(asked) == {f"{topic}0": 1 if topic in pairs else 2 for topic in TOPICS}
    answers = found.spend.by_purpose["answer"]
    assert (answers.calls, found.spend.by_purpose["embed"].calls) == (len(asked), 2 * len(TOPICS))
    assert found.trial.spent_usd == pytest.approx(answers.usd)
    assert found.quality.value == 1.0
    scores = read_scores(found.folder / "scores.parquet").set_index("sample_id")
    given = scores[scores["near_sample"].notna()]
    assert sorted(name.split("-")[0] for name in given.index) == sorted(pairs)
    assert all(row.near_sample.split("-")[0] == name.split("-")[0] for name, row in given.iterrows())
    assert given["near_cosine"].between(0.9, 0.999).all()
    assert any(f"{len(pairs)} of 24 answers are those of near prompts" in note for note in found.record.notes)
    assert any("this is a development run" in note for note in found.record.notes)


def test_the_plan_prices_the_prompts_that_are_embedded(desk):
    """Each of them once, whatever settings it is asked with; the bill is no higher than was said."""
    plain, estimate = (estimate_plan(make_plan(desk.spec(near))) for near in (None, NEAR))
    prompts = 2 * len(TOPICS)
    assert estimate.near_calls == (prompts, prompts)
    assert estimate.calls == plain.calls + prompts
    assert estimate.likely_calls[1] == plain.likely_calls[1] + prompts
    assert estimate.bill_usd[1] == pytest.approx(plain.bill_usd[1] + estimate.near_usd[1])
    assert estimate.worst_case_usd > plain.worst_case_usd
    found = tune(desk.spec(), **desk.means())
    assert 0 < found.spend.by_purpose["embed"].usd <= estimate.near_usd[1]
    assert found.spend.by_purpose["embed"].calls <= prompts


def test_a_report_written_anew_tells_the_same_answers(desk):
    """What was given is found again in the store, without a call."""
    found = evaluate(desk.spec(), **desk.means())
    asked = len(desk.writes.calls), len(desk.embeds.calls)
    before = read_scores(found.folder / "scores.parquet")
    rebuild_report(found.run_id, store=desk.means()["store"], reports=desk.folder / "again")
    after = read_scores(desk.folder / "again" / found.run_id / "scores.parquet")
    columns = ["sample_id", "text", "near_sample"]
    assert before[columns].astype(str).values.tolist() == after[columns].astype(str).values.tolist()
    assert (len(desk.writes.calls), len(desk.embeds.calls)) == asked


def test_settings_that_differ_never_share_an_answer(desk):
    """Each mood has its own answer to one of each pair."""
    tune(desk.spec(), **desk.means())
    asked = {(call.settings.extra["mood"], call.messages[-1].content) for call in desk.writes.calls}
    assert len(asked) == len(desk.writes.calls)
    moods = [mood for mood, _ in asked]
    assert moods.count("calm") >= len(TOPICS) / 2
    assert moods.count("keen") >= len(TOPICS) / 2


def test_nothing_is_recommended_exported_or_compared(desk):
    """And each refusal says why."""
    found = tune(desk.spec(), **desk.means())
    store = desk.means()["store"]
    assert (found.record.state, found.record.recommendation) == ("inconclusive", None)
    refusals = (
        lambda: found.export("json", desk.folder / "out"),
        lambda: found.recommend("knee"),
        lambda: chosen(found.run_id, store=store),
    )
    for refused in refusals:
        with pytest.raises(InconclusiveError, match="this is a development run: semantic_cache"):
            refused()
    measured = evaluate(desk.spec(), **desk.means())
    with pytest.raises(UsageError, match="cannot be compared: this is a development run"):
        compare(measured.run_id, measured.run_id, store=store)
    with pytest.raises(UsageError, match="a gate needs answers of the settings' own"):
        gate(
            desk.spec(gate={"baseline": str(desk.folder / "base.json")}), update_baseline=True, **desk.means()
        )
    assert not (desk.folder / "base.json").exists()


def test_what_was_not_asked_is_asked_once_the_block_is_gone(desk):
    """A given answer is never stored as the prompt's own: the run that counts pays for it."""
    evaluate(desk.spec(), **desk.means())
    honest = evaluate(desk.spec(None), **desk.means())
    assert len(desk.writes.calls) == 2 * len(TOPICS)
    assert honest.spend.by_purpose["answer"].calls == len(on_one_side(honest.plan))


def test_a_failed_answer_is_given_to_nobody(desk):
    """The near prompt of a call that failed is asked itself."""
    met = set()

    def answer(call):
        topic = call.messages[-1].content.split()[1]
        if topic not in met:
            met.add(topic)
            return ProviderFault("filtered", "no")
        return an_answer(call)

    desk.writes = ScriptedProvider(answer)
    found = evaluate(desk.spec(), **desk.means())
    assert found.trial.failure_rate == 0.5
    assert read_scores(found.folder / "scores.parquet")["near_sample"].isna().all()


def test_a_prompt_that_cannot_be_embedded_is_asked(desk):
    """An outage of the embedding model costs money, never an answer."""
    desk.embeds = ScriptedProvider(ProviderFault("too_long", "600 tokens"))
    found = evaluate(desk.spec(), **desk.means())
    assert len(desk.writes.calls) == 2 * len(TOPICS)
    assert found.quality.value == 1.0


def test_it_goes_with_no_switch_that_refuses_such_answers(desk):
    """Asking everything anew, and given the answers of others, cannot both be meant."""
    with pytest.raises(UsageError, match="semantic_cache gives answers not asked for"):
        evaluate(desk.spec(), use_cache=False, **desk.means())


@pytest.mark.parametrize(
    ("near", "words"),
    [
        ({"model": "own/writer", "threshold": 0.9}, "of class SMALL, which gives no vectors"),
        ({"model": "vec/smal", "threshold": 0.9}, "vec/smal"),
        ({"model": "vec/small", "threshold": 1.5}, "expected at most 1"),
        ({"model": "vec/small"}, "threshold"),
    ],
)
def test_what_makes_no_sense_is_told(desk, near, words):
    """Before anything is sent."""
    with pytest.raises(SpecError, match=words):
        make_plan(desk.spec(near))
