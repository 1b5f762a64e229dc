"""What is wrong with facts that somebody states of a model: the same for a provider file and for a spec.

In: prices, and what is taken for a setting. Out: faults as key and message. Must not know where they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from harness.catalogue.models import Accepts, Prices
from harness.records import ModelClass

Fault = tuple[str, str]


def price_faults(prices: Prices, model_class: ModelClass, *, free_by: str) -> Iterator[Fault]:
    """What is wrong with these prices, the tier of long prompts apart. free_by: how nothing is written."""
    if prices.input <= 0:
        yield "input", f"is {prices.input}, expected more than 0; what costs nothing is {free_by}"
    # An embedding has no output tokens to bill.
    if prices.output < 0 or (prices.output == 0 and model_class != "EMBEDDING"):
        yield "output", f"is {prices.output}, expected more than 0"
    if prices.cached_input is not None and not 0 <= prices.cached_input <= prices.input:
        yield "cached_input", f"is {prices.cached_input}, expected 0 to {prices.input} (input)"
    for name in ("cache_write", "reasoning"):
        if (getattr(prices, name) or 0.0) < 0:
            yield name, f"is {getattr(prices, name)}, expected 0 or more"


def accepts_faults(accepts: Accepts, beside: Collection[str], where: str) -> Iterator[Fault]:
    """What is wrong with what is taken for one setting.

    beside: names of all settings that are taken with it. where: what these stand in.
    """
    low, high, default, choices = accepts.low, accepts.high, accepts.default, accepts.choices
    if low is not None and high is not None and low > high:
        yield "low", f"is {low}, which is above high, {high}"
    elif isinstance(default, int | float) and _outside(default, low, high):
        yield "default", f"is {default}, which lies outside {low} to {high}"
    if choices is not None and default is not None and default not in choices:
        yield "default", f"is {default!r}, which is none of the choices {list(choices)}"
    for use, value in accepts.uses.items():
        if choices is not None and value not in choices:
            yield "uses", f"gives {value!r} for {use}, which is none of the choices {list(choices)}"
    for key, others in (("not_with", accepts.not_with), ("only_with", accepts.only_with)):
        for other in others:
            if other not in beside:
                yield key, f"names {other!r}, which is no setting of {where}"


def _outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)
