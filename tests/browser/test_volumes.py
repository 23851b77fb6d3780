"""Models of volumes in real browsers: in JupyterLab, and on a page from the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect
from torch import nn

from rfwidget import RFWidget
from tests.browser.jupyter import PATIENCE, LabPage
from tests.browser.test_page import opened
from tests.browser.waiting import passes, screenshot, settled_box

WIDTH, HEIGHT, DEPTH = 48, 32, 20
GAP = 7
"""Voxels between the sections: 14 % of the longest side."""

MODEL = "nn.Sequential(nn.Conv3d(1, 2, (3, 5, 7)), nn.AvgPool3d((1, 2, 2)), nn.Conv3d(2, 2, (3, 3, 5)))"
"""16 x 10 x 5 voxels along x, y and z, 2 x 2 x 1 apart; 17 x 12 x 16 cells."""

CELLS = [
    "from torch import nn\nfrom rfwidget import RFWidget\n"
    f"widget = RFWidget({MODEL}, input_shape=(1, {DEPTH}, {HEIGHT}, {WIDTH}), selected=(8, 6, 8))\nwidget",
]


def place(overlay: Locator, x: float, y: float) -> dict[str, float]:
    """A place of the picture of all sections, in its pixels; the overlay covers exactly that."""
    box = settled_box(overlay)
    return {"x": x / (WIDTH + GAP + DEPTH) * box["width"], "y": y / (HEIGHT + GAP + DEPTH) * box["height"]}


def test_a_click_in_any_section_selects_a_cell_and_all_sections_follow(lab_page: LabPage, artifacts: Path) -> None:
    lab_page.open(lab_page.server.add_notebook("volume.ipynb", CELLS))
    lab_page.run_all()
    page, overlay = lab_page.page, lab_page.overlay()
    expect(overlay).to_have_attribute("data-grid", "17x12x16", timeout=PATIENCE)
    expect(overlay).to_have_attribute("data-painted", "8,6,8", timeout=PATIENCE)
    titles = page.locator(".rfwidget-cut text")
    # The centre of cell (x, y, z) is (8 + 2 x, 5 + 2 y, 2.5 + z).
    expect(titles).to_have_text(["x \u2192 y \u2193, z = 10", "z \u2192 y \u2193, x = 24", "x \u2192 z \u2193, y = 17"])
    overlay.click(position=place(overlay, 8 + 2 * 3, 5 + 2 * 4))  # type: ignore[arg-type]
    expect(overlay).to_have_attribute("data-painted", "3,4,8", timeout=PATIENCE)
    overlay.click(position=place(overlay, WIDTH + GAP + 2.5 + 5, 5 + 2 * 7))  # type: ignore[arg-type]
    expect(overlay).to_have_attribute("data-painted", "3,7,5", timeout=PATIENCE)
    overlay.click(position=place(overlay, 8 + 2 * 9, HEIGHT + GAP + 2.5 + 11))  # type: ignore[arg-type]
    expect(overlay).to_have_attribute("data-painted", "9,7,11", timeout=PATIENCE)
    expect(titles).to_have_text(["x \u2192 y \u2193, z = 13", "z \u2192 y \u2193, x = 26", "x \u2192 z \u2193, y = 19"])
    page.keyboard.press("PageDown")
    expect(overlay).to_have_attribute("data-painted", "9,7,12", timeout=PATIENCE)
    page.keyboard.press("ArrowLeft")
    expect(overlay).to_have_attribute("data-painted", "8,7,12", timeout=PATIENCE)
    expect(page.locator(".rfwidget-readout")).to_contain_text("16 \u00d7 10 \u00d7 5 voxels")
    lab_page.expect_in_kernel(
        "widget.selected, widget.gradient.shape", f"GridPoint(x=8, y=7, z=12) ({DEPTH}, {HEIGHT}, {WIDTH}, 1)"
    )

    overlay.hover(position=place(overlay, 8 + 2 * 3, HEIGHT + GAP + 5))  # type: ignore[arg-type]
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -120)  # this section cuts y
    page.keyboard.up("Alt")
    expect(overlay).to_have_attribute("data-painted", "8,4,12", timeout=PATIENCE)
    slider = page.get_by_label("Cell along z")
    slider.fill("2")
    expect(overlay).to_have_attribute("data-painted", "8,4,2", timeout=PATIENCE)

    overlay.click(position=place(overlay, 20.5, 12.5), modifiers=["Shift"])  # type: ignore[arg-type]
    expect(overlay).to_have_attribute("data-query", "20,12,4,21,13,5")
    expect(page.locator(".rfwidget-answer")).to_contain_text(re.compile(r"cells of layer 2 see voxel \(20, 12, 4\)"))
    page.locator(".rfwidget").first.screenshot(path=artifacts / "volume.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_of_a_volume_cuts_it_where_the_cell_is(
    browser: Browser, tmp_path: Path, artifacts: Path, scheme: Literal["light", "dark"]
) -> None:
    model = nn.Sequential(nn.Conv3d(1, 2, (3, 5, 7)), nn.AvgPool3d((1, 2, 2)), nn.Conv3d(2, 2, (3, 3, 5)))
    volume = np.zeros((DEPTH, HEIGHT, WIDTH, 1), np.float32)
    volume[7] = 1.0  # one bright plane
    widget = RFWidget(model, input_shape=(1, DEPTH, HEIGHT, WIDTH), image=volume, spotlight=False)
    widget.to_html(tmp_path / "volume.html", cells=[(8, 6, 5), (8, 6, 8)], progress=False)
    widget.close()
    for page in opened(browser, tmp_path / "volume.html", scheme):
        overlay = page.locator(".rfwidget-overlay")
        expect(overlay).to_have_attribute("data-selected", "8,6,8")
        for z, least, most in ((8, 0, 20), (5, 235, 255)):  # cut at 10 and at 7
            page.get_by_label("Cell along z").fill(str(z))
            expect(overlay).to_have_attribute("data-selected", f"8,6,{z}")
            page.mouse.move(2, 2)
            at = place(overlay, 44, 3)

            def is_as_bright(at: dict[str, float] = at, least: int = least, most: int = most) -> None:
                assert least <= screenshot(overlay)[round(at["y"]), round(at["x"])].mean() <= most  # noqa: B023 - at once

            passes(page, is_as_bright)
        page.screenshot(path=artifacts / f"page_volume_{scheme}.png")
