"""Rules of reading and writing elements by number, where the numbers are known, or come from the image.

A number from the image may be any, so what is read is everything along the axes that are indexed; unless only a few
are possible (`rfwidget.keras.tf.choices`): then it is what any of those would read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.places import gathered, replaced
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.tf.choices import choices
from rfwidget.keras.tf.table import Call, rule
from rfwidget.keras.tf.values import Constant

Numbers = npt.NDArray[Any]


def _possible(call: Call, place: int, *, tuples: bool = False) -> Iterable[Numbers] | None:
    """The numbers of an input: one array, or one for each way in which they may come out; None: any."""
    value = call.inputs[place]
    return [value.numbers] if isinstance(value, Constant) else choices(value, tuples=tuples)


# -- reading -----------------------------------------------------------------------------------------------------------


@rule("Gather GatherV2 ResourceGather")
def gather(call: Call) -> Carried:
    """Elements along an axis."""
    x, indices = call.needed(0), call.inputs[1]
    axis = int(call.numbers(2)) % x.rank if len(call.inputs) > 2 else 0
    lead = int(call.attr("batch_dims")) % (len(indices.shape) + 1) if call.has("batch_dims") else 0
    shape = (*x.shape[:axis], *indices.shape[lead:], *x.shape[axis + 1 :])
    parts = []
    if call.carried(1) is not None:
        own = spans.reshape(
            call.needed(1),
            (*indices.shape[:lead], *(1,) * (axis - lead), *indices.shape[lead:], *(1,) * (x.rank - axis - 1)),
        )
        parts.append(spans.broadcast(own, shape))
    if call.carried(0) is not None:
        possible = _possible(call, 1)
        if possible is None:
            whole = spans.reduce(x, [axis], keepdims=True)
            wide = (*x.shape[:axis], *(1,) * (len(indices.shape) - lead), *x.shape[axis + 1 :])
            parts.append(spans.broadcast(spans.reshape(whole, wide), shape))
        else:
            parts += [_gathered(x, numbers, axis, lead, shape) for numbers in possible]
    return spans.join(parts)


def _gathered(x: Carried, numbers: Numbers, axis: int, lead: int, shape: tuple[int, ...]) -> Carried:
    numbers = np.where((numbers < 0) | (numbers >= x.shape[axis]), -1, numbers)
    if lead == 0:
        return spans.reshape(spans.take(x, axis, numbers.ravel()), shape)
    count = math.prod(x.shape[:lead])
    tail = x.shape[lead:]
    flat, lines = spans.reshape(x, (count, *tail)), numbers.reshape(count, -1)
    if (lines == lines[:1]).all():
        return spans.reshape(spans.take(flat, 1 + axis - lead, lines[0]), shape)
    places = np.arange(math.prod(x.shape)).reshape(count, *tail)
    found = np.stack([
        np.where(
            _along(line < 0, axis - lead, len(tail)), -1, np.take(own, np.maximum(line, 0), axis=axis - lead)
        )
        for own, line in zip(places, lines, strict=True)
    ])  # fmt: skip
    return spans.reshape(gathered(x, found), shape)


def _along(line: Numbers, axis: int, rank: int) -> Numbers:
    return line.reshape([-1 if other == axis else 1 for other in range(rank)])


@rule("GatherNd ResourceGatherNd")
def gather_nd(call: Call) -> Carried:
    """Elements by their places along the first axes."""
    x, indices = call.needed(0), call.inputs[1]
    count = indices.shape[-1]
    shape = (*indices.shape[:-1], *x.shape[count:])
    parts = []
    if call.carried(1) is not None:
        own = spans.reduce(call.needed(1), [-1])
        parts.append(spans.broadcast(spans.reshape(own, (*own.shape, *(1,) * (x.rank - count))), shape))
    if call.carried(0) is not None:
        possible = _possible(call, 1, tuples=True)
        if possible is None:
            whole = spans.reduce(x, range(count))
            parts.append(
                spans.broadcast(spans.reshape(whole, (*(1,) * (len(shape) - whole.rank), *whole.shape)), shape)
            )
        else:
            flat = spans.reshape(x, (math.prod(x.shape[:count]), *x.shape[count:]))
            for numbers in possible:
                rows = _flat(numbers, x.shape[:count])
                parts.append(spans.reshape(spans.take(flat, 0, rows.ravel()), shape))
    return spans.join(parts)


def _flat(numbers: Numbers, lengths: tuple[int, ...]) -> Numbers:
    """Places along several axes as one number, in the order of C; -1 where there is no such place."""
    flat = np.zeros(numbers.shape[:-1], np.int64)
    outside = np.zeros(numbers.shape[:-1], bool)
    for k, length in enumerate(lengths):
        column = numbers[..., k]
        flat *= length
        flat += column
        outside |= (column < 0) | (column >= length)
    flat[outside] = -1
    return flat


# -- writing -----------------------------------------------------------------------------------------------------------


@rule("ScatterNd TensorScatterUpdate TensorScatterAdd TensorScatterSub TensorScatterMax TensorScatterMin"
      " ScatterNdNonAliasingAdd")  # fmt: skip
def scatter_nd(call: Call) -> Carried:
    """Elements put at places along the first axes, into nothing or into a tensor."""
    fresh = call.name == "ScatterNd"
    at, new = (0, 1) if fresh else (1, 2)
    shape = tuple(int(n) for n in call.numbers(2)) if fresh else call.shape(0)
    if not shape:
        raise UnknownError(call.name)
    count = call.shape(at)[-1]
    written = call.needed(new)
    if call.carried(at) is not None:
        own = spans.reduce(call.needed(at), [-1])
        wide = (*own.shape, *(1,) * (len(shape) - count))
        written = spans.join([written, spans.reshape(own, wide)])
    possible = _possible(call, at, tuples=True)
    kept = call.carried(0) if not fresh else None
    if possible is None:
        whole = spans.reduce(written, range(len(call.shape(at)) - 1))
        parts = [spans.reshape(whole, (*(1,) * count, *shape[count:])), *([kept] if kept is not None else [])]
        return spans.join(parts, shape)
    if call.name == "TensorScatterUpdate" and isinstance(possible, list):
        return _updated(call.needed(0), written, possible[0], count)
    parts = [_scattered(written, numbers, shape, count) for numbers in possible]
    return spans.join([*parts, *([kept] if kept is not None else [])], shape)


def _scattered(written: Carried, numbers: Numbers, shape: tuple[int, ...], count: int) -> Carried:
    rows, tail = _flat(numbers, shape[:count]).ravel(), shape[count:]
    if not tail and len(shape) > 1:
        thin = _without_channels(written, rows, shape)
        if thin is not None:
            return thin
    length = math.prod(tail)
    flat = np.where(rows[:, None] < 0, -1, rows[:, None] * length + np.arange(length))
    return spans.scatter([spans.reshape(written, (rows.size, length))], shape, flat)


def _without_channels(written: Carried, rows: Numbers, shape: tuple[int, ...]) -> Carried | None:
    """The same with one channel, where all channels are put alike; None: they are not."""
    channels = shape[-1]
    if channels == 1 or rows.size % channels:
        return None
    lines = rows.reshape(-1, channels)
    if (lines < 0).any() or (lines != lines[:, :1] + np.arange(channels)).any() or (lines[:, 0] % channels).any():
        return None
    split = spans.reshape(written, (-1, channels))
    if any(factor.shape[2] > 1 for plane in split.planes for factor in plane):
        return None
    one = spans.scatter([spans.cut(split, 1, 0, 1)], (*shape[:-1], 1), lines[:, 0] // channels)
    return spans.broadcast(one, shape)


def _updated(x: Carried, written: Carried, numbers: Numbers, count: int) -> Carried:
    rows, tail = _flat(numbers, x.shape[:count]).ravel(), x.shape[count:]
    present = np.flatnonzero(rows >= 0)
    flat = spans.reshape(x, (math.prod(x.shape[:count]), *tail))
    new = spans.take(spans.reshape(written, (rows.size, *tail)), 0, present)
    if flat.rank == 1:
        return spans.reshape(replaced(flat, rows[present], new), x.shape)
    order = np.arange(flat.shape[0])
    order[rows[present]] = flat.shape[0] + np.arange(len(present))
    return spans.reshape(spans.take(spans.concatenate([flat, new], 0), 0, order), x.shape)


@rule("InplaceUpdate InplaceAdd InplaceSub")
def rows_written(call: Call) -> Carried:
    """Rows of a tensor replaced, or added to."""
    x, new = call.needed(0), call.needed(2)
    rows = call.numbers(1)
    if call.name == "InplaceUpdate":
        return _updated(x, new, rows[:, None], 1)
    order = np.full(x.shape[0], -1)
    order[rows] = np.arange(len(rows))
    return spans.join([x, spans.take(new, 0, order)])
