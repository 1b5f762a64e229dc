"""What every provider and every scorer must do, as classes of tests to inherit from.

In: a subclass that says how to build the thing under test. Out: tests, found by pytest in the subclass:

    class TestMyProvider(ProviderContract):
        def make_provider(self) -> Provider:
            return MyProvider()

It must not import pytest when this module is imported: the package does not depend on it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar, get_args

from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, FailureKind, JsonValue, Reply, Score
from harness.testing.builders import a_call, a_sample

if TYPE_CHECKING:
    from harness.scores.scorer import Answer, Scorer

T = TypeVar("T")
MANY = 200


class ProviderContract:
    """A provider answers with text and usage, sends one request a call, and fails with a ProviderFault.

    A subclass defines `make_provider`, and the other `make_...` and `requests_sent` where the defaults do not
    fit. Every provider is built, used and closed within one event loop.
    """

    def make_provider(self) -> Provider:
        """A provider that answers; called inside the event loop that will use it."""
        raise NotImplementedError("define make_provider() in your subclass of ProviderContract")

    def make_call(self, number: int) -> Call:
        """A call that the provider can answer; `number` from 0 makes it another one."""
        return a_call(repeat=number)

    def make_faulty_provider(self) -> Provider | None:
        """A provider whose every request fails; `None` when that cannot be arranged: the test is skipped."""
        return None

    def requests_sent(self, provider: Provider) -> int | None:
        """Requests that this provider has sent so far; `None` when nobody counts: the test is skipped."""
        del provider
        return None

    def test_answers_a_call_with_text_and_usage(self) -> None:
        """A reply carries a text, why it ended, and tokens that add up."""
        reply = self._use(self.make_provider, lambda provider: provider.complete(self.make_call(0)))
        assert isinstance(reply, Reply)
        assert isinstance(reply.text, str)
        assert reply.finish_reason
        usage = reply.usage
        assert usage.input_tokens is not None
        assert usage.output_tokens is not None
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0
        assert 0 <= (usage.cached_input_tokens or 0) <= usage.input_tokens
        assert 0 <= (usage.reasoning_tokens or 0) <= usage.output_tokens

    def test_sends_one_request_a_call(self) -> None:
        """A provider neither retries nor caches; both belong to the engine."""

        async def three(provider: Provider) -> int | None:
            before = self.requests_sent(provider)
            for _ in range(3):
                await provider.complete(self.make_call(0))
            after = self.requests_sent(provider)
            return None if before is None or after is None else after - before

        sent = self._use(self.make_provider, three)
        if sent is None:
            _skip("requests_sent() is not defined")
        assert sent == 3

    def test_fails_with_a_classified_fault_after_one_request(self) -> None:
        """What goes wrong comes out as a ProviderFault of a known kind with a message, not retried."""

        async def fail(provider: Provider) -> tuple[Exception | None, int | None]:
            try:
                await provider.complete(self.make_call(0))
            except ProviderFault as fault:
                return fault, self.requests_sent(provider)
            return None, None

        def make() -> Provider:
            provider = self.make_faulty_provider()
            return provider if provider is not None else _skip("make_faulty_provider() is not defined")

        fault, sent = self._use(make, fail)
        assert isinstance(fault, ProviderFault), "a faulty provider answered"
        assert fault.kind in get_args(FailureKind)
        assert fault.message
        assert fault.retry_after_s is None or fault.retry_after_s >= 0
        assert sent in (None, 1)

    def test_closing_twice_is_harmless(self) -> None:
        """Nobody has to remember whether a provider was closed, or used at all."""

        async def close(provider: Provider) -> bool:
            await provider.close()
            await provider.close()
            return True

        assert self._use(self.make_provider, close)

    def test_answers_many_calls_at_once(self) -> None:
        """Calls that overlap are all answered, each with a reply of its own."""

        async def many(provider: Provider) -> list[Reply]:
            return await asyncio.gather(*(provider.complete(self.make_call(n)) for n in range(MANY)))

        replies = self._use(self.make_provider, many)
        assert len(replies) == MANY
        assert all(isinstance(reply.text, str) for reply in replies)

    def test_lets_itself_be_cancelled(self) -> None:
        """A call that is cancelled ends as cancelled, and the provider goes on answering."""

        async def cancel(provider: Provider) -> Reply:
            task = asyncio.ensure_future(provider.complete(self.make_call(0)))
            await asyncio.sleep(0)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(outcome, Reply | asyncio.CancelledError)
            return await provider.complete(self.make_call(1))

        assert self._use(self.make_provider, cancel).text is not None

    def _use(self, make: Callable[[], Provider], action: Callable[[Provider], Awaitable[T]]) -> T:
        async def run() -> T:
            provider = make()
            try:
                return await action(provider)
            finally:
                await provider.close()

        return asyncio.run(run())


class ScorerContract:
    """A scorer is a pure judgement: same answer, same score, between 0 and 1, whatever text comes in.

    A subclass defines `make_scorer`, and `target` when "billing" is none that the scorer understands.
    """

    target: JsonValue = "billing"

    def make_scorer(self) -> Scorer:
        """A fresh scorer."""
        raise NotImplementedError("define make_scorer() in your subclass of ScorerContract")

    def make_answer(self, text: str) -> Answer:
        """An answer with this text to a sample whose target is `target`."""
        from harness.scores.scorer import Answer

        return Answer(sample=a_sample(target=self.target), text=text, repeat=2, finish_reason="stop")

    def test_has_a_name_and_a_version(self) -> None:
        """Both are part of every score, so that numbers of different rules are never mixed."""
        scorer = self.make_scorer()
        assert isinstance(scorer.name, str)
        assert scorer.name
        assert isinstance(scorer.version, int)
        assert scorer.version >= 1

    def test_scores_the_target_itself(self) -> None:
        """A scorer is called with one answer, and its score says whose it is."""
        scorer = self.make_scorer()
        score = self._judge(scorer, str(self.target))
        assert (score.sample_id, score.repeat) == ("s1", 2)
        assert (score.scorer, score.version) == (scorer.name, scorer.version)

    def test_gives_the_same_score_twice(self) -> None:
        """Neither a second look nor a second scorer changes a judgement."""
        first = self.make_scorer()
        for text in (str(self.target), "something else"):
            assert self._judge(first, text) == self._judge(first, text)
            assert self._judge(first, text) == self._judge(self.make_scorer(), text)

    def test_takes_an_empty_answer(self) -> None:
        """An empty or blank text is judged, or said to be unscored; it is no crash."""
        for text in ("", "   ", "\n\t\r\n"):
            self._judge(self.make_scorer(), text)

    def test_takes_any_unicode(self) -> None:
        """Scripts, combining marks, emoji, control characters and lone surrogates are text like any other."""
        for text in ("Ünïcödé", "日本語の答え", "e\u0301", "👩‍🔬", "שלום", "\x00\x1b[0m", "\ud800", "İ"):
            self._judge(self.make_scorer(), text)

    def test_takes_a_megabyte(self) -> None:
        """A runaway answer is judged like a short one."""
        for text in ("x" * 1_000_000, "billing " * 125_000, "(" * 1_000_000):
            self._judge(self.make_scorer(), text)

    def _judge(self, scorer: Scorer, text: str) -> Score:
        score = scorer.score(self.make_answer(text))
        assert isinstance(score, Score)
        assert score.value is None or (math.isfinite(score.value) and 0.0 <= score.value <= 1.0)
        return score


def _skip(reason: str) -> NoReturn:
    import pytest

    pytest.skip(reason)
