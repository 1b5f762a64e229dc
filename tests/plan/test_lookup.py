"""Endpoints come from the catalogue and from what the spec says of its providers."""

from __future__ import annotations

import pytest

from harness.catalogue.models import LongPrompt, Prices, load_catalogue
from harness.errors import SpecError
from harness.plan.planner import make_plan

SERVED = """\
experiment: served
task: {{dataset: tickets.jsonl, prompt: "{{{{ text }}}}", scorers: [exact], metric: accuracy}}
search: {{models: [local/SMALL], n_trials: 1}}
{providers}budget: {{calls: 100}}
failures: count_as_wrong
"""
ADDRESS = "http://127.0.0.1:8900/v1"


def planned(project, providers=""):
    """The plan with these providers, by the catalogue that is shipped."""
    return make_plan(project.write("served.yaml", SERVED.format(providers=providers)), cache=project.cache)


def endpoint(project, providers=""):
    """The endpoint of the provider `local`."""
    return planned(project, providers).endpoints["local"]


def answer_s(project, providers=""):
    """The seconds an answer takes, and what they rest on."""
    (model,) = planned(project, providers).models.values()
    return model.answer_s, model.answer_s_source


def test_local_models_run_inside_by_default(project):
    """Without an address, weights are loaded by a server of our own."""
    made = endpoint(project)
    assert (made.wire, made.api_base, made.concurrency, made.timeout_s) == ("embedded", None, 2, 120.0)


def test_an_address_makes_local_models_served_ones(project):
    """With an address they are spoken to there, without a key, and as gently as inside."""
    made = endpoint(project, "providers: {local: {api_base: 'http://127.0.0.1:8900/v1'}}\n")
    assert (made.wire, made.api_base, made.api_key_env) == ("openai", "http://127.0.0.1:8900/v1", None)
    assert (made.concurrency, made.timeout_s) == (2, 120.0)


def test_what_the_spec_says_of_an_address_counts(project):
    """A server with more slots may be told so."""
    made = endpoint(
        project, "providers: {local: {api_base: 'http://127.0.0.1:8900/v1', concurrency: 8, timeout_s: 9}}\n"
    )
    assert (made.concurrency, made.timeout_s) == (8, 9.0)


def test_streaming_is_off_until_the_spec_asks_for_it(project):
    """It changes what goes over the wire, and only who wants the first token's time needs it."""
    assert endpoint(project).stream is False
    assert endpoint(project, "providers: {local: {stream: true}}\n").stream is True


def test_answer_times_are_those_of_the_catalogue(project):
    """With source and date."""
    seconds, source = answer_s(project)
    assert seconds == (0.25, 1.2)
    assert source.endswith("2026-11-23")


def test_at_another_address_nobody_knows_how_fast_a_model_answers(project):
    """The catalogue's figure is for the provider's own machines."""
    assert answer_s(project, f"providers: {{local: {{api_base: '{ADDRESS}'}}}}\n") == (None, "")


def test_the_spec_may_state_how_fast_a_model_answers(project):
    """For an endpoint of one's own, or against the catalogue."""
    own = f"{{api_base: '{ADDRESS}', models: {{smollm2-135m-instruct: {{answer_s: {{low: 1, high: 2}}}}}}}}"
    assert answer_s(project, f"providers: {{local: {own}}}\n") == ((1.0, 2.0), "as the spec states")


def test_a_refused_address_is_one_fault(project):
    """It is not called missing besides."""
    text = """\
experiment: own
task: {dataset: tickets.jsonl, prompt: "{{ text }}", scorers: [exact], metric: accuracy}
search: {models: [mine/m], temperature: 0.5}
providers: {mine: {api_base: "ftp://127.0.0.1/v1", free: true, models: {m: {class: SMALL}}}}
budget: {calls: 100}
failures: count_as_wrong
"""
    found = project.faults(spec_text=text)
    assert [one.key for one in found] == ["providers.mine.api_base"], found


