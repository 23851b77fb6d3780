"""Rules of reading and writing elements by number.

A number from the image may be any, so what is read then is everything along the axes that are indexed.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rfwidget._measure import spans
from rfwidget._measure.places import gathered, replaced
from rfwidget._measure.spans import Carried
from rfwidget.keras.jax.table import Call, rule

Numbers = npt.NDArray[Any]


# -- reading -----------------------------------------------------------------------------------------------------------


@rule("gather")
def gather(call: Call) -> Carried:
    """Parts of a tensor that begin at numbered places."""
    parts = []
    numbers, dimensions = call.numbers(1), call["dimension_numbers"]
    if call.carried(1) is not None:
        own = spans.reduce(call.needed(1), [-1])
        shape = list(call.result)
        for axis in dimensions.offset_dims:
            shape[axis] = 1
        parts.append(spans.reshape(own, shape))
    if call.carried(0) is not None:
        parts.append(_anywhere(call) if numbers is None else _at(call, numbers))
    return spans.join(parts, call.result)


def _at(call: Call, numbers: Numbers) -> Carried:
    x, dimensions, sizes = call.needed(0), call["dimension_numbers"], call["slice_sizes"]
    if len(dimensions.start_index_map) == 1 and dimensions.start_index_map == dimensions.collapsed_slice_dims:
        (axis,) = dimensions.start_index_map
        whole = all(size == n for other, (size, n) in enumerate(zip(sizes, x.shape, strict=True)) if other != axis)
        if whole and not dimensions.operand_batching_dims:
            taken = spans.take(x, axis, _within(numbers[..., 0].ravel(), x.shape[axis], call["mode"]))
            places = [a for a in range(len(call.result)) if a not in dimensions.offset_dims]
            order = [*places, *dimensions.offset_dims]  # of the result: numbers, then what is taken
            front = spans.transpose(taken, [axis, *(a for a in range(x.rank) if a != axis)])
            front = spans.reshape(front, [call.result[a] for a in order])
            return spans.transpose(front, [order.index(a) for a in range(len(order))])
    return gathered(x, _places(x.shape, numbers, dimensions, sizes, call["mode"]))


def _within(numbers: Numbers, length: int, mode: Any) -> Numbers:
    """Numbers of elements; those outside are nothing, or the nearest that there is."""
    if "CLIP" in str(mode):
        return np.clip(numbers, 0, length - 1)
    return np.where((numbers < 0) | (numbers >= length), -1, numbers)


def _places(shape: tuple[int, ...], numbers: Numbers, dimensions: Any, sizes: Any, mode: Any) -> Numbers:
    """The number, in the order of C, of each element that is read; -1: none."""
    own = jnp.arange(math.prod(shape), dtype=jnp.int32).reshape(shape)
    clip = "CLIP" in str(mode)
    found = jax.lax.gather(own, jnp.asarray(numbers), dimensions, sizes, mode="clip" if clip else "fill", fill_value=-1)
    return np.asarray(found)


def _anywhere(call: Call) -> Carried:
    x, dimensions, sizes = call.needed(0), call["dimension_numbers"], call["slice_sizes"]
    x = spans.reduce(x, dimensions.start_index_map, keepdims=True)
    gone = (*dimensions.collapsed_slice_dims, *dimensions.operand_batching_dims)
    for axis, size in enumerate(sizes):
        if axis not in gone and axis not in dimensions.start_index_map:
            x = spans.cut(x, axis, 0, size)
    # Axes of the result: those of the numbers, in order, and between them those of what is taken.
    kept = [axis for axis in range(x.rank) if axis not in gone]
    places = [axis for axis in range(len(call.result)) if axis not in dimensions.offset_dims]
    of_indices = list(range(len(call.shape(1)) - 1))
    lengths = [1] * len(call.result)
    moved: list[int] = []
    for axis, target in zip(kept, dimensions.offset_dims, strict=True):
        lengths[target] = x.shape[axis]
    for axis, index_axis in zip(dimensions.operand_batching_dims, dimensions.start_indices_batching_dims, strict=True):
        lengths[places[of_indices.index(index_axis)]] = x.shape[axis]
    sources: dict[int, int] = dict(zip(dimensions.offset_dims, kept, strict=True))
    for axis, index_axis in zip(dimensions.operand_batching_dims, dimensions.start_indices_batching_dims, strict=True):
        sources[places[of_indices.index(index_axis)]] = axis
    moved = [sources[target] for target in sorted(sources)]
    rest = [axis for axis in range(x.rank) if axis not in moved]
    return spans.reshape(spans.transpose(x, [*rest, *moved]), lengths)


@rule("dynamic_slice")
def dynamic_slice(call: Call) -> Carried:
    """A part that begins where numbers say."""
    x, parts = call.needed(0), []
    for axis, size in enumerate(call["slice_sizes"]):
        start = call.numbers(1 + axis)
        if start is None:
            parts.append(spans.reshape(call.needed(1 + axis), (1,) * x.rank))
            if size < x.shape[axis]:
                whole = spans.reduce(x, [axis], keepdims=True)
                x = spans.broadcast(whole, (*x.shape[:axis], size, *x.shape[axis + 1 :]))
        else:
            first = min(max(int(start), 0), x.shape[axis] - size)
            x = spans.cut(x, axis, first, first + size)
    return spans.join([x, *parts])


# -- writing -----------------------------------------------------------------------------------------------------------


@rule("dynamic_update_slice")
def dynamic_update_slice(call: Call) -> Carried:
    """A part replaced that begins where numbers say."""
    x, new = call.needed(0), call.needed(1)
    starts = [call.numbers(2 + axis) for axis in range(x.rank)]
    if any(start is None for start in starts):
        decides = [spans.reshape(c, (1,) * x.rank) for c in map(call.carried, range(2, 2 + x.rank)) if c is not None]
        for axis, start in enumerate(starts):
            if start is None:
                new = spans.reduce(new, [axis], keepdims=True)
            else:
                first = min(max(int(start), 0), x.shape[axis] - new.shape[axis])
                new = spans.pad(new, axis, first, x.shape[axis] - first - new.shape[axis])
        return spans.join([x, new, *decides], x.shape)
    return _laid(x, [min(max(int(s), 0), n - m) for s, n, m in zip(starts, x.shape, new.shape, strict=True)], new, 0)  # type: ignore[arg-type]


def _laid(x: Carried, starts: list[int], new: Carried, axis: int) -> Carried:
    """A tensor with a part replaced, axis by axis."""
    if axis == x.rank:
        return new
    start, stop = starts[axis], starts[axis] + new.shape[axis]
    inner = _laid(spans.cut(x, axis, start, stop), starts, new, axis + 1)
    parts = [spans.cut(x, axis, 0, start), inner, spans.cut(x, axis, stop, x.shape[axis])]
    return spans.concatenate([part for part in parts if part.shape[axis]] or parts[:1], axis)


@rule("scatter scatter_add scatter_mul scatter_min scatter_max scatter_sub")
def scatter(call: Call) -> Carried:
    """Elements put into a tensor, or added to it, at numbered places."""
    x, new, numbers, dimensions = call.needed(0), call.needed(2), call.numbers(1), call["dimension_numbers"]
    fixed = (*dimensions.inserted_window_dims, *dimensions.operand_batching_dims)
    windows = iter(dimensions.update_window_dims)
    sizes = [1 if axis in fixed else new.shape[next(windows)] for axis in range(x.rank)]
    if numbers is None:
        return _somewhere(call, x, new, sizes)
    reading = jax.lax.GatherDimensionNumbers(
        offset_dims=dimensions.update_window_dims,
        collapsed_slice_dims=dimensions.inserted_window_dims,
        start_index_map=dimensions.scatter_dims_to_operand_dims,
        operand_batching_dims=dimensions.operand_batching_dims,
        start_indices_batching_dims=dimensions.scatter_indices_batching_dims,
    )
    axis = _single_axis(dimensions, sizes, x.shape)
    if axis is not None and call.name == "scatter" and numbers.size == 1:
        start = int(numbers.ravel()[0])
        wide = spans.reshape(new, sizes)
        if 0 <= start <= x.shape[axis] - sizes[axis]:
            return _laid(x, [start if a == axis else 0 for a in range(x.rank)], wide, 0)
    places = _places(x.shape, numbers, reading, tuple(sizes), call["mode"])
    there = places[places >= 0]
    if call.name == "scatter" and len(np.unique(there)) == there.size:
        flat = spans.take(spans.reshape(new, (-1,)), 0, np.flatnonzero(places.ravel() >= 0))
        return replaced(x, there, flat)
    return spans.join([x, spans.scatter([new], x.shape, places)])


def _single_axis(dimensions: Any, sizes: list[int], shape: tuple[int, ...]) -> int | None:
    """The one axis along which a part begins elsewhere than at the start, if that is all; None: it is not."""
    if len(dimensions.scatter_dims_to_operand_dims) != 1 or dimensions.operand_batching_dims:
        return None
    (axis,) = dimensions.scatter_dims_to_operand_dims
    return axis if all(size == n for a, (size, n) in enumerate(zip(sizes, shape, strict=True)) if a != axis) else None


def _somewhere(call: Call, x: Carried, new: Carried, sizes: list[int]) -> Carried:
    """The image decides where: each place may be one of them, along the axes that are indexed."""
    dimensions = call["dimension_numbers"]
    parts = [x, spans.reshape(spans.reduce(call.needed(1)), (1,) * x.rank)]
    batch = [axis for axis in range(new.rank) if axis not in dimensions.update_window_dims]
    if dimensions.operand_batching_dims:
        return spans.join([x, spans.everything([new, call.needed(1)], x.shape)])
    whole = spans.reduce(new, batch)  # the windows alone
    kept = [a for a in range(x.rank) if a not in dimensions.inserted_window_dims]
    whole = spans.reduce(
        whole,
        [place for place, a in enumerate(kept) if a in dimensions.scatter_dims_to_operand_dims],
        keepdims=True,
    )
    lengths = [1] * x.rank
    for place, axis in enumerate(kept):
        lengths[axis] = whole.shape[place]
    found = spans.reshape(whole, lengths)
    for axis in kept:
        if axis not in dimensions.scatter_dims_to_operand_dims:
            found = spans.pad(found, axis, 0, x.shape[axis] - sizes[axis])
    return spans.join([*parts, found], x.shape)
