"""What models of vectors are told that texts are for: by task, by side, and as a spec says."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.plan.planner import make_plan

GOOGLE = "google/gemini-embedding-001"
COHERE = "bedrock/cohere.embed-multilingual-v3"
OWN = "mine/m"
SIDES = {"query": "search_query", "document": "search_document"}
PAIRS = [
    {"id": f"p{n}", "text_a": f"one {n}", "text_b": f"two {n}", "target": ("same", "different")[n % 2]}
    for n in range(12)
]
TEXTS = [{"id": f"t{n}", "text": f"text {n}", "target": f"label {n % 3}"} for n in range(12)]
QUERIES = [{"id": f"q{n}", "text": f"question {n}", "target": f"a{n % 3}"} for n in range(12)]
ARTICLES = [{"id": f"a{n}", "text": f"Article {n}"} for n in range(3)]


@pytest.fixture
def plan(tmp_path):
    """Plans a task of this kind, with these models and this search."""
    for name, rows in (("pairs", PAIRS), ("texts", TEXTS), ("queries", QUERIES), ("articles", ARTICLES)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def act(kind="retrieval", models=(GOOGLE,), search=None, fallback=(), **more):
        of_pairs = kind in ("pairs", "semantic_cache")
        task = {"kind": kind, "dataset": "pairs.jsonl" if of_pairs else "texts.jsonl"}
        if kind == "retrieval":
            task |= {"dataset": "queries.jsonl", "corpus": "articles.jsonl"}
        stated = {"class": "EMBEDDING", "prices": {"input": 0.1, "output": 0}}
        spec = {
            "experiment": "e",
            "task": task,
            "search": {"models": list(models), **(search or {})},
            "providers": {"mine": {"api_base": "http://127.0.0.1:9/v1", "models": {"m": stated}}},
            "aim": {"confirm": 0.4},
            "budget": {"usd": 1.0},
            "failures": "leave_out",
            "fallback": list(fallback),
        }
        return make_plan(spec, base=tmp_path, **more)

    return act


def sent(plan, model=GOOGLE):
    """What settings that nothing tunes send with a query and with a document."""
    settings = plan.space.defaults[model]
    return settings.of_side("query").sent(), settings.of_side("document").sent()


@pytest.mark.parametrize(
    ("kind", "query", "document"),
    [
        ("retrieval", "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT"),
        ("pairs", "SEMANTIC_SIMILARITY", "SEMANTIC_SIMILARITY"),
        ("semantic_cache", "SEMANTIC_SIMILARITY", "SEMANTIC_SIMILARITY"),
        ("classification", "CLASSIFICATION", "CLASSIFICATION"),
        ("clustering", "CLUSTERING", "CLUSTERING"),
    ],
)
def test_a_model_is_told_what_its_provider_documents_and_the_plan_says_so(plan, kind, query, document):
    """Without a word in the spec, each kind of task has the type that is made for it."""
    made = plan(kind)
    assert sent(made) == ({"task_type": query}, {"task_type": document})
    (note,) = [one for one in made.notes if "task_type" in one]
    assert GOOGLE in note
    assert query in note
    assert document in note


def test_a_model_without_such_a_type_is_sent_none(plan):
    """Of OpenAI's models nothing is documented, and an endpoint of one's own is told nothing by itself."""
    made = plan(models=["openai/EMBEDDING", OWN])
    assert [one.extra for one in made.space.defaults.values()] == [{}, {}]
    assert not [note for note in made.notes if "_type" in note]


def test_cohere_is_told_under_its_own_name(plan):
    """Each model has its own parameter, so that one word of the spec means the same for all."""
    made = plan(models=[COHERE, GOOGLE])
    assert sent(made, COHERE) == ({"input_type": "search_query"}, {"input_type": "search_document"})
    assert sent(made)[0] == {"task_type": "RETRIEVAL_QUERY"}


def test_none_sends_nothing(plan):
    """As before there was such a thing."""
    made = plan(search={"input_type": "none"})
    assert sent(made) == ({}, {})
    assert not [note for note in made.notes if "task_type" in note]


def test_a_word_is_sent_with_every_text(plan):
    """Also with the documents of a retrieval."""
    word = {"task_type": "SEMANTIC_SIMILARITY"}
    assert sent(plan(search={"input_type": "SEMANTIC_SIMILARITY"})) == (word, word)


def test_an_endpoint_of_ones_own_is_told_by_side(plan):
    """In the words that its model knows."""
    made = plan(models=[OWN], search={"input_type": SIDES})
    assert sent(made, OWN) == ({"input_type": "search_query"}, {"input_type": "search_document"})


def test_any_custom_parameter_may_be_by_side(plan):
    """Some services have a name of their own for it."""
    made = plan(models=[OWN], search={"extra": {"task": {"query": "retrieval.query", "document": "passage"}}})
    assert sent(made, OWN) == ({"task": "retrieval.query"}, {"task": "passage"})
    assert any("'retrieval.query' with queries and 'passage' with documents" in one for one in made.notes)


def test_types_are_searched(plan):
    """What is documented, one word for all, and nothing are three settings; two ways to say one are one."""
    search = {"input_type": {"choices": ["auto", "SEMANTIC_SIMILARITY", "none"]}}
    assert plan(search=search).space.distinct == 3
    both = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}
    assert plan(search={"input_type": {"choices": ["auto", both]}}).space.distinct == 1


def test_what_a_spec_says_by_the_parameters_own_name_is_all_that_is_sent(plan):
    """Nothing is added beside it."""
    made = plan(search={"extra": {"task_type": "CLUSTERING"}})
    assert sent(made) == ({"task_type": "CLUSTERING"}, {"task_type": "CLUSTERING"})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"search": {"input_type": "search_query"}}, "takes 'SEMANTIC_SIMILARITY', 'CLASSIFICATION'"),
        ({"kind": "pairs", "search": {"input_type": SIDES}}, "a task of kind pairs has no documents"),
        (
            {"kind": "pairs", "models": [OWN], "search": {"extra": {"task": SIDES}}},
            "search.extra.task: is stated by side",
        ),
        ({"models": ["openai/EMBEDDING"], "search": {"input_type": "x"}}, "takes no such setting; remove it"),
        (
            {"search": {"input_type": "none", "extra": {"task_type": "CLUSTERING"}}},
            "stands beside search.extra.task_type, which says the same; remove one",
        ),
        ({"search": {"input_type": {"query": "RETRIEVAL_QUERY"}}}, "document"),
    ],
)
def test_what_makes_no_sense_is_told(plan, parts, words):
    """Before anything is sent."""
    with pytest.raises(SpecError) as error:
        plan(**parts)
    assert words in str(error.value)


def test_a_spec_that_asks_for_what_nobody_documents_is_told(plan):
    """It sends nothing there, and says so."""
    made = plan(models=[OWN], search={"input_type": "auto"})
    assert f"input_type auto sends nothing to {OWN}: nothing is documented" in " ".join(made.notes)


def test_a_fallback_is_told_in_its_own_words(plan):
    """What was sent to the first model means nothing to the next one."""
    for asked, told in ((SIDES, {"task_type": "RETRIEVAL_DOCUMENT"}), ("none", {})):
        made = plan(models=[OWN], search={"input_type": asked}, fallback=[GOOGLE], split="all")
        (spare,) = made.task.embedding.fallback
        assert spare.of_side("document").sent() == told


def test_given_settings_are_sent_as_they_are(plan):
    """Nothing is added to what somebody gives to be measured."""
    made = plan(settings={"model": GOOGLE, "extra": {"dimensions": 256}}, split="all")
    assert made.evaluated.settings.extra == {"dimensions": 256}
    assert not [note for note in made.notes if "task_type" in note]
