"""What all models of a spec have in common.

In: nothing. Out: the base of the strict models and the mark of their unions.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

# Marks the branch of a union inside pydantic's error places; no key of a spec begins like this.
KIND = "kind:"


class Strict(BaseModel):
    """Unknown keys are errors, text is not a number, and nothing changes after reading."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=()
    )
