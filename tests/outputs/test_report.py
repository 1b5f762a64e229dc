"""The report: what it says, that it loads nothing, and that nothing a model wrote can act."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from harness.findings import Paid, PairedDifference, Recommendation, Spend
from harness.outputs import report
from harness.outputs.pages import checksum, markdown
from harness.outputs.report_parts import paid_by_class
from harness.records import Score
from harness.store.codec import decode

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self.text, self._inside = [], [], "", None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None
        if tag == "script":
            self.scripts.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        self._inside = None
        self.text += " " if tag in ("td", "th") else ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1][1] += data
        elif self._inside is None:
            self.text += data

    @property
    def words(self):
        return " ".join(self.text.split())

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def page(record, worst=()):
    """The report, parsed."""
    return Page(report.html(record, worst))


def test_report_writes_five_files_and_nothing_else(make, tmp_path):
    """Page, short form, recommendation and two tables; no temporary file stays."""
    paths = report.write_report(make.record(), iter([make.row()]), tmp_path / "r1")
    names = ["recommendation.json", "report.html", "report.md", "scores.parquet", "trials.parquet"]
    assert sorted(path.name for path in paths) == names
    assert sorted(path.name for path in (tmp_path / "r1").iterdir()) == names


def test_recommendation_file_reads_back(make, tmp_path):
    """The JSON is the record, without loss."""
    report.write_report(make.record(), [], tmp_path)
    text = (tmp_path / "recommendation.json").read_text(encoding="utf-8")
    assert decode(Recommendation, text) == make.recommendation()


def test_old_recommendation_goes_when_there_is_none(make, tmp_path):
    """A file that contradicts the page beside it does not stay."""
    report.write_report(make.record(), [], tmp_path)
    report.write_report(make.record(recommendation=None, state="inconclusive"), [], tmp_path)
    assert not (tmp_path / "recommendation.json").exists()


def test_page_loads_nothing(make):
    """No element names a resource, and the page's own policy forbids every request."""
    shown = page(make.record())
    assert not [a for _, a in shown.tags if "src" in a or "srcset" in a or "data" in a]
    assert not shown.named("link")
    assert all(attrs["href"].startswith("#") for attrs in shown.named("a"))
    policy = next(a["content"] for a in shown.named("meta") if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_only_known_scripts_may_run(make):
    """The policy names the checksum of each script, so that an injected one is refused."""
    shown = page(make.record())
    policy = next(a["content"] for a in shown.named("meta") if a.get("http-equiv"))
    running = [text for _, text in shown.scripts]
    assert len(running) == len(report.SCRIPTS)
    assert set(re.findall(r"sha256-[\w+/=]+", policy)) == {checksum(text) for text in running}


def test_hostile_answers_are_shown_as_text(make):
    """Whatever a model wrote, in answers, labels or names, adds no element to the page."""
    record = make.record(experiment=HOSTILE, description=HOSTILE, notes=(HOSTILE,), aim=HOSTILE)
    settings = make.settings(model=f"openai/{HOSTILE}", prompt=HOSTILE)
    record = replace(record, trials=(*record.trials, make.trial(9, settings=settings, reason=HOSTILE)))
    row = make.row(HOSTILE, 0.0, text=HOSTILE, target=HOSTILE)
    shown, plain = page(record, [row]), page(make.record(), [make.row("a", 0.0)])
    assert len(shown.scripts) == len(plain.scripts)
    assert not shown.named("img")
    assert shown.text.count("<img src=x onerror=alert(2)>") >= 8


def test_pictures_have_text_alternatives(make):
    """Each is one image to a screen reader, named by its heading and described by its caption."""
    shown = page(make.record())
    charts = [attrs for attrs in shown.named("svg") if attrs.get("role") == "img"]
    assert len(charts) == len(shown.named("figcaption")) == 2
    assert all({"aria-labelledby", "aria-describedby"} <= set(attrs) for attrs in charts)


def test_tables_are_tables(make):
    """Every table has a caption, and every heading cell says what it heads."""
    shown = page(make.record(), [make.row("a", 0.0)])
    assert len(shown.named("table")) == len(shown.named("caption")) >= 6
    assert all(attrs.get("scope") in ("col", "row", "rowgroup") for attrs in shown.named("th"))


def test_references_inside_the_page_lead_somewhere(make):
    """Every link and every label points at an element that exists, once."""
    shown = page(make.record(), [make.row("a", 0.0)])
    ids = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {a["href"][1:] for a in shown.named("a")}
    named |= {a[key] for _, a in shown.tags for key in ("aria-labelledby", "aria-describedby") if key in a}
    assert named <= set(ids)


@pytest.mark.parametrize(
    "words",
    [
        "Ship openai/gpt-4.1-mini, prompt plain, temperature 0.2: accuracy 0.84 [0.76, 0.90], n=84, ",
        "$0.12 per 1,000 calls, median latency 0.43 s; better than the untuned default.",
        "Rule applied: the cheapest within 1 point of the highest quality, with usd_per_1k_calls at most 2.",
        "harness export json r1",
        "Trial 2 is the cheapest of two that cannot be told apart from the best.",
        "Prices are list prices.",
        "Search split 0.87 [0.82, 0.91], n=196",
        "the confirm split chose nothing, so its figure is the one to expect",
        "+6.1 points [+2.1, +10.2], n=84 Better.",
        "+1.0 points [-2.0, +4.0], n=84 No clear difference.",
        "behind trial 0 after 24 samples",
        "All $0.31 812 0 / 0 120 $0.05",
        "Capped at $5.00 and 1 000 calls.",
        "both count as wrong (score 0)",
        "CC0-1.0",
        "harness tune SPEC --seed 20",
    ],
)
def test_page_says(make, words):
    """The sentences and figures that a reader came for."""
    assert words in page(make.record()).words


def rule(record):
    """The sentence on the rule in the short form."""
    return re.search(r"Rule applied: (.*?)\. Run ", report.markdown(record)).group(1)


def test_first_tokens_are_shown_where_answers_were_streamed(make):
    """In the tables, in the tile and in the short form; elsewhere there is no empty column."""
    record = make.record()
    plain = page(record).words
    assert "First token" not in plain
    fast = make.trial(2, split="confirm", first_token_p50_s=0.21)
    streamed = replace(
        record,
        trials=tuple(replace(trial, first_token_p50_s=0.37) for trial in record.trials),
        recommendation=make.recommendation(trial=fast),
    )
    words = page(streamed).words
    assert "first token after 0.21 s" in words
    assert "1.20 s 0.37 s 0%" in words
    assert "| latency p50 / p95 | 0.43 s / 1.20 s, first token after 0.21 s |" in report.markdown(streamed)


def test_the_rule_is_said_once(make):
    """The aim holds the policy in words already; without a choice, the aim is the rule."""
    assert rule(make.record()).count("within 1 point") == 1
    assert rule(make.record(recommendation=None, aim="the highest quality")) == "the highest quality"


def test_a_policy_that_is_not_the_aims_is_said_with_it(make):
    """What chose, and what the spec asks for."""
    record = make.record(aim="the cheapest within 2 points of the highest quality")
    best = replace(record.recommendation, policy="best")
    assert rule(replace(record, aim="the cheapest one", recommendation=best)) == (
        "the highest quality (the spec asks for the cheapest one)"
    )


def test_local_models_carry_their_note(make):
    """A small local model is no evidence on large ones, and the page says so."""
    settings = make.settings(model="local/smollm2-135m-instruct")
    choice = make.recommendation(
        settings=settings, trial=make.trial(2, settings=settings, usd_per_1k_calls=0.0)
    )
    words = page(make.record(recommendation=choice)).words
    assert "no evidence on large models" in words
    assert "free" in words
    assert "no evidence on large models" not in page(make.record()).words


def test_choice_that_is_the_default_is_kept_not_shipped(make):
    """When tuning found nothing better, the verdict says so."""
    default = make.trial(0, split="confirm")
    choice = make.recommendation(trial=default, versus_default=None, settings=default.settings)
    assert "Keep the untuned default" in page(make.record(recommendation=choice)).words


def test_no_clear_difference_is_said(make):
    """An interval that holds zero never reads as better."""
    unclear = PairedDifference(other=0, difference=make.estimate(0.03, -0.01, 0.07))
    words = page(make.record(recommendation=make.recommendation(versus_default=unclear))).words
    assert "no clear difference to the untuned default." in words


@pytest.mark.parametrize("state", ["running", "complete", "stopped", "inconclusive", "failed"])
def test_every_state_without_a_choice_has_a_page(make, state):
    """A run that chose nothing says so, also when it measured nothing."""
    record = make.record(state=state, recommendation=None, trials=(), finalists=(), ended_at=None)
    assert "No recommendation" in page(record).words
    assert "No recommendation" in report.markdown(record)


def test_unknown_price_is_unknown_on_the_page(make):
    """A price nobody knows is never shown as free."""
    trials = (make.trial(0, usd_per_1k_calls=None),)
    words = page(make.record(trials=trials, finalists=(), recommendation=None)).words
    assert "unknown" in words
    assert "free" not in words


def test_short_form_has_verdict_settings_and_best_trials(make):
    """What a pull request shows: the choice first, and intervals everywhere."""
    text = report.markdown(make.record())
    assert "| temperature | 0.2 |" in text
    first = next(line for line in text.splitlines() if "★" in line)
    assert first.startswith("| 2 ★ | openai/gpt-4.1-mini")
    assert "n=84" in first
    assert "\n\n\n" not in text


def test_short_form_escapes_markdown():
    """A pipe, a backtick or a tag in a name breaks neither table nor page."""
    assert markdown("a|b `c`\n<d> & [e](f)") == r"a\|b \`c\` &lt;d&gt; &amp; \[e\](f)"


def test_worst_answers_are_the_lowest_of_the_choice(make):
    """Confirm split, recommended trial, below full score, lowest first."""
    worst = report.Worst(make.record())
    rows = [
        make.row("full", 1.0),
        make.row("half", 0.5),
        make.row("zero", 0.0),
        make.row("other trial", 0.0, trial=3),
        make.row("search", 0.0, split="search"),
    ]
    assert list(worst.watching(rows)) == rows
    assert [row.sample_id for row in worst.rows()] == ["zero", "half"]


def test_worst_answers_keep_one_repeat_a_sample(make):
    """A sample stands once, with its lowest repeat."""
    worst = report.Worst(make.record())
    list(worst.watching([make.row("a", 0.5), make.row("a", 0.1, repeat=1), make.row("a", 0.3, repeat=2)]))
    assert [row.repeat for row in worst.rows()] == [1]


def test_worst_answers_stay_few_however_many_pass(make):
    """At most twenty are held, and they are the lowest."""
    worst = report.Worst(make.record())
    list(worst.watching(make.row(str(n), (n * 37 % 1000) / 1000) for n in range(1000)))
    values = [row.scores[0].value for row in worst.rows()]
    assert values == [n / 1000 for n in range(20)]


def a_pair(make, name, cosine, target, value=0.0, reason=""):
    """A row of a semantic cache."""
    score = Score(
        sample_id=name, repeat=0, scorer="similarity", version=1, value=value, label=None, reason=reason
    )
    texts = {"text_a": f"one of {name}", "text_b": f"other of {name}"}
    return make.row(name, scores=(score,), text=f"{cosine:.4f}", target=target, inputs=texts)


def test_of_pairs_false_hits_come_before_what_was_missed(make):
    """A wrong answer does more harm than a question that is asked again; the farther wrong, the earlier."""
    worst = report.Worst(make.record())
    rows = [("m1", 0.4, "same"), ("f1", 0.91, "different"), ("m2", 0.1, "same"), ("f2", 0.95, "different")]
    list(worst.watching([a_pair(make, *row) for row in rows]))
    assert [row.sample_id for row in worst.rows()] == ["f2", "f1", "m2", "m1"]


def test_pairs_with_the_lowest_scores_show_both_texts(make):
    """With cosine, label, and what the threshold makes of them, in one table."""
    shown = page(make.record(), [a_pair(make, "f1", 0.91, "different", reason="a false hit (threshold 0.9)")])
    for told in ("one of f1", "other of f1", "different", "0.9100", "a false hit (threshold 0.9)"):
        assert told in shown.text


def test_low_scores_show_what_was_asked_and_whose_answer_it_is(make):
    """Inputs by name; an answer to another prompt is marked."""
    row = make.row("a", 0.0, inputs={"text": "Charged twice."}, near_sample="b", near_cosine=0.98)
    shown = page(make.record(), [row])
    assert "Charged twice." in shown.text
    assert "near answer: given to b, cosine 0.9800; this prompt was not asked" in shown.text


@pytest.mark.parametrize(("policy", "shown"), [("count_as_wrong", ["lost"]), ("leave_out", [])])
def test_failed_calls_count_among_the_worst_as_they_do_in_quality(make, policy, shown):
    """Wrong when the spec counts them as wrong, absent when it leaves them out."""
    worst = report.Worst(make.record(failures=policy))
    list(worst.watching([make.row("lost", text=None, failure="timeout", scores=())]))
    assert [row.sample_id for row in worst.rows()] == shown


def test_long_answers_are_cut(make):
    """An answer is shown with at most 500 characters."""
    shown = page(make.record(), [make.row("a", 0.0, text="x" * 900)])
    assert "x" * 499 + "…" in shown.text
    assert "x" * 500 not in shown.text


def by_class_paid(make):
    """A record of two classes and one bill without an answer."""
    small, large = (make.trial(n, model_class=name) for n, name in enumerate(("SMALL", "LARGE")))
    large = replace(large, settings=make.settings(model="openai/gpt-4.1"))
    spend = Spend(
        usd=0.75,
        calls=13,
        input_tokens=1200,
        output_tokens=120,
        saved_usd=0.25,
        cached=5,
        by_model={
            large.settings.model: Paid(usd=0.25, calls=2, input_tokens=200, output_tokens=20),
            small.settings.model: Paid(usd=0.25, calls=10, input_tokens=900, output_tokens=90),
            "": Paid(usd=0.25, calls=1, input_tokens=100, output_tokens=10),
        },
    )
    return make.record(trials=(small, large), finalists=(), spend=spend, recommendation=None)


def test_b12_tokens_and_money_are_told_by_class_and_add_up(make):
    """Small classes first, then what was billed without an answer: the parts are the whole."""
    record = by_class_paid(make)
    parts = paid_by_class(record)
    assert list(parts) == ["SMALL", "LARGE", "unanswered"]
    for figure in ("usd", "calls", "input_tokens", "output_tokens"):
        assert sum(getattr(part, figure) for part in parts.values()) == getattr(record.spend, figure)
    words = page(record).words
    assert "of it, class SMALL $0.25 10 900 / 90" in words
    assert "of it, billed without an answer $0.25 1 100 / 10" in words


def test_b11_the_money_that_the_cache_saved_is_told(make):
    """At list price, beside the answers that it gave."""
    assert "All $0.75 13 1 200 / 120 5 $0.25" in page(by_class_paid(make)).words
