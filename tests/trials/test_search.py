"""Search: what is asked of whom, in which order, and what is made of it, on a simulated provider."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from harness.calls.provider import ProviderFault
from harness.errors import InconclusiveError, ProviderError
from harness.plan.estimate import FINALISTS, FIRST_LOOK
from harness.plan.samplers import chosen_sampler
from harness.trials import finals
from harness.trials.allowance import MOST_RESERVED
from harness.trials.race import CLEAR_N


def outline(search):
    """All that a search decided, by trial."""
    return [
        (a.number, a.settings, a.state, a.samples(), a.reason, search.told.get(a.number)) for a in search.arms
    ]


def test_the_plan_counts_as_the_search_does():
    """What a loser and a confirmation cost stands in both rooms: the lower may not see the higher."""
    assert (FIRST_LOOK, FINALISTS) == (CLEAR_N, finals.MOST + 1)


def asked(witness):
    """All calls as texts, in no order."""
    return sorted(str(call) for call in witness.calls)


@pytest.fixture
def run_one(lab, witness):
    """Runs one search of a simulated experiment; gives experiment, plan, search and witness."""

    def run(n_samples=120, *, faults=None, sampler=None, **sections):
        experiment = lab.experiment(n_samples, **sections)
        plan = lab.plan(experiment)
        plan = replace(plan, sampler=sampler or plan.sampler)
        provider = witness(experiment.simulator(faults=faults))
        return experiment, plan, lab.search(plan, provider), provider

    return run


def test_trial_0_is_the_untuned_default(run_one):
    """The first model with the first prompt, as the space's defaults have it."""
    _, plan, search, _ = run_one()
    assert search.arms[0].settings == plan.space.defaults[plan.space.models[0]]
    assert search.arms[0].settings.prompt == plan.space.prompts[0]
    assert [arm.number for arm in search.arms] == list(range(len(search.arms)))


@pytest.mark.parametrize("n_trials", [1, 4, 11])
def test_no_more_trials_than_the_spec_allows(run_one, n_trials):
    """Fewer than the pool, or more: the number holds."""
    _, _, search, _ = run_one(60, search={"n_trials": n_trials})
    assert len(search.arms) == n_trials


def test_losers_see_fewer_samples_and_say_why(run_one):
    """Elimination spares calls, and the reason names how far behind whom."""
    _, plan, search, _ = run_one(300)
    whole = len(plan.task.rows.ids("search"))
    losers = [arm for arm in search.arms if arm.state == "eliminated"]
    assert losers
    assert min(arm.samples() for arm in losers) < whole
    for arm in losers:
        assert f"after {arm.samples()} samples" in arm.reason
        assert "behind trial" in arm.reason
    assert all(arm.reason == "" for arm in search.arms if arm.state == "complete")


def test_every_arm_ends_in_a_state(run_one):
    """Nothing is left running."""
    _, _, search, _ = run_one()
    assert {arm.state for arm in [*search.arms, *search.finalists]} <= {"complete", "eliminated", "stopped"}


def test_the_confirm_split_is_not_touched_by_the_search(run_one):
    """All calls on search samples come first; then finalists alone meet the confirm samples."""
    _, plan, search, witness = run_one()
    confirm = set(plan.task.rows.ids("confirm"))
    on_confirm = [call.sample_id in confirm for call in witness.calls]
    first = on_confirm.index(True)
    assert all(on_confirm[first:])
    asked_models = {(c.settings.model, c.settings.temperature) for c in witness.calls[first:]}
    assert asked_models == {(a.settings.model, a.settings.temperature) for a in search.finalists}


def test_all_settings_meet_the_samples_in_one_order(run_one):
    """Every arm answered the first samples of the split, so that all pairs have those in common."""
    _, _, search, _ = run_one()
    for arm in search.arms:
        assert arm.seen[:, 0].nonzero()[0].tolist() == list(range(arm.samples()))


