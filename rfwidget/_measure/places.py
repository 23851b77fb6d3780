"""Moving elements of a `Carried` by the numbers of their places, in the order of C."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.spans import Carried


def gathered(x: Carried, places: npt.NDArray[Any]) -> Carried:
    """Elements by number, in the shape of the numbers; -1 stands for nothing."""
    return spans.reshape(spans.take(spans.reshape(x, (-1,)), 0, np.asarray(places).ravel()), np.shape(places))


def replaced(x: Carried, places: npt.NDArray[Any], new: Carried) -> Carried:
    """A tensor in which elements, by number, make way for others."""
    order = np.arange(math.prod(x.shape))
    order[places.ravel()] = len(order) + np.arange(places.size)
    both = spans.concatenate([spans.reshape(x, (-1,)), spans.reshape(new, (-1,))], 0)
    return spans.reshape(spans.take(both, 0, order), x.shape)


def masked(x: Carried, kept: npt.NDArray[np.bool_] | None) -> Carried:
    """A tensor that depends on nothing where a mask is False; it broadcasts to the tensor. None: no mask."""
    if kept is None:
        return x
    kept = np.asarray(kept, bool)
    kept = kept.reshape((1,) * (x.rank - kept.ndim) + kept.shape)
    axes = [axis for axis in range(x.rank) if kept.shape[axis] > 1 and bool((kept != kept.take([0], axis)).any())]
    if not axes:
        return x if kept.all() else spans.nowhere(x.shape, x)
    if len(axes) == 1:
        axis = axes[0]
        line = np.moveaxis(kept, axis, -1).reshape(-1, kept.shape[axis])[0]
        return spans.take(x, axis, np.where(line, np.arange(x.shape[axis]), -1))
    whole = np.broadcast_to(kept, x.shape)
    return spans.scatter([x], x.shape, np.where(whole, np.arange(math.prod(x.shape)).reshape(x.shape), -1))


def mixed(x: Carried, axis: int, mask: npt.NDArray[np.bool_]) -> Carried:
    """As `spans.mix`, for masks of which each column has few elements: filters, interpolation."""
    most = int(mask.sum(axis=0).max(initial=0))
    if most > 16 or mask.all():
        return spans.mix(x, axis, mask)
    # The numbers of the True elements of each column, in order, filled up with -1.
    order = np.argsort(~mask, axis=0, kind="stable")[: max(most, 1)]
    present = np.take_along_axis(mask, order, axis=0) if mask.shape[0] else np.zeros_like(order, bool)
    return spans.read(x, axis, list(np.where(present, order, -1)))


def transposed(
    x: Carried,
    places: Sequence[int],
    channels: int,
    taps: npt.NDArray[np.bool_],
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    starts: Sequence[int],
    lengths: Sequence[int],
    groups: int = 1,
) -> Carried:
    """A transposed convolution, with the taps that its kernel really has.

    Args:
        x: the tensor.
        places: axes along which the kernel moves.
        channels: axis of the channels.
        taps: where the kernel is not zero by construction, ``(*sizes, channels in, channels out)``; the
            channels in may be one if they do not matter.
        strides: results between the first ones of two elements, one for each place.
        dilations: one for each place.
        starts: the first result that is kept, one for each place.
        lengths: how many are kept.
        groups: of channels; ``channels in`` are those of one of them.
    """
    sizes = taps.shape[: len(places)]
    if taps.all():
        x = spans.grouped(x, x.axis(channels), groups, taps.shape[-1])
        for place, size, stride, dilation, start, length in zip(
            places, sizes, strides, dilations, starts, lengths, strict=True
        ):
            x = spans.transposed_window(x, place, size, stride=stride, dilation=dilation, start=start, length=length)
        return x
    # With holes in the kernel: the elements apart, then an ordinary convolution with the kernel turned round.
    borders = []
    for place, size, stride, dilation, start, length in zip(
        places, sizes, strides, dilations, starts, lengths, strict=True
    ):
        spread = (x.shape[place] - 1) * stride + 1
        x = spans.transposed_window(x, place, 1, stride=stride, length=spread)
        reach = (size - 1) * dilation
        borders.append((reach - start, length + start - spread))
    turned = np.flip(taps, axis=tuple(range(len(places))))
    return spans.convolve(
        x, places, channels, turned, strides=[1] * len(places), dilations=dilations, paddings=borders, groups=groups
    )
