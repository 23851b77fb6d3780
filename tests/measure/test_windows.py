"""Windows are planned right for any pattern of receptive fields, without a network."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rfwidget._measure.windows import AxisWindow, plan, plan_axis, whole_image
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Size

README = AxisField(cells=1, pixels=4, edges=((0, 34),))


@st.composite
def windows(draw: st.DrawFn) -> AxisWindow:
    """Plans for an axis whose cells see something near their own place, as those of networks do."""
    cells, pixels = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    edges = []
    for cell in range(cells):
        low = cell * pixels // cells + draw(st.integers(-20, 10))
        edges.append((low, low + draw(st.integers(1, 30))))
    period = pixels * draw(st.integers(1, 4))
    image = draw(st.integers(1, 200))
    grid = max(1, image * cells // pixels + draw(st.integers(-3, 3)))
    return plan_axis(AxisField(cells, pixels, tuple(edges)), image, grid, period)


@given(windows())
def test_one_length_serves_all_cells_and_leaves_strides_and_padding_where_they_are(window: AxisWindow) -> None:
    assert (window.image - window.length) % window.period == 0
    for cell in range(window.grid):
        start = window.start(cell)
        assert start % window.period == 0
        assert 0 <= start <= window.image - window.length


@given(windows())
def test_a_window_holds_all_of_the_receptive_field_that_is_in_the_image(window: AxisWindow) -> None:
    for cell in range(window.grid):
        low, high = window.field.edges_at(cell)
        start = window.start(cell)
        assert start <= max(low, 0)
        assert min(high, window.image) <= start + window.length


@given(windows())
def test_a_cell_keeps_its_pixels_when_it_is_counted_on_its_window(window: AxisWindow) -> None:
    grid = window.on(window.length).grid
    for cell in range(window.grid):
        place = window.place(cell)
        assert 0 <= place < grid
        if not window.whole:
            moved = [edge + window.start(cell) for edge in window.field.edges_at(place)]
            assert tuple(moved) == window.field.edges_at(cell)


@given(windows())
def test_a_part_of_the_image_has_all_kinds_of_windows(window: AxisWindow) -> None:
    part = window.on(window.part)
    assert part.length <= part.image <= window.image
    assert all(0 <= cell < part.grid for cell in part.telling_cells)
    if part.image < window.image:
        starts = [part.start(cell) for cell in part.telling_cells]
        assert starts[-1] == part.image - part.length
        assert 0 < starts[1] < starts[-1]
        assert 0 < starts[2] < starts[-1]


def test_the_window_of_the_readme_model_does_not_grow_with_the_image() -> None:
    assert [plan_axis(README, image, (image - 30) // 4, 4).length for image in (96, 224, 1024, 2048)] == [36] * 4


def test_an_image_no_longer_than_the_window_is_taken_whole() -> None:
    window = plan_axis(README, image=36, grid=1, period=4)
    assert (window.length, window.whole, window.start(0), window.place(0)) == (36, True, 0, 0)


def test_a_field_that_grows_with_the_image_needs_all_of_it() -> None:
    unbounded = AxisField(1, 4, ((-math.inf, math.inf),))
    assert plan_axis(unbounded, image=96, grid=24, period=4).whole


def test_a_map_that_was_moved_keeps_its_cells() -> None:
    moved = AxisField(cells=1, pixels=1, edges=((-5, -2),))  # cell i sees three pixels, five to the left of its place
    window = plan_axis(moved, image=50, grid=50, period=1)
    assert window.length == 6
    assert (window.start(20), window.place(20)) == (15, 5)


def test_the_phase_that_needs_most_decides() -> None:
    skipping = AxisField(cells=2, pixels=6, edges=((0, 5), (2, 12)))  # the second cell of each pair sees further
    window = plan_axis(skipping, image=60, grid=18, period=6)
    assert window.length == 12
    assert [window.start(cell) for cell in (8, 9)] == [24, 24]
    assert [window.place(cell) for cell in (8, 9)] == [0, 1]


def test_axes_are_planned_one_by_one() -> None:
    image, grid = GridShape(None, 200, 100, 3), GridShape(None, 42, 17, 8)
    window = plan(FieldGeometry(README, AxisField(1, 5, ((0, 20),))), image, grid, Size(4, 5))
    assert window.shape == (20, 36)
    assert window.corner(GridPoint(3, 2)) == (10, 12)
    assert window.place(GridPoint(41, 16)) == (0, 0)
    assert not window.whole
    assert whole_image(image, grid).shape == (100, 200)
