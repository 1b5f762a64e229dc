"""The verbs from a first spec to exported settings: what they print, where, and how they end."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from harness.cli import cli
from harness.cli.live import SHOWN_TRIALS, LiveView
from harness.findings import Progress, Spend
from harness.outputs.exports.targets import TARGETS
from harness.records import Settings
from harness.testing import builders


def command_names() -> list[list[str]]:
    """Every command and family of commands, as words to type."""
    found: list[list[str]] = [[]]
    for name, command in sorted(cli.commands.items()):
        found.append([name])
        found += [[name, inner] for inner in sorted(getattr(command, "commands", {}))]
    return found


@pytest.fixture
def progress() -> Progress:
    """Half of a search, with more trials than a screen takes."""
    trials = tuple(
        builders.a_trial(number=number, settings=Settings(model="mine/tiny", prompt="plain", temperature=0.3))
        for number in range(SHOWN_TRIALS + 3)
    )
    return Progress(
        run="words-1",
        phase="search",
        trials=trials,
        done=50,
        planned=100,
        spend=Spend(usd=0.25, calls=40, cached=10, cap_usd=1.0, cap_calls=400),
        elapsed_s=12.0,
    )


def shown(snapshots: list[Progress], *, terminal: bool, quiet: bool = False) -> str:
    """What a live view writes for these snapshots."""
    console = Console(force_terminal=terminal, file=io.StringIO(), width=120, height=40)
    with LiveView(shown=not quiet, console=console) as view:
        for snapshot in snapshots:
            view(snapshot)
    return console.file.getvalue()


def test_a_first_spec_plans_as_it_is(desk: Any) -> None:
    """`init` writes an experiment that is in order, and says what to type next."""
    begun = desk.cli("init", "demo")
    assert begun.code == 0
    assert begun.out.splitlines()[-1] == f"next: harness plan {Path('experiments/demo.yaml')}"
    checked = desk.cli("validate", "experiments/demo.yaml")
    assert (checked.code, checked.err) == (0, "")
    assert "experiments/demo.yaml: fine (1 model, 1 prompt, " in checked.out.replace(os.sep, "/")
    assert desk.cli("plan", "experiments/demo.yaml").code == 0


def test_plan_names_what_is_searched_and_no_more(desk: Any) -> None:
    """A setting with one value is not searched; prompts are, where there are several."""
    lines = dict(line.split(maxsplit=1) for line in desk.cli("plan", "words.yaml").out.splitlines()[:10])
    assert lines["searched"] == "prompt, temperature"
    assert lines["budget"] == "$1.00 and 400 calls"
    assert lines["trials"].startswith("8 at most")


def test_plan_predicts_bill_and_time_and_says_what_they_rest_on(desk: Any) -> None:
    """What the race is expected to take, beside what trying everything would, and what the data can tell."""
    planned = desk.cli("plan", "words.yaml").out
    lines = dict(line.split(maxsplit=1) for line in planned.splitlines()[:12] if line)
    assert lines["samples"].endswith("1 answer each")
    assert lines["calls"] == "238 to 392, as races go"
    assert re.fullmatch(r"\$0\.00\d+ to \$0\.\d+", lines["bill"])
    assert re.fullmatch(
        r"480 calls, about \$0\.\d+ and at most \$0\.\d+; the budget is 83 % of it",
        lines["full"].removeprefix("grid").strip(),
    )
    assert re.fullmatch(
        r"1\d points \[[\d.]+, \d+\] on the search split, 2\d points \[\d+, \d+\] on the confirm split",
        lines["resolves"],
    )
    assert lines["time"] == "unknown"
    assert "nothing states how fast mine/tiny answers" in planned
    assert "Full grid: every trial" in planned
    assert "This data is too small for the policy (the cheapest within 1 point" in planned


def test_plan_says_where_the_budget_ends_the_bill(desk: Any) -> None:
    """And that it covers the full grid, where it does."""
    desk.spec(("usd: 1.0", "usd: 0.005"))
    bill = next(line for line in desk.cli("plan", "words.yaml").out.splitlines() if line.startswith("bill"))
    assert bill.endswith("to $0.005, where the budget stops")
    desk.spec(("calls: 400, ", ""))
    assert "; the budget covers it\n" in desk.cli("plan", "words.yaml").out


def test_plan_knows_how_long_the_starter_may_take(desk: Any) -> None:
    """The local model's answer time is in the catalogue, and it costs nothing."""
    desk.cli("init", "demo")
    lines = dict(
        line.split(maxsplit=1)
        for line in desk.cli("plan", "experiments/demo.yaml").out.splitlines()
        if line.startswith(("time", "bill"))
    )
    assert lines == {"bill": "nothing: these models are free", "time": "about 25.4 s to 3 min 11 s"}


