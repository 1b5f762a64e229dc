"""Which models there are, what they cost, and which settings they take.

In: the provider files beside this module, one YAML file a provider, each fact with a source and a date.
Out: plain records, and answers or clear refusals to "which model is that", "which model is of this
class" and "what does this call cost". It must not know specs, send anything, or hold a fact in code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

from harness.errors import CatalogueError
from harness.fingerprint import fingerprint
from harness.records import JsonValue, ModelClass, Usage

Wire = Literal["openai", "litellm", "embedded"]
TOKENS_PER_PRICE = 1_000_000
# What is sent with texts to embed, as `extra` of settings: the length of the vectors, and what they are for.
INPUT_TYPES = ("input_type", "task_type")  # what services call the latter
VECTOR_SETTINGS = ("dimensions", *INPUT_TYPES)
# For what texts are embedded: the two sides of a retrieval, and the tasks that have one.
USES = ("query", "document", "similarity", "classification", "clustering")
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """List prices in US dollars per million tokens; zero means declared free, never unknown.

    input: for the fresh part of the prompt. cached_input: for the part read from the provider's cache;
    `None`: as `input`. cache_write: for the part written to it; `None`: as `input`. output: for what is
    generated. reasoning: for the hidden part of it; `None`: as `output`. long_prompt: what the whole call
    costs when its prompt is long; `None`: the same.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None
    long_prompt: LongPrompt | None = None

    def of_prompt(self, input_tokens: int) -> Prices:
        """The prices of a call whose prompt has this many tokens, cached ones included."""
        if self.long_prompt is None or input_tokens <= self.long_prompt.above_tokens:
            return self
        return self.long_prompt.prices

    @property
    def dearest(self) -> tuple[float, float]:
        """The most that a token of the prompt can cost, and a token of the answer."""
        prompt = (self.input, self.cached_input or 0.0, self.cache_write or 0.0)
        return max(prompt), max(self.output, self.reasoning or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongPrompt:
    """Prices of all tokens of a call whose prompt has more than `above_tokens` tokens."""

    above_tokens: int
    prices: Prices


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What a model takes for one setting.

    low, high: ends of the range, both included; `None`: no such end. choices: the only values taken;
    `None`: any within the range. default: the sane value a search starts from; `None`: not sent.
    not_with: settings that may not be sent beside this one. only_with: values that other settings must have
    for this one to be sent; `None` among them stands for "not sent". uses: of one of `INPUT_TYPES`, the value
    that the provider documents for each of `USES`.
    """

    low: float | None = None
    high: float | None = None
    choices: tuple[JsonValue, ...] | None = None
    default: JsonValue = None
    not_with: tuple[str, ...] = ()
    only_with: Mapping[str, tuple[JsonValue, ...]] = field(default_factory=dict[str, "tuple[JsonValue, ...]"])
    # Left out of names where it is empty: those that were given before there was such a thing stay.
    uses: Mapping[str, JsonValue] = field(
        default_factory=dict[str, JsonValue], metadata={"named": "unless empty"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of one provider, under the name the provider gives it.

    prices: `None` when unknown; such a model cannot be planned. settings: what it takes, by field name of
    `records.Settings` or as one of `VECTOR_SETTINGS`; one that is absent is not taken. custom: what is known
    of custom parameters, by the provider's name: no choices at all is one that it refuses, and of one that is
    absent nobody knows. context_tokens:
    prompt and answer together, or the prompt where the provider counts them apart. max_input_tokens: the
    longest prompt, where that is counted apart or is shorter; `None`: all that the answer leaves.
    dimensions: length of an embedding's vector unless another is asked for; texts_per_request,
    tokens_per_request: the most that one request may carry of each. weights: record in weights.yaml of a
    model that runs here. deprecation_date: announced end, YYYY-MM-DD; of a retired model the day of its
    end, `None` when nobody stated it. successor: the model to use in its place. default_of_class: this is
    the model that "provider/CLASS" means. answer_s: seconds from sending to a complete short answer, a low
    and a high figure, for the estimate of a plan's time alone; `None`: unknown. answer_s_source: what they
    rest on, with its date.
    """

    provider: str
    name: str
    model_class: ModelClass
    prices: Prices | None
    settings: Mapping[str, Accepts] = field(default_factory=dict[str, Accepts])
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    retired: bool = False
    successor: str | None = None
    weights: str | None = None
    source: str = ""
    as_of: str = ""
    dimensions: int | None = None
    deprecation_date: str | None = None
    default_of_class: bool = False
    answer_s: tuple[float, float] | None = None
    answer_s_source: str = ""
    max_input_tokens: int | None = None
    texts_per_request: int | None = None
    tokens_per_request: int | None = None
    custom: Mapping[str, Accepts] = field(default_factory=dict[str, Accepts])

    @property
    def full_name(self) -> str:
        """The name in a spec: "provider/name"."""
        return f"{self.provider}/{self.name}"

    @property
    def end(self) -> str:
        """Since when a retired model is served no more, in words: its last day, or when that was seen."""
        return f"since {self.deprecation_date}" if self.deprecation_date else f"as of {self.as_of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """How a provider is spoken to.

    wire: the lane that knows its format. litellm_prefix: its name in litellm's model ids. api_base:
    `None`: the lane knows the address. api_key_env: environment variable of the key; `None`: no key. free:
    whatever it serves costs nothing, models unknown to the catalogue too. also: other names that people give
    it. mapped_with: version of litellm that was seen to take all settings of its models. unlisted: what a
    model takes that only the spec knows; `None`: nothing is stated. notes: by setting, what it does here and
    nowhere else, as a clause for the notes of a plan. credentials: where its lane looks for them if there is
    no one key, variables or files of which one is enough. address_env: variable of the address, where that is
    each user's own.
    """

    name: str
    wire: Wire
    litellm_prefix: str
    api_base: str | None
    api_key_env: str | None
    free: bool = False
    also: tuple[str, ...] = ()
    mapped_with: str = ""
    unlisted: Mapping[str, Accepts] | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    credentials: tuple[str, ...] = ()
    address_env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All models and providers known, and the questions one may ask of them.

    as_of: date of the oldest provider file, YYYY-MM-DD: every fact was checked then or later.
    """

    models: tuple[Model, ...]
    providers: Mapping[str, ProviderFacts]
    as_of: str

    def find(self, full_name: str) -> Model:
        """The model of this name, "provider/name". Raises CatalogueError when unknown or retired."""
        model = next((model for model in self.models if model.full_name == full_name), None)
        if model is None:
            raise CatalogueError(self._unknown(full_name))
        if model.retired:
            raise CatalogueError(
                f"model {full_name!r} is retired: {model.provider} serves it no more "
                f"({model.end}); use its successor '{model.provider}/{model.successor}'"
            )
        return model

    def of_class(self, provider: str, model_class: ModelClass) -> Model:
        """The model that "provider/CLASS" means: the marked one, or the only one there is.

        Raises CatalogueError for an unknown provider, for a class without a model, and where several
        models could be meant.
        """
        self.provider(provider)
        current = [
            model
            for model in self.models
            if model.provider == provider and model.model_class == model_class and not model.retired
        ]
        meant = [model for model in current if model.default_of_class] or current
        if len(meant) == 1:
            return meant[0]
        if not meant:
            others = sorted({m.model_class for m in self.models if m.provider == provider and not m.retired})
            raise CatalogueError(
                f"{provider!r} has no model of class {model_class!r}, only of {', '.join(others) or 'none'}; "
                "name a model of another provider, or declare one with its class and prices in the spec"
            )
        names = ", ".join(model.full_name for model in meant)
        raise CatalogueError(
            f"'{provider}/{model_class}' could mean {names}; write the one you want instead of the class"
        )

    def provider(self, name: str) -> ProviderFacts:
        """How to speak to this provider. Raises CatalogueError when it is unknown."""
        if name in self.providers:
            return self.providers[name]
        self._refuse_other_name(name)
        raise CatalogueError(
            f"provider {name!r} is unknown{_did_you_mean(name, self.providers)}; known are "
            f"{', '.join(sorted(self.providers))}, others are declared in the spec"
        )

    def extended(self, models: Iterable[Model], providers: Mapping[str, ProviderFacts]) -> Catalogue:
        """This catalogue with a spec's own entries, which win over entries of the same name.

        A model keeps its place as the model of its class unless an added one is marked for it.
        """
        added = {model.full_name: model for model in models}
        marked = {(m.provider, m.model_class) for m in added.values() if m.default_of_class}
        merged: dict[str, Model] = {}
        for model in self.models:
            keeps = model.default_of_class and (model.provider, model.model_class) not in marked
            new = added.pop(model.full_name, None)
            if new is None:
                merged[model.full_name] = replace(model, default_of_class=keeps)
            else:
                stays = keeps and new.model_class == model.model_class
                merged[model.full_name] = replace(new, default_of_class=new.default_of_class or stays)
        merged |= added
        return replace(self, models=tuple(merged.values()), providers={**self.providers, **providers})

    def fingerprint(self) -> str:
        """The SHA-256 of everything stated here, whatever the order of its entries."""
        models = sorted(self.models, key=lambda model: model.full_name)
        return fingerprint({"models": models, "providers": self.providers, "as_of": self.as_of})

    def _refuse_other_name(self, name: str) -> None:
        for facts in self.providers.values():
            if name.casefold().replace(" ", "_") in facts.also:
                raise CatalogueError(
                    f"provider {name!r} is called {facts.name!r} here; write {facts.name}/..."
                )

    def _unknown(self, full_name: str) -> str:
        provider, slash, _ = full_name.partition("/")
        names = [model.full_name for model in self.models if not model.retired]
        served = [name for name in names if name.partition("/")[2].lower() == full_name.lower()]
        if served and not slash:
            return f"model {full_name!r} has no provider; write one of {', '.join(served)}"
        if not slash:
            return f"model {full_name!r} has no provider; write it as provider/name" + _did_you_mean(
                full_name, names
            )
        if provider not in self.providers:
            self._refuse_other_name(provider)
            return (
                f"model {full_name!r} is of an unknown provider{_did_you_mean(full_name, names)}; "
                f"known are {', '.join(sorted(self.providers))}"
            )
        return (
            f"model {full_name!r} is unknown{_did_you_mean(full_name, names)}; "
            "correct the name, or declare the model with its class and prices in the spec"
        )


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that ships with the package, read once a process.

    Raises CatalogueError naming file and key of a fault.
    """
    # Imported here because the reader needs the records above.
    from harness.catalogue.reader import read_catalogue

    return read_catalogue(FOLDER)


def price_usd(usage: Usage, prices: Prices) -> float:
    """What an answered call costs at list price, in US dollars.

    usage: with known input and output tokens; one that is free may be unknown. Tokens read from the cache
    that the provider did not report are billed as fresh ones; where writing to the cache or hidden reasoning
    has a price of its own and is not reported, all tokens that may have been are billed at the dearer price.
    Raises CatalogueError when a token count that costs money is unknown: never a price of 0.
    """
    input_tokens = _known(usage.input_tokens, prices.input, "input")
    output_tokens = _known(usage.output_tokens, prices.output, "output")
    rates = prices.of_prompt(input_tokens)
    cached = min(usage.cached_input_tokens or 0, input_tokens)
    written = _part(usage.cache_write_tokens, input_tokens - cached, rates.cache_write, rates.input)
    hidden = _part(usage.reasoning_tokens, output_tokens, rates.reasoning, rates.output)
    usd = (
        (input_tokens - cached - written) * rates.input
        + cached * (rates.input if rates.cached_input is None else rates.cached_input)
        + written * (rates.cache_write or 0.0)
        + (output_tokens - hidden) * rates.output
        + hidden * (rates.reasoning or 0.0)
    )
    return usd / TOKENS_PER_PRICE


def worst_case_usd(input_tokens: int, output_tokens: int, prices: Prices) -> float:
    """The most a call can cost in US dollars when it has at most this many tokens, whatever is cached.

    Never less than `price_usd` of any usage within these counts.
    """
    input_price, output_price = prices.dearest
    rates = prices.of_prompt(input_tokens)
    if rates is not prices:
        long_input, long_output = rates.dearest
        input_price, output_price = max(input_price, long_input), max(output_price, long_output)
    return (input_tokens * input_price + output_tokens * output_price) / TOKENS_PER_PRICE


def _part(tokens: int | None, most: int, own: float | None, usual: float) -> int:
    """How many tokens to bill at a price of their own. tokens: `None` when nobody reported how many.

    Then it is all that there may be, where they are the dearer ones.
    """
    if own is None:
        return 0
    if tokens is None:
        return most if own > usual else 0
    return min(tokens, most)


def _known(tokens: int | None, price: float, kind: str) -> int:
    if tokens is not None:
        return tokens
    if price == 0:
        return 0
    raise CatalogueError(
        f"the provider did not report the {kind} tokens of a call that costs {price} USD per million; "
        "settle such a call at its worst case"
    )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only mistakes need it

    # Names are compared without case, and also without their provider, which people forget.
    spellings: dict[str, str] = {}
    for full_name in known:
        spellings.setdefault(full_name.lower(), full_name)
        spellings.setdefault(full_name.lower().partition("/")[2] or full_name.lower(), full_name)
    close = get_close_matches(name.lower(), spellings, n=1, cutoff=0.6)
    return f" (did you mean {spellings[close[0]]!r}?)" if close else ""
