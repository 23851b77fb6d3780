"""Moving elements by number, against the same done with sets of pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rfwidget._measure import masks, places, spans
from rfwidget._measure.spans import Carried


def line(length: int, channels: int = 1) -> Carried:
    return spans.image((1, length, channels), places=(1,))


def read_by(x: Carried) -> list[list[int]]:
    """First and last pixel of every cell, of the first channel."""
    low, high = (np.broadcast_to(edges, x.shape)[..., 0].ravel() for edges in x.spans(0))
    return [[int(a), int(b)] for a, b in zip(low, high, strict=True)]


def test_gathered_takes_elements_in_any_shape_and_leaves_holes() -> None:
    found = places.gathered(line(5), np.array([[[4], [-1]], [[0], [2]]]))
    assert found.shape == (2, 2, 1)
    assert read_by(found) == [[4, 5], [0, 0], [0, 1], [2, 3]]


def test_replaced_leaves_the_others() -> None:
    found = places.replaced(line(4), np.array([3, 1]), spans.cut(line(9), 1, 7, 9))
    assert read_by(found) == [[0, 1], [8, 9], [2, 3], [7, 8]]


@pytest.mark.parametrize("kept", [
    np.array([True, False, True, True])[:, None],
    np.array([False]),
    np.array([[True, True], [True, False], [False, True], [True, True]]),
])  # fmt: skip
def test_masked_leaves_nothing_where_a_mask_is_false(kept: npt.NDArray[np.bool_]) -> None:
    found = places.masked(line(4, 2), kept)
    low, high = (np.broadcast_to(edges, found.shape)[0] for edges in found.spans(0))
    whole = np.broadcast_to(kept, (4, 2))
    np.testing.assert_array_equal(high, np.where(whole, np.arange(1, 5)[:, None], 0))
    np.testing.assert_array_equal(low, np.where(whole, np.arange(4)[:, None], 0))


def test_masked_reduce_reads_what_is_kept() -> None:
    pairs = spans.join([spans.reshape(line(4), (4, 1)), spans.reshape(line(4), (1, 4))])
    kept = np.tril(np.ones((4, 4), bool))
    found = masks.masked_reduce(pairs, 1, kept)
    assert found.shape == (4, 1)
    assert read_by(found) == [[0, 1], [0, 2], [0, 3], [0, 4]]


@pytest.mark.parametrize("width", [2, 30])
def test_mixed_reads_the_true_elements_of_each_column(width: int) -> None:
    mask = np.abs(np.arange(40)[:, None] - np.arange(0, 40, 3)) <= width // 2
    found = places.mixed(line(40), 1, mask)
    expected = [[int(np.flatnonzero(column)[0]), int(np.flatnonzero(column)[-1]) + 1] for column in mask.T]
    assert read_by(found) == expected


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("taps", [[1, 1, 1], [1, 0, 1], [0, 1, 0]])
def test_transposed_reaches_what_its_taps_reach(taps: list[int], groups: int) -> None:
    whole = np.broadcast_to(np.reshape(taps, (3, 1, 1)), (3, 4 // groups, 4)).astype(bool)
    found = places.transposed(
        line(6, 4), [1], 2, whole, strides=[2], dilations=[2], starts=[1], lengths=[13], groups=groups
    )
    expected = []
    for result in range(13):
        reached = [cell for cell in range(6) for tap in range(3) if taps[tap] and 2 * cell + 2 * tap == result + 1]
        expected.append([min(reached), max(reached) + 1] if reached else [0, 0])
    assert read_by(found) == expected