def test_plan_as_json_is_json_alone(desk: Any) -> None:
    """`plan --json` is for programs."""
    planned = desk.cli("plan", "words.yaml", "--json", "--limit", "20", "--n-trials", "3", "--repeat", "2")
    figures = json.loads(planned.out)
    assert planned.err == ""
    assert figures["n_search"] + figures["n_confirm"] == 20
    assert (figures["trials"], figures["repeats"], figures["calls"]) == (3, 2, 120)
    assert figures["worst_case_usd"] > 0


def test_planning_asks_nobody(desk: Any, answers: Any) -> None:
    """`validate` and `plan` send nothing."""
    desk.spec(api_base=answers.url)
    assert desk.cli("validate", "words.yaml").code == desk.cli("plan", "words.yaml").code == 0
    assert answers.requests == 0


def test_from_a_spec_to_a_recommendation(desk: Any, answers: Any) -> None:
    """`tune` ends with what to ship, what it cost and where the report is; the run is then in the list."""
    desk.spec(api_base=answers.url)
    tuned = desk.harness("tune", "words.yaml")
    assert tuned.code == 0
    labels = [line.split()[0] for line in tuned.out.splitlines()]
    assert labels[:4] == ["Recommended", "Why", "Ties", "Export"]
    assert labels[-2:] == ["Spent", "Report"]
    assert "prompt careful" in tuned.out
    assert f"{answers.requests} calls" in tuned.out
    assert tuned.err.startswith("search: ")
    (run,) = desk.runs()
    assert (desk.folder / "reports" / run / "report.html").is_file()
    listed = desk.cli("list")
    assert (listed.code, listed.out.split()[:2]) == (0, [run, "complete"])


def test_second_tune_pays_nothing(desk: Any, answers: Any) -> None:
    """Answers that are in the store are not bought again, and lead to the same recommendation."""
    desk.spec(api_base=answers.url)
    first = json.loads(desk.cli("tune", "words.yaml", "--json").out)
    paid = answers.requests
    again = desk.cli("tune", "words.yaml", "--json")
    assert answers.requests == paid > 0
    assert json.loads(again.out)["settings"] == first["settings"]
    assert "$0.00 for 0 calls" in again.err


def test_no_cache_pays_again(desk: Any, answers: Any) -> None:
    """`--no-cache` asks everything anew."""
    desk.spec(api_base=answers.url)
    assert desk.cli("tune", "words.yaml", "-q", "--n-trials", "2").code == 0
    paid = answers.requests
    assert desk.cli("tune", "words.yaml", "-q", "--n-trials", "2", "--no-cache").code == 0
    assert answers.requests == 2 * paid


def test_recommendation_as_json_is_json_alone(desk: Any, answers: Any) -> None:
    """`tune --json` prints the recommendation; everything for people goes to standard error."""
    desk.spec(api_base=answers.url)
    tuned = desk.cli("tune", "words.yaml", "--json", "--n-trials", "3")
    choice = json.loads(tuned.out)
    assert choice["settings"]["model"] == "mine/tiny"
    assert "Recommended" in tuned.err


def test_quiet_shows_the_result_alone(desk: Any, answers: Any) -> None:
    """`-q` writes no progress."""
    desk.spec(api_base=answers.url)
    tuned = desk.cli("tune", "words.yaml", "-q", "--n-trials", "2")
    assert (tuned.code, tuned.err) == (0, "")
    assert tuned.out.startswith("Recommended")


