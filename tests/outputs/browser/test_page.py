"""A report in a browser: whole, silent, usable by mouse and keyboard, in light, dark and on paper."""

from __future__ import annotations

import json

import pytest

SECTIONS = (
    "Recommended settings",
    "How good, and how sure that is",
    "Quality against price and latency",
    "All trials",
    "Confirm split",
    "Ties",
    "What each setting did",
    "What else could be shipped",
    "Sample by sample",
    "Lowest scores of the recommended settings",
    "What the quality is made of",
    "Spend",
    "Where the time of a call goes",
    "Failures, refusals, truncations",
    "Data",
    "Provenance and how to repeat",
)
WORST_TOLERATED = ("minor",)


def violations(page, axe, rules=None):
    """What axe-core finds worse than minor, as rule and first place. rules: these alone; `None`: all."""
    # The page's own policy forbids foreign scripts, and rightly: the driver brings this one in past it.
    page.evaluate(axe.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({} if rules is None else {"runOnly": rules})}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] not in WORST_TOLERATED
    ]


@pytest.fixture(scope="session")
def few(write_page):
    """A page with every part and few rows in each: axe-core looks at every one of them."""
    return write_page(trials=7, search=40, confirm=30)


def test_page_is_silent_and_asks_for_nothing(visit, written):
    """No error or warning in the console, and no request but the one for the page itself, samples opened."""
    opened = visit(written)
    opened.page.click("#sample-view > summary")
    opened.page.wait_for_selector("table.grid tbody tr")
    assert opened.said == []
    assert opened.asked == [written.as_uri()]


def test_every_section_is_there_in_order(visit, written):
    """The headings of second order, from verdict to provenance."""
    assert visit(written).page.locator("h2").all_inner_texts() == list(SECTIONS)


def test_a_heading_sorts_its_column_both_ways(visit, written):
    """One click sorts upwards, the next downwards, and screen readers are told."""
    opened = visit(written)
    heading = opened.page.locator("#trial-table thead th", has_text="$ / 1k")
    heading.get_by_role("button").click()
    cheap = [float(text.strip("$")) for text in opened.column("#trial-table", 5)]
    assert cheap == sorted(cheap)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").click()
    assert opened.column("#trial-table", 5)[0] == f"${max(cheap):.2f}"
    assert heading.get_attribute("aria-sort") == "descending"


def test_filters_leave_the_trials_that_match(visit, written):
    """By what is typed and by state, together; the count says how many are left."""
    opened = visit(written)
    opened.page.fill("form[data-table] input", "haiku")
    opened.page.select_option("form[data-table] select", "eliminated")
    states = opened.column("#trial-table", 1)
    assert states
    assert all(text.startswith("eliminated") for text in states)
    assert all("haiku" in text for text in opened.column("#trial-table", 2))
    assert opened.text("form[data-table] output") == f"{len(states)} of 24 trials"


def test_a_click_on_a_point_selects_its_trial_everywhere(visit, written):
    """In both pictures, in the race, in the tables, in the bar below and in the address."""
    opened = visit(written)
    opened.page.locator('svg.chart .point[data-trial="9"] .halo').first.click(force=True)
    picked = opened.page.locator(".picked")
    assert picked.evaluate_all("parts => new Set(parts.map(part => part.dataset.trial)).size") == 1
    number = picked.first.get_attribute("data-trial")
    names = picked.evaluate_all("parts => parts.map(part => part.closest('table, svg').tagName)")
    assert names.count("svg") == 3
    assert names.count("TABLE") >= 2
    assert opened.text("#picked").startswith(f"Trial {number} ")
    assert opened.page.evaluate("location.hash") == f"#trial-{number}"
    opened.page.click("#picked [data-clear]")
    assert opened.page.locator(".picked").count() == 0


def test_an_address_opens_the_page_with_its_trial_selected(visit, written):
    """So that one can point somebody at a trial."""
    opened = visit(written, address="#trial-3")
    assert opened.page.locator("#trial-3.picked").count() == 1


def test_a_selected_trial_is_compared_sample_by_sample(visit, written):
    """The button of the bar opens the samples, the choice beside this trial."""
    opened = visit(written, address="#trial-0")
    opened.page.click("#picked [data-compare]")
    opened.page.wait_for_selector("table.grid tbody tr")
    assert opened.page.locator("#sample-view select[name=right]").input_value() == "0"


def test_copying_an_export_gives_its_file(visit, written):
    """What stands on the clipboard is the file, and the button says that it is there."""
    opened = visit(written, permissions=["clipboard-read", "clipboard-write"])
    opened.page.locator("ul.exports summary:has(strong:text-is('json'))").click()
    opened.page.get_by_role("button", name="Copy json: ").first.click()
    text = opened.page.evaluate("navigator.clipboard.readText()")
    assert json.loads(text)["prompt"]["template"].startswith("Which label fits?")
    assert opened.text("[role=status]") == "Copied to the clipboard."


