"""Several tasks in one experiment: one quality by weight, and each task's own, from a spec to its report."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import harness
from harness.calls.provider import ProviderFault
from harness.cli.live import show_evaluation, show_recommendation
from harness.errors import SpecError, UsageError
from harness.fingerprint import share
from harness.outputs.exports.registry import made_for
from harness.outputs.exports.selection import selection_of
from harness.outputs.numbers import quality
from harness.past import chosen, load_run
from harness.plan.estimate import estimate_plan
from harness.plan.planner import make_plan
from harness.rebuilding import rebuild_report
from harness.stats.intervals import wilson
from harness.testing.scripted import ScriptedProvider
from harness.testing.simulator import simulated_experiment

DOWN = ProviderFault("bad_request", "the provider refuses this prompt")
COLOURS, ANIMALS = ["red", "blue"], ["cat", "dog", "owl"]
SETTINGS = {"model": "sim/small", "prompt": "default", "temperature": 0.5}


def rows(folder: Path, name: str, targets: list[str], count: int) -> str:
    """A file of rows whose targets take turns; every third one is of another customer."""
    path = folder / f"{name}.jsonl"
    lines = [
        {"id": f"{name}-{n:03d}", "text": f"{name} case {n}", "target": targets[n % len(targets)]}
        | {"metadata": {"customer": "new" if n % 3 == 0 else "old"}}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


def the_spec(folder: Path, **changes: Any) -> dict[str, Any]:
    """Colours count three times as much as animals, which are told by macro F1."""
    made = simulated_experiment(folder / "experiment", n_samples=20)
    tasks = {
        "colours": {
            "weight": 3,
            "dataset": rows(folder, "c", COLOURS, 90),
            "prompt": "Name the colour: {{ text }}",
            "scorers": [{"choice": COLOURS}, {"length": 20}],
            "metric": "accuracy",
        },
        "animals": {
            "dataset": rows(folder, "a", ANIMALS, 60),
            "prompt": "Name the animal: {{ text }}",
            "scorers": [{"choice": ANIMALS}],
            "metric": "macro_f1",
        },
    }
    for name, change in changes.pop("tasks", {}).items():
        tasks[name] = {**tasks.get(name, {}), **change}
    spec = {name: value for name, value in made.spec.items() if name != "task"}
    search = {**made.spec["search"], "models": ["sim/small", "sim/medium"], "n_trials": 6}
    return {**spec, "tasks": tasks, "search": search, **changes}


def truth(call: Any) -> str:
    """The target of a call's sample, by the number in its id."""
    name, _, number = call.sample_id.rpartition("-")
    targets = COLOURS if name.startswith("colours/") else ANIMALS
    return targets[int(number) % len(targets)]


def scripted(call: Any) -> Any:
    """Medium is good at colours, small at animals: in each 9 of 10, in the other 5 of 10."""
    good = {"sim/medium": "colours", "sim/small": "animals"}[call.settings.model]
    level = 0.9 if call.task == good else 0.5
    right = share("luck", call.sample_id, call.settings.model) < level
    wrong = next(one for one in (*COLOURS, *ANIMALS) if one != truth(call) and one in _labels(call))
    return truth(call) if right else wrong


def _labels(call: Any) -> list[str]:
    return COLOURS if call.task == "colours" else ANIMALS


def run(act: Any, spec: Any, folder: Path, answer: Any = scripted, *given: Any, **options: Any) -> Any:
    """Tune or evaluate in a folder of its own, with these answers."""
    provider = answer if isinstance(answer, ScriptedProvider) else ScriptedProvider(answer)
    return act(
        *([spec] if spec is not None else []),
        *given,
        store=f"sqlite:///{folder}/store.db",
        reports=folder / "reports",
        providers={"sim": provider},
        mlflow=False,
        environ={},
        **options,
    )


