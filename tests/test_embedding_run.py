"""Tasks of embedding models, spec to recommendation: each text paid once, and vectors of one model."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, v_measure_score

from harness.calls.provider import ProviderFault
from harness.cli import main
from harness.cli.live import show_evaluation
from harness.comparing import compare
from harness.drift import space_drift
from harness.errors import HarnessError, ProviderError
from harness.gating import gate
from harness.outputs.frames import read_scores
from harness.outputs.spend_roles import spend_by_role
from harness.past import load_run
from harness.rebuilding import rebuild_report
from harness.records import Reply, Usage
from harness.run import evaluate, tune
from harness.scores.ranking import ranking_figure
from harness.testing.faults import Fault
from harness.testing.http_server import SimulatorServer
from harness.testing.scripted import ScriptedProvider
from harness.testing.vectors import vector_of, vectors_of
from harness.vectors import matrix

ARTICLES = {
    "refund": "You get your money back on the card you paid with, within ten days",
    "parcel": "Follow your parcel with the number in the message we sent when it left",
    "password": "Ask for a new password on the page where you sign in",
    "invoice": "Every invoice can be fetched as a file from the list of orders",
    "size": "Send shoes back that do not fit and name the size you need instead",
    "voucher": "A voucher counts for one order and cannot be paid out as money",
}
QUESTIONS = [
    ("when do i get my money back", "refund"),
    ("where is my parcel", "parcel"),
    ("sign in needs a new password", "password"),
    ("fetch the invoice as a file", "invoice"),
    ("shoes do not fit which size instead", "size"),
    ("can a voucher be paid out as money", {"voucher": 2, "refund": 1}),
    ("number of my parcel please", "parcel"),
    ("money on the card", ["refund"]),
    ("list of orders", "invoice"),
    ("the page to sign in", "password"),
]
PRICES = {"input": 0.02, "output": 0.0}


def embedding(call, *, blur=0.0):
    """A reply with the vectors of a call's texts, as long as was asked for, billed a token a word."""
    asked = call.settings.extra.get("dimensions", 64)
    return Reply(
        vectors=vectors_of(call.texts, asked, blur=blur, model=call.settings.model),
        finish_reason="stop",
        usage=Usage(input_tokens=sum(len(text.split()) for text in call.texts), output_tokens=0),
    )


@pytest.fixture
def desk(tmp_path):
    """Runs a spec of embeddings in a folder of its own; see `Desk`."""
    return Desk(tmp_path)


class Desk:
    """A folder with a store. texts: what was sent, by model."""

    def __init__(self, folder):
        self.folder = folder
        self.texts: dict[str, list[str]] = {}
        self.sent: list[dict] = []
        self.where = {"store": f"sqlite:///{folder}/store.db", "reports": folder / "reports", "mlflow": False}

    def rows(self, name, rows):
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    def spec(self, *, models=("one",), search=None, metric="ndcg@3", **sections):
        queries = [
            {"id": f"q{n}", "text": text, "target": target} for n, (text, target) in enumerate(QUESTIONS)
        ]
        articles = [{"id": name, "text": text} for name, text in ARTICLES.items()]
        stated = {"class": "EMBEDDING", "prices": PRICES}
        whole = {
            "experiment": "help",
            "task": {
                "kind": "retrieval",
                "dataset": self.rows("queries", queries),
                "corpus": self.rows("articles", articles),
                "metric": metric,
            },
            "search": {"models": [f"mine/{name}" for name in models], "n_trials": 4} | (search or {}),
            "providers": {
                "mine": {
                    "api_base": "http://127.0.0.1:9/v1",
                    "max_retries": 0,
                    "models": dict.fromkeys(("one", "two", "spare"), stated),
                }
            },
            "aim": {"confirm": 0.4},
            "budget": {"usd": 1.0},
            "failures": "count_as_wrong",
        }
        return whole | sections

    def provider(self, answer=embedding):
        def noted(call):
            self.texts.setdefault(call.settings.model_name, []).extend(call.texts)
            self.sent.append(call.settings.sent())
            return answer(call)

        return {"mine": ScriptedProvider(noted)}

    def tune(self, spec, answer=embedding, **more):
        return tune(spec, providers=self.provider(answer), **self.where, **more)

    def evaluate(self, spec, answer=embedding, **more):
        return evaluate(spec, providers=self.provider(answer), **self.where, **more)


