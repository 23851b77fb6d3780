"""Slow and broken models: progress shows, the notebook goes on, older jobs are given up, errors are told in words."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.jupyter import LabPage, choose_layer

SHOW = "from tests.browser.patient import show\nwidget, rf = show()"


def show(lab_page: LabPage) -> Locator:
    lab_page.open(lab_page.server.add_notebook("slow.ipynb", [SHOW]))
    lab_page.run_all()
    return lab_page.overlay()


def test_measuring_shows_progress_leaves_the_notebook_free_and_gives_way_to_another_layer(lab_page: LabPage) -> None:
    page, overlay = lab_page.page, show(lab_page)
    choose_layer(page, "tall")
    expect(overlay).to_have_attribute("data-state", "busy")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_js_property("value", 0.5)
    expect(page.locator(".rfwidget-status")).to_contain_text("half way through tall")
    lab_page.expect_in_kernel("6 * 7", "42")
    choose_layer(page, "wide")
    expect(overlay).to_have_attribute("data-state", "ready")
    expect(overlay).to_have_attribute("data-grid", "14x18")
    expect(page.get_by_role("progressbar", name="Progress")).to_be_hidden()
    lab_page.expect_in_kernel("rf.cancelled, widget.output_layer", "['tall'] wide")
    lab_page.execute("rf.gate.set(); widget.output_layer = 'tall'")
    expect(overlay).to_have_attribute("data-grid", "60x11")
    expect(overlay).to_have_attribute("data-state", "ready")


def test_error_is_told_in_plain_words_with_the_traceback_folded_and_the_next_click_works(lab_page: LabPage) -> None:
    page, overlay = lab_page.page, show(lab_page)
    lab_page.execute("rf.broken = True")
    overlay.click(position={"x": 100, "y": 100})
    expect(overlay).to_have_attribute("data-state", "error")
    error = page.locator(".rfwidget-error")
    expect(error.locator(".rfwidget-message")).to_have_text("RuntimeError: out of <b>memory</b>")
    expect(error.locator(".rfwidget-traceback")).to_be_hidden()
    error.locator("summary").click()
    expect(error.locator(".rfwidget-traceback")).to_contain_text("Traceback (most recent call last)")
    lab_page.execute("rf.broken = False")
    overlay.click(position={"x": 7 * (2 * 4 + 6), "y": 7 * (3 * 2 + 3)})
    expect(overlay).to_have_attribute("data-painted", "2,3")
    expect(overlay).to_have_attribute("data-state", "ready")
    expect(error).to_be_hidden()
