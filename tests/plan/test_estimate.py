"""What a plan could cost and how long it could take: bounds hold, and each figure says what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.catalogue.bounds import most_input_tokens
from harness.plan.estimate import SAMPLED_ROWS, estimate_plan, estimated_tokens

RANGE = "temperature: {low: 0.0, high: 1.0}"
EIGHT = (RANGE, "temperature: {choices: [0.0, 0.5]}")
ALPHA = ("[alpha/small, beta/SMALL]", "[alpha/small]")


def timed(plan, **seconds):
    """The plan with these answer times, by provider."""
    models = {
        name: replace(model, answer_s=seconds.get(model.provider), answer_s_source="a test")
        for name, model in plan.models.items()
    }
    return replace(plan, models=models)


def test_the_worst_case_bounds_calls_and_money(project):
    """Every trial on every row, full answers, a token per byte, the dearest model."""
    plan = project.plan(EIGHT, limit=10)
    found = estimate_plan(plan)
    assert (found.trials, found.distinct) == (8, 8)
    assert (found.n_search + found.n_confirm, found.repeats, found.calls) == (10, 1, 80)
    texts = ["Which label fits?\nticket 1", "Which label fits?\nticket 10"]
    low, high = (most_input_tokens([text]) for text in texts)
    # beta/mini is the dearer one: 2 USD in and 8 USD out per million tokens.
    assert 80 * (low * 2 + 64 * 8) / 1e6 <= found.worst_case_usd <= 80 * (high * 2 + 64 * 8) / 1e6
    fewer, more = (estimated_tokens(len(text)) for text in texts)
    assert 80 * fewer <= found.input_tokens <= 80 * more
    assert found.budget_usd == 1.0


@pytest.mark.parametrize("letter", ["界", "é", "}", "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL X}"])
def test_the_worst_case_holds_in_every_script(project, letter):
    """Chinese takes more than a token for 3.5 characters: bytes bound it, the estimate does not."""
    project.write("prompts/ask.jinja", letter * 1000)
    found = estimate_plan(project.plan(EIGHT, ALPHA, limit=4))
    tokens = 1000 * len(letter.encode())
    assert found.worst_case_usd >= found.calls * (tokens * 1 + 64 * 4) / 1e6
    assert found.estimated_usd < found.worst_case_usd


def test_an_answer_without_a_limit_is_bounded_by_its_model(project):
    """Where nothing is asked for, the model's own limit counts; where there is none, the basis says so."""
    bare = "{settings: {temperature: {}}}"
    own = f"providers: {{alpha: {{models: {{small: {bare}}}}}}}"
    changes = [ALPHA, ("  max_output_tokens: {choices: [16, 64]}\n", ""), ("seed: 3", own)]
    plan = project.plan(*changes)
    assert estimate_plan(plan).worst_case_usd > 400 * 4096 * 4 / 1e6
    endless = replace(plan.models["alpha/small"], max_output_tokens=None, context_tokens=None)
    found = estimate_plan(replace(plan, models={"alpha/small": endless}))
    assert "No limit on the answers of alpha/small is known" in found.basis


def test_the_bill_is_an_interval_from_an_early_end_to_the_worst_case(project):
    """Low: a fifth of the calls, the cheapest model, answers as short as the targets."""
    found = estimate_plan(project.plan(EIGHT, ("[billing, bug]", "[billing, bug, x]")))
    low, high = found.bill_usd
    assert found.likely_calls == (64, 320)
    assert high == found.worst_case_usd < 1.0
    assert 0 < low < found.estimated_usd < high
    tokens = estimated_tokens(len("Which label fits?\nticket 10"))
    # alpha/small: 1 USD in and 4 USD out per million; "billing" is 3 tokens, "bug" 1.
    assert 64 * (tokens - 2) / 1e6 < low < 64 * (tokens + 3 * 4) / 1e6


def test_the_budget_ends_calls_and_bill(project):
    """The smaller of bound and cap is the high end."""
    found = estimate_plan(project.plan(EIGHT, ("{usd: 1.0}", "{usd: 0.01, calls: 100}")))
    assert (found.likely_calls, found.calls) == ((64, 100), 320)
    assert found.bill_usd[1] == 0.01 < found.worst_case_usd


