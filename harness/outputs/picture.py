"""A figure of plotly that a saved notebook shows too, where nothing draws it. Loaded by `plots` alone.

In: what plotly draws, and the same picture as static HTML. Out: a figure; in a Jupyter notebook, some kB of
JSON that its front end draws, and the HTML for pages that run no script. plotly itself would put a copy of
its program, 5 MB, into the first output of a notebook.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

# Hosts that draw plotly's JSON by themselves; others, as Colab or a terminal, are left to plotly.
DRAWS_JSON = ("plotly_mimetype", "jupyterlab", "vscode", "nteract")


class Picture(go.Figure):
    """A figure as any other of plotly. static: the picture as HTML; alt: as words; both as first drawn."""

    def __init__(self, *args: Any, static: str = "", alt: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._static = static
        self._alt = alt

    def _ipython_display_(self) -> None:
        asked = str(pio.renderers.default or "").split("+")
        if not self._static or not set(asked) & set(DRAWS_JSON):
            super()._ipython_display_()
            return
        from IPython.display import publish_display_data

        drawn = pio.renderers["plotly_mimetype"].to_mimebundle(self.to_plotly_json())
        publish_display_data({**drawn, "text/html": self._static, "text/plain": self._alt})