# -- retrieval


def test_a_retrieval_is_measured_as_by_hand(desk):
    """nDCG of an evaluation is that of the cosines of queries and documents, ranked as trec_eval does."""
    result = desk.evaluate(desk.spec())
    by_hand = []
    for text, target in QUESTIONS:
        query = np.frombuffer(vector_of(text), "<f4")
        scores = {name: float(np.frombuffer(vector_of(doc), "<f4") @ query) for name, doc in ARTICLES.items()}
        grades = {target: 1.0} if isinstance(target, str) else target
        grades = dict.fromkeys(grades, 1.0) if isinstance(grades, list) else grades
        found = [
            grades.get(name, 0.0) for name in sorted(scores, key=lambda one: (scores[one], one), reverse=True)
        ]
        by_hand.append(ranking_figure("ndcg@3").of(found, list(grades.values())))
    (trial,) = result.record.trials
    assert trial.quality.value == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert trial.quality.n == len(QUESTIONS)


def test_a_text_is_paid_once_and_a_second_run_calls_nobody(desk):
    """Corpus and queries are embedded once for all trials; the same search again is answered by the store."""
    first = desk.tune(desk.spec(search={"top_k": {"choices": [1, 2, 3]}}, metric="ndcg"))
    assert sorted(desk.texts["one"]) == sorted([*ARTICLES.values(), *(text for text, _ in QUESTIONS)])
    again = desk.tune(desk.spec(search={"top_k": {"choices": [1, 2, 3]}}, metric="ndcg"))
    assert again.record.spend.calls == 0
    assert again.record.spend.saved_usd > 0
    assert [t.quality for t in again.record.trials] == [t.quality for t in first.record.trials]


def test_what_is_searched_here_is_never_sent(desk):
    """Local settings stay off the wire and are part of the recommendation; dimensions are sent."""
    search = {"dimensions": 32, "top_k": 2, "chunk_tokens": {"choices": [8, 64]}, "pooling": "max"}
    result = desk.tune(desk.spec(search=search, metric="ndcg"))
    assert desk.sent
    assert all(sent == {"dimensions": 32} for sent in desk.sent)
    chosen = result.record.recommendation.settings
    assert chosen.local.keys() == {"top_k", "chunk_tokens", "pooling"}
    assert chosen.extra == {"dimensions": 32}


def test_a_document_is_as_near_as_its_nearest_piece(desk):
    """With pooling max, a question about the end of a long article finds it though the rest is of others."""
    long = ARTICLES | {"long": " ".join(ARTICLES.values()) + ". Bicycles are kept behind the hall."}
    spec = desk.spec(search={"chunk_tokens": 12, "pooling": "max"})
    spec["task"]["corpus"] = desk.rows("long", [{"id": k, "text": v} for k, v in long.items()])
    rows = [{"id": f"b{n}", "text": "bicycles behind the hall", "target": "long"} for n in range(12)]
    spec["task"]["dataset"] = desk.rows("bicycles", rows)
    assert desk.evaluate(spec).record.trials[0].metrics["recall@1"] == 1.0


def test_a_report_and_a_load_need_the_store_alone(desk):
    """A finished search is read back and its report written anew without a call, with the same figures."""
    result = desk.tune(desk.spec(models=("one", "two")), lambda call: embedding(call, blur=0.5))
    again = load_run(result.record.run, **{k: v for k, v in desk.where.items() if k != "mlflow"})
    assert again.record == result.record
    report = rebuild_report(result.record.run, **{k: v for k, v in desk.where.items() if k != "mlflow"})
    page = (report.folder / "report.html").read_text(encoding="utf-8")
    assert "TF-IDF" in page
    rows = read_scores(report.folder / "scores.parquet")
    assert set(rows["sample_id"]) == {f"q{n}" for n in range(len(QUESTIONS))}


