"""The live pages of the docs in Chromium: from a disk, and from a server with a strict policy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from tests.browser.jupyter import ROOT
from tests.browser.strict import serve_strictly
from tests.browser.test_volumes import GAP
from tests.browser.waiting import passes, settled_box

CONFIG = """INHERIT: {root}/mkdocs.yml
docs_dir: {root}/docs
hooks: [{root}/docs/_hooks/gallery.py]
plugins: []
markdown_extensions: [attr_list, md_in_html, tables, pymdownx.details, pymdownx.superfences]
exclude_docs: |
  *
  !/index.md
  !/gallery.md
  !/assets/*
  !/gallery/*
nav: [index.md, gallery.md]
"""
"""The two pages with something live of the real site; the test of the docs builds all the others."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The front page and the gallery, with two exhibits."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "mkdocs.yml").write_text(CONFIG.format(root=ROOT), encoding="utf-8")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", folder / "mkdocs.yml", "-d", folder / "site"]
    environment = {**os.environ, "RFWIDGET_GALLERY": "readme,volume", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(params=["disk", "strict server"])
def address(site: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Of the folder that holds the site, with a slash at the end."""
    if request.param == "disk":
        yield f"{site.as_uri()}/"
        return
    with serve_strictly(site) as server:
        yield server


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A window of a reader whose system is dark; in the end, nothing must have been asked for elsewhere."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    foreign: list[str] = []
    own = re.escape(address)
    context.route(re.compile(rf"^(?!{own}|data:)"), lambda route: (foreign.append(route.request.url), route.abort()))
    shown = context.new_page()
    yield shown
    context.close()
    assert foreign == []


README = "iframe.rfwidget-live[name=readme]"


def frame_of(page: Page) -> FrameLocator:
    return page.frame_locator(README)


def check_that_it_lives(frame: FrameLocator | Page) -> None:
    """It hovers, it answers a click, and a key."""
    overlay = frame.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-painted", "8,8")
    scale = settled_box(overlay)["width"] / 96
    overlay.hover(position={"x": 17 * scale, "y": 41 * scale})  # the centre of the field of cell (0, 6)
    expect(frame.locator(".rfwidget-hovering")).to_contain_text("cell (0, 6): x 0 to 34, y 24 to 58")
    overlay.click(position={"x": 17 * scale, "y": 41 * scale})
    expect(overlay).to_have_attribute("data-painted", "0,6")
    overlay.press("ArrowRight")
    expect(overlay).to_have_attribute("data-painted", "1,6")


def expect_no_scrolling_inside(page: Page, shown: Locator, frame: FrameLocator) -> None:
    """Wait until all of a live page is seen: it tells its height to the page around it."""
    body = frame.locator("body")

    def all_of_it_is_seen() -> None:
        assert shown.evaluate("frame => getComputedStyle(frame).height") == f"{body.evaluate('b => b.offsetHeight')}px"

    passes(page, all_of_it_is_seen)


@pytest.mark.parametrize("name", ["index.html", "gallery/index.html"])
def test_the_docs_hold_a_live_page(page: Page, address: str, name: str, artifacts: Path) -> None:
    page.goto(f"{address}{name}")
    shown = page.locator(README)
    expect(shown).to_have_attribute("title", "The README model, live")
    expect(shown).to_have_attribute("loading", "lazy")
    shown.scroll_into_view_if_needed()
    frame = frame_of(page)
    check_that_it_lives(frame)
    expect_no_scrolling_inside(page, shown, frame)
    page.screenshot(path=artifacts / f"gallery_{name.partition('/')[0].removesuffix('.html')}.png")


def test_a_live_page_has_the_colours_of_the_docs_and_keeps_its_state_when_they_change(page: Page, address: str) -> None:
    page.goto(f"{address}gallery/index.html")
    page.evaluate("document.body.dataset.mdColorScheme = 'default'")
    page.locator(README).scroll_into_view_if_needed()
    frame = frame_of(page)
    check_that_it_lives(frame)
    for scheme, ground in (("slate", "rgb(18, 18, 18)"), ("default", "rgb(255, 255, 255)")):
        page.evaluate(f"document.body.dataset.mdColorScheme = '{scheme}'")
        frame.locator(f"html[style*='{'dark' if scheme == 'slate' else 'light'}']").wait_for()
        expect(frame.locator("body")).to_have_css("background-color", ground)
        expect(frame.locator(".rfwidget-overlay")).to_have_attribute("data-painted", "1,6")  # nothing was loaded again


def test_a_live_page_opened_alone_says_nothing_and_tells_of_its_weights(page: Page, address: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}gallery/readme.html")
    expect(page.locator("h1")).to_have_text("The README model")
    expect(page.locator("h1 + p")).to_contain_text("The weights are random (seed 0)")
    check_that_it_lives(page)
    assert said == []


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_all_sections_of_a_live_volume_follow_a_click_in_one(
    page: Page, address: str, scheme: str, artifacts: Path
) -> None:
    page.goto(f"{address}gallery/index.html")
    page.evaluate(f"document.body.dataset.mdColorScheme = '{scheme}'")
    expect(page.locator("#a-volume ~ p").filter(has_text="offset 7.5 x 7.5 x 7.5 voxels.")).to_be_visible()
    shown = page.locator("iframe[name=volume]")
    shown.scroll_into_view_if_needed()
    frame = page.frame_locator("iframe[name=volume]")
    overlay = frame.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-grid", "10x8x6")
    expect(overlay).to_have_attribute("data-painted", "6,3,2")
    cuts = frame.locator(".rfwidget-cut text")
    expect(cuts).to_have_text([re.compile(cut) for cut in ("z = 23", "x = 55", "y = 31")])
    # The second section, right of the first, shows z and y; the centre of cell (x, y, z) is 7.5 + 8 times each of them.
    scale = settled_box(overlay)["width"] / (80 + GAP + 48)
    overlay.click(position={"x": (80 + GAP + 39.5) * scale, "y": 15.5 * scale})
    expect(overlay).to_have_attribute("data-painted", "6,1,4")  # every cell has its map in the page
    expect(cuts).to_have_text([re.compile(cut) for cut in ("z = 39", "x = 55", "y = 15")])
    overlay.press("PageDown")
    expect(overlay).to_have_attribute("data-painted", "6,1,5")
    expect_no_scrolling_inside(page, shown, frame)
    page.screenshot(path=artifacts / f"gallery_volume_{scheme}.png")
