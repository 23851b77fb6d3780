"""What leaves the widget shows what has been asked of it, and the saved output is renewed with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rfwidget import RFWidget
from tests.box_filter import BoxReceptiveField

SHAPE = (40, 64, 3)
YELLOW = (255, 225, 77)


@pytest.fixture
def widget() -> Iterator[RFWidget]:
    made = RFWidget(BoxReceptiveField(), input_shape=SHAPE, selected=(7, 9), show_dots=False, show_rectangles=False)
    assert made.wait(60, background=True)
    yield made
    made.close()


def picture(widget: RFWidget) -> npt.NDArray[np.int_]:
    return np.asarray(Image.open(io.BytesIO(widget._picture()())), int)


def changed(before: npt.NDArray[np.int_], widget: RFWidget) -> tuple[float, float, float, float]:
    """Box of the image around all that has changed, in its pixels."""
    rows, columns = np.nonzero(np.any(picture(widget) != before, axis=2))
    layout = widget._scene().layout
    edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    corner = (*layout.margin[:2], *layout.margin[:2])
    return tuple((edge / 2 - at) / layout.scale for edge, at in zip(edges, corner, strict=True))  # type: ignore[return-value]


def test_the_saved_file_is_the_picture(widget: RFWidget, tmp_path: Path) -> None:
    widget.query = (30, 20)
    widget.save_png(tmp_path / "rf.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "rf.png"), int), picture(widget))


def test_the_picture_shows_the_box_asked_about_and_the_cells_that_hold_it(widget: RFWidget) -> None:
    before = picture(widget)
    widget.query = (40, 12, 50, 16)
    # Columns 10 (40..52) and rows 5 (10..16), 6 (12..18): their centres are (46, 13) and (46, 15).
    assert changed(before, widget) == pytest.approx((40, 12, 50, 16), abs=0.5)
    pixels, layout = picture(widget), widget._scene().layout
    for x, y in ((46, 13), (46, 15)):
        place = (round(2 * (layout.margin.top + y * layout.scale)), round(2 * (layout.margin.left + x * layout.scale)))
        assert tuple(pixels[place]) == YELLOW
    widget.query = None
    np.testing.assert_array_equal(picture(widget), before)


def test_the_picture_shows_the_layer_to_compare_with_and_both_names(widget: RFWidget) -> None:
    before = picture(widget)
    widget.compare_layer = "tall"
    # The selected field is 28..40 by 18..24, its centre (34, 21). Fields of "tall" are 5 x 9, every 1 and 3 pixels: the
    # nearest to it is centred at (34.5, 22.5), the later of two, 32..37 by 18..27; its name stands below.
    left, top, right, bottom = changed(before, widget)
    assert top == pytest.approx(18 - 14 / 7, abs=1)  # the name of the selected one's layer stands above
    assert bottom == pytest.approx(27 + 14 / 7, abs=1)
    assert 28 < left < 30
    assert 37 < right < 40
    survey, widget._survey = widget._survey, None  # as long as layers are not measured
    np.testing.assert_array_equal(picture(widget), before)
    widget._survey = survey


def test_the_picture_shows_the_effective_field_at_the_selected_cell(widget: RFWidget) -> None:
    before = picture(widget)
    widget.show_erf = True
    assert widget.wait(60, background=True)
    left, top, right, bottom = changed(before, widget)
    assert 28 <= left < 29
    assert 18 - 14 / 7 < top < 19
    assert 38 < right < 46  # a label stands to the right
    assert 23 < bottom <= 24.5
    widget.show_erf = False
    np.testing.assert_array_equal(picture(widget), before)


def test_without_the_gradient_map_the_selected_rectangle_stays(widget: RFWidget) -> None:
    before = picture(widget)
    widget.show_heat = False
    left, top, right, bottom = changed(before, widget)
    assert (left, top) > (28, 18)
    assert (right, bottom) < (40, 24)


def test_the_saved_output_is_renewed_with_every_answer(widget: RFWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[str] = []
    what = "query"
    monkeypatch.setattr(widget._saved_output, "renew", lambda: renewed.append(what))
    widget.query = (3, 4)
    what = "page's query"
    widget._overlay._handle_custom_msg({"kind": "query", "box": None}, [])
    what = "compare"
    widget.compare_layer = "tall"
    what = "survey"
    widget.on_survey(widget.survey)
    what = "contours"
    widget.show_erf = True
    assert widget.wait(60, background=True)
    what = "no contours"
    widget.show_erf = False
    assert renewed == ["query", "page's query", "compare", "survey", "contours", "no contours"]
    widget.compare_layer = None
    renewed.clear()
    widget.on_survey(widget.survey)  # it shows in no picture
    assert renewed == []
