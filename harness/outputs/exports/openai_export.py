"""Settings as keyword arguments for the OpenAI Python package, and a script that uses them.

The arguments make the request that was measured: names as the wire has them, custom parameters in
`extra_body`. The script reads them from the file beside it, so that nothing of a run becomes code. A provider
that speaks OpenAI's format at an address of its own has that, and the variable of its key, in a third file.
"""

from __future__ import annotations

import json
from textwrap import indent

from harness.outputs.exports.frameworks import CLIENT, FOREIGN, named, wire_name
from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, JsonValue, Settings

DESCRIPTION = "keyword arguments for the OpenAI Python package, and a script that uses them"
CLIENT_FILE = "openai_client.json"
EMBEDDING_ARGUMENTS = ("dimensions", "encoding_format", "user")  # of embeddings.create; others are custom

HEAD = '''"""{does}: python openai_example.py "Hello"

Needs the package `openai` and a key in the environment: OPENAI_API_KEY, or the variable that
openai_client.json names. {prompt}
"""

import json
import os
import sys
from pathlib import Path

from openai import OpenAI

SETTINGS = json.loads(Path(__file__).with_name("openai.json").read_text(encoding="utf-8"))
''' + CLIENT.format(
    file=CLIENT_FILE,
    address="base_url",
    value='held["base_url"]',
    client="OpenAI",
    foreign=indent(FOREIGN, 8 * " "),
)

CHAT_SCRIPT = (
    HEAD.replace("{does}", "Ask the recommended settings one question").replace(
        "{prompt}",
        "What was measured is these settings with the prompt in\nopenai.prompt.jinja (Jinja2): replace the "
        "message below by what that renders.",
    )
    + '''

def answer(messages):
    """The text of the model's answer."""
    reply = client().chat.completions.create(messages=messages, **SETTINGS)
    return reply.choices[0].message.content


if __name__ == "__main__":
    print(answer([{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello."}]))
'''
)

EMBEDDING_SCRIPT = (
    HEAD.replace("{does}", "Embed one text with the recommended settings").replace(
        "{prompt}", "Queries were measured as the template in\nopenai.prompt.jinja (Jinja2) renders them."
    )
    + '''

def embed(texts):
    """One vector for each text, in the same order."""
    reply = client().embeddings.create(input=texts, **SETTINGS)
    return [each.embedding for each in reply.data]


if __name__ == "__main__":
    print(embed([" ".join(sys.argv[1:]) or "Hello."])[0])
'''
)


def write(selection: Selection) -> Export:
    """openai.json with the keyword arguments, openai_example.py with a call that runs.

    Raises UsageError for a model that is not asked in OpenAI's format.
    """
    settings, embeds = selection.settings, selection.is_embedding
    where = named(selection, settings, {"openai": "openai"}, "openai")
    text = json.dumps(
        keyword_arguments(settings, embeds=embeds), indent=2, ensure_ascii=False, allow_nan=False
    )
    keys = {name: wire_name(name, settings) for name in ("model", *SENT_FIELDS)}
    keys |= {name: name if _plain(name, embeds=embeds) else f"extra_body.{name}" for name in settings.extra}
    fates = (*plain_fates(settings, keys, model=settings.model_name), *where.fates(f"{CLIENT_FILE} base_url"))
    script = EMBEDDING_SCRIPT if embeds else CHAT_SCRIPT
    files = {"openai.json": text + "\n", "openai_example.py": script, **where.client_files(CLIENT_FILE)}
    return Export(files=files, fates=fates)


def keyword_arguments(settings: Settings, *, embeds: bool = False) -> dict[str, JsonValue]:
    """What to pass to `client.chat.completions.create` or `client.embeddings.create`, without the input."""
    arguments: dict[str, JsonValue] = {"model": settings.model_name}
    for name, value in settings.sent().items():
        if name in SENT_FIELDS and name not in settings.extra:
            arguments[wire_name(name, settings)] = value
    custom: dict[str, JsonValue] = {}
    for name, value in settings.extra.items():
        (arguments if _plain(name, embeds=embeds) else custom)[name] = value
    if custom:
        arguments["extra_body"] = custom
    return arguments


def _plain(name: str, *, embeds: bool) -> bool:
    return embeds and name in EMBEDDING_ARGUMENTS
