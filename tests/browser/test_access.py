"""Everybody can use it: axe-core finds nothing against it, and every line can be told from any photograph."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from rfwidget import RFWidget
from rfwidget.widget.scene import COMPARED, CONTOUR, CORNERS, NAIVE, QUERY, SELECTED, Look
from tests.box_filter import BoxReceptiveField
from tests.browser.jupyter import PATIENCE, ROOT, LabPage, serve
from tests.browser.test_hosts import SHOW, VOILA
from tests.browser.waiting import two_frames

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
Scheme = Literal["light", "dark"]

FIND = """async () => {
    const { violations } = await axe.run(document.querySelector(".rfwidget-stage"));
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}"""


def violations(page: Page) -> list[str]:
    """What axe-core finds against the widget."""
    two_frames(page)  # what is waited for is drawn with all that goes with it
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = page.evaluate(FIND)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_against_the_page(browser: Browser, tmp_path: Path, scheme: Scheme) -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), query=(30, 20))
    assert widget.wait(120, background=True)
    widget.to_html(tmp_path / "page.html", layers=["wide", "tall"], cells=4, progress=False)
    widget.close()
    context = browser.new_context(viewport={"width": 1100, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    expect(page.locator(".rfwidget-overlay")).to_have_attribute("data-state", "ready")
    assert violations(page) == []
    page.get_by_role("button", name="Help").click()
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Help")).to_be_hidden()
    page.get_by_role("combobox", name="Layer").click()
    expect(page.get_by_role("listbox", name="Layers").first.get_by_role("option")).to_have_count(2)
    assert violations(page) == []
    context.close()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_axe_finds_nothing_in_jupyterlab(lab_page: LabPage, theme: str) -> None:
    page = lab_page.page
    with lab_page.server.settings("apputils-extension:themes", theme=theme):
        lab_page.open(lab_page.server.add_notebook("axe.ipynb", [SHOW]))
        lab_page.run_all()
        overlay = lab_page.overlay()
        expect(page.locator(".rfwidget-bar")).to_have_count(2)
        assert violations(page) == []
        page.get_by_role("button", name="mean of 3").click()
        expect(page.get_by_role("button", name="Channel 2", exact=True)).to_be_visible()
        assert violations(page) == []
        lab_page.execute("rf.broken = True")
        overlay.click(position={"x": 300, "y": 120})
        page.locator(".rfwidget-error summary").click()
        expect(page.locator(".rfwidget-traceback")).to_be_visible()
        assert violations(page) == []


def test_axe_finds_nothing_in_voila(context: BrowserContext, tmp_path: Path) -> None:
    with serve(tmp_path, *VOILA, ready="/") as server:
        page = context.new_page()
        page.goto(f"{server.url}/voila/render/{server.add_notebook('app.ipynb', [SHOW])}")
        expect(page.locator(".rfwidget-overlay")).to_have_attribute("data-painted", "7,9", timeout=PATIENCE)
        expect(page.locator(".rfwidget-bar")).to_have_count(2)
        assert violations(page) == []
        page.close()


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance, as WCAG 2 has it."""
    parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rgb(colour: str) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


LOOKS = {**CORNERS, **{f"naive {k}": look for k, look in enumerate(NAIVE)}}
LOOKS |= {"selected": SELECTED, "compared": COMPARED, "query": QUERY, "contour": CONTOUR}


@pytest.mark.parametrize("photograph", [0.0, 0.5, 1.0], ids=["black", "grey", "white"])
@pytest.mark.parametrize("name", LOOKS)
def test_every_mark_is_seen_on_any_photograph(name: str, photograph: float) -> None:
    """The line stands out from the ground, or its halo does and the line from that: 3 to 1, as for graphics."""
    look: Look = LOOKS[name]
    ground = (photograph,) * 3
    halo = tuple(look.halo_opacity * part + (1 - look.halo_opacity) * photograph for part in rgb(look.halo))
    line = rgb(look.colour)
    seen = max(contrast(line, ground), min(contrast(halo, ground), contrast(line, halo)))
    assert seen >= 3
