"""Exports for Python packages in the hands of the real ones: the request that they build has every value."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.request

import pytest

from harness.records import Settings

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
SETTINGS = {
    "openai": Settings(
        model="openai/gpt-4.1-mini",
        prompt="plain",
        temperature=0.0,
        top_p=0.9,
        max_output_tokens=64,
        frequency_penalty=0.25,
        presence_penalty=0.0,
        stop=("END", "\n\n"),
        seed=7,
        extra={"custom_param": {"depth": 2}},
    ),
    "anthropic": Settings(
        model="anthropic/claude-haiku-4-5",
        prompt="plain",
        temperature=0.0,
        max_output_tokens=80,
        stop=("END",),
    ),
    "google": Settings(
        model="google/gemini-2.5-flash",
        prompt="plain",
        temperature=0.0,
        top_p=0.4,
        max_output_tokens=96,
        stop=("END",),
        seed=11,
    ),
    "together": Settings(
        model="together/meta-llama/Llama-3.2-3B-Instruct",
        prompt="plain",
        temperature=0.7,
        max_output_tokens=128,
        presence_penalty=0.5,
    ),
}
EXAMPLES = {
    "openai": "openai_example.py",
    "anthropic": "anthropic_example.py",
    "gemini": "gemini_example.py",
    "langchain": "langchain_example.py",
    "pydantic-ai": "pydantic_ai_example.py",
}
RUNS = [
    ("openai", "openai"),
    ("openai", "together"),
    ("anthropic", "anthropic"),
    ("gemini", "google"),
    *((target, name) for target in ("langchain", "pydantic-ai") for name in SETTINGS),
]


@pytest.fixture
def arrived(upstream, read_sent):
    """Compares the one request with the fates: effective values are in it, others are not."""

    def compare(written, settings):
        (asked,) = upstream.asked
        assert read_sent(asked, "model") == settings.model_name
        for fate in written.export.fates:
            if fate.setting in ("model", "prompt", "address", "safety_settings", "include_thoughts"):
                continue
            if fate.setting in settings.extra:
                wire = asked["body"].get(fate.setting)
            else:
                wire = read_sent(asked, fate.setting)
            assert wire == (fate.requested if fate.effect == "effective" else None), fate
        if asked["version"] is not None and "temperature" in asked["body"]:
            assert asked["version"] == "2023-06-01", "newer ones refuse a temperature"

    return compare


@pytest.mark.parametrize(("target", "name"), RUNS)
def test_the_exported_script_asks_what_was_measured(
    write, study, run_client, upstream, arrived, target, name
):
    """It runs as it is, prints the answer, and each effective value is on the wire, zeros included."""
    settings = SETTINGS[name]
    addresses = {"together": f"{upstream.url}/v1"}
    written = write(target, study(LARGE=settings), addresses=addresses)
    script = written.paths[0].parent / EXAMPLES[target]
    done = run_client(target, script, "It crashes", environment=upstream.environment())
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr[-2000:]
    arrived(written, settings)


@pytest.mark.parametrize("target", list(EXAMPLES))
def test_an_exported_script_runs_by_itself(write, study, python_with, clients, upstream, target):
    """In a process of its own, as whoever exported it starts it."""
    name = {"anthropic": "anthropic", "gemini": "google"}.get(target, "openai")
    written = write(target, study(LARGE=SETTINGS[name]))
    done = subprocess.run(
        [python_with(*clients), written.paths[0].parent / EXAMPLES[target], "It crashes"],
        env=upstream.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr[-2000:]
    assert "It crashes" in json.dumps(upstream.asked[0]["body"])


@pytest.mark.parametrize("target", ["langchain", "pydantic-ai"])
@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("together/meta-llama/Llama-3.2-3B-Instruct", "the-key-of-together"),
        ("groq/llama-3.1-8b-instant", "the-key-of-groq"),
        ("shed/llama", "none"),
        ("barn/llama", "the-key-of-the-barn"),
    ],
)
def test_each_provider_is_sent_its_own_key(write, study, run_client, upstream, target, model, key):
    """The request has the key of that provider, or none; that of OpenAI stays here."""
    settings = Settings(model=model, prompt="plain", max_output_tokens=64)
    addresses = dict.fromkeys(("together", "groq", "shed", "barn"), f"{upstream.url}/v1")
    written = write(target, study(LARGE=settings), addresses=addresses, key_variables={"barn": "BARN_KEY"})
    own = {f"{name}_API_KEY": f"the-key-of-{name.lower()}" for name in ("OPENAI", "TOGETHER", "GROQ")}
    elsewhere = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "BARN_KEY": "the-key-of-the-barn"}
    script = written.paths[0].parent / EXAMPLES[target]
    done = run_client(target, script, environment=upstream.environment() | own | elsewhere)
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr[-2000:]
    assert [asked["key"] for asked in upstream.asked] == [f"Bearer {key}"]


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
def test_inspect_runs_with_the_exported_config(write, study, run_inspect, upstream, arrived, name):
    """Its own reader takes the file, its own .env names the model, and the request has the values."""
    settings = SETTINGS[name]
    written = write("inspect", study(LARGE=settings))
    done = run_inspect(written.paths[0].parent, upstream.environment())
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    arrived(written, settings)


PROMPTFOO_CONFIG = """\
prompts: ["Label this: {{text}}"]
providers: ["file://promptfoo.yaml"]
tests: [{vars: {text: It crashes}, assert: [{type: equals, value: bug}]}]
"""


def test_promptfoo_asks_each_exported_provider(write, study, promptfoo, upstream, read_sent):
    """Its own command reads the entries, and each request has what was measured of its class."""
    small, large = SETTINGS["openai"], SETTINGS["together"]
    written = write(
        "promptfoo", study("SMALL", SMALL=small, LARGE=large), addresses={"together": f"{upstream.url}/v1"}
    )
    folder = written.paths[0].parent
    (folder / "promptfooconfig.yaml").write_text(PROMPTFOO_CONFIG)
    results = promptfoo(folder, upstream.environment())
    assert results["stats"]["successes"] == 2
    for settings, asked in zip((small, large), upstream.asked, strict=True):
        assert read_sent(asked, "model") == settings.model_name
        for name, value in settings.sent().items():
            wire = asked["body"].get(name) if name in settings.extra else read_sent(asked, name)
            assert wire == value, name


MASTER_KEY = "sk-of-this-test-alone"  # the proxy does not start without one


@pytest.fixture
def proxy(python_with, upstream):
    """Starts a litellm proxy with a configuration; gives its address."""
    running = []

    def start(config):
        python = python_with("litellm", "litellm[proxy]==1.106.2")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            python.with_name("litellm"),
            "--config",
            config,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        environment = upstream.environment() | {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_OFFLINE_MODE": "true",
            "LITELLM_MASTER_KEY": MASTER_KEY,
        }
        log = (config.parent / "proxy.log").open("w")
        running.append(
            (subprocess.Popen(command, env=environment, cwd=config.parent, stdout=log, stderr=log), log)
        )
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{address}/health/liveliness", timeout=5),
            ):
                return address
            assert running[0][0].poll() is None, (config.parent / "proxy.log").read_text()[-3000:]
            time.sleep(0.2)
        raise AssertionError((config.parent / "proxy.log").read_text()[-3000:])

    yield start
    for process, log in running:
        process.terminate()
        process.wait(30)
        log.close()


def test_a_litellm_proxy_sends_exactly_what_was_exported(write, study, proxy, upstream):
    """Who asks by a class's name gets its settings, and nothing else reaches the provider."""
    by_class = {"SMALL": SETTINGS["together"], "LARGE": SETTINGS["openai"]}
    addresses = {"openai": f"{upstream.url}/v1", "together": f"{upstream.url}/v1"}
    written = write("litellm-proxy", study(**by_class), addresses=addresses)
    address = proxy(written.paths[0])
    messages = [{"role": "user", "content": "It crashes"}]
    for name in ("recommended", "small", "large"):
        body = json.dumps({"model": name, "messages": messages}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {MASTER_KEY}"}
        asked = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)
        with urllib.request.urlopen(asked, timeout=60) as answered:
            assert json.loads(answered.read())["choices"][0]["message"]["content"] == "bug"
    limits = dict.fromkeys(("recommended", "small", "large"), "max_tokens")
    for name, asked in zip(limits, upstream.asked, strict=True):
        settings = by_class["SMALL" if name == "small" else "LARGE"]
        wanted = settings.sent()
        wanted[limits[name]] = wanted.pop("max_output_tokens")
        assert asked["body"].pop("stream", False) is False  # which is what leaving it out means
        assert asked["body"] == {"model": settings.model_name, "messages": messages, **wanted}
