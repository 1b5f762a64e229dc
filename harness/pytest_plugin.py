"""A plug-in of pytest: `pytest --harness-spec FILE` tests what a gate asks, one item a metric and floor.

In: the options. Out: test items that share one measurement. Loaded at every start of pytest, so nothing of
this package is imported before an option asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.gating import GateResult, Prepared

GROUP = "harness"
NO_MLFLOW = "HARNESS_NO_MLFLOW"  # what `harness gate` reads too


def pytest_addoption(parser: pytest.Parser) -> None:
    """Name the options."""
    group = parser.getgroup(GROUP, "evaluation of language models")
    group.addoption(
        "--harness-spec",
        action="append",
        default=[],
        metavar="FILE",
        help="Test this spec: its metrics against a baseline, and the floors of its gate. May be repeated.",
    )
    group.addoption(
        "--harness-baseline", metavar="FILE", help="The baseline; default: gate.baseline of the spec."
    )
    group.addoption(
        "--harness-settings", metavar="FILE", help="What is tested; default: gate.settings of the spec."
    )
    group.addoption(
        "--harness-on-unclear",
        choices=("fail", "skip", "pass"),
        default="fail",
        help="What an unclear verdict makes of a test; default: fail.",
    )
    group.addoption("--harness-offline", action="store_true", help="Ask the store alone, without keys.")
    group.addoption(
        "--harness-no-mlflow",
        action="store_true",
        help=f"Do not mirror the run in MLflow, as with {NO_MLFLOW}=1 in the environment.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the items of the specs, before -k and -m choose among all."""
    for name in config.getoption("--harness-spec") or ():
        spec = SpecFile.from_parent(session, path=Path(name).resolve())
        items.extend(spec.collect())


class SpecFile(pytest.File):
    """A spec, prepared when it is collected and measured when its first item runs."""

    _result: GateResult | None = None
    _trouble: Exception | None = None

    def collect(self) -> Iterable[GateItem]:
        """One item a metric that is held against the baseline, one a floor."""
        prepared = self._prepared()
        names = [
            f"{metric} holds" for metric in (prepared.question.metrics or ()) if prepared.base is not None
        ]
        names += [str(floor) for floor in prepared.plan.gate.floors]
        return [GateItem.from_parent(self, name=name) for name in names]

    def _prepared(self) -> Prepared:
        from harness.errors import HarnessError
        from harness.gating import prepare

        try:
            return prepare(self.path, **self._options())
        except HarnessError as error:
            raise pytest.UsageError(f"--harness-spec {self.path}: {error}") from None

    def result(self) -> GateResult:
        """The gate's verdict; measured once, and told once when that fails."""
        from harness.errors import HarnessError
        from harness.gating import gate

        if self._result is None and self._trouble is None:
            offline = bool(self.config.getoption("--harness-offline"))
            try:
                self._result = gate(
                    self.path, **self._options(), offline=offline, mlflow=not self._without_mlflow()
                )
            except HarnessError as error:
                self._trouble = error
        if self._result is None:
            raise GateFailure(f"nothing was measured: {self._trouble}")
        return self._result

    def _without_mlflow(self) -> bool:
        from click import BOOL

        said = os.environ.get(NO_MLFLOW) or "false"
        return bool(self.config.getoption("--harness-no-mlflow")) or BOOL.convert(said, None, None)

    def _options(self) -> dict[str, Any]:
        asked = {name: self.config.getoption(f"--harness-{name}") for name in ("baseline", "settings")}
        return {name: value for name, value in asked.items() if value is not None}


class GateFailure(Exception):  # noqa: N818 - the name of a verdict, which is no error of the program
    """Why a test of settings failed: shown as it is, without a traceback."""


class GateItem(pytest.Item):
    """One metric or floor."""

    def runtest(self) -> None:
        """Fail with the reason of the verdict, where it is no pass."""
        assert isinstance(self.parent, SpecFile)
        verdict = self.parent.result().verdict
        if verdict.outcome == "stale":
            raise GateFailure(" ".join(verdict.reasons))
        standing, reason = next(self._standings(), ("unclear", " ".join(verdict.reasons)))
        self.add_report_section("call", GROUP, reason)
        on_unclear = self.config.getoption("--harness-on-unclear")
        if standing == "unclear" and on_unclear == "skip":
            pytest.skip(f"unclear: {reason}")
        if standing == "failed" or (standing == "unclear" and on_unclear == "fail"):
            raise GateFailure(f"{standing}: {reason}")

    def _standings(self) -> Generator[tuple[str, str]]:
        assert isinstance(self.parent, SpecFile)
        verdict = self.parent.result().verdict
        readings = {"keeps": "passed", "breaks": "failed", "worse": "failed", "unclear": "unclear"}
        for floor in verdict.floors:
            if floor.floor == self.name:
                yield readings[floor.standing], floor.reason
        for one in verdict.comparison.metrics if verdict.comparison else ():
            if f"{one.metric} holds" == self.name:
                yield readings.get(one.verdict, "passed"), one.reason

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The reason alone; a traceback only of what is no verdict."""
        if isinstance(excinfo.value, GateFailure):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands, as pytest shows it."""
        return self.path, None, f"{self.path.stem}: {self.name}"
