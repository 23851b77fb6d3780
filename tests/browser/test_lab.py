"""Nothing lost: what pages, notebooks and kernels go through, the widget survives. No network is needed for that."""

from __future__ import annotations

import re
from contextlib import suppress

import nbformat
import numpy as np
import numpy.typing as npt
import pytest
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.box_filter import BoxReceptiveField
from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.waiting import passes, screenshot, settled_screenshot, until

SHOW = "from tests.browser.patient import show\nwidget, rf = show()"
SCALE = 7
"""CSS pixels per image pixel: 480 // 64."""
BOX, STRIDE = BoxReceptiveField.LAYERS["wide"]
BOX_FILTER = Image.Resampling.BOX
STILL = ".jp-OutputArea-child img"


def centre(x: int, y: int) -> tuple[float, float]:
    """Centre of a cell's receptive field in image pixels."""
    return x * STRIDE.w + BOX.w / 2, y * STRIDE.h + BOX.h / 2


def click(overlay: Locator, x: int, y: int) -> None:
    """Click a cell, and wait until its heat map is painted."""
    left, top = centre(x, y)
    overlay.click(position={"x": left * SCALE, "y": top * SCALE})
    expect(overlay).to_have_attribute("data-painted", f"{x},{y}")


def show(lab_page: LabPage, *cells: str, name: str = "lab") -> Locator:
    """The overlay of a widget in a notebook of these cells; without any, in the only one."""
    lab_page.open(lab_page.server.add_notebook(f"{name}.ipynb", cells or [SHOW]))
    lab_page.run_all()
    # Far below, JupyterLab may not keep the first cell in the page.
    lab_page.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(0)")
    return lab_page.overlay()


def leave(page: Page) -> None:
    """Take the mouse away, and wait until nothing is hovered."""
    page.mouse.move(0, 0)
    expect(page.locator(".rfwidget-hovering").first).to_be_empty()


