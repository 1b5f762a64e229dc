"""Which lane an endpoint takes, and the provider that speaks it.

In: endpoints, models and the environment, from which keys are read and in which they stay. Out: open
providers. Nothing is sent here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from harness.calls.direct_lane import DirectProvider
from harness.calls.http_client import CONNECT_S
from harness.calls.provider import Provider
from harness.calls.proxies import proxy_of
from harness.catalogue.models import Model
from harness.errors import ProviderError
from harness.records import Endpoint

LOGS = Path(".harness/logs")


def open_providers(
    endpoints: Mapping[str, Endpoint], models: Mapping[str, Model], environ: Mapping[str, str]
) -> dict[str, Provider]:
    """A provider for each endpoint, by name.

    Raises ProviderError when a key is not set or cannot be sent, when an address is none, or when the weights
    of a local model are not there.
    """
    return {
        name: open_provider(endpoint, [m for m in models.values() if m.provider == name], environ)
        for name, endpoint in endpoints.items()
    }


def open_provider(endpoint: Endpoint, models: list[Model], environ: Mapping[str, str]) -> Provider:
    """The provider that speaks to this endpoint; see `open_providers`."""
    if endpoint.wire == "embedded":
        from harness.calls.embedded import EmbeddedProvider
        from harness.catalogue.weights import models_folder

        own = {model.name: model for model in models}
        return EmbeddedProvider(own, models_folder(environ), LOGS, stream=endpoint.stream)
    key = _key(endpoint, environ)
    if endpoint.wire == "openai":
        # Within the time that a call has, so that one which never went out is not booked as if it had.
        connect_s = min(CONNECT_S, endpoint.timeout_s / 2)
        address = _address(endpoint)
        proxy = proxy_of(address, environ)
        return DirectProvider(address, key, stream=endpoint.stream, connect_s=connect_s, proxy=proxy)
    from harness.calls.litellm_lane import LitellmProvider

    return LitellmProvider(endpoint.litellm_prefix, endpoint.api_base, key, stream=endpoint.stream)


def hidden_sign(key: str) -> str:
    """What is wrong with a key in which something that nobody sees was pasted along; empty: nothing."""
    hidden = next(((place, sign) for place, sign in enumerate(key, 1) if not sign.isprintable()), None)
    if hidden is None:
        return ""
    place, sign = hidden
    return f"its character {place} is U+{ord(sign):04X}, which nobody sees and no key has; paste it anew"


def _key(endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    if endpoint.api_key_env is None:
        return None
    key = environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise ProviderError(
            f"{endpoint.api_key_env} is not set, and provider {endpoint.provider!r} needs it; set it in the "
            "environment or in .env, or leave the provider out of search.models"
        )
    if fault := hidden_sign(key):
        raise ProviderError(
            f"{endpoint.api_key_env}, the key of provider {endpoint.provider!r}, cannot be sent: {fault}"
        )
    return key


def _address(endpoint: Endpoint) -> str:
    """The address of an endpoint of the direct lane. Raises ProviderError where no path can follow it."""
    address, place = endpoint.api_base, f"providers.{endpoint.provider}.api_base"
    if address is None:
        raise ProviderError(f"provider {endpoint.provider!r} has no address; give {place}")
    try:
        urlsplit(address).port  # noqa: B018 - it is read when it is asked for
    except ValueError as error:
        raise ProviderError(f"{place} is {address!r}: {error}; correct it") from error
    if re.search(r"[\s?#]", address):
        # Not shown: a query may hold a key.
        raise ProviderError(
            f"{place} has a query, a fragment or a blank; paths are put behind it: leave it out"
        )
    return address
