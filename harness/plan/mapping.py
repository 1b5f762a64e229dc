"""litellm's own parameter mapping, asked before anything is spent: would it send these settings?

In: a model's name at litellm, and settings by name. Out: why they would not arrive as they are, as a clause.
Nothing is sent. A setting that the mapping drops without a word counts as refused: trials that differ in it
would be the same trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from harness.catalogue.models import VECTOR_SETTINGS, Catalogue, Model, ProviderFacts
from harness.loading import FOR_VECTORS, load_litellm
from harness.plan.plan import Dimension, Range, Space, rivals_of
from harness.plan.problems import Problems, shown
from harness.records import SENT_FIELDS, JsonValue

# litellm's own keys for what was not asked for: where a request goes, and how often it is tried.
UNASKED = ("max_retries", "stream", "extra_body")


def note_unsent(
    models: Mapping[str, Model], catalogue: Catalogue, shipped: Catalogue, space: Space, problems: Problems
) -> None:
    """Note what litellm would not send, of settings that no test of ours has seen it send.

    shipped: the catalogue without what a spec adds.
    """
    for model in models.values():
        facts = catalogue.provider(model.provider)
        custom = any(one.name not in (*SENT_FIELDS, *VECTOR_SETTINGS) for one in _sent(space, model))
        if is_mapped(model, facts, shipped, custom=custom):
            continue
        for name, fault in mapping_faults(model, facts, space):
            place = ("search", name) if name in SENT_FIELDS else ("search", "extra", name)
            problems.add(place, f"{fault}; remove the setting or the model")


def is_mapped(model: Model, facts: ProviderFacts, shipped: Catalogue, *, custom: bool) -> bool:
    """Whether the settings of this model need no asking: nothing maps them, or a test of ours has seen it.

    shipped: the catalogue without what a spec adds. custom: whether there are custom parameters.
    """
    if facts.wire != "litellm" or custom:
        return facts.wire != "litellm"
    known = next((one for one in shipped.models if one.full_name == model.full_name), None)
    return known is not None and known.settings == model.settings and facts.mapped_with == version("litellm")


def mapping_faults(model: Model, facts: ProviderFacts, space: Space) -> Iterator[tuple[str, str]]:
    """What of this model's dimensions litellm would refuse or drop: names with the reason as a clause."""
    for dimension in _sent(space, model):
        if dimension.name in SENT_FIELDS and dimension.name not in model.settings:
            continue  # told already
        if model.model_class == "EMBEDDING" and dimension.name not in VECTOR_SETTINGS:
            continue  # of others, its mapping says nothing, or they stay here
        when = dimension.when
        beside = {} if when is None or rivals_of(when[0]) else {when[0]: when[1][0]}
        values = _ends(dimension)
        prefix, vectors = facts.litellm_prefix, model.model_class == "EMBEDDING"
        reasons = [unsent(prefix, model.name, dimension.name, one, beside, vectors=vectors) for one in values]
        refused = [reason for reason in reasons if reason not in (None, DROPPED)]
        # A value that stands for "not sent" changes nothing; a setting of which none does is dropped.
        if refused or all(reason == DROPPED for reason in reasons):
            why = next(iter(refused), DROPPED)
            yield (
                dimension.name,
                f"{model.full_name} is spoken to through litellm {version('litellm')}, which {why}",
            )


DROPPED = "drops it without a word"


def unsent(
    prefix: str,
    name: str,
    setting: str,
    value: JsonValue,
    beside: Mapping[str, JsonValue],
    *,
    vectors: bool = False,
) -> str | None:
    """Why this setting would not be sent beside the others, as a clause; `None`: it is. See `mapped`."""
    before = mapped(prefix, name, beside, vectors=vectors)
    after = mapped(prefix, name, {**beside, setting: value}, vectors=vectors)
    if isinstance(after, str):
        return f"refuses {shown(value)}: {after}"
    return DROPPED if after == before else None


def mapped(
    prefix: str, name: str, sent: Mapping[str, JsonValue], *, vectors: bool = False
) -> dict[str, Any] | str:
    """The parameters that litellm would send for these, dropping forbidden; its refusal as a text.

    prefix: litellm's name of the provider. sent: as `Settings.sent` gives it. vectors: with texts to embed,
    for which its mapping is another one, and says nothing of what it does not know: that passes.
    """
    litellm = load_litellm()
    given = {("max_tokens" if key == "max_output_tokens" else key): value for key, value in sent.items()}
    asks = litellm.utils.get_optional_params_embeddings if vectors else litellm.utils.get_optional_params
    prefix = FOR_VECTORS.get(prefix, prefix) if vectors else prefix
    try:
        model, provider, *_ = litellm.get_llm_provider(model=f"{prefix}/{name}")
        found: dict[str, Any] = asks(model=model, custom_llm_provider=provider, drop_params=False, **given)
    except Exception as error:  # noqa: BLE001 - litellm refuses by its own classes, OpenAI's and plain ones
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        return lines[0].removeprefix("litellm.").strip()
    body = found.pop("extra_body", None) or {}
    return {key: one for key, one in {**found, **body}.items() if key not in UNASKED}


def _sent(space: Space, model: Model) -> list[Dimension]:
    """The dimensions of this model that are settings, not choices between them."""
    return [one for one in space.dimensions[model.full_name] if not rivals_of(one.name)]


def _ends(dimension: Dimension) -> tuple[JsonValue, ...]:
    if isinstance(dimension, Range):
        whole = dimension.integer
        return tuple(int(end) if whole else end for end in (dimension.low, dimension.high))
    return dimension.values
