"""The gradient map follows the mouse with nothing sent, and stays out of everybody's way."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.test_storm import COLUMNS, ROWS, on_screen, rage, settle
from tests.browser.traffic import Traffic
from tests.browser.waiting import screenshot, settled_screenshot, until

SHOW = """
from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField
widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), selected=(3, 4))
widget
"""
ALL = COLUMNS * ROWS
LEASES = "{page.until for page in widget._engine._residents._pages.values()}"
WATCH_HINTS = """
window.hints = [];  // by the clock of the page, whose timers keep hints apart
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    if (/"kind": ?"hint"/.test(text)) window.hints.push(performance.now());
    return send.call(this, data);
};
"""
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"


@pytest.fixture
def traffic(lab_page: LabPage) -> Traffic:
    return Traffic(lab_page.page)


def show(lab_page: LabPage, name: str, *cells: str) -> Locator:
    lab_page.open(lab_page.server.add_notebook(f"{name}.ipynb", [SHOW, *cells]))
    lab_page.run_all()
    return lab_page.overlay()


def wait_for_all(overlay: Locator) -> None:
    """Wait until the maps of all cells are in the page, and nothing is under way."""
    expect(overlay).to_have_attribute(
        "data-live", str(ALL), timeout=PATIENCE
    )  # where none is missing, none is asked for


def hide(lab_page: LabPage, hidden: bool) -> None:
    """The tab is put behind another one, or comes back."""
    lab_page.page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_the_map_follows_the_mouse_with_nothing_sent_and_goes_back_when_it_leaves(
    lab_page: LabPage, traffic: Traffic
) -> None:
    overlay = show(lab_page, "live")
    mouse = lab_page.page.mouse
    wait_for_all(overlay)
    expect(lab_page.page.locator(".rfwidget-spoken").first).to_contain_text(f"all {ALL} cells are live")
    mouse.move(0, 0)
    expect(overlay).to_have_attribute("data-painted", "3,4")
    before = settled_screenshot(overlay)
    traffic.clear()
    for x, y in ((0, 0), (9, 12), (13, 17), (5, 4)):
        mouse.move(*on_screen(overlay, x, y))
        expect(overlay).to_have_attribute("data-painted", f"{x},{y}")
        expect(overlay).to_have_attribute("data-selected", "3,4")
    mouse.move(*on_screen(overlay, 9, 12))
    expect(overlay).to_have_attribute("data-painted", "9,12")
    until(lab_page.page, lambda: (screenshot(overlay) != before).any(), "another picture")
    mouse.move(0, 0)
    expect(overlay).to_have_attribute("data-painted", "3,4")
    expect(lab_page.page.locator(".rfwidget-hovering").first).to_be_empty()
    until(lab_page.page, lambda: np.abs(screenshot(overlay).astype(int) - before).max() < 8, "the picture of before")
    assert traffic.sent == []


def test_arrow_keys_and_clicks_paint_in_the_same_frame_and_the_kernel_learns_of_it(lab_page: LabPage) -> None:
    overlay = show(lab_page, "keys")
    wait_for_all(overlay)
    lab_page.page.mouse.move(0, 0)
    overlay.focus()
    painted = overlay.evaluate(
        """async overlay => {
            const seen = [];
            for (let k = 0; k < 5; k++) {
                overlay.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
                await new Promise(requestAnimationFrame);
                seen.push(overlay.dataset.painted);
            }
            return seen;
        }"""
    )
    assert painted == [f"{3 + k},4" for k in range(1, 6)]
    settle(overlay, (8, 4))
    lab_page.expect_in_kernel("widget.selected", "GridPoint(x=8, y=4)")
    lab_page.expect_in_kernel("(widget.gradient == widget.rf.gradient_at((8, 4))).all()", "True")


def test_a_storm_over_live_cells_ends_at_the_last_click(lab_page: LabPage, traffic: Traffic) -> None:
    lab_page.page.add_init_script(WATCH_HINTS)
    overlay = show(lab_page, "live_storm")
    traffic.clear()
    last = rage(overlay, random.Random(4), 400)  # noqa: S311 - no secret
    settle(overlay, last)
    assert traffic.most_in_flight() == 1
    assert traffic.requests()[-1]["cell"] == list(last)
    times = lab_page.page.evaluate("window.hints")
    assert times
    assert len(times) < 5 + (times[-1] - times[0]) / 1000 * 2.5


def test_without_live_a_click_backpropagates_and_hovering_shows_nothing_else(
    lab_page: LabPage, traffic: Traffic
) -> None:
    overlay = show(lab_page, "dead")
    wait_for_all(overlay)
    lab_page.page.get_by_role("button", name="live").click()
    expect(overlay).not_to_have_attribute("data-live", re.compile(""))
    lab_page.expect_in_kernel("widget.live", "False")
    traffic.clear()
    lab_page.page.mouse.move(*on_screen(overlay, 9, 12))
    expect(lab_page.page.locator(".rfwidget-hovering").first).to_contain_text("cell (9, 12)")
    expect(overlay).to_have_attribute("data-painted", "3,4")
    assert traffic.sent == []
    lab_page.page.mouse.click(*on_screen(overlay, 9, 12))
    settle(overlay, (9, 12))
    assert [request["cell"] for request in traffic.requests()] == [[9, 12]]


SLOW = """
import threading, time
gradient = widget.rf.network.gradient
made = []
more, most = threading.Event(), 60
def slowly(*call):
    if len(made) >= most:
        more.wait()
    made.append(call)
    time.sleep(0.02)
    return gradient(*call)
