"""What litellm itself needs and does not find: told as what it is, and not billed."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import ProviderFault
from harness.testing.builders import a_call, a_settings

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]


def test_a_package_that_litellm_lacks_is_named():
    """It takes the absence for a broken line, which would be tried again and again."""
    code = (
        "import asyncio, sys, warnings; warnings.simplefilter('ignore'); sys.modules['mcp'] = None;"
        "from harness.calls.litellm_lane import LitellmProvider; from harness.testing.builders import *;"
        "call = a_call(settings=a_settings(model='openai/responses/gpt-4.1-mini'));"
        "lane = LitellmProvider('openai', 'http://127.0.0.1:9/v1')\n"
        "try: asyncio.run(lane.complete(call))\n"
        "except Exception as fault: print(fault.kind, fault.message)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("bad_request for this model, litellm needs the package 'mcp'")
    assert "pip install 'mcp>=2,<3'" in done.stdout


@pytest.mark.parametrize("prefix", ["openai", "hosted_vllm", "anthropic"])
def test_a_connection_that_took_too_long_was_not_billed(prefix):
    """Whoever listens there says nothing, so that no request went out."""

    class Hurried(LitellmProvider):
        def arguments(self, call):
            """Those of the lane, with a limit of litellm's own."""
            return super().arguments(call) | {"timeout": 0.1}

    async def act(port: int) -> None:
        provider = Hurried(prefix, f"https://127.0.0.1:{port}/v1", "my-own-secret-key")
        try:
            await provider.complete(a_call(settings=a_settings(model=f"{prefix}/a-model")))
        finally:
            await provider.close()

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ProviderFault) as caught:
        asyncio.run(act(silent.getsockname()[1]))
    assert (caught.value.kind, caught.value.billed) == ("timeout", False)


def test_credentials_that_are_missing_are_no_broken_line(wire, monkeypatch, tmp_path, capfd):
    """Google's own are looked for by a library; without them, nothing is sent, tried again, or printed."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    call = a_call(settings=a_settings(model="vertex/gemini-2.5-flash"))

    async def act() -> None:
        provider = LitellmProvider("vertex_ai", wire.url)
        try:
            await provider.complete(call)
        finally:
            await provider.close()

    with pytest.raises(ProviderFault) as caught:
        asyncio.run(act())
    fault = caught.value
    assert (fault.kind, fault.billed) == ("credentials", False)
    assert wire.requests == []
    assert "Traceback" not in f"{fault.message}{capfd.readouterr()}"
