"""One rule for addresses and keys of one's own: they stand in the export, or the manifest says why not."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.outputs.exports.targets import TARGETS
from harness.records import Settings
from harness.testing.builders import asked_at

OWN = {
    "anthropic": "https://gateway.example/claude",
    "google": "https://gateway.example/gemini/v1beta",
    "openai": "https://gateway.example/openai/v1",
    "openrouter": "https://gateway.example/router/v1",
    "ollama": "http://gpu.example:11434",
    "shed": "http://shed.example:8080/v1",
}
MODELS = {
    "anthropic": "anthropic/claude-haiku-4-5",
    "google": "google/gemini-2.5-flash",
    "openai": "openai/gpt-4.1-mini",
    "openrouter": "openrouter/openai/gpt-4o-mini",
    "ollama": "ollama/llama3.2",
    "shed": "shed/llama-tiny",
}


def settings(provider):
    """Settings of a model of this provider, with a limit, as every run has one."""
    return Settings(model=MODELS[provider], prompt="plain", temperature=0.5, max_output_tokens=64)


def address_of(written):
    """The fate of the address of texts."""
    (fate,) = [
        one for one in written.export.fates if one.setting == "address" and one.model_class in (None, "LARGE")
    ]
    return fate


def holds(target, provider):
    """Whether this target asks models of this provider."""
    only = {"anthropic": ("anthropic",), "gemini": ("google",)}.get(target)
    if target == "openai":
        return provider not in ("anthropic", "google")
    return only is None or provider in only


CASES = [(target, provider) for target in sorted(TARGETS) for provider in OWN if holds(target, provider)]


@pytest.mark.parametrize(("target", "provider"), CASES)
def test_an_own_address_has_a_fate_in_every_target(write, study, target, provider):
    """It stands in a file where the fate says so, and nowhere is it lost in silence."""
    embedding = "openai/text-embedding-3-small" if target.startswith("eliza") else None
    choice = study(LARGE=settings(provider))
    written = write(target, choice, addresses={provider: OWN[provider]}, embedding=embedding)
    fate = address_of(written)
    texts = "".join(path.read_text() for path in written.paths[:-1])
    assert fate.requested in (OWN[provider], f"{OWN[provider]}/v1")
    if fate.effect == "effective":
        assert str(fate.exported) in texts
        assert fate.key
    else:
        assert fate.reason
        assert fate.changes


@pytest.mark.parametrize(
    "lost",
    [
        ("eliza-0.25", "anthropic"),
        ("eliza-0.25", "google"),
        ("eliza-0.25", "openrouter"),
        ("eliza-1", "google"),
        ("mlflow", "openai"),
    ],
)
def test_where_no_address_can_be_said_the_loss_is_loud(write, study, lost):
    """Another server than the one that was measured would answer."""
    target, provider = lost
    embedding = "openai/text-embedding-3-small" if target.startswith("eliza") else None
    choice = study(LARGE=settings(provider))
    written = write(target, choice, addresses={provider: OWN[provider]}, embedding=embedding)
    assert address_of(written).effect == "not expressible"
    assert json.loads(written.paths[-1].read_text())["same_as_measured"] is False


def test_the_usual_address_is_no_setting(write, study):
    """A run that asked where everybody asks says nothing of it."""
    choice = study(LARGE=settings("openai"))
    written = write("openai", choice, addresses={"openai": "https://api.openai.com/v1/"})
    assert [path.name for path in written.paths[:2]] == ["openai.json", "openai_example.py"]
    assert not [fate for fate in written.export.fates if fate.setting == "address"]


def test_google_cannot_be_told_an_address_without_its_version(write, study):
    """Google's package puts a version behind every address: another path would be asked."""
    choice = study(LARGE=settings("google"))
    written = write("gemini", choice, addresses={"google": "https://gateway.example/gemini"})
    assert "puts a version behind every address" in address_of(written).reason
    assert address_of(written).changes


@pytest.mark.parametrize("model", ["azure/gpt-4o", "bedrock/amazon.nova-lite-v1:0", "vertex/claude-opus-4-6"])
@pytest.mark.parametrize("target", ["openai", "langchain", "pydantic-ai", "promptfoo", "inspect"])
def test_a_provider_with_a_format_of_its_own_is_refused_by_name(write, study, target, model):
    """It does not run inside harness, and it is not asked as if it were OpenAI; the message names a way."""
    choice = study(LARGE=Settings(model=model, prompt="plain", max_output_tokens=64))
    addresses = {"azure": "https://mine.openai.azure.example"} if model.startswith("azure") else {}
    with pytest.raises(UsageError, match=r"in a format of \w+'s own.*litellm-proxy") as caught:
        write(target, choice, addresses=addresses)
    assert "inside harness" not in str(caught.value)


