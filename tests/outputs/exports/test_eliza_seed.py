"""The acceptance checks of each row of the Eliza guide that exports answer for, on the real packages.

P: providers; S: settings; C: model classes; G: guidelines; A: advanced configuration.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.catalogue.models import load_catalogue
from harness.catalogue.presets import load_presets
from harness.errors import CatalogueError, UsageError
from harness.plan.space import refused
from harness.records import Settings

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
OLD = ("eliza-0.1", "eliza-0.25")
ALL = (*OLD, "eliza-1")
EMBEDDING = "openai/text-embedding-3-small"
CLASSES = ("SMALL", "MEDIUM", "LARGE")


def settings(model, **sent):
    """Settings with a limit, as every run has one."""
    return Settings(model=model, prompt="plain", **({"max_output_tokens": 1024} | sent))


def fates(written, setting):
    """The fates of a setting, by class."""
    return {fate.model_class: fate for fate in written.export.fates if fate.setting == setting}


@pytest.fixture
def check(write, study, load_eliza):
    """Exports and loads with the real packages: what was written, and what was asked."""

    def export_and_load(target, choice, *, lengths=None, **given):
        written = write(target, choice, **given)
        return written, load_eliza(target, written.paths[0].parent, **(lengths or {}))

    return export_and_load


@pytest.mark.parametrize("target", ALL)
def test_p1_openai_asks_the_models_of_the_catalogue(check, study, target):
    """Both generations pass the check, and the model on the wire is the catalogue's of each class."""
    catalogue = load_catalogue()
    models = {name: catalogue.of_class("openai", name) for name in CLASSES}
    chosen = study(**{name: settings(model.full_name) for name, model in models.items()})
    _, loaded = check(target, chosen, embedding=EMBEDDING)
    medium = models["MEDIUM" if target in OLD else "LARGE"].name
    assert [loaded.sent(name, "model") for name in CLASSES] == [
        models["SMALL"].name,
        medium,
        models["LARGE"].name,
    ]


@pytest.mark.parametrize("target", OLD)
def test_p2_openai_embedding_is_switched_on(check, study, target):
    """The switch goes with the name: the package says OpenAI and 1536, and asks for that."""
    written, loaded = check(target, study(LARGE=settings("openai/gpt-4.1")), embedding=EMBEDDING)
    assert "USE_OPENAI_EMBEDDING=true" in written.paths[-2].read_text()
    assert loaded.findings["embedding"] == {
        "provider": "OpenAI",
        "model": "text-embedding-3-small",
        "dimensions": 1536,
    }
    assert loaded.requests["EMBEDDING"]["body"]["model"] == "text-embedding-3-small"


@pytest.mark.parametrize("name", ["claude-3-haiku", "claude-3.5-sonnet", "claude-3-opus"])
def test_p3_retired_anthropic_models_name_their_successor(write, study, name):
    """None is run in silence: a spec is refused, an old run's export says what to measure."""
    with pytest.raises(CatalogueError, match=r"is retired.*successor 'anthropic/claude-"):
        load_catalogue().find(f"anthropic/{name}")
    old = write("eliza-0.25", study(LARGE=settings(f"anthropic/{name}")), embedding=EMBEDDING)
    assert any(
        "is retired" in remark and "successor anthropic/claude-" in remark for remark in old.export.remarks
    )


@pytest.mark.parametrize("target", ALL)
def test_p4_anthropic_needs_an_embedding_of_another_provider(write, study, tmp_path, target):
    """Without one nothing is written, and the message names one."""
    choice = study(LARGE=settings("anthropic/claude-opus-4-6"))
    with pytest.raises(UsageError, match=r"no embedding model.*--embedding openai/text-embedding-3-small"):
        write(target, choice)
    assert not (tmp_path / target).exists()


def test_p4_anthropic_with_openai_embeddings_asks_both(check, study):
    """Texts go to the one, embeddings to the other."""
    _, loaded = check("eliza-1", study(LARGE=settings("anthropic/claude-opus-4-6")), embedding=EMBEDDING)
    assert loaded.requests["LARGE"]["to"] == "/api.anthropic.com/v1/messages"
    assert loaded.requests["EMBEDDING"]["to"] == "/api.openai.com/v1/embeddings"
    assert loaded.requests["EMBEDDING"]["length"] == 1536


