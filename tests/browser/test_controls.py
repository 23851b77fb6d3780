"""The controls around the image, and the traits behind them, in both directions."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.jupyter import LabPage
from tests.browser.waiting import screenshot, settled_screenshot, until

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
    layers = page.get_by_role("combobox", name="Layer")
    entries = page.get_by_role("listbox", name="Layers").first.get_by_role("option")
    layers.click()
    expect(entries).to_have_count(14)
    layers.fill("TAL")
    expect(entries).to_have_text(["tall60 \u00d7 11"])
    entries.click()
    expect(overlay).to_have_attribute("data-grid", "60x11")
    expect(overlay).to_have_attribute("data-state", "ready")
    lab_page.expect_in_kernel("widget.output_layer, widget.rf_params.size", "tall Size(w=5, h=9)")
    lab_page.execute("widget.output_layer = 'extra_3'")
    expect(overlay).to_have_attribute("data-grid", "14x18")
    expect(layers).to_have_value("extra_3")


def test_a_search_without_a_match_says_so_and_typing_leaves_the_notebook_alone(
    lab_page: LabPage, overlay: Locator
) -> None:
    page = lab_page.page
    layers = page.get_by_role("combobox", name="Layer")
    layers.click()
    page.keyboard.type("bxzzz")
    expect(page.get_by_text("no match among 14 layers")).to_be_visible()
    page.keyboard.press("Escape")
    expect(layers).to_have_value("wide")
    expect(page.locator(".jp-Cell")).to_have_count(1)
    page.get_by_role("button", name="spotlight").focus()
    for key in ["b", "x", "a", "Shift+D"]:
        page.keyboard.press(key)
    expect(page.locator(".jp-Cell")).to_have_count(1)
    page.keyboard.press("Space")
    lab_page.expect_in_kernel("widget.spotlight", "False")
    expect(overlay).to_have_attribute("data-state", "ready")


def test_what_is_shown_and_how(lab_page: LabPage, overlay: Locator) -> None:
    page = lab_page.page
    shots = [settled_screenshot(overlay)]

    def changes(trait: str, value: str) -> None:
        """The screen has changed, and so has the trait."""
        page.wait_for_function("() => document.querySelector('.rfwidget-overlay').dataset.state === 'ready'")
        lab_page.expect_in_kernel(f"widget.{trait}", value)

        def shows() -> bool:  # the picture may follow a little later
            return bool(np.abs(screenshot(overlay).astype(int) - shots[-1]).max() > 40)

        until(page, shows, f"a picture of {trait} = {value}", every=0.02)
        shots.append(settled_screenshot(overlay, every=0.1))

    for name, trait, value in [
        ("centres", "show_dots", "False"),
        ("first", "show_first", "False"),
        ("central", "show_central", "False"),
        ("last", "show_last", "False"),
        ("naive grid", "show_naive", "True"),
        ("spotlight", "spotlight", "False"),
        ("model's pixels", "show_pixels", "True"),
    ]:
        page.get_by_role("button", name=name, exact=True).click()
        changes(trait, value)
    page.get_by_role("button", name="gradient map", exact=True).click()
    expect(overlay).not_to_have_attribute("data-painted", "7,9")
    changes("show_heat", "False")
    page.get_by_role("button", name="gradient map", exact=True).click()
    expect(overlay).to_have_attribute("data-painted", "7,9")
    changes("show_heat", "True")

    coloured_anew(overlay, lambda: page.get_by_label("Colours").select_option("viridis"))
    changes("colormap", "viridis")
    ticks = page.locator(".rfwidget-colouring .rfwidget-ticks")
    page.get_by_label("Sign").select_option("signed")
    expect(ticks).to_contain_text("\u2212")
    lab_page.expect_in_kernel("widget.signed", "True")
    page.get_by_label("Scale").select_option("percentile")
    expect(ticks).to_contain_text("max")
    lab_page.expect_in_kernel("widget.heat_scale", "percentile")
    channels = page.get_by_role("button", name="mean of 3")
    painted_anew(overlay, lambda: page.get_by_role("button", name="Next channel").click())
    lab_page.expect_in_kernel("widget.channel", "0")
    expect(channels).to_have_count(0)
    page.get_by_role("button", name="channel 0 of 3").click()
    painted_anew(overlay, lambda: page.get_by_role("button", name="Channel 2", exact=True).click())
    lab_page.expect_in_kernel("widget.channel", "2")
    painted_anew(overlay, lambda: page.get_by_role("button", name="mean of all channels").click())
    lab_page.expect_in_kernel("widget.channel", "None")


def coloured_anew(overlay: Locator, change: Callable[[], object]) -> None:
    """Make a change, and wait until the heat map has other colours; it is painted all the time."""
    before, painted = settled_screenshot(overlay).astype(int), overlay.get_attribute("data-painted")
    change()

    def is_other() -> bool:
        return bool((np.abs(screenshot(overlay) - before).max(axis=-1) > 8).mean() > 0.005)

    until(overlay.page, is_other, "other colours", every=0.1)
    expect(overlay).to_have_attribute("data-painted", painted or "")


def painted_anew(overlay: Locator, change: Callable[[], object]) -> None:
    """Make a change, and wait until the heat map of another revision is on the canvas."""
    overlay.evaluate(
        """overlay => {
            window.paintedAnew = false;
            let gone = false;
            new MutationObserver((_, observer) => {
                const painted = overlay.hasAttribute("data-painted");
                gone ||= !painted;
                if (gone && painted) { observer.disconnect(); window.paintedAnew = true; }
            }).observe(overlay, { attributes: true, attributeFilter: ["data-painted"] });
        }"""
    )
    change()
    overlay.page.wait_for_function("() => window.paintedAnew")


def test_images_are_chosen_and_uploaded(lab_page: LabPage, overlay: Locator, tmp_path: Path) -> None:
    page = lab_page.page
    lab_page.execute("widget.spotlight = False")
    painted_anew(overlay, lambda: page.get_by_label("Image", exact=True).select_option("rings"))
    lab_page.expect_in_kernel("widget.image", "rings")
    green = tmp_path / "green.png"
    Image.new("RGB", (128, 80), (0, 160, 0)).save(green)

    def upload(file: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Open").click()
        chooser.value.set_files(file)

    painted_anew(overlay, lambda: upload(green))
    lab_page.expect_in_kernel("widget.image.shape, widget.image[3, 5]", "(40, 64, 3) [  0 160   0]")

    def is_green() -> bool:
        return bool((np.abs(screenshot(overlay).astype(int) - (0, 160, 0)).max(axis=-1) < 12).mean() > 0.5)

    until(page, is_green, "a green picture")
    expect(page.get_by_label("Image", exact=True)).to_have_value("green.png")
    wrong = tmp_path / "wrong.png"
    wrong.write_text("<b>no</b> image")
    upload(wrong)
    expect(page.get_by_text("the uploaded file is no image")).to_be_visible()
    painted_anew(overlay, lambda: lab_page.execute("import numpy; widget.image = numpy.zeros((40, 64, 3), 'uint8')"))
    expect(page.get_by_text("the uploaded file is no image")).to_be_hidden()
    expect(page.get_by_label("Image", exact=True)).to_have_value("your image")
    until(page, lambda: (screenshot(overlay).max(axis=-1) < 12).mean() > 0.5, "a black picture")


def test_a_large_photograph_is_shrunk_in_the_page_and_what_cannot_be_is_refused_at_once(
    lab_page: LabPage, overlay: Locator, tmp_path: Path
) -> None:
    page = lab_page.page
    noise = np.random.default_rng(1).integers(0, 256, (2600, 4000, 3), np.uint8)
    large = tmp_path / "large.png"
    Image.fromarray(noise).save(large, compress_level=0)
    assert large.stat().st_size > 30_000_000
    picker = page.locator(".rfwidget-file")
    painted_anew(overlay, lambda: picker.set_input_files(large))
    expect(page.locator(".rfwidget-input")).to_contain_text("large.png, 2048 \u00d7 1331 px")
    (tmp_path / "huge.tiff").write_bytes(bytes(12_000_000))
    picker.set_input_files(tmp_path / "huge.tiff")
    expect(page.get_by_text("huge.tiff has 12 MB")).to_be_visible()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(lab_page: LabPage, overlay: Locator, way: str) -> None:
    overlay.evaluate(
        """async (overlay, way) => {
            const canvas = new OffscreenCanvas(90, 60);
            const context = canvas.getContext("2d");
            context.fillStyle = "rgb(0 160 0)";
            context.fillRect(0, 0, 90, 60);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob()], "green.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true };
            const event = way === "drop"
                ? new DragEvent("drop", { ...options, dataTransfer: data })
                : new ClipboardEvent("paste", { ...options, clipboardData: data });
            overlay.dispatchEvent(event);
        }""",
        way,
    )
    expect(lab_page.page.locator(".rfwidget-input")).to_contain_text("green.png, 90 \u00d7 60 px: cut to 90 \u00d7 56")
    lab_page.expect_in_kernel("widget.image.shape, widget.image[3, 5]", "(40, 64, 3) [  0 160   0]")


def test_picture_is_downloaded_and_code_copied(lab_page: LabPage, overlay: Locator) -> None:  # noqa: ARG001
    page = lab_page.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".rfwidget-strip [aria-selected=true]").wait_for()  # the picture has what is there
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    picture = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert picture.format == "PNG"
    assert picture.size == (2 * (64 * 7 + 24 + 330), 2 * (40 + 460 + 126))  # with bar, column and strip
    lab_page.execute("widget.selected = (3, 4)")
    page.evaluate("() => navigator.clipboard.writeText('before')")
    page.get_by_role("button", name="Code").click()
    # For the very text: right after a write, the clipboard may still give an older one.
    page.wait_for_function(
        "wanted => navigator.clipboard.readText().then(text => text === wanted)",
        arg="RFWidget(model, input_shape=(40, 64, 3), output_layer='wide', selected=(3, 4))",
    )
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Page").click()
    assert Path(download.value.path()).read_bytes().startswith(b"<!doctype html>")


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
    expect(overlay).not_to_have_attribute("data-selected", re.compile(""))
