"""`--into`: of a character that is there, only the settings change."""

from __future__ import annotations

import difflib
import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.outputs.exports.selection import read_character
from harness.records import Settings

HERE = Path(__file__).parent
CHOICE = Settings(
    model="openai/gpt-4.1", prompt="plain", temperature=0.0, max_output_tokens=900, presence_penalty=0.6
)
OWN = {
    "eliza-0.25": {
        "name": "Ada",
        "modelProvider": "openai",
        "settings": {"modelConfig": {"frequency_penalty": 0.4, "temperature": 0.9}, "voice": {"model": "en"}},
        "bio": ["Counts."],
    },
    "eliza-1": {
        "name": "Ada",
        "plugins": ["@elizaos/plugin-openai"],
        "settings": {"TEXT_LARGE_FREQUENCY_PENALTY": 0.4, "TEXT_LARGE_TEMPERATURE": 0.9, "avatar": "ada.png"},
        "bio": ["Counts."],
    },
}


@pytest.fixture
def into(tmp_path, write, study):
    """Exports into this text; gives what was written and the new text."""

    def export(target, text, **given):
        path = tmp_path / "ada.character.json"
        path.write_bytes(text.encode())
        written = write(target, study(LARGE=CHOICE), character=read_character(path), **given)
        assert path.read_bytes() == text.encode(), "the file that was given stays as it is"
        return written, written.paths[0].read_bytes().decode()

    return export


@pytest.mark.parametrize("target", list(OWN))
@pytest.mark.parametrize("indent", [2, "\t"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_all_but_the_settings_stays_byte_for_byte(into, target, indent, line):
    """Order, indentation and line ends are those of the file."""
    text = json.dumps(OWN[target], indent=indent).replace("\n", line) + line
    _, new = into(target, text)
    begin = text.index('"settings"')
    end = text.index('"bio"')
    assert new.startswith(text[:begin])
    assert new.endswith(text[end:])
    assert new.replace(line, "").count("\n") == new.replace(line, "").count("\r") == 0


@pytest.mark.parametrize("target", list(OWN))
def test_a_value_that_was_not_measured_does_not_stay_in_force(into, target):
    """An old penalty would be sent beside the new settings; what has nothing to do with them stays."""
    _, new = into(target, json.dumps(OWN[target], indent=2))
    settings = json.loads(new)["settings"]
    if target == "eliza-1":
        assert settings["TEXT_LARGE_TEMPERATURE"] == "0"
        assert settings["avatar"] == "ada.png"
        assert "TEXT_LARGE_FREQUENCY_PENALTY" not in settings
    else:
        assert settings["modelConfig"]["temperature"] == 1e-6
        assert settings["voice"] == {"model": "en"}
        assert "frequency_penalty" not in settings["modelConfig"]


def test_a_plugin_that_is_missing_is_told(into):
    """Without the plugin no key is read; the list is the user's."""
    written, new = into("eliza-1", json.dumps(OWN["eliza-1"] | {"plugins": ["@elizaos/plugin-ollama"]}))
    assert json.loads(new)["plugins"] == ["@elizaos/plugin-ollama"]
    assert any("@elizaos/plugin-openai is not among" in remark for remark in written.export.remarks)


def test_a_secret_that_outranks_a_setting_is_told(into):
    """Secrets are read first in 1.x."""
    written, _ = into("eliza-1", json.dumps(OWN["eliza-1"] | {"secrets": {"OPENAI_LARGE_MODEL": "gpt-4o"}}))
    assert any("OPENAI_LARGE_MODEL" in remark and "outrank" in remark for remark in written.export.remarks)


@pytest.mark.parametrize("place", ["secrets", "settings"])
def test_a_character_with_a_key_is_not_copied(into, place):
    """Whatever the key is called, and the message does not repeat it."""
    own = json.loads(json.dumps(OWN["eliza-1"]))
    own.setdefault(place, {})["OPENAI_API_KEY"] = "a-key-of-mine"
    with pytest.raises(UsageError, match="OPENAI_API_KEY looks like a credential") as caught:
        into("eliza-1", json.dumps(own))
    assert "a-key-of-mine" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "DISCORD_API_TOKEN",
        "TELEGRAM_BOT_TOKEN",
        "EVM_PRIVATE_KEY",
        "TWITTER_COOKIES",
        "COOKIE",
        "token",
        "api_token",
        "openaiApiKey",
        "clientSecret",
        "OPENAI_KEY",
        "GROQ_KEY",
        "API_KEYS",
        "accessTokens",
        "PRIVATEKEY",
        "WALLET_SEED",
        "seedPhrase",
        "DB_PASS",
    ],
)
@pytest.mark.parametrize("target", list(OWN))
def test_credentials_of_a_character_are_known_by_their_names(into, target, name):
    """Tokens, keys and cookies of any service, however their names are spelled."""
    own = json.loads(json.dumps(OWN[target]))
    own["settings"][name] = "kept for me"
    with pytest.raises(UsageError, match=rf"character\.settings\.{name} looks like a credential") as caught:
        into(target, json.dumps(own))
    assert "kept for me" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hook", "https://discord.com/api/webhooks/1093847566102938475/aGk3-sQx9Zt1LmNo8PqRsTuVwXyZ"),
        ("alerts", "https://hooks.slack.com/services/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"),
        ("RPC", "https://eth-mainnet.g.alchemy.com/v2/k3Jx9QmZ7tYp2Lw8VbNc4RdS6fGhA1eU"),
        ("auth", "r8_Qm4Tz81LxVb7KcNp2WsYd9RfGh3JaE5uC6"),
        ("auth", "ada-2741-lovelace"),
        ("seed", "abandon ability able about above absent absorb abstract absurd abuse access accident"),
        ("engine", "pplx-8f3kQz91LmVx72NbTc5WpYd4RsGh6JaE"),
        ("engine", "nvapi-Zk4_tR8mQx21-LvNb7WcYp93DsGfHjKa5Ee6"),
        ("engine", "csk-4k8m2x9v7t3c5n6w1p8d4r2s9f6g3h5j"),
        ("engine", "sk_live_51Hx82KzQmTn7VbWc4"),
        ("engine", "5839201746:AAHk3Qz9_LmVx72NbTc5WpYd4RsGh6JaE-u"),
        ("engine", "zyx_9Qm4Tz81LxVb7KcNp2WsYd9Rf"),
        ("engine", "4fH7kQ92mZx1Lv8Nb3Tc6WpY5dRs"),
        ("engine", "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"),
    ],
)
def test_credentials_of_a_character_are_known_by_their_look(into, name, value):
    """Under a name that says nothing: known forms, and what nobody would type."""
    own = json.loads(json.dumps(OWN["eliza-1"]))
    own["settings"]["voice"] = {name: value}
    with pytest.raises(UsageError, match=rf"character\.settings\.voice\.{name} looks like") as caught:
        into("eliza-1", json.dumps(own))
    assert value[-8:] not in str(caught.value)


