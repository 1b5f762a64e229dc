"""A good spec becomes a plan with nothing left to decide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.catalogue.models import Prices, load_catalogue
from harness.errors import UsageError
from harness.plan.estimate import estimate_plan
from harness.plan.plan import Choices, Range, Sampler, Space
from harness.plan.planner import make_plan
from harness.plan.policy import Policy
from harness.plan.spec import Spec
from harness.records import Settings

ROOT = Path(__file__).parents[2]
RANGE = "temperature: {low: 0.0, high: 1.0}"
ANSWER = "max_output_tokens: {choices: [16, 64]}"
MODELS = "[alpha/small, beta/SMALL]"


def test_a_good_spec_is_looked_up_in_full(project):
    """Models, endpoints, space, scorers, prompts and rows are all there."""
    plan = project.plan()
    assert plan.experiment == plan.task.name == "triage"
    assert list(plan.models) == ["alpha/small", "beta/mini"]
    assert [scorer.name for scorer in plan.task.scorers] == ["choice"]
    assert (plan.task.metric, plan.task.repeats) == ("accuracy", 1)
    assert plan.task.scorer_forms == ({"choice": {"labels": ["billing", "bug"]}},)
    assert list(plan.task.prompts) == ["default"]
    assert len(plan.task.rows) == 40
    assert (plan.seed, plan.n_trials, plan.sampler, plan.failures) == (3, 10, Sampler(), "count_as_wrong")
    assert (plan.budget.usd, plan.budget.calls) == (1.0, None)
    assert (plan.aim.policy, plan.aim.tolerance, plan.aim.limits) == (Policy(), 0.0, {})
    assert (plan.aim.confirm, plan.aim.confidence) == (0.3, 0.95)
    assert plan.prices_as_of == "2026-01-01"
    assert plan.spec_file == str(project.folder / "triage.yaml")
    assert plan.notes == ()


def test_the_space_has_what_was_asked_for_and_defaults_inside_it(project):
    """The catalogue's default is taken into the range; the longest answer is the default."""
    space = project.plan().space
    asked = (Range("temperature", 0.0, 1.0), Choices("max_output_tokens", (16, 64)))
    assert dict(space.dimensions) == {"alpha/small": asked, "beta/mini": asked}
    assert space.defaults["alpha/small"] == Settings(
        model="alpha/small", prompt="default", temperature=0.3, max_output_tokens=64
    )
    assert space.defaults["beta/mini"].temperature == 1.0


@pytest.mark.parametrize(
    ("setting", "dimension", "default"),
    [
        ("temperature: 0.7", Choices("temperature", (0.7,)), 0.7),
        ("temperature: {low: 0.5, high: 0.5}", Choices("temperature", (0.5,)), 0.5),
        ("temperature: {low: 0.5, high: 1}", Range("temperature", 0.5, 1.0), 0.5),
        ("temperature: {low: 0, high: 0.2}", Range("temperature", 0.0, 0.2), 0.2),
        ("temperature: {low: 0, high: 1, step: 0.25}", Range("temperature", 0, 1, step=0.25), 0.25),
        ("temperature: {low: 0.1, high: 1, log: true}", Range("temperature", 0.1, 1, log=True), 0.3),
        ("temperature: {choices: [0.0, 0.3, 1.0]}", Choices("temperature", (0.0, 0.3, 1.0)), 0.3),
        ("temperature: {choices: [0.0, 0.5]}", Choices("temperature", (0.0, 0.5)), 0.5),
        ("reasoning_effort: high", Choices("reasoning_effort", ("high",)), "high"),
        ("reasoning_effort: {choices: [high, low]}", Choices("reasoning_effort", ("high", "low")), "low"),
        ('stop: ["\\n"]', Choices("stop", (["\n"],)), ("\n",)),
        ("stop: {choices: [[a], [b, c]]}", Choices("stop", (["a"], ["b", "c"])), ("a",)),
        (
            "max_output_tokens: {low: 10, high: 90, step: 20}",
            Range("max_output_tokens", 10, 90, integer=True, step=20),
            90,
        ),
    ],
)
def test_settings_become_dimensions(project, setting, dimension, default):
    """Ranges, choices and fixed values; a fixed value is a choice of one."""
    name = setting.partition(":")[0]
    old = ANSWER if name == "max_output_tokens" else RANGE
    space = project.plan((old, setting), (", beta/SMALL", "")).space
    assert dimension in space.dimensions["alpha/small"]
    value = getattr(space.defaults["alpha/small"], name)
    assert value == default
    assert type(value) is type(default)


