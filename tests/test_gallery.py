"""What the gallery of the docs is made of, and that it stays as small as it must; in `tests/browser` it lives."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mkdocs.exceptions import PluginError

from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField

HOOKS = Path(__file__).parents[1] / "docs" / "_hooks"


@pytest.fixture(scope="module")
def hook() -> Any:
    """The hook as MkDocs loads it."""
    sys.path.insert(0, str(HOOKS))
    try:
        spec = importlib.util.spec_from_file_location("gallery_hook", HOOKS / "gallery.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(HOOKS))
        del sys.modules["exhibits"]


@pytest.fixture
def boxes(hook: Any) -> Any:
    """An exhibit with two pages, made in no time."""
    return hook.Exhibit(
        name="boxes",
        title="Boxes",
        text="Two filters.",
        code="",
        make=lambda: RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3)),
        weights="Weights & more.",
        layers=("wide", "tall"),
        limit=400_000,
        pages={"the middle": {}, "the first corner": {"selected": (0, 0)}},
        cells=None,
    )


def config(gallery: str) -> Any:
    return SimpleNamespace(extra={"gallery": gallery})


def test_the_gallery_holds_what_it_promises_and_the_code_beside_a_page_is_whole(hook: Any) -> None:
    names = ["readme", "vgg16", "resnet50", "mobilenetv2", "u-net", "deeplab", "sequence", "volume", "detector"]
    assert list(hook.EXHIBITS) == names
    workflow = (HOOKS.parents[1] / ".github" / "workflows" / "docs.yml").read_text(encoding="utf-8")
    assert f"for name in {' '.join(names)}; do" in workflow
    for exhibit in hook.EXHIBITS.values():
        *_, last = ast.parse(exhibit.code).body
        assert isinstance(last, ast.Expr)
        assert ast.unparse(last).startswith("RFWidget(")
        assert exhibit.text
        assert exhibit.weights.startswith("The weights are ")
    assert hook.wanted(config("all")) == tuple(names)
    assert hook.wanted(config("u-net, readme")) == ("u-net", "readme")
    with pytest.raises(PluginError, match="'unet'; there are readme, vgg16"):
        hook.wanted(config("unet"))


def test_every_page_of_an_exhibit_is_written_within_its_limit_and_measured(
    hook: Any, boxes: Any, tmp_path: Path
) -> None:
    assert hook.pages_of(boxes) == {"boxes.html": "Boxes: the middle", "boxes-corner.html": "Boxes: the first corner"}
    # The two filters: fields of 12 x 6 pixels, 4 x 2 apart.
    assert hook.make(boxes, tmp_path) == "`wide`: size 12 x 6, stride 4 x 2, offset 6 x 3 pixels"
    shared = sum(path.stat().st_size for path in tmp_path.glob("rfwidget-*"))
    for name, title, selected in (
        ("boxes.html", "Boxes: the middle", "[7, 9]"),
        ("boxes-corner.html", "Boxes: the first corner", "[0, 0]"),
    ):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert len(text) + shared <= boxes.limit
        assert f"<h1>{title}</h1>\n<p>Weights &amp; more.</p>" in text
        assert f'"selected": {selected}' in text


def test_a_page_above_its_limit_stops_the_build(hook: Any, boxes: Any, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"boxes\.html of the gallery cannot be made: the page would be larger than"):
        hook.make(boxes._replace(limit=90_000), tmp_path)
    assert not list(tmp_path.iterdir())


def test_pages_that_are_too_large_together_stop_the_build(hook: Any) -> None:
    pages = {"a.html": bytes(hook.LIMIT // 2), "b.html": bytes(hook.LIMIT - hook.LIMIT // 2)}
    hook.check_size(pages)
    with pytest.raises(PluginError, match=r"more than 20\.0 MB: a\.html 10\.0 MB, b\.html 10\.0 MB, c\.js 1 kB"):
        hook.check_size({**pages, "c.js": bytes(1000)})
