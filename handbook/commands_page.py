"""The page of the command line, from the commands themselves.

In: the click commands of `harness.cli`. Out: docs/reference/commands.md: for each what it does, its arguments
and options with their defaults and their names in the environment.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from handbook.markdown import code, table
from harness.cli import cli

INTRODUCTION = """\
# Commands

What each command takes. `harness COMMAND --help` says the same. Where an option has a name in the environment, it is read there
when the option is not given. How commands end is told under [exit codes](surroundings.md#exit-codes).

This page is generated from the commands (`make reference`).
"""
PARAGRAPH = "\b\n"  # click leaves the lines of such a paragraph as they are


def commands_page() -> str:
    """The page as Markdown; ends with a line break."""
    found = list(_commands(cli, "harness"))
    rows = [(f"[{code(name)}](#{name.replace(' ', '-')})", _summary(command)) for name, command in found]
    return "\n".join([INTRODUCTION, table(("command", "what it does"), rows), *map(_section, found)])


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        full = f"{path} {name}"
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield full, command
        if isinstance(command, click.Group):
            yield from _commands(command, full)


def _section(named: tuple[str, click.Command]) -> str:
    name, command = named
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}\n", f"{code(usage)}\n", f"{_help(command)}\n"]
    options = [_row(one, context) for one in command.params if isinstance(one, click.Option)]
    heads = ("option", "meaning", "default", "environment")
    return "\n".join([*parts, *([table(heads, options)] if options else [])])


def _help(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{one.removeprefix(PARAGRAPH)}\n```" if one.startswith(PARAGRAPH) else _plain(one)
        for one in paragraphs
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _summary(command: click.Command) -> str:
    return _plain(inspect.cleandoc(command.help or "").partition("\n\n")[0])


def _row(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    shown = (
        option.opts if option.is_flag else [f"{' '.join(option.opts[-1:])} {option.make_metavar(context)}"]
    )
    names = [*option.opts[:-1], *shown] if not option.is_flag else shown
    default = option.to_info_dict()["default"]
    told = "" if option.is_flag or default in (None, "", ()) or callable(default) else code(default)
    return ", ".join(map(code, names)), option.help or "", told, code(option.envvar) if option.envvar else ""
