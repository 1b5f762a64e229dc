"""Settings as arguments of LangChain's init_chat_model, and a script that uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.outputs.exports.frameworks import SAMPLING_HEADERS, Named, named, samples
from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

DESCRIPTION = "arguments of LangChain's init_chat_model, and a script that uses them"
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "google_genai"}
KEYS: Mapping[str, Mapping[str, str]] = {
    "openai": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_output_tokens": "max_tokens",
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
        "stop": "stop",
        "seed": "seed",
        "reasoning_effort": "reasoning_effort",
    },
    "anthropic": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_output_tokens": "max_tokens",
        "stop": "stop",
    },
    "google_genai": {
        "temperature": "temperature",
        "top_p": "top_p",
        "max_output_tokens": "max_tokens",
        "seed": "seed",
        "stop": "stop",
    },
}

SCRIPT = '''"""Ask the recommended settings one question: python langchain_example.py "Hello"

Needs `langchain` with the package of the provider, and its key in the environment (in the variable that the
file names as api_key_env, if it does). What was measured is these settings with the prompt that
`harness export json RUN` writes into settings.json, under prompt.template.
"""

import json
import os
import sys
from pathlib import Path

from langchain.chat_models import init_chat_model

SETTINGS = json.loads(Path(__file__).with_name("langchain.json").read_text(encoding="utf-8"))
if "api_key_env" in SETTINGS:
    variable = SETTINGS.pop("api_key_env")
    # Without a key of its own the provider would be sent OPENAI_API_KEY.
    SETTINGS["api_key"] = "none" if variable is None else os.environ.get(variable)
    if not SETTINGS["api_key"]:
        sys.exit(f"{variable} is not set: put the key of the provider there")

if __name__ == "__main__":
    print(init_chat_model(**SETTINGS).invoke(" ".join(sys.argv[1:]) or "Say hello.").text)
'''


def write(selection: Selection) -> Export:
    """Two files: langchain.json with the arguments, langchain_example.py with a call that runs."""
    settings = selection.settings
    where = named(selection, settings, PROVIDERS, "openai")
    keys = {"model": "model", **KEYS[where.provider]}
    if where.provider == "openai":
        keys |= {name: f"extra_body.{name}" for name in settings.extra}
    text = json.dumps(arguments(settings, where), indent=2, ensure_ascii=False, allow_nan=False)
    fates = plain_fates(settings, keys, f"LangChain's model of {where.provider} has no such argument")
    return Export(files={"langchain.json": text + "\n", "langchain_example.py": SCRIPT}, fates=fates)


def arguments(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """What to pass to `init_chat_model`, and in `api_key_env` the variable that holds its `api_key`."""
    known = KEYS[where.provider]
    found: dict[str, JsonValue] = {"model": where.model, "model_provider": where.provider}
    found |= {known[name]: value for name, value in settings.sent().items() if name in known}
    if where.address is not None:
        found["base_url"] = where.address
    found |= where.key_document()
    if where.provider == "anthropic" and samples(settings):
        found["default_headers"] = dict(SAMPLING_HEADERS)
    if settings.extra and where.provider == "openai":
        found["extra_body"] = dict(settings.extra)
    return found