def test_flags_have_twins_in_the_environment(
    desk: Any, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HARNESS_<FLAG> stands for the flag: here, for limit, trials, reports folder and store."""
    desk.spec(api_base=answers.url)
    monkeypatch.setenv("HARNESS_LIMIT", "12")
    monkeypatch.setenv("HARNESS_N_TRIALS", "2")
    monkeypatch.setenv("HARNESS_OUTPUT", "elsewhere")
    monkeypatch.setenv("HARNESS_STORE", "sqlite:///other/place.db")
    assert desk.cli("tune", "words.yaml", "-q").code == 0
    assert answers.requests == 24
    assert len(list(desk.folder.glob("elsewhere/words-*/report.html"))) == 1
    assert (desk.folder / "other" / "place.db").is_file()
    assert not (desk.folder / ".harness" / "harness.db").exists()


def test_too_small_a_budget_is_inconclusive(desk: Any) -> None:
    """A budget that decides nothing ends with 4, `null` for programs, and the reason for people."""
    desk.spec(("calls: 400", "calls: 5"))
    tuned = desk.cli("tune", "words.yaml", "--json", "-q")
    assert (tuned.code, tuned.out) == (4, "null\n")
    assert "No recommendation (inconclusive)" in tuned.err
    assert "the budget does not cover" in tuned.err


def change_run(desk: Any, column: str, value: str) -> None:
    """Write this into the run's row, as another version or another machine would have."""
    with closing(sqlite3.connect(desk.folder / ".harness" / "harness.db")) as database:
        database.execute(f"UPDATE runs SET {column} = ?", (value,))
        database.commit()


def test_the_report_of_a_run_of_an_older_version_is_whole(desk: Any, archive: Path, finished: str) -> None:
    """The same figures are found, with a price that was corrected since: the plan's name is no matter."""
    page = (desk.folder / "reports" / finished / "report.md").read_text()
    change_run(desk, "plan", "of a version that fingerprinted plans otherwise")
    desk.write("words.yaml", (archive / "words.yaml").read_text().replace("input: 1.0", "input: 2.0"))
    change_run(desk, "spec_file", str(desk.folder / "words.yaml"))
    again = desk.cli("report", finished, "-o", "again")
    assert (again.code, again.err) == (0, "")
    assert (desk.folder / "again" / finished / "report.md").read_text() == page
    assert (desk.folder / "again" / finished / "scores.parquet").is_file()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("prompts/careful.jinja", "Think", "Ponder"), "began with other prompts"),
        (("words.jsonl", "day 7 was", "day 7 is"), "began with other data"),
        (("words.yaml", "seed: 3", "seed: 4"), "began with another spec"),
        (("words.yaml", "metric: accuracy", "metric: acuracy"), "cannot be planned any more"),
    ],
)
def test_where_files_have_moved_the_record_is_still_reported(
    desk: Any, archive: Path, finished: str, change: tuple[str, str, str], told: str
) -> None:
    """What the run found stands in the store; what cannot be had is said, and the old table stays."""
    desk.write("words.yaml", (archive / "words.yaml").read_text())
    change_run(desk, "spec_file", str(desk.folder / "words.yaml"))
    written = desk.folder / "reports" / finished
    before = (written / "scores.parquet").read_bytes()
    name, old, new = change
    text = (desk.folder / name).read_text()
    assert old in text
    desk.write(name, text.replace(old, new))
    again = desk.cli("report", finished)
    assert again.code == 0
    assert told in again.err
    assert "without answers and samples" in again.err
    assert again.out.startswith("Recommended  ")
    page = (written / "report.html").read_text()
    assert 'id="trials"' in page
    assert 'id="samples"' not in page
    assert (written / "scores.parquet").read_bytes() == before


def test_report_is_made_anew_from_the_store(desk: Any, finished: str) -> None:
    """`report` needs the store alone: a folder that was lost comes back."""
    written = desk.folder / "reports" / finished
    before = {path.name for path in written.iterdir()}
    page = (written / "report.md").read_text()
    again = desk.cli("report", "-o", "again")
    assert again.code == 0
    assert {path.name for path in (desk.folder / "again" / finished).iterdir()} == before
    assert (desk.folder / "again" / finished / "report.md").read_text() == page


def test_export_as_json(desk: Any, finished: str) -> None:
    """The JSON export holds model and parameters."""
    made = desk.cli("export", "json", "-o", "out")
    assert (made.code, made.err) == (0, "")
    assert made.out.splitlines()[-2:] == [
        f"wrote {Path('out/settings.json')}",
        f"wrote {Path('out/json.manifest.json')}",
    ]
    settings = json.loads((desk.folder / "out" / "settings.json").read_text())
    assert settings["run"] == finished
    assert (settings["model"]["provider"], settings["model"]["name"]) == ("mine", "tiny")
    assert settings["parameters"]["max_output_tokens"] == 8


