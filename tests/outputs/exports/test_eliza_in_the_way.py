"""What of a given character outranks an export or stays in force beside it, and whose key goes where."""

from __future__ import annotations

import json

import pytest

from harness.outputs.exports.selection import read_character
from harness.records import Settings

OPENAI = Settings(model="openai/gpt-4.1", prompt="plain", temperature=0.2, max_output_tokens=100)
SILENT = Settings(model="openai/gpt-4.1", prompt="plain")
EMBEDDING = Settings(model="openai/text-embedding-3-small", prompt="", extra={"dimensions": 1536})
OWN = {"name": "Ada", "bio": ["Counts."], "plugins": ["@elizaos/plugin-openai"]}
OWN_0 = {
    **{name: [] for name in ("clients", "lore", "messageExamples", "postExamples", "topics", "adjectives")},
    "name": "Ada",
    "bio": ["Counts."],
    "plugins": [],
    "style": {"all": [], "chat": [], "post": []},
    "modelProvider": "openrouter",
}
HOUSE = {"addresses": {"mine": "http://127.0.0.1:9/v1"}, "key_variables": {"mine": "MINE_KEY"}}


@pytest.fixture
def into(tmp_path, write, study):
    """Exports settings into this character; gives what was written and the new character."""

    def export(target, own, settings=OPENAI, embedding=None, **given):
        path = tmp_path / "ada.character.json"
        path.write_text(json.dumps(own, indent=2))
        classes = {"LARGE": settings} | ({} if embedding is None else {"EMBEDDING": embedding})
        written = write(target, study(**classes), character=read_character(path), **given)
        return written, json.loads(written.paths[0].read_text())

    return export


def fate(written, setting, model_class="LARGE"):
    """The one fate of a setting."""
    (found,) = [
        one for one in written.export.fates if one.setting == setting and one.model_class == model_class
    ]
    return found


@pytest.mark.parametrize(
    ("key", "held", "setting"),
    [("OPENAI_LARGE_MODEL", "gpt-4o", "model"), ("TEXT_LARGE_TEMPERATURE", 0.9, "temperature")],
)
def test_a_secret_that_outranks_a_setting_is_what_will_be_sent(into, key, held, setting):
    """The manifest names it, and that it is not what was measured."""
    written, _ = into("eliza-1", OWN | {"secrets": {key: held}})
    found = fate(written, setting)
    assert (found.exported, found.key, found.effect, found.changes) == (
        held,
        f"secrets.{key}",
        "not expressible",
        True,
    )
    assert "take it out there" in found.reason


def test_a_secret_that_says_the_same_changes_nothing(into):
    """As does an empty one, or one inside the settings where a setting stands before it."""
    inside = {"secrets": {"OPENAI_LARGE_MODEL": "gpt-4o"}}
    written, _ = into(
        "eliza-1",
        OWN
        | {"secrets": {"OPENAI_LARGE_MODEL": "gpt-4.1", "TEXT_LARGE_TEMPERATURE": ""}, "settings": inside},
    )
    assert fate(written, "model").effect == fate(written, "temperature").effect == "effective"
    assert not any("outrank" in remark for remark in written.export.remarks)


