"""Storms of moves, clicks and drags: the last click is what is shown, and nothing piles up on the way."""

from __future__ import annotations

import random
import re
import time

import pytest
from playwright.sync_api import Locator, expect

from tests.box_filter import BoxReceptiveField
from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.traffic import Traffic, in_order_of
from tests.browser.waiting import screenshot, settled_box, settled_screenshot, until

SHOW = """
from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField
widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
widget
"""
COLUMNS, ROWS = 14, 18
BOX, STRIDE = BoxReceptiveField.LAYERS["wide"]
STEPS = 1000
PARTS = 20
"""Of a storm: so many times is there an answer in the middle of it, however slow the machine is."""

WATCH_PAINTED = """overlay => {
    window.painted = [];
    const note = () => {
        const cell = overlay.dataset.painted;
        if (cell && cell !== window.painted.at(-1)) window.painted.push(cell);
    };
    new MutationObserver(note).observe(overlay, { attributes: true, attributeFilter: ["data-painted"] });
}"""


@pytest.fixture
def traffic(lab_page: LabPage) -> Traffic:
    return Traffic(lab_page.page)


def show(lab_page: LabPage, name: str, *cells: str) -> Locator:
    lab_page.open(lab_page.server.add_notebook(f"{name}.ipynb", [SHOW, *cells]))
    lab_page.run_all()
    return lab_page.overlay()


def on_screen(overlay: Locator, x: int, y: int) -> tuple[float, float]:
    """Where a cell's receptive field is centred in the window."""
    box = settled_box(overlay)
    left, top = x * STRIDE.w + BOX.w / 2, y * STRIDE.h + BOX.h / 2
    return box["x"] + left * box["width"] / 64, box["y"] + top * box["height"] / 40


def rage(overlay: Locator, rng: random.Random, steps: int) -> tuple[int, int]:
    """Moves, clicks and drags in any order; the cell clicked last, at the end."""
    mouse, box = overlay.page.mouse, settled_box(overlay)
    scale_x, scale_y = box["width"] / 64, box["height"] / 40

    def go() -> tuple[int, int]:
        x, y = rng.randrange(COLUMNS), rng.randrange(ROWS)
        mouse.move(box["x"] + (x * STRIDE.w + BOX.w / 2) * scale_x, box["y"] + (y * STRIDE.h + BOX.h / 2) * scale_y)
        return x, y

    done = 0
    while done < steps:
        kind = rng.choices(["move", "click", "drag"], [5, 3, 2])[0]
        go()
        done += 1
        if kind != "move":
            mouse.down()
            for _ in range(rng.randint(2, 12) if kind == "drag" else 0):
                go()
                done += 1
            mouse.up()
    last = go()
    mouse.down()
    mouse.up()
    return last


def settle(overlay: Locator, cell: tuple[int, int]) -> float:
    """Wait until a cell is painted and nothing is under way; the seconds that took."""
    begin = time.monotonic()
    expect(overlay).to_have_attribute("data-painted", f"{cell[0]},{cell[1]}", timeout=PATIENCE)
    took = time.monotonic() - begin
    expect(overlay).to_have_attribute("data-state", "ready")
    expect(overlay).to_have_attribute("data-selected", f"{cell[0]},{cell[1]}")
    return took


