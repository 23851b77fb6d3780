"""The picture that is left without a kernel: laid out as on the screen."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from rfwidget import RFWidget
from rfwidget.types import GridPoint, Rect
from rfwidget.widget.heat import Heat
from rfwidget.widget.png import SHARPNESS
from rfwidget.widget.sheet import Sheet, _column, _Pen
from tests.box_filter import BoxReceptiveField

BLUE = (31, 99, 214)
"""Of the chosen layer's bar."""


def pictures(widget: RFWidget) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The image with its marks alone, and the whole."""
    alone, whole = (np.asarray(Image.open(io.BytesIO(take()()))) for take in (widget._picture, widget._whole_picture))
    return alone, whole


@pytest.fixture
def widget() -> RFWidget:
    made = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    assert made.wait(60, background=True)
    return made


def test_the_picture_stands_on_the_left_as_it_is_under_a_bar(widget: RFWidget) -> None:
    alone, whole = pictures(widget)
    widget.close()
    height, width = alone.shape[:2]
    assert whole.shape[1] == width + 330 * SHARPNESS
    rows = [top for top in range(whole.shape[0] - height) if (whole[top : top + height, :width] == alone).all()]
    assert len(rows) == 1
    assert rows[0] >= 40 * SHARPNESS


def test_the_strip_marks_the_layer_on_show(widget: RFWidget) -> None:
    places = []
    for layer in ("wide", "tall"):
        widget.output_layer = layer
        assert widget.wait(60, background=True)
        _, whole = pictures(widget)
        columns = np.nonzero((whole[-100 * SHARPNESS :] == BLUE).all(axis=2))[1]
        places.append((columns.min(), columns.max()))
    widget.close()
    (_, first), (second, _) = places
    assert first < second


def test_the_column_shows_the_feature_map_and_tells_of_the_selected_cell(widget: RFWidget) -> None:
    _, before = pictures(widget)
    widget.selected = (3, 4)
    assert widget.wait(20)
    _, after = pictures(widget)
    rows, _ = np.nonzero((before != after).any(axis=2)[:, -330 * SHARPNESS :])
    assert rows.size, "the column does not tell of another cell"
    assert rows.min() > 40 * SHARPNESS
    column = after[:, -330 * SHARPNESS :].reshape(-1, 3)
    features = widget._features.rgba[..., :3].reshape(-1, 3)
    widget.close()
    assert {tuple(colour) for colour in features} <= {tuple(colour) for colour in np.unique(column, axis=0)}


@pytest.mark.parametrize("width", [90, 140, 1000])
def test_no_word_of_what_the_model_gets_is_lost(width: int) -> None:
    """Each line fits, but for a word that is wider by itself."""
    pen, words = _Pen(ImageDraw.Draw(Image.new("RGB", (8, 8)))), "grace_hopper, 96 x 96 px; does the model scale them?"
    lines = pen.lines(words, 11, width)
    assert " ".join(lines) == words
    assert all(pen.width(line, 11) <= width or " " not in line for line in lines)
    assert (len(lines) == 1) == (width == 1000)


class Writing(_Pen):
    """Remembers at what height which words were written."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        super().__init__(draw)
        self.heights: dict[str, float] = {}

    def text(self, x: float, y: float, words: str, *how: Any, **more: Any) -> float:
        self.heights[words] = y
        return super().text(x, y, words, *how, **more)


def written(sheet: Sheet) -> Writing:
    """The column, written."""
    column = Image.new("RGB", (330 * SHARPNESS, 800 * SHARPNESS), "white")
    pen = Writing(ImageDraw.Draw(column))
    _column(column, pen, sheet, 14, 10)
    return pen


@pytest.mark.parametrize(("sides", "whole", "below"), [((40, 64), "area", 0), ((1000, 1000, 1000), "volume", 18)])
def test_a_remark_that_finds_no_room_stands_below(sides: tuple[int, ...], whole: str, below: float) -> None:
    box = Rect(*(0 for _ in sides), *sides)
    heat = Heat(0, 0, np.zeros((1, 1, 4), np.uint8), mass=((0.95, box),))
    sheet = Sheet(
        layer="mix",
        grid=sides,
        cell=GridPoint(*(3 for _ in sides)),
        rect=box,
        heat=heat,
        map="gradient map",
        colormap="magma",
        features=None,
        channel="",
        reach=(0.0, 1.0),
        shown=(),
        said="",
        rows=(),
        image=sides,  # type: ignore[arg-type]
    )
    pen = written(sheet)
    assert "zero everywhere" not in pen.heights
    assert "zero everywhere" in written(sheet._replace(heat=Heat(0, 0, np.zeros((0, 0, 4), np.uint8)))).heights
    assert pen.heights[f"100 % of the {whole}"] == pen.heights["95 % within"] + below


def test_while_nothing_is_measured_there_is_the_image_alone() -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    picture = Image.open(io.BytesIO(widget._whole_picture()()))
    widget.close()
    assert picture.width > picture.height