PLAIN = {
    "MODEL_MAX_TOKEN": 77,
    "TEXT_COMPLETION_SEED": "42",
    "seed": 7,
    "prompt_cache_key": "tickets",
    "PUBLIC_KEY": "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM",
    "SOLANA_TOKEN_ADDRESS": "HeLp6NuQkmYB4pYWo2zYs22mESHXPQYzXbB8n4V98jwC",
    "WALLET": "0x742d35cc6634c0532925a3b844bc454e4438f44e",
    "EVM_SWAP_TOKENS": ["ETH", "USDC"],
    "LARGE_SECRET_AI_MODEL": "deepseek-r1:70b",
    "API_KEY_ENV": "GROQ_API_KEY",
    "TWITTER_AUTH_MODE": "oauth",
    "auth": "oauth2",
    "LOW_PASS": 0.4,
    "DISCORD_APPLICATION_ID": "1093847566102938475",
    "agentId": "b850bc30-45f8-0041-a00a-83df46d8555d",
    "engine": "Meta-Llama-3-70B-Instruct-GPTQ-Int4",
    "theme": "VictorianParlourAtNightEdition1843",
    "avatar": "https://cdn.example/v2/portraits/ada-1843.png",
    "hook": "https://discord.com/channels/1093847566102938475/1093847566102938476",
    "voice": {"model": "en_US-hfc_female-medium", "elevenlabs": {"voiceId": "21m00Tcm4TlvDq8ikWAM"}},
    "embedder": "jina_embeddings_v3_base_en",
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_what_is_no_secret_of_a_character_is_copied(into, name):
    """Limits, names, addresses of wallets, identifiers: a wrong refusal would leave no way on."""
    own = OWN["eliza-1"] | {"settings": {name: PLAIN[name]}}
    _, new = into("eliza-1", json.dumps(own))
    assert json.loads(new)["settings"][name] == PLAIN[name]


def test_an_opaque_text_among_the_secrets_is_one(into):
    """In both places, all in one message; names of models that we write are none, nor are plain words."""
    own = OWN["eliza-1"] | {
        "secrets": {"HANDLE": "ada-who-counts", "EMPTY": "", "OPENAI_LARGE_MODEL": "gpt-4o-mini-2024"}
    }
    own["settings"] = {
        "secrets": {"ENDPOINT": "my-house-by-the-sea", "MODE": "OFF"},
        "POSTGRES_URL": "postgres://me:hidden@db/agents",
    }
    with pytest.raises(UsageError, match="look like credentials") as caught:
        into("eliza-1", json.dumps(own))
    said = str(caught.value)
    for place in ("secrets.HANDLE", "settings.secrets.ENDPOINT", "settings.POSTGRES_URL"):
        assert f"character.{place}" in said
    assert not [word for word in ("EMPTY", "_MODE", "ada-who", "my-house", "hidden") if word in said]


def test_a_target_without_characters_takes_none(into):
    """The mistake is named with the targets that do."""
    with pytest.raises(UsageError, match=r"--into goes with eliza-0\.1, eliza-0\.25, eliza-1"):
        into("json", "{}")


@pytest.fixture(scope="session")
def real_character(eliza_packages, tmp_path_factory, install_npm_pack):
    """Gives the text of the character that a package brings."""

    def find(package):
        if package == "@elizaos/core@0.1.9":
            folder = eliza_packages("eliza-0.1")
            module, name = folder / "node_modules/@elizaos/core/dist/index.js", "defaultCharacter"
        else:
            module, name = install_npm_pack(package, eliza_packages("eliza-1")), "character"
        done = subprocess.run(
            ["node", str(HERE / "eliza" / "characters.mjs"), str(module), name],
            cwd=tmp_path_factory.mktemp("nowhere"),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("CHARACTER ")]
        return json.dumps(json.loads(line.removeprefix("CHARACTER ")), indent=2, ensure_ascii=False) + "\n"

    return cache(find)


@pytest.mark.packages
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("target", "package"),
    [
        ("eliza-0.1", "@elizaos/core@0.1.9"),
        ("eliza-0.25", "@elizaos/core@0.1.9"),
        ("eliza-1", "@elizaos/project-starter@1.7.2"),
        ("eliza-1", "@elizaos/project-tee-starter@1.7.2"),
    ],
)
def test_a_diff_of_a_real_character_shows_the_settings_alone(
    into, load_eliza, real_character, target, package
):
    """The characters that three packages bring: every changed line is a setting, and the file still loads."""
    text = real_character(package)
    written, new = into(target, text)
    old, changed = json.loads(text), json.loads(new)
    kept = {name: value for name, value in old.items() if name not in ("settings", "modelProvider")}
    assert {name: value for name, value in changed.items() if name in kept} == kept
    assert set(changed) - set(old) <= {"settings"}
    diff = list(difflib.unified_diff(text.splitlines(), new.splitlines(), lineterm="", n=0))[2:]
    lines = [line[1:].strip().rstrip(",") for line in diff if not line.startswith("@@")]
    expected = (
        "modelProvider",
        "settings",
        "modelConfig",
        "TEXT_",
        "OPENAI_",
        "temperature",
        "max",
        "presence",
    )
    odd = [
        line for line in lines if not line.strip('"{} ').startswith(expected) and line not in ("{", "}", "")
    ]
    assert lines
    assert [line for line in odd if line not in text] == []
    if target == "eliza-1":
        told = any("is not among the character's plugins" in remark for remark in written.export.remarks)
        assert told == ("@elizaos/plugin-openai" not in changed["plugins"])
        # The others want a database and a chat service.
        written.paths[0].write_text(json.dumps(changed | {"plugins": ["@elizaos/plugin-openai"]}))
    loaded = load_eliza(target, written.paths[0].parent, "ada.character.json")
    assert loaded.sent("LARGE", "model") == "gpt-4.1"
    assert loaded.sent("LARGE", "max_output_tokens") == 900
    assert loaded.sent("LARGE", "temperature") == pytest.approx(0, abs=2e-6)
