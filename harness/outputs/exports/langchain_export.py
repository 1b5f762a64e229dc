"""Settings as arguments of LangChain's init_chat_model or init_embeddings, and a script that uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import indent

from harness.catalogue.wire import reasons
from harness.outputs.exports.frameworks import (
    ADAPTIVE,
    FOREIGN,
    NO_KEY,
    SAMPLING_HEADERS,
    Named,
    google_thinking,
    named,
    put,
    samples,
    unasked,
    unasked_limit,
    wire_name,
    with_effort,
)
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

DESCRIPTION = "arguments of LangChain's init_chat_model (or init_embeddings), and a script that uses them"
CLIENT_FILE = "langchain_client.json"
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "google_genai"}
EMBEDDERS = {"openai": "openai", "google": "google_genai"}
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
EMBEDDING_KEYS: Mapping[str, Mapping[str, str]] = {
    "openai": {"dimensions": "dimensions"},
    "google_genai": {
        "dimensions": "output_dimensionality",
        "outputDimensionality": "output_dimensionality",
        "task_type": "task_type",
        "taskType": "task_type",
    },
}
TASKS = "RETRIEVAL_QUERY for queries and RETRIEVAL_DOCUMENT for documents"
LIMITS = {"anthropic": "the most that it knows of the model, or 4096"}

HEAD = (
    '''"""{does}: python langchain_example.py "Hello"

Needs `langchain` with the package of the provider, and a key in the environment: the provider's own, or the
variable that langchain_client.json names. {prompt}
"""

import json
import os
import sys
from pathlib import Path

from {module} import {function}

SETTINGS = json.loads(Path(__file__).with_name("langchain.json").read_text(encoding="utf-8"))
CLIENT = Path(__file__).with_name("langchain_client.json")


def key():
    """The key of the provider where it is not the package's own; langchain.json holds none."""
    if not CLIENT.exists():
        return {}
    variable = json.loads(CLIENT.read_text(encoding="utf-8"))["api_key_env"]
    found = "none" if variable is None else os.environ.get(variable)
    if not found:
        sys.exit(f"{variable} is not set: put the key of the provider there")