@pytest.mark.parametrize("policy", [[], ["--policy", "best"]])
def test_export_holds_the_template_that_was_measured(desk: Any, finished: str, policy: list[str]) -> None:
    """The name of a prompt variant means nothing in another folder; its template does."""
    assert desk.cli("export", "json", finished, "-o", "out", *policy).code == 0
    prompt = json.loads((desk.folder / "out" / "settings.json").read_text())["prompt"]
    assert prompt["template"] == (desk.folder / "prompts" / f"{prompt['variant']}.jinja").read_text()


def test_an_old_run_is_exported_with_its_own_template(desk: Any, finished: str) -> None:
    """A prompt that was edited since the run is not what was measured."""
    desk.write("prompts/careful.jinja", "Something else: {{ text }}\n")
    assert desk.cli("export", "json", finished, "-o", "out").code == 0
    prompt = json.loads((desk.folder / "out" / "settings.json").read_text())["prompt"]
    assert (prompt["variant"], prompt["template"]) == ("careful", "Think. Fine or not?\n{{ text }}\n")


def test_export_as_yaml(desk: Any, finished: str) -> None:
    """The YAML export says the same as the JSON export."""
    assert desk.cli("export", "yaml", finished).code == desk.cli("export", "json", finished).code == 0
    folder = desk.folder / "reports" / finished / "exports"
    assert YAML(typ="safe").load(folder / "yaml" / "settings.yaml") == json.loads(
        (folder / "json" / "settings.json").read_text()
    )


def test_export_for_the_openai_package(desk: Any, finished: str) -> None:
    """The OpenAI export holds keyword arguments and a script that compiles."""
    assert desk.cli("export", "openai", finished, "-o", "out").code == 0
    arguments = json.loads((desk.folder / "out" / "openai.json").read_text())
    assert (arguments["model"], arguments["max_tokens"]) == ("tiny", 8)
    compile((desk.folder / "out" / "openai_example.py").read_text(), "example", "exec")


def test_export_under_another_policy(desk: Any, finished: str) -> None:
    """Choosing anew needs no new calls."""
    assert desk.cli("export", "json", "--policy", "best", "-o", "best").code == 0
    assert json.loads((desk.folder / "best" / "settings.json").read_text())["evidence"]["policy"] == "best"


def test_targets_are_listed(desk: Any) -> None:
    """`export --list` names each target with a description."""
    names = [line.split()[0] for line in desk.cli("export", "--list").out.splitlines()]
    assert names == sorted(TARGETS)


def test_empty_store_says_how_to_begin(desk: Any) -> None:
    """`list` without runs is no error."""
    listed = desk.cli("list")
    assert (listed.code, listed.out) == (0, "no runs yet; begin with `harness tune SPEC`\n")


@pytest.mark.parametrize("verb", [("models",), ("models", "list")])
def test_models_are_listed_with_class_and_price(desk: Any, verb: tuple[str, ...]) -> None:
    """`models` shows the catalogue, and so does `models list`."""
    listed = desk.cli(*verb)
    assert listed.code == 0
    assert any("smollm2-135m-instruct" in line and "SMALL*" in line for line in listed.out.splitlines())


def test_models_with_a_file_of_ones_own_as_json(desk: Any) -> None:
    """What the file adds is among the values, for programs."""
    file = desk.folder / "house.yaml"
    file.write_text(
        'provider: house\nwire: openai\nlitellm_prefix: openai\nsource: ours\nas_of: "2026-11-01"\n'
        "settings: {none: {}}\nmodels: {tiny: {class: SMALL, takes: none, prices: {input: 1, output: 2}}}\n",
        encoding="utf-8",
    )
    listed = desk.cli("models", "--json", "--catalogue", str(file))
    assert desk.cli("models", "--json", "--catalogue", str(file), "list").out == listed.out
    found = {one["full_name"]: one for one in json.loads(listed.out)}
    assert found["house/tiny"]["prices"]["output"] == 2
    assert "openai/gpt-4o-mini" in found


def test_version_is_one_line(desk: Any) -> None:
    """`--version` is for bug reports."""
    told = desk.cli("--version")
    assert (told.code, told.out.split()[0], len(told.out.splitlines())) == (0, "harness", 1)


@pytest.mark.parametrize("words", command_names(), ids=" ".join)
def test_every_command_has_help(desk: Any, words: list[str]) -> None:
    """`--help` goes to standard output, ends with 0, and says in a sentence what the command does."""
    told = desk.cli(*words, "--help")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(" ".join(["Usage: harness", *words]))
    assert "\n\n  " in told.out


def test_nothing_to_do_is_never_success(desk: Any) -> None:
    """`harness` alone shows its verbs and ends with 2."""
    told = desk.cli()
    assert (told.code, told.out) == (2, "")
    assert "Commands:" in told.err


