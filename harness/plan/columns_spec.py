"""Which column of a table is what, as a spec or a data set definition says it.

In: plain values. Out: `Columns`. Must not look at rows.
"""

from __future__ import annotations

from pydantic import Field

from harness.plan.columns import Columns
from harness.plan.ranges import Strict


class ColumnsSpec(Strict):
    """Which column is what."""

    id: str | None = Field(
        default=None, description="Unique name of a row; default id, else made from content."
    )
    target: str = Field(
        default="target", description="What a good answer is; may be missing where no scorer needs it."
    )
    group: str | list[str] | None = Field(
        default=None,
        description="Rows that are alike share it, and stay together in a split; default group, if present. "
        "Several: rows that share a text in any of them, as in [text_a, text_b] of pairs.",
    )
    inputs: list[str] | None = Field(
        default=None, description="What templates see; default every other column."
    )
    metadata: list[str] | None = Field(
        default=None, description="Kept, but not shown to templates; default the object metadata, if present."
    )

    def read(self) -> Columns:
        """The same for whoever reads rows."""
        return Columns(
            id=self.id,
            target=self.target,
            group=tuple(self.group) if isinstance(self.group, list) else self.group,
            inputs=None if self.inputs is None else tuple(self.inputs),
            metadata=None if self.metadata is None else tuple(self.metadata),
        )
