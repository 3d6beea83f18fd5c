"""The page in a real browser: nothing leaves it, nothing fails, filters work, hostile text stays text."""

import os
import shutil

import pytest
from radar_report_pages import HOSTILE, LONG, questions_of, tables, write_results

from radar_tasks.report.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-dev-shm-usage", "--no-first-run"),
]


def probability(question, k):
    """The first two questions are lost, the next three gained, the others stay right."""
    i = int(question.q_id[-4:])
    if i < 2:
        return (0.9, 0.6, 0.1)[k]
    return (0.2, 0.4, 0.8)[k] if i < 5 else 0.7


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page in the browser, with what it complained about and asked for."""
    sync = pytest.importorskip("playwright.sync_api")
    folder = tmp_path_factory.mktemp("browser")
    before = os.environ.get("RADAR_HOME")
    os.environ["RADAR_HOME"] = str(folder / "home")
    sources = {
        "wiki_animal": questions_of("wiki_animal", 30, [HOSTILE, LONG]),
        "wiki_plant": questions_of("wiki_plant", 30),
        "spatial": questions_of("spatial", 30),
    }
    write_results(folder / "results", sources, probability, experiment=f"runs/{HOSTILE[:32]}")
    made = tables(folder / "results")
    if before is None:
        del os.environ["RADAR_HOME"]
    else:
        os.environ["RADAR_HOME"] = before
    write_page(folder / "report.html", *made, title=HOSTILE)
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        tab.complaints, tab.asked = [], []
        tab.on("console", lambda m: tab.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("request", lambda r: tab.asked.append(r.url) if not r.url.startswith("data:") else None)
        tab.goto((folder / "report.html").as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=180_000)
        yield tab
        browser.close()


@pytest.fixture(autouse=True)
def cleared(page):
    reset(page)


def reset(page):
    """Clears the filters; the page answers in the next turn of its event loop."""
    page.click("#filters button[type=reset]")
    page.wait_for_timeout(50)


def count(page):
    return int(page.text_content("#count").split(" of ")[0].replace(",", ""))


def choose(page, **filters):
    for name, value in filters.items():
        page.select_option(f"#filters [name={name}]", value)
    return count(page)


def test_nothing_fails_and_no_request_leaves(page):
    assert page.complaints == []
    assert page.asked == [page.url]
    drawn = page.locator(".chart svg.marks").count()
    assert drawn == page.locator(".chart").count() >= 8


def test_hostile_text_is_shown_as_text(page):
    assert page.evaluate("window.hacked") is None
    page.fill("#filters [name=search]", "window.hacked")
    assert count(page) == 1
    shown = page.text_content(".card .text")
    assert shown == HOSTILE
    assert page.locator(".card .text *").count() == 0
    assert page.text_content("h1") == HOSTILE
    page.fill("#filters [name=search]", "long long")
    assert page.text_content(".card .text") == LONG
    assert page.locator(".card").bounding_box()["height"] < 900


def test_filters_find_what_they_say(page):
    assert count(page) == 90
    assert choose(page, source="0") == 30
    assert choose(page, outcome="wrong") == 2
    reset(page)
    assert choose(page, change="gained") == 9
    assert choose(page, change="lost") == 6
    assert choose(page, **{"from": "1"}) == 6
    assert choose(page, **{"from": "0", "to": "1", "change": "gained"}) == 0
    reset(page)
    assert choose(page, category="category 1") == 45
    assert choose(page, run="0", outcome="right") == 45 - 3 * 1


def test_cards_show_pictures_options_and_their_probabilities(page):
    page.fill("#filters [name=search]", "wiki_animal-0003")
    card = page.locator(".card")
    assert card.count() == 1
    assert card.locator(".answer .name").text_content() == "✓ no 3"
    assert [p.strip() for p in card.locator(".p").all_text_contents()] == ["0.20", "0.80"]
    assert card.locator("img").evaluate("image => image.naturalWidth") == 16
    assert "step-00100: 0.20, step-00200: 0.40, step-00300: 0.80" in card.locator("svg title").text_content()
    assert "✓ right" in card.text_content()


def test_pages_of_questions_turn(page):
    assert page.locator(".card").count() == 24
    page.click("#after")
    assert page.text_content("#page") == "25–48"
    page.click("#before")
    assert page.text_content("#page") == "1–24"
    assert page.is_disabled("#before")


def test_the_keyboard_reaches_what_the_mouse_does(page):
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip" or page.evaluate(
        "document.activeElement.tagName"
    )
    unreachable = page.eval_on_selector_all(
        "button, select, input, summary, a[href]", "all => all.filter(e => e.tabIndex < 0).length"
    )
    assert unreachable == 0
    assert page.eval_on_selector_all("img", "all => all.filter(e => !e.alt).length") == 0
    unnamed = page.eval_on_selector_all(
        "#filters select, #filters input", "all => all.filter(e => !e.closest('label')).length"
    )
    assert unnamed == 0


def test_the_numbers_of_a_chart_open_as_a_table(page):
    page.click("#abilities .as-table summary")
    rows = page.locator("#abilities .as-table tbody tr")
    rows.first.wait_for()  # the table is filled when it opens, a moment after the click
    assert rows.count() == 2 * 3


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_narrow_and_wide_in_light_and_dark(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_selector(f"html[data-ready={scheme}]", timeout=180_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    bright = {name: sum(int(x) for x in value[4:-1].split(",")) for name, value in (("ground", ground), ("ink", ink))}
    assert (bright["ground"] > bright["ink"]) == (scheme == "light")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_printing_shows_light_ground_and_no_controls(page):
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.is_visible("#filters")
    page.emulate_media(media="screen", color_scheme="light")
