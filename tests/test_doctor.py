"""The check-up before a run: what is here, what is missing, and never a key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness.calls.provider import ProviderFault
from harness.doctor import Checkup, examine
from harness.records import Reply, Usage
from harness.testing.scripted import ScriptedProvider

TODAY = date(2026, 11, 25)
KEY = "sk-planted-canary-0123456789"
SPEC = """\
experiment: checked
task: {{dataset: rows.jsonl, prompt: "{{{{ text }}}}", scorers: [exact], metric: accuracy}}
search: {{models: [{models}], n_trials: 1}}
{providers}budget: {{calls: 100}}
failures: count_as_wrong
"""


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checkup]:
    """Examines a spec of these models and providers, in a folder without a store."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f'{{"id": "{n}", "text": "t{n}", "target": "x"}}\n' for n in range(20))
    Path("rows.jsonl").write_text(rows)

    def act(
        models: str | None = None, providers: str = "", *, today: date = TODAY, **environ: str
    ) -> Checkup:
        spec = None
        if models is not None:
            spec = Path("spec.yaml")
            spec.write_text(SPEC.format(models=models, providers=providers and f"providers: {providers}\n"))
        return examine(spec, store=None, environ=environ, today=today)

    return act


def only(found: Checkup) -> Any:
    """The only provider."""
    (provider,) = found.providers
    return provider


def test_a_key_that_is_not_set_is_missing(look: Any) -> None:
    """Named with its provider and what to do; a variable of blanks holds none."""
    for environ in ({}, {"OPENAI_API_KEY": "  \n"}):
        found = look("openai/gpt-4o-mini", **environ)
        assert (only(found).key_env, only(found).key_set) == ("OPENAI_API_KEY", False)
        (lack,) = found.missing
        assert lack.startswith("OPENAI_API_KEY is not set, and openai needs it; set it in the environment")


def test_a_key_that_cannot_be_sent_is_told(look: Any) -> None:
    """With the place of what nobody sees, and nothing of the key."""
    (lack,) = look("openai/gpt-4o-mini", OPENAI_API_KEY="sk-canary\u200b4711").missing
    assert lack.startswith("OPENAI_API_KEY, the key of openai, cannot be sent: its character 10 is U+200B")
    assert "canary" not in lack


def test_a_key_that_is_set_is_never_shown(look: Any) -> None:
    """Neither itself, nor a part of it, nor its length."""
    found = look("openai/gpt-4o-mini", OPENAI_API_KEY=KEY)
    assert (found.missing, only(found).key_set) == ((), True)
    assert "sk-" not in str(found)
    assert "canary" not in str(found)
    assert str(len(KEY)) not in str(only(found))


@pytest.mark.parametrize(
    ("models", "providers", "lane", "address"),
    [
        ("openai/SMALL", "", "direct: it speaks OpenAI's format", "https://api.openai.com/v1"),
        (
            "openai/SMALL",
            "{openai: {lane: litellm}}",
            "litellm: the spec says lane: litellm",
            "https://api.openai.com/v1",
        ),
        ("anthropic/SMALL", "", "litellm: its format is not OpenAI's", None),
        ("local/SMALL", "", "this machine: its weights run here", None),
        (
            "local/SMALL",
            "{local: {api_base: 'http://127.0.0.1:9/v1'}}",
            "direct: the spec gives the address of a server",
            "http://127.0.0.1:9/v1",
        ),
        (
            "mine/m",
            "{mine: {api_base: 'http://127.0.0.1:9/v1', free: true, models: {m: {class: SMALL}}}}",
            "direct: it speaks OpenAI's format",
            "http://127.0.0.1:9/v1",
        ),
    ],
)
def test_each_provider_has_a_lane_with_a_reason(
    look: Any, models: str, providers: str, lane: str, address: str | None
) -> None:
    """As the run would take it."""
    provider = only(look(models, providers))
    assert (f"{provider.lane}: {provider.why}", provider.address) == (lane, address)


def test_streaming_is_told(look: Any) -> None:
    """Where the spec asks for it."""
    assert not only(look("openai/gpt-4o-mini")).stream
    assert only(look("openai/gpt-4o-mini", "{openai: {stream: true}}")).stream


def test_a_proxy_on_the_way_is_told(look: Any) -> None:
    """One that cannot be spoken to stands in the way; its password is nobody's business."""
    keyed = {"OPENAI_API_KEY": KEY}
    assert not only(look("openai/gpt-4o-mini", **keyed)).proxied
    assert only(look("openai/gpt-4o-mini", **keyed, HTTPS_PROXY="http://proxy:3128")).proxied
    (lack,) = look("openai/gpt-4o-mini", **keyed, HTTPS_PROXY="socks5://me:secret@proxy:1080").missing
    assert lack.startswith("openai cannot be asked: HTTPS_PROXY is not of the form http://HOST:PORT")
    assert "secret" not in lack


