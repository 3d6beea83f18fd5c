"""The page of an audit: pairs beside each other, pictures, texts as text, and nothing wider than a phone."""

import shutil

import pytest
from radar_report_pages import HOSTILE, picture, write_results

from radar_tasks.analysis.audit.audited_source import audited_sources
from radar_tasks.analysis.audit.question_audit import audit_questions
from radar_tasks.questions import Question
from radar_tasks.report.question_audit import question_audit_page
from radar_tasks.results import find_runs
from radar_tasks.store import source_path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A source of sixty questions: two are copies of the first, of which one has another key, one answer is long."""
    folder = tmp_path_factory.mktemp("audit")
    asked = []
    for i in range(60):
        copy = i in (30, 31)
        options = list(COLOURS)
        answer = 0 if copy else i % 4
        if i in (3, 7, 11, 15):
            options[answer] += " as anyone who looks can see, and " + HOSTILE * 3
        asked.append(
            Question(
                f"{i:03d}", ("The colour is" if copy or i == 0 else f"Colour {i} is {HOSTILE}",),
                (picture((9 * (0 if copy else i), 80, 200), side=48),), tuple(options), 1 if i == 31 else answer,
                "perception", "task", "mini_colour", HOSTILE, f"image-{i}",
            )
        )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RADAR_HOME", str(folder / "home"))
        source_path("mini_colour").parent.mkdir(parents=True)
        write_results(folder / "results", {"mini_colour": asked}, lambda question, k: 0.7, steps=(100, 200))
        sources, notes = audited_sources(find_runs([folder / "results"]))
        made = audit_questions(sources, notes)
        (folder / "audit.html").write_text(question_audit_page(made, sources, 100))
    return folder / "audit.html", made


def test_a_pair_is_one_card_and_its_contradiction_stands_first(page):
    text = page[0].read_text()
    assert [(row.q_id, row.twin_q_id) for row in page[1].duplicates][:2] == [("000", "031"), ("031", "000")]
    twice = text.split('id="duplicates"')[1].split("</section>")[0]
    # 000 with 031, and 030, of which 031 is a twin, too.
    assert twice.count("<article>") == 2
    assert twice.count("<h3>") == twice.count('alt="image 1"') == 4
    assert "There twice <span>3</span>" in text


def test_what_was_not_looked_at_is_said_in_its_list_and_in_the_table(page):
    text, made = page[0].read_text(), page[1]
    assert made.count("blind_solvable", "mini_colour") == "?"
    assert made.count("duplicates", "mini_colour") == "3"
    blind = text.split('id="blind_solvable"')[1].split("</section>")[0]
    assert "mini_colour: not looked at, needs prior=blind" in blind


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_in_a_browser_it_fits_and_asks_for_nothing(page, width, scheme):
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        complaints, asked = [], []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda r: asked.append(r.url) if not r.url.startswith("data:") else None)
        tab.goto(page[0].as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        assert complaints == []
        assert asked == [page[0].as_uri()]
        assert tab.evaluate("window.hacked") is None
        assert HOSTILE in tab.locator("#duplicates h3").first.text_content()
        sizes = tab.evaluate("[...document.images].map(i => [i.complete && i.naturalWidth, i.clientHeight])")
        assert all(drawn == 48 and height >= 96 for drawn, height in sizes)
        browser.close()