@pytest.mark.parametrize("target", ["openai", "langchain", "eliza-0.25"])
def test_a_served_model_of_this_machine_is_asked_at_its_address(write, study, target):
    """`providers.local.api_base` makes it a server like any other."""
    choice = study(LARGE=Settings(model="local/smollm2-135m-instruct", prompt="plain", max_output_tokens=64))
    written = write(target, choice, addresses={"local": "http://127.0.0.1:8080/v1"})
    assert address_of(written).exported == "http://127.0.0.1:8080/v1"


def test_two_runs_at_two_addresses_are_not_exported_together(write, study):
    """One file has one address for a provider: which one would be a guess."""
    small = asked_at(study("SMALL", SMALL=settings("shed")), "shed", "http://a.example/v1")
    large = asked_at(study(LARGE=settings("shed")), "shed", "http://b.example/v1")
    with pytest.raises(UsageError, match="asked shed at different addresses"):
        write("litellm-proxy", small, large)
    assert write("recommendation", small, large)


def test_a_run_of_a_spec_hands_its_address_on(desk, finished):
    """What the planner looked up goes into the record, and from there into the export."""
    assert desk.cli("export", "json", finished, "-o", "out").code == 0
    held = json.loads((desk.folder / "out" / "settings.json").read_text())
    assert held["model"]["api_base"].startswith("http://127.0.0.1:")


def test_a_character_loses_an_address_that_was_not_measured(write, study):
    """Left there, the recommended model would be asked for at somebody else's server."""
    old = {"name": "Ada", "modelProvider": "openai", "modelEndpointOverride": "http://old.example/v1"}
    text = json.dumps({**old, "settings": {}, "bio": ["Counts."]}, indent=2)
    written = write("eliza-0.25", study(LARGE=settings("openai")), character=("ada.json", text))
    assert "modelEndpointOverride" not in json.loads(written.paths[0].read_text())


