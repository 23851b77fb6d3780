"""The quickstart notebook in a real JupyterLab: it runs, and clicks show what the clicked cells see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from playwright.sync_api import expect

from tests.browser.jupyter import LabPage, click_cell
from tests.browser.waiting import settled_box, settled_screenshot, until

SCALE = 5
"""CSS pixels per image pixel: 480 / 96."""


def rect_of(x: int, y: int) -> tuple[int, int, int, int]:
    """Receptive field of a cell of the README model: size 34, stride 4, offset 17."""
    return 4 * x, 4 * y, 4 * x + 34, 4 * y + 34


def has_colour(pixels: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - colour).max(axis=-1) <= 40).any())


def test_quickstart_runs_and_clicks_show_what_the_clicked_cells_see(lab_page: LabPage, artifacts: Path) -> None:
    page = lab_page.page
    lab_page.open("quickstart.ipynb")
    lab_page.run_all()
    overlay = lab_page.overlay()
    expect(overlay).to_have_attribute("data-grid", "16x16")
    sides = (96 * SCALE, 96 * SCALE)
    until(page, lambda: tuple(settled_box(overlay)[side] for side in ("width", "height")) == sides, "the size")  # type: ignore[literal-required]

    page.get_by_role("button", name="spotlight").click()  # it dims all around the fields
    lab_page.expect_in_kernel("widget.spotlight", "False")
    seen = []
    for x, y in [(3, 12), (12, 3), (6, 6)]:
        click_cell(overlay, x, y, (4 * x + 17, 4 * y + 17), SCALE)
        page.mouse.move(2, 2)
        expect(overlay).to_have_attribute("data-selected", f"{x},{y}")
        expect(page.locator(".rfwidget-hovering").first).to_be_empty()
        seen.append(((x, y), settled_screenshot(overlay)))

    marks = rect_pixels(seen[1][1])  # cell (12, 3) hides none of the places looked at
    assert has_colour(marks["first"], (229, 32, 43)), "no red line along the first cell's field"
    assert has_colour(marks["central"], (43, 76, 255)), "no blue line along the central cell's field"
    assert has_colour(marks["last"], (11, 127, 58)), "no green line along the last cell's field"

    for (cell, shot), (other, other_shot) in zip(seen, seen[1:] + seen[:1], strict=True):
        changed = np.abs(shot.astype(int) - other_shot.astype(int)).max(axis=-1) > 24
        inside = np.zeros_like(changed)
        for point in (cell, other):
            left, top, right, bottom = (edge * SCALE for edge in rect_of(*point))
            inside[max(0, top - 6) : bottom + 6, max(0, left - 6) : right + 6] = True  # the line stands beside it
            quiet = changed[top + 8 : bottom - 8, left + 8 : right - 8]
            assert quiet.mean() > 0.1, f"the heat map of cell {point} does not show"
        assert not changed[~inside].any(), f"something changed outside the fields of cells {cell} and {other}"

    widget = page.locator(".rfwidget").first
    widget.scroll_into_view_if_needed()
    widget.screenshot(path=artifacts / "quickstart.png")
    text = page.locator(".jp-Notebook").inner_text()
    assert "ReceptiveFieldDescription(offset=(17.0, 17.0), stride=(4.0, 4.0), size=Size(w=34, h=34))" in text
    assert "oneDNN" not in text, "TensorFlow's start-up log is in the notebook"


def rect_pixels(shot: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.uint8]]:
    """The pixels just inside one edge of each of the three rectangles, away from labels and crossings."""
    parts = {}
    for name, cell in (("first", (0, 0)), ("central", (8, 8)), ("last", (15, 15))):
        left, top, right, bottom = (edge * SCALE for edge in rect_of(*cell))
        if name == "first":
            parts[name] = shot[top + 40 : bottom - 40, right - 2 : right]
        else:
            parts[name] = shot[top + 40 : bottom - 40, left : left + 2]
    return parts
