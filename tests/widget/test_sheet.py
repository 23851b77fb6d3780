"""The picture that is left without a kernel: laid out as on the screen."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget import RFWidget
from rfwidget.widget.png import SHARPNESS
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


def test_while_nothing_is_measured_there_is_the_image_alone() -> None:
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3))
    picture = Image.open(io.BytesIO(widget._whole_picture()()))
    widget.close()
    assert picture.width > picture.height