def test_a_limit_on_storage_is_kept(desk):
    """Of two lengths, the one above aim.within.bytes_per_vector is not recommended, however good it is."""
    spec = desk.spec(
        search={"dimensions": {"choices": [16, 256]}},
        aim={"confirm": 0.4, "within": {"bytes_per_vector": 100}},
    )
    result = desk.tune(spec)
    assert result.record.recommendation.settings.extra == {"dimensions": 16}
    assert result.record.recommendation.trial.facts["bytes_per_vector"] == 64


def test_a_budget_that_does_not_cover_the_corpus_ends_the_run_clearly(desk):
    """Without money for the corpus nothing is measured, and nothing is guessed."""
    result = desk.evaluate(desk.spec(budget={"calls": 4}))
    assert result.record.state == "inconclusive"
    assert result.record.trials[0].quality is None


# -- offline


def test_offline_a_retrieval_is_measured_from_the_store_alone(desk):
    """Corpus and queries are read back without a key: the same figures, and nothing is sent."""
    first = desk.evaluate(desk.spec())
    sent = len(desk.sent)
    spec = desk.spec()
    spec["providers"]["mine"]["api_key_env"] = "NOBODY_HAS_THIS_KEY"
    again = evaluate(spec, offline=True, environ={}, **desk.where)
    assert again.quality == first.quality
    assert again.record.spend.calls == 0
    assert len(desk.sent) == sent


def test_offline_missing_vectors_are_counted_and_named(desk):
    """Of queries, of documents, and of pairs: the run ends with the first of them, and with what to do."""
    desk.evaluate(desk.spec())
    spec = desk.spec()
    more = [{"id": name, "text": text} for name, text in {**ARTICLES, "gift": "A gift is wrapped"}.items()]
    spec["task"]["corpus"] = desk.rows("more", more)
    with pytest.raises(
        ProviderError, match=r"1 of 7 vectors are not in the store.*mine/one for the texts of gift;"
    ):
        evaluate(spec, offline=True, environ={}, **desk.where)
    spec = desk.spec()
    asked = [
        {"id": f"q{n}", "text": f"{text}, please", "target": "size"} for n, (text, _) in enumerate(QUESTIONS)
    ]
    spec["task"]["dataset"] = desk.rows("asked", asked)
    with pytest.raises(ProviderError, match=r"10 of 16 vectors.*and 5 more; run it once where keys are"):
        evaluate(spec, offline=True, environ={}, **desk.where)
    with pytest.raises(ProviderError, match=r"48 of 48 vectors.*for the texts of p\d+, .* and 19 more"):
        evaluate(pairs(desk, "similarity", graded()), offline=True, environ={}, **desk.where)


# -- other kinds


def pairs(desk, kind, rows, **task):
    """A spec of a task of these rows."""
    spec = desk.spec()
    spec["task"] = {"kind": kind, "dataset": desk.rows("pairs", rows)} | task
    return spec


def cosines(rows):
    """The cosine of the two texts of each row."""
    return [
        float(np.frombuffer(vector_of(row["text_a"]), "<f4") @ np.frombuffer(vector_of(row["text_b"]), "<f4"))
        for row in rows
    ]


WORDS = ["red", "green", "blue", "warm", "cold", "fast", "slow", "old", "new", "far", "near", "light", "dark"]


def graded(count=24):
    """Pairs that share more words the higher their grade."""
    rows = []
    for n in range(count):
        words = [WORDS[(n * 7 + k) % len(WORDS)] for k in range(6)]
        shared = n % 6
        other = words[:shared] + [WORDS[(n * 3 + k + 5) % len(WORDS)] + "x" for k in range(6 - shared)]
        rows.append({"id": f"p{n}", "text_a": " ".join(words), "text_b": " ".join(other), "target": shared})
    return rows


