"""A report of what attackers wrote: everything is shown as text, and nothing of it happens."""

from __future__ import annotations

import csv
import io

import pytest

from harness.testing.naughty import naughty_texts

OURS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "section",
        "footer",
        "nav",
        "aside",
    ),
    *("h1", "h2", "h3", "h4", "p", "div", "span", "strong", "small", "bdi", "br", "code", "pre", "a", "i"),
    *("ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure"),
    *("figcaption", "svg", "g", "path", "line", "circle", "rect", "text", "details", "summary", "form"),
    *("label", "input", "select", "option", "output", "button", "noscript", "script"),
}
# The table of all trials with one row and one cell for each of these texts.
ROWS = """texts => document.querySelector("#trial-table tbody").replaceChildren(...texts.map((text) => {
  const [row, cell] = ["tr", "td"].map((tag) => document.createElement(tag));
  cell.style.whiteSpace = "pre";
  cell.textContent = text;
  row.append(cell);
  return row;
}))"""
# Goes through all pages of the samples, and opens the first of each; gives how many rows were shown.
READ_ALL = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const [next, title] = [document.querySelector("button[data-page='1']"), "#sample-detail h3 bdi"];
  for (let seen = 0; ; next.click()) {
    seen += document.querySelectorAll("table.grid tbody tr").length;
    const first = document.querySelector("table.grid tbody th button");
    first.click();
    while (document.querySelector(title)?.textContent !== first.textContent) await frame();
    if (next.disabled) return seen;
  }
}"""
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture(scope="session")
def attacked(write_page):
    """The page of a run in which every name, input, answer and reason is hostile, each in some place."""
    texts = naughty_texts()
    return write_page(trials=8, search=len(texts) + 10, confirm=40, race=False, hostile=texts)


def quiet(opened, path):
    """Whether the page did nothing but be there, and holds no element that we do not write."""
    assert opened.page.evaluate("window.ran") is None
    assert opened.said == []
    assert opened.asked == [path.as_uri()]
    tags = set(opened.page.evaluate("[...document.querySelectorAll('*')].map(one => one.localName)"))
    assert tags <= OURS
    handlers = opened.page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes])"
        ".filter(one => one.name.startsWith('on') || /script:/i.test(one.value)).map(one => one.name)"
    )
    assert [name for name in handlers if name.startswith("on")] == []
    return True


def test_nothing_hostile_happens_when_the_page_opens(visit, attacked):
    """No script, no handler, no request, no foreign element; all sections are still there."""
    opened = visit(attacked)
    assert quiet(opened, attacked)
    assert opened.page.locator("#trial-table tbody tr").count() == 8
    assert opened.page.locator("h2", has_text="Provenance and how to repeat").count() == 1


def test_nothing_hostile_happens_while_samples_are_read(visit, attacked):
    """All pages of the samples, and the answers of some on each, side by side."""
    opened = visit(attacked, address="#trial-1")
    opened.page.click("#picked [data-compare]")
    opened.page.wait_for_selector("table.grid tbody tr")
    opened.page.select_option("#sample-view select[name=split]", "search")
    seen = opened.page.evaluate(READ_ALL)
    assert seen == len(naughty_texts()) + 10
    assert quiet(opened, attacked)


def test_hostile_texts_are_shown_letter_by_letter(visit, attacked):
    """What stands in the page is what was written, markup included."""
    opened = visit(attacked)
    opened.page.click("#sample-view > summary")
    opened.page.wait_for_selector("table.grid tbody tr")
    opened.page.fill("#sample-view input[name=text]", "<img src=x onerror=")
    opened.page.locator("table.grid tbody th button").first.click()
    opened.page.wait_for_selector("#sample-detail h4")
    asked = opened.page.locator('#sample-detail pre[aria-label="Input"]').inner_text()
    assert "<img src=x onerror=window.ran=(window.ran||0)+1>" in asked


def test_a_copied_table_holds_no_formula(visit, attacked):
    """As CSV it reads back row by row, and no cell begins like a formula, numbers apart."""
    opened = visit(attacked, permissions=["clipboard-read", "clipboard-write"])
    opened.page.click("button[data-csv]")
    opened.page.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
    text = opened.page.evaluate("navigator.clipboard.readText()")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == 9
    assert len({len(row) for row in rows}) == 1
    # A figure with its interval is four numbers, each in a column of its own.
    place = rows[0].index("Accuracy")
    assert rows[0][place : place + 4] == ["Accuracy", "Accuracy low", "Accuracy high", "Accuracy n"]
    known = [row[place : place + 4] for row in rows[1:] if row[place + 3]]
    assert known
    assert all(float(low) <= float(value) <= float(high) and int(n) for value, low, high, n in known)
    assert [cell for row in rows for cell in row if cell.lstrip().startswith(FORMULA)] == []


def test_every_formula_gets_a_quote_in_front(visit, written):
    """Each hostile text in turn, as a cell of the table that is copied."""
    opened = visit(written, permissions=["clipboard-read", "clipboard-write"])
    texts = [text.encode("utf-8", "replace").decode() for text in naughty_texts()]
    opened.page.evaluate(ROWS, texts)
    opened.page.click("button[data-csv]")
    opened.page.wait_for_function("document.querySelector('[role=status]').textContent !== ''")
    text = opened.page.evaluate("navigator.clipboard.readText()")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert len(rows) == len(naughty_texts())
    dangerous = [row[0] for row in rows if row[0].lstrip().startswith(FORMULA)]
    assert [cell for cell in dangerous if cell != "-0"] == []
