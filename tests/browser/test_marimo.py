"""In marimo, which shows anywidgets alone, the overlay is the whole widget; state goes both ways."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.jupyter import PATIENCE, serve
from tests.browser.waiting import settled_box, until

APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    from rfwidget import RFWidget
    from tests.box_filter import BoxReceptiveField

    widget = RFWidget(BoxReceptiveField(), output_layer="wide")
    widget
    return (widget,)


@app.cell
def _(widget):
    import marimo as mo

    def choose(_):
        widget.selected = (1, 5)

    there = mo.ui.button(label="choose", on_click=choose)
    back = mo.ui.button(label="tell", on_click=lambda _: widget.selected)
    mo.hstack([there, back])
    return (back,)


@app.cell
def _(back):
    f"selected: {back.value}"
    return


if __name__ == "__main__":
    app.run()
"""
MARIMO = ("marimo", "run", "app.py", "--headless", "--no-token")


def test_marimo_shows_the_whole_widget_and_state_goes_both_ways(
    context: BrowserContext, tmp_path: Path, artifacts: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    problems: list[str] = []
    with serve(tmp_path, *MARIMO, ready="/") as server:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(server.url)
        overlay = page.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-state", "ready", timeout=PATIENCE)
        expect(overlay).to_have_attribute("data-painted", "11,23")
        photo, tags = page.locator(".rfwidget-photo"), page.locator(".rfwidget-tags text")
        until(page, lambda: photo.evaluate("photo => photo.complete && photo.naturalWidth > 0"), "the photograph")
        until(page, lambda: {"first", "central", "last"} <= set(tags.all_text_contents()), "the tags of all corners")
        until(page, lambda: page.locator(".rfwidget-scene line, .rfwidget-scene path").count() > 3, "the scene")

        box = settled_box(overlay)
        overlay.click(position={"x": box["width"] * 0.2, "y": box["height"] * 0.2})
        expect(overlay).not_to_have_attribute("data-selected", "11,23")
        x, y = str(overlay.get_attribute("data-selected")).split(",")
        expect(overlay).to_have_attribute("data-painted", f"{x},{y}")

        def told() -> bool:
            page.get_by_role("button", name="tell").click()
            page.wait_for_timeout(1000)
            return page.get_by_text(f"selected: GridPoint(x={x}, y={y})").is_visible()

        until(
            page, told, "what the kernel knows"
        )  # where the map was there already, the kernel hears of the click afterwards

        page.get_by_role("button", name="choose").click()
        expect(overlay).to_have_attribute("data-painted", "1,5")
        page.screenshot(path=artifacts / "marimo.png")
        page.close()
    assert problems == []
