"""Specs of tasks with a kind: what they mean, and what a wrong one is told before anything is spent."""

from __future__ import annotations

import copy
import json

import pytest

from harness.errors import SpecError
from harness.plan.embedding import gold, relevance, same
from harness.plan.estimate import estimate_plan
from harness.plan.planner import make_plan

ARTICLES = [
    {"id": f"a{n}", "title": f"Title {n}", "text": f"Article {n} about {w}"} for n, w in enumerate("xyz")
]
QUERIES = [{"id": f"q{n}", "text": f"question {n}", "target": f"a{n % 3}"} for n in range(12)]
PAIRS = [
    {"id": f"p{n}", "text_a": f"one {n}", "text_b": f"two {n}", "target": ("same", "different")[n % 2]}
    for n in range(12)
]


@pytest.fixture
def project(tmp_path):
    """A folder with data, and specs of it; see `Project`."""
    for name, rows in (("articles", ARTICLES), ("queries", QUERIES), ("pairs", PAIRS)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return Project(tmp_path)


class Project:
    """Specs of retrieval with parts exchanged."""

    def __init__(self, folder):
        self.folder = folder
        stated = {"class": "EMBEDDING", "prices": {"input": 0.1, "output": 0}, "context_tokens": 400}
        self.whole = {
            "experiment": "e",
            "task": {"kind": "retrieval", "dataset": "queries.jsonl", "corpus": "articles.jsonl"},
            "search": {"models": ["mine/m"]},
            "providers": {"mine": {"api_base": "http://127.0.0.1:9/v1", "models": {"m": stated}}},
            "aim": {"confirm": 0.4},
            "budget": {"usd": 1.0},
            "failures": "leave_out",
        }

    def plan(self, *, task=None, search=None, kind=None, **more):
        spec = copy.deepcopy(self.whole)
        if kind is not None:
            spec["task"] = {"kind": kind, "dataset": "pairs.jsonl"}
        spec["task"] |= task or {}
        spec["search"] |= search or {}
        made = {name: value for name, value in spec["task"].items() if value is not None}
        return make_plan(spec | {"task": made}, base=self.folder, **more)

    def fault(self, **parts):
        with pytest.raises(SpecError) as error:
            self.plan(**parts)
        return str(error.value)


def test_settings_stand_where_they_belong(project):
    """Dimensions are sent; cutting, pooling and top_k are local; texts start as whole as can be."""
    search = {"dimensions": {"choices": [64, 32]}, "chunk_tokens": {"choices": [16, 64]}, "top_k": 5}
    plan = project.plan(search=search, task={"metric": "ndcg"})
    default = plan.space.defaults["mine/m"]
    assert default.sent() == {"dimensions": 64}
    assert default.local == {"chunk_tokens": 64, "top_k": 5}
    assert plan.space.distinct == 4
    assert plan.task.repeats == 1


def test_a_model_that_cannot_shorten_its_vectors_keeps_its_own_beside_others(project):
    """Dimensions are searched of the models that take them; another is never sent any."""
    plan = project.plan(search={"models": ["openai/EMBEDDING", "local/minilm"], "dimensions": 256})
    sent = {model: one.sent() for model, one in plan.space.defaults.items()}
    assert sent == {"openai/text-embedding-3-small": {"dimensions": 256}, "local/minilm": {}}
    assert "no dimensions: local/minilm does not take it" in plan.notes


def test_a_document_has_a_template_beside_each_prompt(project):
    """Variants share a document template, or have one each by name; one without takes the input `text`."""
    variants = {"plain": "{{ text }}", "e5": "query: {{ text }}"}
    shared = project.plan(task={"prompt": variants, "document": "{{ title }}: {{ text }}"})
    assert {one.source for one in shared.task.embedding.documents.values()} == {"{{ title }}: {{ text }}"}
    own = project.plan(task={"prompt": variants, "document": {"e5": "passage: {{ text }}"}})
    assert own.task.embedding.documents["e5"].source == "passage: {{ text }}"
    assert own.task.embedding.documents["plain"].source == "{{ text }}"


def test_a_plan_has_another_name_with_another_corpus_or_document(project):
    """What changes vectors changes the fingerprint of a plan."""
    plans = [project.plan(), project.plan(task={"document": "{{ title }}"})]
    (project.folder / "articles.jsonl").write_text(
        "".join(json.dumps(row | {"text": "new"}) + "\n" for row in ARTICLES), "utf-8"
    )
    plans.append(project.plan())
    assert len({plan.fingerprint() for plan in plans}) == 3


def test_an_estimate_counts_the_corpus_for_every_way_of_cutting_it(project):
    """Twelve queries for two trials, and three articles for each of two sizes of pieces."""
    search = {"chunk_tokens": {"choices": [64, 128]}, "n_trials": 2}
    assert estimate_plan(project.plan(search=search)).calls == 2 * 12 + 2 * 3


def test_a_pair_counts_as_two_calls(project):
    """Both texts of a pair are embedded."""
    assert estimate_plan(project.plan(kind="pairs", search={"n_trials": 1})).calls == 2 * 12


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"task": {"corpus": None}}, "is of kind retrieval and has no corpus"),
        ({"kind": "pairs", "task": {"corpus": "articles.jsonl"}}, "is of kind pairs and has a corpus"),
        ({"kind": "pairs", "task": {"document": "{{ text }}"}}, "which has no documents"),
        ({"task": {"kind": "retreival"}}, "did you mean 'retrieval'"),
        ({"task": {"scorers": ["exact"]}}, "is not a key of a task with this kind"),
        ({"task": {"corpus": "nowhere.jsonl"}}, "task.corpus: names 'nowhere.jsonl'"),
        ({"task": {"document": "{{ titel }}"}}, "did you mean 'title'"),
        ({"task": {"document": {"other": "{{ text }}"}}}, "is no variant of task.prompt"),
        ({"task": {"prompt": "system:\nx\nuser:\n{{ text }}"}}, "makes more than one message"),
        ({"kind": "pairs", "task": {"texts": ["left", "right"]}}, "has no text 'left'"),
        ({"kind": "similarity"}, "expected a number"),
        ({"search": {"temperature": 0.2}}, "embedding models take none"),
        ({"search": {"models": ["openai/SMALL"]}}, "gives no vectors"),
        ({"search": {"pooling": "median"}}, "expected mean or max"),
        ({"search": {"chunk_overlap": 4}}, "needs search.chunk_tokens"),
        ({"search": {"chunk_tokens": 16, "chunk_overlap": 9}}, "half of its tokens"),
        ({"task": {"metric": "recall@5"}, "search": {"top_k": 3}}, "write task.metric: recall, or remove"),
        ({"kind": "pairs", "search": {"top_k": 3}}, "this one is of kind pairs; remove it"),
        ({"search": {"models": ["openai/EMBEDDING"], "dimensions": 9999}}, "1536 numbers at most"),
        ({"search": {"models": ["local/minilm"], "dimensions": 128}}, "local/minilm takes no such setting"),
        ({"search": {"threshold": 2}}, "search.threshold: holds what is no cosine; expected numbers from -1"),
        ({"search": {"models": ["local/minilm"], "chunk_tokens": 512}}, "takes texts of 256 tokens at most"),
    ],
)
def test_what_makes_no_sense_is_told(project, parts, words):
    """Each mistake is told in words that help, before anything is sent."""
    assert words in project.fault(**parts)


