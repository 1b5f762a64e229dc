"""Retrieval with a model that is told which side a text is of: on the wire, in the store, in the report."""

from __future__ import annotations

import json

import pytest

from harness.cli import main
from harness.records import Reply, Usage
from harness.run import evaluate, tune
from harness.testing.http_server import SimulatorServer
from harness.testing.scripted import ScriptedProvider
from harness.testing.vectors import vectors_of

ARTICLES = {
    "refund": "You get your money back on the card you paid with, within ten days",
    "parcel": "Follow your parcel with the number in the message we sent when it left",
    "password": "Ask for a new password on the page where you sign in",
    "voucher": "A voucher counts for one order and cannot be paid out as money",
}
# One query has the very text of a document: what is asked about it differs in the side alone.
QUERIES = {
    "when do i get my money back": "refund",
    "where is my parcel": "parcel",
    "the page to sign in": "password",
    ARTICLES["voucher"]: "voucher",
    "number of my parcel please": "parcel",
    "money on the card": "refund",
    "a new password": "password",
    "paid out as money": "voucher",
}
SIDES = {"query": "search_query", "document": "search_document"}


@pytest.fixture
def desk(tmp_path):
    """A folder with a small help desk; see `Desk`."""
    return Desk(tmp_path)


class Desk:
    """Runs specs. sent: what was asked with each text, in order."""

    def __init__(self, folder):
        self.folder = folder
        self.sent: list[tuple[str, dict]] = []
        self.where = {"store": f"sqlite:///{folder}/store.db", "reports": folder / "reports", "mlflow": False}

    def spec(self, models=("mine/m",), search=None, **providers):
        queries = [{"id": f"q{n}", "text": t, "target": QUERIES[t]} for n, t in enumerate(QUERIES)]
        articles = [{"id": name, "text": text} for name, text in ARTICLES.items()]
        for name, rows in (("queries", queries), ("articles", articles)):
            path = self.folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        stated = {"class": "EMBEDDING", "prices": {"input": 0.02, "output": 0.0}}
        return {
            "experiment": "help",
            "task": {
                "kind": "retrieval",
                "dataset": str(self.folder / "queries.jsonl"),
                "corpus": str(self.folder / "articles.jsonl"),
                "metric": "ndcg@3",
            },
            "search": {"models": list(models), "n_trials": 4} | (search or {}),
            "providers": {"mine": {"api_base": "http://127.0.0.1:9/v1", "models": {"m": stated}}} | providers,
            "aim": {"confirm": 0.4},
            "budget": {"usd": 1.0},
            "failures": "count_as_wrong",
        }

    def provider(self):
        def answer(call):
            self.sent += [(text, call.settings.sent()) for text in call.texts]
            return Reply(
                vectors=vectors_of(call.texts, 64),
                finish_reason="stop",
                usage=Usage(input_tokens=len(call.texts), output_tokens=0),
            )

        return {"mine": ScriptedProvider(answer)}

    def tune(self, spec):
        return tune(spec, providers=self.provider(), **self.where)

    def evaluate(self, spec, **more):
        return evaluate(spec, providers=self.provider(), **self.where, **more)


def test_each_text_is_sent_with_the_type_of_its_side(desk):
    """A text that is a query and a document is two calls, with two keys, each paid once."""
    result = desk.evaluate(desk.spec(search={"input_type": SIDES}))
    asked = {(text, sent["input_type"]) for text, sent in desk.sent}
    assert asked == {(text, "search_query") for text in QUERIES} | {
        (text, "search_document") for text in ARTICLES.values()
    }
    assert len(desk.sent) == result.record.spend.calls == len(QUERIES) + len(ARTICLES)
    desk.sent.clear()
    desk.evaluate(desk.spec(search={"input_type": SIDES}))
    assert desk.sent == []


def test_types_are_searched_and_what_is_alike_is_paid_once(desk):
    """Three ways to tell queries apart share one corpus where they tell the same of documents."""
    same = [{"query": word, "document": "search_document"} for word in ("search_query", "question", "q")]
    result = desk.tune(desk.spec(search={"input_type": {"choices": same}}))
    documents = [text for text, sent in desk.sent if sent["input_type"] == "search_document"]
    assert sorted(documents) == sorted(ARTICLES.values())
    assert len(result.record.trials) == 3


def test_the_report_and_the_recommendation_name_both_sides(desk):
    """Settings hold the two as they were sent, and are measured again as they are."""
    tuned = desk.tune(desk.spec(search={"input_type": {"choices": [SIDES, "none"]}}))
    sent = [trial.settings.extra for trial in tuned.record.trials]
    assert sorted(sent, key=len) == [{}, {"input_type": SIDES}]
    page = (tuned.folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    assert "search_query (documents search_document)" in page
    given = {"model": "mine/m", "extra": {"input_type": SIDES}}
    again = desk.evaluate(desk.spec(), settings=given, split="confirm")
    assert again.record.spend.calls == 0
    assert again.trial.settings.extra == {"input_type": SIDES}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")
@pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning")
def test_google_is_told_by_side_without_being_asked_to(desk, capsys):
    """From the command line, over HTTP: the plan says it, and the wire has it."""
    with SimulatorServer(keep=True) as server:
        spec = desk.spec(["google/EMBEDDING"], google={"api_base": f"{server.url}/v1beta", "max_retries": 0})
        evaluate(spec, **desk.where, environ={"GEMINI_API_KEY": "my-key"})
        bodies = [json.loads(kept.body) for kept in server.kept()]
    told = {
        (one["content"]["parts"][0]["text"], one["taskType"]) for body in bodies for one in body["requests"]
    }
    assert told == {(text, "RETRIEVAL_QUERY") for text in QUERIES} | {
        (text, "RETRIEVAL_DOCUMENT") for text in ARTICLES.values()
    }
    path = desk.folder / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["plan", str(path), "--store", desk.where["store"]])
    out = capsys.readouterr().out
    assert "task_type 'RETRIEVAL_QUERY' with queries and 'RETRIEVAL_DOCUMENT' with documents" in out
