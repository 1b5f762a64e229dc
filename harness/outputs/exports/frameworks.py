"""How the providers of the catalogue are called in libraries that speak to many of them.

In: settings and the addresses of a selection. Out: names, and where a provider that a library does not know
is asked in OpenAI's format. Must not know one library in particular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

# From its version 2026-10-21 on, Anthropic's API refuses temperature and top_p. This one takes them; litellm
# asks for it, so that it was measured.
SAMPLING_HEADERS: Mapping[str, JsonValue] = {"anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class Named:
    """A provider as a library calls it. address: where it is asked, `None`: the library knows.

    foreign: asked in OpenAI's format, and none of the library's own: left alone, it would be sent the key of
    OpenAI. key: environment variable that holds its key; `None`: the library's own, or of a foreign one none.
    """

    provider: str
    model: str
    address: str | None
    key: str | None
    foreign: bool = False

    def key_document(self) -> dict[str, JsonValue]:
        """What the file of a script says of the key: `api_key_env`, `null` where no key is to be sent."""
        return {"api_key_env": self.key} if self.foreign or self.key is not None else {}


def named(selection: Selection, settings: Settings, names: Mapping[str, str], openai: str) -> Named:
    """The provider of these settings in a library's words.

    names: of the providers that the library knows. openai: its name for anything in OpenAI's format. Raises
    UsageError where neither helps: a model inside this process, or one without an address.
    """
    provider = settings.provider
    facts = selection.catalogue.providers.get(provider)
    own = selection.addresses.get(provider)
    if provider in names:
        return Named(names[provider], settings.model_name, own, selection.key_variables.get(provider))
    address = own or (None if facts is None or facts.wire != "openai" else facts.api_base)
    if address is None:
        raise without_address(settings)
    return Named(openai, settings.model_name, address, selection.key_variable(provider), foreign=True)


def without_address(settings: Settings) -> UsageError:
    """What to say of a model that nothing outside of this process can ask."""
    return UsageError(
        f"{settings.model} runs inside harness and has no address; serve it (`harness models serve`), name "
        f"that address as providers.{settings.provider}.api_base in the spec, and run again"
    )


def samples(settings: Settings) -> bool:
    """Whether these settings hold what Anthropic's newest API refuses."""
    return settings.temperature is not None or settings.top_p is not None