def same(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    """Whether two screenshots of an overlay show the same image pixels, wherever the page has put them."""
    small, other_small = (np.asarray(Image.fromarray(shot).resize((64, 40), BOX_FILTER), int) for shot in (one, other))
    return bool((np.abs(small - other_small).max(axis=-1) > 60).mean() < 0.005)


def heat_shows(overlay: Locator, x: int, y: int) -> bool:
    """Whether hiding the heat map changes the screen in the receptive field of a cell, and nowhere else."""
    page = overlay.page
    button = page.get_by_role("button", name="gradient map", exact=True)
    on = settled_screenshot(overlay)
    button.click()
    expect(overlay).not_to_have_attribute("data-painted", re.compile(""))
    leave(page)
    off = settled_screenshot(overlay)
    button.click()
    expect(overlay).to_have_attribute("data-painted", f"{x},{y}")
    rows, columns = np.nonzero(np.abs(on.astype(int) - off).max(axis=-1) > 20)
    assert len(rows), "hiding the heat map changes nothing"
    return np.hypot(columns.min() / SCALE - x * STRIDE.w, rows.min() / SCALE - y * STRIDE.h) < 1


def wait_for_still(page: Page, before: str | None) -> str:
    """The picture for the time without a kernel, once it is another than before."""
    found = page.wait_for_function(
        "([still, before]) => { const src = document.querySelector(still)?.src; return src !== before && src; }",
        arg=[STILL, before],
    )
    source: str = found.json_value()  # not looked up again: the picture may be replaced meanwhile
    return source


def lasting_still(page: Page) -> str:
    """That picture once it stays: it is renewed a second after the last change, and the layers come a little later."""
    before = None
    while (now := wait_for_still(page, None)) != before:
        before = now
        page.wait_for_timeout(2500)
    return now


def test_reload_shows_the_same_as_before(lab_page: LabPage) -> None:
    page, overlay = lab_page.page, show(lab_page)
    click(overlay, 12, 6)
    leave(page)
    before = settled_screenshot(overlay)
    lab_page.save()
    lab_page.open("lab.ipynb", reset=False)
    expect(overlay).to_have_attribute("data-painted", "12,6")
    overlay.scroll_into_view_if_needed()
    until(page, lambda: same(screenshot(overlay), before), "the same picture as before")
    click(overlay, 2, 3)


def test_second_view_shows_the_same_and_a_click_in_either_shows_in_both(lab_page: LabPage) -> None:
    page, overlay = lab_page.page, show(lab_page)
    click(overlay, 12, 6)
    page.locator(".jp-Notebook .jp-Cell").first.click(position={"x": 20, "y": 10})
    lab_page.command("notebook:create-output-view")
    page.locator(".jp-LinkedOutputView .rfwidget-overlay").wait_for()
    for index, (x, y) in enumerate([(3, 3), (9, 12)]):
        click(page.locator(".rfwidget-overlay").nth(index), x, y)
        leave(page)
        for other in (0, 1):
            expect(page.locator(".rfwidget-overlay").nth(other)).to_have_attribute("data-painted", f"{x},{y}")

        def both_show_the_same() -> None:
            first, second = (screenshot(page.locator(".rfwidget-overlay").nth(k)) for k in (0, 1))
            assert same(first, second)

        passes(page, both_show_the_same)


@pytest.mark.parametrize("container", ["Tab", "Accordion"])
def test_widget_in_a_container_that_is_closed_at_first_shows_once_it_opens(lab_page: LabPage, container: str) -> None:
    cell = f"""
import ipywidgets
from rfwidget import RFWidget
from tests.browser.patient import PatientReceptiveField
widget = RFWidget(PatientReceptiveField(), input_shape=(40, 64, 3), spotlight=False)
ipywidgets.{container}([ipywidgets.Label("other"), widget], titles=("other", "fields"), selected_index=0)
"""
    page = lab_page.page
    lab_page.open(lab_page.server.add_notebook("container.ipynb", [cell]))
    lab_page.run_all()
    overlay = page.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-painted", "7,9", timeout=PATIENCE)
    expect(overlay).to_be_hidden()
    for _ in range(2):
        page.get_by_text("fields", exact=True).click()
        click(overlay, 2, 3)
        click(overlay, 12, 6)
        leave(page)
        assert heat_shows(overlay, 12, 6)
        page.get_by_text("other", exact=True).first.click()
        expect(overlay).to_be_hidden()


@pytest.mark.parametrize("mode", ["full", "defer", "contentVisibility", "none"])
def test_scrolled_far_away_and_back_it_shows_the_same(lab_page: LabPage, mode: str) -> None:
    long = "\n".join(f"# line {k}" for k in range(60))
    with lab_page.server.settings("notebook-extension:tracker", windowingMode=mode):
        overlay = show(lab_page, SHOW, *[long] * 12)
        page = lab_page.page
        click(overlay, 12, 6)
        leave(page)
        before = settled_screenshot(overlay)
        for _ in range(2):
            page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(12)")
            expect(page.locator(".jp-Notebook .jp-Cell").last).to_be_in_viewport()
            page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(0)")
            expect(overlay).to_be_in_viewport(ratio=1)
            expect(overlay).to_have_attribute("data-painted", "12,6")
            until(page, lambda: same(screenshot(overlay), before), "the same picture as before")
        click(overlay, 2, 3)


def test_restart_of_the_kernel_shows_and_running_the_cell_again_works(lab_page: LabPage) -> None:
    overlay = show(lab_page)
    click(overlay, 2, 3)
    lab_page.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart().then(() => null)"
    )
    expect(overlay).to_have_attribute("data-state", "disconnected")
    expect(lab_page.page.locator(".rfwidget-status")).to_contain_text("run the cell again")
    lab_page.wait_for_kernel()
    lab_page.run_all()
    expect(overlay).to_have_attribute("data-state", "ready")
    click(overlay, 12, 6)


