"""Which lane an endpoint takes, and what is said when it cannot be opened."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.embedded import EmbeddedProvider
from harness.calls.lanes import open_provider, open_providers
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import ProviderFault
from harness.errors import ProviderError
from harness.testing.builders import a_call, an_endpoint


def test_the_wire_decides_the_lane():
    """The OpenAI format is spoken directly, everything else through litellm."""
    assert isinstance(open_provider(an_endpoint(), [], {}), DirectProvider)
    assert isinstance(open_provider(an_endpoint(wire="litellm"), [], {}), LitellmProvider)
    assert isinstance(open_provider(an_endpoint(wire="embedded"), [], {}), EmbeddedProvider)


def test_every_endpoint_gets_its_provider(models):
    """By name, and with its own models only."""
    endpoints = {"sim": an_endpoint(), "other": an_endpoint(provider="other", wire="litellm")}
    assert set(open_providers(endpoints, models, {})) == {"sim", "other"}


def test_the_key_comes_from_the_environment_and_is_trimmed(wire):
    """A line break at the end of a pasted key must not end up in a header."""
    endpoint = an_endpoint(api_base=wire.url, api_key_env="SIM_KEY")
    provider = open_provider(endpoint, [], {"SIM_KEY": " my-own-secret-key\n"})

    async def ask() -> None:
        await provider.complete(a_call())
        await provider.close()

    asyncio.run(ask())
    assert wire.requests[0].headers["Authorization"] == "Bearer my-own-secret-key"


@pytest.mark.parametrize("stream", [False, True])
def test_the_endpoint_decides_whether_answers_are_streamed(wire, stream):
    """What the spec says of a provider reaches the request."""
    provider = open_provider(an_endpoint(api_base=wire.url, stream=stream), [], {})

    async def ask() -> None:
        await provider.complete(a_call())
        await provider.close()

    asyncio.run(ask())
    assert wire.requests[0].body.get("stream", False) is stream


def test_a_proxy_of_the_environment_is_asked(wire):
    """As litellm's clients do it: the host need not be found from here."""
    environ = {"HTTP_PROXY": wire.url.removesuffix("/v1")}
    provider = open_provider(an_endpoint(api_base="http://sim.invalid/v1"), [], environ)

    async def ask() -> None:
        await provider.complete(a_call())
        await provider.close()

    asyncio.run(ask())
    assert wire.requests[0].headers["Host"] == "sim.invalid"


def test_a_connection_has_half_of_the_time_of_a_call():
    """The whole would end as a call that may have been billed, although nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = an_endpoint(api_base=f"https://127.0.0.1:{silent.getsockname()[1]}/v1", timeout_s=0.1)
        provider = open_provider(endpoint, [], {})
        with pytest.raises(ProviderFault, match=r"0\.05 s") as caught:
            asyncio.run(provider.complete(a_call()))
    assert (caught.value.kind, caught.value.billed) == ("connection", False)


@pytest.mark.parametrize("environ", [{}, {"SIM_KEY": ""}, {"SIM_KEY": "  \n"}])
@pytest.mark.parametrize("way", ["openai", "litellm"])
def test_a_missing_key_is_named(way, environ):
    """Before anything is sent, with the name of the variable and of the provider."""
    with pytest.raises(ProviderError, match=r"SIM_KEY is not set, and provider 'sim' needs it"):
        open_provider(an_endpoint(wire=way, api_key_env="SIM_KEY"), [], environ)


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        ("sk-live\u200b4711", "character 8 is U\\+200B"),
        ("sk-live\u00a04711", "character 8 is U\\+00A0"),
        ("sk-live\t4711", "character 8 is U\\+0009"),
        ("\ufeffsk-live4711", "character 1 is U\\+FEFF"),
        ("sk-live4711\x7f", "character 12 is U\\+007F"),
    ],
)
@pytest.mark.parametrize("way", ["openai", "litellm"])
def test_a_key_with_something_unseen_in_it_is_refused(way, key, sign):
    """Before anything is sent, for either lane; the message tells the place and not the key."""
    with pytest.raises(ProviderError, match=f"SIM_KEY, the key of provider 'sim', .*{sign}") as caught:
        open_provider(an_endpoint(wire=way, api_key_env="SIM_KEY"), [], {"SIM_KEY": key})
    assert "live" not in str(caught.value)


@pytest.mark.parametrize("port", ["99999", "abc"])
def test_a_port_that_is_none_is_named(port):
    """Not after many attempts to connect."""
    with pytest.raises(
        ProviderError, match=rf"providers\.sim\.api_base is 'http://127\.0\.0\.1:{port}/v1': Port"
    ):
        open_provider(an_endpoint(api_base=f"http://127.0.0.1:{port}/v1"), [], {})


@pytest.mark.parametrize("end", ["?code=secret", "/?code=secret", "#code=secret", " ", "/a b"])
def test_an_address_that_paths_cannot_be_put_behind_is_refused(end):
    """They would be part of the query; what is in it may be a key, and is not shown."""
    with pytest.raises(ProviderError, match=r"providers\.sim\.api_base has a query") as caught:
        open_provider(an_endpoint(api_base=f"http://127.0.0.1:9/v1{end}"), [], {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "key", "kind"),
    [
        ("http://127.0.0.1:9/v1", "my-own\u200bkey", "credentials"),
        ("http://127.0.0.1:99999/v1", None, "not_found"),
        ("127.0.0.1/v1", "my-own-key", "not_found"),
    ],
)
def test_what_cannot_be_sent_at_all_is_not_tried_again(address, key, kind):
    """Of a provider that was opened by other ways: no time heals its key, or what is no address."""
    with pytest.raises(ProviderFault) as caught:
        asyncio.run(DirectProvider(address, key).complete(a_call()))
    fault = caught.value
    assert (fault.kind, fault.retryable, fault.billed) == (kind, False, False)
    assert "my-own" not in fault.message


def test_a_missing_address_is_named():
    """The direct lane knows no addresses by itself."""
    with pytest.raises(ProviderError, match=r"'sim' has no address; give providers\.sim\.api_base"):
        open_provider(an_endpoint(api_base=None), [], {})


def test_opening_providers_loads_no_heavy_library():
    """litellm takes seconds to load, which a run without it must not pay."""
    code = (
        "import sys; from harness.calls.lanes import open_provider;"
        "from harness.testing.builders import an_endpoint;"
        "[open_provider(an_endpoint(wire=w), [], {}) for w in ('openai', 'litellm', 'embedded')];"
        "print([n for n in ('litellm', 'aiohttp', 'xllamacpp', 'openai') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
