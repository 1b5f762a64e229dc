"""Runs whose answers are compared by vectors, alone and inside of other scorers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.calls.lanes import open_providers
from harness.calls.provider import ProviderFault
from harness.calls.weights import pull
from harness.catalogue.weights import models_folder
from harness.errors import SpecError, UsageError
from harness.past import load_run
from harness.plan.estimate import estimate_plan
from harness.plan.planner import make_plan
from harness.records import Reply, Usage
from harness.run import evaluate, tune
from harness.testing.scripted import ScriptedProvider
from harness.testing.vectors import vector_of, vectors_of
from harness.vectors import matrix

ROOT = Path(__file__).resolve().parents[1]
VECTORS = {"class": "EMBEDDING", "prices": {"input": 0.02, "output": 0.0}}
TARGETS = {
    "t1": "the refund is on its way to your card",
    "t2": "your parcel left our house today",
    "t3": "please ask for a new password",
    "t4": "the invoice is in your list of orders",
    "t5": "we take shoes back within thirty days",
    "t6": "a voucher cannot be paid out",
    "t7": "the shop opens at nine on Monday",
    "t8": "we never share your address",
}
ANSWERS = {
    **TARGETS,
    "t2": "your parcel left our house this morning",
    "t3": "bananas grow in warm countries",
    "t4": "",
}
TEXTS = 2 * 7 - 6 + 1  # of seven answers that say something, six are their target word by word


def embedding(call: Any) -> Reply:
    """Vectors by the words of texts, billed a token a word."""
    return Reply(
        vectors=vectors_of(call.texts),
        finish_reason="stop",
        usage=Usage(input_tokens=sum(len(text.split()) for text in call.texts), output_tokens=0),
    )


def cosine(one: str, other: str) -> float:
    """As the simulated vectors have it."""
    first, second = matrix([vector_of(one), vector_of(other)]).astype(float)
    return float(first @ second)


class Desk:
    """A task of answers to customers. asked: texts that were embedded, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        rows = [{"id": name, "text": f"Ticket {name}", "target": text} for name, text in TARGETS.items()]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "tickets.jsonl").write_text(lines, encoding="utf-8")
        (folder / "reply.jinja").write_text("Answer in one sentence: {{ text }}\n", encoding="utf-8")
        self.where = {"store": f"sqlite:///{folder}/store.db", "reports": folder / "reports"}

    def spec(self, *scorers: Any, **sections: Any) -> dict[str, Any]:
        endpoint = {"api_base": "http://127.0.0.1:9/v1", "max_retries": 0}
        small = {"class": "SMALL", "prices": {"input": 1.0, "output": 4.0}}
        whole = {
            "experiment": "replies",
            "task": {
                "dataset": str(self.folder / "tickets.jsonl"),
                "prompt": str(self.folder / "reply.jinja"),
                "scorers": list(scorers),
                "metric": "mean",
            },
            "search": {
                "models": ["sim/small"],
                "temperature": {"low": 0.0, "high": 1.0},
                "max_output_tokens": 64,
                "n_trials": 3,
            },
            "providers": {
                "sim": {**endpoint, "models": {"small": small}},
                "near": {**endpoint, "models": {"vectors": VECTORS}},
            },
            "aim": {"confirm": 0.25},
            "budget": {"usd": 1.0},
            "failures": "count_as_wrong",
        }
        return whole | sections

    def run(self, act: Callable[..., Any], spec: Any, answer: Any = embedding, **more: Any) -> Any:
        def noted(call: Any) -> Any:
            self.asked.extend(call.texts)
            return answer(call)

        said = ScriptedProvider(lambda call: ANSWERS[call.sample_id])
        providers = {"sim": said, "near": ScriptedProvider(noted)}
        return act(spec, providers=providers, environ={}, mlflow=False, **self.where, **more)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk in a folder of its own."""
    return Desk(tmp_path)


SEMANTIC = {"semantic": "near/vectors"}


def broken(kind: str, text: str = "") -> Callable[[Any], Any]:
    """An embedding service that fails for texts with this word in them."""

    def answer(call: Any) -> Any:
        return ProviderFault(kind, "nobody there") if text in " ".join(call.texts) else embedding(call)

    return answer


def test_quality_is_the_mean_cosine_and_paid_apart(desk):
    """Each text is paid once under its own purpose, beside the price of answers; an empty answer is 0."""
    result = desk.run(evaluate, desk.spec(SEMANTIC))
    expected = [max(0.0, cosine(ANSWERS[name], TARGETS[name])) if ANSWERS[name] else 0.0 for name in TARGETS]
    assert result.quality.value == pytest.approx(sum(expected) / 8, abs=1e-6)
    assert result.trial.unscored_rate == 0
    rows = result.to_df().set_index("sample_id")
    assert (rows["value"]["t4"], rows["reason"]["t4"]) == (0, "the answer is empty")
    assert sorted(set(desk.asked)) == sorted(desk.asked)
    assert len(desk.asked) == TEXTS
    paid = result.spend.by_purpose
    assert paid.keys() == {"answer", "embed"}
    assert paid["embed"].calls == TEXTS
    assert paid["embed"].usd == pytest.approx(sum(len(text.split()) for text in desk.asked) * 0.02e-6)
    assert result.spend.usd == pytest.approx(paid["answer"].usd + paid["embed"].usd)
    assert result.trial.usd_per_1k_calls == pytest.approx(paid["answer"].usd / 8 * 1000)
    assert set(result.spend.by_model) == {"sim/small"}
    assert "embeddings" in (result.folder / "report.md").read_text(encoding="utf-8")


def test_vectors_are_kept_like_answers(desk):
    """A second run pays nothing, and a search is read back without a call."""
    first = desk.run(evaluate, desk.spec(SEMANTIC))
    asked = len(desk.asked)
    again = desk.run(evaluate, desk.spec(SEMANTIC))
    assert (again.quality, again.spend.calls, len(desk.asked)) == (first.quality, 0, asked)
    result = desk.run(tune, desk.spec(SEMANTIC))
    assert result.record.recommendation is not None
    assert load_run(result.run_id, **desk.where).record == result.record


def test_the_plan_prices_them(desk):
    """Two texts an answer, in calls and bill; the true bill stays below the highest."""
    plain = estimate_plan(make_plan(desk.spec("token_f1")))
    estimate = estimate_plan(make_plan(desk.spec(SEMANTIC)))
    assert estimate.judge_calls == (2 * plain.likely_calls[0], 2 * plain.likely_calls[1])
    assert estimate.bill_usd[0] == pytest.approx(plain.bill_usd[0] + estimate.judge_usd[0])
    assert estimate.judge_usd[0] > 0
    result = desk.run(tune, desk.spec(SEMANTIC))
    assert result.spend.by_purpose["embed"].usd <= estimate.judge_usd[1]


def test_embeddings_keep_the_cap(desk):
    """They are held like answers: a cap on calls covers both."""
    result = desk.run(evaluate, desk.spec(SEMANTIC, budget={"calls": 10}))
    assert result.spend.calls <= 10
    assert result.record.state != "complete"


@pytest.mark.parametrize("failures", ["count_as_wrong", "leave_out"])
def test_a_text_that_cannot_be_embedded_leaves_its_answer_unscored(desk, failures):
    """It is in no figure, whatever failures count."""
    spec = desk.spec(SEMANTIC, failures=failures)
    result = desk.run(evaluate, spec, broken("bad_request", "bananas"))
    rows = result.to_df().set_index("sample_id")
    assert rows["value"].isna().sum() == 1
    assert rows["reason"]["t3"] == "the embedding call failed"
    assert (result.trial.unscored_rate, result.quality.n) == (1 / 8, 7)
    others = [
        cosine(ANSWERS[name], TARGETS[name]) if ANSWERS[name] else 0 for name in TARGETS if name != "t3"
    ]
    assert result.quality.value == pytest.approx(sum(others) / 7, abs=1e-6)


def test_a_dead_service_ends_the_run_without_a_quality(desk):
    """Inconclusive, and never 0; the message names it."""
    result = desk.run(tune, desk.spec(SEMANTIC), broken("credentials"))
    assert (result.record.state, result.record.recommendation) == ("inconclusive", None)
    assert any("judge cannot be asked: near/vectors (credentials)" in note for note in result.record.notes)


def test_a_part_that_asks_decides_with_the_others(desk):
    """Near in meaning and short enough; where its call fails, only answers too long by then are scored."""
    near = {"semantic": {"model": "near/vectors", "at_least": 0.7}}
    spec = desk.spec({"all": [{"length": 7}, near]})
    result = desk.run(evaluate, spec)
    values = result.to_df().set_index("sample_id")["value"].to_dict()
    short = {name: 0 < len(text.split()) <= 7 for name, text in ANSWERS.items()}
    meant = {name: cosine(text, TARGETS[name]) >= 0.7 for name, text in ANSWERS.items() if text}
    assert values == {name: float(short[name] and meant.get(name, False)) for name in TARGETS}
    assert 0 < sum(values.values()) < 8
    assert result.spend.by_purpose["embed"].calls == TEXTS


@pytest.mark.parametrize(
    ("whole", "scored"),
    [("all", {"t1", "t4"}), ("any", set(TARGETS) - {"t1"}), ("weighted", {"t4"})],
)
def test_a_part_that_fails_leaves_what_it_decides_unscored(desk, whole, scored):
    """All: another 0 decides; any: another 1 does; a mean is unknown. t4 is empty and asks nothing."""
    spec = desk.spec({whole: [{"length": 7}, SEMANTIC]})
    result = desk.run(evaluate, spec, broken("bad_request"))
    rows = result.to_df().set_index("sample_id")
    assert set(rows.index[rows["value"].notna()]) == scored
    assert result.trial.unscored_rate == 1 - len(scored) / 8


def test_a_judge_that_stands_twice_is_asked_once(desk):
    """Alone and as a part, it is one judge with one set of questions."""
    result = desk.run(evaluate, desk.spec(SEMANTIC, {"any": ["exact", SEMANTIC]}))
    assert len(desk.asked) == TEXTS
    assert result.trial.metrics["any"] >= result.quality.value
    assert estimate_plan(make_plan(desk.spec(SEMANTIC, {"any": ["exact", SEMANTIC]}))).judge_calls == (
        estimate_plan(make_plan(desk.spec(SEMANTIC))).judge_calls
    )


@pytest.mark.parametrize(
    ("scorers", "said", "below"),
    [
        ([{"semantic": "sim/small"}], "writes texts and gives no vectors", 1),
        ([{"semantic": "nobody/x"}], "nobody", 1),
        ([{"all": ["exact", {"semantic": "sim/small"}]}], "writes texts and gives no vectors", 1),
        ([{"all": ["exact", {"correctness": ["near/vectors"]}]}], "gives vectors, not verdicts", 1),
        (
            [SEMANTIC, {"all": [{"semantic": {"model": "near/vectors", "at_least": 0.5}}]}],
            "two judges called",
            0,
        ),
    ],
)
def test_faults_are_told_with_their_line(desk, scorers, said, below):
    """Of the scorer at fault, or of the scorers where two of them are; before anything is spent."""
    file = desk.folder / "spec.yaml"
    file.write_text(json.dumps(desk.spec(*scorers), indent=1), encoding="utf-8")
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if '"scorers"' in text)
    with pytest.raises(SpecError, match=said) as told:
        make_plan(file)
    assert f"spec.yaml:{line + below}:" in str(told.value)


def test_a_provider_that_was_not_given_ends_the_run(desk):
    """Whoever gives providers and forgets one is told, and does not wait for ever."""
    said = ScriptedProvider(lambda call: ANSWERS[call.sample_id])
    with pytest.raises(UsageError, match="no provider 'near' was given"):
        evaluate(desk.spec(SEMANTIC), providers={"sim": said}, mlflow=False, **desk.where)


@pytest.mark.slow
def test_vectors_of_this_machine(desk):
    """local/minilm: paraphrases are nearer than another matter, and nothing is paid."""
    where = str(ROOT / ".harness" / "models")
    environ = {"HARNESS_MODELS": where, **os.environ}
    pull("minilm", folder=models_folder(environ), progress=lambda _done, _total: None)
    said = ScriptedProvider(lambda call: ANSWERS[call.sample_id])
    plan = make_plan(desk.spec({"semantic": "local/minilm"}))
    here = open_providers({"local": plan.endpoints["local"]}, plan.asked_models, environ)
    result = evaluate(
        desk.spec({"semantic": "local/minilm"}),
        providers={"sim": said, **here},
        environ=environ,
        mlflow=False,
        **desk.where,
    )
    value = result.to_df().set_index("sample_id")["value"]
    assert value["t1"] == pytest.approx(1.0, abs=1e-6)
    assert 0.7 < value["t2"] < 1
    assert value["t3"] < 0.3
    assert value["t4"] == 0
    assert result.spend.by_purpose["embed"].calls == TEXTS
    assert result.spend.by_purpose["embed"].usd == 0
