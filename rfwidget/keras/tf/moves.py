"""Rules of operations that move elements: shapes, parts, order, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rfwidget._measure import spans
from rfwidget._measure.places import gathered, masked, replaced
from rfwidget._measure.spans import Carried
from rfwidget.keras.calls import UnknownError
from rfwidget.keras.tf.choices import examples
from rfwidget.keras.tf.table import Call, rule
from rfwidget.keras.tf.values import Flowing, run

# -- shapes ------------------------------------------------------------------------------------------------------------


@rule("Reshape")
def reshape(call: Call) -> Carried:
    """The same elements in another shape."""
    return spans.reshape(call.only(0), [int(n) for n in call.numbers(1)])


@rule("ExpandDims")
def expand(call: Call) -> Carried:
    """One more axis."""
    x = call.only(0)
    return spans.expand(x, int(np.ravel(call.numbers(1))[0]) % (x.rank + 1))


@rule("Squeeze")
def squeeze(call: Call) -> Carried:
    """Without axes of length 1."""
    x = call.only(0)
    named = [int(axis) for axis in call.attr("squeeze_dims")]
    return spans.squeeze(x, named or [axis for axis, n in enumerate(x.shape) if n == 1])


@rule("Transpose ConjugateTranspose")
def transpose(call: Call) -> Carried:
    """The axes in another order."""
    return spans.transpose(call.only(0), [int(axis) for axis in call.numbers(1)])


@rule("BroadcastTo")
def broadcast(call: Call) -> Carried:
    """Stretched along axes of length 1, and to more axes in front."""
    return spans.broadcast(call.only(0), [int(n) for n in call.numbers(1)])


@rule("Tile")
def tile(call: Call) -> Carried:
    """Copies one behind the other."""
    x = call.only(0)
    for axis, count in enumerate(call.numbers(1)):
        x = x if count == 1 else spans.take(x, axis, np.tile(np.arange(x.shape[axis]), int(count)))
    return x


# -- several tensors ---------------------------------------------------------------------------------------------------


@rule("ConcatV2 Concat")
def concat(call: Call) -> Carried:
    """One behind the other; constants depend on nothing."""
    last = call.name == "ConcatV2"
    places = range(len(call.inputs) - 1) if last else range(1, len(call.inputs))
    axis = int(call.numbers(-1 if last else 0))
    return spans.concatenate([call.needed(place) for place in places], axis)


@rule("Pack ParallelConcat")
def pack(call: Call) -> Carried:
    """One behind the other, along an axis of their own."""
    parts = [call.needed(place) for place in range(len(call.inputs))]
    if call.name == "ParallelConcat":
        return spans.concatenate(parts, 0)
    axis = call.attr("axis") % (parts[0].rank + 1)
    return spans.concatenate([spans.expand(part, axis) for part in parts], axis)


@rule("Unpack")
def unpack(call: Call) -> list[Carried]:
    """All elements of an axis, each by itself."""
    x = call.only(0)
    axis = x.axis(call.attr("axis"))
    return [spans.squeeze(spans.cut(x, axis, k, k + 1), [axis]) for k in range(x.shape[axis])]


@rule("Split SplitV")
def split(call: Call) -> list[Carried]:
    """Parts of an axis."""
    x = call.only(1 if call.name == "Split" else 0)
    axis = x.axis(int(call.numbers(0 if call.name == "Split" else 2)))
    if call.name == "Split":
        lengths = [x.shape[axis] // call.count] * call.count
    else:
        lengths = [int(n) for n in call.numbers(1)]
        lengths = [x.shape[axis] - sum(n for n in lengths if n >= 0) if n < 0 else n for n in lengths]
    ends = np.cumsum(lengths)
    return [spans.cut(x, axis, int(end - n), int(end)) for n, end in zip(lengths, ends, strict=True)]


@rule("DynamicStitch ParallelDynamicStitch")
def stitch(call: Call) -> Carried:
    """Rows put where numbers say, the last one counts."""
    count = len(call.inputs) // 2
    numbers = [call.numbers(place) for place in range(count)]
    rest = call.shape(count)[numbers[0].ndim :]
    rows = [spans.reshape(call.needed(count + k), (n.size, *rest)) for k, n in enumerate(numbers)]
    flat = np.concatenate([n.ravel() for n in numbers])
    order = np.full(int(flat.max(initial=-1)) + 1, -1)
    order[flat] = np.arange(len(flat))
    return spans.take(spans.concatenate(rows, 0), 0, order)


@rule("DynamicPartition")
def partition(call: Call) -> list[Carried]:
    """Rows dealt out by numbers."""
    x, numbers = call.only(0), call.numbers(1)
    rows = spans.reshape(x, (numbers.size, *x.shape[numbers.ndim :]))
    return [spans.take(rows, 0, np.flatnonzero(numbers.ravel() == k)) for k in range(call.count)]


# -- parts -------------------------------------------------------------------------------------------------------------


@rule("Slice")
def slice_(call: Call) -> Carried:
    """A block. Where it begins may be decided by the image."""
    x = call.needed(0)
    lengths = [int(n) for n in call.numbers(2)]
    if isinstance(call.inputs[1], Flowing):
        for axis, length in enumerate(lengths):
            if length >= 0:
                x = spans.window(x, axis, x.shape[axis] - length + 1)  # it fits in wherever it begins
        return spans.join([x, spans.reshape(spans.reduce(call.needed(1)), (1,) * x.rank)])
    for axis, (start, length) in enumerate(zip(call.numbers(1), lengths, strict=True)):
        stop = x.shape[axis] if length < 0 else int(start) + length
        x = spans.cut(x, axis, int(start), stop)
    return x


def _keys(call: Call, rank: int, numbers: Sequence[Any]) -> list[Any]:
    """The keys of a strided slice, as NumPy takes them: slices, whole numbers and None, for all axes.

    Args:
        call: of the operation.
        rank: axes of what is cut.
        numbers: where it begins, ends, and in what steps.
    """
    begin, end, step = numbers
    masks = {name: int(call.attr(f"{name}_mask")) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    keys: list[Any] = []
    for place in range(len(begin)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            keys.append(Ellipsis)
        elif masks["new_axis"] & bit:
            keys.append(None)
        elif masks["shrink_axis"] & bit:
            keys.append(int(begin[place]))
        else:
            low = None if masks["begin"] & bit else int(begin[place])
            high = None if masks["end"] & bit else int(end[place])
            keys.append(slice(low, high, int(step[place])))
    taken = sum(key is not None and key is not Ellipsis for key in keys)
    rest = [slice(None)] * (rank - taken)
    dots = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    return [*keys[:dots], *rest, *keys[dots + 1 :]]


@rule("StridedSlice")
def strided_slice(call: Call) -> Carried:
    """``x[a:b:c, 0, None]``."""
    x = call.needed(0)
    if any(isinstance(value, Flowing) for value in call.inputs[1:]):
        return _moving_slice(call, x)
    axis, shape = 0, []
    for key in _keys(call, x.rank, [call.numbers(place) for place in (1, 2, 3)]):
        if key is None:
            shape.append(1)
        elif isinstance(key, int):
            place = key % x.shape[axis]
            x = spans.cut(x, axis, place, place + 1)
            axis += 1
        else:
            start, stop, step = key.indices(x.shape[axis])
            x = spans.cut(x, axis, start, stop, step)
            shape.append(x.shape[axis])
            axis += 1
    return spans.reshape(x, shape)


def _moving_slice(call: Call, x: Carried) -> Carried:
    """A slice that begins where the image says, but fits in: along each axis, what the places in question hold."""
    if call.carried(3) is not None:
        raise UnknownError("a slice in steps that the image decides")
    one, other = (_keys(call, x.rank, numbers) for numbers in examples(call.inputs[1:]))
    shape, axis = [], 0
    for key, also in zip(one, other, strict=True):
        if key is None:
            shape.append(1)
            continue
        step = (key.step or 1) if isinstance(key, slice) else 1
        length = len(range(*key.indices(_ENDLESS))) if isinstance(key, slice) else 1
        if isinstance(key, slice) and length != len(range(*also.indices(_ENDLESS))):
            raise UnknownError("a slice as long as the image decides")
        if key == also:
            index = np.arange(x.shape[axis])[key if isinstance(key, slice) else [key]]
            x, length = spans.take(x, axis, index), len(index)
        else:
            x = spans.window(x, axis, x.shape[axis] - (length - 1) * step, stride=step)
        shape += [length] if isinstance(key, slice) else []
        axis += 1
    where = [spans.reduce(c) for c in (call.carried(1), call.carried(2)) if c is not None]
    return spans.join([spans.reshape(x, shape), *(spans.reshape(w, (1,) * len(shape)) for w in where)])


_ENDLESS = 1 << 30
"""Long enough for any slice to fit in."""


@rule("XlaDynamicUpdateSlice")
def block_update(call: Call) -> Carried:
    """A tensor with a block replaced, which is moved inside where it would reach out."""
    x, new = call.needed(0), call.needed(1)
    starts = [min(max(int(n), 0), x.shape[axis] - new.shape[axis]) for axis, n in enumerate(call.numbers(2))]
    block = tuple(slice(start, start + n) for start, n in zip(starts, new.shape, strict=True))
    return replaced(x, np.arange(math.prod(x.shape)).reshape(x.shape)[block], new)


@rule("TensorStridedSliceUpdate")
def sliced_update(call: Call) -> Carried:
    """A tensor with a slice replaced."""
    x, new = call.needed(0), call.needed(4)
    keys = _keys(call, x.rank, [call.numbers(place) for place in (1, 2, 3)])
    places = np.arange(math.prod(x.shape)).reshape(x.shape)[tuple(keys)]
    return replaced(x, places, spans.broadcast(new, places.shape))


# -- order -------------------------------------------------------------------------------------------------------------


@rule("ReverseV2 Reverse")
def reverse(call: Call) -> Carried:
    """Backwards along some axes."""
    x = call.only(0)
    for axis in np.flatnonzero(call.numbers(1)).tolist() if call.name == "Reverse" else call.axes(1, x.rank):
        x = spans.take(x, axis, np.arange(x.shape[axis])[::-1])
    return x


@rule("Roll")
def roll(call: Call) -> Carried:
    """Shifted; what leaves at one end comes back at the other. By a number of the image's: anywhere."""
    x = call.needed(0)
    axes = [int(axis) % x.rank for axis in np.atleast_1d(call.numbers(2))]
    if isinstance(call.inputs[1], Flowing):
        where = spans.reshape(spans.reduce(call.needed(1)), (1,) * x.rank)
        return spans.join([spans.reduce(x, axes, keepdims=True), where], x.shape)
    for shift, axis in zip(np.atleast_1d(call.numbers(1)), axes, strict=True):
        x = spans.take(x, axis, np.roll(np.arange(x.shape[axis]), int(shift)))
    return x


