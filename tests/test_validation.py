"""The small checks that all public functions share; what they refuse stands in test_bad_input.py."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rfwidget import _validation
from rfwidget._validation import cell_inside
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridPoint, Size


@pytest.mark.parametrize("value", [list(range(10**6)), "x" * 10**6, {n: n for n in range(1000)}, np.zeros((300, 300))])
def test_a_message_quotes_a_huge_value_briefly_and_on_one_line(value: object) -> None:
    words = _validation.brief(value)
    assert len(words) <= 200
    assert "\n" not in words


def test_numpy_scalars_are_as_good_as_plain_ones_and_come_back_plain() -> None:
    assert type(_validation.flag("f", np.True_)) is bool
    assert type(_validation.whole("n", np.int16(3), low=1)) is int
    assert type(_validation.channel_index(np.int64(1), 2)) is int
    assert _validation.figure_size(np.array([3, 4])) == (3.0, 4.0)


def test_a_waiting_time_may_be_endless() -> None:
    assert _validation.seconds("t", np.inf) > 10**8


def test_a_series_may_be_any_iterable() -> None:
    assert _validation.series("s", (k for k in range(3)), "numbers") == [0, 1, 2]
    assert len(_validation.series("s", np.zeros((2, 3)), "numbers")) == 2


@pytest.mark.parametrize("point", [(9, 0), (0, 5), (-1, 0), (0.5, 0), "ab", (1, 2, 3), None, (True, 0), (math.nan, 0)])
def test_what_is_no_cell_of_the_grid_is_refused(point: object) -> None:
    with pytest.raises(ReceptiveFieldError, match="expected"):
        cell_inside(point, Size(9, 5))


def test_cells_come_back_as_plain_numbers() -> None:
    point = cell_inside((np.int64(8), 4.0), Size(9, 5))
    assert point == GridPoint(8, 4)
    assert all(type(value) is int for value in point)
