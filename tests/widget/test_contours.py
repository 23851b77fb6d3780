"""Contours of effective receptive fields, as the browser gets them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rfwidget.effective import EffectiveField, Frame
from rfwidget.types import GridPoint
from rfwidget.widget.contours import plain_contours
from tests.outlines import area


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
        expected = -2 * np.pi * sigma[0] * sigma[1] * np.log(1 - level["share"])
        assert area(np.reshape(loop, (-1, 2))) == pytest.approx(expected, rel=0.05)
    assert contours["x"] == {"start": -3.0, "stride": 1.0}
    assert contours["y"] == {"start": 2.0, "stride": 2.0}


def test_a_single_pixel_stays_what_it_is_where_nothing_is_to_be_smoothed() -> None:
    map_ = np.zeros((3, 5))
    map_[1, 2] = 1
    assert [level["loops"] for level in plain_contours(field(map_, stride=0.5))["levels"]] == [
        [[2, 1, 3, 1, 3, 2, 2, 2]]
    ] * 2