def test_without_a_clipboard_the_text_is_marked(visit, written):
    """Viewers of artifacts may forbid it: then the text is selected, ready for Ctrl+C."""
    opened = visit(written)
    opened.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = opened.page.get_by_role("button", name="Copy Commands")
    button.click()
    assert "harness tune SPEC" in opened.page.evaluate("getSelection().toString()")


def test_the_worst_regressions_come_first(visit, written):
    """Where the choice loses most against the other, ahead of ties and gains."""
    opened = visit(written)
    opened.page.click("#sample-view > summary")
    opened.page.wait_for_selector("table.grid tbody tr")
    opened.page.uncheck("#sample-view input[name=every]")
    differences = [float(text) for text in opened.column("table.grid", 2)]
    assert differences[0] == -1
    assert differences == sorted(differences)


def test_answers_stand_side_by_side(visit, written):
    """The sample's input and target, and what both trials answered, with the reason of the score."""
    opened = visit(written)
    opened.page.click("#sample-view > summary")
    opened.page.locator("table.grid tbody th button").first.click()
    opened.page.wait_for_selector("#sample-detail h4")
    headings = opened.page.locator("#sample-detail h4").all_inner_texts()
    assert headings[:2] == ["Input", "Target"]
    assert [text.startswith("Trial ") for text in headings[2:]] == [True, True]
    assert opened.page.locator('#sample-detail pre[aria-label="Answer"]').count() == 2
    assert "expected" in opened.text("#sample-detail")


def test_the_keyboard_reaches_samples_and_their_answers(visit, written):
    """Open, choose and page with Enter alone; the focus goes to the answers."""
    opened = visit(written)
    opened.page.focus("#sample-view > summary")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("table.grid tbody tr")
    opened.page.locator("table.grid tbody th button").first.focus()
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#sample-detail h4")
    assert opened.page.evaluate("document.activeElement.id") == "sample-detail"


def test_dark_is_dark_and_light_is_light(visit, written):
    """The page follows the system, pictures included."""

    def brightness(scheme: str) -> float:
        page = visit(written, color_scheme=scheme).page
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))

    assert brightness("dark") < 120
    assert brightness("light") > 700


def test_page_prints_as_a_whole(visit, written, tmp_path):
    """On paper it is light, in several pages, without what only a screen can do."""
    opened = visit(written, color_scheme="dark")
    opened.page.pdf(path=tmp_path / "report.pdf")
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 4
    opened.page.emulate_media(media="print")
    assert opened.page.locator("button.copy:visible, form:visible, #sample-view:visible").count() == 0
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.packages
@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])])
def test_no_serious_barrier(visit, few, axe, scheme, rules):
    """axe-core finds trifles at most, contrast included, with samples, answers and a trial open."""
    opened = visit(few, color_scheme=scheme, address="#trial-0")
    opened.page.click("#sample-view > summary")
    opened.page.locator("table.grid tbody th button").first.click()
    opened.page.wait_for_selector("#sample-detail h4")
    for details in opened.page.locator("ul.exports summary").all()[:3]:
        details.click()
    assert violations(opened.page, axe, rules) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(visit, written, width):
    """Wide tables and pictures scroll in their own frame."""
    opened = visit(written, width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_javascript_everything_but_samples_is_there(visit, written):
    """Verdict, pictures and tables need no script; the samples say that they do."""
    opened = visit(written, java_script_enabled=False)
    assert opened.page.locator("svg.chart .point").count() > 20
    assert opened.page.locator("#trial-table tbody tr").count() == 24
    assert "unpacked by JavaScript" in opened.text("#samples ~ noscript p")
    assert opened.page.locator("form:visible, button:visible").count() == 0


def test_a_table_that_goes_on_beyond_the_edge_shows_it(visit, written):
    """On a phone there is no bar to see; at its end, the sign goes."""
    opened = visit(written, width=390)
    part = opened.page.locator("section[aria-labelledby=confirm] .scroll")
    signed = opened.page.locator("section[aria-labelledby=confirm] .scroll.more")
    signed.wait_for()
    part.evaluate("element => { element.scrollLeft = 10000 }")
    signed.wait_for(state="detached")
    figure = opened.page.locator("section[aria-labelledby=confirm] tbody td.n").first
    part.evaluate("element => { element.scrollLeft = 0 }")
    box = figure.bounding_box()
    assert box["x"] + box["width"] <= 390