assert widget.wait(20)
widget.rf.network.gradient = slowly
widget.channel = 1
"""


def count(overlay: Locator) -> int:
    return int(overlay.get_attribute("data-live") or 0)


def test_a_hidden_tab_has_nothing_made_and_goes_on_when_it_is_seen_again(lab_page: LabPage, traffic: Traffic) -> None:
    overlay = show(lab_page, "hidden", SLOW)  # no more maps than some: the tab is hidden before all are there
    expect(overlay).to_have_attribute("data-live", re.compile(r"[1-9]\d"), timeout=PATIENCE)
    hide(lab_page, hidden=True)
    until(lab_page.page, lambda: traffic.hints()[-1]["shown"] is False, "a word that the tab is hidden")
    lab_page.expect_in_kernel(LEASES, "{0.0}")
    lab_page.execute("more.set()")
    traffic.wait_for_silence(1.0)  # some may be under way
    traffic.clear()
    held = count(overlay)
    assert held < ALL
    lab_page.page.wait_for_timeout(1500)  # nothing comes, and that cannot be waited for in another way
    # The strip's sizes may still come in; maps may not, and the page asks for none.
    maps = [message for message in traffic.received if message.content["kind"] == "maps"]
    assert (traffic.sent, maps, count(overlay)) == ([], [], held)
    hide(lab_page, hidden=False)
    wait_for_all(overlay)


def test_closing_the_widget_ends_it(lab_page: LabPage) -> None:
    overlay = show(lab_page, "closing", SLOW)
    expect(overlay).to_have_attribute("data-live", re.compile(r"[1-9]"), timeout=PATIENCE)
    lab_page.execute("more.set(); widget.close()")
    expect(lab_page.page.locator(".rfwidget-overlay")).to_have_count(0)
    lab_page.expect_in_kernel("[t for t in threading.enumerate() if t.name == 'rfwidget']", "[]")


def test_a_running_cell_has_the_machine_to_itself(lab_page: LabPage) -> None:
    overlay = show(lab_page, "running", SLOW, "more.set()", "before = len(made)\ntime.sleep(2)\nafter = len(made)")
    lab_page.expect_in_kernel("after - before <= 1", "True")
    wait_for_all(overlay)
    lab_page.expect_in_kernel(f"len(made) >= {ALL}", "True")


def test_a_connection_that_is_cut_leaves_the_maps_and_brings_those_that_are_missing(lab_page: LabPage) -> None:
    overlay = show(lab_page, "live_cut", SLOW)
    expect(overlay).to_have_attribute("data-live", re.compile(r"[1-9]"), timeout=PATIENCE)
    lab_page.page.evaluate(f"() => {KERNEL}.reconnect().then(() => null)")
    lab_page.wait_for_kernel()
    assert count(overlay) < ALL
    lab_page.execute("more.set()")
    expect(overlay).to_have_attribute("data-live", str(ALL), timeout=2 * PATIENCE)
    lab_page.page.mouse.move(*on_screen(overlay, 0, 17))
    expect(overlay).to_have_attribute("data-painted", "0,17")


def test_a_kernel_that_is_restarted_leaves_the_maps_until_the_cell_runs_again(lab_page: LabPage) -> None:
    overlay = show(lab_page, "live_restart")
    wait_for_all(overlay)
    lab_page.page.evaluate(f"() => {KERNEL}.restart()")
    expect(overlay).to_have_attribute("data-state", "disconnected", timeout=PATIENCE)
    lab_page.page.mouse.move(*on_screen(overlay, 9, 12))
    expect(overlay).to_have_attribute("data-painted", "9,12")
    lab_page.wait_for_kernel()
    lab_page.run_all()
    expect(overlay).to_have_attribute("data-state", "ready", timeout=PATIENCE)
    wait_for_all(overlay)
    lab_page.page.mouse.move(*on_screen(overlay, 2, 3))
    expect(overlay).to_have_attribute("data-painted", "2,3")


def test_a_second_view_and_a_second_tab_get_what_is_there_without_another_gradient(lab_page: LabPage) -> None:
    overlay = show(lab_page, "live_tabs")
    wait_for_all(overlay)
    lab_page.execute("widget.rf.network.gradient = None")
    page = lab_page.page
    lab_page.save()
    other = LabPage(page.context.new_page(), lab_page.server)
    other.page.goto(f"{lab_page.server.url}/lab/workspaces/another/tree/live_tabs.ipynb?reset")
    there = other.page.locator(".rfwidget-overlay")
    expect(there).to_have_attribute("data-live", str(ALL), timeout=PATIENCE)
    there.scroll_into_view_if_needed()
    other.page.mouse.move(*on_screen(there, 9, 12))
    expect(there).to_have_attribute("data-painted", "9,12")
    other.page.close()
    page.bring_to_front()
    page.locator(".jp-Notebook .jp-Cell").first.click(position={"x": 20, "y": 10})
    lab_page.command("notebook:create-output-view")
    second = page.locator(".jp-LinkedOutputView .rfwidget-overlay")
    second.wait_for(timeout=PATIENCE)
    second.scroll_into_view_if_needed()
    page.mouse.move(*on_screen(second, 5, 6))
    for view in (overlay, second):
        expect(view).to_have_attribute("data-painted", "5,6")