def test_saved_notebook_shows_the_last_picture_without_a_kernel(lab_page: LabPage) -> None:
    page, overlay = lab_page.page, show(lab_page, name="saved")
    first = lasting_still(page)
    expect(page.locator(STILL)).to_be_hidden()
    click(overlay, 12, 6)
    wait_for_still(page, first)
    expect(page.locator(STILL)).to_be_hidden()

    def read() -> nbformat.NotebookNode:
        return nbformat.read(lab_page.server.folder / "saved.ipynb", as_version=4)

    def saved_as_it_stays() -> str:
        """The picture in the page, once that is the one in the file, too."""
        now = lasting_still(page)
        lab_page.save()
        pictures = [output.get("data", {}).get("image/png", "") for cell in read().cells for output in cell.outputs]
        assert now.split(",")[1] in [re.sub(r"\s", "", picture) for picture in pictures]
        assert wait_for_still(page, None) == now
        return now

    last = passes(page, saved_as_it_stays)
    lab_page.shut_down_kernels()
    page.goto(f"{lab_page.server.url}/lab/workspaces/without?reset")
    page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('docmanager:open')")
    page.evaluate(
        """() => window.jupyterapp.commands.execute("docmanager:open", {
            path: "saved.ipynb", factory: "Notebook", kernelPreference: { shouldStart: false, canStart: false },
        }).then(() => null)"""
    )
    expect(page.locator(STILL)).to_be_visible()
    expect(page.locator(STILL)).to_have_attribute("src", last)
    kernels = "jupyterapp.serviceManager.kernels"
    assert page.evaluate(f"async () => {{ await {kernels}.refreshRunning(); return {kernels}.runningCount; }}") == 0
    html, _ = HTMLExporter().from_notebook_node(read())
    assert last.split(",")[1] in re.sub(r"\s", "", html)


RUN_UNTIL_TOLD = """
import pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.01)
pathlib.Path("go").unlink()
"""


def run_beside(lab_page: LabPage, code: str) -> None:
    """Start code that takes its time."""
    lab_page.page.evaluate(
        "code => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({ code }); }",
        code,
    )
    lab_page.wait_for_kernel("busy")


def test_click_beside_a_running_cell_is_answered_at_once_where_the_kernel_has_subshells(lab_page: LabPage) -> None:
    overlay, go = show(lab_page), lab_page.server.folder / "go"
    at_once = 0
    # Now and then ipykernel 7 overlooks a message until its next reply (ipython/ipykernel#1554), often the first one.
    for x in range(6):
        run_beside(lab_page, RUN_UNTIL_TOLD)
        overlay.click(position={"x": centre(x, 6)[0] * SCALE, "y": centre(x, 6)[1] * SCALE})
        with suppress(AssertionError):
            expect(overlay).to_have_attribute("data-painted", f"{x},6", timeout=10_000)  # the cell runs on
            at_once += 1
        go.touch()
        lab_page.wait_for_kernel()
        expect(overlay).to_have_attribute("data-painted", f"{x},6")
        lab_page.expect_in_kernel("tuple(widget.selected)", f"({x}, 6)")
        if at_once == 2:
            break
    assert at_once == 2


def test_clicks_beside_a_running_cell_without_subshells_wait_and_the_last_is_answered(lab_page: LabPage) -> None:
    with lab_page.server.settings("apputils-extension:kernels-settings", commsOverSubshells="disabled"):
        overlay = show(lab_page)
        lab_page.execute("widget.live = False")  # with maps that are there already, nothing has to wait
        expect(overlay).not_to_have_attribute("data-live", re.compile(""))
        run_beside(lab_page, RUN_UNTIL_TOLD)
        for x, y in [(12, 6), (5, 5), (2, 3)]:
            overlay.click(position={"x": centre(x, y)[0] * SCALE, "y": centre(x, y)[1] * SCALE})
        expect(lab_page.page.locator(".rfwidget-status")).to_contain_text("waiting for the running cell")
        expect(overlay).to_have_attribute("data-painted", "7,9")
        (lab_page.server.folder / "go").touch()
        expect(overlay).to_have_attribute("data-painted", "2,3")
        click(overlay, 9, 9)
