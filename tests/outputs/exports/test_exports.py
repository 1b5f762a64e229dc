"""Exports: what applications load is what was measured."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ruamel.yaml import YAML

from harness.errors import UsageError
from harness.outputs.exports import registry
from harness.outputs.exports.openai_export import keyword_arguments
from harness.outputs.exports.selection import selection_of
from harness.outputs.exports.targets import TARGETS
from harness.prompts import Prompt
from harness.testing.builders import asked_at

TEMPLATE = 'system:\nYou label "tickets": yes  \n\nuser:\n  Which label? # 1\n\t{{ text }}\n'


def export(target, choice, folder, *, force=False, prompt_text=None):
    """The files of an export, without its manifest."""
    selection = selection_of([choice], prompt_text=prompt_text)
    return registry.export(target, selection, folder, force=force).paths[:-1]


def chosen(make, **fields):
    """A recommendation of these settings."""
    model = fields.pop("model", "openai/gpt-4.1-mini")
    prompt = fields.pop("prompt", "plain")
    settings = make.settings(model, prompt, **fields)
    return make.recommendation(settings=settings, trial=make.trial(2, settings=settings, split="confirm"))


def test_json_holds_settings_evidence_and_provenance(make, tmp_path):
    """What to send, how good it was on the confirm split, and what that rests on."""
    (path,) = export("json", chosen(make, max_output_tokens=64), tmp_path)
    held = json.loads(path.read_text(encoding="utf-8"))
    assert held["model"] == {"provider": "openai", "name": "gpt-4.1-mini", "class": "SMALL"}
    assert held["prompt"] == {"variant": "plain"}
    assert held["provenance"]["spec_sha256"] == "5" * 64
    assert held["parameters"] == {"temperature": 0.2, "max_output_tokens": 64}
    assert held["evidence"]["confirm"]["quality"]["n"] == 84
    assert held["provenance"]["prices_as_of"] == "2026-11-01"


@pytest.mark.parametrize("target", ["json", "yaml", "openai"])
def test_zero_is_kept_and_unset_is_absent(make, tmp_path, target):
    """Temperature 0 is a setting; a top_p that was never sent is not."""
    text = export(target, chosen(make, temperature=0.0, presence_penalty=0), tmp_path)[0].read_text(
        encoding="utf-8"
    )
    assert "temperature" in text
    assert "presence_penalty" in text
    assert "top_p" not in text
    assert "null" not in text


@pytest.mark.parametrize("target", ["json", "yaml"])
def test_the_template_of_the_prompt_is_exported(make, tmp_path, target):
    """An application can rebuild the call: the template to the letter, and its checksum."""
    (path,) = export(target, chosen(make), tmp_path, prompt_text=TEMPLATE)
    held = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    assert held["prompt"] == {
        "variant": "plain",
        "template": TEMPLATE,
        "sha256": hashlib.sha256(TEMPLATE.encode()).hexdigest(),
    }
    again = Prompt.parse(held["prompt"]["template"], file=str(path))
    assert [turn.role for turn in again.render({"text": "It crashes"})] == ["system", "user"]


@pytest.mark.parametrize("target", ["openai", "langchain", "pydantic-ai", "promptfoo", "dotenv"])
def test_the_template_stands_beside_settings_that_cannot_hold_it(make, tmp_path, target):
    """To the letter, in a file that scripts name."""
    paths = export(target, chosen(make), tmp_path, prompt_text=TEMPLATE)
    (template,) = [path for path in paths if path.name == f"{target}.prompt.jinja"]
    assert template.read_text(encoding="utf-8") == TEMPLATE
    scripts = [path.read_text(encoding="utf-8") for path in paths if path.suffix == ".py"]
    assert all(template.name in script for script in scripts)


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_credential_in_the_template_stops_the_export(make, tmp_path, target):
    """Whoever wrote a key into a prompt does not spread it."""
    with pytest.raises(UsageError, match="template of the prompt holds what looks like a credential"):
        export(target, chosen(make), tmp_path, prompt_text="Use sk-abcdefghijklmnop1234")
    assert not list(tmp_path.iterdir())


def test_yaml_says_the_same_as_json(make, tmp_path):
    """Two spellings of one document, whatever the values look like."""
    choice = chosen(
        make, prompt="on", temperature=1e-6, stop=("\n", "no", "2026-11-01"), extra={"café": "012"}
    )
    (as_json,) = export("json", choice, tmp_path, prompt_text=TEMPLATE)
    (as_yaml,) = export("yaml", choice, tmp_path, prompt_text=TEMPLATE)
    loaded = YAML(typ="safe", pure=True).load(as_yaml.read_text(encoding="utf-8"))
    assert loaded == json.loads(as_json.read_text(encoding="utf-8"))


def test_yaml_keeps_the_names_of_custom_parameters(make, tmp_path):
    """Not only values: older readers take a bare `on` for true, and a next-line character ends a line."""
    extra = {"on": 1, "next\x85line": 2, "a: b": 3, "null": 4}
    (path,) = export("yaml", chosen(make, extra=extra), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert YAML(typ="safe", pure=True).load(text)["parameters"] == {"temperature": 0.2, **extra}
    older = pytest.importorskip("yaml").safe_load(text)
    assert older["parameters"] == {"temperature": 0.2, **extra}


def test_yaml_reads_alike_under_the_older_rules(make, tmp_path):
    """Readers of YAML 1.1 take no text for a truth value, a date or an octal number."""
    yaml = pytest.importorskip("yaml")
    choice = chosen(make, prompt="on", temperature=1e-6, stop=("no", "2026-11-01", "012"))
    (path,) = export("yaml", choice, tmp_path)
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert loaded["prompt"]["variant"] == "on"
    assert loaded["parameters"] == {"temperature": 1e-6, "stop": ["no", "2026-11-01", "012"]}


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("openai/gpt-4.1-mini", "max_tokens"),
        ("openai/gpt-5-mini", "max_completion_tokens"),
        ("mine/gpt-5-local", "max_completion_tokens"),
        ("together/meta-llama/Llama-3", "max_tokens"),
        ("local/smollm2", "max_tokens"),
    ],
)
def test_output_limit_has_the_name_that_the_server_knows(make, model, limit):
    """Models called like OpenAI's reasoning ones take max_completion_tokens, as they were measured."""
    arguments = keyword_arguments(chosen(make, model=model, max_output_tokens=64).settings)
    assert arguments == {"model": model.partition("/")[2], "temperature": 0.2, limit: 64}