def test_similarity_is_the_rank_correlation_of_cosines(desk):
    """Spearman of an evaluation is scipy's, of the cosines and the grades."""
    rows = graded()
    result = desk.evaluate(pairs(desk, "similarity", rows))
    expected = spearmanr(cosines(rows), [row["target"] for row in rows]).statistic
    assert result.record.trials[0].quality.value == pytest.approx(expected, abs=1e-9)


def test_pairs_are_ranked_as_scikit_learn_does(desk):
    """Average precision of an evaluation is scikit-learn's."""
    rows = [row | {"target": "same" if row["target"] > 2 else "different"} for row in graded()]
    result = desk.evaluate(pairs(desk, "pairs", rows))
    expected = average_precision_score([row["target"] == "same" for row in rows], cosines(rows))
    assert result.record.trials[0].quality.value == pytest.approx(expected, abs=1e-6)


def labelled():
    """Texts of two subjects, in words of their own."""
    subjects = {"colour": WORDS[:3], "speed": [*WORDS[5:7], "quick"], "age": [*WORDS[7:9], "ancient"]}
    return [
        {"id": f"{label}{n}", "text": f"{words[n % 3]} {words[(n + 1) % 3]} thing {n}", "target": label}
        for label, words in subjects.items()
        for n in range(8)
    ]


def test_labels_are_found_from_vectors(desk):
    """A logistic regression on vectors tells subjects apart that have words of their own."""
    spec = pairs(desk, "classification", labelled())
    assert desk.evaluate(spec).record.trials[0].quality.value > 0.9


def test_clusters_agree_with_labels_as_scikit_learn_says(desk):
    """V-measure of an evaluation is scikit-learn's, of the clusters that its table names."""
    rows = labelled()
    result = desk.evaluate(pairs(desk, "clustering", rows))
    table = result.to_df().set_index("sample_id")
    expected = v_measure_score(
        [row["target"] for row in rows], [table.loc[row["id"], "text"] for row in rows]
    )
    assert result.record.trials[0].quality.value == pytest.approx(expected, abs=1e-9)


def intents(same=120, different=360):
    """Pairs of which the same share all words but one, the different ones at most half of them."""
    rows = []
    for n in range(same):
        words = [WORDS[(n + k * k) % len(WORDS)] for k in range(6)]
        rows.append(
            {
                "id": f"s{n}",
                "text_a": " ".join(words),
                "text_b": " ".join([*words[1:], f"z{n}"]),
                "target": "same",
                "metadata": {"pair": "near"},
            }
        )
    for n in range(different):
        first = [f"{WORDS[n % len(WORDS)]}{n % 9}", *WORDS[n % 5 : n % 5 + 3]]
        second = [f"{WORDS[(n * 4) % len(WORDS)]}{n % 7}", *WORDS[(n + 3) % 8 : (n + 3) % 8 + 3]]
        rows.append(
            {"id": f"d{n}", "text_a": " ".join(first), "text_b": " ".join(second), "target": "different"}
            | {"metadata": {"pair": "far"}}
        )
    return rows


