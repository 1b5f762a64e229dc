"""Settings as keyword arguments for the OpenAI Python package, and a script that uses them.

The arguments make the request that was measured: names as the wire has them, custom parameters in
`extra_body`. The script reads them from the file beside it, so that nothing of a run becomes code.
"""

from __future__ import annotations

import json

from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, JsonValue, Settings

DESCRIPTION = "keyword arguments for the OpenAI Python package, and a script that uses them"
# OpenAI's own models refuse max_tokens from the reasoning models on; other servers know no other name.
NEWER_LIMIT_PROVIDERS = ("openai",)

CHAT_SCRIPT = '''"""Ask the recommended settings one question: python openai_example.py "Hello"

Needs the package `openai` and OPENAI_API_KEY; for another provider also OPENAI_BASE_URL.
The prompt that was measured is not in this folder's openai.json: `harness export json RUN` writes its
Jinja2 template into settings.json, under prompt.template. What was measured is these settings with that
prompt: replace the message below by what the template renders.
"""

import json
import sys
from pathlib import Path

from openai import OpenAI

SETTINGS = json.loads(Path(__file__).with_name("openai.json").read_text(encoding="utf-8"))


def answer(messages):
    """The text of the model's answer."""
    reply = OpenAI().chat.completions.create(messages=messages, **SETTINGS)
    return reply.choices[0].message.content


if __name__ == "__main__":
    print(answer([{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello."}]))
'''

EMBEDDING_SCRIPT = '''"""Embed one text with the recommended settings: python openai_example.py "Hello"

Needs the package `openai` and OPENAI_API_KEY; for another provider also OPENAI_BASE_URL.
"""

import json
import sys
from pathlib import Path

from openai import OpenAI

SETTINGS = json.loads(Path(__file__).with_name("openai.json").read_text(encoding="utf-8"))


def embed(texts):
    """One vector for each text, in the same order."""
    reply = OpenAI().embeddings.create(input=texts, **SETTINGS)
    return [each.embedding for each in reply.data]


if __name__ == "__main__":
    print(embed([" ".join(sys.argv[1:]) or "Hello."])[0])
'''


def write(selection: Selection) -> Export:
    """Two files: openai.json with the keyword arguments, openai_example.py with a call that runs.

    The prompt is no keyword argument: the JSON and YAML exports hold it.
    """
    settings = selection.settings
    text = json.dumps(keyword_arguments(settings), indent=2, ensure_ascii=False, allow_nan=False)
    script = EMBEDDING_SCRIPT if selection.choice.trial.model_class == "EMBEDDING" else CHAT_SCRIPT
    keys = {name: _wire_name(name, settings.provider) for name in ("model", *SENT_FIELDS)}
    keys |= {name: f"extra_body.{name}" for name in settings.extra}
    return Export(
        files={"openai.json": text + "\n", "openai_example.py": script}, fates=plain_fates(settings, keys)
    )


def keyword_arguments(settings: Settings) -> dict[str, JsonValue]:
    """What to pass to `client.chat.completions.create` or `client.embeddings.create`, without the input."""
    arguments: dict[str, JsonValue] = {"model": settings.model_name}
    for name, value in settings.sent().items():
        if name in SENT_FIELDS and name not in settings.extra:
            arguments[_wire_name(name, settings.provider)] = value
    if settings.extra:
        arguments["extra_body"] = dict(settings.extra)
    return arguments


def _wire_name(name: str, provider: str) -> str:
    if name != "max_output_tokens":
        return name
    return "max_completion_tokens" if provider in NEWER_LIMIT_PROVIDERS else "max_tokens"