FAKE_LANGCHAIN = """\
from types import SimpleNamespace


def init_chat_model(*, api_key, **_):
    return SimpleNamespace(invoke=lambda asked: SimpleNamespace(text=api_key))
"""


class Recorder(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that keeps what it was asked."""

    asked: list[dict]

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps(
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "bug"}}]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


def test_openai_script_sends_the_measured_request(make, tmp_path):
    """The script runs as written, and what reaches the server is what was exported."""
    choice = chosen(make, temperature=0.0, max_output_tokens=64, stop=("END",), seed=3, extra={"top_k": 5})
    script = export("openai", choice, tmp_path)[1]
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = os.environ | {
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, str(script), "It crashes"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        server.shutdown()
    assert (done.returncode, done.stdout.strip()) == (0, "bug"), done.stderr
    (asked,) = server.asked
    assert asked == {
        "model": "gpt-4.1-mini",
        "messages": [{"role": "user", "content": "It crashes"}],
        "temperature": 0.0,
        "max_tokens": 64,
        "stop": ["END"],
        "seed": 3,
        "top_k": 5,
    }


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("langchain", "langchain_client.json"),
        ("openai", "openai_client.json"),
        ("pydantic-ai", "pydantic_ai.json"),
    ],
)
@pytest.mark.parametrize(
    ("model", "variable"),
    [("together/meta-llama/Llama-3", "TOGETHER_API_KEY"), ("barn/llama", "BARN_KEY"), ("shed/llama", None)],
)
def test_scripts_are_told_the_variable_of_the_key(make, tmp_path, target, file, model, variable):
    """A provider that is not OpenAI names its own, or that it wants none."""
    provider = model.partition("/")[0]
    choice = asked_at(chosen(make, model=model), provider, "https://a.example/v1", api_key_env=variable)
    export(target, choice, tmp_path)
    assert json.loads((tmp_path / file).read_text())["api_key_env"] == variable


@pytest.mark.parametrize(
    ("own", "said"),
    [({"TOGETHER_API_KEY": "of-together"}, "of-together"), ({}, "TOGETHER_API_KEY is not set")],
)
def test_a_script_passes_the_key_of_its_provider(make, tmp_path, own, said):
    """Or says which one is not there; it does not fall back on that of OpenAI."""
    script = export("langchain", chosen(make, model="together/meta-llama/Llama-3"), tmp_path)[1]
    (tmp_path / "langchain").mkdir()
    (tmp_path / "langchain" / "chat_models.py").write_text(FAKE_LANGCHAIN)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment | {"OPENAI_API_KEY": "of-openai"} | own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout + done.stderr).startswith(said)
    assert "of-openai" not in done.stdout + done.stderr


def test_promptfoo_sends_no_key_of_openai_to_others(make, tmp_path):
    """A server that wants no key gets a word in its place."""
    choice = asked_at(chosen(make, model="shed/llama"), "shed", "https://shed.example/v1")
    path = registry.export("promptfoo", selection_of([choice]), tmp_path).paths[0]
    entry = YAML(typ="safe", pure=True).load(path.read_text())[0]
    assert entry["config"]["apiKey"] == "none"


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("google/gemini-2.5-flash", "minimal"),
        ("google/gemini-2.5-flash", "xhigh"),
        ("google/gemini-3.8-flash", "xhigh"),
        ("google/gemini-3.8-flash", "none"),
    ],
)
def test_an_effort_that_gemini_is_not_told_is_refused(make, tmp_path, model, effort):
    """Nothing stands for it there, and the message names what does, and the target that takes it."""
    with pytest.raises(UsageError, match=rf"reasoning_effort '{effort}'.*low, medium, high.*litellm-proxy"):
        export("gemini", chosen(make, model=model, reasoning_effort=effort), tmp_path)
    assert not list(tmp_path.iterdir())


def test_embedding_choice_gets_an_embedding_script(make, tmp_path):
    """An embedding model is asked for vectors, not for a conversation."""
    settings = make.settings("openai/text-embedding-3-small", temperature=None, extra={"dimensions": 256})
    trial = make.trial(2, settings=settings, model_class="EMBEDDING")
    paths = export("openai", make.recommendation(settings=settings, trial=trial), tmp_path)
    assert json.loads(paths[0].read_text()) == {"model": "text-embedding-3-small", "dimensions": 256}
    assert "embeddings.create" in paths[1].read_text()


@pytest.mark.parametrize("target", ["anthropic", "inspect", "mlflow", "pydantic-ai", "promptfoo"])
@pytest.mark.parametrize("model_class", ["EMBEDDING", None])
def test_an_embedding_choice_is_no_text_model(make, tmp_path, target, model_class):
    """Nobody can talk to it: the message says so and names targets that hold it."""
    model = "openai/text-embedding-3-small"
    settings = make.settings(model, temperature=None)
    trial = make.trial(2, settings=settings, model_class=model_class)
    with pytest.raises(UsageError, match=rf"{model} is an embedding model, and {target} asks a text model"):
        export(target, make.recommendation(settings=settings, trial=trial), tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_target_names_the_near_one(make, tmp_path):
    """A typing slip gets the name that was meant, and the list."""
    with pytest.raises(UsageError, match="did you mean 'openai'"):
        export("opnai", make.recommendation(), tmp_path)


def test_files_in_the_way_stop_an_export(make, tmp_path):
    """All or nothing: one file in the way, and no other is written; force replaces it."""
    (tmp_path / "openai_example.py").write_text("mine")
    with pytest.raises(UsageError, match=r"openai_example\.py"):
        export("openai", make.recommendation(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["openai_example.py"]
    assert len(export("openai", make.recommendation(), tmp_path, force=True)) == 2


@pytest.mark.parametrize(
    "extra",
    [
        {"api_key": "x"},
        {"headers": {"Authorization": "x"}},
        {"options": [{"note": "sk-abcdefghijklmnop1234"}]},
        {"user": "Bearer abcdefgh12345678"},
    ],
)
@pytest.mark.parametrize("target", list(TARGETS))
def test_credentials_never_leave(make, tmp_path, target, extra):
    """What looks like a credential stops the export, and the message does not repeat it."""
    with pytest.raises(UsageError, match="credential") as caught:
        export(target, chosen(make, extra=extra), tmp_path)
    assert "abcdefgh" not in str(caught.value)
    assert not list(tmp_path.iterdir())


SECRETS = (
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0123456789_abcdefghij",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "xai-AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "tgp_v1_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "Bearer 0123456789abcdef0123",
    "postgresql://me:hidden@db.example:5432/agents",
    "See https://api.example/v1?model=a&api_key=hidden",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_credentials_are_known_by_their_look(make, tmp_path, secret):
    """In a parameter and in the template, whatever it stands under."""
    with pytest.raises(UsageError, match=r"settings\.note looks like a credential") as caught:
        export("json", chosen(make, extra={"note": secret}), tmp_path)
    assert secret not in str(caught.value)
    with pytest.raises(
        UsageError, match="template of the prompt holds what looks like a credential"
    ) as caught:
        export("json", chosen(make), tmp_path, prompt_text=f"Use {secret}")
    assert secret not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "Explain how Bearer instruments work",
        "Bearer securities: certificates-of-deposit, and what an owner may do",
        "Is https://shop.example/list?page=2&sort=token_count safe?",
        "Write to ada@example.org at 10:30, see https://example.org/a:b",
    ],
)
def test_words_about_credentials_are_none(make, tmp_path, text):
    """A prompt about bearer bonds or addresses is one like any other."""
    assert export("json", chosen(make, extra={"note": text}), tmp_path, prompt_text=text)


@pytest.mark.parametrize("query", ["api_key=hidden", "a=1&key=hidden", "accessToken=hidden"])
def test_an_address_with_a_key_in_its_query_is_refused(make, tmp_path, query):
    """It would stand in the files; the message names the provider, not the key."""
    choice = asked_at(chosen(make, model="shed/llama"), "shed", f"https://shed.example/v1?{query}")
    with pytest.raises(UsageError, match=r"providers\.shed\.api_base holds a credential") as caught:
        registry.export("litellm-proxy", selection_of([choice]), tmp_path)
    assert "hidden" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_token_limits_are_no_credentials(make, tmp_path):
    """A parameter with "token" in its name is no secret."""
    assert export(
        "json",
        chosen(
            make,
            extra={
                "max_thinking_tokens": 100,
                "eos_token": "</s>",
                "prompt_cache_key": "tickets",
                "logit_bias": {"50256": -100},
            },
        ),
        tmp_path,
    )


def test_every_target_says_what_it_is():
    """The list that a user reads has one line for each."""
    assert all(target.description and "\n" not in target.description for target in TARGETS.values())
