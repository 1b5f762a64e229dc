"""How the providers of the catalogue are called in libraries that speak to many of them.

In: settings and the endpoints of a selection. Out: names, where a provider that a library does not know is
asked in OpenAI's format, and what a script has to know of address and key. Must not know one library in
particular.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.catalogue.wire import limit_name
from harness.errors import UsageError
from harness.outputs.exports.manifest import Fate, address_fate, lost
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, ModelClass, Settings

# From its version 2026-10-21 on, Anthropic's API refuses temperature and top_p. This one takes them; litellm
# asks for it, so that it was measured.
SAMPLING_HEADERS: Mapping[str, JsonValue] = {"anthropic-version": "2023-06-01"}
# As litellm asks for an effort, which is how it was measured.
ADAPTIVE: Mapping[str, JsonValue] = {"type": "adaptive", "display": "summarized"}
AS_MEASURED = "as litellm asks for it, which is how it was measured"
UNASKED = "left out: it does not think unasked"
# Gemini 2.5 takes a budget of tokens, as litellm has it; later ones a level.
BUDGETS: Mapping[str, int] = {"none": 0, "low": 1024, "medium": 2048, "high": 4096}
LEVELS = ("low", "medium", "high")
NO_KEY = "none"  # stands where a library would otherwise send the key of OpenAI to somebody else

SERVED = 8899  # a port for the sake of an example
WITHOUT_ADDRESS = ("json", "yaml", "toml", "dotenv", "recommendation")  # targets that ask nobody
OWN_TARGETS: Mapping[str, str] = {"anthropic": "anthropic", "google": "gemini"}
OPENAI_TARGET = "openai"

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


def wire_name(name: str, settings: Settings) -> str:
    """What OpenAI's chat format calls this setting for this model, as it was measured."""
    return limit_name(settings.model_name) if name == "max_output_tokens" else name


def put(held: dict[str, JsonValue], key: str, value: JsonValue) -> None:
    """Set what stands at this key: a name, or two with a dot between."""
    outer, _, inner = key.partition(".")
    if not inner:
        held[outer] = value
        return
    nested = held.setdefault(outer, {})
    assert isinstance(nested, dict), "keys of one name are all nested, or none is"
    nested[inner] = value


def budgeted(model_name: str) -> bool:
    """Whether this model of Google's is given a budget of tokens to think, and no level."""
    return model_name.startswith("gemini-2.5")


def efforts(model_name: str) -> tuple[str, ...]:
    """The efforts that this model of Google's can be told."""
    return tuple(BUDGETS) if budgeted(model_name) else LEVELS


def google_thinking(model_name: str, effort: str | None) -> dict[str, JsonValue]:
    """Google's thinking_config of this effort; empty where nothing says it."""
    if effort is None or effort not in efforts(model_name):
        return {}
    amount: dict[str, JsonValue] = (
        {"thinking_budget": BUDGETS[effort]} if budgeted(model_name) else {"thinking_level": effort.upper()}
    )
    return amount | {"include_thoughts": effort != "none"}


def with_effort(
    fates: Sequence[Fate], held: Mapping[str, JsonValue], provider: str, *, within: str = ""
) -> tuple[Fate, ...]:
    """The fates, that of the effort as the arguments `held` say it. within: where in the file they stand."""
    return tuple(
        _effort(fate, held, provider, within) if fate.setting == "reasoning_effort" else fate
        for fate in fates
    )


def _effort(fate: Fate, held: Mapping[str, JsonValue], provider: str, within: str) -> Fate:
    if held:
        key = ", ".join(within + name for name in held)
        same = replace(fate, effect="effective", changes=False, key=key)
        return replace(same, exported=dict(held), reason=AS_MEASURED)
    if provider.startswith("anthropic") and fate.requested == "none":
        return replace(fate, effect="effective", changes=False, exported=None, key="", reason=UNASKED)
    return fate


def unasked(
    setting: str,
    client: str,
    said: str,
    *,
    exported: JsonValue = None,
    model_class: ModelClass | None = None,
) -> Fate:
    """The fate of what a client sends by itself, and was not sent when it was measured.

    said: what it sends, in words. exported: the value of it, where there is one.
    """
    return Fate(
        setting=setting,
        requested=None,
        exported=exported,
        effect="not expressible",
        reason=f"{client} sends {said} where nothing is set, and nothing was set when it was measured",
        model_class=model_class,
        changes=True,
    )


def unasked_limit(settings: Settings, client: str, said: str | None) -> tuple[Fate, ...]:
    """The fate of an output limit that a client sends by itself. said: as for `unasked`; `None`: none is.

    Only a model that is declared without max_output_tokens is measured without one; litellm then sends a
    limit of its own to Anthropic, which takes no request without one.
    """
    if settings.max_output_tokens is not None or said is None:
        return ()
    return (unasked("max_output_tokens", client, f"{said} (longer answers are cut off there)"),)


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
    if selection.ran_inside(provider):
        return UsageError(
            f"{settings.model} ran inside harness and has no address. Serve it with `harness models serve "
            f"{settings.model_name} --port {SERVED}`, write providers: {{{provider}: {{api_base: "
            f'"http://127.0.0.1:{SERVED}/v1"}}}} into the spec, run again (it is free) and export that; or '
            f"export {', '.join(WITHOUT_ADDRESS)}, which hold the settings alone"
        )
    own = OWN_TARGETS.get(provider)
    speaking = f"{own} or litellm-proxy, which speak it" if own else "litellm-proxy, which speaks it"
    return UsageError(
        f"{settings.model} is asked in a format of {provider}'s own, which this target is not told here; "
        f"export {speaking}, or json"
    )


def samples(settings: Settings) -> bool:
    """Whether these settings hold what Anthropic's newest API refuses."""
    return settings.temperature is not None or settings.top_p is not None