def test_a_setting_can_be_absent_for_the_models_that_do_not_take_it(project):
    """`on_unsupported: condition` searches it for the others, and sends nothing to those without it."""
    both = "on_unsupported: condition\n  frequency_penalty: {low: 0.0, high: 1.0}\n  n_trials: 10"
    space = project.plan(("n_trials: 10", both)).space
    assert [d.name for d in space.dimensions["beta/mini"]] == ["temperature", "max_output_tokens"]
    assert "frequency_penalty" in [d.name for d in space.dimensions["alpha/small"]]
    assert space.defaults["beta/mini"].frequency_penalty is None
    assert space.defaults["alpha/small"].frequency_penalty == 0.0


def test_an_answer_always_has_an_end(project):
    """Without a word in the spec, the catalogue's length is sent, within what the model gives."""
    own = "providers: {alpha: {models: {small: {max_output_tokens: 100}}}}"
    assert project.plan((ANSWER, "")).space.defaults["alpha/small"].max_output_tokens == 1024
    assert project.plan((ANSWER, ""), ("seed: 3", own)).space.defaults["alpha/small"].max_output_tokens == 100
    bare = "providers: {alpha: {models: {small: {settings: {temperature: {}, max_output_tokens: {}}}}}}"
    defaults = project.plan((ANSWER, ""), ("seed: 3", bare)).space.defaults
    assert defaults["alpha/small"].max_output_tokens is None


def test_a_default_that_nobody_states_is_the_lowest_value(project):
    """Where the catalogue has no default, the search starts at the low end."""
    own = "providers: {alpha: {models: {small: {settings: {temperature: {low: 0}, max_output_tokens: {}}}}}}"
    plan = project.plan(("low: 0.0", "low: 0.2"), ("seed: 3", own))
    assert plan.space.defaults["alpha/small"].temperature == 0.2


def test_the_same_model_twice_is_one(project):
    """A class and a name that mean one model give it once."""
    assert list(project.plan((MODELS, "[alpha/SMALL, alpha/small]")).models) == ["alpha/small"]


@pytest.mark.parametrize(
    ("dimensions", "count"),
    [
        ((), 2),
        ((Choices("a", (1, 2, 3)),), 6),
        ((Range("a", 1, 3, integer=True), Range("b", 0.0, 0.3, step=0.1)), 24),
        ((Range("a", 0.0, 1.0),), None),
        ((Range("a", 1.0, 1.0),), 2),
    ],
)
def test_a_space_counts_its_settings(dimensions, count):
    """Models and prompts multiply; a range without steps cannot be counted."""
    space = Space(models=("m",), prompts=("p", "q"), dimensions={"m": dimensions}, defaults={})
    assert space.distinct == count


def test_variants_keep_the_order_of_the_spec(project):
    """The first variant is the untuned one."""
    several = 'prompt: {short: "{{ text }}", long: prompts/ask.jinja}'
    plan = project.plan(("prompt: prompts/ask.jinja", several))
    assert plan.space.prompts == ("short", "long")
    assert plan.space.defaults["alpha/small"].prompt == "short"
    assert plan.task.prompts["short"].render({"text": "x"})[0].content == "x"


def test_a_row_may_lack_what_a_prompt_can_do_without(project, jsonl, rows_of):
    """A field that only some rows have is fine under a condition."""
    project.write("prompts/ask.jinja", "{{ text }}{% if hint is defined %} {{ hint }}{% endif %}")
    rows = rows_of(20)
    rows[0]["hint"] = rows[9]["hint"] = "h"
    jsonl(project.folder / "tickets.jsonl", rows)
    assert project.plan().task.rows.fields == {"text", "hint"}


def test_endpoints_have_defaults_that_fit_where_the_model_runs(project):
    """Hosted: 16 at a time and a minute; on this machine: 2 and two minutes."""
    endpoints = project.plan((MODELS, "[alpha/small, here/tiny]")).endpoints
    alpha, here = endpoints["alpha"], endpoints["here"]
    assert (alpha.wire, alpha.concurrency, alpha.timeout_s) == ("openai", 16, 60.0)
    assert (alpha.api_base, alpha.api_key_env) == ("https://alpha.example/v1", "ALPHA_API_KEY")
    assert (here.wire, here.concurrency, here.timeout_s) == ("embedded", 2, 120.0)


def test_the_spec_changes_an_endpoint(project):
    """What it says wins over the catalogue."""
    own = (
        "providers: {alpha: {api_base: 'http://127.0.0.1:1/v1', api_key_env: MINE, rpm: 5, tpm: 6, "
        "concurrency: 7, timeout_s: 8, max_retries: 0, lane: litellm}}"
    )
    endpoint = project.plan(("seed: 3", own)).endpoints["alpha"]
    assert (endpoint.wire, endpoint.api_base, endpoint.api_key_env) == (
        "litellm",
        "http://127.0.0.1:1/v1",
        "MINE",
    )
    assert (endpoint.rpm, endpoint.tpm, endpoint.concurrency) == (5, 6, 7)
    assert (endpoint.timeout_s, endpoint.max_retries) == (8.0, 0)