@rule("ReverseSequence MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiag MatrixDiagV2 MatrixDiagV3"
      " MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 Diag DiagPart BatchMatrixDiag BatchMatrixDiagPart"
      " BatchMatrixSetDiag")  # fmt: skip
def by_numbers(call: Call) -> Carried:
    """Elements that only move: where to shows when the operation runs on their numbers."""
    numbers: list[Any] = []
    parts, start = [], 1  # 0 is what the operation fills in
    moved = 2 if "SetDiag" in call.name else 1
    for place, value in enumerate(call.inputs):
        if place >= moved:
            padding = "Diag" in call.name and place == len(call.inputs) - 1 and place >= 2
            told = np.zeros((), np.int64) if padding and "SetDiag" not in call.name else call.numbers(place)
            numbers.append(tf.constant(told))
            continue
        count = math.prod(value.shape)
        numbers.append(tf.constant(np.arange(start, start + count, dtype=np.int64).reshape(value.shape)))
        parts.append(spans.reshape(call.needed(place), (-1,)))
        start += count
    found = _on_numbers(call, numbers) - 1
    return gathered(spans.concatenate(parts, 0), found)


def _on_numbers(call: Call, numbers: Sequence[Any]) -> Any:
    return np.asarray(run(call.operation, numbers)[0])


