"""Sums that do not depend on the order, and what they say about how sure they are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rfwidget.mass import GROUPS, Mass

Maps = list[npt.NDArray[np.float64]]


def summed(maps: Maps) -> Mass:
    mass = Mass(*maps[0].shape)
    for values in maps:
        mass.begin_image()
        mass.add(values, (0, 0))
    return mass


def rough(count: int, seed: int = 0) -> Maps:
    """Maps over many orders of magnitude, with which plain sums differ by their order."""
    rng = np.random.default_rng(seed)
    return [10.0 ** rng.uniform(-9, 9, (3, 5)) for _ in range(count)]


@given(st.permutations(range(20)), st.integers(1, 19))
def test_sums_are_the_same_in_any_order_and_in_any_parts(order: list[int], cut: int) -> None:
    maps = rough(20)
    whole = summed(maps)
    exact = [[float(sum(map(Fraction, pixel))) for pixel in zip(*row, strict=True)] for row in zip(*maps, strict=True)]
    assert whole.values.tolist() == exact
    shuffled = [maps[place] for place in order]
    assert_array_equal(summed(shuffled).values, whole.values)
    assert_array_equal((summed(shuffled[:cut]) + summed(shuffled[cut:])).values, whole.values)


def test_plain_sums_would_differ() -> None:
    maps = rough(20)
    assert not np.array_equal(sum(maps), sum(reversed(maps)))


@pytest.mark.parametrize("cut", [1, 5, 8, 11, 19])
def test_a_sum_of_parts_deals_its_images_as_the_whole_does(cut: int) -> None:
    maps = rough(20)
    whole, parts = summed(maps), summed(maps[:cut]) + summed(maps[cut:])
    assert parts.images == whole.images == 20
    assert len(whole.groups) == GROUPS
    assert_allclose(parts.groups, whole.groups, rtol=1e-12)


def test_maps_are_cut_where_they_overhang() -> None:
    mass = Mass(3, 5)
    mass.begin_image()
    mass.add(np.ones((2, 2)), (-1, -1))
    mass.add(np.ones((2, 2)), (4, 1))
    mass.add(np.ones((2, 2)), (5, 0))
    assert mass.values.tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.normal(5, 2, size=(400, 64))

    def mean(values: npt.NDArray[np.float64]) -> list[float]:
        return [float(values[0, 0] / values[0, 1])]

    found = [summed([np.array([[x, 1.0]]) for x in row]).spread(mean) for row in numbers]
    variances = [spread[0] ** 2 for spread in found if spread is not None]
    assert np.mean(variances) == pytest.approx(2**2 / 64, rel=0.1)


def test_the_spread_sees_a_drift_that_is_still_to_come() -> None:
    """The largest of n numbers grows with n: leaving some out shows it."""

    def largest(values: npt.NDArray[np.float64]) -> list[float]:
        return [float(np.count_nonzero(values))]

    rng = np.random.default_rng(2)
    maps = [(rng.random((1, 500)) < 0.01).astype(float) for _ in range(40)]
    spread = summed(maps).spread(largest)
    assert spread is not None
    missing = 500 - np.count_nonzero(summed(maps).values)
    assert missing / 3 < spread[0] < 3 * missing


def test_one_image_tells_no_spread() -> None:
    assert summed(rough(1)).spread(lambda values: [float(values.sum())]) is None