def test_finalists_answer_the_whole_confirm_split(run_one):
    """The default is among them, whatever became of it."""
    _, plan, search, _ = run_one()
    assert 0 in [arm.number for arm in search.finalists]
    assert {arm.samples() for arm in search.finalists} == {len(plan.task.rows.ids("confirm"))}
    assert all(arm.board.split == "confirm" for arm in search.finalists)
    numbers = [arm.number for arm in search.finalists]
    assert len(set(numbers)) == len(numbers)


def test_the_champion_answered_everything(run_one):
    """A finalist besides the default was compared on all search samples."""
    _, plan, search, _ = run_one()
    whole = len(plan.task.rows.ids("search"))
    finalists = [arm.number for arm in search.finalists if arm.number]
    assert finalists
    assert all(search.arms[number].samples() == whole for number in finalists)


def test_no_call_is_sent_twice(run_one):
    """What an arm has answered is evidence, not a question."""
    _, _, _, witness = run_one()
    assert len(set(asked(witness))) == len(witness.calls)


def test_the_same_seed_asks_and_finds_the_same(lab, witness):
    """With a store of its own each, two searches send the same calls and tell the same values."""
    experiment = lab.experiment(120)
    plan = lab.plan(experiment)
    seen = []
    for store in ("a.db", "b.db"):
        provider = witness(experiment.simulator())
        search = lab.search(plan, provider, store=store)
        seen.append((asked(provider), outline(search), [arm.number for arm in search.finalists]))
    assert seen[0] == seen[1]


def test_another_seed_searches_elsewhere(lab, witness):
    """The seed decides order and proposals."""
    experiment = lab.experiment(60)
    plan = lab.plan(experiment)
    one, other = (
        outline(lab.search(p, witness(experiment.simulator()), store=f"{n}.db"))
        for n, p in enumerate((plan, replace(plan, seed=99)))
    )
    assert one != other


@pytest.mark.parametrize(
    ("budget", "repeats"),
    [({"usd": 5.0}, 1), ({"calls": 600}, 1), ({"calls": 600, "usd": 0.5}, 1), ({"calls": 2460}, 4)],
)
def test_a_warm_cache_changes_what_is_paid_and_nothing_else(lab, witness, budget, repeats):
    """The same search on the same store sends nothing and decides the same.

    Four repeats make blocks of exactly as many calls as the engine looks up together.
    """
    experiment = lab.experiment(120, budget={"usd": None} | budget, task={"repeats": repeats})
    plan = lab.plan(experiment)
    cold, warm = (witness(experiment.simulator()) for _ in range(2))
    first, second = (lab.search(plan, provider) for provider in (cold, warm))
    assert cold.calls
    assert warm.calls == []
    assert outline(first) == outline(second)
    assert [a.quality_values().tolist()[:5] for a in first.finalists] == [
        a.quality_values().tolist()[:5] for a in second.finalists
    ]


@pytest.mark.parametrize("calls", [280, 330, 405, 470, 560, 748])
@pytest.mark.parametrize("seed", [21, 22])
def test_what_is_asked_ahead_is_asked_in_any_case(lab, witness, seed, calls):
    """A search that asks nothing ahead makes the same calls and decides the same, only later."""
    experiment = lab.experiment(120, budget={"usd": None, "calls": calls}, seed=seed)
    plan = lab.plan(experiment)
    early, late = (witness(experiment.simulator()) for _ in range(2))
    first = lab.search(plan, early, store="early.db")
    second = lab.search(plan, late, store="late.db", asks_ahead=False)
    assert outline(first) == outline(second)
    assert asked(early) == asked(late)
    assert all(arm.samples() for arm in first.arms)


@pytest.mark.parametrize("calls", [300, 450, 1000])
def test_a_budget_of_calls_holds_and_leaves_room_to_confirm(run_one, calls):
    """No more requests than the cap, and the finalists still answer the whole confirm split."""
    _, plan, search, witness = run_one(120, budget={"usd": None, "calls": calls})
    assert len(witness.calls) <= calls
    assert {arm.state for arm in search.finalists} == {"complete"}
    assert {arm.samples() for arm in search.finalists} == {len(plan.task.rows.ids("confirm"))}


