"""Every mistake in a spec is told with file, line, key, what was found and what to do."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.plan.planner import make_plan
from harness.plan.problems import shown, written

RANGE = "temperature: {low: 0.0, high: 1.0}"
MODELS = "[alpha/small, beta/SMALL]"

# (text, its replacement, line, key, words of the message)
ONE_FAULT = {
    "misspelt key": ("metric:", "metrik:", 6, "task.metrik", ["did you mean 'metric'"]),
    "misspelt section": ("seed: 3", "sed: 3", 14, "sed", ["did you mean 'seed'"]),
    "unlike any key": ("seed: 3", "zzz: 3", 14, "zzz", ["known here", "experiment"]),
    "key of the top": ("n_trials: 10", "n_trials: 10\n  seed: 1", 12, "search.seed", ["top level"]),
    "key of a section": ("seed: 3", "top_p: 0.5", 14, "top_p", ["belongs under 'search'"]),
    "wrong type": ("n_trials: 10", "n_trials: ten", 11, "search.n_trials", ["'ten'", "a whole number"]),
    "number as text": (RANGE, 'temperature: "0.5"', 9, "search.temperature", ["'0.5'", "a number"]),
    "fraction": ("n_trials: 10", "n_trials: 1.5", 11, "search.n_trials", ["1.5", "a whole number"]),
    "yes for a number": (RANGE, "temperature: true", 9, "search.temperature", ["True", "a number"]),
    "not finite": (RANGE, "temperature: .nan", 9, "search.temperature", ["nan", "finite"]),
    "list for a mapping": ("budget: {usd: 1.0}", "budget: [1]", 12, "budget", ["a list of 1", "a mapping"]),
    "mapping for text": ("metric: accuracy", "metric: {a: 1}", 6, "task.metric", ["'a'", "text"]),
    "empty mapping": ("metric: accuracy", "metric: {}", 6, "task.metric", ["an empty mapping", "text"]),
    "no models": (MODELS, "[]", 8, "search.models", ["at least one"]),
    "missing key": ("  metric: accuracy\n", "", 2, "task.metric", ["is missing", "one quality"]),
    "missing failures": ("failures: count_as_wrong\n", "", 1, "failures", ["is missing", "leave_out"]),
    "unknown model": (MODELS, "[alpha/smal]", 8, "search.models[0]", ["alpha/smal", "did you mean"]),
    "unknown class": (MODELS, "[beta/LARGE]", 8, "search.models[0]", ["LARGE", "'beta'"]),
    "unknown provider": (MODELS, "[gamma/x]", 8, "search.models[0]", ["gamma/x", "unknown provider"]),
    "retired model": (MODELS, "[alpha/old]", 8, "search.models[0]", ["retired", "alpha/small"]),
    "unpriced model": (
        MODELS,
        "[alpha/unpriced]",
        8,
        "search.models[0]",
        ["no known price", "providers.alpha.models.unpriced.prices", "free: true"],
    ),
    "unknown scorer": ("choice: {labels: [billing, bug]}", "chioce: [a]", 5, "task.scorers[0]", ["'chioce'"]),
    "scorer arguments": ("labels:", "label:", 5, "task.scorers[0]", ["label"]),
    "scorer of two": (
        "choice: {labels: [billing, bug]}",
        "{exact: {}, choice: [a]}",
        5,
        "task.scorers[0]",
        ["expected one entry alone"],
    ),
    "number inside of options": (
        "choice: {labels: [billing, bug]}",
        "weighted: {scorers: [exact, json], weights: [.nan, 1]}",
        5,
        "task.scorers[0].weighted.weights[0]",
        ["found nan, expected a finite number"],
    ),
    "scorer that is nothing": (
        "choice: {labels: [billing, bug]}",
        "~",
        5,
        "task.scorers[0]",
        ["found nothing"],
    ),
    "scorer like another": (
        "choice: {labels: [billing, bug]}",
        "chrff",
        5,
        "task.scorers[0]",
        ["rubric, correctness, preference, semantic, or module:name of your own", "did you mean 'chrf'?"],
    ),
    "scorer twice": (
        "[choice: {labels: [billing, bug]}]",
        "[exact, exact]",
        5,
        "task.scorers",
        ["two scorers called 'exact'"],
    ),
    "unknown metric": ("accuracy", "acuracy", 6, "task.metric", ["'acuracy'", "did you mean 'accuracy'"]),
    "missing prompt": ("ask.jinja", "asc.jinja", 4, "task.prompt", ["prompts/asc.jinja", "no such file"]),
    "prompt folder": ("prompts/ask.jinja", "prompts", 4, "task.prompt", ["'prompts'", "no such file"]),
    "missing data": ("tickets.jsonl", "tikets.jsonl", 3, "task.dataset", ["tikets.jsonl", "no file"]),
    "unknown data set": ("tickets.jsonl", "tickets", 3, "task.dataset", ["datasets/tickets.yaml"]),
    "strange data file": ("tickets.jsonl", "rows.txt", 3, "task.dataset", ["'rows.txt'", ".csv"]),
    "temperature": (
        "high: 1.0",
        "high: 1.5",
        9,
        "search.temperature",
        ["1.5", "beta/mini takes 0 to 1", "narrow it"],
    ),
    "low above high": (RANGE, "temperature: {low: 1.0, high: 0.5}", 9, "search.temperature", ["low is 1"]),
    "log from zero": (
        RANGE,
        "temperature: {low: 0.0, high: 0.5, log: true}",
        9,
        "search.temperature",
        ["above 0"],
    ),
    "log and step": (
        RANGE,
        "temperature: {low: 0.1, high: 0.5, log: true, step: 0.1}",
        9,
        "search.temperature",
        ["exclude each other"],
    ),
    "half a range": (RANGE, "temperature: {low: 0.1}", 9, "search.temperature.high", ["is missing"]),
    "unknown range key": (
        RANGE,
        "temperature: {low: 0.1, high: 1, hihg: 2}",
        9,
        "search.temperature.hihg",
        ["did you mean 'high'"],
    ),
    "choice twice": (RANGE, "temperature: {choices: [1, 1.0]}", 9, "search.temperature", ["twice"]),
    "no choices": (RANGE, "temperature: {choices: []}", 9, "search.temperature.choices", ["at least one"]),
    "grid without end": (
        "n_trials: 10",
        "sampler: grid",
        11,
        "search.sampler",
        ["'grid'", "temperature can take any value", "give it a step or choices"],
    ),
    "reuse without other limits": (
        "{choices: [16, 64]}",
        "64\n  reuse_across_limits: true",
        11,
        "search.reuse_across_limits",
        ["lists no values", "2 to 16 choices"],
    ),
    "reuse without greedy answers": (
        RANGE,
        "temperature: {low: 0.1, high: 1.0}\n  reuse_across_limits: true",
        10,
        "search.reuse_across_limits",
        ["no temperature of 0", "begin at 0"],
    ),
    "unknown sampler": ("n_trials: 10", "sampler: gird", 11, "search.sampler", ["did you mean 'grid'"]),
    "answer time": (
        "seed: 3",
        "providers: {alpha: {models: {small: {answer_s: {low: 2, high: 1}}}}}",
        14,
        "providers.alpha.models.small.answer_s",
        ["low is 2, above high, 1"],
    ),
    "no answer": ("{choices: [16, 64]}", "0", 10, "search.max_output_tokens", ["found 0", "at least 1"]),
    "budget 0": ("usd: 1.0", "usd: 0", 12, "budget.usd", ["found 0", "more than 0"]),
    "no budget": ("budget: {usd: 1.0}", "budget: {}", 12, "budget", ["at least one of usd"]),
    "unknown failures": (
        "count_as_wrong",
        "count_as_rong",
        13,
        "failures",
        ["'count_as_rong'", "leave_out", "did you mean 'count_as_wrong'"],
    ),
    "failures of a strange type": ("count_as_wrong", "3", 13, "failures", ["found 3", "count_as_wrong"]),
    "unknown policy": ("seed: 3", "aim: {policy: bst}", 14, "aim.policy", ["'bst'", "best"]),
    "policy mapping": (
        "seed: 3",
        "aim: {policy: {cheapest: 0.1}}",
        14,
        "aim.policy.cheapest",
        ["did you mean 'cheapest_within'"],
    ),
    "policy that needs a number": (
        "seed: 3",
        "aim: {policy: floor}",
        14,
        "aim.policy",
        ["expected more than a word, as in {floor: 0.85}"],
    ),
    "policy that is a number": ("seed: 3", "aim: {policy: 0.1}", 14, "aim.policy", ["found 0.1", "text"]),
    "policy without anything": (
        "seed: 3",
        "aim: {policy: {}}",
        14,
        "aim.policy",
        ["found none of them", "exactly one of cheapest_within"],
    ),
    "two policies": (
        "seed: 3",
        "aim: {policy: {floor: 0.8, fastest_within: 0.1}}",
        14,
        "aim.policy",
        ["found fastest_within and floor, expected exactly one"],
    ),
    "a floor above all qualities": (
        "seed: 3",
        "aim: {policy: {floor: 85}}",
        14,
        "aim.policy.floor",
        ["found 85", "at most 1"],
    ),
    "a tolerance below 0": (
        "seed: 3",
        "aim: {policy: {fastest_within: -0.1}}",
        14,
        "aim.policy.fastest_within",
        ["found -0.1", "at least 0"],
    ),
    "a weight of nothing known": (
        "seed: 3",
        "aim: {policy: {weights: {qualty: 0.5}}}",
        14,
        "aim.policy.weights.qualty",
        ["did you mean 'quality'?"],
    ),
    "weights that weigh nothing": (
        "seed: 3",
        "aim: {policy: {weights: {price: 0}}}",
        14,
        "aim.policy.weights",
        ["every weight is 0; give at least one of quality, price, latency"],
    ),
    "a weight below 0": (
        "seed: 3",
        "aim: {policy: {weights: {price: -1}}}",
        14,
        "aim.policy.weights.price",
        ["found -1", "at least 0"],
    ),
    "aim": ("seed: 3", "aim: {confirm: 1}", 14, "aim.confirm", ["found 1", "less than 1"]),
    "limit name": (
        "seed: 3",
        "aim: {within: {latency_p95: 3}}",
        14,
        "aim.within.latency_p95",
        ["latency_p95_s"],
    ),
    "experiment name": (
        "triage",
        "../../x",
        1,
        "experiment",
        ["found '../../x', expected letters, digits, dots, dashes and underscores"],
    ),
    "long name": ("triage", "x" * 81, 1, "experiment", ["expected at most 80 characters"]),
    "empty text": ("metric: accuracy", 'metric: ""', 6, "task.metric", ["not empty"]),
    "unknown endpoint": (
        "seed: 3",
        "providers: {alfa: {rpm: 3}}",
        14,
        "providers.alfa",
        ["'alpha'", "api_base"],
    ),
    "address": (
        "seed: 3",
        "providers: {alpha: {api_base: x}}",
        14,
        "providers.alpha.api_base",
        ["found 'x', expected an address that begins with http:// or https://"],
    ),
    "address with a query": (
        "seed: 3",
        "providers: {alpha: {api_base: 'https://llm.example/v1?api-version=1'}}",
        14,
        "providers.alpha.api_base",
        ["without a query (?) or fragment (#)"],
    ),
    "provider name": ("seed: 3", 'providers: {"a b": {}}', 14, "providers.a b", ["'a b'", "letters"]),
    "no class": (
        "seed: 3",
        "providers: {alpha: {models: {own: {}}}}",
        14,
        "providers.alpha.models.own",
        ["needs a class", "SMALL"],
    ),
}


@pytest.mark.parametrize("name", ONE_FAULT)
def test_one_mistake_is_one_problem_with_its_line(project, name):
    """A single mistake gives a single problem: file, line, key, and words that help."""
    old, new, line, key, words = ONE_FAULT[name]
    (problem,) = project.faults((old, new))
    assert (problem.file, problem.line, problem.key) == ("triage.yaml", line, key)
    for word in words:
        assert word in problem.message


@pytest.mark.parametrize(
    ("setting", "model"),
    [("frequency_penalty: 0.5", "beta/mini"), ("top_p: {low: 0.1, high: 1}", "alpha/small")],
)
def test_a_setting_that_a_model_does_not_take_is_refused(project, setting, model):
    """The message names the setting, the model and what the model takes instead."""
    problem = project.faults(("n_trials: 10", setting))[0]
    assert (problem.line, problem.key) == (11, f"search.{setting.partition(':')[0]}")
    assert f"{model} does not take" in problem.message
    assert "max_output_tokens" in problem.message


def test_a_large_number_is_shown_as_it_was_written(project):
    """99999999 and not 1e+08."""
    (problem,) = project.faults((RANGE, "temperature: 99999999"), (", beta/SMALL", ""))
    assert problem.message.startswith("holds 99999999, but alpha/small takes 0 to 2")


def test_a_word_that_a_model_does_not_take_is_refused(project):
    """Choices of words are held against those of the model."""
    (problem,) = project.faults(
        ("n_trials: 10", "reasoning_effort: {choices: [low, huge]}"), (", beta/SMALL", "")
    )
    assert (problem.line, problem.key) == (11, "search.reasoning_effort")
    assert "'huge', but alpha/small takes 'low', 'high'" in problem.message


@pytest.mark.parametrize(
    ("low", "high", "value", "words"),
    [("null", "1", "2", "at most 1"), ("1", "null", "0.5", "at least 1")],
)
def test_ranges_that_are_open_on_one_side_are_told_in_words(project, low, high, value, words):
    """A model that states only one end is held to that end."""
    settings = f"{{temperature: {{low: {low}, high: {high}}}, max_output_tokens: {{}}}}"
    own = f"providers: {{alpha: {{models: {{small: {{settings: {settings}}}}}}}}}"
    (problem,) = project.faults(("{low: 0.0, high: 1.0}", value), (", beta/SMALL", ""), ("seed: 3", own))
    assert f"alpha/small takes {words}" in problem.message


def test_a_limit_on_the_first_token_needs_a_stream(project):
    """An answer in one piece has no first token: each provider that does not stream is named."""
    limit = ("seed: 3", "aim: {within: {first_token_p50_s: 0.5}}\n")
    found = project.faults(limit)
    assert [(one.line, one.key) for one in found] == [(14, "aim.within.first_token_p50_s")] * 2
    assert "alpha answers in one piece" in found[0].message
    assert "write providers.beta.stream: true, or remove the limit" in found[1].message
    (beta,) = project.faults(limit, ("failures:", "providers: {alpha: {stream: true}}\nfailures:"))
    assert "providers.beta.stream" in beta.message
    both = "providers: {alpha: {stream: true}, beta: {stream: true}}\nfailures:"
    assert project.plan(limit, ("failures:", both)).aim.limits == {"first_token_p50_s": 0.5}


def test_all_mistakes_are_told_at_once(project):
    """Form, names, templates and rows: one reading tells them all, the spec's own first and by line."""
    project.write("prompts/ask.jinja", "Fits?\n{{ txet }}\n")
    rows = ['{"id": "a", "text": "x"}', '{"id": "b", "text": "y", "target": "bug"}', "no"]
    project.write("tickets.jsonl", "\n".join(rows))
    found = project.faults(
        ("metric: accuracy", "metric: acuracy\n  repeat: 2"),
        ("alpha/small", "alpha/smal"),
        ("high: 1.0", "high: 1.5"),
        ("usd: 1.0", "usd: 0"),
        ("seed: 3", "seed: x"),
    )
    assert [(one.file, one.line, one.key) for one in found] == [
        ("triage.yaml", 6, "task.metric"),
        ("triage.yaml", 7, "task.repeat"),
        ("triage.yaml", 9, "search.models[0]"),
        ("triage.yaml", 10, "search.temperature"),
        ("triage.yaml", 13, "budget.usd"),
        ("triage.yaml", 15, "seed"),
        ("tickets.jsonl", 1, ""),
        ("tickets.jsonl", 3, ""),
        ("prompts/ask.jinja", 2, ""),
    ]