def test_a_local_model_behind_an_address_is_not_embedded(project):
    """A server of one's own speaks the wire format."""
    own = "providers: {here: {api_base: 'http://127.0.0.1:1/v1'}}"
    assert project.plan((MODELS, "[here/tiny]"), ("seed: 3", own)).endpoints["here"].wire == "openai"


def test_an_endpoint_of_ones_own_needs_address_class_and_price(project):
    """Its models take what the OpenAI format defines."""
    own = (
        "providers: {mine: {api_base: 'http://127.0.0.1:1/v1', models: {m1: {class: SMALL, "
        "context_tokens: 99, prices: {input: 1, output: 2, cached_input: 0.5}}}}}"
    )
    plan = project.plan((MODELS, "[mine/SMALL]"), ("seed: 3", own))
    model = plan.models["mine/m1"]
    assert (model.prices, model.context_tokens) == (Prices(input=1.0, output=2.0, cached_input=0.5), 99)
    assert "temperature" in model.settings
    assert (plan.endpoints["mine"].wire, plan.endpoints["mine"].api_key_env) == ("openai", None)


@pytest.mark.parametrize(
    "own",
    [
        "providers: {alpha: {free: true}}",
        "providers: {alpha: {free: true, models: {unpriced: {}}}}",
        "providers: {alpha: {free: true, models: {unpriced: {prices: {input: 0, output: 0}}}}}",
    ],
)
def test_an_unknown_price_can_be_stated_or_declared_free(project, own):
    """Both ways make a model without price usable."""
    plan = project.plan((MODELS, "[alpha/unpriced]"), ("seed: 3", own))
    assert plan.models["alpha/unpriced"].prices == Prices(input=0.0, output=0.0)


def test_own_facts_win_over_the_catalogue(project):
    """Class, limits and choices of a known model can be corrected."""
    own = (
        "providers: {alpha: {models: {small: {class: LARGE, settings: {reasoning_effort: {choices: [a, b], "
        "default: b}, max_output_tokens: {}}}}}}"
    )
    plan = project.plan(
        (RANGE, "reasoning_effort: {choices: [a, b]}"), (", beta/SMALL", ""), ("seed: 3", own)
    )
    assert plan.models["alpha/small"].model_class == "LARGE"
    assert plan.space.defaults["alpha/small"].reasoning_effort == "b"


def test_an_announced_end_is_noted(project):
    """A plan says when a model will be gone."""
    assert (
        "alpha/large: its provider announced its end for 2027-01-01"
        in project.plan((MODELS, "[alpha/large]")).notes
    )


def test_a_date_that_no_model_has_is_that_of_the_catalogue(project):
    """Prices are never without a date."""
    assert project.plan((MODELS, "[here/tiny]")).prices_as_of == "2025-12-31"


def test_the_aim_is_read(project):
    """Policy with its tolerance, and only the limits that were set."""
    aim = (
        "aim: {policy: {cheapest_within: 0.02}, within: {failure_rate: 0.1, latency_p95_s: 3}, confirm: 0.5}"
    )
    found = project.plan(("seed: 3", aim)).aim
    assert (found.policy, found.tolerance) == (Policy(name="cheapest_within", amount=0.02), 0.02)
    assert found.confirm == 0.5
    assert dict(found.limits) == {"failure_rate": 0.1, "latency_p95_s": 3.0}


def test_the_aim_can_be_said_in_words(project):
    """Policy and limits as a phrase."""
    plain = project.plan().aim
    limited = project.plan(
        ("seed: 3", "aim: {policy: {cheapest_within: 0.02}, within: {failure_rate: 0.1}}")
    ).aim
    assert plain.words() == "the highest quality"
    assert (
        limited.words()
        == "the cheapest within 2 points of the highest quality, with failure_rate at most 0.1"
    )


def test_the_caps_can_be_said_in_words(project):
    """Plain numbers with their units, one of each or many."""
    many = project.plan(("{usd: 1.0}", "{usd: 0.5, calls: 1000000, tokens: 1, minutes: 1.5}")).budget
    assert many.words() == "0.5 USD, 1000000 calls, 1 token, 1.5 minutes"
    assert project.plan(("{usd: 1.0}", "{calls: 50, minutes: 1}")).budget.words() == "50 calls, 1 minute"


def test_a_grid_needs_a_space_that_can_be_counted(project):
    """With steps and choices everywhere, `sampler: grid` is taken."""
    plan = project.plan(
        (RANGE, "temperature: {low: 0, high: 1, step: 0.5}"), ("n_trials: 10", "sampler: grid")
    )
    assert (plan.sampler.name, plan.space.distinct) == ("grid", 12)


