"""A world's answers found by the messages alone, and experiments on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plan.planner import make_plan
from harness.records import Message, Settings
from harness.testing.experiment_files import read_experiment, served_at, world_answers, write_experiment
from harness.testing.simulator import SimulatedExperiment, simulated_experiment
from harness.testing.sources import Answered, PromptTable, messages_key
from harness.testing.wire import Question, Refusal
from harness.trials.evaluate import make_call


@pytest.fixture
def experiment(tmp_path: Path) -> SimulatedExperiment:
    """Twenty samples, three models, two prompts."""
    return simulated_experiment(tmp_path / "made", n_samples=20, seed=4)


def test_every_prompt_leads_back_to_its_sample(experiment: SimulatedExperiment) -> None:
    """All samples of both splits are found in every variant, and nothing else is."""
    plan = make_plan(experiment.spec)
    table = PromptTable.of(plan)
    assert len(table.places) == 2 * 20
    for split in ("search", "confirm"):
        for sample_id in plan.task.rows.ids(split):
            for variant, prompt in plan.task.prompts.items():
                place = table.find(prompt.render(plan.task.rows.sample(sample_id).inputs))
                assert place is not None
                assert (place.sample_id, place.prompt) == (sample_id, variant)
    assert table.find((Message("user", "something else"),)) is None


def test_a_plans_seeds_stand_for_its_repeats(experiment: SimulatedExperiment) -> None:
    """The seed that a run sends for a repeat is understood as that repeat; another one as itself."""
    plan = make_plan(experiment.spec)
    model = plan.models["sim/small"]
    taking = replace(model, settings={**model.settings, "seed": model.settings["temperature"]})
    plan = replace(plan, models={**plan.models, "sim/small": taking}, task=replace(plan.task, repeats=3))
    table, settings = PromptTable.of(plan), Settings(model="sim/small", prompt="plain", temperature=1.0)
    for sample_id in plan.task.rows.ids("search"):
        sample = plan.task.rows.sample(sample_id)
        seeds = [make_call(plan, settings, sample, repeat).settings.seed for repeat in range(3)]
        assert None not in seeds
        assert [table.repeat_of(sample_id, seed) for seed in seeds] == [0, 1, 2]
    assert (table.repeat_of("s01", None), table.repeat_of("s01", 77)) == (0, 77)


def test_prompts_that_cannot_be_told_apart_are_refused(experiment: SimulatedExperiment) -> None:
    """Two variants with one text would make the truth a matter of luck."""
    plain = (experiment.folder / "plain.jinja").read_text(encoding="utf-8")
    (experiment.folder / "reasoned.jinja").write_text(plain, encoding="utf-8")
    with pytest.raises(UsageError, match="same messages"):
        PromptTable.of(make_plan(experiment.spec))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "huge"}, 404, "model_not_found"),
        ({"messages": (Message("user", "who are you?"),)}, 400, "unknown_prompt"),
        ({"settings": {"top_p": 0.5}}, 400, "unsupported_parameter"),
    ],
)
def test_what_the_world_cannot_answer(
    experiment: SimulatedExperiment, change: dict, status: int, code: str
) -> None:
    """Unknown models and prompts and settings that a model refuses get the provider's errors."""
    models = {n: replace(m, refuses=frozenset({"top_p"})) for n, m in experiment.world.models.items()}
    source = world_answers(replace(experiment, world=replace(experiment.world, models=models)))
    plan = make_plan(experiment.spec)
    messages = plan.task.prompts["plain"].render(plan.task.rows.sample("s01").inputs)
    question = Question("small", messages, {})
    assert isinstance(source.answer(question), Answered)
    found = source.answer(replace(question, **change))
    assert isinstance(found, Refusal)
    assert (found.status, found.code) == (status, code)


def test_the_worlds_own_latency_at_a_pace(experiment: SimulatedExperiment) -> None:
    """It is the world's for this call, times the factor; without a pace there is none."""
    plan = make_plan(experiment.spec)
    messages = plan.task.prompts["plain"].render(plan.task.rows.sample("s01").inputs)
    question = Question("sim/small", messages, {"temperature": 0.5})
    fast, none = (
        world_answers(experiment, pace=0.1).answer(question),
        world_answers(experiment).answer(question),
    )
    assert isinstance(fast, Answered)
    assert isinstance(none, Answered)
    assert none.latency is None
    assert fast.latency is not None
    settings = Settings(model="sim/small", prompt="plain", temperature=0.5)
    own = experiment.world.latency(settings, "s01", output_tokens=2)
    assert (fast.latency.total_s, fast.latency.first_token_s) == pytest.approx(
        (own.total_s * 0.1, own.first_token_s * 0.1)
    )


def test_an_experiment_on_disk_can_be_moved_and_read(experiment: SimulatedExperiment, tmp_path: Path) -> None:
    """Spec, rows and world come back, and the spec names the files where they are now."""
    write_experiment(experiment)
    moved = experiment.folder.rename(tmp_path / "moved")
    found = read_experiment(moved)
    assert (found.world, found.rows) == (experiment.world, experiment.rows)
    assert world_answers(found).table == world_answers(read_experiment(moved)).table
    assert make_plan(moved / "experiment.yaml").task.rows.ids("search") == make_plan(
        found.spec
    ).task.rows.ids("search")


def test_a_folder_without_an_experiment(tmp_path: Path) -> None:
    """The message says what was expected in it."""
    with pytest.raises(UsageError, match=r"no simulated experiment .*world\.json"):
        read_experiment(tmp_path)


def test_an_experiment_asks_where_it_is_served(experiment: SimulatedExperiment) -> None:
    """The address is changed, and the experiment given is not."""
    served = served_at(experiment, "http://127.0.0.1:1234/v1")
    assert make_plan(served.spec).endpoints["sim"].api_base == "http://127.0.0.1:1234/v1"
    assert make_plan(experiment.spec).endpoints["sim"].api_base != "http://127.0.0.1:1234/v1"


def test_messages_are_named_without_ambiguity() -> None:
    """Roles and the borders between messages are part of a name."""
    names = [
        messages_key(messages)
        for messages in (
            (Message("user", "ab"),),
            (Message("system", "ab"),),
            (Message("user", "a"), Message("user", "b")),
            (Message("user", "a1:b"),),
            (),
        )
    ]
    assert len(set(names)) == len(names)
