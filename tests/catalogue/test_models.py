"""The shipped catalogue is consistent, and answers or refuses clearly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue.models import (
    VECTOR_SETTINGS,
    Accepts,
    Catalogue,
    LongPrompt,
    Model,
    Prices,
    ProviderFacts,
    load_catalogue,
    price_usd,
    worst_case_usd,
)
from harness.errors import CatalogueError
from harness.records import SENT_FIELDS, ModelClass, Usage


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue as shipped."""
    return load_catalogue()


def a_model(name: str = "mine", **changes: object) -> Model:
    """A priced model of class SMALL that is no part of the shipped catalogue."""
    facts = {"provider": "openai", "model_class": "SMALL", "prices": Prices(input=1.0, output=2.0)}
    return Model(name=name, **{**facts, **changes})


# The shipped facts


def test_every_setting_is_a_field_of_settings(catalogue: Catalogue) -> None:
    """A model accepts only what a call can carry."""
    for model in catalogue.models:
        vectors = model.model_class == "EMBEDDING"
        assert set(model.settings) <= set(VECTOR_SETTINGS if vectors else SENT_FIELDS), model.full_name


def test_every_name_is_given_once(catalogue: Catalogue) -> None:
    """No two entries share a full name."""
    names = [model.full_name for model in catalogue.models]
    assert len(names) == len(set(names))


def test_every_class_of_a_provider_has_one_marked_model(catalogue: Catalogue) -> None:
    """What a class means never depends on the order of a file."""
    for provider in catalogue.providers:
        current = [m for m in catalogue.models if m.provider == provider and not m.retired]
        marked = [m.model_class for m in current if m.default_of_class]
        assert sorted(marked) == sorted({m.model_class for m in current})


def test_every_retired_model_has_a_current_successor(catalogue: Catalogue) -> None:
    """Whoever asks for a retired model is sent to one that answers."""
    for model in catalogue.models:
        if model.retired:
            assert not catalogue.find(f"{model.provider}/{model.successor}").retired


def test_prices_are_positive_or_declared_free(catalogue: Catalogue) -> None:
    """Only models that run here cost nothing; only embeddings have free output; one price is not known."""
    unknown = [model.full_name for model in catalogue.models if model.prices is None and not model.retired]
    assert unknown == ["openrouter/nousresearch/hermes-3-llama-3.1-405b"]
    for model in catalogue.models:
        if model.prices is None:
            continue
        if model.provider in ("local", "lmstudio", "ollama"):
            assert model.prices == Prices(input=0.0, output=0.0)
        else:
            assert model.prices.input > 0, model.full_name
            assert model.prices.output > 0 or model.model_class == "EMBEDDING", model.full_name


def test_every_text_model_limits_its_output(catalogue: Catalogue) -> None:
    """Without a limit on the answer, no worst-case price could be held."""
    for model in catalogue.models:
        if not model.retired and model.model_class != "EMBEDDING":
            limit = model.settings["max_output_tokens"]
            assert limit.high is not None, model.full_name
            assert isinstance(limit.default, int), model.full_name
            assert 1 <= limit.default <= limit.high, model.full_name


def test_every_embedding_model_says_how_long_its_vectors_are(catalogue: Catalogue) -> None:
    """And asks for none that are longer; what one request carries holds one text at least."""
    for model in catalogue.models:
        if model.retired or model.model_class != "EMBEDDING":
            continue
        assert model.dimensions is not None, model.full_name
        asked = model.settings.get("dimensions", Accepts())
        longest = max(asked.choices) if asked.choices else asked.high
        assert longest in (None, model.dimensions), model.full_name
        assert (model.tokens_per_request or 8192) >= (model.context_tokens or 0), model.full_name


@pytest.mark.parametrize(
    ("full_name", "texts", "tokens", "settings"),
    [
        ("openai/text-embedding-3-small", 2048, 300_000, {"dimensions"}),
        ("openai/text-embedding-ada-002", 2048, 300_000, set()),
        ("google/gemini-embedding-001", 100, 204_800, {"dimensions", "task_type"}),
        ("vertex/text-embedding-004", 250, 20_000, {"dimensions", "task_type"}),
        ("together/BAAI/bge-base-en-v1.5", None, None, set()),
        ("local/minilm", 32, 8192, set()),
    ],
)
def test_what_a_request_for_vectors_may_carry(
    catalogue: Catalogue, full_name: str, texts: int | None, tokens: int | None, settings: set[str]
) -> None:
    """As the services document it, or refuse more."""
    model = catalogue.find(full_name)
    assert (model.texts_per_request, model.tokens_per_request) == (texts, tokens)
    assert set(model.settings) == settings


