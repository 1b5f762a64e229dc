"""What Eliza's released packages do with settings, as data with a source and a date.

In: `eliza.yaml` beside this file. Out: plain records. Must not decide anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Literal

from harness.records import ModelClass
from harness.store.codec import decode

# How Eliza 1.x calls the sampling settings of a class, behind TEXT_SMALL_ and TEXT_LARGE_.
KEYS: Mapping[str, str] = {
    "temperature": "TEMPERATURE",
    "max_output_tokens": "MAX_TOKENS",
    "frequency_penalty": "FREQUENCY_PENALTY",
    "presence_penalty": "PRESENCE_PENALTY",
    "top_p": "TOP_P",
    "seed": "SEED",
}
# Where Eliza 1.x reads one of them from when a class has no key of its own, in this order.
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("DEFAULT_TEMPERATURE", "MODEL_TEMPERATURE"),
    "max_output_tokens": ("DEFAULT_MAX_TOKENS", "MODEL_MAX_TOKEN"),
    "frequency_penalty": ("DEFAULT_FREQUENCY_PENALTY", "MODEL_FREQ_PENALTY"),
    "presence_penalty": ("DEFAULT_PRESENCE_PENALTY", "MODEL_PRESENCE_PENALTY"),
    "top_p": ("DEFAULT_TOP_P",),
    "seed": ("DEFAULT_SEED",),
}
TEXT_CLASSES: tuple[ModelClass, ...] = ("SMALL", "LARGE")
EMBEDDING_ADDRESS = "OPENAI_EMBEDDING_URL"
EMBEDDING_KEY = "OPENAI_EMBEDDING_API_KEY"
# Why an embedding model of this process stays out of a character.
INSIDE = (
    "it ran inside harness, at no address that Eliza could ask: serve it with `harness models serve`, name "
    "providers.local.api_base and run again. What Eliza computes by itself, bge-small-en-v1.5, is another"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One provider of Eliza 0.x. provider: its name in a character; member: the same in its enumeration.

    names: of the setting that holds the model's name, by class; place: where that one is read. sends: what of
    `modelConfig` reaches the request; ignores: what of it does nothing there. fills: what is sent in place of
    a value that is missing or 0. no_name: why a class has no such setting. unsent: why one is not sent, or
    ignored. address: where an address of one's own goes, a field of the character or a variable; `None`:
    nowhere. outranks: classes whose name is read from the character's settings.secrets first, if it stands
    there. limit_refused: pattern of models for which the provider refuses the output limit; empty: none.
    """

    provider: str
    member: str
    names: Mapping[ModelClass, str]
    sends: tuple[str, ...]
    fills: Mapping[str, float]
    ignores: tuple[str, ...] = ()
    place: Literal["environment", "secrets"] = "environment"
    no_name: str = "it has no setting for this name"
    unsent: str = "its library drops it"
    address: str | None = None
    outranks: tuple[ModelClass, ...] = ()
    limit_refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """How Eliza 0.x is told to take its embeddings from this provider, always with so many dimensions.

    address: variable of an address of one's own.
    """

    switch: str
    name: str
    dimensions: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One provider of Eliza 1.x.

    names: settings keys of the model's name, by class. sends: what reaches the request, by class; fills: what
    is sent for a setting that has no key; fixed: what is sent in any case; drops: what is not sent after all,
    by pattern of the model's name. address: settings key of the endpoint, which then ends with address_end.
    dimensions_key, dimensions: settings key of an embedding's length, and the length that is taken
    without it. fallbacks: further keys that are read where one has no value. unsent: why a setting is not
    sent.
    """

    package: str
    names: Mapping[ModelClass, str]
    sends: Mapping[ModelClass, tuple[str, ...]]
    fills: Mapping[str, float]
    unsent: str
    fixed: Mapping[ModelClass, Mapping[str, float]] = field(
        default_factory=dict[ModelClass, Mapping[str, float]]
    )
    drops: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    address: str | None = None
    address_end: str = ""
    dimensions_key: str | None = None
    dimensions: int | None = None
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class ElizaFacts:
    """Everything known of Eliza, by provider as harness names it."""

    source: str
    as_of: str
    tables: Mapping[str, Table]
    switches: Mapping[str, Switch]
    plugins: Mapping[str, Plugin]


@cache
def eliza_facts() -> ElizaFacts:
    """What ships with the package."""
    from ruamel.yaml import YAML

    file = resources.files("harness.outputs.exports").joinpath("eliza.yaml")
    values = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    return decode(ElizaFacts, json.dumps(values), file="eliza.yaml")


@cache
def eliza_keys() -> frozenset[str]:
    """Every name of a model, switch, length, address or sampling setting that an export may write."""
    facts = eliza_facts()
    keys = {name for table in facts.tables.values() for name in table.names.values()}
    keys |= {name for one in facts.switches.values() for name in (one.switch, one.name, one.address)}
    keys |= {table.address for table in facts.tables.values() if table.address is not None}
    for plugin in facts.plugins.values():
        keys |= set(plugin.names.values())
        keys |= {key for key in (plugin.address, plugin.dimensions_key) if key is not None}
    keys |= {f"TEXT_{size}_{key}" for size in TEXT_CLASSES for key in KEYS.values()}
    return frozenset({*keys, EMBEDDING_ADDRESS})