def test_a_cache_ships_the_threshold_that_it_was_confirmed_with(desk):
    """The threshold is chosen on the search split, held on the confirm split, and recommended."""
    spec = pairs(desk, "semantic_cache", intents(), false_hit_rate=0.05, usd_per_answer=0.002)
    result = desk.tune(spec | {"aim": {"confirm": 0.3}})
    choice = result.record.recommendation
    searched, confirmed = result.record.caches
    assert (searched.split, confirmed.split) == ("search", "confirm")
    assert choice.settings.local["threshold"] == searched.threshold == confirmed.threshold
    assert choice.trial.facts["threshold"] == searched.threshold
    assert searched.high <= 0.05
    assert confirmed.verdict in ("kept", "unclear")
    told = [one for one in choice.caveats if "is not confirmed; leave the cache off until it is" in one]
    assert len(told) == (confirmed.verdict == "unclear")
    assert {"chosen", "0.85 as a cosine"} <= {point.name for point in confirmed.landmarks}
    (slices,) = [one for one in result.record.breakdowns if one.trial == choice.trial.number]
    far = next(one for one in slices.slices if one.value == "far")
    assert (far.samples, far.quality, far.false_hits.n) == (0, None, confirmed.different)
    assert far.false_hits.value * far.false_hits.n == pytest.approx(confirmed.false)
    rows = read_scores(result.folder / "scores.parquet")
    assert set(rows["value"].dropna()) <= {0.0, 1.0}
    assert rows["value"].notna().all()
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert f"{confirmed.false} of {confirmed.different} different texts hit, at most" in page
    assert "A cache of near matches at every threshold" in page


def test_a_cache_without_enough_pairs_stays_off_and_says_how_many_it_takes(desk):
    """Where no threshold can be shown to keep the limit, nothing hits, and the report says why."""
    spec = pairs(desk, "semantic_cache", intents(same=20, different=40), false_hit_rate=0.01)
    result = desk.tune(spec | {"aim": {"confirm": 0.3}})
    assert result.record.caches[0].threshold is None
    assert "fewer than 299" in result.record.caches[0].why
    assert all(trial.quality.value == 0.0 for trial in result.record.finalists)
    choice = result.record.recommendation
    assert choice is not None
    assert "threshold" not in choice.settings.local
    assert choice.caveats[0].startswith("no threshold is recommended; leave the cache off: ")
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "Leave the cache off" in page
    assert "1.01" not in page


# -- spaces that fail


def test_an_outage_moves_the_whole_run_to_the_fallback(desk):
    """When the primary stops in mid-run, all figures are those of the fallback alone, told once."""
    spec = desk.spec(fallback=["mine/spare"])
    alone = desk.evaluate(desk.spec(models=("spare",)), lambda call: embedding(call, blur=0.3))

    def stops(call):
        if call.settings.model_name == "one" and len(desk.texts["one"]) > len(ARTICLES) + 3:
            return ProviderFault("credentials", "the key was revoked")
        return embedding(call, blur=0.3)

    desk.texts.clear()
    seen = []
    result = desk.evaluate(spec, stops, use_cache=False, max_concurrency=1, on_progress=seen.append)
    (trial,) = result.record.trials
    assert result.record.state == "complete"
    assert trial.settings.model == "mine/spare"
    assert trial.quality == alone.record.trials[0].quality
    assert sorted(desk.texts["spare"]) == sorted([*ARTICLES.values(), *(text for text, _ in QUESTIONS)])
    (told,) = [note for note in result.record.notes if "fallback" in note]
    assert "mine/one" in told
    assert "the key was revoked" in told
    heard = [progress.news for progress in seen]
    assert heard.index((told,)) < len(heard) - 1, "told when it happened, before the end"
    roles = {line.role: line for line in spend_by_role(result.record)}
    paid = (roles["of it, mine/one"].calls, roles["of it, mine/spare"].calls)
    assert paid == (str(len(ARTICLES)), str(len(ARTICLES) + len(QUESTIONS)))


def test_without_a_fallback_an_outage_is_an_error(desk):
    """A model that cannot be asked ends the run with its cause; no figure is made of what came before."""
    with pytest.raises(ProviderError, match="the key was revoked"):
        desk.evaluate(desk.spec(), lambda _: ProviderFault("credentials", "the key was revoked"))


def test_a_space_that_changes_its_size_is_an_error(desk):
    """A vector of another length than those before ends the run: it is not cut, filled up or compared."""

    def changes(call):
        size = 64 if len(desk.texts["one"]) <= len(ARTICLES) else 32
        return replace(embedding(call), vectors=vectors_of(call.texts, size))

    with pytest.raises(HarnessError, match="32"):
        desk.evaluate(desk.spec(), changes, max_concurrency=1)