def test_every_current_fact_has_source_and_date(catalogue: Catalogue) -> None:
    """Prices without a date cannot be trusted; an end that has passed makes a model retired."""
    for model in catalogue.models:
        assert model.source, model.full_name
        assert model.as_of, model.full_name
        if model.deprecation_date is not None and not model.retired:
            assert model.deprecation_date > model.as_of, model.full_name


@pytest.mark.parametrize(
    ("full_name", "absent"),
    [
        ("anthropic/claude-haiku-4-5", {"frequency_penalty", "presence_penalty", "seed"}),
        ("anthropic/claude-opus-5-5", {"temperature", "top_p", "frequency_penalty", "presence_penalty"}),
        ("google/gemini-2.5-flash", {"frequency_penalty", "presence_penalty"}),
        ("openai/gpt-5-mini", {"temperature", "top_p", "frequency_penalty", "presence_penalty", "stop"}),
        ("openai/gpt-5.4-mini", {"frequency_penalty", "presence_penalty", "stop"}),
        ("openai/gpt-6.1-sol", {"temperature", "top_p", "frequency_penalty", "presence_penalty", "stop"}),
        ("ollama/hermes3", {"frequency_penalty", "presence_penalty"}),
        ("deepseek/deepseek-v4-flash", {"temperature", "top_p", "frequency_penalty", "presence_penalty"}),
        ("openai/gpt-4o-mini", {"reasoning_effort"}),
        ("openai/text-embedding-3-small", set(SENT_FIELDS)),
    ],
)
def test_a_setting_that_a_model_refuses_is_absent(
    catalogue: Catalogue, full_name: str, absent: set[str]
) -> None:
    """What the service refuses or ignores never enters a search space."""
    assert not absent & set(catalogue.find(full_name).settings)


def test_anthropic_temperature_ends_at_one(catalogue: Catalogue) -> None:
    """The range is the provider's, not OpenAI's."""
    accepts = catalogue.find("anthropic/claude-haiku-4-5").settings["temperature"]
    assert (accepts.low, accepts.high) == (0.0, 1.0)


# Questions


def test_find_gives_the_model_of_that_name(catalogue: Catalogue) -> None:
    """Slashes inside a model's own name belong to the name."""
    model = catalogue.find("together/meta-llama/Llama-3.2-3B-Instruct")
    assert (model.provider, model.name) == ("together", "meta-llama/Llama-3.2-3B-Instruct")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-4o-mimi", "did you mean 'openai/gpt-4o-mini'"),
        ("openai/GPT-4o-Mini", "did you mean 'openai/gpt-4o-mini'"),
        ("gpt-4o-mini", "no provider; write one of azure/gpt-4o-mini, openai/gpt-4o-mini"),
        ("gpt-5.4-mimi", "no provider; write it as provider/name .did you mean 'openai/gpt-5.4-mini'"),
        ("opnai/gpt-4o-mini", "unknown provider .did you mean 'openai/gpt-4o-mini'"),
        ("openai/zzzzzzzz", "is unknown; correct the name, or declare"),
        ("anthropic/claude-3-haiku", "retired.*successor 'anthropic/claude-haiku-4-5'"),
        ("anthropic/claude-3-haiku-20240307", "successor 'anthropic/claude-haiku-4-5'"),
        ("google/gemini-1.5-flash", "successor 'google/gemini-2.5-flash'"),
        ("together/meta-llama-3.1-8b-instruct", "successor 'together/Qwen/Qwen3.5-9B'"),
        ("openai/o3-mini", "retired.*since 2026-10-23"),
        ("llama_cloud/meta-llama-3.1-8b-instruct", "provider 'llama_cloud' is called 'together' here"),
        ("LLaMA Local/hermes", "provider 'LLaMA Local' is called 'local' here"),
    ],
)
def test_find_refuses_with_a_way_out(catalogue: Catalogue, name: str, expected: str) -> None:
    """A name that cannot be used is answered with one that can, or with what to do."""
    with pytest.raises(CatalogueError, match=expected):
        catalogue.find(name)


