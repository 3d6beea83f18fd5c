"""The page in a real browser: nothing leaves it, nothing fails, filters work, hostile text stays text."""

import os
import shutil

import pytest
from fake_runs import SAMPLE, write_curve
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
def browser():
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory, browser):
    """The page in the browser, with what it complained about and asked for."""
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
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    tab.complaints, tab.asked = [], []
    tab.on("console", lambda m: tab.complaints.append(m.text) if m.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda r: tab.asked.append(r.url) if not r.url.startswith("data:") else None)
    tab.goto((folder / "report.html").as_uri())
    tab.wait_for_selector("html[data-ready]", timeout=180_000)
    return tab


@pytest.fixture(autouse=True)
def cleared(request):
    if "page" in request.fixturenames:
        reset(request.getfixturevalue("page"))


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


def test_side_by_side_shows_what_each_question_gained_sorted_and_the_exact_prompt(page):
    page.select_option("#filters [name=view]", "both")
    assert page.input_value("#filters [name=order]") == "gain"
    first = page.locator(".card").first
    assert first.locator(".change").text_content() == "+0.600"
    assert [p.strip() for p in first.locator(".answer .p").all_text_contents()] == ["0.20", "0.80", "+0.600"]
    assert page.text_content("#count").startswith("90 of 90 questions, step-00100 → step-00300: 9 gained, 6 lost")
    page.select_option("#filters [name=order]", "loss")
    lost = page.locator(".card").first
    assert lost.locator(".change").text_content() == "−0.800"
    assert lost.locator(".prompt pre").text_content().startswith("Question ")
    page.select_option("#filters [name=from]", "2")
    page.select_option("#filters [name=to]", "0")
    assert page.locator(".card .change").first.text_content() == "−0.600"  # the other way round


def test_a_view_stands_in_the_address_and_opens_from_it(page):
    choose(page, source="1", category="category 1", view="both")
    page.fill("#filters [name=search]", "yes 1")
    # Asked of the page itself: `page.url` learns of an address that the page gave itself only a moment later.
    address, cards, said = page.evaluate("location.href"), page.locator(".card").count(), page.text_content("#count")
    assert "source=wiki_plant" in address
    reset(page)
    assert "?" not in page.evaluate("location.href")
    page.goto(address)
    page.reload()
    page.wait_for_selector("html[data-ready]", timeout=180_000)
    assert page.input_value("#filters [name=search]") == "yes 1"
    assert page.input_value("#filters [name=category]") == "category 1"
    assert (page.locator(".card").count(), page.text_content("#count")) == (cards, said)
    page.evaluate("location.hash = '#questions?source=nobody&run=%3Cscript%3E&outcome=wrong'")
    page.wait_for_timeout(50)
    assert page.input_value("#filters [name=source]") == ""
    assert page.input_value("#filters [name=outcome]") == "wrong"
    assert page.complaints == []


def test_tables_sort_by_number_and_by_name_words_last(page):
    page.click("#abilities > details > summary")
    table = page.locator("#abilities table").first
    heads = table.locator("thead th").all_text_contents()
    for column in ("last", "source", "saturates at step"):
        k = heads.index(column)
        head = table.locator("thead th").nth(k)
        for order in ("ascending", "descending"):
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == order
            cells = [row.locator("th, td").nth(k).text_content().strip() for row in table.locator("tbody tr").all()]
            if column == "source":
                assert cells == sorted(cells, reverse=order == "descending")
                continue
            numbers = [cell for cell in cells if any(c.isdigit() for c in cell)]
            assert cells[: len(numbers)] == numbers
            values = [float(cell.replace(",", "").removeprefix("by ")) for cell in numbers]
            assert values == sorted(values, reverse=order == "descending")
    assert table.locator("[aria-sort]").count() == 1


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    """Two trainings with names of 36 letters, on a live page."""
    folder = tmp_path_factory.mktemp("long")
    names = ["qwen2vl-2b-pretrain-mix-a-lr3e4-bs512", "qwen2vl-2b-pretrain-mix-b-lr1e4-bs256"]
    skills = {s: [0.0, 0.4, 0.8] for s in (*SAMPLE, "wiki_animal")}
    for name in names:
        write_curve(folder / "results" / name, [100, 200, 300], skills, n=30)
    write_page(folder / "report.html", *tables(folder / "results"), title="long names", live=1)
    return folder / "report.html"


@pytest.fixture
def opened(browser, long_names):
    """The page of long names at some width; the test turns the clock by itself."""
    tabs = []

    def at(width):
        tab = browser.new_page(viewport={"width": width, "height": 900})
        tab.add_init_script("window.setInterval = (turn) => { window.turn = turn; return 0; }")
        tab.goto(long_names.as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=180_000)
        tabs.append(tab)
        return tab

    yield at
    for tab in tabs:
        tab.close()


PLOTS = """[...document.querySelectorAll('.chart')].map(chart => {
  const plot = chart.querySelector('svg g.root path.background').getBoundingClientRect();
  return [chart.closest('section').id, plot.width / chart.clientWidth, plot.height];
})"""


@pytest.mark.parametrize("width", [400, 1400])
def test_charts_keep_their_plots_with_long_names(opened, width):
    tab = opened(width)
    plots = tab.evaluate(PLOTS)
    assert len(plots) > 12
    assert not [plot for plot in plots if plot[1] <= 0.45 or plot[2] <= 60]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("#abilities .legend li").all_text_contents() == [
        "qwen2vl-2b-pretrain-mix-a-lr3e4-bs512",
        "qwen2vl-2b-pretrain-mix-b-lr1e4-bs256",
    ]


def test_a_live_page_reads_itself_again_and_keeps_its_view_and_theme(opened, long_names):
    tab = opened(900)
    tab.click("#theme")
    tab.select_option("#filters [name=source]", label="mini_sum (reasoning)")
    dark, said = tab.get_attribute("html", "data-theme"), tab.text_content("#count")
    long_names.write_text(long_names.read_text().replace("<h1 dir", '<h1 data-renewed="yes" dir'))
    tab.focus("#filters [name=source]")
    tab.evaluate("turn()")  # a field has the focus: the page waits
    assert tab.get_attribute("h1", "data-renewed") is None
    tab.evaluate("document.activeElement.blur()")
    tab.click("#live")
    tab.evaluate("turn()")  # paused
    assert tab.get_attribute("h1", "data-renewed") is None
    tab.click("#live")
    tab.evaluate("document.activeElement.blur(); turn()")
    tab.wait_for_selector("h1[data-renewed]", timeout=60_000)
    tab.wait_for_selector("html[data-ready]", timeout=180_000)
    assert tab.get_attribute("html", "data-theme") == dark
    assert tab.text_content("#count") == said


def test_words_of_tables_are_not_broken(opened):
    tab = opened(400)
    broken = tab.evaluate(
        """[...document.querySelectorAll('#ran td, #ran th')].filter(cell => {
          const range = document.createRange();
          const line = parseFloat(getComputedStyle(cell).lineHeight);
          for (const node of cell.childNodes) for (const word of (node.textContent || '').matchAll(/\\S+/g)) {
            if (node.nodeType !== 3) continue;
            range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
            if (word[0].length < 20 && range.getBoundingClientRect().height > 1.5 * line) return true;
          }
          return false;
        }).map(cell => cell.textContent)"""
    )
    assert broken == []
