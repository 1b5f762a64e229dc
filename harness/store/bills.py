"""What a run paid, model by model.

In: an open store, and a run. Out: figures that add up to the ledger's. It changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from harness.findings import Paid, Spend
from harness.records import Purpose
from harness.store.connections import transaction
from harness.store.schema import tables
from harness.store.store import Store

UNANSWERED = ""  # in place of a model: what was billed although no answer came


def paid_by_model(store: Store, run: str, purpose: Purpose) -> dict[str, Paid]:
    """What this run paid for what it studied, by the full name of the model, over all its attempts.

    purpose: of the calls that were studied. What judges took stands in `Spend.by_purpose`. Raises
    StoreLostError when the database fails.
    """
    from sqlalchemy import func, select

    paid, answers = tables().payments, tables().answers
    query = (
        select(
            func.coalesce(answers.c.model, UNANSWERED),
            func.sum(paid.c.usd),
            func.count(),
            func.sum(paid.c.input_tokens),
            func.sum(paid.c.output_tokens),
        )
        .select_from(paid.outerjoin(answers, paid.c.key == answers.c.key))
        .where(paid.c.run == run, paid.c.purpose == purpose)
        .group_by(answers.c.model)
    )
    with transaction(store.database) as connection:
        rows = connection.execute(query).all()
    return {
        str(model): Paid(
            usd=float(usd), calls=int(calls), input_tokens=int(tokens_in), output_tokens=int(tokens_out)
        )
        for model, usd, calls, tokens_in, tokens_out in rows
    }


def with_others(store: Store, run: str, spend: Spend) -> Spend:
    """What a run cost with what other processes of it paid meanwhile. spend: as one of them counted it."""
    booked = store.spent(run)
    if booked.calls <= spend.calls:
        return spend
    parts = {
        purpose: replace(paid, cached=own.cached, saved_usd=own.saved_usd)
        for purpose, paid in booked.by_purpose.items()
        for own in (spend.by_purpose.get(purpose, Paid()),)
    }
    return replace(
        spend,
        usd=booked.usd,
        calls=booked.calls,
        input_tokens=booked.input_tokens,
        output_tokens=booked.output_tokens,
        lost=booked.lost,
        by_purpose={**spend.by_purpose, **parts},
    )