def test_weights_that_are_not_here_are_missing(look: Any, tmp_path: Path) -> None:
    """With the command that fetches them; weights behind an address are somebody else's."""
    found = look("local/smollm2-135m-instruct", HARNESS_MODELS=str(tmp_path))
    assert "`harness models pull smollm2-135m-instruct`" in found.missing[0]
    assert (only(found).key_env, only(found).models[0].weights) == (None, None)
    served = look("local/SMALL", "{local: {api_base: 'http://127.0.0.1:9/v1'}}", HARNESS_MODELS=str(tmp_path))
    assert served.missing == ()
    assert only(served).models[0].weights_name is None


@pytest.mark.local_model
def test_weights_that_are_here_are_named(look: Any, weights: Path) -> None:
    """With the file they are in."""
    found = look("local/smollm2-135m-instruct", HARNESS_MODELS=str(weights))
    assert found.missing == ()
    assert Path(only(found).models[0].weights).parent == weights


def test_prices_have_a_date_and_an_age(look: Any) -> None:
    """Those of the catalogue; the spec's own are the spec's, and free is free."""
    (listed,) = only(look("openai/gpt-4o-mini")).models
    assert (listed.prices, listed.price_age_days) == ("2026-11-23", 2)
    own = "{openai: {models: {gpt-4o-mini: {prices: {input: 9.0, output: 9.0}}}}}"
    (stated,) = only(look("openai/gpt-4o-mini", own)).models
    assert (stated.prices, stated.price_age_days) == ("as the spec states", None)
    (free,) = only(look("openai/gpt-4o-mini", "{openai: {free: true}}")).models
    assert (free.prices, free.price_age_days) == ("free", None)


def test_old_prices_are_noted_and_stop_nothing(look: Any) -> None:
    """Vendors change their lists; nobody knows here whether this one did."""
    spec = Path("spec.yaml")
    look("openai/gpt-4o-mini", OPENAI_API_KEY=KEY)
    found = examine(spec, store=None, environ={"OPENAI_API_KEY": KEY}, today=date(2027, 11, 23))
    assert found.missing == ()
    assert any("the prices of openai are of 2026-11-23, 365 days old" in note for note in found.notes)


def test_faults_of_the_spec_are_missing_things(look: Any) -> None:
    """Each with its line; the rest is looked at all the same."""
    found = look("openai/gpt-4o-mni, openai/nix")
    assert [lack.split(": ")[0] for lack in found.missing] == ["spec.yaml:3", "spec.yaml:3"]
    assert found.providers == ()
    assert found.versions["llm-harness"]
    assert examine(Path("none.yaml"), store=None, environ={}, today=TODAY).missing[0].startswith("none.yaml")


def test_a_store_that_cannot_be_used_is_missing(look: Any) -> None:
    """Whatever the spec."""
    Path("bad.db").write_text("garbage" * 900)
    found = look(None, HARNESS_STORE="sqlite:///bad.db")
    assert "cannot be opened" in found.missing[0]
    assert found.store.problem == found.missing[0]


def test_without_a_spec_nothing_is_needed(look: Any) -> None:
    """All providers of the catalogue are shown, with the keys that are there."""
    found = look(None, TOGETHER_API_KEY=KEY)
    assert found.missing == ()
    keys = {provider.name: provider.key_set for provider in found.providers}
    assert {name for name, is_set in keys.items() if is_set} == {"together"}
    assert {"anthropic", "google", "local", "openai", "ollama", "vertex"} <= keys.keys()
    assert all(provider.models for provider in found.providers)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [("http://me:hunter2@127.0.0.1:5000", "http://***@127.0.0.1:5000"), ("", "/.harness/mlflow.db")],
)
def test_mlflow_is_told_without_its_password(look: Any, uri: str, shown: str) -> None:
    """Named by the environment, or our own store."""
    found = look(None, MLFLOW_TRACKING_URI=uri)
    assert found.mlflow.endswith(shown)
    assert found.mlflow_named is bool(uri)
    assert "hunter2" not in str(found)


def test_nothing_is_made_by_looking(look: Any, tmp_path: Path) -> None:
    """No store, no folder, no report."""
    look("openai/gpt-4o-mini")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "spec.yaml"]


