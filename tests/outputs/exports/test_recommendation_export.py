"""recommendation.json: every use case, policy and model class, in a form that is published."""

from __future__ import annotations

import json

import pytest

from harness.outputs.exports.recommendation_export import published_schema, schema_text
from harness.records import Settings

jsonschema = pytest.importorskip("jsonschema")
SMALL = Settings(model="openai/gpt-4o-mini", prompt="plain", temperature=0.0, max_output_tokens=64)
LARGE = Settings(model="openai/gpt-5-mini", prompt="plain", max_output_tokens=900, reasoning_effort="low")


def test_the_published_schema_is_the_one_of_the_records():
    """A change of the records is a change of the schema: `schema_text` writes it anew."""
    assert published_schema() == schema_text()


def test_the_file_keeps_the_schema(write, study):
    """And a file with a mistake does not."""
    written = write("recommendation", study(SMALL=SMALL, LARGE=LARGE))
    held = json.loads(written.paths[0].read_text())
    schema = json.loads(written.paths[1].read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(held, schema)
    del held["picks"][0]["confirm_by"]
    with pytest.raises(jsonschema.ValidationError, match="confirm_by"):
        jsonschema.validate(held, schema)


def test_each_pick_has_its_evidence_and_its_end(write, study):
    """Quality with interval and n on the confirm split, price, latency, ties, and until when to trust it."""
    written = write("recommendation", study("SMALL", SMALL=SMALL, LARGE=LARGE))
    small, large = json.loads(written.paths[0].read_text())["picks"]
    assert (small["model_class"], small["recommended"], small["split"]) == ("SMALL", True, "confirm")
    assert {name: small["quality"][name] for name in ("low", "high", "n")} == {
        "low": 0.76,
        "high": 0.9,
        "n": 84,
    }
    assert (small["usd_per_1k_calls"], small["latency_p95_s"], small["ties"]) == (0.12, 1.2, [3])
    assert small["settings"]["temperature"] == 0.0
    # The run began on 2026-11-20: a season later; the other model ends before.
    assert (small["confirm_by"], small["deprecation_date"]) == ("2027-02-18", None)
    assert (large["confirm_by"], large["deprecation_date"]) == ("2026-12-11", "2026-12-11")


def test_several_runs_stand_side_by_side(write, study, make):
    """One use case an experiment."""
    chat, triage = study("SMALL", SMALL=SMALL), study(LARGE=LARGE)
    written = write("recommendation", chat, triage, labelled=[("own", chat), ("best", triage)])
    picks = json.loads(written.paths[0].read_text())["picks"]
    assert [(pick["policy"], pick["model_class"]) for pick in picks] == [("own", "SMALL"), ("best", "LARGE")]


def test_a_run_is_exported_under_every_policy(desk, finished):
    """The evidence of the run is read again; nothing is asked anew."""
    made = desk.cli("export", "recommendation", finished, "-o", "out")
    assert made.code == 0, made.err
    picks = json.loads((desk.folder / "out" / "recommendation.json").read_text())["picks"]
    assert [pick["policy"] for pick in picks] == ["best", "value", "fast", "own"]
    assert [pick["rule"] for pick in picks][:2] == ["best", "cheapest_within: 0.01"]
    assert {pick["use_case"] for pick in picks} == {"words"}
    prompts = json.loads((desk.folder / "out" / "recommendation.json").read_text())["prompts"]
    assert all("{{ text }}" in prompts[pick["run"]][pick["settings"]["prompt"]] for pick in picks)
