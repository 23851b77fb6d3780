"""What is wanted of the kernel, what is computed, and what is there before anybody asks."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from rfwidget import RFWidget
from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.image import as_model_input, as_picture, default_input
from rfwidget.types import GridPoint, GridShape, Size
from rfwidget.widget import engine as module
from rfwidget.widget.engine import Prefetch, Style, View, nearest_cell, neighbours
from rfwidget.widget.worker import Cancelled
from tests.box_filter import BoxReceptiveField


@pytest.fixture
def rf() -> BoxReceptiveField:
    made = BoxReceptiveField()
    made.compute((40, 64, 3))
    return made


@pytest.fixture
def view(rf: BoxReceptiveField) -> View:
    shape = rf.input_shape
    return View(
        revision=1,
        field=rf.field,
        input_shape=shape,
        grid=Size(rf.output_shape.w, rf.output_shape.h),
        channels=rf.channels,
        layer=rf.output_layer,
        image=as_model_input(default_input(shape), shape),
        picture=as_picture(default_input(shape)),
        style=Style(None, "coolwarm", True),
    )


def never() -> None:
    """A check that lets everything go on."""


def test_the_neighbours_are_known_and_nothing_else(rf: BoxReceptiveField, view: View) -> None:
    ahead = Prefetch(rf)
    ahead.fill(view, GridPoint(3, 4), never)
    for point in neighbours(GridPoint(3, 4), view.grid):
        answered = ahead.take(view, point)
        assert answered is not None
        assert answered.rect == rf.rect_at(point)
    assert ahead.take(view, GridPoint(3, 4)) is None
    assert ahead.take(view._replace(revision=99), GridPoint(2, 4)) is None


def test_it_stops_at_once_when_somebody_asks(rf: BoxReceptiveField, view: View) -> None:
    def stop() -> None:
        raise Cancelled

    ahead = Prefetch(rf)
    with pytest.raises(Cancelled):
        ahead.fill(view, GridPoint(3, 4), stop)
    assert ahead.take(view, GridPoint(2, 4)) is None


def test_slow_gradients_are_not_computed_ahead(
    rf: BoxReceptiveField, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    real = module.answer

    def slow(*arguments: Any) -> Any:
        calls.append(arguments)
        end = time.perf_counter() + 0.03
        while time.perf_counter() < end:
            pass
        return real(*arguments)

    monkeypatch.setattr(module, "answer", slow)
    ahead = Prefetch(rf)
    for _ in range(3):
        ahead.fill(view, GridPoint(3, 4), never)
    assert len(calls) == 1


def test_errors_wait_for_somebody_who_asks(rf: BoxReceptiveField, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rf.network, "gradient", lambda *_: 1 // 0)
    ahead = Prefetch(rf)
    ahead.fill(view, GridPoint(3, 4), never)
    assert ahead.take(view, GridPoint(2, 4)) is None


def test_the_widget_answers_a_neighbour_without_another_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_UNNOTICED", 60)
    widget = RFWidget(BoxReceptiveField(), input_shape=(40, 64, 3), selected=(5, 5))
    assert widget.wait(20, background=True)
    expected = widget.rf.gradient_at((6, 5))
    asked: list[Any] = []
    gradient = widget.rf.network.gradient
    monkeypatch.setattr(widget.rf.network, "gradient", lambda *call: (asked.append(call), gradient(*call))[1])
    widget.selected = (6, 5)
    assert widget.wait(20)
    assert (widget.gradient == expected).all()
    assert [call for call in asked if call[1] == GridPoint(6, 5)] == []
    widget.close()


def test_neighbours_stay_on_the_grid() -> None:
    assert neighbours(GridPoint(0, 0), Size(1, 1)) == []
    assert len(neighbours(GridPoint(1, 1), Size(3, 3))) == 4


PHASES = AxisField(3, 8, ((0, 5), (2, 9), (5, 10)))
ENDLESS = AxisField(1, 32, ((-math.inf, math.inf),))


def view_of(x: AxisField, y: AxisField, grid: Size) -> View:
    shape, pixels = GridShape(None, 100, 64, 3), np.zeros((64, 100, 3))
    style = Style(None, "viridis", False)
    return View(
        1, FieldGeometry(x, y), shape, grid, 1, "layer", pixels.astype(np.float32), pixels.astype(np.uint8), style
    )


@pytest.mark.parametrize("axis", [PHASES, ENDLESS])
def test_the_nearest_cell_is_the_one_that_the_geometry_says(axis: AxisField) -> None:
    shown = view_of(axis, PHASES, Size(9, 24))
    for step in range(192):
        place = (step / 2, step / 3)
        expected = GridPoint(axis.nearest(place[0], 9), PHASES.nearest(place[1], 24))
        assert nearest_cell(shown, place) == expected


def test_without_a_place_it_is_the_central_one() -> None:
    assert nearest_cell(view_of(PHASES, ENDLESS, Size(9, 24)), None) == (4, 12)
