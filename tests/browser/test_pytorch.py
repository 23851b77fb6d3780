"""A PyTorch module in a real JupyterLab: the widget shows it, and a click shows what the clicked cell sees."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.jupyter import PATIENCE, LabPage, click_cell

SCALE = 5
"""CSS pixels per image pixel: 480 / 96."""

CELLS = [
    "import torch\nfrom tests.torch.known_modules import readme_model\nfrom rfwidget import RFWidget\n"
    "torch.manual_seed(0)\nmodule = readme_model()\nwidget = RFWidget(module, input_shape=(3, 96, 96))\nwidget",
]


def test_a_module_is_shown_and_a_click_backpropagates_through_it(lab_page: LabPage, artifacts: Path) -> None:
    lab_page.open(lab_page.server.add_notebook("module.ipynb", CELLS))
    lab_page.run_all()
    overlay = lab_page.overlay()
    expect(overlay).to_have_attribute("data-grid", "16x16", timeout=PATIENCE)
    for x, y in ((3, 12), (12, 3)):
        click_cell(overlay, x, y, (4 * x + 17, 4 * y + 17), SCALE)
        expect(overlay).to_have_attribute("data-selected", f"{x},{y}")
        expect(overlay).to_have_attribute("data-painted", f"{x},{y}", timeout=PATIENCE)
    lab_page.page.locator(".rfwidget").first.screenshot(path=artifacts / "pytorch.png")
    described = "ReceptiveFieldDescription(offset=(17.0, 17.0), stride=(4.0, 4.0), size=Size(w=34, h=34))"
    lab_page.expect_in_kernel("widget.rf_params", described)
    lab_page.expect_in_kernel("tuple(widget.rf.rect_at(widget.selected))", "(48, 12, 82, 46)")
    code = "print(widget.gradient.any(axis=-1).sum(), all(p.grad is None for p in module.parameters()))"
    seen = lab_page.execute(code)
    assert seen.split() == [str(34 * 34), "True"]
    expect(overlay).to_have_attribute("data-state", "ready")
