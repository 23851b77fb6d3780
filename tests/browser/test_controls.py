"""The controls around the image, and the traits behind them, in both directions."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.jupyter import LabPage, screenshot

SHOW = """
from tests.browser.patient import PatientReceptiveField, show
LAYERS = PatientReceptiveField.LAYERS
PatientReceptiveField.LAYERS = {**LAYERS, **{f"extra_{k}": LAYERS["wide"] for k in range(12)}}
seen = []
widget, rf = show()
rf.gate.set()
widget.observe(lambda change: seen.append(change["new"]), "selected")
"""


@pytest.fixture
def overlay(lab_page: LabPage) -> Locator:
    lab_page.open(lab_page.server.add_notebook("controls.ipynb", [SHOW]))
    lab_page.run_all()
    return lab_page.overlay()


def test_layers_are_searched_and_chosen(lab_page: LabPage, overlay: Locator) -> None:
    page = lab_page.page
    layers = page.get_by_label("Layer", exact=True)
    expect(layers.locator("option")).to_have_count(14)
    page.get_by_placeholder("search layers").fill("TAL")
    expect(layers.locator("option")).to_have_text(["wide  (14×18)", "tall  (60×11)"])  # noqa: RUF001
    layers.select_option(index=1)
    expect(overlay).to_have_attribute("data-grid", "60x11")
    expect(overlay).to_have_attribute("data-state", "ready")
    lab_page.expect_in_kernel("widget.output_layer, widget.rf_params.size", "tall Size(w=5, h=9)")
    lab_page.execute("widget.output_layer = 'extra_3'")
    expect(overlay).to_have_attribute("data-grid", "14x18")
    assert layers.evaluate("select => select.selectedOptions[0].textContent").startswith("extra_3")


def test_what_is_shown_and_how(lab_page: LabPage, overlay: Locator) -> None:
    page = lab_page.page
    shots = [screenshot(overlay)]

    def changes(trait: str, value: str) -> None:
        """The screen has changed, and so has the trait."""
        page.wait_for_function("() => document.querySelector('.rfwidget-overlay').dataset.state === 'ready'")
        lab_page.expect_in_kernel(f"widget.{trait}", value)
        for _ in range(100):  # the picture may follow a little later
            page.evaluate("() => new Promise(requestAnimationFrame)")
            shot = screenshot(overlay)
            if np.abs(shot.astype(int) - shots[-1]).max() > 40:
                break
        else:
            pytest.fail(f"{trait} = {value} does not show")
        shots.append(shot)

    for name, trait, value in [
        ("centres", "show_dots", "False"),
        ("rectangles", "show_rectangles", "False"),
        ("naive grid", "show_naive", "True"),
    ]:
        page.get_by_role("button", name=name, exact=True).click()
        changes(trait, value)
    page.get_by_role("button", name="gradient", exact=True).click()
    expect(overlay).not_to_have_attribute("data-painted", "7,9")
    changes("show_heat", "False")
    page.get_by_role("button", name="gradient", exact=True).click()
    expect(overlay).to_have_attribute("data-painted", "7,9")
    changes("show_heat", "True")

    page.get_by_text("More", exact=True).click()
    painted_anew(overlay, lambda: page.get_by_label("Colours").select_option("viridis"))
    changes("colormap", "viridis")
    painted_anew(overlay, lambda: page.get_by_role("button", name="magnitude").click())
    lab_page.expect_in_kernel("widget.signed", "False")
    channels = page.get_by_label("Channel", exact=True)
    expect(channels).to_have_js_property("selectedIndex", 0)
    painted_anew(overlay, lambda: channels.select_option("one channel"))
    index = page.locator(".rfwidget-controls input[type=number]")
    painted_anew(overlay, lambda: (index.fill("2"), index.press("Enter")))
    lab_page.expect_in_kernel("widget.channel", "2")
    painted_anew(overlay, lambda: channels.select_option("mean of all channels"))
    lab_page.expect_in_kernel("widget.channel", "None")


def painted_anew(overlay: Locator, change: Callable[[], object]) -> None:
    """Make a change, and wait until the heat map of another revision is on the canvas."""
    overlay.evaluate(
        """overlay => {
            window.paintedAnew = new Promise(resolve => {
                let gone = false;
                new MutationObserver((_, observer) => {
                    const painted = overlay.hasAttribute("data-painted");
                    gone ||= !painted;
                    if (gone && painted) { observer.disconnect(); resolve(null); }
                }).observe(overlay, { attributes: true, attributeFilter: ["data-painted"] });
            });
        }"""
    )
    change()
    overlay.page.evaluate("() => window.paintedAnew")


def test_images_are_chosen_and_uploaded(lab_page: LabPage, overlay: Locator, tmp_path: Path) -> None:
    page = lab_page.page
    painted_anew(overlay, lambda: page.get_by_label("Image", exact=True).select_option("rings"))
    lab_page.expect_in_kernel("widget.image", "rings")
    green = tmp_path / "green.png"
    Image.new("RGB", (128, 80), (0, 160, 0)).save(green)

    def upload(file: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.locator(".rfwidget-controls .widget-upload").click()
        chooser.value.set_files(file)

    painted_anew(overlay, lambda: upload(green))
    lab_page.expect_in_kernel("widget.image.shape, widget.image[3, 5]", "(40, 64, 3) [  0 160   0]")
    assert (np.abs(screenshot(overlay).astype(int) - (0, 160, 0)).max(axis=-1) < 12).mean() > 0.5
    assert page.get_by_label("Image", exact=True).input_value() == "your image"
    wrong = tmp_path / "wrong.png"
    wrong.write_text("<b>no</b> image")
    upload(wrong)
    expect(page.get_by_text("the uploaded file is no image")).to_be_visible()
    painted_anew(overlay, lambda: lab_page.execute("import numpy; widget.image = numpy.zeros((40, 64, 3), 'uint8')"))
    assert (screenshot(overlay).max(axis=-1) < 12).mean() > 0.5


def test_picture_is_downloaded_and_code_copied(lab_page: LabPage, overlay: Locator) -> None:  # noqa: ARG001
    page = lab_page.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert picture.format == "PNG"
    assert picture.size == (2 * (64 * 7 + 20), 2 * (40 * 7 + 20))
    lab_page.execute("widget.selected = (3, 4)")
    page.evaluate("() => navigator.clipboard.writeText('before')")
    page.get_by_role("button", name="Copy code").click()
    # For the very text: right after a write, the clipboard may still give an older one.
    page.wait_for_function(
        "wanted => navigator.clipboard.readText().then(text => text === wanted)",
        arg="RFWidget(model, output_layer='wide', selected=(3, 4))",
    )


def test_traits_set_in_python_show_and_clicks_are_observed(lab_page: LabPage, overlay: Locator) -> None:
    lab_page.execute("widget.selected = (12, 6)")
    expect(overlay).to_have_attribute("data-painted", "12,6")
    overlay.click(position={"x": 7 * (2 * 4 + 6), "y": 7 * (3 * 2 + 3)})
    expect(overlay).to_have_attribute("data-painted", "2,3")
    lab_page.expect_in_kernel(
        "[tuple(cell) for cell in seen], widget.gradient.shape", "[(7, 9), (12, 6), (2, 3)] (40, 64, 3)"
    )
    lab_page.execute("widget.selected = None")
    expect(overlay).not_to_have_attribute("data-painted", "2,3")
    assert overlay.get_attribute("data-selected") is None
