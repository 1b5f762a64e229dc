"""Settings as a model name and ModelSettings of Pydantic AI, and a script that uses them."""

from __future__ import annotations

import json
from textwrap import indent

from harness.catalogue.wire import reasons
from harness.outputs.exports.frameworks import (
    ADAPTIVE,
    FOREIGN,
    SAMPLING_HEADERS,
    Named,
    google_thinking,
    named,
    put,
    samples,
    unasked_limit,
    wire_name,
    with_effort,
)
from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

DESCRIPTION = "model and ModelSettings of Pydantic AI, and a script that uses them"
PROVIDERS = {"openai": "openai-chat", "anthropic": "anthropic", "google": "google"}
KEYS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_sequences",
    "seed": "seed",
}
# Left out by Pydantic AI for models that reason.
SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
LIMITS = {"anthropic": "the most that it knows of the model, or 16384"}

SCRIPT = (
    '''"""Ask the recommended settings one question: python pydantic_ai_example.py "Hello"

Needs `pydantic-ai-slim` with the extra of the provider, and its key in the environment (in the variable that
the file names as api_key_env, if it does). What was measured is these settings with the prompt in
pydantic-ai.prompt.jinja (Jinja2): replace the message below by what that renders.
"""

import json
import os
import sys
from pathlib import Path

from pydantic_ai import Agent, ModelSettings
from pydantic_ai.models import infer_model
from pydantic_ai.providers import infer_provider_class

EXPORTED = json.loads(Path(__file__).with_name("pydantic_ai.json").read_text(encoding="utf-8"))
SETTINGS = ModelSettings(**EXPORTED["model_settings"])


def provider(name):
    """The provider with the address and the key that belong to it, and with no other's."""
    arguments = {}
    if "base_url" in EXPORTED:
        arguments["base_url"] = EXPORTED["base_url"]
    if "api_version" in EXPORTED:
        os.environ["GOOGLE_GENAI_API_VERSION"] = EXPORTED["api_version"]  # it has no argument for this
    if "api_key_env" in EXPORTED:
        variable = EXPORTED["api_key_env"]
        arguments["api_key"] = "none" if variable is None else os.environ.get(variable)
        if not arguments["api_key"]:
            sys.exit(f"{variable} is not set: put the key of the provider there")
'''
    + indent(FOREIGN, 8 * " ")
    + """    return infer_provider_class(name)(**arguments)


if __name__ == "__main__":
    agent = Agent(infer_model(EXPORTED["model"], provider), model_settings=SETTINGS)
    print(agent.run_sync(" ".join(sys.argv[1:]) or "Say hello.").output)
"""
)


def write(selection: Selection) -> Export:
    """Two files: pydantic_ai.json with model and settings, pydantic_ai_example.py with a call that runs."""
    settings = selection.settings
    where = named(selection, settings, PROVIDERS, "openai-chat")
    places = _places(settings, where)
    keys = {"model": "model"} | {name: f"model_settings.{key}" for name, key in places.items()}
    text = json.dumps(exported(settings, where), indent=2, ensure_ascii=False, allow_nan=False)
    reason = f"Pydantic AI's model of {where.provider} takes no such setting"
    fates = plain_fates(settings, keys, reason, model=_model(where))
    fates = with_effort(fates, _effort(settings, where), where.provider, within="model_settings.")
    fates = (*fates, *unasked_limit(settings, "Pydantic AI", LIMITS.get(where.provider)))
    files = {"pydantic_ai.json": text + "\n", "pydantic_ai_example.py": SCRIPT}
    return Export(files=files, fates=(*fates, *where.fates("base_url")))


def exported(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """Model and settings, and address and variable of the key where they are not the provider's own."""
    places = _places(settings, where)
    held: dict[str, JsonValue] = {}
    for name, value in settings.sent().items():
        if name in places:
            put(held, places[name], value)
    held |= _effort(settings, where)
    if where.provider == "anthropic" and samples(settings):
        held["extra_headers"] = dict(SAMPLING_HEADERS)
    whole: dict[str, JsonValue] = {"model": _model(where), "model_settings": held}
    if where.address is not None:
        whole["base_url"] = where.address
    if where.reach.version is not None:
        whole["api_version"] = where.reach.version
    return whole | where.key_document()


def _model(where: Named) -> str:
    return f"{where.provider}:{where.model}"


def _places(settings: Settings, where: Named) -> dict[str, str]:
    """Where each setting stands. What Pydantic AI drops or renames goes into `extra_body`."""
    places = dict(KEYS)
    if where.provider == "anthropic":
        places = {name: KEYS[name] for name in ("temperature", "top_p", "max_output_tokens", "stop")}
    if where.provider == "openai-chat":
        places["reasoning_effort"] = "openai_reasoning_effort"
        altered = SAMPLING if reasons(where.model) else ("max_output_tokens",)
        places |= {name: f"extra_body.{wire_name(name, settings)}" for name in altered}
    if where.provider != "google":
        places |= {name: f"extra_body.{name}" for name in settings.extra}
    return places


def _effort(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """The settings that say the effort, where the name of it alone does not."""
    effort = settings.reasoning_effort
    if where.provider == "anthropic" and effort not in (None, "none"):
        return {"anthropic_thinking": dict(ADAPTIVE), "anthropic_effort": effort}
    found = google_thinking(where.model, effort) if where.provider == "google" else {}
    return {"google_thinking_config": found} if found else {}
