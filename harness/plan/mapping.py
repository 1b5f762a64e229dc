"""litellm's own parameter mapping, asked before anything is spent: would it send these settings?

In: a model's name at litellm, and settings by name. Out: why they would not arrive as they are, as a clause.
Nothing is sent. A setting that the mapping drops without a word counts as refused: trials that differ in it
would be the same trial.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.catalogue.models import VECTOR_SETTINGS, Catalogue, Model, ProviderFacts
from harness.loading import FOR_VECTORS, IN_BODY, is_own_argument, load_litellm
from harness.plan.lookup import OWN, WIRE_FORMAT
from harness.plan.plan import Dimension, Range, Space, rivals_of
from harness.plan.problems import Problems, shown
from harness.records import SENT_FIELDS, JsonValue

# litellm's own keys for what was not asked for: where a request goes, and how often it is tried.
UNASKED = ("max_retries", "stream", "extra_body")
OWN_ARGUMENT = (
    "is an argument of litellm's own call, through which {} is asked; it could change what is asked, whom, "
    "or whether anything is, so remove it"
)
TABLE = "model_prices_and_context_window_backup.json"  # of litellm's package: the models that it knows


def note_unsent(
    models: Mapping[str, Model], catalogue: Catalogue, shipped: Catalogue, space: Space, problems: Problems
) -> None:
    """Note what litellm would not send, of settings that no test of ours has seen it send.

    shipped: the catalogue without what a spec adds.
    """
    for model in models.values():
        facts = catalogue.provider(model.provider)
        custom = [one.name for one in _sent(space, model) if one.name not in (*SENT_FIELDS, *VECTOR_SETTINGS)]
        own = own_arguments(facts, custom)
        for name in own:
            problems.add(_place(name), OWN_ARGUMENT.format(model.full_name))
        if is_mapped(model, facts, shipped, custom=len(custom) > len(own)):
            continue
        for name, fault in mapping_faults(model, facts, space):
            if name not in own:
                problems.add(_place(name), f"{fault}; {_way_out(model, facts)}")


def own_arguments(facts: ProviderFacts, custom: Iterable[str]) -> list[str]:
    """Those of these custom parameters that litellm would take for itself, where it is what asks."""
    if facts.wire != "litellm":
        return []
    return [name for name in custom if name not in VECTOR_SETTINGS and is_own_argument(name)]


def _place(name: str) -> tuple[str, ...]:
    return ("search", name) if name in SENT_FIELDS else ("search", "extra", name)


def _way_out(model: Model, facts: ProviderFacts) -> str:
    if facts.wire == "litellm":
        return "remove the setting or the model"
    return (
        f"remove the setting or the model, or state what it takes as "
        f"providers.{model.provider}.models.{model.name}.settings"
    )


def is_mapped(model: Model, facts: ProviderFacts, shipped: Catalogue, *, custom: bool) -> bool:
    """Whether the settings of this model need no asking: nothing maps them, or a test of ours has seen it.

    shipped: the catalogue without what a spec adds. custom: whether there are custom parameters. On the
    direct lane nothing maps, but litellm knows models: one of which nobody says what it takes is asked about.
    """
    if facts.wire == "openai":
        unsaid = WIRE_FORMAT if facts.unlisted is None else facts.unlisted
        return model.source != OWN or model.settings != unsaid or not _in_table(facts, model)
    if facts.wire != "litellm" or custom:
        return facts.wire != "litellm"
    known = next((one for one in shipped.models if one.full_name == model.full_name), None)
    return known is not None and known.settings == model.settings and facts.mapped_with == version("litellm")


def _in_table(facts: ProviderFacts, model: Model) -> bool:
    """Whether litellm's table of models has this one; read without loading litellm, which takes seconds."""
    found = find_spec("litellm")
    if found is None or found.origin is None:
        return False
    table = json.loads((Path(found.origin).parent / TABLE).read_text(encoding="utf-8"))
    return any(
        table.get(name, {}).get("litellm_provider") == facts.litellm_prefix
        for name in (model.name, f"{facts.litellm_prefix}/{model.name}")
    )


def mapping_faults(model: Model, facts: ProviderFacts, space: Space) -> Iterator[tuple[str, str]]:
    """What of this model's dimensions litellm would refuse or drop: names with the reason as a clause."""
    for dimension in _sent(space, model):
        if dimension.name in SENT_FIELDS and dimension.name not in model.settings:
            continue  # told already
        if _passes(dimension.name, model, facts):
            continue
        when = dimension.when
        beside = {} if when is None or rivals_of(when[0]) else {when[0]: when[1][0]}
        values = _ends(dimension)
        prefix, vectors = facts.litellm_prefix, model.model_class == "EMBEDDING"
        reasons = [unsent(prefix, model.name, dimension.name, one, beside, vectors=vectors) for one in values]
        refused = [reason for reason in reasons if reason not in (None, DROPPED)]
        # A value that stands for "not sent" changes nothing; a setting of which none does is dropped.
        if refused or all(reason == DROPPED for reason in reasons):
            why = next(iter(refused), DROPPED)
            spoken = "is spoken to through" if facts.wire == "litellm" else "is in the table of"
            yield (
                dimension.name,
                f"{model.full_name} {spoken} litellm {version('litellm')}, which {why}",
            )


def _passes(name: str, model: Model, facts: ProviderFacts) -> bool:
    """Whether no mapping touches a setting of this name: most of vectors, and what a body takes as it is."""
    if model.model_class == "EMBEDDING":
        return name not in VECTOR_SETTINGS
    return name not in SENT_FIELDS and (facts.wire != "litellm" or facts.litellm_prefix in IN_BODY)


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
