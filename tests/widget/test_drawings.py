"""What is drawn over the scene, as values; `test_png` looks at the pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.drawings import (
    COMPARED,
    CONTOUR,
    NOTHING,
    QUERY,
    SELECTED,
    Drawings,
    Label,
    Layer,
    around,
    build_drawings,
)
from rfwidget.widget.scene import plan_layout

IMAGE = GridShape(None, w=160, h=96, c=3)
SHOWN = Layer("mix", FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),))), Size(40, 16))
OTHER = Layer("deep", FieldGeometry(AxisField(1, 8, ((-20, 60),)), AxisField(1, 10, ((-11, 39),))), Size(20, 10))
LAYOUT = plan_layout(IMAGE, SHOWN.field, SHOWN.grid)
CONTOURS = {
    "x": {"start": -2.0, "stride": 4.0},
    "y": {"start": 0.5, "stride": 2.5},
    "levels": [
        {"share": 0.5, "loops": [[2, 1, 5, 1, 5, 3, 2, 3]]},
        {"share": 0.95, "loops": [[0, 0, 7, 0, 7, 4, 0, 4]]},
    ],
}


def x(pixel: float) -> float:
    """A column of the image on the stage, at three CSS pixels each."""
    return LAYOUT.margin.left + 3 * pixel


def y(pixel: float) -> float:
    return LAYOUT.margin.top + 3 * pixel


def test_without_a_cell_or_a_question_there_is_nothing() -> None:
    assert build_drawings(LAYOUT, IMAGE, SHOWN, None, contours=CONTOURS, other=OTHER) == NOTHING


def test_the_selected_cell_is_drawn_where_its_field_is() -> None:
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6))
    outside, inside, cross = drawings.lines
    assert outside.paths == inside.paths == ((around(LAYOUT.place(Rect(37, 30, 71, 52)))),)
    assert (inside.look, drawings.labels) == (SELECTED, ())
    assert [np.mean(path, axis=0).tolist() for path in cross.paths] == [[x(54), y(41)]] * 2


def test_a_cell_that_sees_padding_alone_has_no_rectangle() -> None:
    empty = SHOWN._replace(field=SHOWN.field._replace(x=AxisField(2, 8, ((0, 0), (-3, 31)))))
    assert build_drawings(LAYOUT, IMAGE, empty, GridPoint(0, 0)) == NOTHING


@pytest.mark.parametrize("axis", ["x", "y"])
def test_an_unbounded_field_is_drawn_around_the_image(axis: str) -> None:
    endless = SHOWN._replace(field=SHOWN.field._replace(**{axis: AxisField(1, 4, ((-math.inf, math.inf),))}))
    drawings = build_drawings(LAYOUT, IMAGE, endless, GridPoint(10, 6), other=endless, query=Rect(50, 40, 51, 41))
    corners = [corner for line in drawings.lines for path in line.paths for corner in path]
    assert np.isfinite(corners).all()
    assert np.isfinite(drawings.diamonds).all()


def test_the_other_layers_nearest_cell_is_drawn_with_the_names_of_both() -> None:
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6), other=OTHER)
    # The centre is (54, 41); centres of the other layer are at 20 + 8 i and 14 + 10 j.
    [line] = [line for line in drawings.lines if line.look is COMPARED and line.clip is not None]
    assert line.paths == (around(LAYOUT.place(OTHER.field.rect(GridPoint(4, 3)))),)
    words = {label.text: label for label in drawings.labels}
    assert set(words) == {"mix", "deep"}
    assert words["mix"] == Label("mix", x(37) + 3, y(30) - 5)
    assert words["deep"] == Label("deep", x(12) + 3, y(69) + 14)


def test_labels_stay_inside_where_the_rectangle_touches_the_stage() -> None:
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, GridPoint(0, 0), other=OTHER)
    for label in drawings.labels:
        assert 0 <= label.x < LAYOUT.size.w
        assert 12 <= label.y < LAYOUT.size.h


def test_a_query_marks_the_cells_that_hold_all_of_the_box() -> None:
    box = Rect(50, 40, 71, 49)
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, None, query=box)
    [line] = drawings.lines
    assert (line.look, line.paths) == (QUERY, (around(LAYOUT.place(box)),))
    columns = [i for i in range(40) if 4 * i - 3 <= 50 and 4 * i + 31 >= 71]
    rows = [j for j in range(16) if 5 * j <= 40 and 5 * j + 22 >= 49]
    assert len(columns) > 1
    assert drawings.diamonds == tuple((x(4 * i + 14), y(5 * j + 11)) for j in rows for i in columns)


def test_diamonds_keep_apart_and_lie_in_the_middle() -> None:
    dense = Layer("dense", FieldGeometry(AxisField(1, 1, ((-20, 21),)), AxisField(1, 1, ((-9, 10),))), Size(160, 96))
    diamonds = build_drawings(LAYOUT, IMAGE, dense, None, query=Rect(80, 50, 81, 51)).diamonds
    for axis, middle in ((0, x(80.5)), (1, y(50.5))):
        places = np.unique(np.array(diamonds)[:, axis])
        assert np.diff(places).min() == 9  # every third of 3 CSS pixels; 7 is the least
        assert abs((places[0] + places[-1]) / 2 - middle) <= 3


def test_a_box_that_no_cell_holds_is_drawn_without_diamonds() -> None:
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, None, query=Rect(0, 0, 160, 96))
    assert (len(drawings.lines), drawings.diamonds) == (1, ())


def test_contours_begin_at_whole_pixels_and_are_told_apart_by_dashes_and_labels() -> None:
    drawings = build_drawings(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6), contours=CONTOURS)
    half, most = drawings.lines[:2]  # under everything else
    assert half.look == CONTOUR
    assert most.look == CONTOUR._replace(dash=(6, 3))
    # From -2 + 4 * 10 = 38 and floor(0.5 + 2.5 * 6) = 15 on.
    assert half.paths == (around(LAYOUT.place(Rect(40, 16, 43, 18))),)
    assert most.paths == (around(LAYOUT.place(Rect(38, 15, 45, 19))),)
    assert drawings.labels == (Label("50 %", x(40) + 3, y(16) - 5), Label("95 %", x(45) + 3, y(15) + 4))


def test_drawings_lie_over_others() -> None:
    low, high = Drawings(labels=(Label("low", 0, 0),)), Drawings(labels=(Label("high", 0, 0),))
    assert [label.text for label in high.over(low).labels] == ["low", "high"]