def test_how_fast_a_model_answers_is_no_part_of_the_plan(project):
    """A better guess of the time does not make a run another one."""
    own = "providers: {alpha: {models: {small: {answer_s: {low: 1, high: 2}}}}}\nseed: 3"
    timed = project.plan(("seed: 3", own))
    assert timed.models["alpha/small"].answer_s == (1.0, 2.0)
    assert timed.fingerprint() == project.plan().fingerprint()


def test_the_command_line_overrides_the_spec(project):
    """Each flag changes its own figure."""
    plan = project.plan(limit=10, repeat=2, seed=9, n_trials=4, max_cost=0.5, max_concurrency=3)
    assert (len(plan.task.rows), plan.task.repeats, plan.seed, plan.n_trials) == (10, 2, 9, 4)
    assert plan.budget.usd == 0.5
    assert {endpoint.concurrency for endpoint in plan.endpoints.values()} == {3}
    assert plan.task.rows.ids("search") != project.plan(limit=10).task.rows.ids("search")


def test_an_override_of_none_changes_nothing(project):
    """Flags that were not given are passed on as they are."""
    plan = project.plan(
        limit=None, repeat=None, seed=None, n_trials=None, max_cost=None, max_concurrency=None
    )
    assert plan.fingerprint() == project.plan().fingerprint()


@pytest.mark.parametrize(
    "override",
    [{"limit": 3}, {"repeat": 0}, {"seed": -1}, {"n_trials": 0}, {"max_cost": 0.0}, {"max_concurrency": 0}],
)
def test_an_override_that_makes_no_sense_is_refused(project, override):
    """The message names the flag and its lowest value."""
    with pytest.raises(UsageError, match=next(iter(override))):
        project.plan(**override)


def test_the_plan_has_a_name_that_follows_what_matters(project):
    """Another seed, prompt, price or row is another plan; another budget or comment is not."""
    first = project.plan()
    same = project.plan(("usd: 1.0", "usd: 2.0"), ("seed: 3", "seed: 3 # a comment"))
    assert first.fingerprint() == same.fingerprint()
    assert first.spec_fingerprint() != same.spec_fingerprint()
    others = [
        project.plan(("seed: 3", "seed: 4")),
        project.plan(("labels: [billing, bug]", "labels: [bug, billing]")),
        project.plan(
            ("seed: 3", "providers: {alpha: {models: {small: {prices: {input: 9, output: 9}}}}}\nseed: 3")
        ),
        project.plan(limit=20),
    ]
    project.write("prompts/ask.jinja", "Other: {{ text }}")
    others.append(project.plan())
    assert len({plan.fingerprint() for plan in [first, *others]}) == len(others) + 1


def test_a_mapping_and_a_spec_plan_like_the_file(project, catalogue):
    """A notebook may pass plain Python; paths then begin at `base`."""
    from ruamel.yaml import YAML

    written = YAML(typ="safe", pure=True).load((project.spec()).read_text())
    options = {"base": project.folder, "catalogue": catalogue, "cache": project.cache}
    plans = [
        make_plan(written, **options),
        make_plan(Spec.model_validate(written), **options),
        project.plan(),
    ]
    assert len({plan.fingerprint() for plan in plans}) == 1
    assert [plan.spec_file for plan in plans[:2]] == [None, None]


def test_a_draft_with_faults_is_no_plan(project, catalogue):
    """What cannot happen is said, should it happen."""
    from harness.plan.planner import _Draft
    from harness.plan.spec_reader import read_spec
    from harness.scores.own import Permission

    draft = _Draft(read_spec(project.spec()), catalogue, project.folder, project.cache, Permission())
    with pytest.raises(AssertionError, match="no fault"):
        draft.plan(None, None)


def test_the_quickstart_of_this_repository_plans(tmp_path):
    """The spec that people try first is in order, with the catalogue as shipped."""
    plan = make_plan(ROOT / "experiments" / "quickstart.yaml", cache=tmp_path)
    assert plan.task.rows.card.name == "reviews"
    found = estimate_plan(plan)
    assert (found.worst_case_usd, found.bill_usd) == (0.0, (0.0, 0.0))
    assert found.duration_s is not None
    assert plan.catalogue_fingerprint == load_catalogue().fingerprint()


def test_planning_loads_no_heavy_library():
    """A spec over JSON Lines is planned without the libraries that only a run needs."""
    heavy = "pandas datasets numpy scipy sklearn optuna litellm mlflow sqlalchemy pyarrow plotly aiohttp"
    code = (
        "import sys; from harness.plan.planner import make_plan; from pathlib import Path; "
        "make_plan(Path('experiments/quickstart.yaml')); "
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    asked = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
