"""The page of export targets: for whom each is, what it writes and what it can hold.

In: the targets of `harness.outputs.exports`. Out: docs/reference/exports.md; its files are those that each
target makes of a small recommendation.
"""

from __future__ import annotations

from pathlib import PurePath

from handbook.markdown import code, table
from harness.outputs.exports.registry import MANIFEST, made_for
from harness.outputs.exports.selection import selection_of
from harness.outputs.exports.targets import TARGETS, Target
from harness.testing.builders import a_recommendation, a_settings, a_trial

INTRODUCTION = """\
# Export targets

`harness export TARGET RUN...` writes these files, and `TARGET.manifest.json` beside them. What a manifest says, and how exports
are checked later, is told in [put the settings to work](../how-to/exports.md); Eliza has [a page of its own](../how-to/eliza.md).

This page is generated from the targets (`make reference`).
"""
LEGEND = """\
**Classes**: settings of several model classes, which further runs fill in. **Embeddings**: an embedding model beside the choice.
**Embedding runs**: the choice of a run of embedding models itself. **Prompt**: where its template stands.
"""
# The packages of these two ask no other provider.
MODELS = {"anthropic": "anthropic/claude-haiku-4-5", "gemini": "google/gemini-2.5-flash"}
USUAL = "openai/gpt-4o-mini"


def exports_page() -> str:
    """The page as Markdown; ends with a line break."""
    heads = ("target", "for", "files", "classes", "embeddings", "embedding runs", "prompt")
    rows = [_row(name, target) for name, target in TARGETS.items()]
    return "\n".join([INTRODUCTION, table(heads, rows), LEGEND])


def _row(name: str, target: Target) -> tuple[str, ...]:
    files = sorted(one for one in _files(name) if one not in {MANIFEST, f"{name}.prompt.jinja"})
    return (
        code(name),
        target.description,
        ", ".join(code(PurePath(one).as_posix()) for one in files),
        _mark(target.classes),
        _mark(target.embeds),
        _mark(not target.chat),
        _prompt(name, target),
    )


def _files(name: str) -> list[str]:
    settings = a_settings(model=MODELS.get(name, USUAL), prompt="plain")
    trial = a_trial(2, settings=settings, split="confirm")
    choice = a_recommendation(settings=settings, trial=trial)
    return list(made_for(name, selection_of([choice], prompt_text="{{ text }}")).files)


def _mark(holds: bool) -> str:
    return "yes" if holds else "no"


def _prompt(name: str, target: Target) -> str:
    if target.prompt is None:
        return "no place for one"
    return code(target.prompt) if target.prompt else code(f"{name}.prompt.jinja")
