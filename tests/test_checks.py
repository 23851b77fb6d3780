"""The small checks that all public functions share; what they refuse stands in test_bad_input.py."""

from __future__ import annotations

import numpy as np
import pytest

from rfwidget import checks


@pytest.mark.parametrize("value", [list(range(10**6)), "x" * 10**6, {n: n for n in range(1000)}, np.zeros((300, 300))])
def test_a_message_quotes_a_huge_value_briefly_and_on_one_line(value: object) -> None:
    words = checks.brief(value)
    assert len(words) <= 200
    assert "\n" not in words


def test_numpy_scalars_are_as_good_as_plain_ones_and_come_back_plain() -> None:
    assert type(checks.flag("f", np.True_)) is bool
    assert type(checks.whole("n", np.int16(3), low=1)) is int
    assert type(checks.channel_index(np.int64(1), 2)) is int
    assert checks.figure_size(np.array([3, 4])) == (3.0, 4.0)


def test_a_waiting_time_may_be_endless() -> None:
    assert checks.seconds("t", np.inf) > 10**8


def test_a_series_may_be_any_iterable() -> None:
    assert checks.series("s", (k for k in range(3)), "numbers") == [0, 1, 2]
    assert len(checks.series("s", np.zeros((2, 3)), "numbers")) == 2