def test_a_budget_of_money_holds_and_leaves_room_to_confirm(run_one):
    """The bill stays below the cap, and dear finalists are confirmed."""
    _, plan, search, witness = run_one(200, budget={"usd": 0.2})
    assert witness.simulator.bill_usd <= 0.2
    assert len(plan.task.rows.ids("confirm")) > finals.ENOUGH
    assert min(arm.samples() for arm in search.finalists) >= finals.ENOUGH


def test_a_budget_for_nothing_is_inconclusive(lab, witness):
    """The message says what is too small beside what, and nothing is spent to find out."""
    experiment = lab.experiment(60, budget={"usd": None, "calls": 20})
    plan = lab.plan(experiment)
    provider = witness(experiment.simulator())
    with pytest.raises(InconclusiveError) as caught:
        lab.search(plan, provider)
    reserved = int(20 * MOST_RESERVED)
    assert str(caught.value) == (
        "the budget does not cover a first look at 6 combinations of model and prompt beside the "
        f"{reserved} calls that confirm 4 finalists: it is 20 calls; raise it, or search fewer models or "
        "prompts"
    )
    assert provider.calls == []


def test_a_cent_too_little_is_inconclusive(lab, witness):
    """A cap that the first call could cross sends nothing."""
    experiment = lab.experiment(60, budget={"usd": 1e-9})
    provider = witness(experiment.simulator())
    with pytest.raises(InconclusiveError, match=r"it is 0\.000000001 USD"):
        lab.search(lab.plan(experiment), provider)
    assert provider.calls == []


def test_a_space_that_is_used_up_ends_the_search(run_one):
    """Six combinations of model and prompt and two limits are twelve settings, however many trials."""
    fixed = {"temperature": 0.3, "frequency_penalty": None, "n_trials": 50}
    _, plan, search, _ = run_one(60, search={**fixed, "max_output_tokens": {"choices": [64, 256]}})
    assert len(search.arms) == plan.space.distinct == 12
    assert "every setting of the space was tried" in search.notes


def test_planned_calls_are_never_exceeded(run_one):
    """Who watches sees progress that ends at or below what was announced."""
    _, _, search, witness = run_one()
    assert len(witness.calls) <= search.planned_calls()


def test_whoever_watches_hears_of_every_answer_and_block(lab):
    """Once an answer, and once a block with its evidence complete."""
    experiment = lab.experiment(60)
    provider = experiment.simulator()
    answers, blocks = [], []
    lab.search(
        lab.plan(experiment),
        provider,
        on_answer=lambda: answers.append(1),
        on_block=lambda search: blocks.append(sum(int(arm.seen.sum()) for arm in search.arms)),
    )
    assert len(answers) == provider.requests
    assert blocks == sorted(blocks)


def test_a_search_for_confidence_says_what_it_knows(run_one):
    """Its race ends by itself, and a note tells which settings may be the best, at which confidence."""
    sections = {"n_trials": 6, "mode": "confidence"}
    _, _, search, _ = run_one(400, search=sections, budget={"usd": 50.0})
    (note,) = [note for note in search.notes if note.startswith("after ")]
    assert "of the 6 settings raced at 95% confidence" in note
    assert any(arm.state == "eliminated" and "stated confidence" in arm.reason for arm in search.arms)
    best = [arm.number for arm in search.arms if arm.state != "eliminated"]
    assert all(str(number) in note for number in best)


# -- limits and prices


def test_what_breaks_a_limit_neither_wins_nor_eats_the_budget(run_one):
    """Reasoning with the large model is too dear: out after a few samples, however good it is."""
    _, plan, search, _ = run_one(300, aim={"within": {"usd_per_1k_calls": 0.2}})
    whole = len(plan.task.rows.ids("search"))
    dear = [
        arm for arm in search.arms if arm.settings.model == "sim/large" and arm.settings.prompt == "reasoned"
    ]
    assert {arm.state for arm in dear} == {"infeasible"}
    assert max(arm.samples() for arm in dear) < whole / 2
    assert "usd_per_1k_calls is" in dear[0].reason
    assert all(arm.trial().usd_per_1k_calls <= 0.2 for arm in search.finalists)


