"""Masks of attention: which elements are so far below the others that a softmax makes nothing of them.

Code adds a large negative constant where a query must not see a key, or puts one there. `Mask` is what is known of such
elements besides what they depend on: they are *off* before the softmax, and *zero* behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried, Factor

Bools = npt.NDArray[np.bool_]

LOW = -50.0
"""What is added up to here is meant to be minus infinity (Swin adds -100). Of scores that differ by no more than usual
a softmax leaves e^-50 = 2e-22, which single precision loses beside the others."""

_BLOCK = 1 << 22
"""Elements of masks that are worked with at once."""


class Mask(NamedTuple):
    """What is known of some elements of a tensor; arrays broadcast to it.

    Attributes:
        off: those that are as good as minus infinity; None: none.
        zero: those that are zero by construction; None: none.
    """

    off: Bools | None = None
    zero: Bools | None = None


def united(off: Iterable[Bools | None], zero: Iterable[Bools | None]) -> Mask | None:
    """Elements that are off, or zero, for any of some reasons; None: there are none."""
    found = Mask(_any(off), _any(zero))
    return None if found.off is None is found.zero else found


def _any(masks: Iterable[Bools | None]) -> Bools | None:
    whole: Bools | None = None
    for mask in masks:
        if mask is not None and mask.any():
            whole = mask if whole is None else whole | mask
    return whole


def low(numbers: npt.NDArray[Any]) -> Bools | None:
    """Where constants are as good as minus infinity; None: nowhere.

    Where all of them are, they mean something else: so it is where the mean of a picture is taken from it.

    >>> low(np.array([0.0, -100.0]))
    array([False,  True])
    """
    found: Bools = np.asarray(numbers) <= LOW
    return found if found.any() and not found.all() else None


def told_apart(off: Bools | None, axis: int) -> Bools | None:
    """Where elements are not off beside others along an axis; where all along it are off, none is below the others.

    >>> told_apart(np.array([[False, True], [True, True]]), 1)
    array([[ True, False],
           [ True,  True]])
    """
    return None if off is None else ~off | off.all(axis=axis, keepdims=True)


def masked_reduce(x: Carried, axis: int, on: Bools) -> Carried:
    """As `spans.reduce` along one axis, which stays with length 1, without the elements that are not on."""
    axis = x.axis(axis)
    on = on.reshape((1,) * (x.rank - on.ndim) + on.shape)
    if on.all():
        return spans.reduce(x, [axis], keepdims=True)
    cut = _cut(on, axis - x.rank)

    def reduced(factor: Factor) -> Factor:
        if factor.shape[1 + axis] == 1:
            some = on.any(axis=axis, keepdims=True)
            return factor if some.all() else np.where(some, factor, spans.nothing(factor))

        def line(place: int) -> Factor:
            own = on.take([place if on.shape[axis] > 1 else 0], axis=axis)
            return np.where(own, factor.take([place], axis=1 + axis), spans.nothing(factor))

        # Line by line: all at once would take as much memory as the mask and the factor together.
        found = line(0)
        for place in range(1, factor.shape[1 + axis]):
            np.maximum(found, line(place), out=found)
        return _bordered(found, factor.max(axis=1 + axis, keepdims=True), cut)

    result = x.each(reduced, [1 if other == axis else n for other, n in enumerate(x.shape)])
    return spans.with_context(x, result)


def _cut(on: Bools, axis: int) -> Bools:
    """Lines along an axis, -1 or -2, that lack what others in their place have: they have met a border.

    Which windows of a shifted attention lack something depends on where they lie. What all lack is no border: so it is
    where a query sees all keys before it.
    """
    lead = tuple(range(on.ndim - 2))
    others = np.asarray(on.any(axis=lead, keepdims=True))
    return np.asarray((~on & others).any(axis=axis, keepdims=True))


def _bordered(result: Factor, whole: Factor, cut: Bools) -> Factor:
    """A result in which those elements are marked as having met a border that see less than the whole along an axis."""
    if cut.any() and result.dtype != np.bool_:
        result[2] |= cut & (result[:2] != whole[:2]).any(axis=0)
    return result


def weighted_sum(x: Carried, on: Bools) -> Carried:
    """A product with weights of which some are zero by construction, summed over them.

    Args:
        x: the tensor, ``(*lead, k, n)``.
        on: where weights are not zero; it broadcasts to ``(*lead, m, k)``.

    Returns:
        ``(*lead, m, n)``: each element depends on those of its column of the tensor whose weights are not zero.
    """
    lead = np.broadcast_shapes(x.shape[:-2], on.shape[:-2])
    shape = (*lead, on.shape[-2], x.shape[-1])
    x = spans.broadcast(x, (*lead, *x.shape[-2:]))
    on = on.reshape((1,) * (len(shape) - on.ndim) + on.shape)
    if on.shape[-1] != x.shape[-2]:
        on = np.broadcast_to(on, (*on.shape[:-1], x.shape[-2]))
    return spans.with_context(x, x.each(lambda factor: _summed(factor, on), shape))


def _summed(factor: Factor, on: Bools) -> Factor:
    if factor.shape[-2] == 1:
        some = np.asarray(on.any(axis=-1, keepdims=True))
        return factor if some.all() else np.where(some, factor, spans.nothing(factor))
    whole: Factor = factor.max(axis=-2, keepdims=True)
    if on.all():
        return whole
    # Most rows of most masks leave out nothing: of the others alone each element is looked at.
    rows, (count, columns) = len(factor), on.shape[-2:]
    lead, n = np.broadcast_shapes(factor.shape[1:-2], on.shape[:-2]), factor.shape[-1]
    result = np.broadcast_to(whole, (rows, *lead, count, n)).copy().reshape(rows, -1, n)
    flat = np.broadcast_to(on, (*lead, count, columns)).reshape(-1, columns)
    own = np.broadcast_to(factor, (rows, *lead, columns, n)).reshape(rows, -1, columns, n)
    some_off = np.flatnonzero(~flat.all(axis=-1))
    block = max(1, _BLOCK // max(rows * columns * n, 1))
    for start in range(0, len(some_off), block):
        chosen = some_off[start : start + block]
        kept = np.where(flat[chosen][None, :, :, None], own[:, chosen // count], spans.nothing(factor))
        result[:, chosen] = kept.max(axis=-2)
    return _bordered(result.reshape(rows, *lead, count, n), whole, _cut(on, -1))
