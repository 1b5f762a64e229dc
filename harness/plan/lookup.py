"""The catalogue asked on behalf of a spec: models, prices, endpoints.

In: the names in `search.models` and the entries under `providers`. Out: models with the prices that count,
and endpoints. Must not know settings or data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.catalogue.faults import accepts_faults, price_faults
from harness.catalogue.models import Accepts, Catalogue, LongPrompt, Model, Prices, ProviderFacts
from harness.catalogue.reader import with_file
from harness.errors import CatalogueError
from harness.plan.problems import Place, Problems, suggestion
from harness.plan.provider_spec import (
    AcceptedSpec,
    AcceptsSpec,
    ModelSpec,
    PricesSpec,
    ProviderSpec,
    RatesSpec,
)
from harness.records import MODEL_CLASSES, SENT_FIELDS, Endpoint, ModelClass

FREE = Prices(input=0.0, output=0.0)
HOSTED_CONCURRENCY, HOSTED_TIMEOUT_S = 16, 60.0
# A model on this machine shares its cores: more at once is slower for each, and a long answer takes minutes.
LOCAL_CONCURRENCY, LOCAL_TIMEOUT_S = 2, 120.0
MAX_RETRIES = 4
GENERAL: ModelClass = "MEDIUM"  # the class for general tasks, of which a provider's name alone is read
OWN = "spec"  # source of a model that the spec alone knows
# What the OpenAI chat-completions format defines, for an endpoint of one's own that states no settings.
# Source: OpenAI API reference, "Create chat completion". Nothing is sent unless the spec asks for it.
WIRE_FORMAT: Mapping[str, Accepts] = {
    "temperature": Accepts(low=0.0, high=2.0),
    "top_p": Accepts(low=0.0, high=1.0),
    "max_output_tokens": Accepts(low=1, default=1024),
    "frequency_penalty": Accepts(low=-2.0, high=2.0),
    "presence_penalty": Accepts(low=-2.0, high=2.0),
    "stop": Accepts(),
    "seed": Accepts(),
}
# The same for texts to embed, with what some services call the kind of text or task.
VECTORS: Mapping[str, Accepts] = {
    "dimensions": Accepts(low=1),
    "input_type": Accepts(),
    "task_type": Accepts(),
}


def with_own_files(catalogue: Catalogue, files: Iterable[str], folder: Path, problems: Problems) -> Catalogue:
    """The catalogue with the provider files that the spec names, later ones winning; faults are noted."""
    for number, file in enumerate(files):
        try:
            catalogue = with_file(catalogue, folder / file)
        except CatalogueError as error:
            problems.add(("catalogue", number), f"names {file!r}, which is of no use: {error}")
    return catalogue


def with_own_entries(
    catalogue: Catalogue, providers: Mapping[str, ProviderSpec], problems: Problems
) -> Catalogue:
    """The catalogue with what the spec adds or corrects; faults are noted."""
    facts: dict[str, ProviderFacts] = {}
    for name, spec in providers.items():
        known = catalogue.providers.get(name)
        place = ("providers", name, "api_base")
        if known is None and spec.api_base is None and not problems.about(place):
            problems.add(
                ("providers", name),
                "is not a provider of the catalogue, so it needs api_base, the address of an "
                f"OpenAI-compatible endpoint; {suggestion(name, catalogue.providers)}",
            )
        facts[name] = _facts(name, spec, known)
    extended = catalogue.extended((), facts)
    models = [model for name, spec in providers.items() for model in _models(name, spec, extended, problems)]
    extended = extended.extended(models, {})
    meant = [model for name, spec in providers.items() for model in _meant(name, spec, extended, problems)]
    return extended.extended(meant, {})


def find_models(
    names: Iterable[str], catalogue: Catalogue, problems: Problems, place: Place = ("search", "models")
) -> dict[str, Model]:
    """The models that `search.models`, or what stands at `place`, means, by full name, in its order."""
    found: dict[str, Model] = {}
    for number, name in enumerate(names):
        try:
            model = find_model(name, catalogue)
        except CatalogueError as error:
            problems.add((*place, number), str(error))
            continue
        found.setdefault(model.full_name, model)
    return found


def find_model(name: str, catalogue: Catalogue) -> Model:
    """The model that "provider/name" or "provider/CLASS" means; "provider" alone is its MEDIUM model.

    Raises CatalogueError, also for a model without a price.
    """
    provider, slash, rest = name.partition("/")
    if not slash and provider in catalogue.providers:
        rest = GENERAL
    model_class: ModelClass | None = next((one for one in MODEL_CLASSES if one == rest), None)
    model = catalogue.of_class(provider, model_class) if model_class else catalogue.find(name)
    if model.prices is None:
        raise CatalogueError(
            f"{model.full_name} has no known price, and unknown is not free; state it as "
            f"providers.{provider}.models.{model.name}.prices: {{input: USD, output: USD}} per million "
            f"tokens, or write providers.{provider}.free: true if it costs nothing"
        )
    return model


def make_endpoints(
    models: Iterable[Model],
    catalogue: Catalogue,
    providers: Mapping[str, ProviderSpec],
    max_concurrency: int | None,
) -> dict[str, Endpoint]:
    """One endpoint for each provider of these models. max_concurrency: bound for all of them."""
    endpoints: dict[str, Endpoint] = {}
    # By provider: whether its models have weights of ours, and so run on somebody's own machine, be it
    # inside this process or behind an address.
    weighty: dict[str, bool] = {}
    for model in models:
        weighty[model.provider] = weighty.get(model.provider, False) or model.weights is not None
    for name, has_weights in weighty.items():
        facts = catalogue.provider(name)
        spec = providers.get(name, ProviderSpec())
        local = has_weights or facts.free or facts.wire == "embedded"
        concurrency = spec.concurrency or (LOCAL_CONCURRENCY if local else HOSTED_CONCURRENCY)
        endpoints[name] = Endpoint(
            provider=name,
            wire=facts.wire,
            litellm_prefix=facts.litellm_prefix,
            api_base=facts.api_base,
            api_key_env=facts.api_key_env,
            rpm=spec.rpm,
            tpm=spec.tpm,
            concurrency=min(concurrency, max_concurrency or concurrency),
            timeout_s=spec.timeout_s or (LOCAL_TIMEOUT_S if local else HOSTED_TIMEOUT_S),
            max_retries=MAX_RETRIES if spec.max_retries is None else spec.max_retries,
            stream=spec.stream,
        )
    return endpoints


def _facts(name: str, spec: ProviderSpec, known: ProviderFacts | None) -> ProviderFacts:
    facts = known or ProviderFacts(
        name=name, wire="openai", litellm_prefix="openai", api_base=None, api_key_env=None
    )
    # An address makes a provider of local weights a hosted one: nothing is embedded any more.
    wire = "openai" if facts.wire == "embedded" and spec.api_base else facts.wire
    return replace(
        facts,
        wire="litellm" if spec.lane == "litellm" and wire == "openai" else wire,
        api_base=spec.api_base or facts.api_base,
        api_key_env=spec.api_key_env or facts.api_key_env,
    )


def _models(name: str, spec: ProviderSpec, catalogue: Catalogue, problems: Problems) -> Iterable[Model]:
    known = {model.name: model for model in catalogue.models if model.provider == name}
    if spec.api_base is not None:
        # Nobody knows how fast the same model answers at another address.
        known = {n: replace(model, answer_s=None, answer_s_source="") for n, model in known.items()}
    facts = catalogue.providers[name]
    if spec.free or spec.api_base is not None:
        for model in known.values():
            if model.name not in spec.models and not model.retired:
                yield replace(model, prices=FREE if spec.free else model.prices)
    for model_name, own in spec.models.items():
        place = ("providers", name, "models", model_name)
        base = known.get(model_name)
        if base is None or base.retired:
            if own.model_class is None:
                classes = ", ".join(MODEL_CLASSES)
                problems.add(
                    place, f"is not in the catalogue, so it needs a class; expected one of {classes}"
                )
            base = Model(
                provider=name,
                name=model_name,
                model_class=own.model_class or "SMALL",
                prices=None,
                settings=_unlisted(facts, own.model_class),
                source=OWN,
            )
        free = spec.free or facts.free
        made = _own_model(base, own, free=free)
        _note_faults(place, made, own, problems, free=free)
        yield made


def _unlisted(facts: ProviderFacts, model_class: ModelClass | None) -> Mapping[str, Accepts]:
    """What a model takes of which nobody says so."""
    if model_class == "EMBEDDING":
        return VECTORS
    return WIRE_FORMAT if facts.unlisted is None else facts.unlisted


def _meant(name: str, spec: ProviderSpec, catalogue: Catalogue, problems: Problems) -> Iterable[Model]:
    """The models that the spec puts in the place of a class."""
    for model_class, model_name in spec.classes.items():
        try:
            model = catalogue.find(f"{name}/{model_name}")
        except CatalogueError as error:
            problems.add(("providers", name, "classes", model_class), str(error))
            continue
        yield replace(model, model_class=model_class, default_of_class=True)


def _own_model(base: Model, own: ModelSpec, *, free: bool) -> Model:
    prices = FREE if free else base.prices
    if own.prices is not None:
        prices = _own_prices(own.prices, base.prices)
    timed = own.answer_s
    return replace(
        base,
        model_class=own.model_class or base.model_class,
        prices=prices,
        answer_s=base.answer_s if timed is None else (timed.low, timed.high),
        answer_s_source=base.answer_s_source if timed is None else "as the spec states",
        settings=base.settings if own.settings is None else _accepted(own.settings),
        custom=base.custom if own.settings is None else {**base.custom, **_custom(own.settings)},
        context_tokens=own.context_tokens or base.context_tokens,
        max_input_tokens=own.max_input_tokens or base.max_input_tokens,
        max_output_tokens=own.max_output_tokens or base.max_output_tokens,
        dimensions=own.dimensions or base.dimensions,
        texts_per_request=own.texts_per_request or base.texts_per_request,
        tokens_per_request=own.tokens_per_request or base.tokens_per_request,
    )


def _own_prices(given: PricesSpec, known: Prices | None) -> Prices:
    """The prices that a spec states; known: of the same model in the catalogue.

    A dearer tier of long prompts that it says nothing of stays, so that no bill is thought too low.
    """
    rates = _rates(given)
    if given.long_prompt is not None:
        tier = LongPrompt(above_tokens=given.long_prompt.above_tokens, prices=_rates(given.long_prompt))
        return replace(rates, long_prompt=tier)
    if known is None or known.long_prompt is None:
        return rates
    kept = known.long_prompt.prices
    dearer = replace(kept, input=max(kept.input, rates.input), output=max(kept.output, rates.output))
    return replace(rates, long_prompt=replace(known.long_prompt, prices=dearer))


def _rates(given: RatesSpec) -> Prices:
    return Prices(**given.model_dump(include=set(RatesSpec.model_fields)))


def _note_faults(place: Place, model: Model, own: ModelSpec, problems: Problems, *, free: bool) -> None:
    """Note what makes no sense of the prices and settings that a spec states of this model."""
    by = f"declared by providers.{model.provider}.free: true"
    if own.prices is not None and not (free and own.prices.input == own.prices.output == 0):
        for name, message in price_faults(_rates(own.prices), model.model_class, free_by=by):
            problems.add((*place, "prices", name), message)
        if own.prices.long_prompt is not None:
            for name, message in price_faults(_rates(own.prices.long_prompt), model.model_class, free_by=by):
                problems.add((*place, "prices", "long_prompt", name), message)
    if own.settings is not None:
        for setting, accepts in model.settings.items():
            where = f"{model.full_name} in this spec"
            for name, message in accepts_faults(accepts, model.settings, where):
                problems.add((*place, "settings", setting, name), f"{message}; correct it")


def ended(models: Mapping[str, Model], shipped: Catalogue) -> list[str]:
    """Which of these models the catalogue that ships calls retired, though a spec declares them anew."""
    known = {model.full_name: model for model in shipped.models if model.retired}
    return [
        f"{name} is declared here, but {known[name].provider} serves it no more "
        f"({known[name].end}): its calls may fail; its successor is "
        f"{known[name].provider}/{known[name].successor}"
        for name in models
        if name in known
    ]


def _accepted(settings: AcceptsSpec) -> dict[str, Accepts]:
    accepted: dict[str, Accepts] = {}
    for name in SENT_FIELDS:
        given: AcceptedSpec | None = getattr(settings, name)
        if given is not None:
            accepted[name] = Accepts(
                low=given.low,
                high=given.high,
                choices=None if given.choices is None else tuple(given.choices),
                default=given.default,
                not_with=tuple(given.not_with),
                only_with={other: tuple(values) for other, values in given.only_with.items()},
            )
    return accepted


def _custom(settings: AcceptsSpec) -> dict[str, Accepts]:
    return {
        name: Accepts(
            low=given.low,
            high=given.high,
            choices=None if given.choices is None else tuple(given.choices),
        )
        for name, given in settings.extra.items()
    }