def test_proposals_that_break_a_limit_are_told_so(run_one):
    """The sampler gets their quality as it is, and beside it how far they break each limit."""
    told = []

    class Listening(optuna.samplers.TPESampler):
        """Notes what every trial was told."""

        def after_trial(self, study, trial, state, values):
            super().after_trial(study, trial, state, values)
            told.append((trial.number, dict(trial.constraints)))

    chosen = chosen_sampler("auto", Listening(seed=1), None, "best")
    _, _, search, _ = run_one(300, sampler=chosen, aim={"within": {"usd_per_1k_calls": 0.2}})
    broken = [arm for arm in search.arms if arm.state == "infeasible"]
    assert broken
    assert all(0 <= search.told[arm.number] <= 1 for arm in broken)
    assert {number for number, limits in told if limits["usd_per_1k_calls"] > 0} >= {
        arm.number for arm in broken
    }


def test_a_limit_that_nothing_keeps_still_ends(run_one):
    """The search goes on with the least bad, and the choice will say so."""
    _, _, search, _ = run_one(60, aim={"within": {"usd_per_1k_calls": 1e-6}})
    assert search.finalists
    assert 0 in [arm.number for arm in search.finalists]


def test_a_cheap_model_within_the_tolerance_stays_in_the_race(run_one):
    """Where quality may be given up for price, being behind by less is no reason to drop out."""
    _, plan, search, _ = run_one(400, aim={"policy": {"cheapest_within": 0.2}})
    whole = len(plan.task.rows.ids("search"))
    small = [
        arm for arm in search.arms if arm.settings.model == "sim/small" and arm.settings.prompt == "plain"
    ]
    assert max(arm.samples() for arm in small) == whole
    cheapest = min(search.finalists, key=lambda arm: arm.usd_per_1k_calls())
    assert cheapest.settings.model == "sim/small"


# -- failures


def refusing(model, kind="bad_request"):
    """Faults for every call of this model."""
    fault = ProviderFault(kind, "refused by the test")
    return lambda call, attempt: fault if call.settings.model == model else None


@pytest.mark.parametrize("failures", ["count_as_wrong", "leave_out"])
def test_settings_that_only_fail_are_dropped_early(run_one, failures):
    """Whichever way failures count, nobody asks hundreds of times what is always refused."""
    _, plan, search, _ = run_one(200, faults=refusing("sim/large"), failures=failures)
    whole = len(plan.task.rows.ids("search"))
    refused = [arm for arm in search.arms if arm.settings.model == "sim/large"]
    assert max(arm.samples() for arm in refused) <= CLEAR_N < whole
    assert all(arm.reason for arm in refused)
    assert search.finalists[0].settings.model != "sim/large"


def test_what_cannot_be_scored_is_failed_and_says_so(run_one):
    """Left out of quality, such a trial has none; its state and reason tell."""
    _, _, search, _ = run_one(120, faults=refusing("sim/large"), failures="leave_out")
    refused = [arm for arm in search.arms if arm.settings.model == "sim/large"]
    assert {arm.state for arm in refused} == {"failed"}
    assert refused[0].reason == f"none of its {refused[0].samples()} samples could be scored"
    assert not set(search.told) & {arm.number for arm in refused}


def test_missing_credentials_of_all_end_the_search(lab):
    """One provider, one key: nobody can be asked, and the message says why and what to do."""
    experiment = lab.experiment(60)
    provider = experiment.simulator(faults=refusing("sim/medium", "credentials"))
    with pytest.raises(ProviderError, match=r"cannot be asked \(credentials\): refused .* resume the run"):
        lab.search(lab.plan(experiment), provider)
    assert provider.requests < 100


def test_a_model_that_cannot_be_asked_fails_alone(run_one):
    """Its trials end as failed with the cause, after a few calls, and the sweep goes on with the others."""
    _, _, search, _ = run_one(100, faults=refusing("sim/large", "not_found"))
    gone = [arm for arm in search.arms if arm.settings.model == "sim/large"]
    assert {arm.state for arm in gone} == {"failed"}
    assert all("refused by the test" in arm.reason for arm in gone)
    assert search.finalists[0].settings.model != "sim/large"
    assert {arm.state for arm in search.finalists} == {"complete"}
