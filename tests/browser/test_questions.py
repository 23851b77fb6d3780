"""Reverse query, layer strip, effective field and comparison in a real JupyterLab, over the box filters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.jupyter import PATIENCE, LabPage, Server, drag_finger
from tests.browser.waiting import settled_box

SCALE = 7
"""CSS pixels per image pixel: 480 // 64."""

CELLS = [
    "from rfwidget import RFWidget\nfrom tests.box_filter import BoxReceptiveField\n"
    "widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))\nwidget",
    "print(widget.query, widget.output_layer)",
]


def show(lab_page: LabPage) -> Locator:
    lab_page.open(lab_page.server.add_notebook("questions.ipynb", CELLS))
    lab_page.run_all()
    shown = lab_page.overlay()
    expect(lab_page.page.locator(".rfwidget-bar")).to_have_count(2, timeout=PATIENCE)
    return shown


@pytest.fixture
def overlay(lab_page: LabPage) -> Locator:
    return show(lab_page)


def test_shift_and_click_marks_the_cells_that_see_the_pixel_here_and_in_python(
    lab_page: LabPage, overlay: Locator, artifacts: Path
) -> None:
    page = lab_page.page
    overlay.click(position={"x": 30.5 * SCALE, "y": 20.5 * SCALE}, modifiers=["Shift"])
    expect(overlay).to_have_attribute("data-query", "30,20,31,21")
    # Columns 5, 6, 7 begin at 20, 24, 28; rows 8, 9, 10 at 16, 18, 20: their fields hold pixel (30, 20).
    expect(page.locator(".rfwidget-answer")).to_have_text("9 cells of layer wide see pixel (30, 20)")
    expect(page.locator(".rfwidget-map-found")).to_have_attribute("d", "M5 8H8V11H5Z")
    expect(overlay).to_have_attribute("data-selected", "7,9")
    lab_page.expect_in_kernel("widget.query", "GridPoint(x=30, y=20)")
    seen = json.loads(lab_page.execute("print(widget.rf.cells_seeing(widget.query).nonzero()[0].tolist())"))
    assert seen == [8, 8, 8, 9, 9, 9, 10, 10, 10]
    page.screenshot(path=artifacts / "query.png")
    overlay.press("Escape")
    expect(page.locator(".rfwidget-answer")).to_have_text("")
    lab_page.expect_in_kernel("widget.query", "None")


def test_without_shift_a_finger_asks_once_that_is_switched_on(browser: Browser, lab: Server) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, has_touch=True)
    lab_page = LabPage(context.new_page(), lab)
    page, overlay = lab_page.page, show(lab_page)
    switch = page.get_by_role("button", name="who sees it?")
    switch.click()
    expect(overlay).to_have_attribute("data-asking", "")
    overlay.scroll_into_view_if_needed()
    box = settled_box(overlay)
    page.touchscreen.tap(box["x"] + 30.5 * SCALE, box["y"] + 20.5 * SCALE)
    expect(overlay).to_have_attribute("data-query", "30,20,31,21")
    drag_finger(page, (box["x"] + 10.5 * SCALE, box["y"] + 10.5 * SCALE), 2 * SCALE, 9 * SCALE)
    expect(overlay).to_have_attribute("data-query", "10,10,13,20")
    expect(overlay).to_have_attribute("data-selected", "7,9")
    assert settled_box(overlay) == box, "the page has scrolled"
    lab_page.expect_in_kernel("widget.query", "Rect(left=10, top=10, right=13, bottom=20)")
    switch.click()
    expect(overlay).not_to_have_attribute("data-query", re.compile(""))
    overlay.click(position={"x": 6 * SCALE, "y": 3 * SCALE})
    expect(overlay).to_have_attribute("data-painted", "0,0")
    context.close()
    assert lab_page.problems == []


def test_a_query_from_python_shows(lab_page: LabPage, overlay: Locator) -> None:
    lab_page.execute("widget.query = (20, 10, 25, 18)")
    expect(overlay).to_have_attribute("data-query", "20,10,25,18")
    expect(lab_page.page.locator(".rfwidget-answer")).to_contain_text("first layer with such a cell: tall")


def test_a_bar_selects_its_layer_and_arrow_keys_the_next(lab_page: LabPage, overlay: Locator) -> None:
    bars = lab_page.page.locator(".rfwidget-bar")
    bars.nth(1).click()
    expect(overlay).to_have_attribute("data-grid", "60x11", timeout=PATIENCE)
    lab_page.expect_in_kernel("widget.output_layer", "tall")
    bars.nth(1).press("ArrowLeft")
    expect(overlay).to_have_attribute("data-grid", "14x18", timeout=PATIENCE)
    expect(bars.nth(0)).to_have_attribute("aria-selected", "true")
    lab_page.expect_in_kernel("widget.output_layer", "wide")


def test_effective_field_and_comparison_are_drawn_with_names(
    lab_page: LabPage, overlay: Locator, artifacts: Path
) -> None:
    page = lab_page.page
    lab_page.execute("widget.show_erf = True; widget.compare_layer = 'tall'")
    labels = page.locator(".rfwidget-shares .rfwidget-label")
    expect(labels).to_have_text(["50 %", "95 %"], timeout=PATIENCE)
    expect(page.locator(".rfwidget-compared .rfwidget-label")).to_have_text("tall")
    expect(page.locator(".rfwidget-selected .rfwidget-label")).to_have_text("wide")
    expect(page.locator(".rfwidget-contours g")).to_have_attribute("transform", re.compile(r"\d"))
    before = page.locator(".rfwidget-contours g").get_attribute("transform")
    overlay.click(position={"x": 10 * SCALE, "y": 10 * SCALE})
    expect(page.locator(".rfwidget-contours g")).not_to_have_attribute("transform", before or "")
    page.screenshot(path=artifacts / "effective.png")
    lab_page.execute("widget.show_erf = False; widget.compare_layer = None")
    expect(page.locator(".rfwidget-contours")).to_be_hidden()
    expect(page.locator(".rfwidget-compared")).to_be_hidden()
