"""Templates to text: Jinja2 with escaping always on.

In: a template's name and what it shows. Out: the page. Whatever a model wrote is hostile here: it is escaped
in HTML, in Markdown, and inside the JSON that scripts read. Must not decide what is shown.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Every character that begins a construct of GitHub's Markdown inside a line or a table cell.
MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")
# What GitHub makes links of without any mark: addresses, mails, and people, who would be called by it.
LINKED = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=@)(?=\w)|(?<=\bGH)(?=-\d)", re.IGNORECASE)
# Control characters, and those that turn the direction of what follows them.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# A command in a sentence: letters, digits and what commands have, nothing that Markdown or HTML could read.
COMMAND = re.compile(r"(?<!`)`([A-Za-z0-9-][A-Za-z0-9 .=/_-]*)`(?!`)")
WORD_JOINER = "\u2060"  # takes no room, and parts what must not be read as one


def render(template: str, **shown: object) -> str:
    """The page that `outputs/templates/<template>` makes of these values."""
    return _environment().get_template(template).render(**shown, raw=source)


@cache
def _environment() -> Environment:
    """Our templates, each compiled once a process: that takes longer than to fill it."""
    environment = Environment(
        loader=PackageLoader("harness.outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "md": markdown,
        "md_told": markdown_told,
        "checksum": checksum,
    }
    environment.filters.update(filters)
    return environment


def markdown(text: str) -> Markup:
    """The text as it reads, for a line or a cell of Markdown: no markup, no HTML, no link, no line break.

    Characters that steer a terminal, or that no text can hold, are shown as U+FFFD.
    """
    return Markup(_escaped(" ".join(str(text).split())))  # noqa: S704 - everything special was escaped


def markdown_told(text: str) -> Markup:
    """As `markdown`, for a sentence of ours: what it has between backticks, as a command, stays code."""
    pieces = COMMAND.split(" ".join(str(text).split()))
    shown = [f"`{piece}`" if place % 2 else _escaped(piece) for place, piece in enumerate(pieces)]
    return Markup("".join(shown))  # noqa: S704 - everything special was escaped, and code has none of it


def _escaped(line: str) -> str:
    line = LINKED.sub(WORD_JOINER, UNPRINTABLE.sub("\ufffd", line))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_SPECIAL.sub(r"\\\1", line)


def checksum(script: str) -> str:
    """The name by which a content security policy lets exactly this script run."""
    digest = hashlib.sha256(str(script).encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def source(name: str) -> Markup:
    """A style sheet or script of our own, as it is."""
    text = (resources.files("harness.outputs") / "templates" / name).read_text(encoding="utf-8")
    return Markup(text.replace("\r\n", "\n").strip())  # noqa: S704 - a file of this package