def test_a_document_without_a_vector_leaves_no_index(desk):
    """One document that the model refuses fails every query: a corpus with a hole is no corpus."""

    def refuses(call):
        if any("voucher" in text and "counts" in text for text in call.texts):
            return ProviderFault("bad_request", "this text is refused")
        return embedding(call)

    with pytest.raises(ProviderError, match="document 'voucher' of the corpus was not embedded"):
        desk.evaluate(desk.spec(), refuses)


def test_a_search_goes_on_with_the_models_that_answer(desk):
    """A model that cannot be asked is a failed trial; the others are compared without it."""

    def answer(call):
        gone = call.settings.model_name == "two"
        return ProviderFault("credentials", "no such key") if gone else embedding(call)

    spec = desk.spec(models=("one",))
    spec["search"]["models"] = ["mine/one", "other/two"]
    spec["providers"]["other"] = spec["providers"]["mine"]
    both = {"mine": desk.provider(answer)["mine"], "other": desk.provider(answer)["mine"]}
    result = tune(spec, providers=both, **desk.where)
    assert result.record.recommendation.settings.model == "mine/one"
    assert [trial.state for trial in result.record.trials] == ["complete", "failed"]


def test_an_endpoint_stopped_in_mid_run_leaves_a_run_of_the_fallback_alone(desk):
    """Over HTTP: from its second request on the primary is gone; the run completes on another alone."""

    def gone(moment):
        return Fault("reset") if moment.number > 1 else None

    with SimulatorServer(faults=gone) as primary, SimulatorServer(keep=True) as spare:
        spec = desk.spec(fallback=["spare/m"])
        stated = {"class": "EMBEDDING", "prices": PRICES}
        spec["providers"] = {
            name: {"api_base": f"{server.url}/v1", "max_retries": 0, "models": {"m": stated}}
            for name, server in (("primary", primary), ("spare", spare))
        }
        spec["search"]["models"] = ["primary/m"]
        result = evaluate(spec, **desk.where)
        assert spare.stats().requests > 0
    (trial,) = result.record.trials
    assert result.record.state == "complete"
    assert (trial.settings.model, trial.samples, trial.failure_rate) == ("spare/m", len(QUESTIONS), 0.0)
    assert sum("goes on with its fallback spare/m" in note for note in result.record.notes) == 1
    assert result.record.origin == "fallback of primary/m, the untuned default"


def test_half_an_outage_moves_the_run_as_well(desk):
    """Some queries answered before the service stopped are not mixed with those of the fallback."""

    def stops(call):
        if call.settings.model_name == "one" and "list of orders" in call.texts:
            return ProviderFault("connection", "connection reset")
        return embedding(call, blur=0.3)

    spec = desk.spec(fallback=["mine/spare"])
    result = desk.evaluate(spec, stops)
    (trial,) = result.record.trials
    assert (trial.settings.model, trial.failure_rate) == ("mine/spare", 0.0)


def test_matrix_of_test_vectors_has_one_row_a_text():
    """What the tests above take for vectors is what a provider sends."""
    assert matrix(vectors_of(list(ARTICLES.values()))).shape == (len(ARTICLES), 64)


# -- drift


def evaluated(desk, model, blur=0.0):
    """The name of an evaluation of this model."""
    made = desk.evaluate(desk.spec(models=(model,)), lambda call: embedding(call, blur=blur))
    return made.record.run


def test_the_same_space_does_not_drift(desk):
    """Two runs of one model agree on every neighbour, and nothing is sent to tell."""
    runs = evaluated(desk, "one"), evaluated(desk, "one")
    desk.texts.clear()
    it = space_drift(*runs, store=desk.where["store"])
    assert (it.found.overlap, it.found.texts) == (1.0, len(ARTICLES) + len(QUESTIONS))
    assert it.found.rank_correlation == pytest.approx(1.0)
    assert not desk.texts