def test_a_single_trial_has_no_race_to_end_early(project):
    """However early races end, the winner answers every sample."""
    found = estimate_plan(project.plan(n_trials=1))
    assert found.likely_calls == (40, 40)


def test_tokens_are_estimated_on_the_safe_side():
    """35 characters are 10 tokens and 10 % on top."""
    assert estimated_tokens(35) == 11
    assert estimated_tokens(0) == 0


def test_a_search_without_end_is_bounded_by_its_trials(project):
    """A range without steps holds more settings than are tried."""
    found = estimate_plan(project.plan(repeat=2))
    assert (found.trials, found.distinct, found.calls) == (10, None, 10 * 40 * 2)


@pytest.mark.parametrize("target", [["bug", "billing"], "bug"])
def test_the_shortest_alternative_is_the_shortest_answer(project, jsonl, rows_of, target):
    """A list of targets costs no more than the shortest of them."""
    jsonl(project.folder / "tickets.jsonl", [row | {"target": target} for row in rows_of(40)])
    plain = estimate_plan(project.plan(EIGHT)).bill_usd
    jsonl(project.folder / "tickets.jsonl", [row | {"target": "bug"} for row in rows_of(40)])
    assert plain == estimate_plan(project.plan(EIGHT)).bill_usd


def test_time_is_calls_times_seconds_over_calls_in_flight(project):
    """The fastest model at a fifth of the calls, the slowest at all of them."""
    plan = timed(project.plan(EIGHT), alpha=(0.5, 1.0), beta=(1.0, 4.0))
    found = estimate_plan(plan)
    assert found.duration_s == (64 * 0.5 / 16, 320 * 4.0 / 16)
    assert "alpha/small: 0.5 to 1 s, a test" in found.basis


def test_models_that_answer_alike_are_told_together(project):
    """One fact, one place in the words."""
    basis = estimate_plan(timed(project.plan(EIGHT), alpha=(0.4, 4.0), beta=(0.4, 4.0))).basis
    assert "alpha/small, beta/mini: 0.4 to 4 s, a test." in basis


def test_a_limit_on_requests_sets_the_pace(project):
    """Six requests a minute are ten seconds each, however fast the model is."""
    plan = timed(project.plan(EIGHT, ALPHA, ("seed: 3", "providers: {alpha: {rpm: 6}}")), alpha=(0.5, 1.0))
    assert estimate_plan(plan).duration_s == (40 * 10.0, 160 * 10.0)


def test_a_cap_on_minutes_ends_the_time(project):
    """No run takes longer than it may."""
    plan = timed(project.plan(EIGHT, ("{usd: 1.0}", "{minutes: 1}")), alpha=(10, 20), beta=(10, 20))
    assert estimate_plan(plan).duration_s == (40.0, 60.0)


def test_time_is_unknown_where_one_model_has_no_figure(project):
    """The words name the model, and where to state the fact."""
    found = estimate_plan(timed(project.plan(EIGHT), alpha=(0.5, 1.0)))
    assert found.duration_s is None
    assert "how fast beta/mini answers" in found.basis
    assert "answer_s" in found.basis


def test_many_rows_are_sampled_and_the_words_say_so(project, jsonl, rows_of):
    """A bound that rests on a part of the rows does not claim all of them."""
    jsonl(project.folder / "tickets.jsonl", rows_of(SAMPLED_ROWS + 10))
    found = estimate_plan(project.plan(EIGHT))
    assert f"{SAMPLED_ROWS} of {SAMPLED_ROWS + 10} rows, the others taken to be like them" in found.basis
    assert "from all rows" in estimate_plan(project.plan(EIGHT, limit=10)).basis


def test_an_unpriced_model_in_a_plan_is_a_mistake_of_ours(project):
    """Plans are made with prices; one without is not priced at zero."""
    plan = project.plan()
    bare = {name: replace(model, prices=None) for name, model in plan.models.items()}
    with pytest.raises(AssertionError, match="with prices"):
        estimate_plan(replace(plan, models=bare))
