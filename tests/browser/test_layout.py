"""One screen holds it all, and in narrow places every part can be reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, expect

from tests.browser.jupyter import PATIENCE, LabPage, Server

ONE = "from tests.browser.patient import show\nwidget, rf = show()"
TWO = """from ipywidgets import HBox
from rfwidget import RFWidget
from tests.browser.patient import PatientReceptiveField
HBox([RFWidget(PatientReceptiveField(), input_shape=(96, 96, 3)) for _ in range(2)])"""
PARTS = (".rfwidget-toolbar", ".rfwidget-area", ".rfwidget-column", ".rfwidget-strip", ".rfwidget-map")


@pytest.fixture
def sized(browser: Browser, lab: Server, request: pytest.FixtureRequest) -> Iterator[LabPage]:
    """A page of JupyterLab in a window of some size, its sidebar open."""
    context = browser.new_context(viewport=request.param)
    page = LabPage(context.new_page(), lab)
    yield page
    page.shut_down_kernels()
    context.close()
    assert page.problems == []


def box_of(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box is not None
    return box


def show(lab: LabPage, cell: str, count: int = 1) -> None:
    lab.open(lab.server.add_notebook("layout.ipynb", [cell]))
    lab.run_all()
    expect(lab.page.locator(".rfwidget-bar")).to_have_count(2 * count, timeout=PATIENCE)


def assert_nothing_is_cut_off(lab: LabPage, count: int = 1) -> None:
    """All parts lie inside their widget from left to right, and that inside the output."""
    for index in range(count):
        stage = lab.page.locator(".rfwidget-stage").nth(index)
        outer, output = box_of(stage), box_of(lab.page.locator(".jp-OutputArea-output").first)
        assert outer["x"] >= output["x"] - 1
        assert outer["x"] + outer["width"] <= output["x"] + output["width"] + 1
        for part in PARTS:
            inner = box_of(stage.locator(part))
            assert inner["x"] >= outer["x"] - 1, part
            assert inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 1, part
            assert inner["y"] + inner["height"] <= outer["y"] + outer["height"] + 1, part


@pytest.mark.parametrize("sized", [{"width": 1440, "height": 900}], indirect=True)
def test_all_of_it_is_on_one_screen_with_the_sidebar_open(sized: LabPage) -> None:
    show(sized, ONE)
    assert_nothing_is_cut_off(sized)
    stage = box_of(sized.page.locator(".rfwidget-stage"))
    assert stage["height"] <= 700
    image, column = box_of(sized.overlay()), box_of(sized.page.locator(".rfwidget-column"))
    assert image["x"] + image["width"] <= column["x"]


@pytest.mark.parametrize("sized", [{"width": 1024, "height": 768}, {"width": 640, "height": 900}], indirect=True)
def test_in_a_narrow_window_it_stacks_and_every_part_can_be_reached(sized: LabPage) -> None:
    show(sized, ONE)
    assert_nothing_is_cut_off(sized)
    overlay = sized.overlay()
    image, column = box_of(overlay), box_of(sized.page.locator(".rfwidget-column"))
    assert image["y"] + image["height"] <= column["y"]
    scale = image["width"] / 64
    overlay.click(position={"x": scale * (2 * 4 + 6), "y": scale * (3 * 2 + 3)})
    expect(overlay).to_have_attribute("data-painted", "2,3")


@pytest.mark.parametrize("sized", [{"width": 1440, "height": 900}], indirect=True)
def test_two_beside_each_other_share_the_width(sized: LabPage) -> None:
    show(sized, TWO, count=2)
    assert_nothing_is_cut_off(sized, count=2)


def test_zoomed_the_cells_are_where_they_look_and_the_wheel_alone_scrolls_the_page(lab_page: LabPage) -> None:
    show(lab_page, ONE)
    page, overlay = lab_page.page, lab_page.overlay()
    before, area = box_of(overlay), box_of(page.locator(".rfwidget-area"))
    x, y = before["x"] + 7 * (10 * 4 + 6), before["y"] + 7 * (6 * 2 + 3)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(
        "width => document.querySelector('.rfwidget-overlay').getBoundingClientRect().width > 1.5 * width",
        arg=before["width"],
    )
    after = box_of(overlay)
    assert box_of(page.locator(".rfwidget-area")) == area
    # What was under the pointer is there still, and so is its cell.
    assert (x - after["x"]) / after["width"] == pytest.approx((x - before["x"]) / before["width"], abs=0.01)
    page.mouse.click(x, y)
    expect(overlay).to_have_attribute("data-painted", "10,6")
    canvas = box_of(page.locator(".rfwidget-stage > canvas"))
    factor = after["width"] / before["width"]
    assert canvas["x"] + 12 * factor == pytest.approx(after["x"], abs=1)
    assert canvas["y"] + 12 * factor == pytest.approx(after["y"], abs=1)
    overlay.press("0")
    page.wait_for_function(
        "width => document.querySelector('.rfwidget-overlay').getBoundingClientRect().width === width",
        arg=before["width"],
    )
    assert box_of(overlay) == before


def test_help_opens_with_a_key_and_closes_with_escape(lab_page: LabPage) -> None:
    show(lab_page, ONE)
    overlay, sheet = lab_page.overlay(), lab_page.page.get_by_role("dialog", name="Help")
    expect(sheet).to_be_hidden()
    overlay.press("?")
    expect(sheet).to_be_visible()
    lab_page.page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(overlay).to_be_focused()