def test_another_space_drifts_and_names_the_text_that_moved(desk):
    """A model that blurs its vectors keeps fewer neighbours than one that does not."""
    it = space_drift(evaluated(desk, "one"), evaluated(desk, "two", 0.6), k=3, store=desk.where["store"])
    assert it.found.overlap < 0.9
    assert it.lowest in {*ARTICLES.values(), *(text for text, _ in QUESTIONS)}
    assert it.after[1].model == "mine/two"


def test_what_was_rewritten_is_compared_with_what_it_was(desk):
    """By ids: a prefix before every question, an article that is gone; what has no partner is counted."""
    before = evaluated(desk, "one")
    spec = desk.spec()
    spec["task"]["prompt"] = {"asked": "query: {{ text }}"}
    articles = [{"id": name, "text": text} for name, text in ARTICLES.items() if name != "size"]
    spec["task"]["corpus"] = desk.rows("fewer", articles)
    questions = [(f"q{n}", text, target) for n, (text, target) in enumerate(QUESTIONS) if target != "size"]
    asked = [{"id": name, "text": text, "target": target} for name, text, target in questions]
    spec["task"]["dataset"] = desk.rows("asked", asked)
    it = space_drift(before, desk.evaluate(spec).record.run, k=3, store=desk.where["store"])
    assert (it.compared, it.changed, it.alone, it.cut) == (14, 9, (2, 0), (0, 0))
    assert it.words() == (
        "14 documents and texts of samples, by their ids, 9 of them with a changed text; without a partner: "
        "2 before, 0 after; the data sets differ (queries and articles; asked and fewer): equal ids have to "
        "mean the same"
    )


def test_runs_without_a_common_id_are_not_compared(desk):
    """Rows without an id are named by their text, and a changed text has no partner then."""
    before = evaluated(desk, "one")
    spec = desk.spec()
    articles = [{"id": f"new {name}", "text": text} for name, text in ARTICLES.items()]
    asked = [{"id": f"new {n}", "text": text, "target": "new size"} for n, (text, _) in enumerate(QUESTIONS)]
    spec["task"] |= {"corpus": desk.rows("others", articles), "dataset": desk.rows("asked", asked)}
    after = desk.evaluate(spec).record.run
    with pytest.raises(
        HarnessError, match=r"have 0 texts in common .* give rows an id where texts may change"
    ):
        space_drift(before, after, store=desk.where["store"])


def test_a_run_is_not_compared_with_itself(desk):
    """Left out, AFTER is the latest run: a check of the latest one against itself would always pass."""
    run = evaluated(desk, "one")
    with pytest.raises(HarnessError, match="the same run"):
        space_drift(run, "latest", store=desk.where["store"])


def test_drift_is_a_check_for_ci(desk, capsys):
    """`harness drift --at-least` ends with 1 when fewer neighbours stay, and with 0 when enough do."""
    runs = evaluated(desk, "one"), evaluated(desk, "two", 0.6)
    asked = ["drift", *runs, "-k", "3", "--store", desk.where["store"]]
    codes = []
    for least in ("0.05", "0.99"):
        with pytest.raises(SystemExit) as ended:
            main([*asked, "--at-least", least])
        codes.append(ended.value.code)
    assert codes == [0, 1]
    assert "rank correlation" in capsys.readouterr().out


# -- stopped and gone on with


def test_a_search_that_was_stopped_goes_on_without_paying_twice(desk):
    """Ctrl-C in mid-search keeps every vector: resumed, each text was sent once in both attempts together."""
    spec = desk.spec(search={"dimensions": {"choices": [16, 32, 64]}})

    def stop(progress):
        if progress.done > len(QUESTIONS):
            raise KeyboardInterrupt

    first = desk.tune(spec, on_progress=stop)
    assert first.record.state == "stopped"
    again = tune(resume=first.record.run, providers=desk.provider(), **desk.where)
    assert again.record.state == "complete"
    whole = 3 * (len(ARTICLES) + len(QUESTIONS))
    assert len(desk.texts["one"]) == whole
    assert again.record.recommendation is not None