@pytest.mark.parametrize("key", ["TEXT_LARGE_TEMPERATURE", "DEFAULT_TEMPERATURE"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_secret_fills_in_what_was_not_measured(into, key, inside):
    """Taken out of the settings, a value still stands among the secrets in either place."""
    secrets = {"secrets": {key: 0.9}}
    written, _ = into("eliza-1", OWN | ({"settings": secrets} if inside else secrets), SILENT)
    found = fate(written, "temperature")
    assert found.exported == 0.9
    assert found.key == f"{'settings.' if inside else ''}secrets.{key}"
    assert "its own 0.7" not in found.reason


def test_a_secret_address_is_where_will_be_asked(into):
    """Nothing was measured there."""
    written, _ = into("eliza-1", OWN | {"secrets": {"OPENAI_BASE_URL": "http://old.example/v1"}})
    found = fate(written, "address", None)
    assert (found.exported, found.changes) == ("http://old.example/v1", True)


def test_a_missing_plugin_is_a_fate(into):
    """Nothing else in the table is true without it."""
    written, _ = into("eliza-1", OWN | {"plugins": []})
    found = fate(written, "plugin", None)
    assert (found.requested, found.changes) == ("@elizaos/plugin-openai", True)


def test_a_model_among_the_secrets_wins_in_an_old_eliza(into):
    """For OpenRouter alone it reads them before the environment, and not for MEDIUM."""
    settings = Settings(model="openrouter/x/y", prompt="plain", temperature=0.2, max_output_tokens=100)
    names = {f"{size}_OPENROUTER_MODEL": "old/model" for size in ("SMALL", "MEDIUM", "LARGE")}
    own = OWN_0 | {"settings": {"secrets": names}}
    written, _ = into("eliza-0.25", own, settings, addresses={"openrouter": "https://openrouter.ai/api/v1"})
    found = fate(written, "model")
    assert (found.exported, found.changes) == ("old/model", True)
    assert not fate(written, "model", "MEDIUM").changes


STALE = {
    "DEFAULT_TEMPERATURE": 0.95,
    "DEFAULT_MAX_TOKENS": 66,
    "MODEL_TEMPERATURE": 0.85,
    "MODEL_MAX_TOKEN": 55,
    "OPENAI_EMBEDDING_URL": "http://old.example/v1",
}


def test_what_would_fill_in_is_taken_out(into):
    """Defaults and older names of them, and an address of embeddings; each would be in force."""
    _, new = into("eliza-1", OWN | {"settings": {**STALE, "avatar": "ada.png"}}, SILENT)
    assert not set(STALE) & set(new["settings"])
    assert new["settings"]["avatar"] == "ada.png"


def test_a_default_that_nothing_reads_stays(into):
    """Each class has a value of its own: the default is that of other classes, and the user's."""
    _, new = into("eliza-1", OWN | {"settings": {"DEFAULT_TEMPERATURE": 0.95, "DEFAULT_TOP_P": 0.1}})
    assert new["settings"]["DEFAULT_TEMPERATURE"] == 0.95
    assert new["settings"]["DEFAULT_TOP_P"] == 0.1


def test_an_old_name_of_an_address_is_taken_out(into):
    """Ollama's plugin still reads it."""
    settings = Settings(model="ollama/llama3.2:3b", prompt="plain", temperature=0.2)
    own = OWN | {
        "plugins": ["@elizaos/plugin-ollama"],
        "settings": {"OLLAMA_API_URL": "http://old.example/api"},
    }
    _, new = into("eliza-1", own, settings)
    assert "OLLAMA_API_URL" not in new["settings"]


def test_the_key_of_the_embeddings_is_told_apart(write, study):
    """Else the plugin would send the key of one provider to the other."""
    mine = Settings(model="mine/alpha-7b", prompt="plain", temperature=0.2)
    written = write("eliza-1", study(LARGE=mine), embedding="openai/text-embedding-3-small", **HOUSE)
    (said,) = [remark for remark in written.export.remarks if "OPENAI_EMBEDDING_API_KEY" in remark]
    assert "the value of OPENAI_API_KEY into OPENAI_EMBEDDING_API_KEY" in said
    assert "would be sent the key of mine" in said
    same = write("eliza-1", study(LARGE=OPENAI, EMBEDDING=EMBEDDING), force=True)
    assert not any("OPENAI_EMBEDDING_API_KEY" in remark for remark in same.export.remarks)


def test_an_old_eliza_has_one_key_for_two_providers(write, study):
    """It sends the key of the texts to the embeddings' provider, and there is no way around."""
    mine = Settings(model="mine/alpha-7b", prompt="plain", temperature=0.2)
    written = write("eliza-0.25", study(LARGE=mine), embedding="openai/text-embedding-3-small", **HOUSE)
    found = fate(written, "api_key_env", "EMBEDDING")
    assert found.changes
    assert "one OPENAI_API_KEY" in found.reason
    same = write("eliza-0.25", study(LARGE=OPENAI, EMBEDDING=EMBEDDING), force=True)
    assert not [one for one in same.export.fates if one.setting == "api_key_env"]


def test_the_length_of_a_vector_has_a_fate(write, study):
    """Also where it is the model's own, which no key has to say."""
    found = fate(write("eliza-1", study(LARGE=OPENAI, EMBEDDING=EMBEDDING)), "dimensions", "EMBEDDING")
    assert (found.requested, found.effect, found.changes) == (1536, "effective", False)


@pytest.mark.packages
@pytest.mark.timeout(600)
def test_the_manifest_says_what_is_sent(into, load_eliza):
    """Secrets in the way, stale defaults: what the real packages send is what stands there."""
    secrets = {"OPENAI_LARGE_MODEL": "gpt-4o", "TEXT_LARGE_TEMPERATURE": 0.9}
    written, _ = into("eliza-1", OWN | {"secrets": secrets, "settings": STALE})
    loaded = load_eliza("eliza-1", written.paths[0].parent, "ada.character.json")
    assert loaded.sent("LARGE", "model") == fate(written, "model").exported == "gpt-4o"
    assert loaded.sent("LARGE", "temperature") == fate(written, "temperature").exported == 0.9
    assert "old.example" not in loaded.requests["EMBEDDING"]["to"]
    written, _ = into("eliza-1", OWN | {"settings": STALE}, SILENT, force=True)
    loaded = load_eliza("eliza-1", written.paths[0].parent, "ada.character.json")
    assert loaded.sent("LARGE", "temperature") == 0.7
    assert loaded.sent("LARGE", "max_output_tokens") == 8192