def test_quality_is_the_mean_of_the_tasks_by_weight(tmp_path):
    """Each task by its own metric with its own interval; the whole adds variances with squared weights."""
    result = run(harness.evaluate, the_spec(tmp_path), tmp_path, scripted, SETTINGS)
    colours, animals = result.trial.by_task["colours"], result.trial.by_task["animals"]
    right = sum(
        share("luck", f"colours/{one}", "sim/small") < 0.5
        for one in (line.partition("/")[2] for line in _asked(result, "colours"))
    )
    assert colours == wilson(right, 90, 0.95)
    assert "bootstrap" in animals.method
    quality = result.quality
    assert quality.value == pytest.approx(0.75 * colours.value + 0.25 * animals.value)
    below = math.hypot(0.75 * (colours.value - colours.low), 0.25 * (animals.value - animals.low))
    assert quality.value - quality.low == pytest.approx(below)
    assert quality.n == colours.n + animals.n


def _asked(result: Any, task: str) -> list[str]:
    ids = result.to_df()["sample_id"].unique()
    return [one for one in ids if one.startswith(f"{task}/")]


def test_each_task_has_its_weights_share_of_the_samples(tmp_path):
    """Three quarters are colours, all of them; the plan says how many animals are left out."""
    plan = make_plan(the_spec(tmp_path))
    ids = plan.task.rows.ids("all")
    assert sum(one.startswith("colours/") for one in ids) == pytest.approx(0.75 * len(ids), abs=2)
    assert any("animals" in note and "of 60 samples are asked" in note for note in plan.notes)


def test_a_search_picks_what_is_best_by_weight(tmp_path):
    """Medium wins where colours count most, small where animals do; nothing else differs."""
    heavy = run(harness.tune, the_spec(tmp_path), tmp_path)
    light = run(harness.tune, the_spec(tmp_path, tasks={"colours": {"weight": 0.25}}), tmp_path)
    assert heavy.best_params["model"] == "sim/medium"
    assert light.best_params["model"] == "sim/small"


def test_every_form_of_the_result_shows_the_tasks(tmp_path):
    """Page, short form, recommendation, frame, and the record that is loaded again."""
    result = run(harness.tune, the_spec(tmp_path), tmp_path)
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "Quality by task" in page
    assert "colours: SHA-256 of the rows" in page
    short = (result.folder / "report.md").read_text(encoding="utf-8")
    assert "| colours | 75% |" in short
    chosen_json = json.loads((result.folder / "recommendation.json").read_text())
    assert chosen_json["trial"]["by_task"].keys() == {"colours", "animals"}
    frame = pd.read_parquet(result.folder / "trials.parquet")
    assert {"value_colours", "value_animals_low"} <= set(frame.columns)
    known = result.best_trial.by_task
    assert [(card.name, card.weight, card.metric) for card in result.record.tasks] == [
        ("colours", 0.75, "accuracy"),
        ("animals", 0.25, "macro_f1"),
    ]
    again = load_run(result.run_id, store=f"sqlite:///{tmp_path}/store.db")
    assert again.best_trial.by_task == known
    assert rebuild_report(
        result.run_id, store=f"sqlite:///{tmp_path}/store.db", reports=tmp_path / "again"
    ).files


TEMPLATES = {"colours": "Name the colour: {{ text }}", "animals": "Name the animal: {{ text }}"}


def test_an_export_of_several_tasks_holds_the_template_of_each(tmp_path):
    """In the values, in the set of recommendations by task and variant, or in a file for each task."""
    result = run(harness.tune, the_spec(tmp_path), tmp_path)
    document = json.loads(result.export("json", tmp_path / "out")[0].read_text())
    of_tasks = document["prompt"].pop("tasks")
    assert document["prompt"] == {"variant": "default"}
    assert {name: one["template"] for name, one in of_tasks.items()} == TEMPLATES
    assert document["evidence"]["confirm"]["by_task"].keys() == {"colours", "animals"}
    whole = json.loads(result.export("recommendation", tmp_path / "out")[0].read_text())
    assert whole["prompts"][result.run_id] == {f"{name}/default": text for name, text in TEMPLATES.items()}
    files = {path.name: path.read_text() for path in result.export("openai", tmp_path / "out")}
    assert {name: files[f"openai.{name}.prompt.jinja"] for name in TEMPLATES} == TEMPLATES
    mlflow = json.loads(result.export("mlflow", tmp_path / "out")[0].read_text())
    assert mlflow["task_templates"] == TEMPLATES
    manifest = json.loads(files["openai.manifest.json"])
    (fate,) = [one for one in manifest["settings"] if one["setting"] == "prompt"]
    assert fate["key"] == "openai.TASK.prompt.jinja"


