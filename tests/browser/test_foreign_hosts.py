"""Colab, VS Code and a host that refuses all it can, stood in for: what runs of them is anywidget and the overlay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.browser.foreign_host import COLAB, STRICT, VSCODE, VSCODE_WITH_POLICY, Host, Kernel, hosted
from tests.browser.waiting import settled_box, until

COLOURED = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((_, k) => k % 4 === 0 && data[k] + data[k + 1] + data[k + 2] > 0).length;
}"""
FIELD = 12 * 6
"""Pixels of a cell's receptive field: around them the image is dimmed, with black."""


@contextmanager
def opened(browser: Browser, host: Host) -> Iterator[tuple[Kernel, Page, FrameLocator, list[str]]]:
    """A widget in a host, the page, the frame of the output, and what the console says."""
    with hosted(host) as (kernel, address):
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address)
        yield kernel, page, page.frame_locator("iframe"), said
        page.close()


@pytest.mark.parametrize("host", [COLAB, VSCODE, STRICT], ids=lambda host: host.name)
def test_without_a_canvas_the_overlay_shows_everything_and_takes_clicks(
    browser: Browser, artifacts: Path, host: Host
) -> None:
    with opened(browser, host) as (kernel, page, frame, said):
        overlay = frame.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-state", "ready")
        expect(overlay).to_have_attribute("data-painted", "7,9")
        photo = frame.locator(".rfwidget-photo")
        expect(photo).to_be_visible()
        until(page, lambda: photo.evaluate("photo => photo.complete && photo.naturalWidth > 0"), "the photograph")
        tags = frame.locator(".rfwidget-tags text")
        until(page, lambda: {"first", "central", "last"} <= set(tags.all_text_contents()), "the tags of all corners")
        until(page, lambda: frame.locator(".rfwidget-scene path").count() > 3, "the scene")
        marks_of_an_error = frame.get_by_text("Failed to load model class")
        expect(marks_of_an_error).to_have_count(1 if host is COLAB else 0)
        if host is COLAB:
            expect(marks_of_an_error).to_be_hidden()
        box = settled_box(overlay)
        assert settled_box(photo) == pytest.approx(box, abs=0.5)

        scale = box["width"] / 64
        overlay.click(position={"x": scale * (4 * 3 + 6), "y": scale * (2 * 5 + 3)})
        expect(overlay).to_have_attribute("data-painted", "3,5")
        # What the kernel finds out beside it has the map drawn again: the last drawing counts.
        heat = frame.locator(".rfwidget-heat")
        until(page, lambda: heat.evaluate(COLOURED) == FIELD, "the map of one field alone")
        overlay.press("ArrowRight")
        expect(overlay).to_have_attribute("data-painted", "4,5")
        kernel.expect(lambda: tuple(kernel.widget.selected), (4, 5))  # told once the user has settled
        kernel.run(lambda: setattr(kernel.widget, "selected", (1, 2)))
        expect(overlay).to_have_attribute("data-painted", "1,2")
        kernel.run(lambda: setattr(kernel.widget, "output_layer", "tall"))
        expect(overlay).to_have_attribute("data-grid", "60x11")
        expect(overlay).to_have_attribute("data-painted", re.compile(r"^\d+,\d+$"))
        page.screenshot(path=artifacts / f"foreign_{host.name}.png")
        assert said == []


def test_a_host_that_knows_no_kernel_says_what_may_have_gone(browser: Browser) -> None:
    with opened(browser, COLAB) as (kernel, _, frame, said):
        overlay = frame.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-painted", "7,9")
        kernel.run(lambda: setattr(kernel.widget, "live", False))
        expect(overlay).not_to_have_attribute("data-live", re.compile("."))
        kernel.deaf = True
        overlay.press("ArrowRight")
        expect(frame.locator(".rfwidget-activity")).to_contain_text(
            "waiting for the kernel; if it is gone, run the cell again"
        )
        expect(overlay).to_have_attribute("data-state", "busy")
        assert said == []


def test_a_policy_without_blob_scripts_keeps_every_anywidget_out(browser: Browser) -> None:
    with opened(browser, VSCODE_WITH_POLICY) as (_, page, frame, said):
        until(page, lambda: any("Content Security Policy" in words for words in said), "a word about the policy")
        until(page, lambda: any("script-src" in words and "blob:" in words for words in said), "what was refused")
        assert frame.locator(".rfwidget-overlay").count() == 0
