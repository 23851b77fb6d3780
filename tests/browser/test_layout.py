"""One screen holds it all, and in narrow places every part can be reached."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from tests.browser.jupyter import PATIENCE, LabPage, Server
from tests.browser.waiting import passes, settled_screenshot, until
from tests.browser.waiting import settled_box as box_of

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


def show(lab: LabPage, cell: str, count: int = 1) -> None:
    lab.open(lab.server.add_notebook("layout.ipynb", [cell]))
    lab.run_all()
    expect(lab.page.locator(".rfwidget-bar")).to_have_count(2 * count, timeout=PATIENCE)


def assert_nothing_is_cut_off(lab: LabPage, count: int = 1) -> None:
    """All parts lie inside their widget from left to right, and that inside the output."""
    passes(lab.page, lambda: check_that_nothing_is_cut_off(lab, count))


def check_that_nothing_is_cut_off(lab: LabPage, count: int) -> None:
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
    stage = sized.page.locator(".rfwidget-stage")
    until(sized.page, lambda: box_of(stage)["height"] <= 700, "all of it on one screen")
    image, column = box_of(sized.overlay()), box_of(sized.page.locator(".rfwidget-column"))
    assert image["x"] + image["width"] <= column["x"]


@pytest.mark.parametrize("sized", [{"width": 1024, "height": 768}, {"width": 640, "height": 900}], indirect=True)
def test_in_a_narrow_window_it_stacks_and_every_part_can_be_reached(sized: LabPage) -> None:
    show(sized, ONE)
    assert_nothing_is_cut_off(sized)
    overlay = sized.overlay()
    image, column = box_of(overlay), box_of(sized.page.locator(".rfwidget-column"))
    assert image["y"] + image["height"] <= column["y"]
    words, values = (sized.page.locator(f".rfwidget-facts {kind}") for kind in ("dt", "dd"))
    expect(words).to_have_count(4)
    expect(values).to_have_count(4)
    for row in range(4):
        word, value = box_of(words.nth(row)), box_of(values.nth(row))
        assert (word["x"], word["y"]) == (box_of(words.first)["x"], value["y"]), f"line {row} of the read-out"
        assert word["x"] + word["width"] <= value["x"]
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
    until(page, lambda: box_of(overlay) == before, "the image where it was")


def test_help_opens_with_a_key_and_closes_with_escape(lab_page: LabPage) -> None:
    show(lab_page, ONE)
    overlay, sheet = lab_page.overlay(), lab_page.page.get_by_role("dialog", name="Help")
    expect(sheet).to_be_hidden()
    overlay.press("?")
    expect(sheet).to_be_visible()
    lab_page.page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(overlay).to_be_focused()


def test_the_button_fills_the_screen_with_it_and_gives_the_screen_back(lab_page: LabPage) -> None:
    show(lab_page, ONE)
    page, overlay, button = (
        lab_page.page,
        lab_page.overlay(),
        lab_page.page.get_by_role("button", name="Fill the screen"),
    )
    before, window = box_of(overlay), page.viewport_size
    assert window is not None
    button.click()
    page.wait_for_function("() => document.fullscreenElement?.matches('.rfwidget-stage')")
    page.wait_for_function(
        "width => document.querySelector('.rfwidget-overlay').getBoundingClientRect().width > 1.2 * width",
        arg=before["width"],
    )
    stage, image = box_of(page.locator(".rfwidget-stage")), box_of(overlay)
    assert (stage["width"], stage["height"]) == (window["width"], window["height"])
    assert image["width"] / image["height"] == pytest.approx(64 / 40, rel=0.01)
    for part in PARTS:
        inner = box_of(page.locator(part))
        assert inner["x"] + inner["width"] <= window["width"] + 1, part
        assert inner["y"] + inner["height"] <= window["height"] + 1, part
    scale = image["width"] / 64
    overlay.click(position={"x": scale * (10 * 4 + 6), "y": scale * (6 * 2 + 3)})
    expect(overlay).to_have_attribute("data-painted", "10,6")
    button.click()
    page.wait_for_function("() => !document.fullscreenElement")
    page.wait_for_function(
        "width => document.querySelector('.rfwidget-overlay').getBoundingClientRect().width === width",
        arg=before["width"],
    )


def test_two_fingers_zoom_and_move_the_image_and_select_nothing(browser: Browser, lab: Server) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, has_touch=True)
    lab_page = LabPage(context.new_page(), lab)
    show(lab_page, ONE)
    page, overlay = lab_page.page, lab_page.overlay()
    before, selected = box_of(overlay), overlay.get_attribute("data-selected")
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    pinch(page, (x, y), (x + 30, y), 30, 90)
    page.wait_for_function(
        "width => document.querySelector('.rfwidget-overlay').getBoundingClientRect().width > 2.5 * width",
        arg=before["width"],
    )
    after = box_of(overlay)
    # What was between the fingers is there still.
    assert (x + 30 - after["x"]) / after["width"] == pytest.approx(0.5, abs=0.02)
    assert (y - after["y"]) / after["height"] == pytest.approx(0.5, abs=0.02)
    expect(overlay).to_have_attribute("data-selected", selected or "")
    page.touchscreen.tap(x, y)  # and one finger selects as ever
    place = (x - after["x"]) / after["width"] * 64
    expect(overlay).to_have_attribute("data-selected", f"{round((place - 6) / 4)},{selected_row(after, y)}")
    lab_page.shut_down_kernels()
    context.close()
    assert lab_page.problems == []


def selected_row(image: FloatRect, y: float) -> int:
    """The row whose field is centred nearest to a height of the window."""
    return round(((y - image["y"]) / image["height"] * 40 - 3) / 2)


def pinch(page: Page, start: tuple[float, float], end: tuple[float, float], near: float, far: float) -> None:
    """Put two fingers down beside each other, spread them while they move together, and lift them."""
    touch = page.context.new_cdp_session(page)
    for step in range(11):
        x, y = (one + (other - one) * step / 10 for one, other in zip(start, end, strict=True))
        half = near + (far - near) * step / 10
        points = [{"x": x - half, "y": y, "id": 0}, {"x": x + half, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove" if step else "touchStart", "touchPoints": points})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def test_lines_are_as_thin_as_ever_when_zoomed(lab_page: LabPage) -> None:
    show(lab_page, ONE)
    page, overlay = lab_page.page, lab_page.overlay()
    lab_page.execute("widget.show_heat = widget.show_dots = widget.spotlight = False")
    lab_page.execute("import numpy as np; widget.image = np.zeros((40, 64, 3), np.uint8) + 90")
    expect(overlay).to_have_attribute("data-state", "ready")
    lab_page.execute("widget.selected = 0, 0")  # what the keys zoom to
    expect(overlay).to_have_attribute("data-selected", "0,0")
    widths, before = [], box_of(overlay)["width"]
    for key in ("", "+", "+", "0"):
        if key:
            overlay.press(key)
        expect(page.locator(".rfwidget-scene path")).to_have_count(6 if key == "+" else 0)
        if key:
            grown = box_of(overlay)["width"] / before
            assert grown == 1 if key == "0" else grown > 1.05
        widths.append(passes(page, lambda: width_of_red_lines(settled_screenshot(page.locator(".rfwidget-area")))))
    assert widths == [2, 2, 2, 2]


def width_of_red_lines(shown: npt.NDArray[np.uint8]) -> int:
    shot = shown.astype(int)
    red = (shot[:, :, 0] > 200) & (shot[:, :, 1:].max(axis=2) < 90)
    # Across the upright line on the right of the first cell's field: runs of red in each row.
    runs = [len(run) for row in red for run in "".join(np.where(row, "x", " ")).split()]
    assert runs, "no red line is seen"
    return int(np.median(runs))


DEEP = """import keras
from keras import layers
from rfwidget import RFWidget
x = image = keras.Input((48, 72, 3))
for k in range(250):
    x = layers.Conv2D(2, 3, strides=2 if k in (20, 90) else 1, padding="same", name=f"conv{k}")(x)
    x = layers.ReLU(name=f"relu{k}")(x)