def test_an_export_from_the_store_holds_the_template_of_each_task(tmp_path):
    """A run that is loaded again has no one prompt, and those of all its tasks."""
    result = run(harness.tune, the_spec(tmp_path), tmp_path)
    found = chosen(result.run_id, store=f"sqlite:///{tmp_path}/store.db")
    selection = selection_of([found.recommendation], templates={result.run_id: found.templates})
    assert selection.prompt_text is None
    assert selection.task_templates == TEMPLATES


def test_a_credential_in_the_template_of_a_task_is_not_exported(tmp_path):
    """As in the one template of a run of one task."""
    result = run(harness.tune, the_spec(tmp_path), tmp_path)
    kept = {**TEMPLATES, "animals": "Use sk-abcdefghijklmnop1234 on {{ text }}"}
    templates = {f"{name}/default": text for name, text in kept.items()}
    selection = selection_of([result.record.recommendation], templates={result.run_id: templates})
    with pytest.raises(UsageError, match="looks like a credential"):
        made_for("mlflow", selection)


def test_a_comparison_shows_each_task(tmp_path):
    """Medium against small, on the samples that both answered: better at colours, worse at animals."""
    spec = the_spec(tmp_path)
    small = run(harness.evaluate, spec, tmp_path, scripted, SETTINGS)
    medium = run(harness.evaluate, spec, tmp_path, scripted, {**SETTINGS, "model": "sim/medium"})
    found = harness.compare(small, medium)
    moved = {one.name: one for one in found.comparison.tasks}
    assert {name: one.n_pairs for name, one in moved.items()} == {"colours": 90, "animals": 29}
    assert moved["colours"].difference.low > 0 > moved["animals"].difference.high
    whole = 0.75 * moved["colours"].difference.value + 0.25 * moved["animals"].difference.value
    assert found.comparison.difference.value == pytest.approx(whole)
    assert "task animals (25%)" in repr(found)
    assert "| animals | 25% | 29 |" in found.markdown()
    assert found.comparison.quality.metric == "weighted score"
    assert {one.field for one in found.comparison.slices} == {"colours/customer", "animals/customer"}


def test_a_gate_on_several_tasks_shows_each(tmp_path):
    """A first run makes the baseline; settings that are worse where most weight lies fail, task by task."""
    path, gate = tmp_path / "baseline.json", {"alpha": 0.05, "tolerance": 0.05}
    spec = the_spec(tmp_path, gate=gate)
    best, other = ({**SETTINGS, "model": f"sim/{size}"} for size in ("medium", "small"))
    run(harness.gate, spec, tmp_path, scripted, path, settings=best, update_baseline=True)
    found = run(harness.gate, spec, tmp_path, scripted, path, settings=other)
    assert found.exit_code() == 1
    moved = {one.name: one.difference for one in found.comparison.tasks}
    assert moved["colours"].high < 0 < moved["animals"].low
    assert json.loads(path.read_text())["weights"] == {"colours": 0.75, "animals": 0.25}
    assert "| colours | 75% | 90 |" in found.markdown()
    assert "Task         colours (75%): -" in repr(found)
    assert "; colours -" in found.junit()


def test_a_terminal_tells_the_quality_of_each_task(tmp_path):
    """Below the quality of the whole, of a recommendation and of an evaluation."""
    tuned = run(harness.tune, the_spec(tmp_path), tmp_path)
    measured = run(harness.evaluate, the_spec(tmp_path), tmp_path, scripted, SETTINGS)
    for show, result, trial in (
        (show_recommendation, tuned, tuned.record.recommendation.trial),
        (show_evaluation, measured, measured.trial),
    ):
        stream = io.StringIO()
        show(result, stream)
        found = [line for line in stream.getvalue().splitlines() if line.startswith("Task ")]
        names = list(trial.by_task)
        assert found == [f"Task         {name}: {quality(trial.by_task[name])}" for name in names]


