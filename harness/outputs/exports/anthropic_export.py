"""Settings as keyword arguments for Anthropic's Python package, and a script that uses them.

The arguments make the request that was measured; the script reads them from the file beside it. From
2.0 on the package has no argument for temperature, and its version of the API refuses it: it goes past both.
"""

from __future__ import annotations

import json

from harness.errors import UsageError
from harness.outputs.exports.frameworks import (
    ADAPTIVE,
    CLIENT,
    OPENAI_TARGET,
    OWN_TARGETS,
    SAMPLING_HEADERS,
    UNASKED,
    named,
)
from harness.outputs.exports.manifest import Export, Fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue, Settings

DESCRIPTION = "keyword arguments for the Anthropic Python package, and a script that uses them"
SAMPLING = ("temperature", "top_p")
KEYS = {
    "model": "model",
    "temperature": "extra_body.temperature",
    "top_p": "extra_body.top_p",
    "max_output_tokens": "max_tokens",
    "stop": "stop_sequences",
    "reasoning_effort": "output_config.effort",
}

CLIENT_FILE = "anthropic_client.json"

SCRIPT = (
    '''"""Ask the recommended settings one question: python anthropic_example.py "Hello"

Needs the package `anthropic` and a key in the environment: ANTHROPIC_API_KEY, or the variable that
anthropic_client.json names. What was measured is these settings with the prompt in
anthropic.prompt.jinja (Jinja2): replace the message below by what that renders.
"""

import json
import os
import sys
from pathlib import Path

from anthropic import Anthropic

SETTINGS = json.loads(Path(__file__).with_name("anthropic.json").read_text(encoding="utf-8"))
'''
    + CLIENT.format(
        file=CLIENT_FILE, address="base_url", value='held["base_url"]', client="Anthropic", foreign=""
    )
    + '''

def answer(messages):
    """The text of the model's answer."""
    reply = client().messages.create(messages=messages, **SETTINGS)
    return "".join(block.text for block in reply.content if block.type == "text")


if __name__ == "__main__":
    print(answer([{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello."}]))
'''
)


def write(selection: Selection) -> Export:
    """anthropic.json with the keyword arguments, anthropic_example.py with a call that runs.

    Raises UsageError when the recommended model is another provider's, or no output limit was measured,
    without which Anthropic takes no request.
    """
    settings = selection.settings
    if settings.provider != "anthropic":
        raise UsageError(
            f"the recommended model is {settings.model}, and Anthropic's package asks its own only; export "
            f"{OWN_TARGETS.get(settings.provider, OPENAI_TARGET)}, or any other target"
        )
    if settings.max_output_tokens is None:
        raise UsageError(f"{settings.model} was measured without max_output_tokens, and Anthropic needs one")
    where = named(selection, settings, {"anthropic": "anthropic"}, "anthropic")
    text = json.dumps(keyword_arguments(settings), indent=2, ensure_ascii=False, allow_nan=False)
    keys = KEYS | {name: f"extra_body.{name}" for name in settings.extra}
    fates = [
        _effort(fate)
        for fate in plain_fates(
            settings, keys, "Anthropic's Messages have no such parameter", model=settings.model_name
        )
    ]
    files = {"anthropic.json": text + "\n", "anthropic_example.py": SCRIPT}
    return Export(
        files=files | where.client_files(CLIENT_FILE),
        fates=(*fates, *where.fates(f"{CLIENT_FILE} base_url")),
    )


def _effort(fate: Fate) -> Fate:
    """Of an effort "none" nothing is sent, which is how litellm asks for it."""
    if (fate.setting, fate.requested) != ("reasoning_effort", "none"):
        return fate
    return Fate(setting=fate.setting, requested="none", reason=UNASKED)


def keyword_arguments(settings: Settings) -> dict[str, JsonValue]:
    """What to pass to `client.messages.create`, without the messages."""
    arguments: dict[str, JsonValue] = {"model": settings.model_name}
    for name, value in settings.sent().items():
        if name in KEYS and name not in ("reasoning_effort", *SAMPLING):
            arguments[KEYS[name]] = value
    if settings.reasoning_effort not in (None, "none"):
        arguments["thinking"] = dict(ADAPTIVE)
        arguments["output_config"] = {"effort": settings.reasoning_effort}
    sampling = {name: value for name in SAMPLING if (value := getattr(settings, name)) is not None}
    if sampling:
        arguments["extra_headers"] = dict(SAMPLING_HEADERS)
    if sampling or settings.extra:
        arguments["extra_body"] = sampling | dict(settings.extra)
    return arguments
