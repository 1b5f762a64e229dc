"""Every client library in its real package asks what our own lane asked: the same names, the same values.

Reasoning models, models of an own server, and settings left out, are where libraries do as they like.
"""

from __future__ import annotations

import asyncio

import pytest

from harness.calls.lanes import open_provider
from harness.catalogue.models import load_catalogue
from harness.records import Settings
from harness.testing.builders import a_call, an_endpoint

pytestmark = [
    pytest.mark.packages,
    pytest.mark.timeout(600),
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]


def of(model, **sent):
    """Settings of this model."""
    return Settings(model=model, prompt="plain", **sent)


SETTINGS = {
    "all of it": of(
        "openai/gpt-4.1-mini",
        temperature=0.0,
        top_p=0.9,
        max_output_tokens=64,
        frequency_penalty=0.25,
        presence_penalty=0.5,
        stop=("END", "\n\n"),
        seed=7,
        extra={"custom_param": {"depth": 2}},
    ),
    "nothing but a limit": of("openai/gpt-4.1", max_output_tokens=200),
    "no limit": of("openai/gpt-4.1", temperature=0.3),
    "a reasoning model that samples": of("openai/gpt-5.4", temperature=0.3, max_output_tokens=200, seed=5),
    "an effort": of("openai/gpt-5-mini", max_output_tokens=200, reasoning_effort="low"),
    "no effort": of("openai/gpt-6-sol", temperature=0.3, max_output_tokens=200, reasoning_effort="none"),
    "a compatible service": of(
        "together/meta-llama/Llama-3.2-3B-Instruct", temperature=0.7, max_output_tokens=128
    ),
    "an own server": of(
        "shed/gpt-5-local", temperature=0.3, max_output_tokens=200, stop=("END",), extra={"top_k": 5}
    ),
    "an own server of old names": of("shed/deepseek-r1", temperature=0.3, top_p=0.5, max_output_tokens=200),
    "claude": of("anthropic/claude-haiku-4-5", temperature=0.0, max_output_tokens=80, stop=("END",)),
    "claude with a limit alone": of("anthropic/claude-haiku-4-5", max_output_tokens=80),
    "a claude that nobody knows, without a limit": of("anthropic/claude-of-tomorrow", stop=("END",)),
    "claude with an effort": of("anthropic/claude-opus-5-5", max_output_tokens=200, reasoning_effort="low"),
    "gemini with nothing set": of("google/gemini-2.5-flash"),
    "gemini that does not think": of(
        "google/gemini-2.5-flash", temperature=0.3, top_p=0.5, max_output_tokens=96, reasoning_effort="none"
    ),
    "gemini with a budget": of("google/gemini-2.5-pro", max_output_tokens=96, reasoning_effort="low"),
    "gemini with a level": of("google/gemini-3.8-flash", max_output_tokens=96, reasoning_effort="low"),
}
EXAMPLES = {
    "openai": "openai_example.py",
    "anthropic": "anthropic_example.py",
    "gemini": "gemini_example.py",
    "langchain": "langchain_example.py",
    "pydantic-ai": "pydantic_ai_example.py",
}
OWN = {"anthropic": "anthropic", "gemini": "google"}  # what the packages of vendors ask
MANY = ("langchain", "pydantic-ai", "inspect", "promptfoo")
CONFIG = """\
prompts: ["Label this: {{text}}"]
providers: [PROVIDERS]
tests: [{vars: {text: It crashes}, assert: [{type: equals, value: bug}]}]
"""
# What the service does anyway: LangChain, Pydantic AI, and for Gemini 3 litellm, say it aloud.
DEFAULTS = {"candidate_count": 1, "response_modalities": ["TEXT"]}
# What a library sends otherwise than our lane, each of it a fate that changes what was measured.
NEW = "a claude that nobody knows, without a limit"
EXCEPTIONS = {
    ("pydantic-ai", NEW): {"max_tokens"},
    ("promptfoo", "claude with a limit alone"): {"temperature"},
    ("promptfoo", NEW): {"max_tokens", "temperature"},
    ("inspect", NEW): {"max_tokens"},
    ("inspect", "claude"): {"temperature"},
    **{("inspect", name): {"safety_settings"} for name in SETTINGS if name.startswith("gemini")},
}
# What is the same by chance: both have 4096 for a model that they do not know.
SAME = {("langchain", NEW): {"max_tokens"}}
# What a manifest calls otherwise than the wire does.
FATES = {"max_output_tokens": "max_tokens"}


def asks(target, settings):
    """Whether this target asks models of this provider."""
    if target in OWN:  # of which Anthropic's takes no request without a limit
        return settings.provider == OWN[target] and (target == "gemini" or settings.max_output_tokens)
    return target in MANY or settings.provider not in OWN.values()


RUNS = [
    (target, name)
    for target in (*OWN, "openai", *MANY)
    for name, settings in SETTINGS.items()
    if asks(target, settings)
]


