"""The manifest beside an export, what is printed, and what an export may write over."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.catalogue.models import load_catalogue
from harness.errors import UsageError
from harness.outputs.exports.manifest import changed, lost, table
from harness.outputs.exports.selection import selection_of
from harness.outputs.exports.targets import TARGETS
from harness.records import Settings
from harness.testing.builders import a_recommendation, asked_at

CATALOGUE = load_catalogue()
CHOICE = Settings(
    model="openai/gpt-4.1",
    prompt="plain",
    temperature=0.0,
    max_output_tokens=900,
    presence_penalty=0.6,
    stop=("END",),
)


def manifest(written):
    """What the manifest says; it is the last file."""
    return json.loads(written.paths[-1].read_text())


def test_the_manifest_says_what_becomes_of_each_setting(write, study):
    """Requested, exported, whether it arrives, and why not; and that the whole is not what was measured."""
    held = manifest(write("eliza-1", study(LARGE=CHOICE)))
    of_large = {one["setting"]: one for one in held["settings"] if one.get("class") == "LARGE"}
    assert of_large["temperature"] == {
        "class": "LARGE",
        "setting": "temperature",
        "requested": 0.0,
        "exported": "0",
        "key": "settings.TEXT_LARGE_TEMPERATURE",
        "effective": "effective",
        "changes_what_was_measured": False,
        "reason": "Eliza takes the number 0 for nothing and would send 0.7",
    }
    assert of_large["presence_penalty"]["effective"] == "not sent by provider"
    assert of_large["stop"]["effective"] == "not expressible"
    assert held["same_as_measured"] is False


@pytest.mark.parametrize("target", ["json", "openai", "eliza-1"])
def test_the_manifest_holds_the_caveats_of_the_recommendation(write, study, target):
    """Files travel without their report."""
    told = "the application has to cut 'text' to 400 tokens of OpenAI's o200k, keeping its start"
    choice = replace(study(LARGE=CHOICE), caveats=(told,))
    assert manifest(write(target, choice))["caveats"] == [told]


def test_the_manifest_says_what_the_export_rests_on(write, study):
    """Data, prices, models and a date, for `--check`; and the hashes of its files."""
    written = write("json", study(LARGE=CHOICE), prompt_text="Label this: {{ text }}")
    held = manifest(written)
    assert held["rests_on"]["runs"]["r1"]["data_sha256"] == "d" * 64
    assert held["rests_on"]["models"]["openai/gpt-4.1"]["prices"]["output"] == 8.0
    assert held["rests_on"]["confirm_by"] == "2027-02-18"
    assert held["files"] == {"settings.json": hashlib.sha256(written.paths[0].read_bytes()).hexdigest()}
    assert held["same_as_measured"] is True


def test_every_model_that_a_file_names_can_move(write, study):
    """Those of other policies, the embedding, and the one that Eliza is given where none was studied."""
    large = Settings(model="openai/gpt-4o", prompt="plain", max_output_tokens=64)
    other = study(LARGE=large)
    labelled = [("own", study(LARGE=CHOICE)), ("best", other)]
    shown = manifest(write("recommendation", study(LARGE=CHOICE), labelled=labelled))
    assert set(shown["rests_on"]["models"]) == {"openai/gpt-4.1", "openai/gpt-4o"}
    named = manifest(write("eliza-1", study(LARGE=CHOICE)))
    assert set(named["rests_on"]["models"]) == {"openai/gpt-4.1", "openai/text-embedding-3-small"}


@pytest.mark.parametrize(
    ("target", "given", "option"),
    [
        ("json", {"embedding": "openai/text-embedding-3-small"}, "--embedding goes with eliza-0.1"),
        ("openai", {"max_input_tokens": 100}, "--max-input-tokens goes with eliza-0.1, eliza-0.25$"),
        ("eliza-1", {"max_input_tokens": 100}, "--max-input-tokens goes with eliza-0.1, eliza-0.25$"),
    ],
)
def test_an_option_that_a_target_has_no_place_for_is_refused(write, study, target, given, option):
    """It would do nothing, and look as if."""
    with pytest.raises(UsageError, match=option):
        write(target, study(LARGE=CHOICE), **given)


def test_further_runs_are_refused_where_they_would_do_nothing(write, study):
    """One file of keyword arguments holds one choice."""
    with pytest.raises(UsageError, match=r"openai holds the settings of one run.*recommendation"):
        write("openai", study(LARGE=CHOICE), study("SMALL", SMALL=CHOICE))


@pytest.mark.parametrize("extra", [{"note": None}, {"list": [None]}, {"deep": {"note": None}}])
def test_toml_refuses_a_null(write, study, extra):
    """TOML has none, and leaving it out would be another request."""
    with pytest.raises(UsageError, match="holds a null, which TOML cannot express; export json"):
        write("toml", study(LARGE=replace(CHOICE, extra=extra)))


@pytest.mark.parametrize(
    ("target", "model", "effort", "exported"),
    [
        ("anthropic", "anthropic/claude-opus-5-5", "none", None),
        ("anthropic", "anthropic/claude-opus-5-5", "low", "low"),
        ("gemini", "google/gemini-2.5-flash", "none", {"thinking_budget": 0, "include_thoughts": False}),
        ("gemini", "google/gemini-3.8-flash", "low", {"thinking_level": "LOW", "include_thoughts": True}),
    ],
)
def test_an_effort_is_shown_as_it_stands_in_the_file(write, study, target, model, effort, exported):
    """Not as it was called when it was measured."""
    settings = Settings(model=model, prompt="plain", max_output_tokens=64, reasoning_effort=effort)
    held = manifest(write(target, study(LARGE=settings)))
    (fate,) = [one for one in held["settings"] if one["setting"] == "reasoning_effort"]
    assert fate["exported"] == exported
    assert not fate["changes_what_was_measured"]


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_manifest_says_what_becomes_of_the_prompt(write, study, target):
    """Targets hold its template, or a file beside them does; an Eliza character writes its prompts itself."""
    model = {"anthropic": "anthropic/claude-haiku-4-5", "gemini": "google/gemini-2.5-flash"}.get(target)
    settings = Settings(model=model or "openai/gpt-4.1", prompt="plain", max_output_tokens=64)
    written = write(target, study(LARGE=settings), prompt_text="Label this: {{ text }}")
    (fate,) = [one for one in manifest(written)["settings"] if one["setting"] == "prompt"]
    keys = dict.fromkeys(("json", "toml", "yaml"), "prompt.template")
    keys |= {"mlflow": "template", "recommendation": "prompts"}
    eliza = target.startswith("eliza")
    assert fate["requested"] == "plain"
    assert fate.get("key") == (None if eliza else keys.get(target, f"{target}.prompt.jinja"))
    assert fate["effective"] == ("not expressible" if eliza else "effective")
    assert manifest(written)["same_as_measured"] is False or not eliza
    assert any(line.lstrip().startswith("prompt ") for line in table(written.export.fates)), "it is printed"


def test_a_setting_is_lost_without_harm_when_leaving_it_out_does_the_same():
    """A penalty of 0 that nobody sends changes nothing; one of 0.1 does."""
    assert not lost("presence_penalty", 0.0, "dropped").changes
    assert not lost("top_p", 1, "dropped").changes
    assert not lost("stop", [], "dropped").changes
    assert lost("presence_penalty", 0.1, "dropped").changes
    assert lost("temperature", 1.0, "dropped").changes


def test_a_second_export_replaces_the_first(write, study):
    """Its own files, as it left them."""
    first = write("eliza-1", study(LARGE=CHOICE))
    again = write("eliza-1", study("SMALL", SMALL=CHOICE))
    assert again.paths == first.paths


@pytest.mark.parametrize("own", ["changed", "new"])
def test_what_no_export_wrote_is_kept(write, study, tmp_path, own):
    """A file that somebody changed, or that was there before, stops the export before anything is written."""
    if own == "changed":
        write("eliza-1", study(LARGE=CHOICE))
    path = tmp_path / "eliza-1" / ".env"
    path.parent.mkdir(exist_ok=True)
    path.write_text("MINE=1\n")
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    with pytest.raises(UsageError, match=r"\.env already there, and not as an export of eliza-1 left it"):
        write("eliza-1", study("SMALL", SMALL=CHOICE))
    assert {one: one.read_bytes() for one in path.parent.iterdir()} == before
    assert write("eliza-1", study(LARGE=CHOICE), force=True)
    assert "MINE" not in path.read_text()


OPENAI_EMBEDDING = "openai/text-embedding-3-small"


@pytest.mark.parametrize("state", ["as it was left", "changed since", "claimed by another export"])
def test_a_file_that_is_not_written_again_does_not_stay(write, study, tmp_path, state):
    """A switch of the last export would stay in force; what is not its own any more is kept."""
    plain = Settings(model="together/meta-llama/Llama-3", prompt="plain", max_output_tokens=64)
    write("eliza-0.25", study(LARGE=plain), embedding=OPENAI_EMBEDDING)
    path = tmp_path / "eliza-0.25" / ".env"
    assert "USE_OPENAI_EMBEDDING=true" in path.read_text()
    if state == "changed since":
        path.write_text("MINE=1\n")
    if state == "claimed by another export":
        manifest = path.with_name("eliza-0.25.manifest.json")
        path.with_name("inspect.manifest.json").write_bytes(manifest.read_bytes())
    written = write("eliza-0.25", study(LARGE=plain))
    assert path not in written.paths, "without an embedding there is nothing to say in it"
    assert path.exists() == (state != "as it was left")


@pytest.mark.parametrize("blocked", ["settings.json", "json.manifest.json"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_the_way_is_named(write, study, tmp_path, blocked, force):
    """Before anything is written, and forcing it changes nothing: a folder is not replaced by a file."""
    (tmp_path / "json" / blocked).mkdir(parents=True)
    with pytest.raises(UsageError, match=rf"{blocked} is a folder"):
        write("json", study(LARGE=CHOICE), force=force)
    assert [one.name for one in (tmp_path / "json").iterdir()] == [blocked]


def test_a_file_in_place_of_the_folder_is_named(write, study, tmp_path):
    """The folder cannot be made there."""
    (tmp_path / "json").write_text("mine")
    with pytest.raises(UsageError, match="json is a file, expected a folder"):
        write("json", study(LARGE=CHOICE))


def test_an_address_with_a_password_is_refused(write, study):
    """It would stand in the character."""
    choice = study(LARGE=Settings(model="shed/llama", prompt="plain", max_output_tokens=8))
    with pytest.raises(UsageError, match="holds a user name or password") as caught:
        write("eliza-1", choice, addresses={"shed": "http://me:hidden@shed.example/v1"})
    assert "hidden" not in str(caught.value)


def test_what_does_not_arrive_is_said_loudly(desk, finished):
    """The table on the output, the warning apart from it; a faithful export warns of nothing."""
    made = desk.cli("export", "eliza-0.25", finished, "-o", "out")
    assert made.code == 0
    heading, *rows = made.out.splitlines()
    assert heading.split()[:5] == ["class", "setting", "requested", "exported", "effective"]
    assert any("max_output_tokens" in row and "yes" in row for row in rows)
    assert desk.cli("export", "json", finished, "-o", "plain").err == ""
    desk.cli("export", "mlflow", finished, "-o", "plain")
    loud = desk.cli("export", "eliza-1", finished, "-o", "one", "--embedding", "google/gemini-embedding-001")
    assert "WARNING: what runs there is not what was measured: model" in loud.err


def test_targets_without_classes_have_a_table_without_them(write, study):
    """An empty column helps nobody."""
    heading, *_ = table(write("json", study(LARGE=CHOICE)).export.fates)
    assert heading.split()[0] == "setting"


numbers = st.sampled_from([None, 0, 0.0, -0.5, 0.3, 2])
models = st.sampled_from(
    [
        "openai/gpt-4.1",
        "google/gemini-2.5-pro",
        "ollama/gemma3",
        "openrouter/x/y",
        "shed/llama",
        "anthropic/claude-opus-4-6",
    ]
)


@pytest.mark.parametrize("target", ["eliza-0.1", "eliza-0.25", "eliza-1"])
@given(
    model=models,
    temperature=numbers,
    frequency_penalty=numbers,
    presence_penalty=numbers,
    top_p=st.sampled_from([None, 0.0, 1.0, 0.5]),
    stop=st.sampled_from([None, (), ("END",)]),
)
@settings(deadline=None, max_examples=60)
def test_no_eliza_export_holds_a_bare_zero_or_a_stop(target, model, **sent):
    """Whatever was measured: a zero would become 0.4 to 0.7; and every setting has a fate."""
    found = Settings(model=model, prompt="plain", max_output_tokens=64, **sent)
    choice = a_recommendation(settings=found)
    choice = asked_at(choice, "shed", "http://shed.example/v1")
    selection = selection_of(
        [choice],
        embedding="openai/text-embedding-3-small",
        catalogue=CATALOGUE,
    )
    made = TARGETS[target].write(selection)
    held = json.loads(made.files["tuned.character.json"])["settings"]
    values = [*held.values(), *held.get("modelConfig", {}).values()]
    assert not [value for value in values if value == 0 and not isinstance(value, str)]
    assert not [name for name in (*held, *held.get("modelConfig", {})) if "stop" in name.lower()]
    assert set(found.sent()) <= {fate.setting for fate in made.fates}
    needed = {name for name in ("stop", "top_p") if found.sent().get(name) not in (None, [], 1.0)}
    assert needed <= {fate.setting for fate in changed(made.fates)}


@pytest.mark.parametrize("target", ["litellm-proxy", "promptfoo", "eliza-1"])
def test_a_run_that_adds_nothing_is_refused(write, study, target):
    """The export would rest on its prices, and hold nothing of it."""
    other = Settings(model="openai/gpt-4o", prompt="plain", max_output_tokens=64)
    first, second = study(LARGE=CHOICE), replace(study(LARGE=other), run="second")
    with pytest.raises(UsageError, match=r"second would add nothing"):
        write(target, first, second)


@pytest.mark.parametrize(
    ("target", "model", "name"),
    [
        ("openai", "openai/gpt-4.1", "gpt-4.1"),
        ("anthropic", "anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("gemini", "google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("langchain", "openai/gpt-4.1", "gpt-4.1"),
        ("pydantic-ai", "openai/gpt-4.1", "openai-chat:gpt-4.1"),
        ("promptfoo", "openai/gpt-4.1", "openai:chat:gpt-4.1"),
        ("inspect", "openai/gpt-4.1", "openai/gpt-4.1"),
        ("litellm-proxy", "google/gemini-2.5-flash", "gemini/gemini-2.5-flash"),
    ],
)
def test_the_manifest_names_the_model_as_the_files_do(write, study, target, model, name):
    """Who searches the files for it finds it."""
    written = write(target, study(LARGE=Settings(model=model, prompt="plain", max_output_tokens=64)))
    (fate,) = [one for one in written.export.fates if one.setting == "model"]
    assert fate.exported == name
    assert any(name in text for text in written.export.files.values())


def test_openai_points_to_the_target_of_the_vendor(write, study):
    """It has the package that speaks the model's format."""
    claude = Settings(model="anthropic/claude-haiku-4-5", prompt="plain", max_output_tokens=64)
    with pytest.raises(UsageError, match="export anthropic or litellm-proxy"):
        write("openai", study(LARGE=claude))


@pytest.mark.parametrize(("variable", "line"), [("BARN_KEY", "${BARN_KEY}"), (None, "none")])
def test_inspect_is_told_the_key_by_the_name_that_it_reads(write, study, variable, line):
    """It knows no other than that of the provider's name."""
    own = Settings(model="barn/llama", prompt="plain", max_output_tokens=64)
    keys = {} if variable is None else {"barn": variable}
    addresses = {"barn": "http://barn.example/v1"}
    written = write("inspect", study(LARGE=own), addresses=addresses, key_variables=keys)
    assert f"BARN_API_KEY={line}\n" in written.export.files[".env"]
    assert any("BARN_API_KEY" in remark for remark in written.export.remarks)


def test_a_perfect_eliza_export_does_not_warn(desk, finished):
    """That Eliza writes its prompts itself is a note: a warning each time is read by nobody."""
    made = desk.cli(
        "export", "eliza-1", finished, "-o", "out", "--embedding", "openai/text-embedding-3-small"
    )
    assert "prompt" not in made.err
    assert "note: prompt: Eliza writes its prompts itself" in made.out