def test_figures_and_slices_are_named_by_task(tmp_path):
    """A further scorer counts only answers of its task; a field of two tasks is two fields."""
    result = run(harness.evaluate, the_spec(tmp_path), tmp_path, scripted, SETTINGS)
    assert result.trial.metrics == {"colours/length": 1.0}
    (found,) = result.record.breakdowns
    assert {one.field for one in found.slices} == {"colours/customer", "animals/customer"}
    assert {one.label for one in found.labels} == {
        *(f"colours/{name}" for name in COLOURS),
        *(f"animals/{name}" for name in ANIMALS),
    }
    assert found.scorers["colours/length"].n == 90


def test_a_refused_answer_counts_against_its_own_task_alone(tmp_path):
    """All animals are refused: their quality is 0, that of colours stays, and so does its further scorer."""

    def refuses(call: Any) -> Any:
        return DOWN if call.task == "animals" else truth(call)

    result = run(harness.evaluate, the_spec(tmp_path), tmp_path, refuses, SETTINGS)
    assert result.trial.by_task["colours"].value == 1.0
    assert result.trial.by_task["animals"].value == 0.0
    assert result.quality.value == pytest.approx(0.75)
    assert result.trial.metrics == {"colours/length": 1.0}


def test_a_run_that_is_cut_off_goes_on_for_what_is_missing(tmp_path):
    """Resumed, it asks only what was never answered, and ends as a run in one piece."""
    spec = the_spec(tmp_path, search={**the_spec(tmp_path)["search"], "n_trials": 3})
    whole = run(harness.tune, spec, tmp_path / "whole")
    made = 0

    def stops(call: Any) -> Any:
        nonlocal made
        made += 1
        if made > 60:
            raise KeyboardInterrupt
        return scripted(call)

    (tmp_path / "cut").mkdir()
    cut = run(harness.tune, spec, tmp_path / "cut", stops)
    assert cut.record.state == "stopped"
    provider = ScriptedProvider(scripted)
    again = run(harness.tune, None, tmp_path / "cut", provider, resume=cut.run_id)
    assert again.best_params == whole.best_params
    assert again.record.trials[0].by_task == whole.record.trials[0].by_task
    assert len(provider.calls) < whole.record.spend.calls


@pytest.mark.parametrize("name", ["document", "low", "high"])
def test_a_name_that_exports_or_tables_need_is_refused_with_its_line(tmp_path, name):
    """Before anything is spent."""
    spec = the_spec(tmp_path)
    path = tmp_path / "taken.yaml"
    tasks = {name: spec["tasks"]["colours"], "animals": spec["tasks"]["animals"]}
    path.write_text(yaml.safe_dump({**spec, "tasks": tasks}, sort_keys=False), encoding="utf-8")
    with pytest.raises(SpecError, match=f"tasks.{name}: cannot be the name of a task: .*choose another"):
        make_plan(path)


def test_two_names_that_a_table_could_not_tell_apart_are_refused(tmp_path):
    """Of a task and of the end of another one's interval."""
    spec = the_spec(tmp_path)
    tasks = {"animals": spec["tasks"]["animals"], "animals_low": spec["tasks"]["colours"]}
    with pytest.raises(SpecError, match="has 'animals' and a task of that name with _low or _high"):
        make_plan({**spec, "tasks": tasks})


def test_a_limit_is_shared_out_by_weight(tmp_path):
    """40 samples in all are 30 colours and 10 animals."""
    plan = make_plan(the_spec(tmp_path), limit=40)
    used = {name: sum(counts) for name, counts in plan.task.rows.used.items()}
    assert used == {"colours": pytest.approx(30, abs=2), "animals": pytest.approx(10, abs=2)}
    assert estimate_plan(plan).n_search == plan.task.rows.card.n_search


