"""Eliza exports in the hands of the real packages: their validation, their types, their requests."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from harness.records import Settings

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
SAMPLING = ("temperature", "max_output_tokens", "frequency_penalty", "presence_penalty")
OLD = ("eliza-0.1", "eliza-0.25")
EMBEDDING = "openai/text-embedding-3-small"


def three(provider, *names, **sent):
    """Settings of three classes of one provider, each with its own temperature and limit."""
    small, medium, large = (f"{provider}/{name}" for name in names)
    return {
        "SMALL": Settings(
            model=small, prompt="plain", **({"temperature": 0.2, "max_output_tokens": 300} | sent)
        ),
        "MEDIUM": Settings(
            model=medium, prompt="plain", **({"temperature": 0.5, "max_output_tokens": 700} | sent)
        ),
        "LARGE": Settings(
            model=large, prompt="plain", **({"temperature": 0.9, "max_output_tokens": 900} | sent)
        ),
    }


STUDIES = {
    "openai": three(
        "openai", "gpt-4o-mini", "gpt-4o", "gpt-4.1", frequency_penalty=0.1, presence_penalty=0.6, top_p=0.9
    ),
    "openai zeros": three(
        "openai",
        "gpt-4o-mini",
        "gpt-4o",
        "gpt-4.1",
        temperature=0,
        frequency_penalty=0.0,
        presence_penalty=-0.5,
    ),
    "anthropic": three(
        "anthropic", "claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6", stop=("END",)
    ),
    "google": three("google", "gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro", seed=7),
    "google zeros": three(
        "google",
        "gemini-2.5-flash-lite",
        "gemini-2.5-flash",
        "gemini-2.5-pro",
        temperature=0.0,
        presence_penalty=0.0,
        frequency_penalty=0,
    ),
    "together": three(
        "together",
        "meta-llama/Llama-3.2-3B-Instruct",
        "Qwen/Qwen3.5-9B",
        "openai/gpt-oss-120b",
        presence_penalty=0.3,
    ),
    "ollama": three("ollama", "gemma3:4b", "gemma3:12b", "gemma3:27b", presence_penalty=0.0),
    "openrouter": three(
        "openrouter", "google/gemma-3-4b-it", "qwen/qwen3.5-9b", "openai/gpt-oss-120b", frequency_penalty=0.4
    ),
    "own endpoint": three("shed", "llama-tiny", "llama-mid", "llama-big", presence_penalty=0.25),
    "local": three("local", "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "hermes-3-llama-3.2-3b"),
}
ADDRESSES = {"shed": "http://shed.example:8080/v1"}
CASES = [
    (target, name)
    for target in (*OLD, "eliza-1")
    for name in STUDIES
    if target != "eliza-1" or name not in ("together", "local")
]


def shown(value):
    """A setting's value for comparison: the text "0" of a character is a number on the wire."""
    return value if isinstance(value, str) and not value.isdigit() else float(value)


def exported(write, study, target, name):
    """The export of one of these studies, with an embedding model that every provider may have beside it."""
    return write(target, study(**STUDIES[name]), embedding=EMBEDDING, addresses=ADDRESSES)


@pytest.fixture(scope="module")
def kept():
    """What was loaded already, by case: a start of the packages takes seconds."""
    return {}


@pytest.fixture
def loaded(kept, write, study, load_eliza):
    """Exports a study and loads it with the real packages, once for all tests."""

    def load(target, name):
        if (target, name) not in kept:
            written = exported(write, study, target, name)
            kept[target, name] = written.export, load_eliza(target, written.paths[0].parent)
        return kept[target, name]

    return load


