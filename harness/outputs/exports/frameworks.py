"""How the providers of the catalogue are called in libraries that speak to many of them.

In: settings and the endpoints of a selection. Out: names, where a provider that a library does not know is
asked in OpenAI's format, and what a script has to know of address and key. Must not know one library in
particular.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UsageError
from harness.outputs.exports.manifest import Fate, address_fate, lost
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, ModelClass, Settings

# From its version 2026-10-21 on, Anthropic's API refuses temperature and top_p. This one takes them; litellm
# asks for it, so that it was measured.
SAMPLING_HEADERS: Mapping[str, JsonValue] = {"anthropic-version": "2023-06-01"}
NO_KEY = "none"  # stands where a library would otherwise send the key of OpenAI to somebody else

# What scripts share. {file} may name an address and the variable of a key; {client} is the package's client.
CLIENT = '''
CLIENT = Path(__file__).with_name("{file}")


def client():
    """The client, with address and key of the provider where they are not the package's own."""
    held = json.loads(CLIENT.read_text(encoding="utf-8")) if CLIENT.exists() else {{}}
    arguments = {{"{address}": {value}}} if "base_url" in held else {{}}
    if "api_key_env" in held:
        variable = held["api_key_env"]
        arguments["api_key"] = "none" if variable is None else os.environ.get(variable)
        if not arguments["api_key"]:
            sys.exit(f"{{variable}} is not set: put the key of the provider there")
{foreign}    return {client}(**arguments)
'''
FOREIGN = """\
# These are for OpenAI alone, and its package would send them to any address.
for private in ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID"):
    os.environ.pop(private, None)
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a package asks. version: of the interface, as Google's package is told it apart from the address.

    fault: why the package cannot be told an address.
    """

    address: str | None
    version: str | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A provider as a library calls it.

    reach: where it is asked; without an address, the library knows. measured: the address as it was measured,
    `None`: the usual one. foreign: asked in OpenAI's format, and none of the library's own: left alone, it
    would be sent the key of OpenAI. key: environment variable that holds its key; `None`: the library's own,
    or of a foreign one none.
    """

    provider: str
    model: str
    reach: Reach
    key: str | None
    foreign: bool = False
    measured: str | None = None

    @property
    def address(self) -> str | None:
        """Where it is asked; `None`: where the library asks by itself."""
        return self.reach.address

    def key_document(self) -> dict[str, JsonValue]:
        """What the file of a script says of the key: `api_key_env`, `null` where no key is to be sent."""
        return {"api_key_env": self.key} if self.foreign or self.key is not None else {}

    def client_files(self, file: str, *, address: bool = True) -> dict[str, str]:
        """The file that tells a script of address and key, where they are not the package's own."""
        told = {"base_url": self.address} if address and self.address is not None else {}
        if told and self.reach.version is not None:
            told["api_version"] = self.reach.version
        content = {**told, **self.key_document()}
        return {file: json.dumps(content, indent=2, ensure_ascii=False) + "\n"} if content else {}

    def fates(self, key: str, *, model_class: ModelClass | None = None) -> tuple[Fate, ...]:
        """What becomes of an address that is not the library's own. key: where it stands in the export."""
        if self.measured is None:
            return ()
        if self.address is None:
            return (lost("address", self.measured, self.reach.fault, model_class=model_class),)
        why = "" if self.address == self.measured else "as the package wants it: it adds the rest"
        return (address_fate(self.measured, key, exported=self.address, reason=why, model_class=model_class),)


def named(selection: Selection, settings: Settings, names: Mapping[str, str], openai: str) -> Named:
    """The provider of these settings in a library's words.

    names: of the providers that the library knows. openai: its name for anything in OpenAI's format. Raises
    UsageError where neither helps: a model inside this process, or one asked in a format of its own.
    """
    provider, model = settings.provider, settings.model_name
    if provider in names:
        own, key = selection.address(provider), selection.own_key_variable(provider)
        return Named(names[provider], model, of_vendor(provider, own), key, measured=own)
    address = selection.openai_address(provider)
    if address is None:
        raise without_address(selection, settings)
    key = selection.key_variable(provider)
    return Named(openai, model, Reach(address), key, foreign=True, measured=address)


def of_vendor(provider: str, address: str | None) -> Reach:
    """The address as the vendor's own package takes it, to which it adds path and version by itself."""
    if address is None or provider not in ("anthropic", "google"):
        return Reach(address)
    plain = address.rstrip("/")
    if provider == "anthropic":
        # litellm puts this behind any address that does not end with it, and so does Anthropic's package.
        return Reach(plain.removesuffix("/v1/messages"))
    found = re.fullmatch(r"(.+)/(v\d\w*)", plain)
    if found is None:
        return Reach(None, fault="Google's package puts a version behind every address; asked was without")
    return Reach(found.group(1), found.group(2))


def without_address(selection: Selection, settings: Settings) -> UsageError:
    """What to say of a model that cannot be asked from outside of this process, or not in OpenAI's format."""
    provider = settings.provider
    facts = selection.catalogue.providers.get(provider)
    if facts is not None and facts.wire == "embedded":
        return UsageError(
            f"{settings.model} runs inside harness and has no address; serve it (`harness models serve`), "
            f"name that address as providers.{provider}.api_base in the spec, and run again"
        )
    return UsageError(
        f"{settings.model} is asked in a format of {provider}'s own, which this target is not told here; "
        "export litellm-proxy, which speaks it, or json"
    )


def samples(settings: Settings) -> bool:
    """Whether these settings hold what Anthropic's newest API refuses."""
    return settings.temperature is not None or settings.top_p is not None
