"""A hub name without a network fails at once, and says how to go on."""

from __future__ import annotations

import pytest

from harness.errors import DataError
from harness.plan.hub import parse_hub_name, refuse_unreachable

NAME = parse_hub_name("hf:owner/name")


def refuse(*_):
    """A machine on which no name means anything."""
    raise OSError(-2, "Name or service not known")


def test_a_hub_out_of_reach_is_told_without_waiting():
    """The message names the address, and the way to use what was loaded before."""
    with pytest.raises(DataError, match=r"hf:owner/name: .*'huggingface\.co'.*HF_HUB_OFFLINE=1"):
        refuse_unreachable(NAME, {}, {}, refuse)


@pytest.mark.parametrize(
    ("environ", "proxies"),
    [
        ({"HF_HUB_OFFLINE": "1"}, {}),
        ({"HF_DATASETS_OFFLINE": "True"}, {}),
        ({}, {"https": "http://127.0.0.1:3128"}),
    ],
)
def test_who_stays_offline_or_has_a_proxy_is_not_asked(environ, proxies):
    """Offline, the library uses its copy; a proxy looks names up itself."""
    refuse_unreachable(NAME, environ, proxies, refuse)


def test_a_mirror_is_looked_up_instead():
    """The address that the library would use is the one that counts."""
    asked = []
    refuse_unreachable(
        NAME, {"HF_ENDPOINT": "http://mirror.example:8080/hub"}, {}, lambda *one: asked.append(one)
    )
    assert asked == [("mirror.example", 443)]
