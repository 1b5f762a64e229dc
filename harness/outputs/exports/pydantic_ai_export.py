"""Settings as a model name and ModelSettings of Pydantic AI, and a script that uses them."""

from __future__ import annotations

import json
from textwrap import indent

from harness.outputs.exports.frameworks import FOREIGN, SAMPLING_HEADERS, Named, named, samples
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
    keys = {"model": "model"} | {name: f"model_settings.{key}" for name, key in _keys(where).items()}
    if _takes_extra(where):
        keys |= {name: f"model_settings.extra_body.{name}" for name in settings.extra}
    text = json.dumps(exported(settings, where), indent=2, ensure_ascii=False, allow_nan=False)
    fates = plain_fates(settings, keys, f"Pydantic AI's model of {where.provider} takes no such setting")
    files = {"pydantic_ai.json": text + "\n", "pydantic_ai_example.py": SCRIPT}
    return Export(files=files, fates=(*fates, *where.fates("base_url")))


def exported(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """Model and settings, and address and variable of the key where they are not the provider's own."""
    known = _keys(where)
    held: dict[str, JsonValue] = {
        known[name]: value for name, value in settings.sent().items() if name in known
    }
    if settings.extra and _takes_extra(where):
        held["extra_body"] = dict(settings.extra)
    if where.provider == "anthropic" and samples(settings):
        held["extra_headers"] = dict(SAMPLING_HEADERS)
    whole: dict[str, JsonValue] = {"model": f"{where.provider}:{where.model}", "model_settings": held}
    if where.address is not None:
        whole["base_url"] = where.address
    if where.reach.version is not None:
        whole["api_version"] = where.reach.version
    return whole | where.key_document()


def _keys(where: Named) -> dict[str, str]:
    if where.provider == "openai-chat":
        return KEYS | {"reasoning_effort": "openai_reasoning_effort"}
    if where.provider == "anthropic":
        return {name: KEYS[name] for name in ("temperature", "top_p", "max_output_tokens", "stop")}
    return KEYS


def _takes_extra(where: Named) -> bool:
    return where.provider in ("openai-chat", "anthropic")