@rule("RandomShuffle StatelessShuffle")
def shuffled(call: Call) -> Carried:
    """Rows in any order."""
    x = call.only(0)
    return spans.broadcast(spans.reduce(x, [0], keepdims=True), x.shape)


@rule("StridedSliceGrad")
def slice_put_back(call: Call) -> Carried:
    """A slice at its place in a larger tensor, which is zero elsewhere."""
    new = call.only(4)
    shape = [int(n) for n in call.numbers(0)]
    keys = _keys(call, len(shape), [call.numbers(place) for place in (1, 2, 3)])
    places = np.arange(math.prod(shape)).reshape(shape)[tuple(keys)]
    return spans.scatter([spans.broadcast(new, places.shape)], shape, places)


@rule("MatrixBandPart BatchMatrixBandPart")
def band(call: Call) -> Carried:
    """Nothing is left away from the diagonal."""
    x = call.only(0)
    rows, columns = x.shape[-2:]
    lower, upper = (int(call.numbers(place)) for place in (1, 2))
    distance = np.arange(rows)[:, None] - np.arange(columns)
    kept = ((lower < 0) | (distance <= lower)) & ((upper < 0) | (-distance <= upper))
    return masked(x, kept)


# -- padding -----------------------------------------------------------------------------------------------------------


