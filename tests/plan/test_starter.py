"""What `harness init` writes runs as it is and never writes over anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plan.planner import make_plan
from harness.plan.starter import SCHEMA_FILE, schema_text, write_starter

SHIPPED = Path(__file__).parents[2] / "experiments" / SCHEMA_FILE


def test_the_starter_plans_as_it_is(tmp_path):
    """Spec, rows, prompt and schema; the local model; sixty rows, enough to confirm on."""
    written = write_starter("my-first", tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert names == {"my-first.yaml", "my-first.jsonl", "prompts/my-first.jinja", SCHEMA_FILE}
    plan = make_plan(tmp_path / "my-first.yaml", cache=tmp_path)
    assert len(plan.task.rows) == 60
    assert plan.task.rows.card.n_confirm >= 15
    assert {model.provider for model in plan.models.values()} == {"local"}
    assert "STARTER" not in plan.spec_text


def test_nothing_is_written_over(tmp_path):
    """One file in the way stops all of them."""
    (tmp_path / "my-first.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"my-first.jsonl"):
        write_starter("my-first", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my-first.jsonl"]


def test_a_second_experiment_shares_the_schema(tmp_path):
    """The schema of the folder is left as it is."""
    write_starter("one", tmp_path)
    (tmp_path / SCHEMA_FILE).write_text("{}")
    assert tmp_path / SCHEMA_FILE not in write_starter("two", tmp_path)
    assert (tmp_path / SCHEMA_FILE).read_text() == "{}"


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "é", "a.b"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    """No file appears outside the folder."""
    with pytest.raises(UsageError, match="will not do"):
        write_starter(name, tmp_path)


def test_the_schema_describes_every_key(tmp_path):
    """Editors show a sentence for each key of the spec."""
    schema = json.loads(schema_text())
    assert set(schema["required"]) == {"experiment", "search", "budget", "failures"}
    assert schema["oneOf"] == [{"required": ["task"]}, {"required": ["tasks"]}]
    parts = [schema, *schema["$defs"].values()]
    bare = [
        (part["title"], name)
        for part in parts
        for name, key in part.get("properties", {}).items()
        if "description" not in key and part["title"] != "AcceptsSpec"
    ]
    assert bare == []


@pytest.mark.skipif(not SHIPPED.exists(), reason="experiments/ holds no schema yet")
def test_the_shipped_schema_is_that_of_the_models():
    """Editors and the reader agree."""
    assert SHIPPED.read_text(encoding="utf-8") == schema_text()