@pytest.mark.parametrize("name", ["gemini-1.5-flash", "gemini-1.5-pro"])
def test_p5_retired_google_models_name_their_successor(write, study, name):
    """As for Anthropic."""
    with pytest.raises(CatalogueError, match=r"is retired.*successor 'google/gemini-2.5-"):
        load_catalogue().find(f"google/{name}")
    old = write("eliza-0.25", study(LARGE=settings(f"google/{name}")))
    assert any("successor google/gemini-2.5-" in remark for remark in old.export.remarks)


def test_p6_google_embeddings_work_in_1_and_are_warned_of_in_0(check, write, study):
    """0.x lists them and never asks; 1.x needs the length, or gives every text the same vector."""
    choice = study(LARGE=settings("google/gemini-2.5-pro"))
    old = write("eliza-0.25", choice, embedding="google/gemini-embedding-001")
    assert fates(old, "model")["EMBEDDING"].effect == "not expressible"
    assert any("cannot be used for embeddings" in remark for remark in old.export.remarks)
    _, loaded = check("eliza-1", choice, lengths={"google": 3072})
    assert loaded.sent("EMBEDDING", "model") == "gemini-embedding-001"
    assert loaded.requests["EMBEDDING"]["length"] == 3072
    with pytest.raises(UsageError, match="successor 'google/gemini-embedding-001'"):
        write("eliza-1", choice, embedding="google/text-embedding-004")


@pytest.mark.parametrize("target", OLD)
def test_p7_llama_cloud_is_together_and_medium_cannot_be_named(check, study, target):
    """Names stand among the character's secrets; MEDIUM stays the table's model, and the manifest says so."""
    choice = study(
        SMALL=settings("together/meta-llama/Llama-3.2-3B-Instruct"),
        MEDIUM=settings("together/Qwen/Qwen3.5-9B"),
        LARGE=settings("together/openai/gpt-oss-120b"),
    )
    written, loaded = check(target, choice)
    character = json.loads(written.paths[0].read_text())
    assert character["modelProvider"] == "together"
    assert set(character["settings"]["secrets"]) == {"TOGETHER_MODEL_SMALL", "TOGETHER_MODEL_LARGE"}
    assert loaded.sent("SMALL", "model") == "meta-llama/Llama-3.2-3B-Instruct"
    assert loaded.sent("LARGE", "model") == "openai/gpt-oss-120b"
    assert fates(written, "model")["MEDIUM"].effect == "not expressible"
    assert loaded.requests["LARGE"]["to"].startswith("/api.together.ai/")


def test_p8_together_embeddings_are_no_export(write, study):
    """The old name is retired, and what replaces it is for our own tests: 0.x never asks it."""
    choice = study(LARGE=settings("together/openai/gpt-oss-120b"))
    with pytest.raises(UsageError, match="successor 'together/BAAI/bge-base-en-v1"):
        write("eliza-0.25", choice, embedding="together/togethercomputer/m2-bert-80M-32k-retrieval")
    written = write("eliza-0.25", choice, embedding="together/BAAI/bge-base-en-v1.5")
    assert fates(written, "model")["EMBEDDING"].effect == "not expressible"
    assert not any(path.name == ".env" for path in written.paths)


@pytest.mark.parametrize("target", OLD)
def test_p9_a_local_model_becomes_llama_local(check, study, target):
    """The package hands the settings to its local service; that this one has one model is said loudly."""
    choice = study(
        "SMALL", SMALL=settings("local/smollm2-135m-instruct", temperature=0.4, max_output_tokens=64)
    )
    written, loaded = check(target, choice, embedding=None)
    assert loaded.findings["provider"] == "llama_local"
    assert (loaded.sent("LARGE", "temperature"), loaded.sent("LARGE", "max_output_tokens")) == (0.4, 64)
    assert fates(written, "model")["SMALL"].changes
    assert "Hermes-3-Llama-3.1-8B" in fates(written, "model")["SMALL"].reason


@pytest.mark.parametrize("target", ALL)
def test_s1_stop_sequences_are_in_no_export(check, study, target):
    """The manifest says so, no file holds them, and the wire has none."""
    written, loaded = check(
        target, study(LARGE=settings("openai/gpt-4.1", stop=("END-OF-IT",))), embedding=EMBEDDING
    )
    assert [one for one in written.export.fates if one.setting == "stop" and one.effect == "not expressible"]
    assert all("END-OF-IT" not in path.read_text() for path in written.paths[:-1])
    assert not loaded.sent("LARGE", "stop")


