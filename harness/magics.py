"""Magics for notebooks: the command line in a cell, with results as objects that show themselves.

In: a line as after `harness` on a command line, and perhaps a spec below it. Out: the result of the verbs
that have one; what the others print. Must not do anything that the command line does not.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from harness.cli import cli, comparisons, runs, specs
from harness.errors import UsageError
from harness.plan.written_spec import CELL, written_spec

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

IN_CELL = ("plan", "tune", "eval")
# Records that Python hands out and that know no words: where they stand, and what shows them.
SHOWN: Mapping[tuple[str, str], tuple[str, str]] = {
    ("harness.findings", "Recommendation"): ("harness.outputs.display", "choice"),
    ("harness.findings", "RunRecord"): ("harness.outputs.display", ""),
    ("harness.verdicts", "Comparison"): ("harness.outputs.comparison", ""),
    ("harness.verdicts", "GateVerdict"): ("harness.outputs.gate_words", ""),
}


def load(shell: InteractiveShell) -> None:
    """Add `%harness`, `%%harness` and cards for records to this shell; what `%load_ext harness` does."""
    # IPython's own annotations know neither its decorated methods nor its traits.
    untyped: Any = shell
    untyped.register_magic_function(partial(_magic, shell), "line_cell", "harness")
    formatters = untyped.display_formatter.formatters
    for (module, name), shows in SHOWN.items():
        formatters["text/html"].for_type_by_name(module, name, partial(_card, shows))
        formatters["text/plain"].for_type_by_name(module, name, partial(_plain, shows))


def run_line(line: str, spec: Mapping[str, object] | None = None) -> object:
    """Carry out a line of the command line; gives the result of a verb that has one, else `None`.

    spec: in place of the file that the line would name. Raises HarnessError as the verb does, and UsageError
    for a line that makes no sense.
    """
    verb, *arguments = _words(line) or ["--help"]
    makers = _makers()
    try:
        if verb not in makers:
            cli.main([verb, *arguments], prog_name="%harness", standalone_mode=False)
            return None
        given = arguments if spec is None else [CELL, *arguments]
        with cli.commands[verb].make_context(f"%harness {verb}", given) as context:
            return makers[verb](**(context.params | ({} if spec is None else {"spec": spec})))
    except click.exceptions.Exit:  # help was asked for, and given
        return None
    except click.ClickException as error:
        known = f"%harness {verb} --help" if verb in cli.commands else "%harness --help"
        raise UsageError(f"{error.format_message().rstrip('.')} (`{known}` tells what can be said)") from None


def _magic(shell: InteractiveShell, line: str, cell: str | None = None) -> object:
    """`%harness VERB ...` as on a command line; `%%harness plan|tune|eval [NAME] ...` with the spec below.

    NAME: the variable that takes the result.
    """
    if cell is None:
        return run_line(line)
    verb, *arguments = _words(line) or [""]
    if verb not in IN_CELL:
        raise UsageError(
            f"%%harness {verb}: expected one of {', '.join(IN_CELL)}, with a spec in the lines below"
        )
    name = arguments.pop(0) if arguments and arguments[0].isidentifier() else None
    with written_spec(cell) as spec:
        result = run_line(shlex.join([verb, *arguments]), spec)
    if name is not None:
        shell.user_ns[name] = result
    return result


def _makers() -> Mapping[str, Callable[..., object]]:
    """The verbs whose result is worth having, each from the values of its options."""
    return {
        "compare": comparisons.compared,
        "eval": runs.evaluated,
        "plan": specs.planned,
        "show": comparisons.shown_run,
        "tune": runs.tuned,
    }


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"%harness {line}: {str(error).lower()}; close the quotation marks") from None


def _card(shows: tuple[str, str], record: Any) -> str:
    return _shower(shows, "card")(record)


def _plain(shows: tuple[str, str], record: Any, printer: Any, _cycle: bool) -> None:
    printer.text(_shower(shows, "text")(record))


def _shower(shows: tuple[str, str], kind: str) -> Callable[[Any], str]:
    from importlib import import_module

    module, prefix = shows
    return getattr(import_module(module), f"{prefix}_{kind}" if prefix else kind)
