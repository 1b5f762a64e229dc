"""A provider that limits the rate and counts refused requests too: pressing on would end in nothing else."""

from __future__ import annotations

from harness.calls.provider import ProviderFault
from harness.records import CallFailure
from harness.testing.fake_clock import FakeClock
from harness.testing.scripted import ScriptedProvider

PER_S = 5.0
BURST = 25.0
CALLS = 300


class Bucket:
    """A bucket of requests that fills with time; each request takes one out, answered or not."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.left, self.filled_at = BURST, 0.0
        self.refused = 0

    async def answer(self, call):
        """An answer after half a second, or a refusal at once."""
        now = self.clock.monotonic()
        self.left = min(BURST, self.left + PER_S * (now - self.filled_at)) - 1.0
        self.filled_at = now
        if self.left < 0.0:
            self.refused += 1
            await self.clock.sleep(0.05)
            return ProviderFault("rate_limit", "429: slow down")
        await self.clock.sleep(0.5)
        return "billing"


def test_a_refused_call_keeps_its_place_while_it_rests(make_engine, ask):
    """So refusals slow the whole line down, and next to no call uses up its retries.

    If others were sent meanwhile, the provider would be asked without pause, and nearly all would fail.
    """
    clock = FakeClock()
    bucket = Bucket(clock)
    engine = make_engine(ScriptedProvider(bucket.answer), clock=clock, concurrency=16)
    outcomes = list(engine.run(ask(CALLS)))
    failed = [one for one in outcomes if isinstance(one, CallFailure)]
    assert len(outcomes) == CALLS
    assert len(failed) <= 0.05 * CALLS
    assert 0 < bucket.refused < CALLS
