"""Models of sequences in real browsers: in JupyterLab, and on a page from the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pytest
from keras import layers
from playwright.sync_api import Browser, Locator, expect

from rfwidget import RFWidget
from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.test_page import opened
from tests.browser.waiting import passes, screenshot, settled_box

LENGTH = 400
SIZE = 1 + 2 * 2 * (1 + 2 + 4)
"""Three blocks of two causal convolutions of 3, with dilations 1, 2 and 4: 29 samples."""

CELLS = [
    "import keras\nfrom keras import layers\nfrom rfwidget import RFWidget\n"
    f"image = x = keras.Input(({LENGTH}, 2))\n"
    "for dilation in (1, 1, 2, 2, 4, 4):\n"
    "    x = layers.Conv1D(4, 3, dilation_rate=dilation, padding='causal')(x)\n"
    "widget = RFWidget(keras.Model(image, x), selected=5)\nwidget",
]


def click_sample(overlay: Locator, sample: float, shift: bool = False) -> None:
    """The overlay covers exactly the signal."""
    box = settled_box(overlay)
    at = {"x": (sample + 0.5) / LENGTH * box["width"], "y": box["height"] / 3}
    overlay.click(position=at, modifiers=["Shift"] if shift else [])  # type: ignore[arg-type]


def painted_strip(overlay: Locator) -> tuple[float, float]:
    """First and last sample over which the gradient map has colours, from what is on the screen."""
    picture = screenshot(overlay)[:, :, :3].astype(int)
    strip = picture[int(picture.shape[0] * 0.9)]
    coloured = np.flatnonzero(strip.max(axis=1) - strip.min(axis=1) > 40)
    assert len(coloured), "no gradient map is on the screen"
    return tuple(coloured[[0, -1]] / len(strip) * LENGTH)  # type: ignore[return-value]


def test_a_click_on_a_signal_paints_what_the_cell_sees_and_arrows_go_on(lab_page: LabPage, artifacts: Path) -> None:
    lab_page.open(lab_page.server.add_notebook("sequence.ipynb", CELLS))
    lab_page.run_all()
    overlay = lab_page.overlay()
    expect(overlay).to_have_attribute("data-grid", f"{LENGTH}x1", timeout=PATIENCE)
    click_sample(overlay, 200 - (SIZE - 1) / 2)  # the field of cell 200 ends there
    expect(overlay).to_have_attribute("data-painted", "200,0", timeout=PATIENCE)
    lab_page.page.keyboard.press("ArrowRight")
    expect(overlay).to_have_attribute("data-painted", "201,0", timeout=PATIENCE)
    expect(lab_page.page.locator(".rfwidget-readout")).to_contain_text(f"{SIZE} samples")
    lab_page.expect_in_kernel("widget.selected, widget.gradient.shape", f"GridPoint(x=201) ({LENGTH}, 2)")
    lab_page.expect_in_kernel("widget.rf.rect_at(widget.selected)", "Rect(left=173, right=202)")
    click_sample(overlay, 300, shift=True)
    expect(overlay).to_have_attribute("data-query", "300,0,301,1")
    expect(lab_page.page.locator(".rfwidget-answer")).to_contain_text(f"{SIZE} cells of layer")
    lab_page.page.locator(".rfwidget").first.screenshot(path=artifacts / "sequence.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_of_a_signal_hovers_and_keeps_what_is_clicked(
    browser: Browser, tmp_path: Path, artifacts: Path, scheme: Literal["light", "dark"]
) -> None:
    image = x = keras.Input((LENGTH, 2))
    for dilation in (1, 1, 2, 2, 4, 4):
        x = layers.Conv1D(4, 3, dilation_rate=dilation, padding="causal")(x)
    widget = RFWidget(keras.Model(image, x), show_rectangles=False)
    widget.to_html(tmp_path / "signal.html", progress=False)
    widget.close()
    for page in opened(browser, tmp_path / "signal.html", scheme):
        overlay = page.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-painted", re.compile(r"^\d+,0$"))
        click_sample(overlay, 120 - (SIZE - 1) / 2)
        expect(overlay).to_have_attribute("data-painted", "120,0")
        page.mouse.move(2, 2)

        def the_field_is_painted() -> None:
            first, last = painted_strip(overlay)  # noqa: B023 - called at once
            assert 92 - 3 <= first < last <= 121 + 3
            assert last - first > SIZE / 2

        passes(page, the_field_is_painted)
        page.screenshot(path=artifacts / f"page_signal_{scheme}.png")
