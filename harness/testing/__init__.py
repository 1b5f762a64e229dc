"""What users of an evaluation tool test with: a simulator of known truth, a clock, builders, contracts.

The providers and the clock can be had from here; they load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.testing.fake_clock import FakeClock
    from harness.testing.matrix_provider import MatrixProvider
    from harness.testing.scripted import ScriptedProvider
    from harness.testing.simulator import Simulator

_HOMES = {
    "FakeClock": "harness.testing.fake_clock",
    "MatrixProvider": "harness.testing.matrix_provider",
    "ScriptedProvider": "harness.testing.scripted",
    "Simulator": "harness.testing.simulator",
}

__all__ = ["FakeClock", "MatrixProvider", "ScriptedProvider", "Simulator"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
