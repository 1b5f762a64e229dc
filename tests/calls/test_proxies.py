"""Which proxy leads to an address: as the environment says it to every other program."""

from __future__ import annotations

import pytest

from harness.calls.proxies import proxy_of
from harness.errors import ProviderError

THERE = "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("environ", "address", "proxy"),
    [
        ({}, THERE, None),
        ({"https_proxy": "http://proxy:3128"}, THERE, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, THERE, "http://proxy:3128"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://large:1"}, THERE, "http://small:1"),
        ({"HTTPS_PROXY": "proxy:3128"}, THERE, "http://proxy:3128"),
        ({"HTTPS_PROXY": " "}, THERE, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, THERE, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://api.example.com/v1", "http://proxy:3128"),
    ],
)
def test_the_scheme_of_an_address_names_the_variable(environ, address, proxy):
    """In small letters or in capitals."""
    assert proxy_of(address, environ) == proxy


@pytest.mark.parametrize(
    "out", ["api.example.com", ".example.com", "other, example.com", "*", "api.example.com:443"]
)
def test_a_host_that_no_proxy_names_is_reached_at_once(out):
    """By its name, by the end of it, or with all others."""
    environ = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": out}
    assert proxy_of("https://api.example.com:443/v1", environ) is None
    assert proxy_of("https://api.example.org/v1", environ) == (None if out == "*" else "http://proxy:3128")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "[::1]"])
def test_this_machine_is_never_asked_through_a_proxy(host):
    """A server beside us is none of its business, and it could not reach it."""
    assert proxy_of(f"http://{host}:8080/v1", {"HTTP_PROXY": "http://proxy:3128"}) is None


@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@proxy:1080", "https://me:secret@proxy", "http://", "http://p:x"]
)
def test_a_proxy_of_another_kind_is_refused_without_its_password(proxy):
    """Before anything is sent: a call that went past it might go where it must not."""
    with pytest.raises(ProviderError, match="HTTPS_PROXY is not of the form http://HOST:PORT") as caught:
        proxy_of(THERE, {"HTTPS_PROXY": proxy})
    assert "secret" not in str(caught.value)