def test_live_asks_every_model_once_and_says_what_differs(tmp_path: Path, monkeypatch: Any) -> None:
    """A model that is served no more is told of; a fault that is not the catalogue's stands in the way."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text(
        "".join(f'{{"id": "{n}", "text": "t{n}", "target": "x"}}\n' for n in range(20))
    )
    Path("spec.yaml").write_text(
        SPEC.format(models="openai/SMALL, openai/MEDIUM, openai/LARGE", providers="")
    )

    def answer(call: Any) -> Any:
        if call.settings.model_name == "gpt-4o":
            return ProviderFault("not_found", "gone")
        if call.settings.model_name == "gpt-4.1":
            return ProviderFault("quota", "no credit")
        return Reply(text="ok", usage=Usage(input_tokens=9, output_tokens=1), served_by="gpt-4o-mini")

    provider = ScriptedProvider(answer)
    found = examine(
        Path("spec.yaml"),
        store=None,
        environ={"OPENAI_API_KEY": KEY},
        today=TODAY,
        live=True,
        providers={"openai": provider},
    )
    assert [one.differs for one in found.live] == [(), ("it is not served: gone",), ()]
    assert found.missing == ("openai/gpt-4.1 could not be asked: quota: no credit",)
    assert len(provider.calls) == 3


def live_on(spec: str | None, provider: ScriptedProvider, name: str, **environ: str) -> Checkup:
    """What `doctor --live` finds with this provider in place of its own."""
    path = None if spec is None else Path("spec.yaml")
    return examine(
        path,
        store=None,
        environ=environ,
        today=TODAY,
        live=True,
        providers={name: provider} if name else None,
    )


@pytest.mark.parametrize("name", ["ollama", "bedrock", "vertex"])
def test_live_asks_models_that_need_no_key_too(look: Any, name: str) -> None:
    """A spec asks for them; a machine may have a role of its own."""
    look(f"{name}/SMALL")
    provider = ScriptedProvider(Reply(text="ok", usage=Usage(input_tokens=9, output_tokens=1)))
    found = live_on("spec.yaml", provider, name)
    assert len(found.live) == len(provider.calls) == 1
    assert (found.unasked, found.missing) == ((), ())


def test_whoever_is_not_asked_is_told_with_the_reason(look: Any) -> None:
    """No model is passed over without a word."""
    look("openai/SMALL, ollama/SMALL")
    provider = ScriptedProvider(Reply(text="ok", usage=Usage(input_tokens=9, output_tokens=1)))
    found = live_on("spec.yaml", provider, "ollama")
    assert [one.model.partition("/")[0] for one in found.live] == ["ollama"]
    assert found.unasked == ("openai: not asked, because OPENAI_API_KEY is not set, and openai needs it",)


def test_without_a_spec_a_server_that_is_off_is_a_note(look: Any) -> None:
    """Nothing is needed, so that nothing is missing."""
    look(None)
    provider = ScriptedProvider(ProviderFault("connection", "no connection: refused"))
    found = live_on(None, provider, "lmstudio")
    assert found.live
    assert all(one.fault for one in found.live)
    assert found.missing == ()
    assert any("lmstudio/" in note and "could not be asked" in note for note in found.notes)
    assert any(
        one.startswith("bedrock: not asked, because no credentials are in AWS") for one in found.unasked
    )


@pytest.mark.parametrize(
    ("name", "variable"), [("bedrock", "AWS_PROFILE"), ("vertex", "GOOGLE_APPLICATION_CREDENTIALS")]
)
def test_credentials_that_nobody_sees_are_noted(look: Any, name: str, variable: str) -> None:
    """They may be a role of the machine: what cannot be seen is not called missing."""
    bare, given = look(f"{name}/SMALL"), look(f"{name}/SMALL", **{variable: "something"})
    assert variable in only(bare).unseen
    assert any(f"no credentials of {name} were seen" in note for note in bare.notes)
    assert (bare.missing, only(given).unseen) == ((), ())
    assert not any("credentials" in note for note in given.notes)


def test_a_file_of_credentials_is_seen(look: Any, tmp_path: Path) -> None:
    """Under the home of whoever asks."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\n")
    assert only(look("bedrock/SMALL", HOME=str(tmp_path))).unseen == ()


def test_an_address_of_ones_own_is_needed(look: Any) -> None:
    """Azure has none that all share: from its variable, or from the spec."""
    (lack,) = look("azure/SMALL", AZURE_API_KEY=KEY).missing
    assert lack.startswith("AZURE_API_BASE is not set, and azure has no address without it")
    assert look("azure/SMALL", AZURE_API_KEY=KEY, AZURE_API_BASE="https://mine.example").missing == ()
    stated = "{azure: {api_base: 'https://mine.example'}}"
    assert look("azure/SMALL", stated, AZURE_API_KEY=KEY).missing == ()


def test_nothing_is_sent_unless_asked(look: Any) -> None:
    """Without the flag nobody is called."""
    assert look("openai/gpt-4o-mini", OPENAI_API_KEY=KEY).live == ()


def test_a_model_whose_end_is_over_is_told_of(look: Any) -> None:
    """Between the announced day and the next catalogue, somebody has to say it."""
    before, after = (
        look("anthropic/claude-sonnet-4-5", ANTHROPIC_API_KEY=KEY, today=day).notes
        for day in (date(2026, 11, 30), date(2026, 12, 1))
    )
    assert not any("is over" in note for note in before)
    assert any(
        note.startswith("anthropic/claude-sonnet-4-5: the day that was announced for its end, 2026-11-30, is")
        for note in after
    )
