"""A hundred texts that want to be code, through every name there is: they stay text, and nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import ipywidgets
import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from rfwidget import RFWidget
from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.waiting import until
from tests.payloads import PAYLOADS, HostileReceptiveField

SHOW = """
from rfwidget import RFWidget
from tests.payloads import PAYLOADS, HostileReceptiveField
rf = HostileReceptiveField()
widget = RFWidget(rf, input_shape=(40, 64, 3), selected=(3, 4))
widget
"""
SURVEY = "rf.survey((40, 64, 3))"
ALL = "widget.output_layer = ''.join(PAYLOADS)"
EVERY = """
for name in PAYLOADS:
    widget.output_layer = name
    widget.wait(5)
"""
REFUSED = """
for name in PAYLOADS:
    try:
        widget.image = name
    except ValueError as error:
        widget._overlay.set(notice=str(error))
"""
FAILS = "widget.output_layer = 'fails'"

WATCH = """
window.attempts = [];
for (const name of ["alert", "confirm", "prompt", "open"]) window[name] = () => window.attempts.push(name);
new MutationObserver((changes) => {
    for (const { addedNodes } of changes)
        for (const node of addedNodes)
            for (const element of node.querySelectorAll?.("*") ?? [])
                for (const { name, value } of element.attributes ?? [])
                    if (name.startsWith("on") && value.includes("canary")) window.attempts.push(name);
}).observe(document, { childList: true, subtree: true });
"""


def test_there_are_at_least_a_hundred_different_payloads() -> None:
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 100


def test_the_canary_would_sing(watched: Watched) -> None:
    page = watched.context.new_page()
    page.set_content("<img src=x onerror=window.canary=1>")
    page.wait_for_function("window.canary === 1")
    page.set_content("<img src=http://evil.invalid/x.png>")
    until(page, lambda: watched.foreign == ["http://evil.invalid/x.png"], "the one request for a picture of evil")


class Watched:
    """A browser context whose every request beyond this machine fails, and is remembered."""

    def __init__(self, browser: Browser) -> None:
        self.context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 1000})
        self.foreign: list[str] = []
        self.dialogs: list[str] = []
        self.context.route(re.compile(r"^(?!http://127\.0\.0\.1|file:|data:|blob:)"), self._refuse)
        self.context.on("dialog", self._note)
        self.context.add_init_script(WATCH)

    def _refuse(self, route) -> None:
        self.foreign.append(route.request.url)
        route.abort()

    def _note(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def assert_clean(self, page: Page) -> None:
        assert page.evaluate("[window.canary, ...(window.attempts ?? [])]") == [None]
        assert (self.foreign, self.dialogs) == ([], [])


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    made = Watched(browser)
    yield made
    made.context.close()


def test_live_view_reload_and_saved_notebook_keep_names_and_errors_as_text(watched: Watched, lab, tmp_path) -> None:
    lab_page = LabPage(watched.context.new_page(), lab)
    page = lab_page.page
    lab_page.open(lab.add_notebook("payloads.ipynb", [SHOW, SURVEY, REFUSED, EVERY, ALL]))
    lab_page.run_all()
    overlay = lab_page.overlay()
    expect(overlay).to_have_attribute("aria-label", f"Receptive fields of layer {''.join(PAYLOADS)}", timeout=PATIENCE)
    expect(overlay).to_have_attribute("data-state", "ready")
    overlay.click(position={"x": 30, "y": 30})
    expect(page.locator(".rfwidget-survey").first).to_contain_text(PAYLOADS[0])
    for bar in page.locator(".rfwidget-strip .rfwidget-bar").all()[:3]:  # they may be scrolled out of sight
        for event in ("pointerover", "pointerenter", "pointermove", "mouseover"):
            bar.dispatch_event(event)
    watched.assert_clean(page)

    lab_page.save()
    lab_page.open("payloads.ipynb", reset=False)
    lab_page.overlay()
    watched.assert_clean(page)

    lab_page.execute(FAILS)
    expect(overlay).to_have_attribute("data-state", "error", timeout=PATIENCE)
    expect(page.locator(".rfwidget-message").first).to_contain_text(PAYLOADS[0])
    watched.assert_clean(page)

    notebook = nbformat.read(lab.folder / "payloads.ipynb", as_version=4)
    exported = tmp_path / "exported.html"
    exporter = HTMLExporter(require_js_url="", mathjax_url="", jquery_url="", widget_renderer_url="")
    exported.write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
    assert "image/png" in exported.read_text(encoding="utf-8")
    page.goto(exported.as_uri())
    expect(page.locator(".rfwidget-survey")).to_contain_text(PAYLOADS[0])
    assert page.evaluate("[window.canary, ...window.attempts]") == [None]
    assert not [url for url in watched.foreign if "evil" in url]  # nbconvert's own page may ask for its scripts


def test_exported_page_keeps_names_as_text(watched: Watched, tmp_path: Path) -> None:
    widget = RFWidget(HostileReceptiveField(), input_shape=(40, 64, 3), selected=(3, 4))
    assert widget.wait(120)
    path = tmp_path / "page.html"
    widget.to_html(path, layers=[*PAYLOADS[:30], "".join(PAYLOADS)], cells=1)
    widget.close()
    page = watched.context.new_page()
    page.goto(path.as_uri())
    overlay = page.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-painted", re.compile(r"\d"))
    for place in (1, 7, 30):
        page.get_by_role("combobox", name="Layer").click()
        page.locator(".rfwidget-combo-list li").nth(place).click()
        expect(overlay).to_have_attribute("data-painted", re.compile(r"\d"))
    watched.assert_clean(page)


def test_no_widget_shows_text_of_others_as_html() -> None:
    widget = RFWidget(HostileReceptiveField(), input_shape=(40, 64, 3))
    assert widget.wait(120)
    shown, waiting = [], [widget]
    while waiting:
        one = waiting.pop()
        waiting.extend(getattr(one, "children", ()))
        if isinstance(one, (ipywidgets.HTML, ipywidgets.HTMLMath)):
            shown.append(one.value)
        assert not getattr(one, "description_allow_html", False)
    assert not any("canary" in value or "evil" in value for value in shown)
    widget.close()
