"""The page of a spec's keys, from the JSON schema that editors use.

In: the schema of `harness.plan.starter`. Out: docs/reference/spec.md, a section for each block of the spec.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from handbook.markdown import code, table
from harness.plan.starter import schema_text

Schema: TypeAlias = Mapping[str, Any]
INTRODUCTION = """\
# The spec, key by key

An experiment is a YAML file. `experiments/support-triage.yaml` explains one from top to bottom, [the tutorial](../tutorial/first-recommendation.md) a
small one; this page lists every key. An unknown key is an error with its line, and so is a value of another type. `harness init` writes the JSON schema
beside a spec, and its first line, `# yaml-language-server: $schema=experiment.schema.json`, lets editors complete and check it.

This page is generated from the schema (`make reference`).
"""
SETTINGS = """\
## Ranges and choices

Where a key says *range* or *choices*, the setting is searched; a plain value is fixed, and a setting that is left out is not sent.

| written | means |
| --- | --- |
| `0.2` | fixed |
| `{low: 0.0, high: 1.0}` | any value between, both ends included; `step: 0.1` for a grid, `log: true` for a logarithmic scale |
| `{choices: [64, 256]}` | one of these |
"""
# These are told once, under "Ranges and choices"; so is every block that has choices alone.
TOLD = {"NumberRange": "range", "WholeRange": "range", "JsonValue": "any value"}
CHOICES = "choices"
# Blocks that stand where another one may stand, or hold the keys of another one and more.
TITLES = {"EmbeddingTaskSpec": "`task` with `kind`"}
SAME_AS = {"WeightedTaskSpec": "TaskSpec", "LongPromptSpec": "PricesSpec"}
WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` or `false`"}


def spec_page() -> str:
    """The page as Markdown; ends with a line break."""
    schema: Schema = json.loads(schema_text())
    blocks = dict(_blocks(schema, "", schema["$defs"], {}))
    parts = [INTRODUCTION, "## Top level\n", _keys(schema, blocks)]
    for name, path in blocks.items():
        level = "##" if "." not in path.removesuffix(".NAME") else "###"
        block: Schema = schema["$defs"][name]
        parts += [
            f"{level} {_title(name, path)}\n",
            f"{block['description']}\n",
            *_body(schema, name, blocks),
        ]
    return "\n".join([*parts, SETTINGS])


def _blocks(
    block: Schema, path: str, known: Mapping[str, Schema], seen: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Blocks inside a block, by name, with the place in a spec where each is met first; parents first."""
    for key, value in block.get("properties", {}).items():
        for name, inside in _mentioned(value):
            place = f"{path}.{key}{inside}".removeprefix(".").removesuffix(f".{CHOICES}")
            if set(known[name].get("properties", ())) == {CHOICES}:
                yield from _blocks(known[name], place, known, seen)
            elif name not in seen and name not in TOLD:
                seen[name] = place
                yield name, place
                yield from _blocks(known[name], place, known, seen)


def _mentioned(value: Schema) -> Iterator[tuple[str, str]]:
    """Blocks that a value may be, with `.NAME` where it holds them by name."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], ""
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _mentioned(one)
    for one in _by_name(value):
        yield from ((name, f".NAME{inside}") for name, inside in _mentioned(one))


def _by_name(value: Schema) -> list[Schema]:
    extra = value.get("additionalProperties")
    return [*value.get("patternProperties", {}).values(), *([extra] if isinstance(extra, Mapping) else [])]


def _title(name: str, path: str) -> str:
    return TITLES.get(name, code(path))


def _body(schema: Schema, name: str, blocks: Mapping[str, str]) -> Iterator[str]:
    block: Schema = schema["$defs"][name]
    like = SAME_AS.get(name)
    if like is not None:
        yield f"All keys of {_link(like, blocks)}, and:\n"
        old: Schema = schema["$defs"][like]["properties"]
        block = {**block, "properties": {k: v for k, v in block["properties"].items() if k not in old}}
    yield _keys(block, blocks)


def _keys(block: Schema, blocks: Mapping[str, str]) -> str:
    needed = block.get("required", ())
    rows = [
        (
            code(key),
            _words(value, blocks),
            "**required**" if key in needed else _default(value),
            value.get("description", ""),
        )
        for key, value in block["properties"].items()
    ]
    return table(("key", "is", "default", "meaning"), rows)


def _default(value: Schema) -> str:
    default = value.get("default")
    if default in (None, "", [], {}):
        return ""
    return code(default if isinstance(default, str) else json.dumps(default))


def _words(value: Schema, blocks: Mapping[str, str]) -> str:
    """What a value is, in words: its type, its bounds, and where a block is described."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return _link(name, blocks) if name in blocks else TOLD.get(name, CHOICES)
    if "enum" in value:
        return ", ".join(map(code, value["enum"]))
    if "const" in value:
        return code(value["const"])
    several = [one for one in (*value.get("anyOf", ()), *value.get("oneOf", ())) if one.get("type") != "null"]
    if several:
        return ", or ".join(dict.fromkeys(_words(one, blocks) for one in several))
    if value.get("type") == "array":
        return f"list of {_words(value.get('items', {}), blocks)}"
    if value.get("type") == "object":
        inside = _by_name(value)
        return f"{_words(inside[0], blocks)} by name" if inside else "mapping"
    return WORDS.get(value.get("type", ""), "any value") + _bounds(value)


def _bounds(value: Schema) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    above, below = value.get("exclusiveMinimum"), value.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    ends = (("from", low), ("above", above), ("to", high), ("below", below))
    told = " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)
    return f", {told}" if told else ""


def _link(name: str, blocks: Mapping[str, str]) -> str:
    title = _title(name, blocks[name])
    anchor = "".join(one for one in title.lower().replace(" ", "-") if one.isalnum() or one in "-_")
    return f"[{title}](#{anchor})"
