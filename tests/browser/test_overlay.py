"""Pointer, keys and recovery of the overlay in a real JupyterLab, over a kernel that needs no network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, expect

from rfwidget.types import GridPoint, Rect
from tests.browser.jupyter import PATIENCE, LabPage, Server, drag_finger, notebook_7
from tests.browser.stand_in import FIELD, IMAGE, MAGENTA, centre, inside
from tests.browser.traffic import Traffic
from tests.browser.waiting import passes, screenshot, settled_box, two_frames, until

SHOW = """
from IPython.display import display
from tests.browser.stand_in import StandIn
stand_in = StandIn()
display({**stand_in.stage._repr_mimebundle_(), "text/plain": ""}, raw=True)
"""
TALL = "\n".join(f"# line {k}" for k in range(80))


@pytest.fixture
def sent(lab_page: LabPage) -> list[dict[str, object]]:
    """The messages that widgets of the page have sent to the kernel."""
    messages: list[dict[str, object]] = []

    def note(payload: bytes | str) -> None:
        raw = payload if isinstance(payload, bytes) else payload.encode()
        if found := re.search(rb'\{"comm_id".*?"method":"custom","content":(\{.*?\})\}', raw):
            messages.append(json.loads(found[1]))
        elif b"comm_msg" in raw:
            messages.append({"kind": "other"})

    lab_page.page.on("websocket", lambda socket: socket.on("framesent", note))
    return messages


def show(lab_page: LabPage) -> Locator:
    """The overlay of a stand-in, shown in a notebook that is longer than the window."""
    lab_page.open(lab_page.server.add_notebook("stand_in.ipynb", [SHOW, TALL]))
    lab_page.run_all()
    return lab_page.overlay()


def on_screen(overlay: Locator, x: int, y: int, box: FloatRect | None = None) -> tuple[float, float]:
    """Where a cell's receptive field is centred in the window; the overlay's box may be known."""
    box = box or settled_box(overlay)
    left, top = centre(x, y)
    return box["x"] + left * box["width"] / IMAGE.w, box["y"] + top * box["height"] / IMAGE.h


def click(overlay: Locator, x: int, y: int) -> None:
    """Click a cell, and wait until its heat map is painted."""
    overlay.page.mouse.click(*on_screen(overlay, x, y))
    expect(overlay).to_have_attribute("data-painted", f"{x},{y}")


def painted_box(overlay: Locator) -> list[float]:
    """Edges of what is magenta on the screen, in image pixels."""
    pixels = screenshot(overlay).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - MAGENTA).max(axis=-1) < 60)
    assert len(rows), "no heat map is on the screen"
    per_x, per_y = pixels.shape[1] / IMAGE.w, pixels.shape[0] / IMAGE.h
    return [columns.min() / per_x, rows.min() / per_y, (columns.max() + 1) / per_x, (rows.max() + 1) / per_y]


def test_hover_follows_the_mouse_and_sends_nothing(lab_page: LabPage, sent: list[dict[str, object]]) -> None:
    overlay = show(lab_page)
    click(overlay, 16, 8)
    sent.clear()
    box = settled_box(overlay)
    for k in range(300):
        lab_page.page.mouse.move(*on_screen(overlay, k % 32, k % 16, box))
    lab_page.page.mouse.move(*on_screen(overlay, 0, 3, box))
    expect(lab_page.page.locator(".rfwidget-hovering")).to_contain_text("cell (0, 3)")
    assert sent == []
    line = settled_box(lab_page.page.locator(".rfwidget-hovered rect.rfwidget-overhang").first)
    assert line["x"] == pytest.approx(box["x"] - 10 * box["width"] / IMAGE.w, abs=2.5), "the overhang is not drawn"


def test_drag_scrubs_with_one_request_in_flight_and_ends_at_the_last_cell(
    lab_page: LabPage, sent: list[dict[str, object]]
) -> None:
    overlay = show(lab_page)
    mouse, box = lab_page.page.mouse, settled_box(overlay)
    mouse.move(*on_screen(overlay, 2, 5, box))
    sent.clear()
    mouse.down()
    for x in range(2, 31):
        mouse.move(*on_screen(overlay, x, 5, box))
    mouse.up()
    expect(overlay).to_have_attribute("data-painted", "30,5")
    until(lab_page.page, lambda: sent[-1:] and sent[-1].get("cell") == [30, 5], "a request for the last cell")
    expect(overlay).to_have_attribute("data-selected", "30,5")
    assert [message["kind"] for message in sent] == ["request"] * len(sent)
    cells = [message["cell"] for message in sent]
    assert (cells[0], cells[-1]) == ([2, 5], [30, 5])
    assert cells == sorted(cells)
    assert len({str(cell) for cell in cells}) == len(cells), "a cell was asked for twice"
    assert 2 <= len(sent) <= 29


def test_same_cell_is_answered_every_time(lab_page: LabPage) -> None:
    traffic = Traffic(lab_page.page)
    overlay = show(lab_page)
    until(lab_page.page, lambda: len(traffic.answers()) == len(traffic.requests()), "an answer to the first request")
    traffic.clear()
    for count in (1, 2, 3):
        click(overlay, 9, 9)  # after the first time, that is what is painted before as well
        until(lab_page.page, lambda count=count: len(traffic.answers()) == count, f"answer {count}")  # type: ignore[misc]
        expect(overlay).to_have_attribute("data-state", "ready")
    assert [request["cell"] for request in traffic.requests()] == [[9, 9]] * 3


def test_keys_move_the_cell_and_leave_the_notebook_alone(lab_page: LabPage) -> None:
    overlay, keyboard = show(lab_page), lab_page.page.keyboard
    cells = lab_page.page.locator(".jp-Cell")
    overlay.focus()
    for key, cell in [
        ("Home", "0,0"),
        ("ArrowRight", "1,0"),
        ("Shift+ArrowDown", "1,5"),
        ("End", "31,15"),
        ("Shift+ArrowLeft", "26,15"),
        ("ArrowUp", "26,14"),
    ]:
        keyboard.press(key)
        expect(overlay).to_have_attribute("data-painted", cell)
    for key in ["b", "a", "x", "d", "d", "j", "Shift+Enter", "Shift+L"]:
        keyboard.press(key)
    expect(overlay).to_be_focused()
    expect(overlay).to_have_attribute("data-painted", "26,14")
    expect(cells).to_have_count(2)
    keyboard.press("Tab")
    expect(overlay).not_to_be_focused()
    overlay.focus()
    keyboard.press("Escape")
    expect(overlay).not_to_be_focused()
    keyboard.press("b")  # the notebook has its keys back
    expect(cells).to_have_count(3)


def test_notebook_shortcuts_with_ctrl_work_on_the_overlay(lab_page: LabPage) -> None:
    overlay = show(lab_page)
    overlay.focus()
    dirty = lab_page.page.locator(".lm-TabBar-tab.lm-mod-current.jp-mod-dirty")
    expect(dirty).to_have_count(1)
    lab_page.page.keyboard.press("Control+s")
    expect(dirty).to_have_count(0)


def test_wheel_scrolls_the_page(lab_page: LabPage) -> None:
    overlay = show(lab_page)
    before = settled_box(overlay)
    lab_page.page.mouse.move(*on_screen(overlay, 20, 4, before))
    lab_page.page.mouse.wheel(0, 60)
    lab_page.page.wait_for_function(
        "top => document.querySelector('.rfwidget-overlay').getBoundingClientRect().top < top - 30", arg=before["y"]
    )


@pytest.mark.parametrize("density", [1, 1.25, 2, 3])
def test_cells_and_heat_map_are_where_they_look_at_any_device_scale_and_transform(
    browser: Browser, lab: Server, density: float
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, device_scale_factor=density)
    lab_page = LabPage(context.new_page(), lab)
    overlay = show(lab_page)
    for style in ["", "transform: scale(0.7)", "zoom: 1.3", "border: 7px solid; padding: 5px"]:
        lab_page.page.locator(".rfwidget-stage").evaluate("(stage, style) => { stage.style = style; }", style)
        for x, y in [(3, 14), (29, 2)]:
            click(overlay, x, y)
            lab_page.page.mouse.move(0, 0)
            expected = inside(FIELD.rect(GridPoint(x, y)))
            line = 2 * IMAGE.w / 480  # the selected cell's line covers the heat map's border

            def lies_there(expected: Rect = expected, atol: float = 0.5 + line, style: str = style) -> None:
                np.testing.assert_allclose(painted_box(overlay), expected, atol=atol, err_msg=style)

            passes(lab_page.page, lies_there)  # the map is known to be painted before the screen shows it
            two_frames(lab_page.page)
            lies_there()
    context.close()
    assert lab_page.problems == []


def test_finger_taps_to_select_moves_up_to_scroll_and_sideways_to_scrub(browser: Browser, lab: Server) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, has_touch=True)
    lab_page = LabPage(context.new_page(), lab)
    overlay = show(lab_page)
    lab_page.page.touchscreen.tap(*on_screen(overlay, 5, 9))
    expect(overlay).to_have_attribute("data-painted", "5,9")
    before = settled_box(overlay)
    drag_finger(lab_page.page, on_screen(overlay, 20, 12, before), 0, -100)
    lab_page.page.wait_for_function(
        "top => document.querySelector('.rfwidget-overlay').getBoundingClientRect().top < top - 50", arg=before["y"]
    )
    expect(overlay).to_have_attribute("data-selected", "5,9")
    overlay.scroll_into_view_if_needed()
    box = settled_box(overlay)
    (x, y), (end, _) = on_screen(overlay, 4, 12, box), on_screen(overlay, 24, 12, box)
    drag_finger(lab_page.page, (x, y), end - x, 0)
    expect(overlay).to_have_attribute("data-painted", "24,12")
    context.close()
    assert lab_page.problems == []


def test_failure_is_told_in_words_and_the_next_click_works(lab_page: LabPage) -> None:
    overlay = show(lab_page)
    lab_page.execute("stand_in.mode = 'fail'")
    lab_page.page.mouse.click(*on_screen(overlay, 7, 7))
    expect(overlay).to_have_attribute("data-state", "error")
    error = lab_page.page.locator(".rfwidget-error")
    expect(error.locator(".rfwidget-message")).to_have_text("no <b>memory</b> left")
    expect(error.locator(".rfwidget-traceback")).to_be_hidden()
    error.locator("summary").click()
    expect(error.locator(".rfwidget-traceback")).to_have_text("Traceback (last call)")
    lab_page.execute("stand_in.mode = 'answer'")
    click(overlay, 8, 7)
    expect(overlay).to_have_attribute("data-state", "ready")
    expect(error).to_be_hidden()


def test_python_selects_as_well(lab_page: LabPage) -> None:
    overlay = show(lab_page)
    lab_page.execute("stand_in.overlay.selected = [4, 2]")
    expect(overlay).to_have_attribute("data-selected", "4,2")


def test_keys_leave_the_notebook_alone_in_notebook_7_too(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    with notebook_7(page, tmp_path, "stand_in_7.ipynb", [SHOW, TALL]) as notebook:
        notebook.run_all()
        overlay = page.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-painted", "16,8", timeout=PATIENCE)
        overlay.scroll_into_view_if_needed()
        click(overlay, 20, 3)
        for key in ["b", "x", "j", "Shift+Enter"]:
            page.keyboard.press(key)
        page.keyboard.press("ArrowLeft")
        expect(overlay).to_have_attribute("data-painted", "19,3")
        expect(page.locator(".jp-Cell")).to_have_count(2)
