"""What a plan could cost and how long it could take: bounds hold, and each figure says what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.calls.budget import worst_case
from harness.catalogue.bounds import most_input_tokens
from harness.plan.estimate import SAMPLED_ROWS, estimate_plan, estimated_tokens
from harness.plan.planner import make_plan
from harness.plan.resolution import points
from harness.records import Message
from harness.run import tune
from harness.testing.builders import a_call
from harness.testing.simulator import simulated_experiment

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


SCHEMA = "{type: object, properties: {label: {type: string, description: WORDS}}}"


def test_a_schema_is_a_part_of_every_prompt(project):
    """In the bound as it is held before a call, and in the figures that are likely."""
    plain = estimate_plan(project.plan(EIGHT, ALPHA, limit=10))
    schema = SCHEMA.replace("WORDS", "one word after another " * 30)
    asked = ("  metric: accuracy", f"  metric: accuracy\n  output: {{schema: {schema}}}")
    plan = project.plan(EIGHT, ALPHA, asked, limit=10)
    found = estimate_plan(plan)
    more = found.input_tokens - plain.input_tokens
    assert more > found.calls * 200
    assert found.estimated_usd == pytest.approx(plain.estimated_usd + more * 1 / 1e6)
    assert all(now > before for now, before in zip(found.bill_usd, plain.bill_usd, strict=True))
    call = a_call(settings=plan.space.defaults["alpha/small"], messages=(Message("user", "ticket 1"),))
    held = worst_case(call, plan.models["alpha/small"])
    assert found.worst_case_usd >= found.calls * held.usd


def test_the_longest_of_tools_that_are_searched_is_the_worst_case(project):
    """A choice that is sent sometimes is held for as if it always were; a number is in no prompt."""
    plain = estimate_plan(project.plan(EIGHT, ALPHA, limit=10))
    tool = "{name: find, input_schema: {type: object, description: WORDS}}"
    tools = f"{{choices: [[], [{tool.replace('WORDS', 'word ' * 50)}]]}}"
    more = ("  n_trials: 10", f"  n_trials: 10\n  extra: {{tools: {tools}, top_k: 4}}")
    found = estimate_plan(project.plan(ALPHA, EIGHT, more, limit=10))
    assert (plain.calls, found.calls) == (40, 80)
    assert 80 * (1024 + 250) / 1e6 < found.worst_case_usd - 2 * plain.worst_case_usd < 80 * (1024 + 400) / 1e6


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


def test_calls_and_bill_are_those_of_a_race(project):
    """Low: losers are out at a first look and the cheapest wins; high: nobody is, and the dearest wins."""
    found = estimate_plan(project.plan(EIGHT, ("[billing, bug]", "[billing, bug, x]")))
    looks, deep, rest = 7 * 16, found.n_search + 4 * found.n_confirm, 7 * found.n_search
    assert found.likely_calls == (looks + deep, rest + deep)
    low, high = found.bill_usd
    tokens = estimated_tokens(len("Which label fits?\nticket 10"))
    # alpha/small: 1 USD in and 4 USD out per million, beta/mini twice that; "billing" is 3 tokens, "bug" 1.
    short = [(tokens - 2) / 1e6, (tokens + 3 * 4) / 1e6]
    assert looks * 1.5 * short[0] + deep * short[0] < low < looks * 1.5 * short[1] + deep * short[1]
    full = [(tokens - 2 + 64 * 4) / 1e6, (tokens + 64 * 4) / 1e6]
    assert rest * 1.5 * full[0] + deep * 2 * full[0] < high <= rest * 1.5 * full[1] + deep * 2 * full[1]
    assert high < found.worst_case_usd < 1.0


def test_the_budget_ends_calls_and_bill(project):
    """High: all of it. Low: a race may not be able to pay its next look."""
    found = estimate_plan(project.plan(EIGHT, ("{usd: 1.0}", "{usd: 10.0, calls: 100}")))
    assert (found.likely_calls, found.calls) == ((60, 100), 320)
    found = estimate_plan(project.plan(EIGHT, ("{usd: 1.0}", "{usd: 0.01}")))
    assert found.bill_usd[1] == pytest.approx(0.01)
    assert 0 < found.bill_usd[0] < 0.01
    assert found.likely_calls[0] < 7 * 16 < found.likely_calls[1] == 8 * found.n_search + 4 * found.n_confirm


@pytest.mark.parametrize(
    ("budget", "share"),
    [("{usd: 1.0}", None), ("{calls: 80}", 0.25), ("{usd: 100.0, calls: 640}", 2.0), ("{minutes: 5}", 0.0)],
)
def test_the_budget_is_a_share_of_the_full_grid(project, budget, share):
    """The smaller one of money and calls; a cap on time alone says nothing."""
    found = estimate_plan(project.plan(EIGHT, ("{usd: 1.0}", budget)))
    expected = 1.0 / found.estimated_usd if share is None else share or None
    assert found.budget_share == (None if expected is None else pytest.approx(expected))


def test_a_single_trial_has_no_race_to_end_early(project):
    """However early races end, the winner answers every sample."""
    found = estimate_plan(project.plan(n_trials=1))
    assert found.likely_calls == (40, 40)


@pytest.mark.parametrize("n_samples", [40, 150])
@pytest.mark.parametrize("budget", [{"usd": 50.0}, {"usd": 0.1}, {"usd": 50.0, "calls": 400}], ids=str)
def test_runs_keep_to_what_was_expected(tmp_path, n_samples, budget):
    """A simulated run makes as many calls, and pays as much, as its plan said before."""
    made = simulated_experiment(
        tmp_path / "experiment", n_samples=n_samples, search={"n_trials": 20}, budget=budget, seed=n_samples
    )
    found = estimate_plan(make_plan(made.spec))
    spend = tune(
        made.spec,
        store=f"sqlite:///{tmp_path}/store.db",
        reports=tmp_path,
        providers={"sim": made.simulator()},
        mlflow=False,
        environ={},
    ).spend
    assert found.likely_calls[0] <= spend.calls <= found.likely_calls[1]
    assert found.bill_usd[0] <= spend.usd <= found.bill_usd[1]


# -- what the data can tell


def test_each_split_has_a_smallest_difference(project, jsonl, rows_of):
    """(1.645 + 0.842) x 0.4 / sqrt(n) at 95 % in one direction, with its range."""
    jsonl(project.folder / "tickets.jsonl", rows_of(200))
    estimate = estimate_plan(project.plan(EIGHT))
    search, confirm = estimate.resolution
    assert (search.split, search.n) == ("search", estimate.n_search)
    assert (confirm.split, confirm.n) == ("confirm", estimate.n_confirm)
    for one in (search, confirm):
        for found, sd in ((one.low, 0.35), (one.difference, 0.40), (one.high, 0.48)):
            assert found == pytest.approx(2.4865 * sd / one.n**0.5, rel=1e-3)


def test_samples_of_one_group_count_once(project, jsonl, rows_of):
    """Five questions about one text are not five independent samples, and the words say so."""
    rows = [row | {"document": f"d{n // 5}"} for n, row in enumerate(rows_of(200))]
    jsonl(project.folder / "tickets.jsonl", rows)
    project.write("tickets.yaml", "file: tickets.jsonl\ncolumns: {group: document}\n")
    found = estimate_plan(project.plan(EIGHT, ("tickets.jsonl", "tickets.yaml")))
    assert [one.n for one in found.resolution] == [round(n / 5) for n in (found.n_search, found.n_confirm)]
    assert "Samples of one group count once." in found.basis
    assert "one group" not in estimate_plan(project.plan(EIGHT)).basis


@pytest.mark.parametrize(("tolerance", "small"), [("0.01", True), ("0.5", False), ("0.0", False)])
def test_data_too_small_for_the_policy_is_said_plainly(project, tolerance, small):
    """With what it tells apart, what the policy asks for, and how many samples that would take."""
    aim = ("budget:", f"aim: {{policy: {{cheapest_within: {tolerance}}}}}\nbudget:")
    found = estimate_plan(project.plan(EIGHT, aim))
    assert bool(found.too_small) is small
    if small:
        assert f"the {found.n_confirm} samples that confirm tell 2" in found.too_small
        assert "points apart; for 1 point it takes some 9893" in found.too_small
        assert "the cheapest within 1 point" in found.too_small


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.01, "1 point"),
        (0.0987, "9.9 points"),
        (0.29, "29 points"),
        (0.0022, "0.22 points"),
        (1.0, "100 points"),
    ],
)
def test_differences_are_told_in_points(difference, words):
    """Two digits are as many as such a figure deserves."""
    assert points(difference) == words


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
    """The fastest model at the fewest calls, the slowest at the most."""
    plan = timed(project.plan(EIGHT), alpha=(0.5, 1.0), beta=(1.0, 4.0))
    found = estimate_plan(plan)
    fewest, most = found.likely_calls
    assert found.duration_s == (fewest * 0.5 / 16, most * 4.0 / 16)
    assert "alpha/small: 0.5 to 1 s, a test" in found.basis


def test_models_that_answer_alike_are_told_together(project):
    """One fact, one place in the words."""
    basis = estimate_plan(timed(project.plan(EIGHT), alpha=(0.4, 4.0), beta=(0.4, 4.0))).basis
    assert "alpha/small, beta/mini: 0.4 to 4 s, a test." in basis


def test_a_limit_on_requests_sets_the_pace(project):
    """Six requests a minute are ten seconds each, however fast the model is."""
    plan = timed(project.plan(EIGHT, ALPHA, ("seed: 3", "providers: {alpha: {rpm: 6}}")), alpha=(0.5, 1.0))
    found = estimate_plan(plan)
    assert found.duration_s == tuple(calls * 10.0 for calls in found.likely_calls)


def test_a_cap_on_minutes_ends_the_time(project):
    """No run takes longer than it may."""
    plan = timed(project.plan(EIGHT, ("{usd: 1.0}", "{minutes: 1}")), alpha=(10, 20), beta=(10, 20))
    assert estimate_plan(plan).duration_s == (60.0, 60.0)


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