def test_an_evaluation_that_a_budget_ended_goes_on_with_more(desk):
    """A cap that the corpus used up is raised, and only what was missing is paid."""
    spec = desk.spec(budget={"usd": 1e-6})
    first = desk.evaluate(spec)
    assert first.record.state == "inconclusive"
    again = evaluate(resume=first.record.run, max_cost=1.0, providers=desk.provider(), **desk.where)
    assert again.record.state == "complete"
    assert len(desk.texts["one"]) == len(ARTICLES) + len(QUESTIONS)


def test_a_recommended_threshold_can_be_measured_again(desk):
    """The recommendation.json of a cache is settings like all others: its threshold is held."""
    spec = pairs(desk, "semantic_cache", intents(), false_hit_rate=0.05) | {"aim": {"confirm": 0.3}}
    tuned = desk.tune(spec)
    again = desk.evaluate(spec, settings=str(tuned.folder / "recommendation.json"), split="confirm")
    assert again.record.trials[0].settings.local == tuned.record.recommendation.settings.local
    assert again.record.trials[0].quality == tuned.record.recommendation.trial.quality
    assert not any("flatters" in note for note in again.record.notes)
    said = io.StringIO()
    show_evaluation(again, said)
    threshold = tuned.record.recommendation.settings.local["threshold"]
    assert f"False hits   from a cosine of {threshold:.4f} up: " in said.getvalue()
    assert again.record.caches[0].verdict == tuned.record.caches[-1].verdict
    low = desk.evaluate(spec, settings={"model": "mine/one", "local": {"threshold": -0.9}})
    assert low.record.caches[0].verdict == "broken"


# -- compared and gated


def test_two_spaces_are_compared_query_by_query(desk):
    """A model that blurs its vectors is worse on the same queries, and the gate's question has an answer."""
    runs = evaluated(desk, "one"), evaluated(desk, "two", 0.9)
    found = compare(*runs, store=desk.where["store"])
    (ndcg,) = [one for one in found.comparison.metrics if one.metric == "ndcg@3"]
    assert ndcg.difference.value < 0
    assert ndcg.difference.n == len(QUESTIONS)
    assert compare(runs[0], runs[0], store=desk.where["store"]).verdict == "same"


def test_a_gate_lets_the_same_space_pass(desk):
    """A baseline of an embedding task is written, and the same settings pass against it without a call."""
    spec = desk.spec()
    file = desk.folder / "baseline.json"
    gate(spec, baseline=file, update_baseline=True, providers=desk.provider(), **desk.where)
    desk.texts.clear()
    again = gate(spec, baseline=file, providers=desk.provider(), **desk.where)
    assert again.passed
    assert not desk.texts


@pytest.mark.parametrize("require", [[], ["false_hit_rate <= 0.05"]])
def test_a_gate_refuses_a_threshold_whose_false_hits_break_the_limit(desk, require):
    """Hits alone only rise as a threshold falls; the limit of the task holds whatever the baseline hits."""
    spec = pairs(desk, "semantic_cache", intents(), false_hit_rate=0.05) | {"gate": {"require": require}}
    settings = {"model": "mine/one"}
    means = {"baseline": desk.folder / "cache.json", "providers": desk.provider(), **desk.where}
    high, low = (settings | {"local": {"threshold": cosine}} for cosine in (0.99, -0.9))
    gate(spec, settings=high, update_baseline=True, **means)
    assert gate(spec, settings=high, **means).passed
    broken = gate(spec, settings=low, **means)
    assert (broken.outcome, broken.comparison.verdict) == ("failed", "better")
    assert "false_hit_rate <= 0.05: it is 1, with 95% confidence at least" in " ".join(broken.reasons)
