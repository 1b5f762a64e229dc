"""Every client library in its real package asks what our own lane asked: the same names, the same values.

Reasoning models, models of an own server, and settings left out, are where libraries do as they like.
"""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from harness.calls.lanes import open_provider
from harness.catalogue.models import load_catalogue
from harness.records import Settings
from harness.testing.builders import a_call, an_endpoint

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]


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
    "claude with an effort": of("anthropic/claude-opus-5-5", max_output_tokens=200, reasoning_effort="low"),
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
TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def tickets():
    return Task(dataset=[Sample(input="It crashes", target="bug")], solver=generate(), scorer=includes())
"""
CONFIG = """\
prompts: ["Label this: {{text}}"]
providers: ["file://promptfoo.yaml"]
tests: [{vars: {text: It crashes}, assert: [{type: equals, value: bug}]}]
"""
# What the service does anyway: LangChain, Pydantic AI, and for Gemini 3 litellm, say it aloud.
DEFAULTS = {"candidate_count": 1, "response_modalities": ["TEXT"]}
# What a library sends otherwise than our lane, each of it a fate that changes what was measured.
EXCEPTIONS = {
    ("promptfoo", "claude with a limit alone"): {"temperature"},
}


def asks(target, settings):
    """Whether this target asks models of this provider."""
    if target in OWN:
        return settings.provider == OWN[target]
    if target == "inspect":  # to others it sends less, which its fates say
        return settings.provider == "openai"
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
    if body.get("stream") is False:
        del body["stream"]
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


@pytest.fixture
def ask_by(python_with, clients, promptfoo, upstream):
    """Runs what was exported for this target as its user would, and gives what was asked."""

    def ask(target, folder):
        python = python_with(*clients)
        if target == "promptfoo":
            (folder / "promptfooconfig.yaml").write_text(CONFIG)
            promptfoo(folder, upstream.environment())
        else:
            command = [python, folder / EXAMPLES.get(target, ""), "It crashes"]
            if target == "inspect":
                (folder / "tickets.py").write_text(TASK)
                options = ["--generate-config", "inspect.yaml", "--display", "plain"]
                command = [python.with_name("inspect"), "eval", "tickets.py", *options]
            done = subprocess.run(
                command,
                cwd=folder,
                env=upstream.environment(),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        (asked,) = upstream.asked
        return parameters(asked)

    return ask


@pytest.mark.parametrize(("target", "name"), RUNS)
def test_a_library_asks_what_was_measured(write, study, measured, ask_by, upstream, target, name):
    """What differs is listed here by name, and the manifest says of each that it changes the request."""
    settings = SETTINGS[name]
    own = measured(settings)
    addresses = {"together": f"{upstream.url}/v1", "shed": f"{upstream.url}/v1"}
    if target == "promptfoo":  # takes no address of Google's from the environment
        addresses["google"] = f"{upstream.url}/v1beta"
    written = write(target, study(LARGE=settings), addresses=addresses)
    sent = ask_by(target, written.paths[0].parent)
    differing = {key for key in {*own, *sent} if own.get(key) != sent.get(key)}
    assert differing == EXCEPTIONS.get((target, name), set()), (own, sent)
    assert differing == {fate.setting for fate in written.export.fates if fate.changes} - {"prompt"}
