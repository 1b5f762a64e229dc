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


def endpoint(project, providers=""):
    """The endpoint of the provider `local`, by the catalogue that is shipped."""
    spec = project.write("served.yaml", SERVED.format(providers=providers))
    return make_plan(spec, cache=project.cache).endpoints["local"]


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
