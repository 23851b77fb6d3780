"""What a widget shows: a layer on an image, and the cell that is nearest to a place."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rfwidget.geometry import AxisField, FieldGeometry
from rfwidget.types import GridPoint, GridShape, Size
from rfwidget.widget.view import View, nearest_cell

PHASES = AxisField(3, 8, ((0, 5), (2, 9), (5, 10)))
ENDLESS = AxisField(1, 32, ((-math.inf, math.inf),))


def view_of(x: AxisField, y: AxisField, grid: Size) -> View:
    shape, pixels = GridShape(None, 100, 64, 3), np.zeros((64, 100, 3))
    return View(1, FieldGeometry(x, y), shape, grid, 1, "layer", pixels.astype(np.float32), pixels.astype(np.uint8))


@pytest.mark.parametrize("axis", [PHASES, ENDLESS])
def test_the_nearest_cell_is_the_one_that_the_geometry_says(axis: AxisField) -> None:
    shown = view_of(axis, PHASES, Size(9, 24))
    for step in range(192):
        place = (step / 2, step / 3)
        expected = GridPoint(axis.nearest(place[0], 9), PHASES.nearest(place[1], 24))
        assert nearest_cell(shown, place) == expected


def test_without_a_place_it_is_the_central_one() -> None:
    assert nearest_cell(view_of(PHASES, ENDLESS, Size(9, 24)), None) == (4, 12)