@pytest.mark.parametrize("target", OLD)
def test_s2_input_is_cut_where_the_export_says(check, study, target):
    """The check says where, and the package keeps the end of a longer input, silently."""
    written, loaded = check(
        target, study(LARGE=settings("openai/gpt-4.1")), max_input_tokens=50, lengths={"words": 400}
    )
    assert any("Input is cut to maxInputTokens=50" in remark for remark in written.export.remarks)
    assert 45 <= loaded.requests["LARGE"]["body"]["messages"][-1]["content"].count("word") <= 50


@pytest.mark.parametrize("target", ALL)
def test_s3_the_output_limit_arrives_in_every_version(check, study, target):
    """Two names in 0.x, a key per class in 1.x, one value on the wire."""
    _, loaded = check(target, study(LARGE=settings("openai/gpt-4.1", max_output_tokens=8192 - 5)))
    assert loaded.sent("LARGE", "max_output_tokens") == 8187


@pytest.mark.parametrize("target", OLD)
def test_s4_s5_a_bare_zero_is_lost_and_never_exported(check, load_eliza, study, target):
    """Google's 0.4 takes the place of a bare 0; the export's tiny number stays."""
    penalties = ("frequency_penalty", "presence_penalty")
    choice = study(LARGE=settings("google/gemini-2.5-pro", **dict.fromkeys(penalties, 0.0)))
    written, loaded = check(target, choice)
    assert [loaded.sent("LARGE", name) for name in penalties] == pytest.approx([0, 0], abs=2e-6)
    path = written.paths[0]
    character = json.loads(path.read_text())
    held = character["settings"]["modelConfig"]
    assert [held[name] for name in penalties] == [1e-6, 1e-6]
    held |= dict.fromkeys(penalties, 0)
    path.write_text(json.dumps(character))
    again = load_eliza(target, path.parent)
    assert [again.sent("LARGE", name) for name in penalties] == [0.4, 0.4]


@pytest.mark.parametrize("setting", ["frequency_penalty", "presence_penalty"])
@pytest.mark.parametrize("model", ["anthropic/claude-opus-4-6", "google/gemini-2.5-pro", "openai/gpt-5.4"])
def test_s4_s5_no_search_varies_a_penalty_that_the_model_drops(model, setting):
    """Where a penalty does nothing, a spec that searches it is refused."""
    assert "does not take" in str(refused(load_catalogue().find(model), setting, 0.2))


@pytest.mark.parametrize("temperature", [0, 0.3])
@pytest.mark.parametrize("target", ALL)
def test_s6_the_temperature_arrives_zero_included(check, study, target, temperature):
    """Also where the package takes 0 for nothing."""
    _, loaded = check(target, study(LARGE=settings("openai/gpt-4.1", temperature=temperature)))
    assert loaded.sent("LARGE", "temperature") == pytest.approx(temperature, abs=2e-6)


def test_c1_c3_small_and_large_differ_on_the_wire(check, study):
    """1.x has settings of each class; replies are LARGE."""
    _, loaded = check(
        "eliza-1",
        study(
            SMALL=settings("openai/gpt-4o-mini", temperature=0.1, max_output_tokens=100),
            LARGE=settings("openai/gpt-4.1", temperature=0.8, max_output_tokens=2000),
        ),
    )
    asked = [
        [loaded.sent(name, setting) for setting in ("model", "temperature", "max_output_tokens")]
        for name in ("SMALL", "LARGE")
    ]
    assert asked == [["gpt-4o-mini", 0.1, 100], ["gpt-4.1", 0.8, 2000]]


def test_c2_the_manifest_says_where_medium_went(check, study):
    """1.x has none of its own: one unlike LARGE is explained, a recommended one takes its place."""
    medium, large = settings("openai/gpt-4o", temperature=0.4), settings("openai/gpt-4.1", temperature=0.8)
    written, loaded = check("eliza-1", study(MEDIUM=medium, LARGE=large))
    assert "another name of LARGE" in fates(written, "model")["MEDIUM"].reason
    assert loaded.sent("MEDIUM", "model") == "gpt-4.1"
    written, loaded = check("eliza-1", study("MEDIUM", MEDIUM=medium, LARGE=large))
    assert loaded.sent("LARGE", "model") == "gpt-4o"
    assert [one for one in written.export.fates if one.requested == "openai/gpt-4.1" and one.changes]


