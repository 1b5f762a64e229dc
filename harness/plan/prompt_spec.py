"""How prompts may be written: one text, or several by name; as strict types.

In: plain values of a spec. Out: types for its models. The ground of `spec`, beside `ranges`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from harness.plan.ranges import KIND

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
PROMPT_TEXT = (
    "A path relative to the spec, or the template itself (text with a line break or with `{{`). "
    "Jinja2; the inputs of a sample are its variables."
)


def _variants(value: object) -> str:
    return KIND + ("several" if isinstance(value, Mapping) else "one")


Name = Annotated[str, Field(pattern=NAME, max_length=80)]
Variants = Annotated[dict[Name, str], Field(min_length=1)]
Prompts = Annotated[
    Annotated[str, Tag(KIND + "one")] | Annotated[Variants, Tag(KIND + "several")],
    Discriminator(_variants),
]
