"""Record the gradient map that follows the mouse in a real JupyterLab, for the README: writes `docs/images/live.webp`.

    python -m benchmarks.recording

Every frame is a screenshot of the browser, one for each place of the mouse; the arrow is drawn into the page, for
screenshots have none. The frames are shown at the rate of the recording, not at that of the widget.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, expect

from benchmarks.lab import lab_and_browser
from tests.browser.jupyter import PATIENCE, LabPage

RECORDING = Path(__file__).resolve().parents[1] / "docs" / "images" / "live.webp"
CELL = """import keras
from keras import layers
from rfwidget import RFWidget

def build(input_shape):
    return keras.Sequential([
        keras.Input(input_shape),
        layers.Conv2D(32, 5, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.AvgPool2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.AvgPool2D(2),
        layers.Conv2D(128, 3, activation="relu"),
        layers.Conv2D(128, 3, activation="relu", name="feature_grid"),
    ])

keras.utils.set_random_seed(3)
RFWidget(build, input_shape=(96, 96, 3), preprocess=lambda image: image / 255)"""
CELLS = 16 * 16
FRAMES = 48
MILLISECONDS = 70
"""Of a frame."""
WIDTH = 860
"""Pixels of the recording."""

ARROW = """() => {
    const arrow = document.createElement("div");
    arrow.id = "arrow";
    arrow.style = "position: fixed; z-index: 10000; pointer-events: none; width: 18px; height: 26px; background: black;"
        + "filter: drop-shadow(0 0 1px white) drop-shadow(0 0 1px white);"
        + "clip-path: polygon(0 0, 0 78%, 27% 60%, 47% 100%, 63% 93%, 44% 55%, 85% 55%)";
    document.body.append(arrow);
}"""


def path(share: float) -> tuple[float, float]:
    """A place on a closed way over the image, as shares of its sides."""
    turn = 2 * math.pi * share
    return 0.5 + 0.36 * math.sin(turn), 0.5 + 0.34 * math.sin(2 * turn + 0.4)


def record(lab: LabPage) -> list[Image.Image]:
    """Run the notebook, wait until all cells are live, and take a frame for each place of the mouse."""
    page = lab.page
    lab.open(lab.server.add_notebook("recording.ipynb", [CELL]))
    lab.command("application:toggle-left-area")
    lab.run_all()
    overlay = lab.overlay()
    expect(overlay).to_have_attribute("data-live", str(CELLS), timeout=4 * PATIENCE)
    page.locator(".rfwidget-strip [aria-selected=true]").wait_for(timeout=PATIENCE)
    page.evaluate(ARROW)
    for _ in range(3):  # the first gradient was compiled
        overlay.press("Enter")
        page.wait_for_timeout(500)
    image, widget = overlay.bounding_box(), page.locator(".rfwidget-stage").first.bounding_box()
    assert image is not None, "not on the page"  # noqa: S101
    assert widget is not None, "not on the page"  # noqa: S101
    strip = page.locator(".rfwidget-strip").first.bounding_box()
    assert strip is not None, "not on the page"  # noqa: S101
    # Without the strip of layers, where nothing moves.
    clip = FloatRect(x=widget["x"], y=widget["y"], width=widget["width"], height=strip["y"] - widget["y"])
    frames = []
    for k in range(FRAMES):
        x, y = (
            start + part * side
            for start, part, side in zip(
                (image["x"], image["y"]), path(k / FRAMES), (image["width"], image["height"]), strict=True
            )
        )
        page.evaluate(f"() => Object.assign(document.getElementById('arrow').style, {{ left: '{x}px', top: '{y}px' }})")
        page.mouse.move(x, y)
        page.wait_for_timeout(60)
        shot = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
        frames.append(shot.resize((WIDTH, round(shot.height * WIDTH / shot.width)), Image.Resampling.LANCZOS))
    return frames


def main() -> None:
    """Record and save."""
    with lab_and_browser() as (server, browser):
        # As high as to need no scrolling: the toolbar would cover the picture.
        page = browser.new_page(viewport={"width": 1180, "height": 1600})
        first, *others = record(LabPage(page, server))
    first.save(
        RECORDING,
        save_all=True,
        append_images=others,
        duration=MILLISECONDS,
        loop=0,
        quality=50,
        method=6,
        minimize_size=True,
    )
    print(f"{RECORDING.name}: {first.width} x {first.height} pixels, {RECORDING.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