def test_a_task_without_variants_has_its_prompt_in_all_of_them(tmp_path):
    """And examples are shown by the task that has a place for them, each task its own."""
    start = "system:\nName colours.\nshots:\nuser:\n"
    prompts = {"short": start + "Colour? {{ text }}", "long": start + "Which colour is it? {{ text }}"}
    spec = the_spec(tmp_path, tasks={"colours": {"prompt": prompts}})
    spec["search"] = {**spec["search"], "n_shots": {"choices": [0, 2]}}
    plan = make_plan(spec)
    assert plan.space.prompts == ("short-0-shots", "short-2-shots", "long-0-shots", "long-2-shots")
    for sample_id in plan.task.rows.ids("search")[:20]:
        sample = plan.task.rows.sample(sample_id)
        messages = plan.task.messages("long-2-shots", sample)
        texts = " ".join(message.content for message in messages)
        if sample_id.startswith("animals/"):
            assert [message.content for message in messages] == [f"Name the animal: {sample.inputs['text']}"]
        else:
            assert texts.count("c case") == 3
            assert texts.count(f"{sample.inputs['text']} ") <= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"animals": {"repeats": 2}}, "tasks.animals.repeats: differs from that of task 'colours'"),
        ({"animals": {"output": "json"}}, "tasks.animals.output: differs"),
        ({"animals": {"weight": 0}}, "tasks.animals.weight: found 0, expected more than 0"),
        ({"animals": {"weight": 0.01}}, "tasks: weights leave task 'animals'"),
        ({"animals": {"scorers": [{"choices": ["cat"]}]}}, "tasks.animals.scorers[0]: unknown scorer"),
        ({"animals": {"dataset": "nowhere.jsonl"}}, "tasks.animals.dataset:"),
        ({"animals": {"prompt": "Which? {{ texts }}"}}, "asks for the field 'texts'"),
        (
            {"animals": {"prompt": {"a": "A {{ text }}"}}, "colours": {"prompt": {"b": "B {{ text }}"}}},
            "a variant is chosen for all tasks",
        ),
        (
            {
                name: {
                    "scorers": [{"rubric": {"models": ["sim/small"], "criterion": name}}],
                    "metric": "mean",
                }
                for name in ("colours", "animals")
            },
            "has a judge 'rubric', and task 'colours' has another one of that name",
        ),
    ],
)
def test_what_tasks_may_not_do_is_told_at_its_place(tmp_path, change, says):
    """What is one for all tasks, what is wrong in one of them, and weights that leave nothing."""
    with pytest.raises(SpecError) as told:
        make_plan(the_spec(tmp_path, tasks=change))
    assert says in str(told.value)


def test_a_spec_has_a_task_or_tasks(tmp_path):
    """Neither and both are refused."""
    spec = the_spec(tmp_path)
    with pytest.raises(SpecError, match="has both task and tasks"):
        make_plan({**spec, "task": spec["tasks"]["animals"]})
    with pytest.raises(SpecError, match="task: is missing"):
        make_plan({name: value for name, value in spec.items() if name != "tasks"})
    with pytest.raises(SpecError, match="tasks: found a mapping"):
        make_plan({**spec, "tasks": {"animals": spec["tasks"]["animals"]}})


def test_tasks_about_the_same_rows_are_told(tmp_path):
    """Their answers are not independent, which the interval takes them to be."""
    dataset = the_spec(tmp_path)["tasks"]["animals"]["dataset"]
    spec = the_spec(
        tmp_path, tasks={"beasts": {"prompt": "{{ text }}?", "scorers": ["exact"], "metric": "mean"}}
    )
    spec["tasks"]["beasts"]["dataset"] = dataset
    assert any("animals and beasts ask about the same rows" in note for note in make_plan(spec).notes)


def test_scorers_and_rows_of_python_may_stand_in_any_task(tmp_path):
    """A function and a list of rows, in the second task."""

    def shouts(answer: Any) -> bool:
        return answer.text.isupper()

    given = [{"text": f"say {n}", "target": "x"} for n in range(30)]
    spec = the_spec(tmp_path, tasks={"animals": {"dataset": given, "scorers": [shouts], "metric": "mean"}})
    result = run(harness.evaluate, spec, tmp_path, lambda _: "RED", SETTINGS)
    assert result.trial.by_task["animals"].value == 1.0
