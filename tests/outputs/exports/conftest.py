"""Real packages of the targets, installed into a folder that is kept, and what they make of an export."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.models import load_catalogue
from harness.catalogue.wire import limit_name
from harness.findings import Champion, Recommendation
from harness.outputs.exports import registry
from harness.outputs.exports.registry import Written
from harness.outputs.exports.selection import selection_of
from harness.records import ModelClass, Settings
from harness.testing.builders import asked_at

HERE = Path(__file__).parent
TYPESCRIPT = "typescript@5.7.3"
ELIZA: Mapping[str, Sequence[str]] = {
    # 0.1.9 imports sharp without asking for it.
    "eliza-0.1": ("@elizaos/core@0.1.9", "sharp@0.33.5", TYPESCRIPT),
    "eliza-0.25": ("@elizaos/core@0.25.9", TYPESCRIPT),
    "eliza-1": (
        "@elizaos/core@1.7.2",
        "@elizaos/plugin-openai@1.6.0",
        "@elizaos/plugin-anthropic@1.5.12",
        "@elizaos/plugin-google-genai@1.1.0",
        "@elizaos/plugin-ollama@1.2.4",
        "@elizaos/plugin-openrouter@1.5.17",
        TYPESCRIPT,
    ),
}
CLIENTS = (
    "openai==3.57.0",
    "anthropic==2.14.0",
    "google-genai==3.6.1",
    "pydantic-ai-slim[openai,anthropic,google]==2.66.0",
    "langchain==1.5.2",
    "langchain-openai==1.7.4",
    "langchain-anthropic==1.7.10",
    "langchain-google-genai==4.4.3",
    "inspect-ai==0.3.285",
)
PROMPTFOO = ("promptfoo@0.121.20", "@libsql/linux-x64-gnu@0.5.29")


@pytest.fixture(scope="session")
def install_npm_pack(installed: Callable[..., Path]) -> Callable[[str, Path], Path]:
    """Gives the module of one package, unpacked beside the packages of another folder."""

    def find(package: str, beside: Path) -> Path:
        name = package.lstrip("@").replace("/", "-").replace("@", "-")
        commands = (("npm", "pack", "--silent", package), ("tar", "xzf", f"{name}.tgz"))
        link = ("ln", "-sfn", str(beside / "node_modules"), "node_modules")
        return installed(name, (package, beside.name), *commands, link) / "package" / "dist" / "index.js"

    return find


@pytest.fixture(scope="session")
def eliza_packages(install_npm: Callable[..., Path]) -> Callable[[str], Path]:
    """Gives the folder with the real packages of an Eliza target."""
    return lambda target: install_npm(target, ELIZA[target])


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the real packages made of an export: `requests` by class, each with its address and body."""

    findings: Mapping[str, Any]

    @property
    def requests(self) -> Mapping[str, Any]:
        """By class, what was asked."""
        return self.findings["requests"]

    def sent(self, model_class: str, setting: str) -> Any:
        """The value of a setting in the request of this class, whatever its name there; `None`: absent."""
        return sent(self.requests[model_class], setting)


SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop")
# What each format calls a setting, by the end of the address; a dot leads into an object.
FORMATS: Mapping[str, Mapping[str, str]] = {
    "/chat/completions": {name: name for name in SAMPLING},
    "/responses": {name: name for name in (*SAMPLING, "max_output_tokens")},
    "/messages": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_output_tokens": "max_tokens",
        "stop": "stop_sequences",
    },
    "/api/chat": {"max_output_tokens": "options.num_predict"}
    | {name: f"options.{name}" for name in SAMPLING},
    ":generateContent": {
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "max_output_tokens": "generationConfig.maxOutputTokens",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "presence_penalty": "generationConfig.presencePenalty",
        "seed": "generationConfig.seed",
        "stop": "generationConfig.stopSequences",
    },
    "local": {"max_output_tokens": "max_tokens"} | {name: name for name in SAMPLING},
}


def sent(request: Mapping[str, Any], setting: str) -> Any:
    """The value of a setting in a captured request, under the name that its format has; `None`: absent.

    Fails where it stands under a name that another format has for it, which nobody there reads.
    """
    path, body = request["to"].partition("?")[0], request["body"]
    if setting == "model":
        return body.get("model") or path.partition("/models/")[2].partition(":")[0]
    (names,) = [names for end, names in FORMATS.items() if path.endswith(end)]
    if path.endswith("/chat/completions"):
        names = {**names, "max_output_tokens": limit_name(body["model"])}
    known = {one[setting].rpartition(".")[2] for one in FORMATS.values() if setting in one}
    known |= {"max_completion_tokens"} if setting == "max_output_tokens" else set()
    own = names.get(setting, "")
    places = {"": body, "options": body.get("options"), "generationConfig": body.get("generationConfig")}
    found = {
        f"{place}.{name}".strip("."): held[name]
        for place, held in places.items()
        for name in known
        if held and name in held
    }
    assert set(found) <= {own}, f"{setting} is called {own!r} at {path}, found {found}"
    return found.get(own)


