"""The self-contained file in Chromium: opened from the disk, with every other request refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField
from tests.browser.jupyter import drag_finger
from tests.browser.strict import POLICY, serve_strictly
from tests.browser.waiting import settled_box as box_of
from tests.browser.waiting import two_frames, until

EVIL = "</script><img src=x onerror=\"document.body.dataset.canary='dead'\">"
SCALE = 7
"""CSS pixels per image pixel: 480 // 64."""


class EvilReceptiveField(BoxReceptiveField):
    """The two box filters under names that are markup."""

    LAYERS = {EVIL: BoxReceptiveField.LAYERS["wide"], "tall": BoxReceptiveField.LAYERS["tall"]}  # noqa: RUF012


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of an image of 64 x 40 pixels; fields of the first layer are 12 x 6 pixels, 4 x 2 apart."""
    widget = RFWidget(EvilReceptiveField(), input_shape=(40, 64, 3), output_layer=EVIL)
    assert widget.wait(120, background=True)
    path = tmp_path_factory.mktemp("page") / "page.html"
    size = widget.to_html(path, layers=[EVIL, "tall"], cells=12)
    widget.close()
    assert path.stat().st_size == size
    return path


@pytest.fixture(scope="module")
def asking_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a widget that asks everything: the same image, the query on pixel (30, 20), cell (5, 8) selected."""
    widget = RFWidget(
        BoxReceptiveField(),
        input_shape=(40, 64, 3),
        selected=(5, 8),
        query=(30, 20),
        asking=True,
        compare_layer="tall",
        show_erf=True,
    )
    path = tmp_path_factory.mktemp("page") / "asking.html"
    widget.to_html(path, layers=["wide", "tall"], cells=12)
    widget.close()
    return path


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    yield from opened(browser, file, request.param)