@pytest.mark.parametrize(("target", "name"), CASES)
def test_every_exported_value_is_in_the_request(loaded, target, name):
    """What the manifest calls effective is on the wire, and what it calls not sent is not."""
    export, found = loaded(target, name)
    assert found.findings["valid"]
    for fate in export.fates:
        if fate.setting not in ("model", *SAMPLING, "top_p", "seed", "stop"):
            continue
        for model_class in [fate.model_class] if fate.model_class else ["SMALL", "MEDIUM", "LARGE"]:
            wire = found.sent(model_class, fate.setting)
            if fate.effect == "effective" and fate.exported is not None:
                assert shown(wire) == shown(fate.exported), fate
            elif fate.effect == "not sent by provider" and fate.exported is None:
                assert wire is None, fate


@pytest.mark.parametrize(("target", "name"), CASES)
def test_what_changes_nothing_is_what_was_measured(loaded, target, name):
    """Where no fate says that a setting changes, the wire has what was measured, zeros within a millionth."""
    export, found = loaded(target, name)
    classes = ("SMALL", "MEDIUM", "LARGE")
    changed = {
        (model_class, fate.setting)
        for fate in export.fates
        if fate.changes
        for model_class in ([fate.model_class] if fate.model_class else classes)
    }
    kept = [
        (found.sent(model_class, setting), getattr(settings, setting))
        for model_class, settings in STUDIES[name].items()
        for setting in SAMPLING
        if not {(model_class, "model"), (model_class, setting)} & changed
    ]
    # What is not sent leaves the provider at its own value, which is 0 for penalties.
    assert [wire or 0 for wire, _ in kept] == pytest.approx([wanted or 0 for _, wanted in kept], abs=2e-6)
    assert kept or name == "local"


@pytest.mark.parametrize("target", [*OLD, "eliza-1"])
def test_every_export_has_the_types_of_the_package(write, study, eliza_packages, tmp_path, target):
    """tsc, strict, against the package's own Character: the module, and in 1.x the JSON as well."""
    packages = eliza_packages(target)
    sources = []
    for number, (case, name) in enumerate(CASES):
        if case == target:
            exported(write, study, target, name)
            folder = (tmp_path / target).rename(tmp_path / f"export{number}")
            sources.append(folder / "tuned.character.ts")
            if target == "eliza-1":
                checked = folder / "json.ts"
                checked.write_text(
                    'import type { Character } from "@elizaos/core";\n'
                    'import json from "./tuned.character.json";\nexport const character: Character = json;\n'
                )
                sources.append(checked)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    options = {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "resolveJsonModule": True,
        "types": [],
    }
    project = {"compilerOptions": options, "files": [str(source) for source in sources]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    tsc = packages / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [str(tsc), "-p", str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(sources) >= 8


def test_tsc_would_refuse_a_wrong_character(eliza_packages, tmp_path):
    """The check of types can fail: the enumeration of 0.x refuses a provider's name as text."""
    packages = eliza_packages("eliza-0.25")
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    source = tmp_path / "wrong.ts"
    source.write_text(
        'import type { Character } from "@elizaos/core";\n'
        'export const provider: Character["modelProvider"] = "openai";\n'
    )
    tsc = packages / "node_modules" / ".bin" / "tsc"
    command = [str(tsc), "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--target", "es2022"]
    done = subprocess.run(
        [*command, "--moduleResolution", "bundler", str(source)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert "is not assignable to type 'ModelProviderName'" in done.stdout


def test_a_file_of_one_generation_is_refused_by_the_other(write, study, load_eliza):
    """0.x and 1.x exclude each other, which is why there are several targets."""
    new = exported(write, study, "eliza-1", "openai").paths[0]
    old = exported(write, study, "eliza-0.25", "openai").paths[0]
    shutil.copy(new, old.with_name("new.json"))
    shutil.copy(old, new.with_name("old.json"))
    with pytest.raises(AssertionError, match="validation failed"):
        load_eliza("eliza-0.25", old.parent, "new.json")
    with pytest.raises(AssertionError, match=r"Unrecognized|unrecognized|modelProvider"):
        load_eliza("eliza-1", new.parent, "old.json")
