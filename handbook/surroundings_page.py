"""The page of exit codes, errors and names in the environment.

In: the errors, the commands and the catalogue. Out: docs/reference/surroundings.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from handbook.markdown import code, table
from harness import errors
from harness.catalogue.models import load_catalogue
from harness.cli import cli
from harness.errors import HarnessError

INTRODUCTION = """\
# Exit codes, errors, environment

## Exit codes
"""
CODES = (
    ("0", "fine"),
    ("1", "a check failed: `gate`, `cache verify`, `export --check`, `drift --at-least`"),
    ("2", "a bad spec or usage, a stale baseline"),
    ("3", "a provider failed, or the run did"),
    (
        "4",
        "inconclusive: nothing failed, but data or budget decide nothing; or stopped by one Ctrl-C, with all kept",
    ),
    ("130", "stopped at once by a second Ctrl-C"),
)
ERRORS = """\
## Errors

Each is a `HarnessError` with its exit code, and says what was found, what was expected, where, and what to do. In Python they are
raised; the command line prints the message alone.
"""
ENVIRONMENT = """\
## Environment

Keys stand in the environment, or in a file `.env` in the current folder; what the environment says wins. Names that begin with
`HARNESS_` or `MLFLOW_`, or end with `_PROXY`, are read from the environment alone.

Calls go through the proxy that `https_proxy` or `http_proxy` names, by the scheme of the provider's address, in small letters or in
capitals, unless `no_proxy` names its host. It is spoken to in plain HTTP (`http://HOST:PORT`, with `USER:PASSWORD@` where it wants one);
what it leads to stays encrypted. A provider on this machine is asked without it, except by litellm (`lane: litellm`), which needs
`no_proxy` for that. `all_proxy` means nothing to calls. `harness doctor` names the providers that are asked through one.
"""
OURS = (
    (
        "HARNESS_STORE",
        "where answers, money and runs are kept: a path, `sqlite:///FILE`, or `postgresql://USER@HOST/NAME`; else `.harness/harness.db`",
    ),
    ("HARNESS_MODELS", "folder of local weights; else `.harness/models`"),
    (
        "MLFLOW_TRACKING_URI",
        "the MLflow server or store that runs are mirrored in; else `.harness/mlflow.db`",
    ),
)
END = "\nThis page is generated from the code (`make reference`).\n"


def surroundings_page() -> str:
    """The page as Markdown; ends with a line break."""
    parts = [
        INTRODUCTION,
        table(("code", "means"), CODES),
        ERRORS,
        table(("error", "code", "raised when"), _errors()),
        ENVIRONMENT,
        table(("name", "means"), [(code(name), words) for name, words in OURS]),
        "### Options by another name\n",
        table(("name", "option", "of"), _twins()),
        "### Keys\n",
        table(("name", "provider"), _keys()),
    ]
    return "\n".join(parts) + END


def _errors() -> Iterator[tuple[str, str, str]]:
    for name, one in vars(errors).items():
        if inspect.isclass(one) and issubclass(one, HarnessError) and not name.startswith("_"):
            yield code(name), str(one.exit_code), (one.__doc__ or "").partition("\n\n")[0]


def _twins() -> list[tuple[str, str, str]]:
    """Options that are read from the environment too, and the commands that take them."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, command in cli.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.envvar:
                found.setdefault((str(option.envvar), option.opts[-1]), []).append(name)
    return [(code(env), code(flag), ", ".join(map(code, of))) for (env, flag), of in sorted(found.items())]


def _keys() -> list[tuple[str, str]]:
    providers = load_catalogue().providers
    return [(code(facts.api_key_env), code(name)) for name, facts in providers.items() if facts.api_key_env]
