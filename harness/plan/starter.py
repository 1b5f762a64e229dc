"""A first experiment for `harness init`: files that run as they are, and explain themselves.

In: a name and a folder. Out: new files. Never writes over anything.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from harness.errors import UsageError
from harness.plan.spec import Spec

SCHEMA_FILE = "experiment.schema.json"
_NAME = "STARTER_NAME"


def schema_text() -> str:
    """The JSON schema of a spec, for editors and the reference page; ends with a line break."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Spec.model_json_schema(by_alias=True),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_starter(name: str, folder: Path) -> list[Path]:
    """Write a spec that runs on the local model, its rows, its prompt and the schema; gives their paths.

    name: of the experiment, and of its files. Raises UsageError for a name that is no file name, and when
    one of the files is there already: then nothing is written. UsageError too when the system refuses.
    """
    if not name or not all(part.isascii() and (part.isalnum() or part in "-_") for part in name):
        raise UsageError(f"the name {name!r} will not do; use letters, digits, dashes and underscores")
    if not name[0].isalnum():
        raise UsageError(f"the name {name!r} will not do; begin with a letter or a digit")
    texts = {folder / target.replace(_NAME, name): text for target, text in _texts(name).items()}
    existing = [path for path in texts if path.exists() and path.name != SCHEMA_FILE]
    if existing:
        listed = ", ".join(str(path) for path in existing)
        raise UsageError(f"{listed} would be written over; choose another name or folder, or move it away")
    written: list[Path] = []
    for path, text in texts.items():
        # The schema belongs to all specs of a folder; an older one is left to its owner.
        if not path.exists():
            _write(path, text)
            written.append(path)
    return written


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write {str(path)!r}: {error.strerror or error}; choose a folder that can be written to"
        ) from error


def _texts(name: str) -> dict[str, str]:
    files = resources.files("harness.plan") / "starter"
    names = {
        f"{_NAME}.yaml": "experiment.yaml",
        f"{_NAME}.jsonl": "rows.jsonl",
        f"prompts/{_NAME}.jinja": "prompt.jinja",
    }
    texts = {
        target: (files / source).read_text(encoding="utf-8").replace(_NAME, name)
        for target, source in names.items()
    }
    return texts | {SCHEMA_FILE: schema_text()}