@rule("Pad PadV2")
def pad(call: Call) -> Carried:
    """A border of one number."""
    x = call.needed(0)
    for axis, (before, after) in enumerate(call.numbers(1)):
        x = spans.pad(x, axis, int(before), int(after))
    number = call.carried(2) if len(call.inputs) > 2 else None
    if number is None:
        return x
    inside = np.zeros(x.shape, bool)
    inside[tuple(slice(int(b), n - int(a)) for (b, a), n in zip(call.numbers(1), x.shape, strict=True))] = True
    border = masked(spans.broadcast(spans.reshape(number, (1,) * x.rank), x.shape), ~inside)
    return spans.join([x, border])


@rule("MirrorPad")
def mirror_pad(call: Call) -> Carried:
    """A border that mirrors the tensor."""
    x = call.only(0)
    mode: Any = "reflect" if call.attr("mode") == "REFLECT" else "symmetric"
    for axis, (before, after) in enumerate(call.numbers(1)):
        if before or after:
            x = spans.take(x, axis, np.pad(np.arange(x.shape[axis]), (int(before), int(after)), mode=mode))
    return x


# -- searching ---------------------------------------------------------------------------------------------------------


@rule("LowerBound UpperBound")
def search(call: Call) -> Carried:
    """Where values stand in sorted rows: each depends on itself and on its row."""
    parts = []
    if call.carried(0) is not None:
        parts.append(spans.reduce(call.needed(0), [-1], keepdims=True))
    if call.carried(1) is not None:
        parts.append(call.needed(1))
    return spans.join(parts, call.shape(1))


@rule("Bincount DenseBincount HistogramFixedWidth")
def histogram(call: Call) -> Carried:
    """How many: of everything, or row by row."""
    if call.name == "HistogramFixedWidth":
        return spans.everything(call.all_carried, (int(call.numbers(2)),))
    count = int(call.numbers(1))
    if call.name == "Bincount" or len(call.shape(0)) < 2:
        return spans.everything(call.all_carried, (count,))
    rows = [spans.reduce(x, [1], keepdims=True) for x in call.all_carried]
    return spans.broadcast(spans.join(rows), (call.shape(0)[0], count))


@rule("Range LinSpace")
def line(call: Call) -> Carried:
    """Numbers between limits that the image decides, if it does not decide how many."""
    return spans.everything(call.all_carried, call.static_shape)
