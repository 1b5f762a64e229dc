"""Endpoints come from the catalogue and from what the spec says of its providers."""

from __future__ import annotations

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
