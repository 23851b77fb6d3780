from __future__ import annotations

import math

import numpy as np
import pytest

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Rect, Size
from rfwidget.widget.scene import STAGE_SIDE, build_scene, plan_layout

IMAGE = GridShape(None, w=160, h=96, c=3)
GRID = Size(40, 16)
FIELD = FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),)))
PICTURE = np.zeros((96, 160, 3), np.uint8)


def test_small_images_are_magnified_by_whole_factors_and_large_ones_fit() -> None:
    assert plan_layout(IMAGE, None, None).scale == 3
    assert plan_layout(GridShape(None, 96, 96, 3), None, None).scale == 5
    assert plan_layout(GridShape(None, 300, 100, 3), None, None).scale == 1
    large = plan_layout(GridShape(None, 1000, 2000, 3), None, None)
    assert large.scale * 2000 == STAGE_SIDE


def test_the_margin_holds_what_overhangs() -> None:
    layout = plan_layout(IMAGE, FIELD, GRID)
    stroke = layout.margin.top
    assert layout.margin == (
        stroke + 3 * layout.scale,
        stroke,
        stroke + (39 * 4 + 31 - 160) * layout.scale,
        stroke + (15 * 5 + 22 - 96) * layout.scale,
    )


def test_the_margin_of_a_huge_field_is_bounded() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-5000, 5000),)), FIELD.y)
    layout = plan_layout(IMAGE, field, GRID)
    assert layout.margin.left < 160 * layout.scale


def test_rectangles_are_where_the_fields_are() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID, dots=False)
    layout = scene.layout
    boxes = {box.label: box for box in scene.boxes}
    assert set(boxes) == {"first", "central", "last"}
    left, top = layout.margin[:2]
    assert boxes["first"].rect == Rect(left - 9, top, left + 93, top + 66)
    assert boxes["last"].rect == layout.place(FIELD.rect(GridPoint(39, 15)))
    assert len({box.dash for box in scene.boxes}) == 3
    assert len({box.colour for box in scene.boxes}) == 3


def test_dots_are_the_centres_inside_the_image() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID)
    left, top = scene.layout.margin[:2]
    xs = [14 + 4 * i for i in range(40) if 14 + 4 * i <= 160]
    ys = [11 + 5 * j for j in range(16) if 11 + 5 * j <= 96]
    assert len(scene.dots) == len(xs) * len(ys)
    np.testing.assert_allclose(scene.dots[0], (left + 3 * xs[0], top + 3 * ys[0]))


def test_dots_of_an_unbounded_field_are_where_its_geometry_has_them() -> None:
    endless = FieldGeometry(AxisField(1, 32, ((-math.inf, math.inf),)), FIELD.y)
    scene = build_scene(np.zeros((96, 100, 3), np.uint8), GridShape(None, 100, 96, 3), endless, Size(3, 16))
    xs = (np.unique(scene.dots[:, 0]) - scene.layout.margin.left) / scene.layout.scale
    np.testing.assert_allclose(xs, [16, 48, 80])


def test_dots_of_a_dense_grid_keep_apart() -> None:
    field = FieldGeometry(AxisField(1, 1, ((-1, 2),)), AxisField(1, 1, ((-1, 2),)))
    scene = build_scene(np.zeros((300, 480, 3), np.uint8), GridShape(None, 480, 300, 3), field, Size(480, 300))
    xs = np.unique(scene.dots[:, 0])
    assert np.diff(xs).min() >= 5


@pytest.mark.parametrize("axis", ["x", "y"])
def test_an_unbounded_field_is_drawn_around_the_image(axis: str) -> None:
    endless = AxisField(1, 4, ((-math.inf, math.inf),))
    field = FIELD._replace(**{axis: endless})
    scene = build_scene(PICTURE, IMAGE, field, GRID)
    assert np.isfinite([box.rect for box in scene.boxes]).all()
    assert np.isfinite(scene.dots).all()


def test_what_is_switched_off_is_not_there() -> None:
    scene = build_scene(PICTURE, IMAGE, FIELD, GRID, dots=False, rectangles=False)
    assert (len(scene.dots), scene.boxes) == (0, ())
    assert len(build_scene(PICTURE, IMAGE, FIELD, GRID, naive=True).boxes) == 6