def test_a_terminal_gets_a_table_that_goes_away(progress: Progress) -> None:
    """On a terminal the best trials are redrawn in place, with the spend below them."""
    text = shown([progress], terminal=True)
    assert "words-1, search split" in text
    assert "and 3 more trials" in text
    assert "$0.25 of $1.00" in text
    assert "\x1b[" in text


def test_a_log_gets_plain_lines(progress: Progress) -> None:
    """Off a terminal a line is written for each twentieth of the way, without control characters."""
    text = shown([replace(progress, done=done) for done in range(101)], terminal=False)
    assert 15 < len(text.splitlines()) <= 21
    assert "\x1b" not in text
    assert text.splitlines()[-1].startswith("search: 100 answers, 15 trials, $0.25 spent, 40 calls paid")


def test_a_log_tells_of_judges_that_are_measured(progress: Progress) -> None:
    """Verdicts on labelled answers are counted apart: the search begins to count anew."""
    measuring = replace(progress, phase="judges", trials=(), planned=40)
    snapshots = [replace(measuring, done=20), replace(measuring, done=40), replace(progress, done=3)]
    lines = shown(snapshots, terminal=False).splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "judges: 20 verdicts of 40 on labelled answers",
        "judges: 40 verdicts of 40 on labelled answers",
        "search: 3 answers",
    ]


def test_a_terminal_shows_how_far_judges_are_measured(progress: Progress) -> None:
    """A bar of verdicts, and no table of trials."""
    text = shown([replace(progress, phase="judges", trials=(), done=20, planned=40)], terminal=True)
    assert "words-1: measuring judges on labelled answers" in text
    assert "20 of at most 40 verdicts" in text
    assert "quality" not in text


def test_nothing_is_shown_when_not_wanted(progress: Progress) -> None:
    """A quiet view writes nothing, terminal or not."""
    assert shown([progress], terminal=True, quiet=True) == ""


def test_names_in_a_spec_are_not_markup(progress: Progress) -> None:
    """Brackets in a model's name or a stop sequence are shown as they are."""
    odd = Settings(model="m/[bold]x", prompt="p", stop=("[/INST]",))
    text = shown([replace(progress, trials=(replace(progress.trials[0], settings=odd),))], terminal=True)
    assert "[bold]x" in text
    assert "[/INST]" in text


@pytest.mark.local_model
def test_the_local_model_from_init_to_export(
    desk: Any, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The experiment that `init` writes runs on this machine as it is, with a small limit here."""
    monkeypatch.setenv("HARNESS_MODELS", str(weights))
    assert desk.cli("init", "demo").code == 0
    tuned = desk.harness("tune", "experiments/demo.yaml", "--limit", "8", "--n-trials", "2", "--json")
    assert tuned.code in (0, 4), tuned.err
    assert json.loads(tuned.out)["settings"]["model"] == "local/smollm2-135m-instruct"
    assert desk.cli("export", "json").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a console script has another name there")
def test_console_script_and_module_are_one(desk: Any) -> None:
    """`harness` and `python -m harness` print the same help."""
    script = Path(sys.executable).with_name("harness")
    assert desk.program(script, "--help") == desk.harness("--help")


def test_further_runs_fill_in_and_options_reach_the_target(desk: Any, finished: str) -> None:
    """A run that adds nothing is refused; the embedding model and the input limit stand in Eliza's files."""
    options = ("--embedding", "openai/text-embedding-3-small", "--max-input-tokens", "4000")
    twice = desk.cli("export", "eliza-0.25", finished, finished, "-o", "out", *options)
    assert (twice.code, "would add nothing" in twice.err) == (2, True)
    assert desk.cli("export", "eliza-0.25", finished, "-o", "out", *options).code == 0
    character = json.loads((desk.folder / "out" / "tuned.character.json").read_text())
    assert character["settings"]["modelConfig"]["maxInputTokens"] == 4000
    assert "USE_OPENAI_EMBEDDING=true" in (desk.folder / "out" / ".env").read_text()


def test_an_unknown_embedding_model_is_a_mistake(desk: Any, finished: str) -> None:
    """It is named before anything is written."""
    made = desk.cli("export", "eliza-1", finished, "-o", "out", "--embedding", "openai/gpt-4.1")
    assert made.code == 2
    assert "expected an embedding model" in made.err
    assert not (desk.folder / "out").exists()