def stated(project, model):
    """The faults of a spec that states this of a model of OpenAI, as key and message."""
    with pytest.raises(SpecError) as caught:
        planned(project, f"providers: {{openai: {{models: {{gpt-5.4: {model}}}}}}}\n")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (
            "{input: 0, output: 0}",
            "prices.input: is 0.0, expected more than 0; what costs nothing is declared",
        ),
        ("{input: 1, output: 0}", "prices.output: is 0.0, expected more than 0"),
        ("{input: 1, output: 2, cached_input: 5}", "prices.cached_input: is 5.0, expected 0 to 1.0 (input)"),
        (
            "{input: 1, output: 2, long_prompt: {above_tokens: 9, input: 0, output: 3}}",
            "prices.long_prompt.input: is 0.0, expected more than 0",
        ),
    ],
)
def test_prices_of_a_spec_are_held_to_what_a_file_is(project, prices, expected):
    """A price of 0 is not free until somebody says so, and the cache is no dearer than what it spares."""
    assert any(f"gpt-5.4.{expected}" in message for message in stated(project, f"{{prices: {prices}}}"))


def prices_of(project, prices):
    """The prices of gpt-5.4 where a spec states these."""
    text = SERVED.replace("local/SMALL", "openai/gpt-5.4")
    own = f"providers: {{openai: {{models: {{gpt-5.4: {{prices: {prices}}}}}}}}}\n"
    plan = make_plan(project.write("served.yaml", text.format(providers=own)), cache=project.cache)
    return plan.models["openai/gpt-5.4"].prices


def test_a_corrected_price_keeps_the_dearer_tier_of_long_prompts(project):
    """Else what is held for a long prompt would be too little; it is never below the price of a short one."""
    known = load_catalogue().find("openai/gpt-5.4").prices
    kept = prices_of(project, "{input: 2, output: 12}").long_prompt
    assert kept.above_tokens == known.long_prompt.above_tokens == 272_000
    assert kept.prices == known.long_prompt.prices
    raised = prices_of(project, "{input: 90, output: 12}").long_prompt.prices
    assert (raised.input, raised.output) == (90, known.long_prompt.prices.output)


def test_the_tier_of_long_prompts_can_be_stated(project):
    """As in a provider file."""
    made = prices_of(
        project, "{input: 2, output: 12, long_prompt: {above_tokens: 200000, input: 4, output: 20}}"
    )
    assert made == Prices(
        input=2, output=12, long_prompt=LongPrompt(above_tokens=200_000, prices=Prices(input=4, output=20))
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{temperature: {low: 2, high: 1}}", "temperature.low: is 2.0, which is above high, 1.0"),
        ("{temperature: {high: 1, default: 1.5}}", "temperature.default: is 1.5, which lies outside"),
        ("{reasoning_effort: {choices: [low], default: max}}", "reasoning_effort.default: is 'max'"),
        ("{temperature: {not_with: [nonsense]}}", "temperature.not_with: names 'nonsense', which is no"),
        ("{temperature: {only_with: {top_p: [1]}}}", "temperature.only_with: names 'top_p', which is no"),
    ],
)
def test_settings_of_a_spec_are_held_to_what_a_file_is(project, settings, expected):
    """A range with its ends exchanged takes nothing, and a name that is no setting excludes nothing."""
    assert any(
        f"gpt-5.4.settings.{expected}" in message for message in stated(project, f"{{settings: {settings}}}")
    )


def test_a_catalogue_file_that_is_not_there_is_said_to_be_missing(project):
    """It was never read, so that nothing is said of YAML."""
    with pytest.raises(SpecError, match=r"nowhere\.yaml: cannot be read, No such file or directory: /"):
        planned(project, "catalogue: [nowhere.yaml]\n")


def test_a_retired_model_that_a_spec_declares_anew_is_noted(project):
    """With the day of its end, and its successor: its calls will most likely fail."""
    text = SERVED.replace("local/SMALL", "openai/gpt-3.5-turbo")
    own = "providers: {openai: {models: {gpt-3.5-turbo: {class: SMALL, prices: {input: 1, output: 2}}}}}\n"
    plan = make_plan(project.write("served.yaml", text.format(providers=own)), cache=project.cache)
    (note,) = [note for note in plan.notes if "serves it no more" in note]
    assert note.startswith(
        "openai/gpt-3.5-turbo is declared here, but openai serves it no more (since 2026-10-23)"
    )
    assert note.endswith("its successor is openai/gpt-4o-mini")
