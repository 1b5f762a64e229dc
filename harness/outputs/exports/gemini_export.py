"""Settings as keyword arguments for Google's google-genai package, and a script that uses them.

The arguments make the request that was measured; the script reads them from the file beside it.
"""

from __future__ import annotations

import json

from harness.errors import UsageError
from harness.outputs.exports.manifest import Export, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, JsonValue, Settings

DESCRIPTION = "keyword arguments for the google-genai Python package, and a script that uses them"
NAMES = {"max_output_tokens": "max_output_tokens", "stop": "stop_sequences"}
# Gemini 2.5 takes a budget of tokens, as litellm has it, which is how it was measured; later ones a level.
BUDGETS = {"none": 0, "low": 1024, "medium": 2048, "high": 4096}
BUDGETED = "gemini-2.5"
LEVELS = ("low", "medium", "high")

SCRIPT = '''"""Ask the recommended settings one question: python gemini_example.py "Hello"

Needs the package `google-genai` and GEMINI_API_KEY. What was measured is these settings with the prompt
that `harness export json RUN` writes into settings.json, under prompt.template.
"""

import json
import sys
from pathlib import Path

from google import genai

SETTINGS = json.loads(Path(__file__).with_name("gemini.json").read_text(encoding="utf-8"))


def answer(contents):
    """The text of the model's answer."""
    client = genai.Client()
    return client.models.generate_content(contents=contents, **SETTINGS).text


if __name__ == "__main__":
    print(answer(" ".join(sys.argv[1:]) or "Say hello."))
'''


def write(selection: Selection) -> Export:
    """Two files: gemini.json with the keyword arguments, gemini_example.py with a call that runs.

    Raises UsageError when the recommended model is another provider's, or its effort cannot be said.
    """
    settings = selection.settings
    if settings.provider != "google":
        raise UsageError(
            f"the recommended model is {settings.model}, and google-genai asks Google's models only; export "
            "another target"
        )
    text = json.dumps(keyword_arguments(settings), indent=2, ensure_ascii=False, allow_nan=False)
    keys = {name: f"config.{NAMES.get(name, name)}" for name in SENT_FIELDS if name != "reasoning_effort"}
    keys |= {"model": "model", "reasoning_effort": "config.thinking_config"}
    keys |= {name: f"config.http_options.extra_body.{name}" for name in settings.extra}
    fates = plain_fates(settings, keys)
    return Export(files={"gemini.json": text + "\n", "gemini_example.py": SCRIPT}, fates=fates)


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
    budgeted = name.startswith(BUDGETED)
    known = tuple(BUDGETS) if budgeted else LEVELS
    if effort not in known:
        raise UsageError(
            f"{model} was measured with reasoning_effort {effort!r}, and google-genai is told one of "
            f"{', '.join(known)} only; measure one of these, or export litellm-proxy, which takes it as it is"
        )
    amount: dict[str, JsonValue] = (
        {"thinking_budget": BUDGETS[effort]} if budgeted else {"thinking_level": effort.upper()}
    )
    return amount | {"include_thoughts": effort != "none"}
