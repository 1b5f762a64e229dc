"""Which proxy leads to an address, as curl and the HTTP libraries read it from the environment.

In: an address, and names with values. Out: the address of a proxy, or none. Nothing is sent here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.errors import ProviderError


def proxy_of(address: str, environ: Mapping[str, str]) -> str | None:
    """The address in `http_proxy` or `https_proxy`, by the scheme of this one; `None`: none leads to it.

    Names count in small letters first, then in capitals. None leads to a host that `no_proxy` names, or that
    is this machine. Raises ProviderError for a proxy that is not spoken to in plain HTTP.
    """
    parts = urlsplit(address)
    variable, proxy = _said(f"{parts.scheme}_proxy", environ)
    if not proxy or not parts.hostname or _is_here(parts.hostname):
        return None
    from urllib.request import (
        proxy_bypass_environment,  # pyright: ignore[reportAttributeAccessIssue] - typeshed leaves it out
    )

    port = f":{parts.port}" if parts.port else ""
    if proxy_bypass_environment(parts.hostname + port, {"no": _said("no_proxy", environ)[1]}):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_plain(proxy):
        # Not shown: it may hold a password.
        raise ProviderError(
            f"{variable} is not of the form http://HOST:PORT, the only one that calls are sent through; "
            f"correct it, or add {parts.hostname} to no_proxy"
        )
    return proxy


def _said(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that says this, and what it says; nothing where none does."""
    for variable in (name, name.upper()):
        if said := environ.get(variable, "").strip():
            return variable, said
    return name, ""


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_plain(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
