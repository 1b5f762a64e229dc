"""Arguments in, exit code out. One file per family of verbs; only this room prints.

Exit codes: 0 fine, 1 a check failed, 2 bad spec or usage, 3 provider or run-time failure, 4 inconclusive or
stopped by Ctrl-C, 130 stopped at once by a second one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from harness.cli import (
    cache,
    comparisons,
    doctor,
    exports,
    gates,
    models,
    runs,
    simulate,
    spaces,
    specs,
    studies,
    tracking,
)
from harness.errors import HarnessError
from harness.loading import run_alone

INTERRUPTED = 4


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"harness {version('llm-harness')}")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def cli() -> None:
    """Choose which language model and which settings to ship, with evidence."""


FAMILIES = (
    *(specs, models, runs, gates, comparisons, studies, spaces),
    *(exports, cache, tracking, doctor, simulate),
)
for family in FAMILIES:
    for command in family.COMMANDS:
        cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a fault is told in one message, without a traceback.

    arguments: `None`: those of the process, which is then ours alone. Always ends by SystemExit.
    """
    if arguments is None:
        run_alone()
    try:
        code = cli.main(arguments, prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        click.echo(f"harness: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("harness: stopped", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
