from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.plotting import corner_cells, naive_rect, normalised_gradient, plot_gradient, plot_grid
from rfwidget.types import GridPoint, GridShape, Rect, Size

mpl.use("agg")

IMAGE = GridShape(None, w=160, h=96, c=3)
GRID = Size(40, 16)
FIELD = FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),)))


def outlined(ax, colour: str) -> Rect:
    """The rectangle of a colour, in data coordinates."""
    (patch,) = [
        p
        for p in ax.patches
        if isinstance(p, Rectangle) and p.get_edgecolor() == to_rgba(colour) and p.get_linewidth() == 2
    ]
    x, y = patch.get_xy()
    return Rect(x, y, x + patch.get_width(), y + patch.get_height())


def test_rectangles_of_the_grid_plot_are_exact() -> None:
    ax = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3), np.uint8), ax=Figure().add_subplot())
    assert outlined(ax, "red") == (-3, 0, 31, 22)
    assert outlined(ax, "blue") == (-3 + 20 * 4, 8 * 5, 31 + 20 * 4, 22 + 8 * 5)
    assert outlined(ax, "green") == (-3 + 39 * 4, 15 * 5, 31 + 39 * 4, 22 + 15 * 5)


def test_data_coordinates_are_pixel_edges() -> None:
    ax = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3), np.uint8), ax=Figure().add_subplot())
    assert list(ax.images[0].get_extent()) == [0, 160, 96, 0]


def test_the_dots_are_the_centres_of_all_cells() -> None:
    ax = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3), np.uint8), ax=Figure().add_subplot())
    dots = ax.lines[0].get_xydata()
    assert len(dots) == 40 * 16
    np.testing.assert_array_equal(dots[0], [14, 11])
    np.testing.assert_array_equal(dots[-1], [14 + 39 * 4, 11 + 15 * 5])


def test_the_naive_grid_is_drawn_on_request() -> None:
    plain = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3)), ax=Figure().add_subplot())
    naive = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3)), plot_naive_rf=True, ax=Figure().add_subplot())
    assert len(naive.patches) == len(plain.patches) + 3
    assert naive_rect(GridPoint(39, 15), IMAGE, GRID) == (156, 90, 160, 96)


def test_every_line_is_told_apart_without_colour() -> None:
    ax = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3)), ax=Figure().add_subplot())
    styles = [p.get_linestyle() for p in ax.patches if isinstance(p, Rectangle) and p.get_linewidth() == 2]
    assert len(set(styles)) == 3


def test_a_gradient_plot_shows_the_outlined_field_a_colour_bar_and_values_within_one() -> None:
    gradient = np.zeros((96, 160, 3), np.float32)
    gradient[20:30, 10:40] = -7
    figure = Figure()
    ax = plot_gradient(gradient, Rect(10, 20, 40, 30), IMAGE, ax=figure.add_subplot(), title="cell")
    assert outlined(ax, "black") == (10, 20, 40, 30)
    assert len(figure.axes) == 2
    values = ax.images[-1].get_array()
    assert values.shape == (96, 160)
    assert (values.min(), values.max()) == (-1, 0)
    assert ax.images[-1].get_cmap().name == "coolwarm"


def test_without_axes_a_figure_of_the_asked_size_is_made() -> None:
    ax = plot_grid(FIELD, IMAGE, GRID, np.zeros((96, 160, 3)), figsize=(3, 2))
    assert tuple(ax.figure.get_size_inches()) == (3, 2)
    mpl.pyplot.close(ax.figure)


def test_a_zero_gradient_stays_zero() -> None:
    np.testing.assert_array_equal(normalised_gradient(np.zeros((2, 3, 1))), np.zeros((2, 3)))


def test_an_unbounded_field_is_drawn_around_the_image() -> None:
    field = FieldGeometry(AxisField(1, 4, ((-np.inf, np.inf),)), FIELD.y)
    ax = plot_grid(field, IMAGE, GRID, np.zeros((96, 160, 3)), ax=Figure().add_subplot())
    assert outlined(ax, "red") == (0, 0, 160, 22)


def test_the_dots_and_the_three_centres_of_an_unbounded_field_are_where_its_geometry_has_them() -> None:
    endless = FieldGeometry(AxisField(1, 32, ((-np.inf, np.inf),)), FIELD.y)
    image = GridShape(None, w=100, h=96, c=3)
    ax = plot_grid(endless, image, Size(3, 16), np.zeros((96, 100, 3), np.uint8), ax=Figure().add_subplot())
    dots, *centres = ax.lines
    assert sorted(set(dots.get_xdata())) == [16, 48, 80]
    assert [tuple(*centre.get_xydata()) for centre in centres] == [(16, 11), (48, 51), (80, 86)]


@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 7), Size(5, 4)])
def test_the_corner_cells_lie_on_every_grid(size: Size) -> None:
    for point in corner_cells(size):
        assert 0 <= point.x < size.w
        assert 0 <= point.y < size.h
