"""Masks: sums that leave elements out, against the same with explicit loops; and what is a mask at all."""

from __future__ import annotations

import numpy as np
import pytest

from rfwidget._measure import masks, spans
from rfwidget._measure.spans import Carried

PIXELS = 6


def windows(draw: np.random.Generator, *, alike: bool) -> tuple[Carried, np.ndarray]:
    """Three windows of four elements, two channels wide: what each depends on, and its pixels as ``[..., pixel]``."""
    order = draw.permutation(24).reshape(3, 4, 2) % PIXELS
    order = order[..., :1].repeat(2, axis=2) if alike else order
    line = spans.image((1, PIXELS), places=(1,))
    x = spans.reshape(spans.take(line, 1, order.ravel()), (3, 4, 2))
    return x, order[..., None] == np.arange(PIXELS)


def edges(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    some = box.any(axis=-1)
    first = np.where(some, box.argmax(axis=-1), 0)
    return first, np.where(some, PIXELS - box[..., ::-1].argmax(axis=-1), 0)


@pytest.mark.parametrize("seed", range(12))
def test_a_weighted_sum_leaves_out_what_weighs_nothing(seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, box = windows(draw, alike=seed % 2 == 0)
    on = draw.random((3 if seed % 3 else 1, 5, 4)) < 0.6
    expected = np.zeros((3, 5, 2, PIXELS), bool)
    for lead, row, column, channel in np.ndindex(3, 5, 4, 2):
        if on[lead % len(on), row, column]:
            expected[lead, row, channel] |= box[lead, column, channel]
    found = masks.weighted_sum(x, on)
    assert found.shape == (3, 5, 2)
    for got, wanted in zip(found.spans(0), edges(expected), strict=True):
        np.testing.assert_array_equal(np.broadcast_to(got, found.shape), wanted)


@pytest.mark.parametrize("seed", range(12))
def test_a_masked_reduction_leaves_out_what_is_off(seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, box = windows(draw, alike=seed % 2 == 0)
    on = draw.random((3, 4, 2) if seed % 3 else (4, 1)) < 0.6
    expected = (box & np.broadcast_to(on, (3, 4, 2))[..., None]).any(axis=1, keepdims=True)
    found = masks.masked_reduce(x, 1, on)
    assert found.shape == (3, 1, 2)
    for got, wanted in zip(found.spans(0), edges(expected), strict=True):
        np.testing.assert_array_equal(np.broadcast_to(got, found.shape), wanted)


def test_windows_that_lack_what_others_have_meet_a_border_and_those_that_lack_it_all_do_not() -> None:
    line = spans.reshape(spans.image((1, 12), places=(1,)), (3, 4, 1))
    on = np.ones((3, 4, 4), bool)
    on[2, :2, 2:] = False
    at_border = masks.weighted_sum(line, on).bordered(0)
    assert np.broadcast_to(at_border, (3, 4, 1))[..., 0].tolist() == [
        [False] * 4,
        [False] * 4,
        [True, True, False, False],
    ]
    causal = np.tril(np.ones((4, 4), bool))
    assert not masks.weighted_sum(line, causal).bordered(0).any()


def test_numbers_that_are_all_low_are_no_mask() -> None:
    assert masks.low(np.array([-123.0, -117.0, -104.0])) is None
    assert masks.low(np.array([0.0, -40.0])) is None
    assert masks.low(np.array([3.0, -np.inf])).tolist() == [False, True]
