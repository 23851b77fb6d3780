"""Beyond JupyterLab: Notebook 7 and Voila show the widget, and a click works; light and dark themes are readable."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.jupyter import PATIENCE, LabPage, notebook_7, serve
from tests.browser.waiting import passes

SHOW = "from tests.browser.patient import show\nwidget, rf = show()"
VOILA = ("voila", "--no-browser", "--Voila.ip=127.0.0.1", "--show_tracebacks=True")


def shows_and_clicks(page: Page) -> None:
    overlay = page.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-painted", "7,9", timeout=PATIENCE)
    overlay.scroll_into_view_if_needed()
    overlay.click(position={"x": 7 * (2 * 4 + 6), "y": 7 * (3 * 2 + 3)})
    expect(overlay).to_have_attribute("data-painted", "2,3")
    overlay.press("ArrowRight")
    expect(overlay).to_have_attribute("data-painted", "3,3")


def test_notebook_7_shows_the_widget_and_clicks_work(context: BrowserContext, tmp_path: Path, artifacts: Path) -> None:
    with notebook_7(context.new_page(), tmp_path, "notebook_7.ipynb", [SHOW]) as notebook:
        notebook.run_all()
        shows_and_clicks(notebook.page)
        notebook.page.screenshot(path=artifacts / "notebook_7.png")


def test_voila_shows_the_widget_and_clicks_work(context: BrowserContext, tmp_path: Path, artifacts: Path) -> None:
    with serve(tmp_path, *VOILA, ready="/") as server:
        name = server.add_notebook("app.ipynb", [SHOW])
        page = context.new_page()
        page.goto(f"{server.url}/voila/render/{name}")
        shows_and_clicks(page)
        page.screenshot(path=artifacts / "voila.png")
        page.close()


CONTRASTS = """elements => elements.map(element => {
    const numbers = colour => {
        const found = colour.match(/[\\d.]+/g).map(Number);
        return colour.startsWith("color(srgb") ? found.map((v, k) => k < 3 ? 255 * v : v) : found;
    };
    const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    let behind = element;
    const background = () => numbers(getComputedStyle(behind).backgroundColor);
    while (background().length === 4 && background()[3] === 0) behind = behind.parentElement;
    const [dark, light] = [luminance(numbers(getComputedStyle(element).color)), luminance(background())].sort();
    return [(light + 0.05) / (dark + 0.05), element.innerText];
})"""


def assert_readable(elements: Locator) -> None:
    """All at once: what they are may change between two looks, and their colours while the mouse is over them."""
    for contrast, words in elements.evaluate_all(CONTRASTS):
        assert contrast >= 4.5, (str(elements), words)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_all_text_is_readable(lab_page: LabPage, artifacts: Path, theme: str) -> None:
    page = lab_page.page
    with lab_page.server.settings("apputils-extension:themes", theme=theme):
        lab_page.open(lab_page.server.add_notebook("theme.ipynb", [SHOW]))
        lab_page.run_all()
        overlay = lab_page.overlay()
        lab_page.execute("rf.broken = True")
        overlay.click(position={"x": 300, "y": 120})
        page.locator(".rfwidget-error summary").click()
        expect(page.locator(".rfwidget-traceback")).to_be_visible()
        words = [*("selection", "message", "traceback", "hovering", "input", "cell", "facts dt", "facts dd", "title")]
        words += [*("caption", "gridline", "bracket", "button", "chip", "link", "line-of", "ticks span", "combo-note")]
        for selector in [*(f".rfwidget-{word}" for word in words), ".rfwidget-stage select", ".rfwidget-combo-field"]:
            passes(page, lambda selector=selector: assert_readable(page.locator(f"{selector}:visible")))  # type: ignore[misc]
        lab_page.execute("rf.broken = False")
        overlay.click(position={"x": 120, "y": 200})
        expect(overlay).to_have_attribute("data-state", "ready")
        overlay.hover(position={"x": 300, "y": 100})
        page.locator(".rfwidget").screenshot(path=artifacts / f"{theme.split()[1].lower()}.png")
