"""What a run of embedding models recommends, in every target that can hold an embedding model."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.records import Settings
from harness.testing.builders import a_recommendation, a_run_record, a_trial, asked_at

OPENAI = Settings(
    model="openai/text-embedding-3-large",
    prompt="query",
    extra={"dimensions": 1024},
    local={"chunk_tokens": 256, "top_k": 5},
)
GOOGLE = Settings(
    model="google/gemini-embedding-001",
    prompt="query",
    extra={"dimensions": 768, "task_type": "RETRIEVAL_QUERY"},
)
SIDED = Settings(
    model="google/gemini-embedding-001",
    prompt="query",
    extra={"dimensions": 768, "task_type": {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}},
)
OWN = Settings(model="shed/bge-small", prompt="query", extra={"truncate_prompt_tokens": 512})
TEMPLATE = "query: {{ text }}"


def recommended(settings):
    """What the record of a run of embedding models recommends."""
    trial = a_trial(1, settings=settings, model_class="EMBEDDING", split="confirm")
    record = a_run_record(
        recommendation=a_recommendation(
            run="vectors",
            experiment="search",
            settings=settings,
            trial=trial,
            by_class=(),
        )
    )
    return record.recommendation


def manifest(written):
    """What the manifest says of each setting."""
    return {one["setting"]: one for one in json.loads(written.paths[-1].read_text())["settings"]}


@pytest.mark.parametrize("target", ["json", "yaml", "toml", "dotenv", "recommendation"])
def test_plain_formats_hold_all_of_it(write, target):
    """Model, length, what is done with the vectors, and the template of the query."""
    fates = manifest(write(target, recommended(OPENAI), prompt_text=TEMPLATE))
    assert {"model", "dimensions", "chunk_tokens", "top_k", "prompt"} <= set(fates)
    assert all(fate["effective"] == "effective" for fate in fates.values())


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("json", "document.template"),
        ("yaml", "document.template"),
        ("recommendation", "prompts"),
        ("openai", "openai.document.jinja"),
        ("dotenv", "dotenv.document.jinja"),
    ],
)
def test_the_template_of_documents_stands_beside_that_of_queries(write, target, key):
    """What is written to an index is written as it was measured."""
    documents = "passage: {{ title }}, {{ text }}"
    templates = {"vectors": {"query": TEMPLATE, "document/query": documents}}
    written = write(target, recommended(OPENAI), prompt_text=TEMPLATE, templates=templates)
    assert manifest(written)["document"]["key"] == key
    assert any(documents in path.read_text() for path in written.paths[:-1])
    assert "document" not in manifest(write(target, recommended(OPENAI), prompt_text=TEMPLATE))


@pytest.mark.parametrize("target", ["openai", "langchain", "litellm-proxy"])
def test_the_others_say_what_the_application_has_to_do(write, target):
    """Chunks and neighbours are no part of a request."""
    fates = manifest(write(target, recommended(OPENAI), prompt_text=TEMPLATE))
    assert fates["dimensions"]["effective"] == "effective"
    assert fates["chunk_tokens"]["effective"] == "not expressible"
    assert "the application does it" in fates["chunk_tokens"]["reason"]


@pytest.mark.parametrize("target", ["eliza-0.25", "eliza-1"])
def test_eliza_takes_it_beside_a_run_of_texts(write, study, target):
    """The second run fills the class; what Eliza does in its own way is told."""
    texts = study(LARGE=Settings(model="openai/gpt-4.1", prompt="plain", max_output_tokens=64))
    written = write(target, texts, recommended(OPENAI))
    fates = [fate for fate in written.export.fates if fate.model_class == "EMBEDDING"]
    assert {fate.setting for fate in fates} >= {"model", "dimensions", "chunk_tokens", "top_k"}
    env = next(path for path in written.paths if path.name == ".env").read_text()
    assert "text-embedding-3-large" in env


@pytest.mark.parametrize("target", ["eliza-0.1", "eliza-1", "litellm-proxy"])
def test_a_run_of_embedding_models_may_be_named_first(write, study, target):
    """The text model is the choice, and its prompt the one that is exported, in whatever order."""
    texts = study(LARGE=Settings(model="openai/gpt-4.1", prompt="plain", max_output_tokens=64))
    vectors = recommended(OPENAI)
    templates = {texts.run: {"plain": "Label {{ text }}"}, "vectors": {"query": TEMPLATE}}
    first, last = (
        {path.name: path.read_bytes() for path in write(target, *runs, force=True, templates=templates).paths}
        for runs in ((vectors, texts), (texts, vectors))
    )
    assert first == last
    assert json.loads(last[f"{target}.manifest.json"])["run"] == texts.run


def test_a_target_without_embedding_models_refuses_their_run_by_name(write, study):
    """Wherever it stands, for nothing of it would be in the files."""
    texts = study(LARGE=Settings(model="openai/gpt-4.1", prompt="plain", max_output_tokens=64))
    with pytest.raises(UsageError, match=r"vectors would add nothing.*promptfoo holds no embedding model"):
        write("promptfoo", recommended(OPENAI), texts)


def test_a_proxy_answers_by_the_name_of_the_class(write):
    """litellm translates the length for every provider, and is told what kind of model it is."""
    written = write("litellm-proxy", recommended(GOOGLE))
    entries = YAML(typ="safe", pure=True).load(written.paths[0].read_text())["model_list"]
    assert [entry["model_name"] for entry in entries] == ["recommended", "embedding"]
    assert entries[1]["litellm_params"]["dimensions"] == 768
    assert entries[1]["model_info"] == {"mode": "embedding"}


def test_a_set_of_chat_and_search_has_a_use_case_each(write, study):
    """Two runs, two tasks, one file."""
    texts = study(LARGE=Settings(model="openai/gpt-4.1", prompt="plain", max_output_tokens=64))
    picks = json.loads(write("recommendation", texts, recommended(OPENAI)).paths[0].read_text())["picks"]
    assert [(pick["use_case"], pick["model_class"]) for pick in picks] == [
        ("ticket-triage", "LARGE"),
        ("search", "EMBEDDING"),
    ]
    assert picks[1]["settings"]["local"] == {"chunk_tokens": 256, "top_k": 5}


def test_langchain_tells_what_it_sends_to_google_unasked(write):
    """Without a task that was measured it sends one of its own."""
    fates = manifest(write("langchain", recommended(Settings(model=GOOGLE.model, prompt="query"))))
    assert fates["task_type"]["changes_what_was_measured"]
    assert "RETRIEVAL_QUERY" in fates["task_type"]["reason"]


@pytest.mark.parametrize("target", ["json", "yaml", "toml", "dotenv", "recommendation"])
def test_plain_formats_hold_both_sides(write, target):
    """A query's type and a document's, as they were measured."""
    written = write(target, recommended(SIDED), prompt_text=TEMPLATE)
    fate = manifest(written)["task_type"]
    assert (fate["exported"], fate["effective"]) == (SIDED.extra["task_type"], "effective")
    text = written.paths[0].read_text()
    assert "RETRIEVAL_QUERY" in text
    assert "RETRIEVAL_DOCUMENT" in text


@pytest.mark.parametrize(("target", "key"), [("gemini", "task_type"), ("langchain", "task_type")])
def test_a_target_of_one_side_at_a_time_has_a_file_for_each(write, target, key):
    """The script and its settings are for queries; what is written to an index has settings of its own."""
    written = write(target, recommended(SIDED))
    held = {path.name: path.read_text() for path in written.paths}
    assert f'"{key}": "RETRIEVAL_QUERY"' in held[f"{target}.json"]
    assert f'"{key}": "RETRIEVAL_DOCUMENT"' in held[f"{target}.document.json"]
    fate = manifest(written)["task_type"]
    assert fate["requested"] == SIDED.extra["task_type"]
    assert not fate["changes_what_was_measured"]
    assert f"{target}.document.json" in fate["key"]


def test_a_proxy_has_a_name_for_documents(write):
    """Each side is asked by a name of its own."""
    written = write("litellm-proxy", recommended(SIDED))
    entries = YAML(typ="safe", pure=True).load(written.paths[0].read_text())["model_list"]
    types = {one["model_name"]: one["litellm_params"]["task_type"] for one in entries}
    assert types == {
        "recommended": "RETRIEVAL_QUERY",
        "recommended-document": "RETRIEVAL_DOCUMENT",
        "embedding": "RETRIEVAL_QUERY",
        "embedding-document": "RETRIEVAL_DOCUMENT",
    }


def test_eliza_says_that_it_tells_no_model_what_a_text_is_for(write, study):
    """Neither side arrives there, which changes what was measured."""
    texts = study(LARGE=Settings(model="google/gemini-2.5-pro", prompt="plain", max_output_tokens=64))
    written = write("eliza-1", texts, recommended(SIDED))
    (fate,) = [one for one in written.export.fates if one.setting == "task_type"]
    assert (fate.effect, fate.changes) == ("not expressible", True)


SCRIPTS = [
    ("openai", OPENAI, "openai_example.py"),
    ("openai", OWN, "openai_example.py"),
    ("gemini", GOOGLE, "gemini_example.py"),
    ("langchain", OPENAI, "langchain_example.py"),
    ("langchain", OWN, "langchain_example.py"),
    ("langchain", GOOGLE, "langchain_example.py"),
]


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("target", "settings", "script"), SCRIPTS, ids=[f"{one[0]}-{one[1].provider}" for one in SCRIPTS]
)
def test_scripts_ask_for_the_vector_that_was_measured(write, run_client, upstream, target, settings, script):
    """The real package prints a vector, and the request has model, text and every parameter."""
    choice = recommended(settings)
    if settings is OWN:
        choice = asked_at(choice, "shed", f"{upstream.url}/v1", api_key_env=None)
    written = write(target, choice)
    file = written.paths[0].parent / script
    done = run_client(target, file, "It crashes", environment=upstream.environment())
    assert (done.returncode, done.stdout.strip()) == (0, "[0.5, 0.25]"), done.stderr[-2000:]
    (asked,) = upstream.asked
    body = json.dumps(asked["body"])
    assert "It crashes" in body
    assert settings.model_name in body
    names = {"dimensions": "outputDimensionality", "task_type": "taskType"} if settings is GOOGLE else {}
    for name, value in settings.extra.items():
        assert f'"{names.get(name, name)}": {json.dumps(value)}' in body, (name, body)
    if settings is OWN:
        assert asked["key"] == "Bearer none"


INSIDE = Settings(model="local/minilm", prompt="query", local={"threshold": 0.76})


@pytest.mark.parametrize("target", ["openai", "langchain", "litellm-proxy"])
def test_a_model_of_this_process_is_refused_with_what_to_do(write, target):
    """It has no address: how to give it one, and which targets need none."""
    with pytest.raises(UsageError) as refused:
        write(target, recommended(INSIDE), prompt_text=TEMPLATE)
    told = str(refused.value)
    assert "`harness models serve minilm --port 8899`" in told
    assert 'providers: {local: {api_base: "http://127.0.0.1:8899/v1"}} into the spec' in told
    assert "or export json, yaml, toml, dotenv, recommendation" in told


def test_one_that_was_served_is_asked_at_its_address(write):
    """Measured behind an address, it is exported with it, and without a key."""
    served = asked_at(recommended(INSIDE), "local", "http://127.0.0.1:8899/v1", api_key_env=None)
    made = write("openai", served, prompt_text=TEMPLATE)
    (client,) = [path for path in made.paths if path.name == "openai_client.json"]
    assert json.loads(client.read_text()) == {"base_url": "http://127.0.0.1:8899/v1", "api_key_env": None}


@pytest.mark.parametrize("target", ["eliza-0.25", "eliza-1"])
def test_a_character_cannot_be_made_of_an_embedding_model_alone(write, target):
    """It says which model is missing, before anything about providers."""
    with pytest.raises(UsageError, match=r"an Eliza character needs a text model.*--embedding local/minilm"):
        write(target, recommended(INSIDE), prompt_text=TEMPLATE)


def test_a_character_of_a_text_model_says_why_such_an_embedding_stays_out(write):
    """The export is made all the same, with the reason and what to do as the fate of the embedding model."""
    settings = Settings(model="openai/gpt-4.1", prompt="plain", temperature=0.5)
    trial = a_trial(1, settings=settings, model_class="LARGE", split="confirm")
    made = write(
        "eliza-1", a_recommendation(settings=settings, trial=trial, by_class=()), embedding="local/minilm"
    )
    (fate,) = [
        one
        for one in json.loads(made.paths[-1].read_text())["settings"]
        if one.get("requested") == "local/minilm"
    ]
    assert fate["effective"] == "not expressible"
    assert "serve it with `harness models serve`" in fate["reason"]
