"""Contracts: they pass what keeps them and catch what breaks them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Never

import pytest

from harness.calls.provider import Provider, ProviderFault
from harness.records import Call, Reply, Score, Usage
from harness.scores.scorer import Answer, Scorer
from harness.testing.builders import a_call, a_reply
from harness.testing.contracts import ProviderContract, ScorerContract
from harness.testing.scripted import ScriptedProvider


class Equals:
    """The simplest scorer: right when the text is the target."""

    name = "equals"
    version = 1

    def score(self, answer: Answer) -> Score:
        """1 for the target itself."""
        right = answer.text.strip() == answer.sample.target
        return Score(
            sample_id=answer.sample.id,
            repeat=answer.repeat,
            scorer=self.name,
            version=self.version,
            value=float(right),
        )


class TestEqualsKeepsTheContract(ScorerContract):
    """A scorer of a user passes with one method defined."""

    def make_scorer(self) -> Scorer:
        """A fresh one."""
        return Equals()


def broken_scorer(**breaks: Any) -> ScorerContract:
    """A contract whose scorer has these attributes instead of good ones."""
    scorer = Equals()
    for name, value in breaks.items():
        setattr(scorer, name, value)

    class Contract(ScorerContract):
        def make_scorer(self) -> Scorer:
            return scorer

    return Contract()


def a_value(value: float | None) -> Callable[[Answer], Score]:
    """A score method that always gives this value."""
    return lambda answer: replace(Equals().score(answer), value=value)


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), float("inf")])
def test_a_value_outside_0_to_1_is_caught(value: float | None) -> None:
    """Scores are shares."""
    with pytest.raises(AssertionError):
        broken_scorer(score=a_value(value)).test_scores_the_target_itself()


def test_unscored_is_allowed() -> None:
    """A scorer that cannot judge says None."""
    broken_scorer(score=a_value(None)).test_takes_an_empty_answer()


def test_a_scorer_that_changes_its_mind_is_caught() -> None:
    """State between answers is found by asking twice."""
    seen = []

    def moody(answer: Answer) -> Score:
        seen.append(answer)
        return replace(Equals().score(answer), value=float(len(seen) % 2))

    with pytest.raises(AssertionError):
        broken_scorer(score=moody).test_gives_the_same_score_twice()


@pytest.mark.parametrize("breaks", [{"name": ""}, {"version": 0}, {"version": "1"}])
def test_a_scorer_without_name_or_version_is_caught(breaks: Any) -> None:
    """Scores of unknown rules cannot be compared."""
    with pytest.raises(AssertionError):
        broken_scorer(**breaks).test_has_a_name_and_a_version()


def test_a_scorer_that_cannot_encode_a_text_is_caught() -> None:
    """Lone surrogates break naive encoding."""

    def naive(answer: Answer) -> Score:
        answer.text.encode()
        return Equals().score(answer)

    with pytest.raises(UnicodeEncodeError):
        broken_scorer(score=naive).test_takes_any_unicode()


def contract_of(make: Callable[[], ScriptedProvider]) -> ProviderContract:
    """A provider contract around this factory, which counts nothing."""

    class Contract(ProviderContract):
        def make_provider(self) -> Provider:
            return make()

        def make_faulty_provider(self) -> Provider:
            return make()

        def requests_sent(self, provider: Any) -> int:
            return len(provider.calls)

    return Contract()


def test_a_reply_without_usage_is_caught() -> None:
    """What cannot be priced is no answer."""
    contract = contract_of(lambda: ScriptedProvider(a_reply(usage=Usage())))
    with pytest.raises(AssertionError):
        contract.test_answers_a_call_with_text_and_usage()


class Retrying(ScriptedProvider):
    """A provider that quietly asks twice."""

    async def complete(self, call: Call) -> Reply:
        """The second answer."""
        with contextlib.suppress(ProviderFault):
            await super().complete(call)
        return await super().complete(call)


def test_a_provider_that_asks_twice_is_caught() -> None:
    """Retries inside a provider would be paid and not counted."""
    with pytest.raises(AssertionError):
        contract_of(lambda: Retrying("x")).test_sends_one_request_a_call()
    with pytest.raises(AssertionError):
        contract_of(
            lambda: Retrying(ProviderFault("overloaded", "503"))
        ).test_fails_with_a_classified_fault_after_one_request()


def test_a_raw_exception_is_not_a_fault() -> None:
    """Errors of a library must be classified on the way out."""

    def raw(call: Call) -> Never:
        raise ConnectionResetError("reset")

    with pytest.raises(ConnectionResetError):
        contract_of(lambda: ScriptedProvider(raw)).test_fails_with_a_classified_fault_after_one_request()


def test_a_faulty_provider_that_answers_is_caught() -> None:
    """A contract that was set up wrongly does not pass by accident."""
    with pytest.raises(AssertionError, match="answered"):
        contract_of(lambda: ScriptedProvider("x")).test_fails_with_a_classified_fault_after_one_request()


def test_what_a_subclass_does_not_define_is_skipped_or_asked_for() -> None:
    """Optional parts are skipped with their name; the one that is needed is asked for."""

    class Bare(ProviderContract):
        def make_provider(self) -> Provider:
            return ScriptedProvider("x")

    with pytest.raises(pytest.skip.Exception, match="make_faulty_provider"):
        Bare().test_fails_with_a_classified_fault_after_one_request()
    with pytest.raises(pytest.skip.Exception, match="requests_sent"):
        Bare().test_sends_one_request_a_call()
    with pytest.raises(NotImplementedError, match="make_provider"):
        ProviderContract().test_closing_twice_is_harmless()
    with pytest.raises(NotImplementedError, match="make_scorer"):
        ScorerContract().test_has_a_name_and_a_version()


def test_calls_of_a_contract_differ_by_number() -> None:
    """Many calls are many questions, so that a cache cannot answer them."""
    contract = ProviderContract()
    assert contract.make_call(0) == a_call()
    assert contract.make_call(0) != contract.make_call(1)


def test_nothing_here_imports_a_test_runner_or_a_heavy_library() -> None:
    """`harness.testing` can be imported where pytest is not installed."""
    code = (
        "import sys, harness.testing.contracts, harness.testing.simulator, harness.testing.scripted\n"
        "heavy = {'pytest', 'litellm', 'mlflow', 'optuna', 'datasets', 'sklearn', 'scipy', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