def test_storm_of_a_thousand_steps_ends_at_the_last_click(lab_page: LabPage, traffic: Traffic) -> None:
    overlay = show(lab_page, "storm", "widget.live = False")
    expect(overlay).not_to_have_attribute("data-live", re.compile(""))
    overlay.evaluate(WATCH_PAINTED)
    traffic.clear()
    rng = random.Random(1)  # noqa: S311 - no secret
    for part in range(PARTS):
        last = rage(overlay, rng, STEPS // PARTS)
        until(lab_page.page, lambda part=part: len(traffic.answers()) > part, "another answer", every=0.01)  # type: ignore[misc]
    settle(overlay, last)
    requests, answers = traffic.requests(), traffic.answers()
    assert requests[-1]["cell"] == list(last)
    assert len(requests) >= PARTS
    assert traffic.most_in_flight() == 1
    assert len(answers) <= len(requests)
    painted = lab_page.page.evaluate("window.painted")
    assert len(painted) > 10
    assert in_order_of(painted, answers), "an older heat map was painted over a newer one"
    assert len(traffic.sent) == len(requests), "something is sent besides requests"


def test_moves_without_a_press_send_nothing_at_all(lab_page: LabPage, traffic: Traffic) -> None:
    overlay = show(lab_page, "moves")
    # Where no map is missing, none is asked for.
    expect(overlay).to_have_attribute("data-live", str(COLUMNS * ROWS), timeout=PATIENCE)
    traffic.clear()
    places = [on_screen(overlay, x, y) for x, y in ((0, 0), (1, 1))]
    (left, top), (step_x, step_y) = places[0], (places[1][k] - places[0][k] for k in (0, 1))
    for k in range(120):
        lab_page.page.mouse.move(left + k % COLUMNS * step_x, top + k % ROWS * step_y)
    expect(lab_page.page.locator(".rfwidget-hovering").first).to_contain_text("cell (7, 11)")
    assert traffic.sent == []


def test_two_views_in_a_storm_end_at_the_same_cell(lab_page: LabPage, traffic: Traffic) -> None:
    overlay = show(lab_page, "views")
    lab_page.page.locator(".jp-Notebook .jp-Cell").first.click(position={"x": 20, "y": 10})
    lab_page.command("notebook:create-output-view")
    views = lab_page.page.locator(".rfwidget-overlay")
    expect(views).to_have_count(2)
    second = lab_page.page.locator(".jp-LinkedOutputView .rfwidget-overlay")
    expect(second).to_have_attribute("data-painted", re.compile(r"\d"), timeout=PATIENCE)
    rng = random.Random(2)  # noqa: S311 - no secret
    traffic.clear()
    for view in (overlay, second, overlay, second):
        view.scroll_into_view_if_needed()
        last = rage(view, rng, 15)
    for view in (overlay, second):
        settle(view, last)
    assert traffic.most_in_flight() == 1


def test_two_browser_tabs_do_not_block_each_other(lab_page: LabPage, traffic: Traffic) -> None:
    overlay = show(lab_page, "tabs")
    page = lab_page.page
    lab_page.save()
    other = LabPage(page.context.new_page(), lab_page.server)
    other_traffic = Traffic(other.page)
    other.page.goto(f"{lab_page.server.url}/lab/workspaces/another/tree/tabs.ipynb?reset")
    there = other.overlay()
    rng = random.Random(3)  # noqa: S311 - no secret
    for one, two in ((overlay, there), (there, overlay)):
        rage(one, rng, 12)  # its answers may still be under way when the other page asks
        last = rage(two, rng, 12)
        settle(two, last)
        settle(one, last)
    clients = {request["client"] for t in (traffic, other_traffic) for request in t.requests()}
    assert len(clients) == 2
    assert max(traffic.most_in_flight(), other_traffic.most_in_flight()) == 1
    assert other.problems == []
    other.page.close()


STRANGER = """
from ipycanvas import Canvas, hold_canvas
stranger = Canvas(width=60, height=40)
display(stranger)
try:
    with hold_canvas():
        stranger.fill_rect(0, 0, 9, 9)
        raise RuntimeError("a stranger's mistake")
except RuntimeError:
    pass
"""


def test_a_strangers_broken_canvas_does_not_blank_ours(lab_page: LabPage) -> None:
    overlay = show(lab_page, "stranger", STRANGER)
    page = lab_page.page
    expect(page.locator(".jp-OutputArea canvas")).not_to_have_count(0)
    page.mouse.move(0, 0)
    before = settled_screenshot(overlay)
    button = page.get_by_role("button", name="centres", exact=True)
    button.click()
    page.mouse.move(0, 0)
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle" """
    )
    expect(overlay).to_have_attribute("data-state", "ready")
    until(page, lambda: (screenshot(overlay) != before).any(), "a picture without centres: our canvas still draws")
    x, y = on_screen(overlay, 3, 4)
    page.mouse.click(x, y)
    settle(overlay, (3, 4))
