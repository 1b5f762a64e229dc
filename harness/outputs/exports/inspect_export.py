"""Settings as a generate config of Inspect AI, and the model in a .env that Inspect reads by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.catalogue.wire import reasons
from harness.outputs.exports.frameworks import (
    BUDGETS,
    NO_KEY,
    Named,
    budgeted,
    named,
    put,
    unasked,
    unasked_limit,
    wire_name,
    with_effort,
)
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.yaml_export import yaml_text
from harness.records import JsonValue, Settings

DESCRIPTION = "generate config of Inspect AI (inspect eval TASK --generate-config inspect.yaml), and its .env"
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "google", "together": "together"}
KEYS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_seqs",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
}
# What Inspect 0.3.285 accepts for every provider, and leaves out of the requests of these.
UNSENT: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"),
    "google": ("seed",),
}
LIMITS = {"anthropic": "32000 tokens or more, by model and effort", "together": "2048 tokens"}
SAFETY = "BLOCK_NONE for every category of harm, so that it refuses less"
BLOCKS = "Inspect says what becomes of thoughts of earlier turns, of which a question alone has none"
THOUGHTS = "Inspect asks for a summary of the thoughts too, which leaves the answer as it is"


def write(selection: Selection) -> Export:
    """Two files: inspect.yaml with the generate config, .env with the model, its address and key."""
    settings = selection.settings
    where = named(selection, settings, PROVIDERS, f"openai-api/{settings.provider}")
    name, config = f"{where.provider}/{where.model}", generate_config(settings, where)
    unsent = UNSENT.get(where.provider, ())
    keys = {"model": ".env INSPECT_EVAL_MODEL"} | {
        setting: key for setting, key in _places(settings, where).items() if setting not in unsent
    }
    reason = f"Inspect reads it, and sends none to {where.provider}"
    fates = with_effort(
        tuple(
            replace(fate, effect="not sent by provider") if fate.effect == "not expressible" else fate
            for fate in plain_fates(settings, keys, reason, model=name)
        ),
        {key: config[key] for key in ("reasoning_tokens",) if key in config},
        where.provider,
    )
    variables, remarks = _variables(settings, where, name)
    files = {"inspect.yaml": yaml_text(config), ".env": "\n".join(variables) + "\n"}
    own = where.fates(".env INSPECT_EVAL_MODEL_BASE_URL")
    return Export(files=files, fates=(*fates, *_unasked(settings, where), *own), remarks=remarks)


def generate_config(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """The fields of Inspect's GenerateConfig."""
    places = _places(settings, where)
    config: dict[str, JsonValue] = {}
    for name, value in settings.sent().items():
        if name in places:
            put(config, places[name], value)
    effort = settings.reasoning_effort
    if where.provider == "anthropic":
        config["cache_prompt"] = False  # left alone, it asks for a cache, of which each write is billed
    if where.provider == "google" and budgeted(where.model) and effort is not None and effort in BUDGETS:
        # Its own budgets for the same word are others.
        del config["reasoning_effort"]
        config["reasoning_tokens"] = BUDGETS[effort]
    return config


def _unasked(settings: Settings, where: Named) -> Iterator[Fate]:
    """What Inspect sends by itself, and was not sent when it was measured."""
    yield from unasked_limit(settings, "Inspect", LIMITS.get(where.provider))
    if where.provider == "google":
        yield unasked("safety_settings", "Inspect", SAFETY, exported="BLOCK_NONE")
        if settings.reasoning_effort is None:
            yield Fate(setting="include_thoughts", requested=None, exported=True, reason=THOUGHTS)
    if where.provider == "anthropic" and settings.reasoning_effort not in (None, "none"):
        yield Fate(setting="block_binding", requested=None, exported="drop_block", reason=BLOCKS)


def _places(settings: Settings, where: Named) -> dict[str, str]:
    """Where each setting stands. What Inspect drops or renames goes into `extra_body`, if it is sent."""
    places = dict(KEYS)
    if where.provider in UNSENT:
        return places
    if where.provider == "openai":
        altered = "temperature" if reasons(where.model) else "reasoning_effort"
        places[altered] = f"extra_body.{altered}"
    else:
        places["max_output_tokens"] = f"extra_body.{wire_name('max_output_tokens', settings)}"
    return places | {name: f"extra_body.{name}" for name in settings.extra}


def _variables(settings: Settings, where: Named, model: str) -> tuple[list[str], tuple[str, ...]]:
    """The lines of .env, and what is to be said of them."""
    variables = [f"INSPECT_EVAL_MODEL={model}"]
    if where.provider == "openai" and reasons(where.model):
        variables.append(
            "INSPECT_EVAL_MODEL_ARGS=responses_api=false"
        )  # what was measured is chat completions
    if where.address is not None:
        variables.append(f"INSPECT_EVAL_MODEL_BASE_URL={where.address}")
    if where.reach.version is not None:
        variables.append(f"GOOGLE_GENAI_API_VERSION={where.reach.version}")
    read = f"{settings.provider.upper().replace('-', '_')}_API_KEY"
    if where.key == read or (where.key is None and not where.foreign):
        return variables, ()
    variables.append(f"{read}={NO_KEY}" if where.key is None else f"{read}=${{{where.key}}}")
    said = f"{where.key} unless it is set already" if where.key else "a word, as it wants none"
    return variables, (f"Inspect reads the key of {settings.provider} from {read}: .env takes {said}.",)