def parameters(asked):
    """What a captured request says beside the input, but for what says no more than the default."""
    body = dict(asked["body"])
    for name in ("messages", "contents", "system", "systemInstruction"):
        body.pop(name, None)
    body.pop("stream", None)  # in what pieces the answer comes
    options = body.pop("generationConfig", {})
    flat = {**body, **options}
    thinking = flat.pop("thinkingConfig", {})
    flat |= {f"thinking.{name}": value for name, value in thinking.items()}
    flat.setdefault("model", asked["to"].partition("/models/")[2].partition(":")[0])
    said = {_plain(name): _folded(value) for name, value in flat.items() if value not in ([], {})}
    usual = DEFAULTS | ({"temperature": 1.0} if said["model"].startswith("gemini-3") else {})
    return {name: value for name, value in said.items() if value is None or usual.get(name) != value}


def _plain(name):
    """Google's JSON takes both spellings, and litellm's differs from its own package's."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _folded(value):
    return value.lower() if isinstance(value, str) and value in ("LOW", "MEDIUM", "HIGH") else value


@pytest.fixture
def measured(upstream):
    """What our own lane sends for these settings."""

    def ask(settings):
        provider, facts = settings.provider, load_catalogue().providers.get(settings.provider)
        wire = "openai" if facts is None else facts.wire
        prefix = "openai" if facts is None else facts.litellm_prefix
        base = {"google": f"{upstream.url}/v1beta", "anthropic": upstream.url}
        endpoint = an_endpoint(
            provider=provider,
            wire=wire,
            litellm_prefix=prefix,
            api_base=base.get(provider, f"{upstream.url}/v1"),
        )

        async def once():
            lane = open_provider(endpoint, [], {})
            await lane.complete(a_call(settings=settings))
            await lane.close()

        asyncio.run(once())
        return parameters(upstream.asked.pop())

    return ask


@pytest.fixture(scope="module")
def kept():
    """What promptfoo asked, by name of the settings: its start takes seconds, and one run asks all."""
    return {}


@pytest.fixture
def export(write, study, upstream):
    """Writes these settings for a target, their provider at the stand-in."""

    def export(target, settings):
        addresses = {"together": f"{upstream.url}/v1", "shed": f"{upstream.url}/v1"}
        if target == "promptfoo":  # takes no address of Google's from the environment
            addresses["google"] = f"{upstream.url}/v1beta"
        return write(target, study(LARGE=settings), addresses=addresses)

    return export


@pytest.fixture
def ask_promptfoo(promptfoo, upstream, export, kept, tmp_path):
    """Gives what promptfoo asks for the settings of this name."""

    def ask(name):
        if not kept:
            names = [one for target, one in RUNS if target == "promptfoo"]
            for number, one in enumerate(names):
                export("promptfoo", SETTINGS[one]).paths[0].parent.rename(tmp_path / f"of{number}")
            files = ", ".join(f'"file://of{number}/promptfoo.yaml"' for number in range(len(names)))
            (tmp_path / "promptfooconfig.yaml").write_text(CONFIG.replace("PROVIDERS", files))
            results = promptfoo(tmp_path, upstream.environment())
            assert results["stats"]["successes"] == len(names)
            kept.update(zip(names, map(parameters, upstream.asked), strict=True))
            upstream.asked.clear()
        return kept[name]

    return ask


@pytest.fixture
def ask_by(run_client, run_inspect, ask_promptfoo, export, upstream):
    """Exports for this target, and runs it as its user would: what it was, and what was asked."""

    def ask(target, name):
        settings, environment = SETTINGS[name], upstream.environment()
        if target == "promptfoo":
            asked = ask_promptfoo(name)
            return export(target, settings), asked
        written = export(target, settings)
        folder = written.paths[0].parent
        if target == "inspect":
            done = run_inspect(folder, environment)
        else:
            done = run_client(target, folder / EXAMPLES[target], "It crashes", environment=environment)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        (asked,) = upstream.asked
        return written, parameters(asked)

    return ask


@pytest.mark.parametrize(("target", "name"), RUNS)
def test_a_library_asks_what_was_measured(measured, ask_by, target, name):
    """What differs is listed here by name, and the manifest says of each that it changes the request."""
    own = measured(SETTINGS[name])
    written, sent = ask_by(target, name)
    if target == "inspect":  # what changes no answer, as its fates say
        sent.pop("thinking.include_thoughts", None)
        own.pop("thinking.include_thoughts", None)
        sent.get("thinking", {}).pop("block_binding", None)
    differing = {key for key in {*own, *sent} if own.get(key) != sent.get(key)}
    assert differing == EXCEPTIONS.get((target, name), set()), (own, sent)
    changes = {FATES.get(fate.setting, fate.setting) for fate in written.export.fates if fate.changes}
    assert differing == changes - {"prompt"} - SAME.get((target, name), set())
