"""A fake of somebody else's making answers our calls as our own simulator does.

The simulator and the lanes come from one hand, so they might be wrong together. Here llm-mock-api, which
checks requests by schemas of its own and writes answers of its own, takes the simulator's place. It goes
into an environment that is thrown away; only where the package index cannot be reached, that is
said and the tests are skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, Message, Reply, Settings
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore:Pydantic serializer warnings:UserWarning"
    ),  # by its shape of a response
]
FAKE = "llm-mock-api==0.1.2"
ANSWER = "Your parcel left the depot on Monday."
KEY = "my-own-secret-key"
# By name: litellm's prefix (none: spoken to directly), model, path of the address.
CALLS = {
    "openai, direct lane": ("", "gpt-4.1-mini", "/v1"),
    "openai, litellm": ("openai", "gpt-4.1-mini", "/v1"),
    "openai responses": ("openai", "responses/gpt-4.1-mini", "/v1"),
    "anthropic": ("anthropic", "claude-haiku-4-5", ""),
}


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> Iterator[str]:
    """The fake's address."""
    folder: Path = tmp_path_factory.mktemp("fake")
    installed(folder)
    program = folder / "bin" / "llm-mock-api"
    options = ("start", "--port", "0", "--latency", "0", "--log-level", "info", "--fallback", ANSWER)
    with subprocess.Popen(
        [program, *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = (re.search(r"Listening on (http://127\.0\.0\.1:\d+)", line) for line in process.stdout)
            yield next(found[1] for found in said if found)
        finally:
            process.kill()


def installed(folder: Path) -> None:
    """Install the fake into a new environment in this folder; skip where its package cannot be had."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, FAKE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{FAKE} cannot be had from the package index: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def own() -> Iterator[str]:
    """The address of our simulator, giving the same answer."""
    with SimulatorServer(FixedAnswers(ANSWER)) as server:
        yield server.url


def asked(run, address: str, name: str, *, stream: bool, content: str = "Where is my parcel?") -> Reply:
    """The answer to one call of this kind."""
    prefix, model, path = CALLS[name]
    messages = (Message("system", "Answer briefly."), Message("user", content))
    settings = Settings(
        model=f"p/{model}", prompt="plain", temperature=0.3, max_output_tokens=64, stop=("END",)
    )
    if "responses" in model:  # they take no stop
        settings = Settings(model=f"p/{model}", prompt="plain", temperature=0.3, max_output_tokens=64)
    lane: Provider = (
        LitellmProvider(prefix, address + path, KEY, stream=stream)
        if prefix
        else DirectProvider(address + path, KEY, stream=stream)
    )

    async def act() -> Reply:
        try:
            return await lane.complete(Call(settings=settings, sample_id="s1", messages=messages))
        finally:
            await lane.close()

    return run(act())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", CALLS)
def test_it_answers_as_our_simulator_does(fake, own, run, name, stream):
    """The same text, the same reason, counts where it gives any, and a first token where one was streamed."""
    theirs, ours = (asked(run, address, name, stream=stream) for address in (fake, own))
    assert (theirs.text, theirs.finish_reason) == (ours.text, ours.finish_reason) == (ANSWER, "stop")
    assert (theirs.first_token_s is None) == (ours.first_token_s is None) == (not stream)
    assert ours.usage.output_tokens
    assert theirs.usage.output_tokens is None or theirs.usage.output_tokens > 0


@pytest.mark.parametrize("name", CALLS)
def test_both_refuse_what_is_no_question(fake, own, run, name):
    """A refusal of theirs is one of ours: it is not taken for an answer, nor tried again."""
    for address in (fake, own):
        with pytest.raises(ProviderFault) as caught:
            asked(run, address + "/nowhere", name, stream=False)
        assert caught.value.kind == "not_found"