def test_a_query_names_documents_that_are_there(project):
    """A target that is no document of the corpus is a fault of its row."""
    rows = [*QUERIES, {"id": "q99", "text": "lost", "target": ["a1", "a99"]}]
    (project.folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert "queries.jsonl:13: names the document 'a99'" in project.fault()


@pytest.mark.parametrize("blank", ["", "  \n", None])
def test_a_blank_text_is_told_with_its_row(project, blank):
    """A query, a document or a text of a pair without text is a fault of its row, not of the template."""
    for name, rows, key in (
        ("queries", QUERIES, "text"),
        ("articles", ARTICLES, "text"),
        ("pairs", PAIRS, "text_b"),
    ):
        if name == "pairs" and blank is None:
            continue  # no text at all, which is told in words of its own
        for place in (0, 1):
            held = [row | {key: blank} if n == place else row for n, row in enumerate(rows)]
            path = project.folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in held), "utf-8")
            told = project.fault(kind="pairs" if name == "pairs" else None)
            assert f"{name}.jsonl:{place + 1}: has no text to embed, for {key!r} is blank" in told
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_targets_of_a_table_of_text_are_read_by_kind(project):
    """CSV has text alone: grades of pairs are numbers there too, and words are still refused."""
    lines = [f"p{n},one {n},two {n},{n % 6}.5" for n in range(12)]
    path = project.folder / "graded.csv"
    path.write_text("\n".join(["id,text_a,text_b,target", *lines]) + "\n", "utf-8")
    plan = project.plan(kind="similarity", task={"dataset": "graded.csv"})
    assert {gold("similarity", plan.task.rows.sample(f"p{n}").target) for n in range(6)} == {
        0.5, 1.5, 2.5, 3.5, 4.5, 5.5,
    }  # fmt: skip