def test_a_faulty_section_leaves_the_others_to_be_checked(project):
    """A section that lacks a key is told, and the rest is looked up all the same."""
    found = project.faults(("  metric: accuracy\n", ""), ("alpha/small", "alpha/smal"))
    assert [(one.line, one.key) for one in found] == [(2, "task.metric"), (7, "search.models[0]")]


def test_a_misspelt_mandatory_key_is_one_problem(project):
    """The key that was meant is not called missing as well."""
    (problem,) = project.faults(("failures:", "failure:"))
    assert "did you mean 'failures'" in problem.message


def test_two_bad_items_of_a_list_are_two_problems(project):
    """Giving up the list for the first does not lose the second."""
    found = project.faults(("[alpha/small, beta/SMALL]", "[3, alpha/small, 4]"))
    assert [one.key for one in found] == ["search.models[0]", "search.models[2]"]


def test_faults_hidden_by_others_are_found_too(project):
    """A list is given up for one bad item, and that the list is now missing is not told."""
    (problem,) = project.faults(("[alpha/small, beta/SMALL]", "[alpha/small, 3]"))
    assert (problem.line, problem.key) == (8, "search.models[1]")


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "hf_abcdefghijklmnopqrstuvw",
        "gsk_abcdefghijklmnop12345",
        "Bearer abcdefghijklm",
        "http://me:pa55word@example.com/v1",
    ],
)
@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("seed: 3", "providers: {{alpha: {{api_key: {}}}}}", "providers.alpha.api_key"),
        ("seed: 3", "providers: {{alpha: {{api_key_env: {}}}}}", "providers.alpha.api_key_env"),
        ("seed: 3", "description: {}", "description"),
        ("alpha/small", "{}", "search.models[0]"),
        ("accuracy", "{}", "task.metric"),
    ],
)
def test_a_key_in_the_spec_is_refused_and_never_repeated(project, secret, old, new, key):
    """The message says where the key is and where it belongs, not what it is."""
    (problem,) = project.faults((old, new.format(f'"{secret}"')))
    assert problem.key == key
    assert "environment variable" in problem.message
    assert secret not in str(problem)