@pytest.fixture
def read_sent() -> Callable[[Mapping[str, Any], str], Any]:
    """Reads a setting from a captured request."""
    return sent


@pytest.fixture(scope="session")
def load_eliza(
    eliza_packages: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Loaded]]:
    """Loads the export in a folder with the real packages of its target, which one process does for all."""
    running = dict[str, subprocess.Popen[str]]()
    logs = tmp_path_factory.mktemp("eliza")

    def server_of(target: str) -> subprocess.Popen[str]:
        generation = "1" if target == "eliza-1" else "0"
        with (logs / target).open("w") as log:
            return subprocess.Popen(
                ["node", HERE / "eliza" / "serve.mjs", generation, eliza_packages(target)],
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def load(target: str, folder: Path, character: str = "tuned.character.json", **lengths: int) -> Loaded:
        if target not in running or running[target].poll() is not None:
            running[target] = server_of(target)
        server = running[target]
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(
            json.dumps({"folder": str(folder), "character": character, "lengths": lengths}) + "\n"
        )
        server.stdin.flush()
        for line in server.stdout:
            kind, _, found = line.partition(" ")
            if kind == "FINDINGS":
                return Loaded(json.loads(found))
            assert kind != "FAULT", json.loads(found)[:3000]
        raise AssertionError((logs / target).read_text()[-3000:])

    yield load
    for server in running.values():
        server.communicate()


@pytest.fixture
def study(make: Any) -> Callable[..., Recommendation]:
    """A recommendation of these settings by class; the one of `chosen` is the choice."""

    def recommend(chosen: ModelClass = "LARGE", **by_class: Settings) -> Recommendation:
        champions = tuple(
            Champion(
                model_class=model_class,
                trial=make.trial(n, settings=settings, model_class=model_class, split="confirm"),
                versus=None,
            )
            for n, (model_class, settings) in enumerate(by_class.items())
        )
        settings = by_class[chosen]
        trial = make.trial(2, settings=settings, model_class=chosen, split="confirm")
        return make.recommendation(settings=settings, trial=trial, by_class=champions)

    return recommend


def reached(choice: Recommendation, addresses: Mapping[str, str], keys: Mapping[str, str]) -> Recommendation:
    """The same choice of a run that asked these providers at these addresses, each in its own format."""
    known = load_catalogue().providers
    for provider, address in addresses.items():
        facts = known.get(provider)
        asked = {"api_key_env": keys.get(provider) or (None if facts is None else facts.api_key_env)}
        if facts is not None and facts.wire == "litellm":
            asked |= {"wire": "litellm", "litellm_prefix": facts.litellm_prefix}
        choice = asked_at(choice, provider, address, **asked)
    return choice


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Written]:
    """Exports a recommendation into a folder named for its target."""

    def export(
        target: str,
        *choices: Recommendation,
        force: bool = False,
        addresses: Mapping[str, str] | None = None,
        key_variables: Mapping[str, str] | None = None,
        **given: Any,
    ) -> Written:
        asked = [reached(choice, addresses or {}, key_variables or {}) for choice in choices]
        return registry.export(target, selection_of(asked, **given), tmp_path / target, force=force)

    return export


ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "/chat/completions": {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "bug"}},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
    "/messages": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "content": [{"type": "text", "text": "bug"}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "/embeddings": {
        "object": "list",
        "model": "m",
        "data": [{"index": 0, "object": "embedding", "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    ":batchEmbedContents": {"embeddings": [{"values": [0.5, 0.25]}]},
    ":embedContent": {"embedding": {"values": [0.5, 0.25]}},
    ":generateContent": {
        "candidates": [
            {"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [{"text": "bug"}]}},
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        "modelVersion": "m",
    },
}


def streamed(message: Mapping[str, Any]) -> bytes:
    """An answer of Anthropic as the events in which it comes when a client asks for a stream."""
    (block,) = message["content"]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": block["text"]}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
            "usage": message["usage"],
        },
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


class Upstream:
    """Every provider at once, on 127.0.0.1: keeps what it was asked, and answers "bug"."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                version = self.headers.get("anthropic-version")
                keys = [self.headers.get(name) for name in ("authorization", "x-api-key", "x-goog-api-key")]
                key = next((key for key in keys if key is not None), None)
                asked = {"to": self.path, "body": body, "version": version, "key": key}
                upstream.asked.append({**asked, "headers": dict(self.headers)})
                path = self.path.partition("?")[0]
                found = [text for end, text in ANSWERS.items() if path.endswith(end)]
                said, kind = json.dumps(found[0] if found else {}).encode(), "application/json"
                if body.get("stream") and path.endswith("/messages"):
                    said, kind = streamed(found[0]), "text/event-stream"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self) -> dict[str, str]:
        """The variables with which the packages of all providers ask here, and know a key."""
        keys = ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "TOGETHER")
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **{f"{key}_API_KEY": "no-key" for key in keys},
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_BASE_URL": self.url,
            "GOOGLE_GEMINI_BASE_URL": self.url,
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "",
        }


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A stand-in for all providers."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="session")
def python_with(installed: Callable[..., Path]) -> Callable[..., Path]:
    """Gives the Python of an environment of its own with these packages."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.skip("uv is not installed: no environment for the packages of the targets")

    def find(name: str, *packages: str) -> Path:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        # The Python below this clone's own environment, which goes when the clone does.
        base = getattr(sys, "_base_executable", sys.executable)
        folder = installed(
            f"{name}-{version}",
            packages,
            (uv, "venv", "--quiet", "--clear", "--python", base, "venv"),
            (uv, "pip", "install", "--quiet", "--python", "venv/bin/python", *packages),
        )
        return folder / "venv" / "bin" / "python"

    return find


@pytest.fixture(scope="session")
def clients() -> Sequence[str]:
    """The environment with the providers' own packages, and those of frameworks, for `python_with`."""
    return ("clients", *CLIENTS)


LOADED: Mapping[str, Sequence[str]] = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "gemini": ("google.genai",),
    "langchain": (
        "langchain.chat_models",
        "langchain.embeddings",
        "langchain_openai",
        "langchain_anthropic",
        "langchain_google_genai",
    ),
    "pydantic-ai": (
        "pydantic_ai",
        "pydantic_ai.models.openai",
        "pydantic_ai.models.anthropic",
        "pydantic_ai.models.google",
    ),
    "inspect": ("inspect_ai._cli.main", "openai", "anthropic", "google.genai"),
}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a file of Python ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_client(
    python_with: Callable[..., Path], clients: Sequence[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Ran]]:
    """Runs a file of Python with the packages of a target, as `python FILE ARGUMENTS` would.

    In a fork of a process that has loaded them once for all tests. folder: to work in; `None`: the file's.
    """
    python, running = python_with(*clients), dict[str, subprocess.Popen[str]]()
    printed = tmp_path_factory.mktemp("printed")

    def run(
        target: str, file: Path, *arguments: str, environment: Mapping[str, str], folder: Path | None = None
    ) -> Ran:
        if target not in running:
            quiet = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
            running[target] = subprocess.Popen(
                [python, HERE / "forks.py", *LOADED[target]],
                env=quiet,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        server = running[target]
        assert server.stdin is not None
        assert server.stdout is not None
        job = {
            "arguments": [str(file), *arguments],
            "folder": str(folder or file.parent),
            "environment": dict(environment),
            "out": str(printed / "out"),
            "err": str(printed / "err"),
        }
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        code = server.stdout.readline()
        assert code, f"the packages of {target} cannot be loaded"
        return Ran(int(code), (printed / "out").read_text(), (printed / "err").read_text())

    yield run
    for server in running.values():
        server.communicate()


TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def tickets():
    return Task(dataset=[Sample(input="It crashes", target="bug")], solver=generate(), scorer=includes())
"""


@pytest.fixture(scope="session")
def run_inspect(
    run_client: Callable[..., Ran], python_with: Callable[..., Path], clients: Sequence[str]
) -> Callable[..., Ran]:
    """Runs `inspect eval` on a small task in the folder of an export, which has its config and its .env."""
    program = python_with(*clients).with_name("inspect")

    def run(folder: Path, environment: Mapping[str, str]) -> Ran:
        (folder / "tickets.py").write_text(TASK)
        command = ("eval", "tickets.py", "--generate-config", "inspect.yaml", "--display", "plain")
        return run_client("inspect", program, *command, environment=environment, folder=folder)

    return run


@pytest.fixture(scope="session")
def promptfoo(
    install_npm: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path, Mapping[str, str]], Mapping[str, Any]]:
    """Runs promptfoo in a folder with this environment; gives its results.

    It is installed without its optional packages: they are 1.6 GB of providers and browsers.
    """
    packages = install_npm("promptfoo", PROMPTFOO, "--omit=optional", "--omit=peer")
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(tmp_path_factory.mktemp("promptfoo")),
    }

    def run(folder: Path, environment: Mapping[str, str]) -> Mapping[str, Any]:
        program = packages / "node_modules" / ".bin" / "promptfoo"
        options = ("--no-cache", "--no-progress-bar", "--no-table", "-j", "1", "-o", "out.json")
        done = subprocess.run(
            [str(program), "eval", *options],
            cwd=folder,
            env={**environment, **quiet},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return json.loads((folder / "out.json").read_text())["results"]

    return run
