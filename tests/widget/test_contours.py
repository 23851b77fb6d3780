"""Outlines of pixel maps, and of effective receptive fields."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rfwidget.effective import EffectiveField, Frame
from rfwidget.types import GridPoint
from rfwidget.widget.contours import outline, plain_contours


def corners(loop: list[int]) -> list[tuple[int, int]]:
    return list(zip(loop[::2], loop[1::2], strict=True))


def area(loop: list[int]) -> float:
    """Signed area; positive for lines that keep what they surround on the right hand, y pointing down."""
    points = corners(loop)
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairs) / 2


def perimeter(mask: npt.NDArray[np.bool_]) -> int:
    padded = np.pad(mask, 1)
    return sum(int(np.count_nonzero(np.diff(padded.astype(int), axis=axis))) for axis in (0, 1))


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 7))))
def test_outlines_are_closed_axis_parallel_and_hold_the_area_and_length_of_the_mask(
    mask: npt.NDArray[np.bool_],
) -> None:
    loops = outline(mask)
    assert sum(map(area, loops)) == np.count_nonzero(mask)
    length = 0
    for loop in loops:
        points = corners(loop)
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            assert (x0 == x1) != (y0 == y1)
            length += abs(x0 - x1) + abs(y0 - y1)
    assert length == perimeter(mask)


def test_pixels_that_touch_at_a_corner_are_apart_and_a_hole_has_a_line_of_its_own() -> None:
    assert len(outline(np.eye(2, 3, dtype=bool))) == 2
    ring = np.ones((3, 4), bool)
    ring[1, 1:3] = False
    assert sorted(map(area, outline(ring))) == [-2, 12]


def test_lines_turn_at_every_corner() -> None:
    assert outline(np.array([[0, 1, 1], [1, 1, 1]], bool)) == [[1, 0, 3, 0, 3, 2, 0, 2, 0, 1, 1, 1]]


def field(map_: npt.NDArray[np.float64], stride: float = 1) -> EffectiveField:
    h, w = map_.shape
    frames = (Frame(w, -3, stride, w), Frame(h, 2, 2 * stride, h))
    return EffectiveField(map_ / map_.sum(), frames, 1, (GridPoint(0, 0),), False)


def test_shares_of_a_gaussian_are_ellipses_of_known_area() -> None:
    sigma = (6.0, 4.0)
    x, y = np.meshgrid(np.arange(60) - 29.5, np.arange(48) - 23.5)
    contours = plain_contours(field(np.exp(-(x**2) / (2 * sigma[0] ** 2) - y**2 / (2 * sigma[1] ** 2))))
    for level in contours["levels"]:
        [loop] = level["loops"]
        # The smoothing over a twelfth of the size, 5 pixels, adds the variance of a box.
        wide = np.sqrt((sigma[0] ** 2 + 24 / 12) * (sigma[1] ** 2 + 24 / 12))
        assert area(loop) == pytest.approx(-2 * np.pi * wide * np.log(1 - level["share"]), rel=0.05)
    assert contours["x"] == {"start": -3.0, "stride": 1.0}
    assert contours["y"] == {"start": 2.0, "stride": 2.0}


def test_a_single_pixel_stays_what_it_is_where_nothing_is_to_be_smoothed() -> None:
    map_ = np.zeros((3, 5))
    map_[1, 2] = 1
    assert [level["loops"] for level in plain_contours(field(map_, stride=0.5))["levels"]] == [
        [[2, 1, 3, 1, 3, 2, 2, 2]]
    ] * 2