@pytest.mark.parametrize(
    "text", ["key-performance-indicators", "rk-means-clustering", "risk-assessment-texts"]
)
def test_ordinary_words_are_no_keys(project, text):
    """A description with dashes in it is not refused."""
    assert project.plan(("seed: 3", f"description: {text}")).description == text


def test_values_in_messages_are_hidden_wherever_they_come_from():
    """The last line of defence: what is shown passes through one function."""
    assert shown(["a"]) == "a list of 1"
    assert shown("Bearer abcdefghijkl") == "<hidden>"


def test_a_key_used_as_a_name_is_not_repeated_either(project):
    """Also the dotted place of a problem hides it."""
    (problem,) = project.faults(("seed: 3", "sk-proj-abcdefghijklmnop1234: 1"))
    assert (problem.line, problem.key) == (14, "<hidden>")


def test_what_stands_for_the_name_of_a_key_is_never_shown(project):
    """A key of an unforeseen form, put where its variable belongs, stays out of the message."""
    (problem,) = project.faults(("seed: 3", "providers: {alpha: {api_key_env: 9f-secret}}"))
    assert "9f-secret" not in str(problem)
    assert "environment variable" in problem.message


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (99_999_999, "99999999"),
        (1e8, "100000000"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (1e-5, "0.00001"),
    ],
)
def test_numbers_are_shown_as_people_write_them(number, text):
    """No exponent where nobody wrote one, and no point behind a whole number."""
    assert written(number) == text


def test_long_values_are_cut(project):
    """A message holds the beginning of a long value only."""
    (problem,) = project.faults(("n_trials: 10", f"n_trials: {'x' * 500}"))
    assert len(problem.message) < 200


def test_a_mapping_from_python_has_no_lines(catalogue):
    """Problems of a spec made in a notebook are named by key."""
    with pytest.raises(SpecError) as caught:
        make_plan({"experiment": "x", "seed": object()}, catalogue=catalogue)
    assert {(one.file, one.line) for one in caught.value.problems} == {("<spec>", None)}
    assert {one.key for one in caught.value.problems} == {"task", "search", "budget", "failures", "seed"}


def test_a_spec_that_does_not_exist_says_how_to_begin(tmp_path):
    """The next step is in the message."""
    with pytest.raises(SpecError, match=r"does not exist.*harness init"):
        make_plan(tmp_path / "none.yaml")