def test_two_documents_of_one_id_are_told(project):
    """An id decides what a query means, so that it stands for one document."""
    rows = [*ARTICLES, ARTICLES[0]]
    (project.folder / "articles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert "articles.jsonl:4: has the id 'a0' of another document" in project.fault()


def test_a_text_that_is_too_long_for_a_model_is_told_unless_it_is_cut(project):
    """Without chunk_tokens a document above the model's limit is a fault; with them it is cut."""
    rows = [ARTICLES[0] | {"text": "long winded " * 400}, *ARTICLES[1:]]
    (project.folder / "articles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    fault = project.fault()
    assert "mine/m takes 400; let search.chunk_tokens: 400 cut it" in fault
    assert "long_inputs" not in fault
    assert project.plan(search={"chunk_tokens": 128}).task.embedding.corpus.ids[0] == "a0"


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("pairs", ["same", True, "1"]),
        ("semantic_cache", ["different", 0]),
        ("similarity", [3, 3.0, "3"]),
        ("classification", ["refund"]),
        ("clustering", ["refund"]),
    ],
)
def test_rows_with_nothing_to_tell_apart_are_refused(project, kind, targets):
    """However a target is written: where all mean the same, every model has the same quality."""
    rows = [row | {"text": "t", "target": targets[n % len(targets)]} for n, row in enumerate(PAIRS)]
    (project.folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    fault = project.fault(kind=kind)
    assert any(f"all have the target {target!r}: whatever the model" in fault for target in targets)


def test_a_split_with_nothing_to_tell_apart_is_a_note(project):
    """One pair that differs is on one side, and the other side says nothing."""
    rows = [row | {"target": "same"} for row in PAIRS]
    rows[0]["target"] = "different"
    (project.folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    notes = [note for note in project.plan(kind="pairs").notes if "told apart" in note]
    assert len(notes) == 1
    assert "split have the target 'same'" in notes[0]


def test_vectors_are_searched_in_tasks_with_a_kind_alone(project):
    """A text task that searches chunk_tokens is told where it belongs, and fallback as well."""
    task = {"dataset": "queries.jsonl", "prompt": "{{ text }}", "scorers": ["exact"], "metric": "accuracy"}
    project.whole |= {"task": task, "search": {"models": ["openai/SMALL"]}, "fallback": ["openai/EMBEDDING"]}
    told = project.fault(search={"chunk_tokens": 16})
    assert "search.chunk_tokens: belongs to embedding models" in told
    assert "fallback: is for tasks with `kind`" in told


def test_one_vector_a_text_is_enough(project):
    """Repeats make no sense of vectors, and are refused rather than paid."""
    with pytest.raises(Exception, match="a text has one vector"):
        project.plan(repeat=3)


def test_a_fallback_that_gives_no_vectors_is_told_at_the_door(project):
    """With its place, and not when an evaluation falls back."""
    project.whole["fallback"] = ["openai/SMALL"]
    assert (
        "fallback: names openai/gpt-4o-mini, which is of class SMALL and gives no vectors" in project.fault()
    )


def test_a_fallback_keeps_what_is_done_here_and_leaves_what_was_sent(project):
    """Dimensions and the threshold belong to the first model's space; cutting and prompt go along."""
    project.whole["providers"]["mine"]["models"]["spare"] = project.whole["providers"]["mine"]["models"]["m"]
    project.whole["fallback"] = ["mine/spare"]
    given = {"model": "mine/m", "extra": {"dimensions": 8}, "local": {"chunk_tokens": 32, "threshold": 0.9}}
    plan = project.plan(settings=given, split="all")
    (spare,) = plan.task.embedding.fallback
    assert (spare.model, spare.extra, spare.local) == ("mine/spare", {}, {"chunk_tokens": 32})
    assert set(plan.asked_models) == {"mine/m", "mine/spare"}


def test_a_search_says_that_it_does_not_use_a_fallback(project):
    """Its notes name the list and who uses it; an evaluation of the same spec says nothing."""
    project.whole["providers"]["mine"]["models"]["spare"] = project.whole["providers"]["mine"]["models"]["m"]
    project.whole["fallback"] = ["mine/spare"]
    told = [note for note in project.plan().notes if "mine/spare" in note]
    assert len(told) == 1
    assert "is not used by a search" in told[0]
    assert not [note for note in project.plan(split="all").notes if "not used" in note]


@pytest.mark.parametrize(
    ("target", "grades"),
    [
        ("a", {"a": 1.0}),
        (7, {"7": 1.0}),
        (["a", "b"], {"a": 1.0, "b": 1.0}),
        ({"a": 2, "b": 0}, {"a": 2.0}),
        ('["a", "b"]', {"a": 1.0, "b": 1.0}),
        ('{"a": 2, "b": 0}', {"a": 2.0}),
        ("[draft] a", {"[draft] a": 1.0}),
        ({"a": 0}, None),
        ({"a": -1}, None),
        ([], None),
        (True, None),
        (["a", None], None),
    ],
)
def test_relevance_is_an_id_a_list_or_grades(target, grades):
    """What nobody could find anything by is no target."""
    assert relevance(target) == grades


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("same", True),
        ("Different ", False),
        (1, True),
        (0.0, False),
        (True, True),
        ("maybe", None),
        (2, None),
    ],
)
def test_same_and_different_have_few_spellings(target, found):
    """Anything else is refused rather than guessed."""
    assert same(target) is found