@pytest.mark.parametrize(
    ("provider", "model_class", "name"),
    [
        ("openai", "SMALL", "gpt-4o-mini"),
        ("openai", "MEDIUM", "gpt-4o"),
        ("openai", "LARGE", "gpt-4.1"),
        ("openai", "EMBEDDING", "text-embedding-3-small"),
        ("anthropic", "SMALL", "claude-haiku-4-5"),
        ("google", "LARGE", "gemini-2.5-pro"),
        ("local", "SMALL", "smollm2-135m-instruct"),
    ],
)
def test_of_class_gives_the_marked_model(
    catalogue: Catalogue, provider: str, model_class: ModelClass, name: str
) -> None:
    """A class means one model."""
    assert catalogue.of_class(provider, model_class).name == name


def test_of_class_refuses_a_class_without_a_model(catalogue: Catalogue) -> None:
    """Anthropic has no embeddings, and says which classes it has."""
    with pytest.raises(
        CatalogueError, match=r"'anthropic' has no model of class 'EMBEDDING'.*LARGE, MEDIUM, SMALL"
    ):
        catalogue.of_class("anthropic", "EMBEDDING")


def test_unknown_provider_is_refused(catalogue: Catalogue) -> None:
    """The known ones are named."""
    with pytest.raises(
        CatalogueError, match=r"did you mean 'openai'.*anthropic, azure, bedrock, deepseek, google, groq"
    ):
        catalogue.provider("opneai")


def test_of_class_refuses_to_choose_between_unmarked_models(catalogue: Catalogue) -> None:
    """Two added models of one class: neither is picked silently."""
    facts = ProviderFacts(name="own", wire="openai", litellm_prefix="openai", api_base=None, api_key_env=None)
    models = [a_model("a", provider="own"), a_model("b", provider="own")]
    with pytest.raises(CatalogueError, match="could mean own/a, own/b"):
        catalogue.extended(models, {"own": facts}).of_class("own", "SMALL")


# Entries of a spec


def test_the_only_added_model_of_a_class_is_meant(catalogue: Catalogue) -> None:
    """A provider with one SMALL model needs no mark."""
    facts = ProviderFacts(name="own", wire="openai", litellm_prefix="openai", api_base=None, api_key_env=None)
    wider = catalogue.extended([a_model(provider="own")], {"own": facts})
    assert wider.of_class("own", "SMALL").name == "mine"
    assert wider.provider("own") == facts


def test_an_added_entry_wins_over_the_shipped_one(catalogue: Catalogue) -> None:
    """A negotiated price replaces the list price, and the model stays that of its class."""
    shipped = catalogue.find("openai/gpt-4o-mini")
    mine = replace(shipped, prices=Prices(input=0.01, output=0.02), default_of_class=False)
    wider = catalogue.extended([mine], {})
    assert wider.of_class("openai", "SMALL").prices == mine.prices
    assert len(wider.models) == len(catalogue.models)


def test_an_added_model_takes_a_class_only_when_marked(catalogue: Catalogue) -> None:
    """One more SMALL model does not change what openai/SMALL means, unless it says so."""
    unmarked = catalogue.extended([a_model()], {})
    marked = catalogue.extended([a_model(default_of_class=True)], {})
    assert unmarked.of_class("openai", "SMALL").name == "gpt-4o-mini"
    assert marked.of_class("openai", "SMALL").name == "mine"


def test_an_added_entry_revives_a_retired_model(catalogue: Catalogue) -> None:
    """Who still has access states so in the spec."""
    revived = a_model("gpt-3.5-turbo")
    assert catalogue.extended([revived], {}).find("openai/gpt-3.5-turbo") == revived


def test_extending_leaves_the_original_alone(catalogue: Catalogue) -> None:
    """A catalogue is a value."""
    before = catalogue.fingerprint()
    catalogue.extended([a_model()], {})
    assert catalogue.fingerprint() == before


def test_fingerprint_follows_content_not_order(catalogue: Catalogue) -> None:
    """Reordered entries are the same catalogue; another price is another one."""
    turned = replace(catalogue, models=catalogue.models[::-1])
    dearer = catalogue.extended([replace(catalogue.models[0], prices=Prices(input=9.0, output=9.0))], {})
    assert turned.fingerprint() == catalogue.fingerprint() == load_catalogue().fingerprint()
    assert dearer.fingerprint() != catalogue.fingerprint()


# Money


def test_price_counts_cached_tokens_at_their_own_price() -> None:
    """1,000 fresh at 2, 3,000 cached at 0.5, 500 out at 8: (2000 + 1500 + 4000) / 1e6."""
    usage = Usage(input_tokens=4000, cached_input_tokens=3000, output_tokens=500)
    assert price_usd(usage, Prices(input=2.0, cached_input=0.5, output=8.0)) == pytest.approx(0.0075)


