"""Photograph the widget in all its states for whoever reviews it: three sizes of window, light and dark.

    python -m benchmarks.screenshots [FOLDER] [--states first early ...] [--quick]

JupyterLab stands with its sidebar open. The pictures are for looking at; nothing is asserted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from benchmarks.lab import lab_and_browser
from tests.browser.jupyter import PATIENCE, LabPage, Server

SIZES = ((1440, 900), (1024, 768), (640, 900))
"""Width and height of the window in CSS pixels."""

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

MODEL = """import keras
from rfwidget import RFWidget
model = keras.applications.VGG16(weights=None)
widget = RFWidget(model, output_layer="block4_conv2", init_weights=True, selected=(16, 11))
widget"""

PAIR = """from ipywidgets import HBox
import rfwidget
pair = [RFWidget(model, output_layer=name, init_weights=True) for name in ("block3_conv1", "block4_conv1")]
rfwidget.link(*pair)
HBox(pair)"""

_QUIET = "() => [...document.querySelectorAll('.rfwidget-background')].every((words) => !words.textContent)"
"""Nothing is computed in the background any more."""

State = Callable[[Page, Locator], object]


def _press(name: str) -> State:
    return lambda page, _: page.locator(".rfwidget-chip", has_text=name).first.click()


def _layer(name: str) -> State:
    def choose(page: Page, overlay: Locator) -> None:
        field = page.get_by_role("combobox", name="Layer").first
        field.fill(name)
        field.press("Enter")
        expect(overlay).to_have_attribute("aria-label", f"Receptive fields of layer {name}", timeout=PATIENCE)

    return choose


def _search(page: Page, _: Locator) -> None:
    page.get_by_role("combobox", name="Layer").first.fill("block5")


def _no_match(page: Page, _: Locator) -> None:
    page.get_by_role("combobox", name="Layer").first.fill("zzz")


def _at(overlay: Locator, x: float, y: float) -> dict[str, float]:
    box = overlay.bounding_box()
    assert box is not None, "not on the page"  # noqa: S101
    return {"x": x * box["width"], "y": y * box["height"]}


def _hover(_: Page, overlay: Locator) -> None:
    overlay.hover(position=_at(overlay, 0.15, 0.8))


def _ask(_: Page, overlay: Locator) -> None:
    overlay.click(position=_at(overlay, 0.6, 0.6), modifiers=["Shift"])


def _zoom(page: Page, overlay: Locator) -> None:
    overlay.focus()
    for _ in range(3):
        page.keyboard.press("+")


STATES: dict[str, tuple[State, ...]] = {
    "first": (),
    "hover": (_hover,),
    "central": (_layer("block4_conv1"),),
    "early": (_layer("block1_conv1"),),
    "late": (_layer("block5_conv3"),),
    "search": (_search,),
    "nomatch": (_no_match,),
    "query": (_ask,),
    "zoom": (_zoom,),
    "help": (lambda page, _: page.get_by_role("button", name="Help").first.click(),),
    "channels": (lambda page, _: page.get_by_role("button", name="mean of").first.click(),),
    "signed": (lambda page, _: page.get_by_label("Sign").first.select_option("signed"),),
    "percentile": (lambda page, _: page.get_by_label("Scale").first.select_option("percentile"),),
    "pixels": (_press("model's pixels"),),
    "naive": (_press("naive grid"),),
    "effective": (_press("effective"),),
    "compare": (lambda page, _: page.get_by_label("Compare").first.select_option("block3_conv1"),),
}
"""What is done before a picture is taken; what a state has changed is set back by a fresh widget."""


def _run(page: Page, cell: int) -> None:
    """Run a cell of the notebook."""
    page.evaluate("cell => window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell", cell)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")


def _take(page: Page, widget: Locator, file: Path) -> None:
    """The window, with a widget at its top, when nothing is on its way any more."""
    page.wait_for_timeout(700)
    page.wait_for_function(_QUIET, timeout=PATIENCE)
    widget.evaluate(
        """widget => {
            const scroller = widget.closest(".jp-WindowedPanel-outer");
            scroller?.scrollBy(0, widget.getBoundingClientRect().top - scroller.getBoundingClientRect().top - 10);
        }"""
    )
    page.wait_for_timeout(200)
    page.screenshot(path=file)
    box = widget.bounding_box()
    print(file.name, box and f"{box['width']:.0f} x {box['height']:.0f}", flush=True)


def photograph(server: Server, page: Page, states: list[str], file: Callable[[str], Path]) -> None:
    """One notebook in one window: every state, then two widgets side by side."""
    lab = LabPage(page, server)
    lab.open(server.add_notebook("states.ipynb", [MODEL, PAIR]))
    lab.command("notebook:move-cursor-up")
    for number, name in enumerate(states):
        _run(page, 0)
        if number:
            page.wait_for_timeout(600)  # the old view goes
        overlay = lab.overlay()
        page.locator(".rfwidget-strip [aria-selected=true]").first.wait_for(timeout=PATIENCE)
        for step in STATES[name]:
            step(page, overlay)
        _take(page, page.locator(".rfwidget-stage").first, file(name))
    _run(page, 1)
    pair = page.locator(".jp-Cell", has_text="HBox").locator(".rfwidget-stage")
    pair.nth(1).locator(".rfwidget-overlay[data-painted]").wait_for(timeout=PATIENCE)
    _take(page, pair.first, file("pair"))
    lab.shut_down_kernels()
    page.close()


def main() -> None:
    """Take all pictures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default="benchmarks/screenshots-out", type=Path)
    parser.add_argument("--states", nargs="+", default=list(STATES), choices=list(STATES))
    parser.add_argument("--quick", action="store_true", help="the largest window in the light theme only")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sizes, themes = (SIZES[:1], ["light"]) if options.quick else (SIZES, list(THEMES))
    with lab_and_browser() as (server, browser):
        for theme in themes:
            for width, height in sizes:
                with server.settings("apputils-extension:themes", theme=THEMES[theme]):
                    page = browser.new_page(viewport={"width": width, "height": height})
                    where = f"{width}x{height}_{theme}"
                    photograph(
                        server,
                        page,
                        options.states,
                        lambda name, where=where: options.folder / f"{name}_{where}.png",  # type: ignore[misc]
                    )


if __name__ == "__main__":
    main()
