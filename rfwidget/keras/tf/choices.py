"""Numbers that come from the image, of which only a few are possible.

Where a maximum lay in its window, which of a few channels was the largest, whether something was positive: code makes
places out of these and reads or writes there. `choices` runs that code on each of the possible numbers.

It does so only where every element goes its own way: an element of the result, or a tuple of them that names one place,
must be made of one element of the source, for two elements choose independently.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rfwidget.keras.calls import UnknownError
from rfwidget.keras.domains import same_padding
from rfwidget.keras.tf.pointwise import POINTWISE
from rfwidget.keras.tf.table import Call
from rfwidget.keras.tf.values import Constant, Flowing, run

Numbers = npt.NDArray[Any]

_MOST = 64
"""So many ways are tried at most."""

_LARGEST = 1 << 24
"""Numbers in one of them, at most."""

_ALONE = frozenset((POINTWISE + " Mul LogicalAnd LogicalOr BitwiseAnd Div DivNoNan RealDiv SelectV2").split())
_MOVES = frozenset(
    {"Reshape", "ExpandDims", "Squeeze", "Transpose", "BroadcastTo", "Tile", "Unpack", "StridedSlice", "Slice"}
)
_TOGETHER = frozenset({"Pack", "ConcatV2"})


def choices(value: Flowing, *, tuples: bool = False) -> Iterator[Numbers] | None:
    """All numbers that a tensor may hold, as one tensor for each way, one after the other.

    Args:
        value: the tensor.
        tuples: whether the last axis holds numbers that belong together.

    Returns:
        Tensors of its shape; each element has, in one or another of them, every number that it may have. None: it may
        hold more than can be tried.
    """
    try:
        sources = _sources(value)
        ways = math.prod(len(possible) for possible in sources.values())
        if ways > _MOST or math.prod(value.shape) > _LARGEST:
            return None
        for source in sources:
            _check_alone(value, source, tuples=tuples)
    except UnknownError:
        return None
    chosen = itertools.product(*sources.values())
    return (np.asarray(_worked_out(value, dict(zip(sources, one, strict=True)))) for one in chosen)


def is_telling(value: Flowing) -> bool:
    """Whether it matters to code that reads a tensor later, what that was made of: it holds places, or may."""
    if not value.dtype.is_floating:
        return True
    try:
        return bool(_sources(value))
    except UnknownError:
        return False


def _sources(value: Flowing) -> dict[Flowing, list[Numbers]]:
    """The sources of a tensor, with what they may hold."""
    found: dict[Flowing, list[Numbers]] = {}
    stack: list[Any] = [value]
    done: set[int] = set()
    while stack:
        one = stack.pop()
        if id(one) in done or not isinstance(one, Flowing):
            continue
        done.add(id(one))
        if one.operation is None:
            raise UnknownError("from outside")
        possible = _possible(one)
        if possible is not None:
            found[one] = possible
        elif one.operation.type in _ALONE | _TOGETHER | _MOVES | {"UnravelIndex"} or _is_table(one):
            stack += one.inputs
        else:
            raise UnknownError(one.operation.type)
    return found


def _possible(value: Flowing) -> list[Numbers] | None:
    """What the result of an operation may hold, where these are few whatever it is given."""
    kind, call = value.operation.type, Call(value.operation, value.inputs)
    if kind == "MaxPoolWithArgmax" and value.output == 1:
        return _in_windows(call, value.shape, value.dtype.as_numpy_dtype)
    if value.dtype == tf.bool and kind not in _MOVES and kind not in _TOGETHER:
        return [np.zeros(value.shape, bool), np.ones(value.shape, bool)]
    if kind in ("ArgMax", "ArgMin"):
        x = call.shape(0)
        length = x[int(np.ravel(call.numbers(1))[0]) % len(x)]
    elif kind == "TopKV2" and value.output == 1:
        length = call.shape(0)[-1]
    else:
        return None
    if length > _MOST:
        raise UnknownError(kind)
    return [np.full(value.shape, place, value.dtype.as_numpy_dtype) for place in range(length)]


def _in_windows(call: Call, shape: tuple[int, ...], dtype: Any) -> list[Numbers]:
    """Where a maximum may lie: the places of its window."""
    _, height, width, channels = call.shape(0)
    sizes, strides = (call.attr(name)[1:3] for name in ("ksize", "strides"))
    batch = np.arange(shape[0])[:, None, None, None] * int(call.attr("include_batch_in_index"))
    starts = []
    for length, size, stride, results in zip((height, width), sizes, strides, shape[1:3], strict=True):
        before = same_padding(length, size, stride, 1)[0] if call.attr("padding") == "SAME" else 0
        starts.append(np.arange(results) * stride - before)
    rows, columns = starts[0][None, :, None, None], starts[1][None, None, :, None]
    found = []
    for down, right in itertools.product(range(sizes[0]), range(sizes[1])):
        # A place outside the map is never the largest; the nearest inside is in the window as well.
        y, x = np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)
        place = ((batch * height + y) * width + x) * channels + np.arange(channels)
        found.append(place.astype(dtype))
    return found


def examples(values: Sequence[Any]) -> list[list[Numbers]]:
    """Numbers that some tensors might hold together, two times: what does not differ does not depend on the image.

    What they are made of by operations on elements is worked out; what that was made of is given any numbers.
    """
    followed = _ALONE | _TOGETHER | _MOVES
    found = []
    for number in (1, 2):
        done: dict[int, Any] = {}

        def visit(one: Any, number: int = number, done: dict[int, Any] = done) -> Any:
            if id(one) not in done:
                if isinstance(one, Constant):
                    done[id(one)] = one.held
                elif one.operation is None or one.operation.type not in followed:
                    done[id(one)] = tf.cast(tf.fill(one.shape, number), one.dtype)
                else:
                    done[id(one)] = run(one.operation, [visit(part) for part in one.inputs])[one.output]
            return done[id(one)]

        found.append([np.asarray(visit(value)) for value in values])
    return found


def _is_table(value: Flowing) -> bool:
    """Whether the image says only what is read out of a table of constants."""
    return (
        value.operation.type == "GatherV2"
        and isinstance(value.inputs[0], Constant)
        and isinstance(value.inputs[2], Constant)
        and int(value.inputs[2].numbers) == 0
        and not value.operation.get_attr("batch_dims")
    )


def _worked_out(value: Any, known: dict[Flowing, Numbers]) -> Any:
    """The numbers of a tensor, for some numbers of its sources."""

    def work(one: Flowing, inputs: Sequence[Any]) -> Any:
        return run(one.operation, inputs)[one.output]

    return _followed(value, {s: tf.constant(n) for s, n in known.items()}, lambda c: c.held, work)


def _check_alone(value: Flowing, source: Flowing, *, tuples: bool) -> None:
    """See that no element is made of two elements of a source, nor a tuple."""
    count = math.prod(source.shape)
    # 0 stands for what comes from elsewhere.
    own = np.arange(1, count + 1, dtype=np.int32).reshape(source.shape)

    def work(one: Flowing, inputs: Sequence[Any]) -> Any:
        kind = one.operation.type
        if kind in _ALONE:
            return _agreed([np.asarray(n) for n in inputs])
        if kind == "UnravelIndex":
            return np.broadcast_to(np.asarray(inputs[0]), one.shape)
        if kind == "GatherV2":
            own_ = np.asarray(inputs[1])
            return np.broadcast_to(own_.reshape(*own_.shape, *(1,) * (len(one.shape) - own_.ndim)), one.shape)
        if kind in _MOVES:
            given = [one_ if k == 0 else v.held for k, (one_, v) in enumerate(zip(inputs, one.inputs, strict=True))]
            return np.asarray(run(one.operation, [tf.constant(given[0]), *given[1:]])[one.output])
        if kind == "ConcatV2":
            return np.concatenate([np.asarray(n) for n in inputs[:-1]], axis=int(one.inputs[-1].numbers))
        return np.stack([np.asarray(n) for n in inputs], axis=one.operation.get_attr("axis"))

    others = {s: np.zeros(s.shape, np.int32) for s in _sources(value)}
    found = _followed(value, {**others, source: own}, lambda c: np.zeros(c.shape, np.int32), work)
    if tuples:
        _agreed([found[..., k] for k in range(found.shape[-1])])


def _agreed(numbers: Sequence[Numbers]) -> Numbers:
    whole: Numbers = np.zeros((), np.int32)
    for one in numbers:
        clash = (whole != 0) & (one != 0) & (whole != one)
        if clash.any():
            raise UnknownError("two choices in one place")
        whole = np.maximum(whole, one)
    return whole


def _followed(
    value: Any,
    known: dict[Flowing, Any],
    constant: Callable[[Constant], Any],
    work: Callable[[Flowing, Sequence[Any]], Any],
) -> Any:
    """A tensor worked out from its sources, each step once."""
    done: dict[int, Any] = {}

    def visit(one: Any) -> Any:
        if id(one) not in done:
            if isinstance(one, Constant):
                done[id(one)] = constant(one)
            elif one in known:
                done[id(one)] = known[one]
            else:
                done[id(one)] = work(one, [visit(part) for part in one.inputs])
        return done[id(one)]

    return visit(value)
