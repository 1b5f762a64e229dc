"""Choose which language model and which settings to ship, with evidence.

    import harness
    result = harness.tune("experiments/quickstart.yaml")
    result.recommendation.settings

In a notebook, `%load_ext harness` brings the command line as a magic.
Names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.comparing import CompareResult, compare
    from harness.errors import HarnessError, InconclusiveError, SpecError
    from harness.gating import GateResult, gate
    from harness.past import load_run
    from harness.planning import PlanResult, make_plan
    from harness.result import EvalResult, TuneResult
    from harness.run import evaluate, tune

_HOMES = {
    "CompareResult": "harness.comparing",
    "EvalResult": "harness.result",
    "GateResult": "harness.gating",
    "HarnessError": "harness.errors",
    "InconclusiveError": "harness.errors",
    "PlanResult": "harness.planning",
    "SpecError": "harness.errors",
    "TuneResult": "harness.result",
    "compare": "harness.comparing",
    "evaluate": "harness.run",
    "gate": "harness.gating",
    "load_run": "harness.past",
    "make_plan": "harness.planning",
    "tune": "harness.run",
}

__all__ = [
    "CompareResult",
    "EvalResult",
    "GateResult",
    "HarnessError",
    "InconclusiveError",
    "PlanResult",
    "SpecError",
    "TuneResult",
    "compare",
    "evaluate",
    "gate",
    "load_run",
    "make_plan",
    "tune",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("llm-harness")
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext harness` calls: the magics `%harness` and `%%harness`, and cards for records."""
    from harness.magics import load

    load(shell)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
