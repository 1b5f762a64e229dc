"""Settings as keyword arguments for Google's google-genai package, and a script that uses them.

The arguments make the request that was measured; the script reads them from the file beside it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from harness.errors import UsageError
from harness.outputs.exports.frameworks import (
    AS_MEASURED,
    CLIENT,
    OPENAI_TARGET,
    OWN_TARGETS,
    efforts,
    google_thinking,
    named,
)
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, JsonValue, Settings

DESCRIPTION = "keyword arguments for the google-genai Python package, and a script that uses them"
NAMES = {"max_output_tokens": "max_output_tokens", "stop": "stop_sequences"}

CLIENT_FILE = "gemini_client.json"
EMBEDDING_NAMES = {
    "dimensions": "output_dimensionality",
    "outputDimensionality": "output_dimensionality",
    "task_type": "task_type",
    "taskType": "task_type",
    "title": "title",
}

HEAD = '''"""{does}: python gemini_example.py "Hello"

Needs the package `google-genai` and a key in the environment: GEMINI_API_KEY, or the variable that
gemini_client.json names. {prompt}
"""

import json
import os
import sys
from pathlib import Path

from google import genai

SETTINGS = json.loads(Path(__file__).with_name("gemini.json").read_text(encoding="utf-8"))
''' + CLIENT.format(
    file=CLIENT_FILE,
    address="http_options",
    value='{"base_url": held["base_url"], "api_version": held["api_version"]}',
    client="genai.Client",
    foreign="",
)

CHAT_SCRIPT = (
    HEAD.replace("{does}", "Ask the recommended settings one question").replace(
        "{prompt}",
        "What was measured is these settings with the prompt in\ngemini.prompt.jinja (Jinja2): replace the "
        "contents below by what that renders.",
    )
    + '''

def answer(contents):
    """The text of the model's answer."""
    asked = client()
    return asked.models.generate_content(contents=contents, **SETTINGS).text


if __name__ == "__main__":
    print(answer(" ".join(sys.argv[1:]) or "Say hello."))
'''
)

EMBEDDING_SCRIPT = (
    HEAD.replace("{does}", "Embed one text with the recommended settings").replace(
        "{prompt}", "Queries were measured as the template in\ngemini.prompt.jinja (Jinja2) renders them."
    )
    + '''

def embed(texts):
    """One vector for each text, in the same order."""
    asked = client()
    return [each.values for each in asked.models.embed_content(contents=texts, **SETTINGS).embeddings]


if __name__ == "__main__":
    print(embed([" ".join(sys.argv[1:]) or "Hello."])[0])
'''
)


def write(selection: Selection) -> Export:
    """gemini.json with the keyword arguments, gemini_example.py with a call that runs.

    Raises UsageError when the recommended model is another provider's, or its effort cannot be said.
    """
    settings = selection.settings
    if settings.provider != "google":
        raise UsageError(
            f"the recommended model is {settings.model}, and google-genai asks Google's models only; export "
            f"{OWN_TARGETS.get(settings.provider, OPENAI_TARGET)}, or any other target"
        )
    where = named(selection, settings, {"google": "google"}, "google")
    embeds = selection.is_embedding
    arguments = embedding_arguments(settings) if embeds else keyword_arguments(settings)
    text = json.dumps(arguments, indent=2, ensure_ascii=False, allow_nan=False)
    if embeds:
        keys = {"model": "model"} | {name: f"config.{key}" for name, key in EMBEDDING_NAMES.items()}
        fates = plain_fates(
            settings, keys, "google-genai has no such argument for embeddings", model=settings.model_name
        )
    else:
        fates = _fates(settings)
    files = {"gemini.json": text + "\n", "gemini_example.py": EMBEDDING_SCRIPT if embeds else CHAT_SCRIPT}
    return Export(
        files=files | where.client_files(CLIENT_FILE),
        fates=(*fates, *where.fates(f"{CLIENT_FILE} base_url")),
    )


def _fates(settings: Settings) -> tuple[Fate, ...]:
    keys = {name: f"config.{NAMES.get(name, name)}" for name in SENT_FIELDS}
    keys |= {"model": "model", "reasoning_effort": "config.thinking_config"}
    keys |= {name: f"config.http_options.extra_body.{name}" for name in settings.extra}
    effort = settings.reasoning_effort
    thinking = None if effort is None else _thinking(settings.model, settings.model_name, effort)
    return tuple(
        replace(fate, exported=thinking, reason=AS_MEASURED) if fate.setting == "reasoning_effort" else fate
        for fate in plain_fates(settings, keys, model=settings.model_name)
    )


def embedding_arguments(settings: Settings) -> dict[str, JsonValue]:
    """What to pass to `client.models.embed_content`, without the contents."""
    config: dict[str, JsonValue] = {
        EMBEDDING_NAMES[name]: value for name, value in settings.extra.items() if name in EMBEDDING_NAMES
    }
    return {"model": settings.model_name, "config": config}


def keyword_arguments(settings: Settings) -> dict[str, JsonValue]:
    """What to pass to `client.models.generate_content`, without the contents."""
    config: dict[str, JsonValue] = {}
    for name, value in settings.sent().items():
        if name in SENT_FIELDS and name not in ("reasoning_effort", *settings.extra):
            config[NAMES.get(name, name)] = value
    effort = settings.reasoning_effort
    if effort is not None:
        config["thinking_config"] = _thinking(settings.model, settings.model_name, effort)
    if settings.extra:
        config["http_options"] = {"extra_body": dict(settings.extra)}
    return {"model": settings.model_name, "config": config}


def _thinking(model: str, name: str, effort: str) -> dict[str, JsonValue]:
    """The thinking_config of this effort. Raises UsageError for one that has no budget or level."""
    found = google_thinking(name, effort)
    if not found:
        raise UsageError(
            f"{model} was measured with reasoning_effort {effort!r}, and google-genai is told one of "
            f"{', '.join(efforts(name))} only; measure one of these, or export litellm-proxy, which takes it "
            "as it is"
        )
    return found
