"""The short form stays what it is, whatever names, labels and reasons say: Markdown with our markup alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from harness.outputs import report
from harness.outputs.pages import LINKED, UNPRINTABLE, WORD_JOINER, markdown, markdown_told
from harness.testing.finished import a_finished_run
from harness.testing.naughty import naughty_texts

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "softbreak"),
    *("strong_open", "strong_close", "bullet_list_open", "bullet_list_close", "list_item_open"),
    *(
        "list_item_close",
        "table_open",
        "table_close",
        "thead_open",
        "thead_close",
        "tbody_open",
        "tbody_close",
    ),
    *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "hardbreak"),
}


def kinds(text):
    """Every kind of token in this Markdown."""
    tokens = GITHUB.parse(text)
    return {token.type for token in tokens} | {c.type for token in tokens for c in token.children or ()}


def shown(text):
    """What a reader of this Markdown sees, as one line."""
    inline = [token for token in GITHUB.parse(text) if token.type == "inline"]
    return " ".join("".join(child.content for child in token.children or ()) for token in inline)


@pytest.mark.parametrize("text", naughty_texts())
def test_a_hostile_text_reads_as_it_is(text):
    """In a table cell: one cell of plain text, the same letters, no markup, nothing that GitHub links."""
    table = f"| a | b |\n| --- | --- |\n| {markdown(text)} | end |\n"
    assert kinds(table) <= OURS
    cells = [token.children or [] for token in GITHUB.parse(table) if token.type == "inline"]
    assert len(cells) == 4
    read = "".join(child.content for child in cells[2])
    expected = UNPRINTABLE.sub("\ufffd", " ".join(text.split()))
    assert read.replace(WORD_JOINER, "") == expected.replace(WORD_JOINER, "").strip()
    assert not re.search(r"://|\bwww\.|@\w|\bGH-\d", read, re.IGNORECASE)


def test_joiners_stand_only_where_something_would_be_linked():
    """Names of metrics and prices keep their letters."""
    for plain in ("ndcg@10 of 5", "$0.12", "a:b", "openai/gpt-4.1"):
        assert WORD_JOINER not in markdown(plain).replace("@" + WORD_JOINER, "@")
    assert LINKED.sub("|", "see http://x, www.y, @z") == "see http:|//x, www|.y, @|z"


def test_a_hostile_run_makes_the_short_form_of_any_run():
    """As many lines, tables and cells as without attackers, and no kind of markup that we did not write."""
    plain = report.markdown(a_finished_run(trials=12).record)
    texts = [text for text in naughty_texts() if text.strip()]
    for start in range(0, len(texts), 60):
        attacked = report.markdown(a_finished_run(trials=12, hostile=texts[start:]).record)
        assert kinds(attacked) <= OURS | {"hr"}
        assert [line.count(" | ") for line in attacked.splitlines() if line.startswith("| setting")] == [1]
        assert attacked.count("\n## ") == plain.count("\n## ")


def test_hostile_labels_stay_in_their_table(make):
    """Labels are what models wrote."""
    record = make.record()
    broken = replace(record, metric="a|b", experiment="x\n# y", notes=("- [ ] do\n\n<b>",))
    text = report.markdown(broken)
    assert "\n# y" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("go on with `--split confirm`, then_stop", "go on with `--split confirm`, then\\_stop"),
        ("`harness eval --resume latest`: [x](y)", "`harness eval --resume latest`: \\[x\\](y)"),
        ("`<b>` and ` x", "\\`&lt;b&gt;\\` and \\` x"),
        ("`a|b`", "\\`a\\|b\\`"),
    ],
)
def test_a_command_in_a_sentence_stays_code(told, shown):
    """Of a sentence of ours; whatever could be markup between backticks is escaped with them."""
    assert markdown_told(told) == shown
