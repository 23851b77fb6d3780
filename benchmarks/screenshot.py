"""Photograph the widget in a real JupyterLab for the README: writes `docs/images/widget.png`.

    python -m benchmarks.screenshot

It shows VGG16 with the gradient map of one cell, and the pointer over another one.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Locator, expect

from benchmarks.lab import lab_and_browser
from tests.browser.jupyter import PATIENCE, LabPage

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "widget.png"
CELLS = (
    "from rfwidget import KerasReceptiveField",
    """import keras
from rfwidget import RFWidget

model = keras.applications.VGG16(weights=None)
RFWidget(model, output_layer="block4_conv2", init_weights=True, preprocess=lambda image: image / 255)""",
)
CLICK, HOVER = (0.57, 0.41), (0.30, 0.72)
"""Places on the image, as shares of its sides."""


def _box(locator: Locator) -> FloatRect:
    box = locator.bounding_box()
    assert box is not None, "not on the page"  # noqa: S101
    return box


def photograph(lab: LabPage) -> bytes:
    """Run the notebook, click, hover, and take the code with the widget below it."""
    lab.open(lab.server.add_notebook("picture.ipynb", CELLS))
    lab.command("application:toggle-left-area")
    lab.run_all()
    overlay = lab.overlay()
    lab.page.locator(".rfwidget-strip [aria-selected=true]").wait_for(timeout=PATIENCE)
    image = _box(overlay)
    overlay.click(position={"x": CLICK[0] * image["width"], "y": CLICK[1] * image["height"]})
    expect(overlay).to_have_attribute("data-painted", overlay.get_attribute("data-selected") or "")
    code = lab.page.locator(".jp-CodeCell").nth(1).locator(".jp-InputArea-editor")
    code.scroll_into_view_if_needed()
    lab.page.evaluate("() => document.activeElement?.blur()")
    lab.page.add_style_tag(content=".jp-cell-toolbar { display: none !important }")
    image = _box(overlay)
    lab.page.mouse.move(image["x"] + HOVER[0] * image["width"], image["y"] + HOVER[1] * image["height"])
    above, widget = _box(code), _box(lab.page.locator(".rfwidget-stage").first)
    height = widget["y"] + widget["height"] - above["y"] + 10
    clip = FloatRect(x=widget["x"] - 6, y=above["y"] - 4, width=widget["width"] + 12, height=height)
    return lab.page.screenshot(clip=clip)


def main() -> None:
    """Take the picture and save it."""
    with lab_and_browser() as (server, browser):
        page = browser.new_page(viewport={"width": 1240, "height": 1300}, device_scale_factor=1.5)
        shot = Image.open(io.BytesIO(photograph(LabPage(page, server)))).convert("RGB")
    shot.save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {shot.width} x {shot.height} pixels, {PICTURE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
