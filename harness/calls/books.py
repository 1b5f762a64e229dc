"""What a request cost, written down: its hold settled, its bill in the ledger, its answer in the store.

In: calls whose money is held, and what came of them. Out: entries of the journal. It sends nothing and
decides nothing about retries. Used from one event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.calls.budget import Budget
from harness.calls.provider import ProviderFault
from harness.calls.tickets import Ticket
from harness.clock import Clock
from harness.records import UNSENT, CallFailure, Completion, FailureKind, Latency, Reply, Usage
from harness.store.answers import FailedCall, PaidAnswer, Payment
from harness.store.journal import Journal


class Books:
    """The books of one run. journal: where answers and bills become durable."""

    def __init__(
        self, run: str, budget: Budget, journal: Journal[tuple[Ticket, Completion]], clock: Clock
    ) -> None:
        self._run = run
        self._budget = budget
        self._journal = journal
        self._clock = clock

    def keep(self, ticket: Ticket, reply: Reply, price: float | None, latency: Latency) -> None:
        """Book an answer at its price, and at its worst when that is unknown."""
        payment = self._settle(ticket, ticket.worst.usd if price is None else price, reply.usage)
        answer = Completion(
            call=ticket.call, reply=reply, price_usd=price, latency=latency, cached=False, at=payment.at
        )
        model = ticket.call.settings.model
        paid = PaidAnswer(model=model, reply=reply, price_usd=price, latency=latency, payment=payment)
        self._journal.put(paid, (ticket, answer))

    def write_off(self, group: Sequence[Ticket], *, billed: bool) -> None:
        """Book a request that brought nothing: at its worst if it may have been billed, else give it back."""
        for ticket in group:
            if billed:
                self._journal.put_payment(self._settle(ticket, ticket.worst.usd, Usage()))
            else:
                self._budget.release(ticket.worst)

    def fail(self, ticket: Ticket, kind: FailureKind, message: str) -> CallFailure:
        """Note that a call has no answer. Of one that was never sent, or not again, nothing is known."""
        retryable = ProviderFault(kind, message).retryable
        failed = CallFailure(
            call=ticket.call, kind=kind, message=message, attempts=ticket.attempts, retryable=retryable
        )
        if failed.attempts and kind not in UNSENT:
            row = FailedCall.of(failed, run=self._run, key=ticket.key, at=self._clock.now())
            self._journal.put_failure(row)
        else:
            self._journal.put_release(ticket.key)
        return failed

    def _settle(self, ticket: Ticket, usd: float, usage: Usage) -> Payment:
        # What the provider does not state is booked at its worst: the caps must hold regardless.
        worst = ticket.worst
        input_tokens = worst.input_tokens if usage.input_tokens is None else usage.input_tokens
        output_tokens = worst.output_tokens if usage.output_tokens is None else usage.output_tokens
        self._budget.settle(worst, usd, input_tokens, output_tokens, ticket.call.purpose)
        return Payment(
            run=self._run,
            key=ticket.key,
            purpose=ticket.call.purpose,
            usd=usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            at=self._clock.now(),
        )
