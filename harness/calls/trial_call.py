"""One smallest call a model, to see whether the catalogue still tells the truth. It spends money: hardly any.

In: models and open providers. Out: for each model what differs from the catalogue, in words. No cache, no
retry, no ledger: whoever asks wants to know how things are now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.calls.provider import Provider, ProviderFault
from harness.catalogue.models import Model, price_usd
from harness.errors import CatalogueError
from harness.records import Call, Endpoint, Message, Reply, Settings
from harness.vectors import length_of

QUESTION = "Say ok."
FEWEST_TOKENS = 16  # some providers refuse a lower limit
UNKNOWN_NAME, REFUSED = "not_found", "bad_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCall:
    """What one call to a model showed. differs: from the catalogue, a clause each.

    fault: why it could not be asked, which says nothing about the catalogue; empty: it was. usd: price of the
    call; `None` when it is unknown.
    """

    model: str
    differs: tuple[str, ...] = ()
    fault: str = ""
    usd: float | None = None


def trial_calls(
    models: Sequence[Model], endpoints: Mapping[str, Endpoint], providers: Mapping[str, Provider]
) -> list[TrialCall]:
    """Ask each model once, one after the other, and close the providers."""

    async def all_of_them() -> list[TrialCall]:
        try:
            return [await _ask(m, providers[m.provider], endpoints[m.provider].timeout_s) for m in models]
        finally:
            for provider in providers.values():
                await provider.close()

    return asyncio.run(all_of_them())


def smallest_call(model: Model) -> Call:
    """A short question with every setting that has a default in the catalogue, as far as they go together.

    A model of vectors is asked for that of the question, of the length that it has by itself.
    """
    if model.model_class == "EMBEDDING":
        plain = Settings(model=model.full_name, prompt="")
        return Call(settings=plain, sample_id="doctor", texts=(QUESTION,), purpose="embed")
    sent: dict[str, Any] = {}
    for name, accepts in sorted(model.settings.items(), key=lambda pair: len(pair[1].only_with)):
        allowed = all(sent.get(other) in values for other, values in accepts.only_with.items())
        if accepts.default is not None and allowed and not any(other in sent for other in accepts.not_with):
            sent[name] = accepts.default
    if "max_output_tokens" in model.settings:
        sent["max_output_tokens"] = FEWEST_TOKENS
    settings = Settings(model=model.full_name, prompt="", **sent)
    return Call(settings=settings, sample_id="doctor", messages=(Message("user", QUESTION),))


def differences(model: Model, call: Call, reply: Reply) -> tuple[str, ...]:
    """What an answer shows that the catalogue states otherwise, as clauses."""
    found: list[str] = []
    usage, served = reply.usage, reply.served_by
    if call.texts:
        lengths = sorted({length_of(vector) for vector in reply.vectors or ()})
        if not lengths:
            found.append("it gives no vector")
        elif model.dimensions and lengths != [model.dimensions]:
            found.append(f"its vector has {lengths[0]} numbers, not {model.dimensions}")
    if served and model.name.rpartition("/")[2].lower() not in served.lower():
        found.append(f"the answer is by {served!r}")
    if usage.input_tokens is None or usage.output_tokens is None:
        found.append("the answer does not state its tokens, so that its price is unknown")
    if call.settings.reasoning_effort == "none" and usage.reasoning_tokens:
        found.append(f"it reasons with reasoning_effort none ({usage.reasoning_tokens} tokens)")
    if (usage.output_tokens or 0) > FEWEST_TOKENS:
        found.append(f"max_output_tokens {FEWEST_TOKENS} did not hold: {usage.output_tokens} tokens")
    if usage.cache_write_tokens and model.prices and model.prices.cache_write is None:
        found.append("it bills writes to its prompt cache, of which the catalogue has no price")
    return tuple(found)


async def _ask(model: Model, provider: Provider, timeout_s: float) -> TrialCall:
    call = smallest_call(model)
    try:
        async with asyncio.timeout(timeout_s):
            reply = await provider.complete(call)
    except ProviderFault as fault:
        return _faulty(model, call, fault)
    except TimeoutError:
        return TrialCall(model=model.full_name, fault=f"no answer within {timeout_s:g} s")
    try:
        usd = None if model.prices is None else price_usd(reply.usage, model.prices)
    except CatalogueError:
        usd = None  # told among the differences
    return TrialCall(model=model.full_name, differs=differences(model, call, reply), usd=usd)


def _faulty(model: Model, call: Call, fault: ProviderFault) -> TrialCall:
    if fault.kind == UNKNOWN_NAME:
        return TrialCall(model=model.full_name, differs=(f"it is not served: {fault.message}",))
    if fault.kind == REFUSED:
        sent = ", ".join(f"{name} {value}" for name, value in call.settings.sent().items()) or "a plain text"
        return TrialCall(model=model.full_name, differs=(f"it refuses {sent}: {fault.message}",))
    return TrialCall(model=model.full_name, fault=f"{fault.kind}: {fault.message}")