FRAMEWORKS = [
    (target, provider, file)
    for target, file in (
        ("langchain", "langchain_example.py"),
        ("pydantic-ai", "pydantic_ai_example.py"),
    )
    for provider in ("openai", "anthropic", "google", "shed")
]
PATHS = {
    "openai": "/v1/chat/completions",
    "shed": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/gemini-2.5-flash:generateContent",
}
BASES = {"openai": "/v1", "shed": "/v1", "anthropic": "", "google": "/v1beta"}
RUNS = [
    ("openai", "openai", "openai_example.py"),
    ("openai", "shed", "openai_example.py"),
    ("anthropic", "anthropic", "anthropic_example.py"),
    ("gemini", "google", "gemini_example.py"),
    *FRAMEWORKS,
]


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("target", "provider", "script"), RUNS)
def test_scripts_ask_at_the_own_address_with_the_own_key(
    write, study, run_client, upstream, target, provider, script
):
    """The real package, without a word in the environment but the key that the spec names."""
    address = f"{upstream.url}/gateway{BASES[provider]}"
    written = write(
        target,
        study(LARGE=settings(provider)),
        addresses={provider: address},
        key_variables={provider: "GATEWAY_KEY"},
    )
    elsewhere = {f"{name}_BASE_URL": "http://127.0.0.1:9" for name in ("OPENAI", "ANTHROPIC")}
    environment = (
        upstream.environment()
        | elsewhere
        | {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9", "GATEWAY_KEY": "the-key-of-the-gateway"}
        | {"OPENAI_ORG_ID": "org-of-openai", "OPENAI_PROJECT_ID": "project-of-openai"}
    )
    done = run_client(target, written.paths[0].parent / script, environment=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr[-2000:]
    (asked,) = upstream.asked
    assert asked["to"].partition("?")[0] == f"/gateway{PATHS[provider]}"
    assert asked["key"].removeprefix("Bearer ") == "the-key-of-the-gateway"
    assert "of-openai" not in json.dumps(asked["headers"])


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize("provider", list(PATHS))
def test_langchain_takes_the_file_as_it_is(write, study, run_client, upstream, provider):
    """No key has to be taken out first, and that of OpenAI is not sent to others."""
    address = f"{upstream.url}/gateway{BASES[provider]}"
    written = write("langchain", study(LARGE=settings(provider)), addresses={provider: address})
    bare = written.paths[0].with_name("bare.py")
    bare.write_text(
        "import json; from langchain.chat_models import init_chat_model\n"
        "print(init_chat_model(**json.load(open('langchain.json'))).invoke('It crashes').text)"
    )
    environment = upstream.environment() | {"OPENAI_API_KEY": "the-key-of-openai"}
    done = run_client("langchain", bare, environment=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr[-2000:]
    (asked,) = upstream.asked
    assert asked["to"].partition("?")[0] == f"/gateway{PATHS[provider]}"
    assert ("the-key-of-openai" in str(asked["key"])) == (provider == "openai")


@pytest.mark.packages
@pytest.mark.timeout(600)
def test_promptfoo_asks_at_the_own_address(write, study, promptfoo, upstream, tmp_path):
    """Each of its providers has its own word for an address."""
    for provider in PATHS:
        address = f"{upstream.url}/gateway{BASES[provider]}"
        written = write("promptfoo", study(LARGE=settings(provider)), addresses={provider: address})
        written.paths[0].parent.rename(tmp_path / provider)
    files = ", ".join(f'"file://{provider}/promptfoo.yaml"' for provider in PATHS)
    (tmp_path / "promptfooconfig.yaml").write_text(
        f'prompts: ["Label this: It crashes"]\nproviders: [{files}]\n'
        "tests: [{assert: [{type: equals, value: bug}]}]\n"
    )
    promptfoo(tmp_path, upstream.environment())
    asked = [one["to"].partition("?")[0] for one in upstream.asked]
    assert asked == [f"/gateway{path}" for path in PATHS.values()]


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize("provider", list(PATHS))
def test_inspect_asks_at_the_own_address(write, study, run_inspect, upstream, provider):
    """By its own variable in the exported .env; an own provider is named by a variable for its key."""
    written = write(
        "inspect",
        study(LARGE=settings(provider)),
        addresses={provider: f"{upstream.url}/gateway{BASES[provider]}"},
        key_variables={provider: "GATEWAY_KEY"},
    )
    environment = upstream.environment() | {"GATEWAY_KEY": "the-key-of-the-gateway"}
    own = {"openai": "OPENAI", "anthropic": "ANTHROPIC", "google": "GOOGLE", "shed": "SHED"}[provider]
    environment.pop(f"{own}_API_KEY", None)
    done = run_inspect(written.paths[0].parent, environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (asked,) = upstream.asked
    assert asked["to"].partition("?")[0] == f"/gateway{PATHS[provider]}"
    assert asked["key"].removeprefix("Bearer ") == "the-key-of-the-gateway"


HOSTS = [
    ("eliza-0.25", "openai", "/gateway.example/openai/v1/chat/completions"),
    ("eliza-0.25", "shed", "/shed.example:8080/v1/chat/completions"),
    ("eliza-0.25", "ollama", "/gpu.example:11434/api/chat"),
    ("eliza-0.1", "ollama", "/gpu.example:11434/api/chat"),
    ("eliza-1", "anthropic", "/gateway.example/claude/v1/messages"),
    ("eliza-1", "openai", "/gateway.example/openai/v1/responses"),
    ("eliza-1", "openrouter", "/gateway.example/router/v1/chat/completions"),
    ("eliza-1", "ollama", "/gpu.example:11434/api/chat"),
]


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("target", "provider", "to"), HOSTS)
def test_eliza_asks_at_the_own_address(write, study, load_eliza, target, provider, to):
    """The real packages, told in the character or in .env."""
    choice = study(LARGE=settings(provider))
    embedding = "openai/text-embedding-3-small" if provider == "anthropic" else None
    written = write(target, choice, addresses={provider: OWN[provider]}, embedding=embedding)
    loaded = load_eliza(target, written.paths[0].parent)
    assert loaded.requests["LARGE"]["to"].partition("?")[0] == to


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("target", "texts"),
    [("eliza-0.25", "/api.openai.com/v1/chat/completions"), ("eliza-1", "/api.openai.com/v1/responses")],
)
def test_eliza_asks_for_embeddings_at_their_own_address(write, study, load_eliza, target, texts):
    """And for texts where it did before, though both are asked as OpenAI."""
    vectors = study("EMBEDDING", EMBEDDING=Settings(model="shed/bge", prompt=""))
    written = write(target, study(LARGE=settings("openai")), vectors, addresses={"shed": OWN["shed"]})
    loaded = load_eliza(target, written.paths[0].parent)
    assert loaded.requests["EMBEDDING"]["to"] == "/shed.example:8080/v1/embeddings"
    assert loaded.requests["LARGE"]["to"] == texts


def test_an_old_eliza_asks_ollama_for_vectors_where_it_asks_for_texts(write, study):
    """An address of the texts counts for Ollama's embeddings too: the manifest says so."""
    vectors = study("EMBEDDING", EMBEDDING=Settings(model="ollama/mxbai-embed-large", prompt=""))
    written = write("eliza-0.25", study(LARGE=settings("shed")), vectors, addresses={"shed": OWN["shed"]})
    (fate,) = [
        one for one in written.export.fates if (one.setting, one.model_class) == ("address", "EMBEDDING")
    ]
    assert OWN["shed"] in fate.reason
    assert fate.changes


def test_a_proxy_is_told_each_address(write, study):
    """With the variable of the key that the spec names."""
    written = write(
        "litellm-proxy",
        study(LARGE=settings("shed")),
        addresses={"shed": OWN["shed"]},
        key_variables={"shed": "SHED_KEY"},
    )
    held = YAML(typ="safe", pure=True).load(written.paths[0].read_text())["model_list"][0]["litellm_params"]
    assert (held["api_base"], held["api_key"]) == (OWN["shed"], "os.environ/SHED_KEY")