'''
    + indent(FOREIGN, 4 * " ")
    + """    return {"api_key": found}

"""
)

CHAT_SCRIPT = (
    HEAD.replace("{does}", "Ask the recommended settings one question")
    .replace("{module}", "langchain.chat_models")
    .replace("{function}", "init_chat_model")
    .replace(
        "{prompt}",
        "What was measured is these settings with\nthe prompt in langchain.prompt.jinja (Jinja2): replace "
        "the message below by what that renders.",
    )
    + """
if __name__ == "__main__":
    model = init_chat_model(**{**SETTINGS, **key()})
    print(model.invoke(" ".join(sys.argv[1:]) or "Say hello.").text)
"""
)

EMBEDDING_SCRIPT = (
    HEAD.replace("{does}", "Embed one text with the recommended settings")
    .replace("{module}", "langchain.embeddings")
    .replace("{function}", "init_embeddings")
    .replace(
        "{prompt}", "Queries were measured as the\ntemplate in langchain.prompt.jinja (Jinja2) renders them."
    )
    + """
if __name__ == "__main__":
    model = init_embeddings(**{**SETTINGS, **key()})
    print(model.embed_query(" ".join(sys.argv[1:]) or "Hello."))
"""
)


def write(selection: Selection) -> Export:
    """langchain.json with the arguments, langchain_example.py with a call that runs.

    Raises UsageError for a model that LangChain is not told here how to ask.
    """
    settings, embeds = selection.settings, selection.is_embedding
    where = named(selection, settings, EMBEDDERS if embeds else PROVIDERS, "openai")
    held = embedding_arguments(settings, where) if embeds else arguments(settings, where)
    fates = _embedding_fates(settings, where) if embeds else _fates(settings, where)
    files = {
        "langchain.json": json.dumps(held, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "langchain_example.py": EMBEDDING_SCRIPT if embeds else CHAT_SCRIPT,
    }
    return Export(
        files=files | where.client_files(CLIENT_FILE, address=False),
        fates=(*fates, *where.fates("base_url")),
    )


def arguments(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """What to pass to `init_chat_model`."""
    places = _places(settings, where)
    found: dict[str, JsonValue] = {"model": where.model, "model_provider": where.provider}
    if where.provider == "openai":
        found["use_responses_api"] = False  # it would ask some models there, which was not measured
        if reasons(where.model):
            found["temperature"] = None  # left alone, it is set to 1 for some of these
    elif where.provider == "google_genai":
        found["temperature"] = None  # left alone, it is 0.7
    for name, value in settings.sent().items():
        if name in places:
            put(found, places[name], value)
    found |= _effort(settings, where) | _reached(where)
    if where.provider == "anthropic" and samples(settings):
        found["default_headers"] = dict(SAMPLING_HEADERS)
    return found


def _places(settings: Settings, where: Named) -> dict[str, str]:
    """Where each setting stands. What LangChain drops or renames goes into `extra_body`."""
    places = dict(KEYS[where.provider])
    if where.provider != "openai":
        return places
    altered = "temperature" if reasons(where.model) else "max_output_tokens"
    places[altered] = f"extra_body.{wire_name(altered, settings)}"
    return places | {name: f"extra_body.{name}" for name in settings.extra}


def _effort(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """The arguments that say the effort, where the name of it alone does not."""
    effort = settings.reasoning_effort
    if where.provider == "anthropic" and effort not in (None, "none"):
        return {"thinking": dict(ADAPTIVE), "reasoning_effort": effort}
    if where.provider == "google_genai":
        found = google_thinking(where.model, effort)
        return found | ({"thinking_level": effort} if "thinking_level" in found else {})
    return {}


def embedding_arguments(settings: Settings, where: Named) -> dict[str, JsonValue]:
    """What to pass to `init_embeddings`."""
    known = EMBEDDING_KEYS[where.provider]
    found: dict[str, JsonValue] = {"model": where.model, "provider": where.provider}
    found |= {known[name]: value for name, value in settings.sent().items() if name in known}
    found |= _reached(where)
    if where.provider == "openai":
        # Else it sends numbers of OpenAI's tokens in place of the text, which no other server can read.
        found["check_embedding_ctx_length"] = False
        custom = {name: value for name, value in settings.extra.items() if name not in known}
        if custom:
            found["model_kwargs"] = {"extra_body": custom}
    return found


def _reached(where: Named) -> dict[str, JsonValue]:
    """Address and key. With a key of its own, the provider is not to be sent OpenAI's by a bare loader."""
    found: dict[str, JsonValue] = {} if where.address is None else {"base_url": where.address}
    if where.reach.version is not None:
        found["api_version"] = where.reach.version
    return found | ({"api_key": NO_KEY} if where.key_document() else {})


def _fates(settings: Settings, where: Named) -> tuple[Fate, ...]:
    keys = {"model": "model", **_places(settings, where)}
    reason = f"LangChain's model of {where.provider} has no such argument"
    fates = plain_fates(settings, keys, reason, model=where.model)
    fates = with_effort(fates, _effort(settings, where), where.provider)
    return (*fates, *unasked_limit(settings, "LangChain", LIMITS.get(where.provider)))


def _embedding_fates(settings: Settings, where: Named) -> tuple[Fate, ...]:
    known = EMBEDDING_KEYS[where.provider]
    keys = {"model": "model", **known}
    if where.provider == "openai":
        keys = {name: f"model_kwargs.extra_body.{name}" for name in settings.extra} | keys
    fates = plain_fates(settings, keys, "LangChain has no such argument for embeddings", model=where.model)
    if where.provider == "google_genai" and not {"task_type", "taskType"} & set(settings.extra):
        fates = (*fates, unasked("task_type", "LangChain", TASKS))
    return fates
