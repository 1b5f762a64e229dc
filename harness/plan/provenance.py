"""What a result rests on: fingerprints, versions and the state of the code.

In: a plan. Out: a `Provenance`, and the cards of its tasks. Reads package metadata and asks git; must not
read anything secret.
"""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime

from harness.cards import TaskCard
from harness.environment import versions
from harness.findings import Provenance
from harness.plan.joined import JoinedRows
from harness.plan.plan import Plan

PACKAGES = ("llm-harness", "optuna", "litellm", "mlflow", "scipy", "scikit-learn")


def provenance_of(plan: Plan, started_at: datetime) -> Provenance:
    """The provenance of a run of this plan."""
    return Provenance(
        spec=plan.spec_fingerprint(),
        plan=plan.fingerprint(),
        data=plan.task.rows.fingerprint(),
        catalogue=plan.catalogue_fingerprint,
        prices_as_of=plan.prices_as_of,
        seed=plan.seed,
        versions=versions(PACKAGES),
        git_commit=_git_commit(),
        started_at=started_at,
        endpoints=plan.endpoints,
    )


def task_cards(plan: Plan) -> tuple[TaskCard, ...]:
    """The tasks of a plan of several, in the order of the spec; none of a plan of one."""
    rows = plan.task.rows
    used = rows.used if isinstance(rows, JoinedRows) else {}
    return tuple(
        TaskCard(
            name=part.name,
            weight=part.weight,
            metric=part.metric,
            n_search=used[part.name][0],
            n_confirm=used[part.name][1],
            data=part.rows.card,
        )
        for part in plan.task.parts
    )


def _git_commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603 - a fixed question to the git of this machine
            [git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None
