"""Promises of figures of rankings: those of trec_eval, which tells them here through pytrec_eval."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score

from harness.errors import UsageError
from harness.scores.ranking import ranking_figure
from harness.trials.index import Index

THEIRS = {
    "ndcg": "ndcg",
    "ndcg@10": "ndcg_cut_10",
    "ndcg@3": "ndcg_cut_3",
    "recall@1": "recall_1",
    "recall@5": "recall_5",
    "map": "map",
    "map@10": "map_cut_10",
    "mrr": "recip_rank",
}
MEASURES = {"ndcg", "ndcg_cut.3,10", "recall.1,5", "map", "map_cut.10", "recip_rank"}


def _world(seed, decimals):
    """Scores of 30 documents for 20 queries, and grades of some: -1 to 3, none of them found for a few."""
    random = np.random.default_rng(seed)
    run, grades = {}, {}
    for query in range(20):
        ids = [f"d{number}" for number in random.choice(200, 30, replace=False)]
        run[f"q{query}"] = {
            one: float(score.round(decimals)) for one, score in zip(ids, random.random(30), strict=True)
        }
        judged = [*random.choice(ids, 8, replace=False), *(f"x{number}" for number in range(4))]
        grades[f"q{query}"] = {
            one: int(grade) for one, grade in zip(judged, random.integers(-1, 4, 12), strict=True)
        }
    return run, grades


def _ranked(scores):
    """Documents as a run ranks them, by an index in which each one's cosine to the query is its score."""
    ids = sorted(scores, reverse=True)
    cosines = np.array([scores[one] for one in ids])
    matrix = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    index = Index(matrix=matrix, ids=ids, starts=range(len(ids)), usd=None)
    (ranked,) = index.nearest([np.array([[1.0, 0.0]], np.float32)], len(ids))
    return ranked


@pytest.mark.parametrize("decimals", [1, 2, 8])
@pytest.mark.parametrize("name", THEIRS)
def test_figures_are_those_of_trec_eval_to_the_ninth_place(name, decimals):
    """Graded relevance, equal scores, relevant documents that were not found."""
    run, grades = _world(17 + decimals, decimals)
    theirs = pytrec_eval.RelevanceEvaluator(grades, MEASURES).evaluate(run)
    for query, scores in run.items():
        found = [grades[query].get(one, 0) for one in _ranked(scores)]
        ours = ranking_figure(name).of(found, list(grades[query].values()))
        assert ours == pytest.approx(theirs[query][THEIRS[name]], abs=1e-9)


def test_ndcg_is_that_of_scikit_learn_where_no_scores_are_equal():
    """Its gains are linear as well; equal scores it averages, which trec_eval does not."""
    random = np.random.default_rng(2)
    for _ in range(20):
        grades, scores = random.integers(0, 4, 25), random.random(25)
        found = grades[np.argsort(-scores)].tolist()
        theirs = ndcg_score([grades], [scores], k=10)
        assert ranking_figure("ndcg@10").of(found, grades.tolist()) == pytest.approx(theirs, abs=1e-9)


def test_a_hand_worked_ranking():
    """Grades 0, 3, 1 were found, and a document of grade 2 was not."""
    found, grades = [0, 3, 1], [3, 2, 1]

    def figure(name):
        return ranking_figure(name).of(found, grades)

    best = 3 + 2 / math.log2(3) + 1 / 2
    assert figure("ndcg@3") == pytest.approx((3 / math.log2(3) + 1 / 2) / best)
    assert figure("recall@2") == pytest.approx(1 / 3)
    assert figure("mrr") == 1 / 2
    assert figure("mrr@1") == 0
    assert figure("map") == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert figure("map@2") == pytest.approx((1 / 2) / 3)


def test_a_query_of_which_nothing_is_relevant_has_nothing():
    """0, as trec_eval says, not a division by zero."""
    assert [ranking_figure(name).of([0, 0], [0, -1]) for name in THEIRS] == [0] * len(THEIRS)


def test_equal_scores_go_from_the_last_id_to_the_first():
    """As trec_eval has them, in the ranking that a run makes."""
    assert _ranked({"a": 0.5, "c": 0.5, "b": 0.5, "d": 0.1, "e": 0.9}) == ["e", "c", "b", "a", "d"]


def test_names_are_read_and_said_again():
    """With their number of ranks."""
    figure = ranking_figure("ndcg@10")
    assert (figure.name, figure.k) == ("ndcg@10", 10)
    assert figure.description.endswith("as a share of the best order, among the first 10")
    assert ranking_figure("map").name == "map"


@pytest.mark.parametrize("name", ["ndgc@10", "ndcg@0", "ndcg@", "precision"])
def test_an_unknown_figure_is_told_with_the_known_ones(name):
    """As everywhere in the spec."""
    with pytest.raises(UsageError, match=r"unknown ranking metric .* expected one of: ndcg@10, recall@10"):
        ranking_figure(name)


def test_recall_needs_to_know_how_many_ranks_count():
    """Of everything it is 1."""
    with pytest.raises(UsageError, match="as in recall@10"):
        ranking_figure("recall")
