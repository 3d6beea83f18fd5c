"""The pictures of README from what `radar demo` wrote: after `make demo`, `python packaging/readme_pictures.py demo`.

Needs playwright and a Chromium, as the tests of the page do.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"


def main(demo: Path) -> None:
    """Copies the chart, and takes the top of the page as a reader sees it first."""
    shutil.copyfile(demo / "abilities.png", IMAGES / "demo.png")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        tab = browser.new_page(viewport={"width": 1280, "height": 1290}, color_scheme="light")
        tab.goto((demo / "report.html").resolve().as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=180_000)
        tab.screenshot(path=IMAGES / "report.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
