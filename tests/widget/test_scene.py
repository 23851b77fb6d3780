"""What is drawn, as values; `test_png` looks at the pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from rfwidget.effective import EffectiveField, Frame
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.scene import (
    COMPARED,
    CONTOUR,
    QUERY,
    SELECTED,
    STAGE_SIDE,
    TAG_HEIGHT,
    Diamonds,
    Dots,
    Label,
    Layer,
    Line,
    Mark,
    Tag,
    around,
    build_scene,
    contours_to_json,
    marks_over,
    plan_layout,
    tag_width,
)
from tests.outlines import area

IMAGE = GridShape(None, w=160, h=96, c=3)
GRID = Size(40, 16)
FIELD = FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),)))
PICTURE = np.zeros((96, 160, 3), np.uint8)
SHOWN = Layer("mix", FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),))), Size(40, 16))
OTHER = Layer("deep", FieldGeometry(AxisField(1, 8, ((-20, 60),)), AxisField(1, 10, ((-11, 39),))), Size(20, 10))
HEIGHT = 570
"""CSS pixels in which the image is three times as large, with what overhangs it: 3 pixels left and 27 right."""
LAYOUT = plan_layout(IMAGE, SHOWN.field, SHOWN.grid, HEIGHT)
CONTOURS = {
    "x": {"start": -2.0, "stride": 4.0},
    "y": {"start": 0.5, "stride": 2.5},
    "levels": [
        {"share": 0.5, "loops": [[2, 1, 5, 1, 5, 3, 2, 3]]},
        {"share": 0.95, "loops": [[0, 0, 7, 0, 7, 4, 0, 4]]},
    ],
}

M = TypeVar("M")


def of(kind: type[M], marks: Iterable[Mark]) -> list[M]:
    """The marks of one kind, back to front."""
    return [mark for mark in marks if isinstance(mark, kind)]


def test_an_image_is_magnified_by_a_whole_factor_if_that_fills_the_room_well_and_by_any_else() -> None:
    for side, scale in ((96, 5), (64, 7), (224, 2), (160, 3)):
        assert plan_layout(GridShape(None, side, side // 2, 3), None, None).scale == scale
    for side in (300, 250, 1000, 480):
        assert plan_layout(GridShape(None, side // 2, side, 3), None, None).scale == STAGE_SIDE / side
    assert plan_layout(GridShape(None, 96, 96, 3), None, None, height=200).scale == 2


def test_the_margin_holds_what_overhangs() -> None:
    layout = plan_layout(IMAGE, FIELD, GRID, HEIGHT)
    assert layout.scale == 3
    stroke = layout.margin.top
    assert layout.margin == (
        stroke + 3 * layout.scale,
        stroke,
        stroke + (39 * 4 + 31 - 160) * layout.scale,
        stroke + (15 * 5 + 22 - 96) * layout.scale,
    )


def test_the_image_with_all_that_overhangs_has_the_same_room_on_every_layer() -> None:
    for reach in (0, 5, 20, 39, 5000):
        field = FieldGeometry(AxisField(1, 4, ((-reach, 4 + reach),)), FIELD.y)
        width, height = plan_layout(IMAGE, field, GRID, HEIGHT).size
        assert 0.8 * HEIGHT < width <= HEIGHT + 26
        assert height < width


def test_overhang_is_shown_whole_up_to_a_quarter_of_the_image() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-40, 44),)), FIELD.y)
    layout = plan_layout(IMAGE, field, GRID)
    assert layout.margin.left - 40 * layout.scale >= 12


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        ((-40, 44), "first"),
        ((-41, 45), "first \u2190 41 px"),
        ((-50, 34), "first \u2190 50 px"),
    ],
)
def test_what_overhangs_more_is_told_with_an_arrow(edges: tuple[int, int], text: str) -> None:
    field = FieldGeometry(AxisField(1, 4, (edges,)), FIELD.y)
    first = of(Tag, build_scene(PICTURE, IMAGE, field, GRID).marks)[0]
    assert first.text == text


def test_arrows_point_to_both_sides() -> None:
    square, far = GridShape(None, 96, 96, 3), AxisField(1, 4, ((-60, 64),))
    scene = build_scene(np.zeros((96, 96, 3), np.uint8), square, FieldGeometry(far, far), Size(24, 24))
    first, _, last = of(Tag, scene.marks)
    assert (first.text, last.text) == ("first \u2196 60 px", "last \u2198 60 px")
    scene = build_scene(PICTURE, IMAGE, FieldGeometry(far, AxisField(1, 5, ((-50, 50),))), GRID)
    assert of(Tag, scene.marks)[0].text == "first \u2190 60 \u2191 50 px"


@pytest.mark.parametrize(("low", "high"), [(0, 3), (-1, 2), (-60, 64), (-300, 300), (0, 60)])
def test_tags_stand_on_the_stage_and_hide_no_small_field(low: int, high: int) -> None:
    field = FieldGeometry(AxisField(1, 4, ((low, high),)), AxisField(1, 5, ((low, high),)))
    scene = build_scene(PICTURE, IMAGE, field, GRID)
    size = scene.layout.size
    for tag, point in zip(of(Tag, scene.marks), (GridPoint(0, 0), GridPoint(20, 8), GridPoint(39, 15)), strict=True):
        assert 0 <= tag.x <= size.w - tag_width(tag.text)
        assert 0 <= tag.y <= size.h - TAG_HEIGHT
        rect = scene.layout.place(field.rect(point))
        apart = tag.y + TAG_HEIGHT <= rect.top or tag.y >= rect.bottom
        assert apart or high - low > 3


UNBOUNDED = AxisField(1, 4, ((-math.inf, math.inf),))


@pytest.mark.parametrize(
    ("field", "grid", "signal"),
    [
        (FieldGeometry(UNBOUNDED, UNBOUNDED), Size(40, 16), False),
        (FieldGeometry(UNBOUNDED, UNBOUNDED), Size(40, 1), True),
        (FieldGeometry(UNBOUNDED, AxisField(1, 5, ((0, 22),))), Size(40, 16), False),
        (FIELD, Size(1, 1), False),
        (FieldGeometry(AxisField(1, 4, ((0, 3),)), AxisField(1, 5, ((0, 3),))), Size(3, 2), False),
        (FieldGeometry(AxisField(1, 1, ((-60, 64),)), AxisField(1, 1, ((-60, 64),))), Size(3, 3), False),
    ],
)
@pytest.mark.parametrize("height", [120, STAGE_SIDE])
def test_tags_never_lie_on_each_other(field: FieldGeometry, grid: Size, signal: bool, height: float) -> None:
    shape = GridShape(None, 160, 1, 1) if signal else IMAGE
    scene = build_scene(PICTURE, shape, field, grid, height=height, signal=signal)
    tags, size = of(Tag, scene.marks), scene.layout.size
    assert [tag.text.split()[0] for tag in tags] == ["first", "central", "last"]
    for one, other in combinations(tags, 2):
        across = one.x + tag_width(one.text) <= other.x or other.x + tag_width(other.text) <= one.x
        assert across or abs(one.y - other.y) >= TAG_HEIGHT
    assert all(0 <= tag.x <= size.w - tag_width(tag.text) and 0 <= tag.y <= size.h - TAG_HEIGHT for tag in tags)


@pytest.mark.parametrize(("width", "height"), [(40, 1), (1, 40), (40, 3), (2, 2)])
def test_the_stage_of_a_flat_image_has_room_for_tags(width: int, height: int) -> None:
    field = FieldGeometry(AxisField(1, 1, ((0, 1),)), AxisField(1, 1, ((0, 1),)))
    pixels = np.zeros((height, width, 3), np.uint8)
    scene = build_scene(pixels, GridShape(None, width, height, 3), field, Size(width, height))
    image = scene.layout.place(Rect(0, 0, width, height))
    assert scene.layout.size.w >= 150
    if height == 1:
        assert all(tag.y + TAG_HEIGHT <= image.top or tag.y >= image.bottom for tag in of(Tag, scene.marks))
    middle = ((image.left + image.right) / 2, (image.top + image.bottom) / 2)
    np.testing.assert_allclose(middle, [side / 2 for side in scene.layout.size], atol=0.6)


def test_the_lines_of_fields_that_are_the_same_lie_inside_each_other() -> None:
    """Three lines on each other would be one, of the last colour."""
    scene = build_scene(PICTURE, IMAGE, FieldGeometry(UNBOUNDED, UNBOUNDED), GRID)
    first, central, last = of(Line, scene.marks)
    image = scene.layout.place(Rect(0, 0, 160, 96))
    for number, line in enumerate((first, central, last)):
        inset = line.look.width / 2 + number * line.look.halo_width
        edges = Rect(image.left + inset, image.top + inset, image.right - inset, image.bottom - inset)
        assert line.paths == (around(edges),)
    tiny = build_scene(
        PICTURE, IMAGE, FieldGeometry(AxisField(1, 1, ((0, 1),)), AxisField(1, 1, ((0, 1),))), Size(1, 1)
    )
    assert len({line.paths for line in of(Line, tiny.marks)}) == 1  # there is no inside


def test_the_margin_of_a_huge_field_is_bounded() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-5000, 5000),)), FIELD.y)
    layout = plan_layout(IMAGE, field, GRID)
    assert layout.margin.left < 160 * layout.scale


def test_rectangles_are_where_the_fields_are() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID, dots=False, height=HEIGHT)
    layout = scene.layout
    tags = of(Tag, scene.marks)
    assert [tag.text for tag in tags] == ["first", "central", "last"]
    left, top = layout.margin[:2]
    first, _, last = of(Line, scene.marks)
    half = first.look.width / 2  # the line lies inside
    assert first.paths == (around(Rect(left - 9 + half, top + half, left + 93 - half, top + 66 - half)),)
    corner = layout.place(FIELD.rect(GridPoint(39, 15)))
    assert last.paths[0][0] == (corner.left + half, corner.top + half)
    assert last.paths[0][2] == (corner.right - half, corner.bottom - half)
    assert [(tag.x, tag.y) for tag in (tags[0], tags[2])] == [(left - 9, top), (corner.left, corner.top)]
    assert len({line.look.dash for line in of(Line, scene.marks)}) == 3
    assert len({line.look.colour for line in of(Line, scene.marks)}) == 3
    assert [tag.colour for tag in tags] == [line.look.colour for line in of(Line, scene.marks)]


def test_dots_are_the_centres_inside_the_image() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID, height=HEIGHT)
    left, top = scene.layout.margin[:2]
    [dots] = of(Dots, scene.marks)
    xs = [14 + 4 * i for i in range(40) if 14 + 4 * i <= 160]
    ys = [11 + 5 * j for j in range(16) if 11 + 5 * j <= 96]
    assert len(dots.centres) == len(xs) * len(ys)
    np.testing.assert_allclose(dots.centres[0], (left + 3 * xs[0], top + 3 * ys[0]))


def test_dots_of_an_unbounded_field_are_where_its_geometry_has_them() -> None:
    endless = FieldGeometry(AxisField(1, 32, ((-math.inf, math.inf),)), FIELD.y)
    scene = build_scene(np.zeros((96, 100, 3), np.uint8), GridShape(None, 100, 96, 3), endless, Size(3, 16))
    xs = (np.unique(of(Dots, scene.marks)[0].centres[:, 0]) - scene.layout.margin.left) / scene.layout.scale
    np.testing.assert_allclose(xs, [16, 48, 80])


def test_dots_of_a_dense_grid_keep_apart() -> None:
    field = FieldGeometry(AxisField(1, 1, ((-1, 2),)), AxisField(1, 1, ((-1, 2),)))
    scene = build_scene(np.zeros((300, 480, 3), np.uint8), GridShape(None, 480, 300, 3), field, Size(480, 300))
    xs = np.unique(of(Dots, scene.marks)[0].centres[:, 0])
    assert np.diff(xs).min() >= 5


@pytest.mark.parametrize("axis", ["x", "y"])
def test_an_unbounded_field_is_drawn_around_the_image(axis: str) -> None:
    endless = AxisField(1, 4, ((-math.inf, math.inf),))
    field = FieldGeometry(*(endless if name == axis else own for name, own in zip("xy", FIELD, strict=True)))
    scene = build_scene(PICTURE, IMAGE, field, GRID)
    assert np.isfinite([line.paths for line in of(Line, scene.marks)]).all()
    assert np.isfinite(of(Dots, scene.marks)[0].centres).all()


def test_what_is_switched_off_is_not_there() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID, dots=False, rectangles=())
    assert scene.marks == ()
    assert len(of(Line, build_scene(PICTURE, IMAGE, FIELD, GRID, naive=True).marks)) == 6


def x(pixel: float) -> float:
    """A column of the image on the stage, at three CSS pixels each."""
    return LAYOUT.margin.left + 3 * pixel


def y(pixel: float) -> float:
    return LAYOUT.margin.top + 3 * pixel


def outside_of(rect: Rect) -> Rect:
    """A rectangle of the image on the stage, with the room of a line around it."""
    left, top, right, bottom = LAYOUT.place(rect)
    return Rect(left - 2.5, top - 2.5, right + 2.5, bottom + 2.5)


def test_without_a_cell_or_a_question_there_is_nothing() -> None:
    assert marks_over(LAYOUT, IMAGE, SHOWN, None, contours=CONTOURS, other=OTHER) == ()


def test_the_selected_cell_is_drawn_where_its_field_is() -> None:
    marks = marks_over(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6))
    outside, inside, cross = of(Line, marks)
    # Its line lies outside the field, beside that of a corner cell.
    assert outside.paths == inside.paths == ((around(outside_of(Rect(37, 30, 71, 52)))),)
    assert (inside.look, of(Label, marks)) == (SELECTED, [])
    assert [np.mean(path, axis=0).tolist() for path in cross.paths] == [[x(54), y(41)]] * 2


def test_a_cell_that_sees_padding_alone_has_no_rectangle() -> None:
    empty = SHOWN._replace(field=FieldGeometry(AxisField(2, 8, ((0, 0), (-3, 31))), SHOWN.field.y))
    assert marks_over(LAYOUT, IMAGE, empty, GridPoint(0, 0)) == ()


@pytest.mark.parametrize("axis", ["x", "y"])
def test_an_unbounded_field_of_the_selected_cell_is_drawn_around_the_image(axis: str) -> None:
    unbounded = AxisField(1, 4, ((-math.inf, math.inf),))
    fields = (unbounded if name == axis else own for name, own in zip("xy", SHOWN.field, strict=True))
    endless = SHOWN._replace(field=FieldGeometry(*fields))
    marks = marks_over(LAYOUT, IMAGE, endless, GridPoint(10, 6), other=endless, query=Rect(50, 40, 51, 41))
    corners = [corner for line in of(Line, marks) for path in line.paths for corner in path]
    assert np.isfinite(corners).all()
    assert np.isfinite(of(Diamonds, marks)[0].centres).all()


def test_the_other_layers_nearest_cell_is_drawn_with_the_names_of_both() -> None:
    marks = marks_over(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6), other=OTHER)
    # The centre is (54, 41); centres of the other layer are at 20 + 8 i and 14 + 10 j.
    [line] = [line for line in of(Line, marks) if line.look is COMPARED and line.clip is not None]
    assert line.paths == (around(outside_of(OTHER.field.rect(GridPoint(4, 3)))),)
    words = {label.text: label for label in of(Label, marks)}
    assert set(words) == {"mix", "deep"}
    assert words["mix"] == Label("mix", x(37) - 2.5 + 3, y(30) - 2.5 - 5)
    assert words["deep"] == Label("deep", x(12) - 2.5 + 3, y(69) + 2.5 + 14)


def test_labels_stay_inside_where_the_rectangle_touches_the_stage() -> None:
    marks = marks_over(LAYOUT, IMAGE, SHOWN, GridPoint(0, 0), other=OTHER)
    for label in of(Label, marks):
        assert 0 <= label.x < LAYOUT.size.w
        assert 12 <= label.y < LAYOUT.size.h


def test_a_query_marks_the_cells_that_hold_all_of_the_box() -> None:
    box = Rect(50, 40, 71, 49)
    marks = marks_over(LAYOUT, IMAGE, SHOWN, None, query=box)
    [line] = of(Line, marks)
    assert (line.look, line.paths) == (QUERY, (around(LAYOUT.place(box)),))
    columns = [i for i in range(40) if 4 * i - 3 <= 50 and 4 * i + 31 >= 71]
    rows = [j for j in range(16) if 5 * j <= 40 and 5 * j + 22 >= 49]
    assert len(columns) > 1
    assert of(Diamonds, marks) == [Diamonds(tuple((x(4 * i + 14), y(5 * j + 11)) for j in rows for i in columns))]


def test_diamonds_keep_apart_and_lie_in_the_middle() -> None:
    dense = Layer("dense", FieldGeometry(AxisField(1, 1, ((-20, 21),)), AxisField(1, 1, ((-9, 10),))), Size(160, 96))
    [diamonds] = of(Diamonds, marks_over(LAYOUT, IMAGE, dense, None, query=Rect(80, 50, 81, 51)))
    for axis, middle in ((0, x(80.5)), (1, y(50.5))):
        places = np.unique(np.array(diamonds.centres)[:, axis])
        assert np.diff(places).min() == 9  # every third of 3 CSS pixels; 7 is the least
        assert abs((places[0] + places[-1]) / 2 - middle) <= 3


def test_a_box_that_no_cell_holds_is_drawn_without_diamonds() -> None:
    marks = marks_over(LAYOUT, IMAGE, SHOWN, None, query=Rect(0, 0, 160, 96))
    assert (len(of(Line, marks)), of(Diamonds, marks)) == (1, [Diamonds(())])


def test_contours_begin_at_whole_pixels_and_are_told_apart_by_dashes_and_labels() -> None:
    marks = marks_over(LAYOUT, IMAGE, SHOWN, GridPoint(10, 6), contours=CONTOURS)
    half, most = of(Line, marks)[:2]  # under everything else
    assert half.look == CONTOUR
    assert most.look == CONTOUR._replace(dash=(6, 3))
    # From -2 + 4 * 10 = 38 and floor(0.5 + 2.5 * 6) = 15 on.
    assert half.paths == (around(LAYOUT.place(Rect(40, 16, 43, 18))),)
    assert most.paths == (around(LAYOUT.place(Rect(38, 15, 45, 19))),)
    assert of(Label, marks) == [Label("50 %", x(40) + 3, y(16) - 5), Label("95 %", x(45) + 3, y(15) + 4)]


def test_lines_lie_under_diamonds_and_those_under_labels() -> None:
    marks = marks_over(
        LAYOUT, IMAGE, SHOWN, GridPoint(10, 6), other=OTHER, contours=CONTOURS, query=Rect(50, 40, 51, 41)
    )
    depths = [(Line, Diamonds, Label).index(type(mark)) for mark in marks]
    assert depths == sorted(depths)
    assert set(depths) == {0, 1, 2}


def effective(map_: npt.NDArray[np.float64], stride: float = 1) -> EffectiveField:
    h, w = map_.shape
    frames = (Frame(w, -3, stride, w), Frame(h, 2, 2 * stride, h))
    return EffectiveField(map_ / map_.sum(), frames, 1, (GridPoint(0, 0),), False)


def test_shares_of_a_gaussian_are_ellipses_of_known_area() -> None:
    sigma = (6.0, 4.0)
    x, y = np.meshgrid(np.arange(60) - 29.5, np.arange(48) - 23.5)
    contours = contours_to_json(effective(np.exp(-(x**2) / (2 * sigma[0] ** 2) - y**2 / (2 * sigma[1] ** 2))))
    for level in contours["levels"]:
        [loop] = level["loops"]
        expected = -2 * np.pi * sigma[0] * sigma[1] * np.log(1 - level["share"])
        assert area(np.reshape(loop, (-1, 2))) == pytest.approx(expected, rel=0.05)
    assert contours["x"] == {"start": -3.0, "stride": 1.0}
    assert contours["y"] == {"start": 2.0, "stride": 2.0}


def test_a_single_pixel_stays_what_it_is_where_nothing_is_to_be_smoothed() -> None:
    map_ = np.zeros((3, 5))
    map_[1, 2] = 1
    assert [level["loops"] for level in contours_to_json(effective(map_, stride=0.5))["levels"]] == [
        [[2, 1, 3, 1, 3, 2, 2, 2]]
    ] * 2
