"""Edges, extents and rectangles."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfwidget.geometry import AxisField, FieldGeometry, extent, rect_of_support
from rfwidget.types import GridPoint, Rect, Size

PLAIN = AxisField(1, 4, ((0, 34),))
UPSAMPLED = AxisField(2, 1, ((-1, 2), (-1, 3)))
WITH_HOLE = AxisField(2, 1, ((0, 3), (0, 0)))
ENDLESS = AxisField(2, 4, ((-math.inf, math.inf),) * 2)


def test_a_plain_axis_moves_its_edges_by_the_stride() -> None:
    assert [PLAIN.edges_at(k) for k in (0, 1, 10)] == [(0, 34), (4, 38), (40, 74)]
    assert (PLAIN.size, PLAIN.stride, PLAIN.offset, PLAIN.uniform) == (34, 4, 17, True)


def test_a_box_moved_by_the_stride_contains_every_cell_of_a_field_that_is_not_uniform() -> None:
    assert not UPSAMPLED.uniform
    low, high = UPSAMPLED.offset - UPSAMPLED.size / 2, UPSAMPLED.offset + UPSAMPLED.size / 2
    margins = []
    for cell in range(6):
        left, right = UPSAMPLED.edges_at(cell)
        margins.append((left - low - cell * UPSAMPLED.stride, high + cell * UPSAMPLED.stride - right))
    assert np.min(margins, axis=0).tolist() == [0, 0]


def test_a_cell_that_sees_nothing_has_no_rectangle_and_does_not_widen_the_box() -> None:
    assert WITH_HOLE.size == 3
    assert WITH_HOLE.edges_at(4) == (2, 5)
    assert WITH_HOLE.edges_at(5) == (0, 0)
    assert not WITH_HOLE.uniform
    assert FieldGeometry(WITH_HOLE, PLAIN).rect(GridPoint(1, 7)) == Rect(0, 0, 0, 0)


def test_an_unbounded_axis_is_infinite_and_leaves_the_other_alone() -> None:
    geometry = FieldGeometry(PLAIN, ENDLESS)
    assert geometry.description.size == Size(34, math.inf)
    assert geometry.description.stride == (4, 2)
    assert geometry.rect(GridPoint(1, 1)) == Rect(4, -math.inf, 38, math.inf)
    assert geometry.to_json() == {
        "x": {"cells": 1, "pixels": 4, "edges": [[0, 34]]},
        "y": {"cells": 2, "pixels": 4, "edges": None},
    }


@given(st.sampled_from([PLAIN, UPSAMPLED, ENDLESS]), st.integers(1, 40), st.integers(-40, 240))
def test_the_nearest_cell_has_the_nearest_centre_and_the_later_one_of_two(axis: AxisField, cells: int, at: int) -> None:
    nearest = axis.nearest(at / 4, cells)
    away = [abs(axis.centre_at(cell) - at / 4) for cell in range(cells)]
    assert away[nearest] == min(away)
    if axis is PLAIN:  # as js/geometry.ts rounds
        assert min(away) not in away[nearest + 1 :]


SHARED = json.loads((Path(__file__).parent / "geometry.json").read_text(encoding="utf-8"))
"""Cases that js/geometry.test.ts reads too: the browser and Python must agree on where a cell is."""


@pytest.mark.parametrize("case", SHARED, ids=lambda case: case["name"])
def test_a_cell_is_where_the_browser_has_it(case: dict[str, Any]) -> None:
    cells, pixels, edges, *others = case["axis"].values()
    pairs = ((-math.inf, math.inf),) * cells if edges is None else tuple(map(tuple, edges))
    axis, count = AxisField(cells, pixels, pairs, tuple(map(tuple, *(others or [()])))), len(case["centres"])
    assert FieldGeometry(axis).to_json() == {"x": case["axis"]}
    assert [axis.centre_at(cell) for cell in range(count)] == case["centres"]
    assert [axis.nearest(at, count) for at, _ in case["nearest"]] == [cell for _, cell in case["nearest"]]


def test_cells_that_hold_an_interval_have_both_of_its_ends_in_their_fields() -> None:
    assert PLAIN.holding(30, 40, 16) == [2, 3, 4, 5, 6, 7]
    assert PLAIN.holding(30, 40, 6) == [2, 3, 4, 5]
    assert PLAIN.holding(0, 35, 16) == []
    assert WITH_HOLE.holding(2, 3, 6) == [0, 2, 4]
    assert ENDLESS.holding(30, 40, 3) == [0, 1, 2]


def test_extent_counts_from_the_first_to_the_last_hit_whatever_lies_between() -> None:
    assert extent(np.array([0, 1, 0, 0, 1, 0], bool)) == (1, 5)
    assert extent(np.zeros(4, bool)) == (0, 0)


def test_rectangles_are_x_before_y() -> None:
    support = np.zeros((5, 9), bool)
    support[1, 2], support[3, 7] = True, True
    assert rect_of_support(support) == Rect(2, 1, 8, 4)
    assert rect_of_support(np.zeros((5, 9), bool)) == Rect(0, 0, 0, 0)