@pytest.fixture(params=["light", "dark"])
def asking_page(browser: Browser, asking_file: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    yield from opened(browser, asking_file, request.param)


def opened(browser: Browser, file: Path | str, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """A file, or an address, in a window that refuses requests elsewhere; in the end nothing must have been said or
    asked for.
    """
    context = browser.new_context(viewport={"width": 1000, "height": 800}, color_scheme=scheme, has_touch=True)
    foreign: list[str] = []
    own = "file:" if isinstance(file, Path) else re.escape(file.rpartition("/")[0] + "/")
    context.route(re.compile(rf"^(?!{own}|data:)"), lambda route: (foreign.append(route.request.url), route.abort()))
    shown = context.new_page()
    problems: list[str] = []
    shown.on("console", lambda message: problems.append(message.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.goto(file.as_uri() if isinstance(file, Path) else file)
    yield shown
    context.close()
    assert (foreign, problems) == ([], [])


def overlay_of(page: Page) -> Locator:
    overlay = page.locator(".rfwidget-overlay")
    expect(overlay).to_have_attribute("data-painted", re.compile(r"^\d+,\d+$"))
    return overlay


def scheme_of(page: Page) -> str:
    return "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"


def at(x: float, y: float) -> dict[str, float]:
    """A place of the image on the overlay."""
    return {"x": x * SCALE, "y": y * SCALE}


def clicked_map(overlay: Locator, x: float, y: float) -> str:
    """The cell whose map a click shows."""
    before = overlay.get_attribute("data-selected")
    overlay.click(position=at(x, y))
    expect(overlay).not_to_have_attribute("data-selected", before or "")
    expect(overlay).to_have_attribute("data-painted", re.compile(r"^\d+,\d+$"))
    two_frames(overlay.page)
    return overlay.get_attribute("data-painted") or ""


def test_page_shows_hovers_and_answers_clicks_with_the_nearest_map(page: Page, artifacts: Path) -> None:
    overlay = overlay_of(page)
    expect(overlay).to_have_attribute("data-grid", "14x18")
    overlay.hover(position=at(4 * 3 + 6, 2 * 5 + 3))
    expect(page.locator(".rfwidget-hovering")).to_contain_text("cell (3, 5): x 12 to 24, y 10 to 16")
    first = clicked_map(overlay, 6, 3)
    assert clicked_map(overlay, 58, 37) != first
    page.screenshot(path=artifacts / f"page_{scheme_of(page)}.png")


def test_names_of_layers_stay_text(page: Page) -> None:
    overlay_of(page)
    page.locator(".rfwidget-bar").first.hover()
    expect(page.locator(".rfwidget-caption")).to_contain_text(EVIL)
    assert page.title() == f"Receptive fields of {EVIL}, tall"
    assert page.evaluate("document.body.dataset.canary") is None
    assert page.locator("img[onerror]").count() == 0


def test_layers_are_chosen_in_the_strip_and_in_the_list(page: Page) -> None:
    overlay = overlay_of(page)
    page.locator(".rfwidget-bar").nth(1).click()
    expect(overlay).to_have_attribute("data-grid", "60x11")
    expect(page.get_by_role("combobox", name="Layer")).to_have_value("tall")
    page.keyboard.press("ArrowLeft")
    expect(overlay).to_have_attribute("data-grid", "14x18")
    expect(page.locator(".rfwidget-bar").first).to_be_focused()


def test_shift_asks_which_cells_see_a_pixel_or_a_box(page: Page, artifacts: Path) -> None:
    overlay = overlay_of(page)
    overlay.click(position=at(30.5, 20.5), modifiers=["Shift"])
    expect(overlay).to_have_attribute("data-query", "30,20,31,21")
    # Columns 5, 6, 7 begin at 20, 24, 28; rows 8, 9, 10 at 16, 18, 20: their fields hold pixel (30, 20).
    expect(page.locator(".rfwidget-answer")).to_have_text(f"9 cells of layer {EVIL} see pixel (30, 20)")
    box = box_of(overlay)
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 20.5 * SCALE, box["y"] + 10.5 * SCALE)
    page.mouse.down()
    page.mouse.move(box["x"] + 24.5 * SCALE, box["y"] + 17.5 * SCALE)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(overlay).to_have_attribute("data-query", "20,10,25,18")
    # 8 pixels high: too high for 12 x 6 pixels; fields of "tall" are 5 x 9, one column begins at 20, row 3 at 9.
    expect(page.locator(".rfwidget-answer")).to_contain_text("no cell of layer")
    expect(page.locator(".rfwidget-answer")).to_contain_text("first layer with such a cell: tall")
    page.screenshot(path=artifacts / f"page_query_{scheme_of(page)}.png")
    page.keyboard.press("Escape")
    expect(page.locator(".rfwidget-answer")).to_have_text("")


def test_a_finger_asks_once_that_is_switched_on(page: Page, artifacts: Path) -> None:
    overlay, switch = overlay_of(page), page.get_by_role("button", name="who sees it?")
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    before = overlay.get_attribute("data-selected")
    overlay.scroll_into_view_if_needed()
    box = box_of(overlay)
    page.touchscreen.tap(box["x"] + 30.5 * SCALE, box["y"] + 20.5 * SCALE)
    expect(overlay).to_have_attribute("data-query", "30,20,31,21")
    drag_finger(page, (box["x"] + 10.5 * SCALE, box["y"] + 10.5 * SCALE), 2 * SCALE, 9 * SCALE)
    expect(overlay).to_have_attribute("data-query", "10,10,13,20")
    expect(overlay).to_have_attribute("data-selected", before or "")
    page.screenshot(path=artifacts / f"page_switch_{scheme_of(page)}.png")
    switch.click()
    expect(overlay).not_to_have_attribute("data-query", re.compile(""))


def test_the_marks_are_drawn_over_the_photo_and_its_own_pixels_are_exact(page: Page) -> None:
    overlay = overlay_of(page)
    box = box_of(overlay)
    photo = page.locator(".rfwidget-photo")
    assert box_of(photo) == box
    shape = "path => { const { x, y, width, height } = path.getBBox(); return [x, y, width, height]; }"
    line = page.locator('.rfwidget-scene [data-part="first"] path').last
    # The line of the first field, 12 x 6 pixels from the corner behind the margin on, lies inside it.
    inside = [12 + 1, 12 + 1, 12 * SCALE - 2, 6 * SCALE - 2]
    until(page, lambda: line.evaluate(shape) == pytest.approx(inside), "the line of the first field inside it")
    page_size, embedded = page.evaluate(
        """async () => {
            const data = JSON.parse(document.querySelector(".rfwidget-data").textContent);
            const picture = new Image();
            picture.src = data.pixels;
            await picture.decode();
            const photo = document.querySelector(".rfwidget-photo");
            return [[picture.naturalWidth, picture.naturalHeight], [photo.naturalWidth, photo.naturalHeight]];
        }"""
    )
    assert page_size == [64, 40]
    assert embedded[0] > 500


def test_chips_switch_the_marks(page: Page) -> None:
    overlay_of(page)
    for name, part in (("first", "first"), ("last", "last"), ("centres", "dots"), ("naive grid", "naive")):
        marks = page.locator(f'.rfwidget-scene [data-part="{part}"]').first
        chip = page.get_by_role("button", name=name, exact=True)
        before = chip.get_attribute("aria-pressed") == "true"
        (expect(marks).to_be_visible if before else expect(marks).to_be_hidden)()
        chip.click()
        (expect(marks).to_be_hidden if before else expect(marks).to_be_visible)()


def test_a_long_name_of_a_layer_ends_before_its_grid(page: Page) -> None:
    overlay_of(page)
    field, grid = page.locator(".rfwidget-combo-field"), page.locator(".rfwidget-combo > .rfwidget-combo-note")
    expect(grid).to_have_text("14 \u00d7 18")
    kept = field.evaluate("field => Number.parseFloat(getComputedStyle(field).paddingRight)")
    assert box_of(field)["x"] + box_of(field)["width"] - kept <= box_of(grid)["x"]


def test_sign_scale_and_colours_change_at_once(page: Page, artifacts: Path) -> None:
    overlay = overlay_of(page)
    overlay.click(position=at(30, 20))
    canvas, card = page.locator("canvas.rfwidget-heat"), page.locator(".rfwidget-colouring")

    def look() -> tuple[str, str | None]:
        bar = card.locator(".rfwidget-colours").get_attribute("style")
        return canvas.evaluate("canvas => canvas.toDataURL()"), bar

    seen = {look()}
    for name, value in (("Sign", "signed"), ("Colours", "viridis"), ("Colours", "PiYG")):
        page.get_by_role("combobox", name=name, exact=True).select_option(value)
        seen.add(look())
    assert len({pixels for pixels, _ in seen}) == len({bar for _, bar in seen}) == 4
    # All pixels of a mean respond alike: on any scale the strongest colour. The bar tells the scales apart.
    expect(card.locator(".rfwidget-ticks")).not_to_contain_text("%")
    page.get_by_role("combobox", name="Scale", exact=True).select_option("percentile")
    expect(card.locator(".rfwidget-ticks")).to_contain_text("50 %")
    assert look() in seen
    page.get_by_role("slider", name="Opacity").fill("0.3")
    page.screenshot(path=artifacts / f"page_colours_{scheme_of(page)}.png")


def test_page_asks_from_the_start_what_the_widget_asked(asking_page: Page, artifacts: Path) -> None:
    page, overlay = asking_page, overlay_of(asking_page)
    expect(overlay).to_have_attribute("data-query", "30,20,31,21")
    expect(overlay).to_have_attribute("data-asking", "")
    expect(page.get_by_role("button", name="who sees it?")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".rfwidget-answer")).to_have_text("9 cells of layer wide see pixel (30, 20)")
    # The selected field is 20..32 by 16..22, its centre (26, 19); fields of "tall" are 5 x 9 pixels, 1 x 3 apart.
    compared = page.locator(".rfwidget-compared")
    expect(compared).to_be_visible()
    expect(compared.locator("text")).to_have_text("tall")
    expect(page.locator(".rfwidget-selected text")).to_have_text("wide")
    wide, high = (box_of(compared.locator("rect.rfwidget-line.rfwidget-inside"))[key] for key in ("width", "height"))
    assert (wide, high) == pytest.approx((5 * SCALE + 5, 9 * SCALE + 5), abs=3)  # the outline stands outside
    contours = page.locator(".rfwidget-contours")
    expect(page.locator(".rfwidget-shares text")).to_have_text(["50 %", "95 %"])
    overlay_box = box_of(overlay)
    for share in ("0.5", "0.95"):
        outline = box_of(contours.locator(f'path.rfwidget-line[data-share="{share}"]'))
        left, top = ((outline[key] - overlay_box[key]) / SCALE for key in ("x", "y"))
        assert 20 - 1 <= left < 26  # half the stroke lies outside
        assert 16 - 1 <= top < 19
    page.screenshot(path=artifacts / f"page_asking_{scheme_of(page)}.png")


def test_page_outlines_the_effective_field_of_the_layer_on_show(asking_page: Page) -> None:
    page = asking_page
    overlay_of(page)
    outline = page.locator('.rfwidget-contours path.rfwidget-line[data-share="0.95"]')
    expect(outline).to_have_attribute("d", re.compile("M"))
    wide = outline.get_attribute("d")
    page.locator(".rfwidget-bar").nth(1).click()
    expect(outline).not_to_have_attribute("d", wide or "")
    box = box_of(outline)
    assert box["height"] > box["width"]
    page.locator(".rfwidget-overlay").focus()
    page.keyboard.press("Escape")
    expect(page.locator(".rfwidget-overlay")).not_to_have_attribute("data-query", re.compile("."))


@pytest.mark.parametrize("strict", [False, True], ids=["from a disk", "from a strict server"])
def test_a_page_with_files_beside_it_works_under_a_policy_that_allows_nothing_inline(
    browser: Browser, tmp_path: Path, strict: bool
) -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    widget.to_html(tmp_path / "page.html", cells=12, inline=False, progress=False)
    widget.close()
    with serve_strictly(tmp_path) as address:
        for page in opened(browser, f"{address}page.html#dark" if strict else tmp_path / "page.html", "light"):
            overlay = overlay_of(page)
            overlay.hover(position=at(4 * 3 + 6, 2 * 5 + 3))
            expect(page.locator(".rfwidget-hovering")).to_contain_text("cell (3, 5): x 12 to 24, y 10 to 16")
            first = overlay.get_attribute("data-painted")
            overlay.click(position=at(58, 37))
            expect(overlay).not_to_have_attribute("data-painted", first or "")
            ground = "rgb(18, 18, 18)" if strict else "rgb(255, 255, 255)"  # as the fragment says
            expect(page.locator("body")).to_have_css("background-color", ground)


def test_the_strict_server_refuses_what_stands_inline(browser: Browser, file: Path) -> None:
    with serve_strictly(file.parent) as address:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        response = page.goto(f"{address}{file.name}")
        assert response is not None
        assert response.headers["content-security-policy"] == POLICY
        assert page.locator(".rfwidget-overlay").count() == 0
        until(page, lambda: any("inline script" in text for text in said), "a word about the script")
        page.close()
