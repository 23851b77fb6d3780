"""Reverse query, layer strip, effective field and comparison in a real JupyterLab, over the box filters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyter import PATIENCE, LabPage

SCALE = 7
"""CSS pixels per image pixel: 480 // 64."""

CELLS = [
    "from rfwidget import RFWidget\nfrom tests.box_filter import BoxReceptiveField\n"
    "widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))\nwidget",
    "print(widget.query, widget.output_layer)",
]


@pytest.fixture
def overlay(lab_page: LabPage) -> Locator:
    name = lab_page.server.add_notebook("questions.ipynb", CELLS)
    lab_page.open(name)
    lab_page.run_all()
    shown = lab_page.overlay()
    expect(lab_page.page.locator(".rfwidget-bar")).to_have_count(2, timeout=PATIENCE)
    return shown


def run(lab_page: LabPage, code: str) -> str:
    """Run a line in the notebook's kernel; what it prints."""
    script = """async code => {
        const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        const future = kernel.requestExecute({ code });
        let text = "";
        future.onIOPub = message => { if (message.header.msg_type === "stream") text += message.content.text; };
        await future.done;
        return text;
    }"""
    return str(lab_page.page.evaluate(script, code)).strip()


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
    seen = json.loads(run(lab_page, "print(widget.rf.cells_seeing(widget.query).nonzero()[0].tolist())"))
    assert seen == [8, 8, 8, 9, 9, 9, 10, 10, 10]
    page.screenshot(path=artifacts / "query.png")
    overlay.press("Escape")
    expect(page.locator(".rfwidget-answer")).to_have_text("")
    assert run(lab_page, "print(widget.query)") == "None"


def test_a_query_from_python_shows(lab_page: LabPage, overlay: Locator) -> None:
    run(lab_page, "widget.query = (20, 10, 25, 18)")
    expect(overlay).to_have_attribute("data-query", "20,10,25,18")
    expect(lab_page.page.locator(".rfwidget-answer")).to_contain_text("first layer with such a cell: tall")


def test_a_bar_selects_its_layer_and_arrow_keys_the_next(lab_page: LabPage, overlay: Locator) -> None:
    bars = lab_page.page.locator(".rfwidget-bar")
    bars.nth(1).click()
    expect(overlay).to_have_attribute("data-grid", "60x11", timeout=PATIENCE)
    assert run(lab_page, "print(widget.output_layer)") == "tall"
    bars.nth(1).press("ArrowLeft")
    expect(overlay).to_have_attribute("data-grid", "14x18", timeout=PATIENCE)
    expect(bars.nth(0)).to_have_attribute("aria-selected", "true")
    assert run(lab_page, "print(widget.output_layer)") == "wide"


def test_effective_field_and_comparison_are_drawn_with_names(
    lab_page: LabPage, overlay: Locator, artifacts: Path
) -> None:
    page = lab_page.page
    run(lab_page, "widget.show_erf = True; widget.compare_layer = 'tall'")
    labels = page.locator(".rfwidget-shares .rfwidget-label")
    expect(labels).to_have_text(["50 %", "95 %"], timeout=PATIENCE)
    expect(page.locator(".rfwidget-compared .rfwidget-label")).to_have_text("tall")
    expect(page.locator(".rfwidget-selected .rfwidget-label")).to_have_text("wide")
    before = page.locator(".rfwidget-contours g").get_attribute("transform")
    overlay.click(position={"x": 10 * SCALE, "y": 10 * SCALE})
    expect(page.locator(".rfwidget-contours g")).not_to_have_attribute("transform", before or "")
    page.screenshot(path=artifacts / "effective.png")
    run(lab_page, "widget.show_erf = False; widget.compare_layer = None")
    expect(page.locator(".rfwidget-contours")).to_be_hidden()
    expect(page.locator(".rfwidget-compared")).to_be_hidden()