widget = RFWidget(keras.Model(image, x), output_layer="relu30")
widget"""


@pytest.mark.parametrize("sized", [{"width": 1440, "height": 900}], indirect=True)
def test_of_five_hundred_layers_each_can_be_pointed_at_and_keys_lead_to_the_next(sized: LabPage) -> None:
    sized.open(sized.server.add_notebook("deep.ipynb", [DEEP]))
    sized.run_all()
    page, bars = sized.page, sized.page.locator(".rfwidget-bar")
    expect(bars).to_have_count(500, timeout=PATIENCE)
    overlay, caption = sized.overlay(), page.locator(".rfwidget-caption")
    narrowest = "bars => Math.min(...bars.map(bar => bar.getBoundingClientRect().width))"
    until(page, lambda: bars.evaluate_all(narrowest) >= 3, "bars that are wide enough")
    assert_nothing_is_cut_off(sized)
    stage = page.locator(".rfwidget-stage")
    until(page, lambda: box_of(stage)["height"] <= 700, "all of it on one screen")
    expect(caption).to_contain_text("relu30: 83 \u00d7 83 px, stride 2")  # 21 * 2 + 10 * 4 + 1
    chosen = page.locator(".rfwidget-bar[aria-selected=true]")
    strip = box_of(page.locator(".rfwidget-bars"))

    def is_in_sight(bar: Locator) -> bool:
        return strip["x"] <= box_of(bar)["x"] <= strip["x"] + strip["width"]

    until(page, lambda: is_in_sight(chosen), "the chosen bar in sight")
    chosen.focus()
    page.keyboard.press("ArrowRight")
    expect(overlay).to_have_attribute("aria-label", "Receptive fields of layer conv31", timeout=PATIENCE)
    page.keyboard.press("End")
    expect(overlay).to_have_attribute("aria-label", "Receptive fields of layer relu249", timeout=PATIENCE)
    until(page, lambda: is_in_sight(bars.last), "the last bar in sight")
    bars.nth(480).hover()
    expect(caption).to_contain_text("conv240: ")