def test_cached_tokens_cost_full_price_when_no_cache_price_is_known() -> None:
    """An unknown discount is no discount."""
    usage = Usage(input_tokens=4000, cached_input_tokens=3000, output_tokens=0)
    assert price_usd(usage, Prices(input=2.0, output=8.0)) == pytest.approx(0.008)


@pytest.mark.parametrize(("input_tokens", "expected"), [(200_000, 0.2), (200_001, 0.400_002)])
def test_a_long_prompt_is_billed_whole_at_its_price(input_tokens: int, expected: float) -> None:
    """The dearer price begins above the threshold and then holds for every token."""
    long_prompt = LongPrompt(above_tokens=200_000, prices=Prices(input=2.0, output=15.0))
    prices = Prices(input=1.0, output=10.0, long_prompt=long_prompt)
    usage = Usage(input_tokens=input_tokens, output_tokens=0)
    assert price_usd(usage, prices) == pytest.approx(expected)


def test_each_class_of_usage_has_its_own_price() -> None:
    """1,000 fresh at 2, 600 read at 0.5, 400 written at 2.5, 300 said at 8, 200 thought at 10."""
    usage = Usage(
        input_tokens=2000,
        cached_input_tokens=600,
        cache_write_tokens=400,
        output_tokens=500,
        reasoning_tokens=200,
    )
    prices = Prices(input=2.0, cached_input=0.5, cache_write=2.5, output=8.0, reasoning=10.0)
    assert price_usd(usage, prices) == pytest.approx((2000 + 300 + 1000 + 2400 + 2000) / 1e6)


def test_what_a_provider_does_not_report_is_billed_at_the_dearer_price() -> None:
    """An unknown number of written or hidden tokens may be all of them: 1000 at 2.5 and 100 at 10."""
    usage = Usage(input_tokens=1000, output_tokens=100)
    prices = Prices(input=2.0, cache_write=2.5, output=8.0, reasoning=10.0)
    assert price_usd(usage, prices) == pytest.approx((2500 + 1000) / 1e6)


def test_unknown_tokens_never_cost_zero() -> None:
    """A missing count is refused where it costs money, and only there."""
    with pytest.raises(CatalogueError, match="did not report the output tokens"):
        price_usd(Usage(input_tokens=5), Prices(input=1.0, output=2.0))
    assert price_usd(Usage(input_tokens=5), Prices(input=1.0, output=0.0)) == pytest.approx(5e-6)
    assert price_usd(Usage(), Prices(input=0.0, output=0.0)) == 0.0


usd = st.floats(0.0, 1000.0)


@st.composite
def price_lists(draw: st.DrawFn) -> Prices:
    """Any prices whose cached input is no dearer than fresh input."""

    def rates(long_prompt: LongPrompt | None) -> Prices:
        fresh = draw(usd)
        return Prices(
            input=fresh,
            output=draw(usd),
            cached_input=draw(st.none() | st.floats(0.0, fresh)),
            cache_write=draw(st.none() | usd),
            reasoning=draw(st.none() | usd),
            long_prompt=long_prompt,
        )

    above = draw(st.none() | st.integers(1, 10_000))
    return rates(None if above is None else LongPrompt(above_tokens=above, prices=rates(None)))


@given(
    prices=price_lists(),
    sent=st.integers(0, 20_000),
    cached=st.integers(0, 40_000),
    answered=st.integers(0, 20_000),
    parts=st.tuples(*[st.none() | st.integers(0, 20_000)] * 2),
    spare=st.integers(0, 20_000),
)
def test_worst_case_is_never_below_the_price(
    *,
    prices: Prices,
    sent: int,
    cached: int,
    answered: int,
    parts: tuple[int | None, int | None],
    spare: int,
) -> None:
    """What is held before a call covers any usage within the counts, whatever was cached."""
    written, hidden = parts
    usage = Usage(
        input_tokens=sent,
        cached_input_tokens=cached,
        output_tokens=answered,
        cache_write_tokens=written,
        reasoning_tokens=hidden,
    )
    held = worst_case_usd(sent + spare, answered + spare, prices)
    # Sums of more parts round differently, in the sixteenth digit.
    assert held * (1 + 1e-12) >= price_usd(usage, prices) >= 0.0
