"""OpenAI's encodings: which of them a model has, and how many tokens a text has by it.

In: models and texts. Out: names and counts. Must not estimate: other models' vocabularies are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

from harness.catalogue.models import Model
from harness.loading import openai_encoding

Encoding = Literal["o200k_base", "cl100k_base"]
O200K: Encoding = "o200k_base"
CL100K: Encoding = "cl100k_base"
PROVIDERS = ("openai", "azure")  # all their models are OpenAI's; elsewhere these are named openai/...
PREFIX = "openai/"
# Chat models before gpt-4o, and the embeddings. Source: tiktoken 0.14, `model.MODEL_TO_ENCODING`.
OLDER = ("gpt-4-", "gpt-4:", "gpt-3.5-", "gpt-35-")


def encoding_of(model: Model) -> Encoding | None:
    """The encoding of a model of OpenAI, whoever serves it; `None`: it is not one of theirs.

    A name that says nothing, as that of a deployment may, has the encoding of today's models.
    """
    if model.provider not in PROVIDERS and not model.name.startswith(PREFIX):
        return None
    name = model.name.removeprefix(PREFIX).removeprefix("ft:")
    return CL100K if f"{name}-".startswith(OLDER) or model.model_class == "EMBEDDING" else O200K


@cache
def counter(encoding: Encoding) -> Callable[[str], int]:
    """Counts the tokens of a text; the same function for the same encoding.

    What looks like one of the vocabulary's own marks is counted as the text that it is.
    """
    made = openai_encoding(encoding)
    return lambda text: len(made.encode(text, disallowed_special=()))
