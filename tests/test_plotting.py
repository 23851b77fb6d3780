"""What is drawn are the numbers, exactly where the geometry has them, and no display is needed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from keras import layers
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose

from rfwidget.errors import ReceptiveFieldError
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.keras import KerasReceptiveField
from rfwidget.plotting import (
    compare,
    corner_cells,
    naive_rect,
    normalised_gradient,
    plot_effective,
    plot_gradient,
    plot_grid,
    plot_survey,
    side_by_side,
)
from rfwidget.survey import Survey
from rfwidget.types import GridPoint, GridShape, Rect, Size
from tests.box_filter import BoxReceptiveField
from tests.models import chain
from tests.test_survey import with_context

mpl.use("agg")

IMAGE = GridShape(None, w=160, h=96, c=3)
GRID = Size(40, 16)
FIELD = FieldGeometry(AxisField(1, 4, ((-3, 31),)), AxisField(1, 5, ((0, 22),)))
SHAPE = (40, 64, 3)


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


@pytest.fixture
def rf() -> BoxReceptiveField:
    made = BoxReceptiveField()
    made.compute(SHAPE)
    return made


def line(ax, label):
    return next(drawn for drawn in ax.lines if drawn.get_label() == label)


def test_growth_shows_sizes_and_strides_of_both_axes(rf) -> None:
    ax = rf.survey(SHAPE).plot()
    assert_allclose(line(ax, "receptive field, width").get_ydata(), [12, 5])
    assert_allclose(line(ax, "receptive field, height").get_ydata(), [6, 9])
    assert_allclose(line(ax, "stride along y").get_ydata(), [2, 3])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["tall", "wide"]
    ax.figure.canvas.draw()


def test_one_line_stands_for_both_axes_where_they_agree() -> None:
    survey = KerasReceptiveField(chain((32, 48, 1), layers.Conv2D(1, 3), layers.MaxPooling2D(2))).survey()
    ax = plot_survey(survey)
    assert_allclose(line(ax, "receptive field").get_ydata(), [3, 4])
    assert_allclose(line(ax, "stride").get_ydata(), [1, 2])


def test_unbounded_and_unproductive_layers_are_marked() -> None:
    survey = KerasReceptiveField(with_context()).survey()
    ax = survey.plot()
    endless = [place for place, row in enumerate(survey) if any(row.unbounded)]
    assert list(line(ax, "unbounded").get_xdata()) == endless
    assert "unproductive" in [text.get_text() for text in ax.get_legend().get_texts()]
    ax.figure.canvas.draw()


def test_names_are_no_mathematics(rf) -> None:
    survey = rf.survey(SHAPE)
    odd = Survey([survey[0]._replace(name="a$b_{c}$")], {}, survey.input_shape, "image")
    odd.plot().figure.canvas.draw()


def test_a_survey_without_layers_is_an_empty_chart(rf) -> None:
    rf.survey(SHAPE)[:0].plot().figure.canvas.draw()


def test_an_effective_field_is_drawn_around_its_centre(rf) -> None:
    effective = rf.effective()
    ax = plot_effective(effective, title="wide")
    assert tuple(ax.images[0].get_extent()) == (-6, 6, 3, -3)
    assert_allclose(ax.images[0].get_array(), np.ones((6, 12)))
    assert "95% of the mass" in ax.get_legend().get_texts()[1].get_text()
    assert rf.plot_effective(effective, ax=ax) is ax
    ax.figure.canvas.draw()


def test_grids_stand_side_by_side_on_one_scale(rf) -> None:
    panels = rf.plot_rf_grids(["tall", "wide"])
    assert [ax.get_title() for ax in panels] == ["tall", "wide"]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    assert panels[0].get_ylim() == panels[1].get_ylim()
    low, high = panels[0].get_ylim()
    assert low > high
    assert rf.output_layer == "wide"


def test_given_axes_are_drawn_into(rf) -> None:
    panels = Figure().subplots(1, 2)
    assert rf.plot_rf_grids(["wide", "tall"], axes=panels) == list(panels)
    surveys = [rf.survey(SHAPE), rf.survey(SHAPE)[:1]]
    assert compare(*surveys, axes=Figure().subplots(2, 1))[0].get_title(loc="left") == "2 layers on 64 x 40 pixels"


def test_surveys_compare_on_one_scale_of_pixels(rf) -> None:
    small, large = rf.survey((20, 16, 3)), rf.survey((400, 300, 3))
    panels = compare(small, large, labels=["small", "large"])
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert [ax.get_title(loc="left") for ax in panels] == ["small", "large"]


def test_effective_fields_and_estimators_compare_too(rf) -> None:
    other = BoxReceptiveField()
    other.compute(SHAPE, output_layer="tall")
    assert [ax.get_title() for ax in compare(rf, other)] == ["wide", "tall"]
    panels = compare(rf.effective(), other.effective())
    assert panels[0].get_xlim() == panels[1].get_xlim() == (-6, 6)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda rf: rf.plot_rf_grids(["wide", "wild"]), "no layer 'wild'"),
        (lambda rf: rf.plot_rf_grids([]), "at least one layer"),
        (lambda rf: rf.plot_rf_grids(["wide"], axes=side_by_side(2, None)), "2 axes for 1 panels"),
        (lambda rf: compare(rf), "at least two"),
        (lambda rf: compare(rf, rf.effective()), "one kind"),
        (lambda rf: compare(rf, rf, labels=["a"]), "1 labels for 2 things"),
    ],
)
def test_bad_input_is_refused(rf, action, message) -> None:
    with pytest.raises(ReceptiveFieldError, match=message):
        action(rf)


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
