"""Connections that break, views that come and go: after each, a visible state, and the next click is right."""

from __future__ import annotations

import re
from collections import Counter

from playwright.sync_api import Locator, expect

from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.waiting import until

SHOW = """
if "widget" in globals():
    widget.close()
from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField
widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
widget
"""
STAND_IN = """
from IPython.display import display
from tests.browser.stand_in import StandIn
stand_in = StandIn()
display({**stand_in.stage._repr_mimebundle_(), "text/plain": ""}, raw=True)
"""
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"


def show(lab_page: LabPage, name: str, cell: str = SHOW) -> Locator:
    lab_page.open(lab_page.server.add_notebook(f"{name}.ipynb", [cell]))
    lab_page.run_all()
    return lab_page.overlay()


def test_a_websocket_that_is_cut_and_comes_back_leaves_the_widget_working(lab_page: LabPage) -> None:
    overlay = show(lab_page, "cut")
    overlay.click(position={"x": 100, "y": 100})
    expect(overlay).to_have_attribute("data-state", "ready")
    lab_page.page.evaluate(f"() => {KERNEL}.reconnect().then(() => null)")
    lab_page.wait_for_kernel()
    overlay.click(position={"x": 6 * 7, "y": 3 * 7})
    # What was sent right into the gap may be lost for good; then the widget says so, and what to do.
    until(
        lab_page.page,
        lambda: overlay.get_attribute("data-painted") == "0,0" or overlay.get_attribute("data-state") == "error",
        "an answer, or a word that there is none",
        seconds=2 * PATIENCE / 1000,
    )
    if overlay.get_attribute("data-state") == "error":
        expect(lab_page.page.locator(".rfwidget-activity").first).to_contain_text("click again")
        overlay.click(position={"x": 6 * 7, "y": 3 * 7})
    expect(overlay).to_have_attribute("data-painted", "0,0", timeout=PATIENCE)
    expect(overlay).to_have_attribute("data-state", "ready")


def test_an_answer_lost_with_the_connection_does_not_block_the_next_click(lab_page: LabPage) -> None:
    overlay = show(lab_page, "lost", STAND_IN)
    lab_page.execute("stand_in.mode = 'withhold'")
    overlay.click(position={"x": 100, "y": 100})
    expect(overlay).to_have_attribute("data-state", "busy")
    first = overlay.get_attribute("data-selected")
    lab_page.page.evaluate(f"() => {KERNEL}.reconnect().then(() => null)")
    lab_page.wait_for_kernel()
    lab_page.execute("stand_in.mode = 'answer'")
    overlay.click(position={"x": 240, "y": 150})

    def is_answered() -> bool:
        painted, selected, state = (overlay.get_attribute(f"data-{what}") for what in ("painted", "selected", "state"))
        return state == "ready" and painted == selected != first

    until(lab_page.page, is_answered, "the map of the cell that is selected")


OURS = Counter(
    {
        "window keydown": 3,
        "window keyup": 3,
        "window keypress": 1,
        "document fullscreenchange": 1,
        "document visibilitychange": 1,
    }
)
"""Listeners of one view on what outlives it: of the overlay, of the strip, and of the fields and buttons."""


def is_ours(script: dict[str, str]) -> bool:
    """Whether a script that DevTools tells of is a module that anywidget has loaded."""
    return script["url"].startswith("blob:")


def test_overlays_that_came_and_went_leave_neither_elements_nor_listeners(lab_page: LabPage) -> None:
    """The nodes of the whole page cannot be counted: ipywidgets itself leaves some of every control."""
    overlay = show(lab_page, "come_and_go")
    page = lab_page.page
    devtools = page.context.new_cdp_session(page)

    ours: set[str] = set()
    devtools.on("Debugger.scriptParsed", lambda script: ours.add(script["scriptId"]) if is_ours(script) else None)
    devtools.send("Debugger.enable")

    def listeners() -> tuple[Counter[str], Counter[str]]:
        """On what outlives a view: the window and the document, by type; ours and those of others."""
        counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        for place in ("window", "document"):
            handle = devtools.send("Runtime.evaluate", {"expression": place})["result"]["objectId"]
            for listener in devtools.send("DOMDebugger.getEventListeners", {"objectId": handle})["listeners"]:
                counts[listener["scriptId"] not in ours][f"{place} {listener['type']}"] += 1
        return counts

    seen = []
    for _ in range(8):
        page.evaluate(
            """() => {
                const overlay = document.querySelector(".rfwidget-overlay");
                overlay.dataset.old = "";
                (window.gone ??= []).push(new WeakRef(overlay), new WeakRef(overlay.closest(".rfwidget-view")));
            }"""
        )
        lab_page.run_all()
        expect(page.locator(".rfwidget-overlay[data-old]")).to_have_count(0, timeout=PATIENCE)
        expect(overlay).to_have_count(1)
        expect(overlay).to_have_attribute("data-painted", re.compile(r"\d"), timeout=PATIENCE)
        until(page, lambda: listeners()[0] == OURS, "the listeners of one view and no more")
        seen.append(listeners())
    (before, others_before), (after, others_after) = seen[1], seen[-1]
    assert before == after == OURS
    # JupyterLab adds one of its own now and then; what a view made it leave behind would have come once per view.
    assert max((others_after - others_before).values(), default=0) < len(seen) - 2

    def are_gone() -> bool:
        devtools.send("HeapProfiler.collectGarbage")
        # The last one may still be held by JupyterLab's own list of outputs.
        return bool(page.evaluate("window.gone.filter((one) => one.deref()).length") <= 2)

    until(page, are_gone, "the end of all views but the last")
