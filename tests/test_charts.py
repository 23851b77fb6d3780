"""Charts of whole networks: what is drawn are the numbers, and no display is needed."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from keras import layers
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from rfwidget.charts import compare, plot_effective, plot_survey, side_by_side
from rfwidget.errors import ReceptiveFieldError
from rfwidget.keras import KerasReceptiveField
from rfwidget.survey import Survey
from tests.box_filter import BoxReceptiveField
from tests.models import chain
from tests.test_survey import with_context

mpl.use("agg")

SHAPE = (40, 64, 3)


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
