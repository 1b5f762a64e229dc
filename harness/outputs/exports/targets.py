"""Which export targets there are, and what each can hold.

In: a target's name, a selection. Out: the target, or why it cannot hold the selection. Must not write files.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import UsageError
from harness.outputs.exports import (
    anthropic_export,
    dotenv_export,
    eliza_0,
    eliza_1,
    gemini_export,
    inspect_export,
    json_export,
    langchain_export,
    litellm_proxy_export,
    mlflow_export,
    openai_export,
    promptfoo_export,
    pydantic_ai_export,
    recommendation_export,
    toml_export,
    yaml_export,
)
from harness.outputs.exports.manifest import Export
from harness.outputs.exports.selection import Selection, idle_runs


@dataclass(frozen=True, slots=True)
class Target:
    """An export format. write: the files, and what becomes of each setting.

    into: takes a character file. policies: shows the choice under every policy, for which the run's evidence
    is read again. chat: it asks for texts, so that no embedding model may be the choice. classes: it holds
    settings of several model classes, and so of further runs. embeds: one of them is EMBEDDING.
    cuts: it can be told where to cut its input. prompt: where the template of the prompt stands in its files;
    `None`: nothing there would read it; empty: in a file of its own. task_prompts: where those of several
    tasks stand; empty: in a file for each task. sides: its files hold what is sent by side of a retrieval;
    else it is written for queries, and once more for documents.
    """

    description: str
    write: Callable[[Selection], Export]
    into: bool = False
    policies: bool = False
    chat: bool = False
    classes: bool = False
    embeds: bool = False
    cuts: bool = False
    prompt: str | None = ""
    task_prompts: str = ""
    sides: bool = False


def _values(description: str, write: Callable[[Selection], Export]) -> Target:
    return Target(description, write, prompt="prompt.template", task_prompts="prompt.tasks", sides=True)


def _eliza(description: str, write: Callable[[Selection], Export], *, cuts: bool) -> Target:
    return Target(
        description, write, into=True, classes=True, embeds=True, cuts=cuts, prompt=None, sides=True
    )


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "eliza-0.1": _eliza(eliza_0.DESCRIPTIONS["0.1"], eliza_0.write_0_1, cuts=True),
        "eliza-0.25": _eliza(eliza_0.DESCRIPTIONS["0.25"], eliza_0.write_0_25, cuts=True),
        "eliza-1": _eliza(eliza_1.DESCRIPTION, eliza_1.write, cuts=False),
        "anthropic": Target(anthropic_export.DESCRIPTION, anthropic_export.write, chat=True),
        "dotenv": Target(dotenv_export.DESCRIPTION, dotenv_export.write, sides=True),
        "gemini": Target(gemini_export.DESCRIPTION, gemini_export.write),
        "inspect": Target(inspect_export.DESCRIPTION, inspect_export.write, chat=True),
        "json": _values(json_export.DESCRIPTION, json_export.write),
        "langchain": Target(langchain_export.DESCRIPTION, langchain_export.write),
        "litellm-proxy": Target(
            litellm_proxy_export.DESCRIPTION,
            litellm_proxy_export.write,
            classes=True,
            embeds=True,
            sides=True,
        ),
        "mlflow": Target(
            mlflow_export.DESCRIPTION,
            mlflow_export.write,
            chat=True,
            prompt="template",
            task_prompts="task_templates",
        ),
        "openai": Target(openai_export.DESCRIPTION, openai_export.write),
        "promptfoo": Target(promptfoo_export.DESCRIPTION, promptfoo_export.write, chat=True, classes=True),
        "pydantic-ai": Target(pydantic_ai_export.DESCRIPTION, pydantic_ai_export.write, chat=True),
        "recommendation": Target(
            recommendation_export.DESCRIPTION,
            recommendation_export.write,
            policies=True,
            classes=True,
            sides=True,
            prompt="prompts",
            task_prompts="prompts",
        ),
        "toml": _values(toml_export.DESCRIPTION, toml_export.write),
        "yaml": _values(yaml_export.DESCRIPTION, yaml_export.write),
    }
)


def target_for(name: str, selection: Selection) -> Target:
    """The target of this name. Raises UsageError when it is unknown or cannot hold the selection."""
    found = TARGETS.get(name)
    if found is None:
        raise UsageError(_unknown(name))
    if selection.character is not None and not found.into:
        raise UsageError(f"{name} has no file to write into; --into goes with {_those('into')}")
    if selection.embedding and not found.embeds:
        raise UsageError(
            f"{name} has no place for an embedding model beside the choice; --embedding goes with "
            f"{_those('embeds')}"
        )
    if selection.max_input_tokens is not None and not found.cuts:
        raise UsageError(f"{name} cannot be told where to cut; --max-input-tokens goes with {_those('cuts')}")
    if len(selection.runs) > 1 and not found.classes:
        names = ", ".join(choice.run for choice in selection.runs)
        raise UsageError(
            f"{name} holds the settings of one run, and {names} were given; export one at a time, or all of "
            f"them for {_those('classes')}"
        )
    if found.chat and selection.is_embedding:
        raise UsageError(
            f"{selection.settings.model} is an embedding model, and {name} asks a text model; export a run "
            "of text models, or this one for openai, langchain, litellm-proxy, gemini (Google's) or json"
        )
    if not found.policies:
        _refuse_idle(name, found, selection)
        _refuse_two_addresses(selection)
    return found


def _those(ability: str) -> str:
    return ", ".join(sorted(name for name, target in TARGETS.items() if getattr(target, ability)))


def _refuse_idle(name: str, target: Target, selection: Selection) -> None:
    """Raise UsageError when a further run fills in nothing: the export would rest on it in vain."""
    idle = idle_runs(selection, embeds=target.embeds)
    if idle:
        held = "" if target.embeds else f", and {name} holds no embedding model"
        raise UsageError(
            f"{', '.join(idle)} would add nothing to {name}: the runs before fill in all model classes that "
            f"it studied{held}; leave it out, or name it first"
        )


def _refuse_two_addresses(selection: Selection) -> None:
    """Raise UsageError when a provider was asked at two addresses: the files hold one for each."""
    for provider in {settings.provider for settings in selection.by_class.values()}:
        asked = [choice.provenance.endpoints.get(provider) for choice in selection.runs]
        addresses = {one.api_base for one in asked if one is not None}
        if len(addresses) > 1:
            runs = " and ".join(choice.run for choice in selection.runs)
            raise UsageError(
                f"{runs} asked {provider} at different addresses, and an export holds one; export them apart"
            )


def _unknown(target: str) -> str:
    close = difflib.get_close_matches(target.lower(), TARGETS, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"export target {target!r} is unknown, expected one of {', '.join(sorted(TARGETS))}{hint}"