def test_c4_an_embedding_model_passes_the_check(write, study, load_eliza):
    """What a further run recommends for EMBEDDING is asked, at the length that its vectors have."""
    texts = study(LARGE=settings("openai/gpt-4.1"))
    vectors = study("EMBEDDING", EMBEDDING=Settings(model="openai/text-embedding-3-large", prompt=""))
    written = write("eliza-1", texts, vectors)
    loaded = load_eliza("eliza-1", written.paths[0].parent, **{"text-embedding-3-large": 3072})
    assert json.loads(written.paths[0].read_text())["settings"]["OPENAI_EMBEDDING_DIMENSIONS"] == "3072"
    assert loaded.sent("EMBEDDING", "model") == "text-embedding-3-large"
    assert loaded.requests["EMBEDDING"]["length"] == 3072


def test_g4_the_chat_baseline_arrives_exactly(check, study):
    """Temperature 0.7, 2048 tokens and a presence penalty of 0.6, on OpenAI in 0.25.9."""
    preset = load_presets()["chat"]
    _, loaded = check("eliza-0.25", study(LARGE=settings("openai/gpt-4.1", **preset)))
    assert {name: loaded.sent("LARGE", name) for name in preset} == {
        "temperature": 0.7,
        "max_output_tokens": 2048,
        "presence_penalty": 0.6,
    }


@pytest.mark.parametrize("target", OLD)
def test_g5_the_analysis_baseline_never_becomes_four_tenths(check, study, target):
    """Google's table would put 0.4 in place of the zero."""
    preset = load_presets()["analysis"]
    written, loaded = check(target, study(LARGE=settings("google/gemini-2.5-pro", **preset)))
    assert loaded.sent("LARGE", "presence_penalty") == pytest.approx(0, abs=2e-6)
    assert fates(written, "presence_penalty")[None].exported == 1e-6
    assert (loaded.sent("LARGE", "temperature"), loaded.sent("LARGE", "max_output_tokens")) == (0.2, 8192)


@pytest.mark.parametrize("target", ["eliza-0.25", "eliza-1"])
def test_a1_a_model_of_ones_own_runs_exports_and_passes(desk, finished, load_eliza, target):
    """The finished run asked a made-up model at an address of 127.0.0.1: so does its export."""
    assert desk.cli("export", target, finished, "-o", "out").code == 0
    loaded = load_eliza(target, desk.folder / "out")
    assert loaded.sent("LARGE", "model") == "tiny"
    assert loaded.sent("LARGE", "max_output_tokens") == 8
    assert loaded.requests["LARGE"]["to"].startswith("/127.0.0.1:")


def test_a2_a_smaller_input_limit_passes_through(check, study):
    """maxInputTokens 64000 and temperature 0.5, on 0.25.9."""
    written, loaded = check(
        "eliza-0.25", study(LARGE=settings("openai/gpt-4.1", temperature=0.5)), max_input_tokens=64_000
    )
    assert json.loads(written.paths[0].read_text())["settings"]["modelConfig"]["maxInputTokens"] == 64_000
    assert loaded.sent("LARGE", "temperature") == 0.5


class Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that keeps what it was asked."""

    def do_POST(self):
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        message = {"role": "assistant", "content": "positive"}
        usage = {"prompt_tokens": 5, "completion_tokens": 1}
        body = json.dumps({"choices": [{"index": 0, "message": message}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Stay silent."""


def test_a3_a_custom_parameter_reaches_our_endpoint_and_no_export(desk, check, study):
    """Our own calls send it; Eliza never does, and the manifest marks it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        desk.spec(api_base=f"http://127.0.0.1:{server.server_port}/v1")
        desk.write(
            "own.yaml", "model: mine/tiny\nprompt: plain\nmax_output_tokens: 16\nextra: {custom_param: 7}\n"
        )
        assert desk.cli("eval", "words.yaml", "--settings", "own.yaml", "-n", "4", "-q").code == 0
        server.shutdown()
    assert {body["custom_param"] for body in server.asked} == {7}
    written, loaded = check("eliza-0.25", study(LARGE=settings("openai/gpt-4.1", extra={"custom_param": 7})))
    assert fates(written, "custom_param")[None].effect == "not expressible"
    assert "custom_param" not in json.dumps(loaded.requests)
